"""What is there: processor, memory, disk, GPUs, torch, optional packages, and whether accounts are set up."""

import importlib.metadata
import importlib.util
import netrc
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

Lines = list[tuple[str, str]]
"""Name and value, for people."""
DISTRIBUTION = "adapt-sam"
GPU_SECONDS = 10
"""To wait for the driver's own tool."""
NO_GPU = "none that a driver tells of: training runs on the CPU, which is for trying things"


def machine(cache: Path) -> Lines:
    """Processor, memory, disk below the cache's folder, GPUs, torch, and torchvision if it is there."""
    there = next(folder for folder in (cache, *cache.absolute().parents) if folder.exists())
    disk = shutil.disk_usage(there)
    return [
        ("python", f"{platform.python_version()} on {platform.platform()}"),
        ("processor", f"{len(_processors())} cores"),
        ("memory", f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:,.1f} GB"),
        ("disk", f"{disk.free / 1e9:,.1f} GB free below {cache} (prepared data and frozen features)"),
        ("gpu", _gpus()),
        ("torch", _torch()),
        *_torchvision(),
    ]


def _processors() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _gpus() -> str:
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return "Apple silicon: trainer.accelerator=mps"
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return NO_GPU
    query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, encoding="utf-8", timeout=GPU_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"nvidia-smi does not answer ({type(error).__name__}); restart the driver"
    found = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return "; ".join(found) if done.returncode == 0 and found else NO_GPU


def _torch() -> str:
    """The version that is installed and what it was built for, as its own files say."""
    facts = _facts("torch")
    if not facts:
        return "missing: pip install torch"
    built = re.search(r"^cuda\b.*=\s*['\"](.+?)['\"]", facts, re.MULTILINE)
    version = importlib.metadata.version("torch")
    return f"{version}, built for {f'CUDA {built[1]}' if built else 'the CPU (and mps on a Mac)'}"


def _torchvision() -> Lines:
    """Only EdgeTAM needs it; but one that was built for another torch stops every library that looks for it."""
    facts = _facts("torchvision")
    if not facts:
        return []
    version, here = _version(facts), _version(_facts("torch"))
    fault = "+cu" in version and "+cu" not in here
    told = f", built for CUDA, and torch {here} is not: install both anew, from one index" if fault else ""
    return [("torchvision", version + told)]


def _facts(package: str) -> str:
    """The file in which torch, or a package made like it, says how it was built; empty if it is not there."""
    spec = importlib.util.find_spec(package)
    place = None if spec is None or spec.origin is None else Path(spec.origin).parent / "version.py"
    return place.read_text(encoding="utf-8") if place is not None and place.is_file() else ""


def _version(facts: str) -> str:
    """With the build behind it, as in `2.13.0+cpu`."""
    match = re.search(r"^__version__\s*=\s*['\"](.+?)['\"]", facts, re.MULTILINE)
    return match[1] if match else "of a version that it does not tell"


def extras(distribution: str = DISTRIBUTION) -> Lines:
    """Each group of optional packages: complete, or what is missing and how to install it."""
    wanted: dict[str, list[str]] = {}
    for text in importlib.metadata.requires(distribution) or []:
        match = re.match(r"([\w.-]+).*;.*extra\s*==\s*['\"]([\w-]+)['\"]", text)
        if match and match[2] != "dev" and match[1] != distribution:
            wanted.setdefault(match[2], []).append(match[1])
    return [(name, _completeness(distribution, name, packages)) for name, packages in sorted(wanted.items())]


def _completeness(distribution: str, extra: str, packages: list[str]) -> str:
    missing = [package for package in packages if not _installed(package)]
    if missing:
        return f"missing {', '.join(missing)}: pip install '{distribution}[{extra}]'"
    return f"complete ({', '.join(packages)})"


def _installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def services(environment: Mapping[str, str], home: Path) -> Lines:
    """Whether the Hub and W&B are set up, from the environment and files alone; no secret is read out."""
    return [("hub", _hub(environment, home)), ("wandb", _wandb(environment, home))]


def _hub(environment: Mapping[str, str], home: Path) -> str:
    place = Path(environment.get("HF_HOME", str(home / ".cache" / "huggingface")))
    if environment.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return "offline (HF_HUB_OFFLINE): only what is in the cache already can be loaded"
    address = environment.get("HF_ENDPOINT", "https://huggingface.co")
    token = "HF_TOKEN" in environment or (place / "token").is_file()
    known = "a token is set" if token else "no token: public repositories only; hf auth login sets one"
    return f"{address}, not asked; {known}"


def _wandb(environment: Mapping[str, str], home: Path) -> str:
    if not _installed("wandb"):
        return f"not installed: pip install '{DISTRIBUTION}[wandb]' for tracking=wandb"
    if environment.get("WANDB_MODE") in ("offline", "disabled"):
        return f"{environment['WANDB_MODE']} (WANDB_MODE)"
    address = environment.get("WANDB_BASE_URL", "https://api.wandb.ai")
    known = "WANDB_API_KEY" in environment or _in_netrc(address.split("//")[-1].split("/")[0], home)
    return f"{address}, not asked; {'a key is set' if known else 'no key: wandb login sets one, or wandb.offline=true'}"


def _in_netrc(host: str, home: Path) -> bool:
    try:
        return netrc.netrc(str(home / ".netrc")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
