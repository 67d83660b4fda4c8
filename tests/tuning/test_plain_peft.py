"""What a run keeps is read by peft and transformers alone, on the stock model, without a line of this project."""

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import Tensor
from transformers import SamModel

from adapt.recipe import Ia3Tuning, InsertingTuning, LohaTuning, LoraTuning, OftTuning, VeraTuning
from adapt.segmenters import PromptableSegmenter, load_segmenter
from adapt.segmenters.tiny import tiny_folder
from adapt.tuning import base_weights, choose, save_adapter

# peft 0.21 asks transformers 5 by a name that it deprecates
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

MODES: dict[str, InsertingTuning] = {
    "query and value": LoraTuning(rank=4),
    "one part": LoraTuning(targets=["key"], rank=4, decoder=False),
    "parts and others": LoraTuning(targets=["query", "value", "proj", "mlp"], rank=4, rslora=True, blocks=3),
    "dora of parts": LoraTuning(dora=True, rank=4, blocks=3),
    "the decoder": LoraTuning(targets=["decoder_attention"], decoder=False),
    "ia3": Ia3Tuning(blocks=3),
    "loha": LohaTuning(rank=4, blocks=3),
    "vera": VeraTuning(rank=16, blocks=3),
}


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))


def trained(settings: InsertingTuning) -> PromptableSegmenter:
    """As if it were trained: everything that trains is somewhere else."""
    torch.manual_seed(0)
    segmenter = load_segmenter("adapt:tiny")
    choose(segmenter, settings)
    with torch.no_grad():
        for _, parameter in segmenter.named_parameters():
            if parameter.requires_grad:
                parameter.add_(0.02 * torch.randn_like(parameter))
    return segmenter


@torch.no_grad()
def masks(model: torch.nn.Module, images: Tensor) -> Tensor:
    logits: Tensor = model(pixel_values=images, input_boxes=torch.tensor([[[40.0, 40.0, 160.0, 160.0]]])).pred_masks
    return logits


def saved(settings: InsertingTuning, folder: Path) -> PromptableSegmenter:
    segmenter = trained(settings)
    save_adapter(
        segmenter, folder, tuning=settings, base=base_weights(load_segmenter("adapt:tiny"), str(tiny_folder()))
    )
    return segmenter


def stock() -> SamModel:
    return SamModel.from_pretrained(tiny_folder(), dtype=torch.float32)


@pytest.mark.parametrize("mode", MODES)
def test_plain_peft_gives_the_same_answers_to_the_bit(mode: str, images: Tensor, tmp_path: Path) -> None:
    segmenter = saved(MODES[mode], tmp_path)
    plain = PeftModel.from_pretrained(stock(), tmp_path).eval()
    assert not torch.equal(masks(plain, images), masks(stock().eval(), images))
    assert torch.equal(masks(plain, images), masks(segmenter.model, images))


@pytest.mark.parametrize("mode", ["query and value", "dora of parts"])
def test_plain_peft_merges_it_into_a_stock_model(mode: str, images: Tensor, tmp_path: Path) -> None:
    segmenter = saved(MODES[mode], tmp_path)
    merged = PeftModel.from_pretrained(stock(), tmp_path).merge_and_unload().eval()
    assert [name for name, _ in merged.named_parameters()] == [name for name, _ in stock().named_parameters()]
    torch.testing.assert_close(masks(merged, images), masks(segmenter.model, images), atol=1e-5, rtol=1e-5)


def test_plain_peft_reads_rotations_once_they_are_merged(images: Tensor, tmp_path: Path) -> None:
    """Its own forward takes the encoder's (B, h, w, C) for what a convolution reads."""
    segmenter = saved(OftTuning(block_size=16, blocks=2, decoder=False), tmp_path)
    merged = PeftModel.from_pretrained(stock(), tmp_path).merge_and_unload().eval()
    torch.testing.assert_close(masks(merged, images), masks(segmenter.model, images), atol=1e-4, rtol=1e-4)


def test_the_folder_says_on_what_it_stands_and_is_small(tmp_path: Path) -> None:
    saved(MODES["query and value"], tmp_path)
    plain = PeftModel.from_pretrained(stock(), tmp_path)
    assert plain.peft_config["default"].base_model_name_or_path == str(tiny_folder())
    assert {path.name for path in tmp_path.iterdir()} >= {
        "adapter.json",
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    of_decoder = sum(p.numel() for p in stock().mask_decoder.parameters())
    of_lora = 7 * (8 * 192 + 576 * 8)  # blocks; a down- and an up-projection of two parts of rank 4
    weights = load_file(tmp_path / "adapter_model.safetensors")
    assert sum(value.numel() for value in weights.values()) == of_decoder + of_lora


def test_the_rows_of_other_parts_stay_zero(tmp_path: Path) -> None:
    saved(LoraTuning(targets=["value"], rank=4, decoder=False), tmp_path)
    weights = load_file(tmp_path / "adapter_model.safetensors")
    ups = [value for name, value in weights.items() if name.endswith("lora_B.weight")]
    assert len(ups) == 7
    for up in ups:
        assert up.shape == (576, 4)
        assert not up[:384].any()
        assert up[384:].all()
