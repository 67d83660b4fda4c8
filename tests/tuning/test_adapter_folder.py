"""An adapter's folder: on which weights it stands, and what happens when it is damaged."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from adapt.errors import CheckpointError
from adapt.recipe import AdapterTuning, InsertingTuning, LoraTuning
from adapt.segmenters import PromptableSegmenter, load_segmenter
from adapt.tuning import base_weights, choose, load_adapter, save_adapter

LORA, NETWORKS = LoraTuning(rank=2, blocks=1), AdapterTuning(width=2, blocks=1, decoder=False)


def saved(settings: InsertingTuning, folder: Path) -> Path:
    segmenter = load_segmenter("adapt:tiny")
    base = base_weights(segmenter, "adapt:tiny")
    choose(segmenter, settings)
    save_adapter(segmenter, folder, tuning=settings, base=base)
    return folder


def untouched() -> PromptableSegmenter:
    return load_segmenter("adapt:tiny")


def test_the_facts_name_the_base_and_the_settings(tmp_path: Path) -> None:
    facts = json.loads((saved(LORA, tmp_path) / "adapter.json").read_bytes())
    assert facts["tuning"] == LORA.model_dump(mode="json")
    assert facts["base"] == {
        "checkpoint": "adapt:tiny",
        "revision": None,
        "input_size": 256,
        "sha256": base_weights(untouched(), "adapt:tiny").sha256,
    }


def test_one_changed_weight_of_the_base_is_noticed(tmp_path: Path) -> None:
    saved(LORA, tmp_path)
    other = untouched()
    with torch.no_grad():
        other.encoder.get_parameter("layers.0.mlp.lin1.bias")[0] += 1e-3
    with pytest.raises(CheckpointError, match=r"stands on other weights .* set model.checkpoint to .* adapt:tiny"):
        load_adapter(other, tmp_path)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (LORA, "adapter.json"),
        (LORA, "adapter_config.json"),
        (LORA, "adapter_model.safetensors"),
        (NETWORKS, "adapter.json"),
        (NETWORKS, "adapter.safetensors"),
    ],
)
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_missing_or_damaged_file_is_one_clear_error(
    settings: InsertingTuning, name: str, damage: str, tmp_path: Path
) -> None:
    file = saved(settings, tmp_path) / name
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(CheckpointError, match="copy the run's folder again"):
        load_adapter(untouched(), tmp_path)


@pytest.mark.parametrize("settings", [LORA, NETWORKS], ids=["lora", "networks"])
def test_weights_that_are_missing_or_too_many_are_named(settings: InsertingTuning, tmp_path: Path) -> None:
    saved(settings, tmp_path)
    (file,) = tmp_path.glob("*.safetensors")
    weights = load_file(file)
    gone = sorted(weights)[0]
    weights["stray"] = weights.pop(gone)
    save_file(weights, file)
    with pytest.raises(CheckpointError, match="does not fit the model") as caught:
        load_adapter(untouched(), tmp_path)
    assert gone in str(caught.value) and "stray" in str(caught.value)


def test_settings_of_no_mode_are_refused(tmp_path: Path) -> None:
    file = saved(LORA, tmp_path) / "adapter.json"
    file.write_text(file.read_text(encoding="utf-8").replace('"lora"', '"decoder"'), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"adapter\.json cannot be read"):
        load_adapter(untouched(), tmp_path)
