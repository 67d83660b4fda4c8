"""What a checkpoint is, from its configuration and the headers of its files; no weights are read."""

import json
import os.path
from dataclasses import dataclass
from pathlib import Path

import adapt
from adapt.families import CONCEPTS, FAMILIES, ORIGINALS, TEXT_ALONE, missing_packages

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
EMBEDDED = {"adapt:tiny": Path(adapt.__file__).parent / "segmenters" / "tiny_weights"}
LENGTH = 8
"""Bytes in front of a safetensors header, which say how long it is."""


@dataclass(frozen=True)
class Verdict:
    """What was found.

    Attributes:
        family: of the checkpoint; empty if it is none that can be tuned, or not known yet.
        lines: name and value, for people.
        usable: whether `model.checkpoint` can name it, or `predict --text` find objects with it; None if that cannot be
            known without the network.
    """

    family: str
    lines: tuple[tuple[str, str], ...]
    usable: bool | None


def examine(checkpoint: str) -> Verdict:
    """What a value of `model.checkpoint` is: `adapt:tiny`, a folder, a file, or a Hub id, in the local cache only."""
    if checkpoint == "adapt:tiny_video":
        return Verdict("SAM 2 video", (("checkpoint", "random weights, to try clips and memory"),), usable=True)
    path = EMBEDDED.get(checkpoint, Path(os.path.expanduser(checkpoint)))
    if path.is_file():
        return _file(path)
    if path.is_dir():
        return _folder(path)
    if checkpoint.count("/") != 1 or checkpoint.startswith((".", "/", "~")):
        known = ", ".join(EMBEDDED)
        return _no(
            "checkpoint", f"{checkpoint} is neither a folder, nor a file, nor a Hub id (owner/name), nor {known}"
        )
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(checkpoint, CONFIG)
    if not isinstance(cached, str):
        return Verdict("", (("checkpoint", f"{checkpoint} is not in the Hub's cache here; a fit downloads it"),), None)
    return _folder(Path(cached).parent)


def _no(name: str, text: str) -> Verdict:
    return Verdict("", ((name, text),), usable=False)


def _file(path: Path) -> Verdict:
    if path.suffix in (".pth", ".pt", ".bin"):
        return _no("checkpoint", f"a file of weights; if of {ORIGINALS}: adapt convert {path} --output FOLDER")
    return _no("checkpoint", f"{path} is a file; give its folder, with {CONFIG} and {WEIGHTS}")


def _folder(folder: Path) -> Verdict:
    family, told, text = _family(folder)
    fault, weights = _weights(folder)
    lines: tuple[tuple[str, str], ...] = (("checkpoint", str(folder)), ("family", told), ("weights", weights))
    lines += (("text", text),) if text else ()
    missing = missing_packages(family)
    lines += (("missing", missing),) if missing else ()
    return Verdict(family, lines, usable=bool(family or text) and not fault and not missing)


def _family(folder: Path) -> tuple[str, str, str]:
    """The family, if it is known, words for it, and for what a text finds with it; empty if nothing."""
    if (folder / "adapter_config.json").is_file():
        return "", "an adapter: adapt merge makes a checkpoint of a run that kept one", ""
    try:
        model_type = str(json.loads((folder / CONFIG).read_text(encoding="utf-8"))["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        return "", f"unknown: {CONFIG} is missing or none ({type(error).__name__}); save the model again", ""
    if model_type in FAMILIES:
        text = "predict --text finds all objects of a phrase, without a detector" if model_type in CONCEPTS else ""
        return FAMILIES[model_type], f"{FAMILIES[model_type]} ({model_type})", text
    if model_type in CONCEPTS:
        return "", f"SAM 3, concept prompts ({model_type}); it cannot be tuned", TEXT_ALONE
    return "", f"{model_type!r} cannot be tuned; what can: {', '.join(FAMILIES)}", ""


def _weights(folder: Path) -> tuple[bool, str]:
    """Whether something is wrong with the weights, and words for them."""
    try:
        names = _files(folder)
        if not names:
            return True, f"missing: no {WEIGHTS}; pickles (.bin, .pth) are not read, save the model again"
        counts = [_tensors(folder / name) for name in names]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return True, f"damaged ({str(error) or type(error).__name__}); download or save them again"
    size = sum((folder / name).stat().st_size for name in names)
    return False, f"{sum(counts):,} tensors, {size / 1e6:,.1f} MB, complete"


def _files(folder: Path) -> list[str]:
    if (folder / WEIGHTS).is_file():
        return [WEIGHTS]
    if not (folder / INDEX).is_file():
        return []
    return sorted(set(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()))


def _tensors(path: Path) -> int:
    """How many tensors a safetensors file holds.

    Raises:
        ValueError: the file is shorter or longer than its header says.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(LENGTH), "little")
        if length > size - LENGTH:
            raise ValueError(f"{path.name} is cut short inside its header")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    expected = LENGTH + length + max((entry["data_offsets"][1] for entry in header.values()), default=0)
    if size != expected:
        raise ValueError(f"{path.name} has {size:,} bytes of {expected:,}")
    return len(header)
