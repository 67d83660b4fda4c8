"""What `adapt doctor` says of a machine and of checkpoints, without torch, the network, or a secret."""

import importlib.metadata
import importlib.util
import json
import subprocess
import sys
from importlib.util import spec_from_file_location
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from adapt.cli import main
from adapt.doctor import examine, extras, machine, services

WITHOUT_TORCH = """
import sys
from adapt.cli import main
code = main(sys.argv[1:])
loaded = [name for name in ("torch", "numpy", "transformers", "lightning") if name in sys.modules]
sys.exit(f"imported {loaded}" if loaded else code)
"""

REMEDY = "install both anew, from one index"


def write_checkpoint(folder: Path, *, model_type: str = "sam2") -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}), encoding="utf-8")
    save_file(
        {"one": torch.zeros(100), "two": torch.ones(3, 4)}, folder / "model.safetensors", metadata={"format": "pt"}
    )
    return folder


def said(checkpoint: str | Path) -> dict[str, str]:
    return dict(examine(str(checkpoint)).lines)


def test_it_answers_without_torch(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH, "doctor", "adapt:tiny"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("processor", "memory", "gpu", "hub", "wandb", "SAM (sam)", "usable"):
        assert word in done.stdout


def test_torch_is_told_as_torch_tells_itself(tmp_path: Path) -> None:
    told = dict(machine(tmp_path))["torch"]
    assert told.startswith(importlib.metadata.version("torch"))
    assert (torch.version.cuda or "the CPU") in told


@pytest.mark.parametrize(
    ("build", "of_torch", "told"),
    [
        ("+cu130", "+cu130", "0.28.0+cu130"),
        ("+cpu", "+cu130", "0.28.0+cpu"),
        ("", "", "0.28.0"),
        ("+cu130", "+cpu", f"0.28.0+cu130, built for CUDA, and torch 2.13.0+cpu is not: {REMEDY}"),
    ],
)
def test_a_torchvision_that_was_built_for_another_torch_is_told(
    build: str, of_torch: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package, version in (("torch", f"2.13.0{of_torch}"), ("torchvision", f"0.28.0{build}")):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
        (tmp_path / package / "version.py").write_text(f"__version__ = '{version}'\n", encoding="utf-8")
    here = {name: spec_from_file_location(name, tmp_path / name / "__init__.py") for name in ("torch", "torchvision")}
    monkeypatch.setattr(importlib.util, "find_spec", here.get)
    assert dict(machine(tmp_path))["torchvision"] == told


def test_a_cache_folder_that_is_not_there_yet_is_on_the_disk_above_it(tmp_path: Path) -> None:
    assert "GB free" in dict(machine(tmp_path / "not" / "yet"))["disk"]


def test_a_missing_package_of_an_extra_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["torch>=2.7", "numpy>=2; extra == 'here'", "no-such-thing>=1 ; extra == 'away'", "numpy; extra == 'away'"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: wanted)
    assert extras() == [
        ("away", "missing no-such-thing: pip install 'adapt-sam[away]'"),
        ("here", "complete (numpy)"),
    ]


def test_accounts_are_seen_and_no_secret_is_shown(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password hidden\n", encoding="utf-8")
    (tmp_path / ".netrc").chmod(0o600)
    without = dict(services({}, tmp_path / "empty"))
    with_both = dict(services({"HF_TOKEN": "hidden"}, tmp_path))
    assert "no token" in without["hub"] and "a token is set" in with_both["hub"]
    assert "no key" in without["wandb"] and "a key is set" in with_both["wandb"]
    assert "hidden" not in str(with_both)
    assert "only what is in the cache" in dict(services({"HF_HUB_OFFLINE": "1"}, tmp_path))["hub"]


@pytest.mark.parametrize(
    ("model_type", "family"),
    [("sam", "SAM"), ("sam_hq", "SAM-HQ"), ("sam2_video", "SAM 2 video"), ("sam3_tracker", "SAM 3 tracker")],
)
def test_the_family_is_told_from_the_configuration(model_type: str, family: str, tmp_path: Path) -> None:
    verdict = examine(str(write_checkpoint(tmp_path / "model", model_type=model_type)))
    assert (verdict.family, verdict.usable) == (family, True)
    assert dict(verdict.lines)["weights"].startswith("2 tensors")


def test_an_unknown_family_lists_the_known_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_checkpoint(tmp_path / "model", model_type="vit")
    assert main(["doctor", str(folder)]) == 1
    text = capsys.readouterr().out
    assert "'vit' cannot be tuned; what can: sam, sam_hq, sam2" in text and "usable       no" in text


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99, 1.01])
def test_weights_that_are_cut_short_or_too_long_are_seen(share: float, tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "model")
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes((content + b"\0" * len(content))[: int(share * len(content))])
    verdict = examine(str(folder))
    assert verdict.usable is False and "damaged" in dict(verdict.lines)["weights"]


def test_weights_in_several_files_are_all_looked_at(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    index = {"weight_map": {"one": "model-1.safetensors", "three": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    assert "model-2.safetensors" in said(folder)["weights"] and examine(str(folder)).usable is False
    save_file({"three": torch.zeros(2)}, folder / "model-2.safetensors")
    assert said(folder)["weights"].startswith("3 tensors") and examine(str(folder)).usable


def test_a_pickle_alone_is_not_enough(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "pickles" in said(folder)["weights"] and examine(str(folder)).usable is False


def test_an_original_file_is_told_how_to_be_converted(tmp_path: Path) -> None:
    file = tmp_path / "sam_vit_b.pth"
    file.touch()
    assert f"adapt convert {file}" in said(file)["checkpoint"]


def test_an_adapter_is_told_from_a_model(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "model")
    (folder / "adapter_config.json").write_text("{}", encoding="utf-8")
    assert "adapter" in said(folder)["family"] and examine(str(folder)).usable is False


@pytest.mark.parametrize("name", ["nothing", "./nowhere", "/no/where", "a/b/c", "adapt:huge"])
def test_what_is_no_checkpoint_is_told_what_one_is(name: str) -> None:
    assert "neither a folder, nor a file, nor a Hub id" in said(name)["checkpoint"]


def test_a_hub_id_is_looked_up_in_the_cache_alone(tmp_path: Path) -> None:
    """The suite refuses every connection."""
    verdict = examine("adapt-tests/not-in-any-cache")
    assert verdict.usable is None and "a fit downloads it" in dict(verdict.lines)["checkpoint"]
