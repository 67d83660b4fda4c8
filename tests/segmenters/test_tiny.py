"""`adapt:tiny`: what ships with the package, and what is said when it is broken."""

import shutil
from pathlib import Path

import pytest
import torch
from transformers import SamModel

from adapt.errors import CheckpointError
from adapt.segmenters import load_segmenter
from adapt.segmenters.segmenter import Segmenter
from adapt.segmenters.tiny import FILES, FOLDER, tiny_config, tiny_folder


def test_it_reads_256_pixels_with_at_most_5_million_parameters_in_12_megabytes() -> None:
    tiny = load_segmenter("adapt:tiny")
    assert tiny.spec.image_size == 256
    assert sum(parameter.numel() for _, parameter in tiny.named_parameters()) <= 5e6
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 12e6


def test_it_is_loaded_by_name_in_eval_mode_and_float32() -> None:
    segmenter = load_segmenter("adapt:tiny")
    assert isinstance(segmenter, Segmenter)
    assert not segmenter.model.training
    assert {parameter.dtype for parameter in segmenter.parameters()} == {torch.float32}


def test_plain_transformers_loads_the_same_model() -> None:
    stock = dict(SamModel.from_pretrained(FOLDER, dtype=torch.float32).named_parameters())
    for name, parameter in load_segmenter("adapt:tiny").named_parameters():
        assert torch.equal(parameter, stock[name.removeprefix("model.")]), name


def test_its_architecture_is_the_one_that_the_recipe_trains() -> None:
    fresh, shipped = SamModel(tiny_config()).state_dict(), SamModel.from_pretrained(FOLDER).state_dict()
    assert {name: value.shape for name, value in fresh.items()} == {n: value.shape for n, value in shipped.items()}


def test_all_that_it_needs_is_checked() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*FILES, "README.md"}


def test_a_damaged_file_is_told_with_the_remedy(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FOLDER, tmp_path / "tiny"))
    assert tiny_folder(folder) == folder
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[len(weights) // 2] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged \(sha256 .*Install the package again"):
        tiny_folder(folder)


def test_a_missing_file_is_told_with_the_remedy(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FOLDER, tmp_path / "tiny"))
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"config\.json cannot be read .*Install the package again"):
        tiny_folder(folder)


def test_the_card_says_what_it_is_for() -> None:
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "synthetic images only" in card
    assert "not for real work" in card
    assert "facebook/sam-vit-base" in card
