"""Files of EfficientSAM, MobileSAM, EdgeSAM and RepViT-SAM: each weight finds its place.

And the converted model gives what the published definition gives.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from original_layout import original
from published_forms import efficient_sam_embedding, efficient_sam_masks, repvit, tiny_vit
from small_layouts import LAYOUTS, small_original
from torch import Tensor

from adapt.cli import main
from adapt.errors import CheckpointError
from adapt.originals import efficient_sam, published_model
from adapt.prompts import PADDING, Prompts
from adapt.segmenters import load_segmenter
from adapt.segmenters.checkpoint import BY_NAME
from adapt.segmenters.segmenter import Segmenter

SHARED = "prompt_encoder.shared_embedding.positional_embedding"
CLASSIFIER = ("image_encoder.norm_head.", "image_encoder.head.")
REWRITTEN = {"image_encoder.pos_embed", "prompt_encoder.invalid_points.weight"}
"""Of EfficientSAM, kept as they are used: on the grid, and with the place of a point that is none."""
SIZE = 256
families = pytest.mark.parametrize("family", LAYOUTS)


def converted(family: str, weights: Mapping[str, Tensor]) -> Segmenter:
    return Segmenter(published_model(weights, source=family), BY_NAME[family])


def values(weights: Mapping[str, Tensor]) -> dict[tuple[float, ...], str]:
    """The sorted numbers of each weight to its name: no two are alike, and rows may lie in another order."""
    named = {
        tuple(value.flatten().sort().values.tolist()): name
        for name, value in weights.items()
        if not name.endswith("num_batches_tracked")
    }
    counted = [name for name in weights if name.endswith("num_batches_tracked")]
    assert len(named) + len(counted) == len(weights)
    return named


@families
def test_each_weight_has_one_place_and_each_place_one_weight(family: str) -> None:
    weights = {name: value for name, value in small_original(family).items() if not name.startswith(CLASSIFIER)}
    model = published_model(weights, source=family)
    state = {name: value for name, value in model.state_dict().items() if name != SHARED}
    new = {name for name, value in state.items() if family == "EfficientSAM" and _is_invented(name)}
    given = values({name: value for name, value in weights.items() if name not in REWRITTEN})
    found = values({name: value for name, value in state.items() if name not in new})
    counts = [sum(name.endswith("num_batches_tracked") for name in of) for of in (weights, state)]
    assert counts[0] == counts[1]
    assert given.keys() == found.keys()
    assert all(state[found[key]].shape == weights[given[key]].shape for key in given)
    assert torch.equal(model.state_dict()[SHARED], state["shared_image_embedding.positional_embedding"])


def _is_invented(name: str) -> bool:
    """Of EfficientSAM: what is rewritten, and what it has not."""
    return name.endswith(("pos_embed", "not_a_point_embed.weight", "point_embed.0.weight", "no_mask_embed.weight")) or (
        ".mask_embed." in name
    )


@families
def test_the_architecture_is_read_off_names_and_shapes(family: str) -> None:
    model = published_model(small_original(family), source=family)
    assert isinstance(model, BY_NAME[family].model)
    vision = model.config.vision_config
    expected: dict[str, dict[str, object]] = {
        "EfficientSAM": {"hidden_size": 128, "num_attention_heads": 2, "num_hidden_layers": 2, "mlp_ratio": 2.0},
        "MobileSAM": {"widths": [8, 16, 24, 16], "depths": [2, 1, 2, 1], "heads": [2, 3, 2], "windows": [3, 4, 3]},
        "EdgeSAM": {"widths": [8, 16, 24, 40], "depths": [2, 2, 3, 2], "gated": [0, 3, 7, 8], "fused": True},
        "RepViT-SAM": {"depths": [2, 2, 3, 2], "gated": [0, 3, 7, 8], "fused": False, "joint_norm": True},
    }
    assert {name: getattr(vision, name) for name in expected[family]} == expected[family]
    assert vision.image_size == 1024


@pytest.mark.parametrize("family", ["MobileSAM", "EdgeSAM", "RepViT-SAM"])
@torch.no_grad()
def test_image_embeddings_are_those_of_the_published_definition(family: str) -> None:
    weights = small_original(family)
    images = torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    found = converted(family, weights).at_input_size(SIZE).encode(images).embedding
    expected = (tiny_vit if family == "MobileSAM" else repvit)(weights, images)
    assert found.shape == (2, 32, SIZE // 16, SIZE // 16)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", ["MobileSAM", "EdgeSAM", "RepViT-SAM"])
def test_prompt_encoder_and_decoder_are_those_of_a_sam_with_the_same_weights(family: str) -> None:
    weights = small_original(family)
    decoding = {name: value for name, value in weights.items() if not name.startswith("image_encoder.")}
    sam = published_model({**original(hq=False), **decoding}, source="sam").state_dict()
    model = converted(family, weights).model
    for part in ("prompt_encoder", "mask_decoder"):
        assert type(getattr(model, part)).__module__ == "transformers.models.sam.modeling_sam"
        for name, value in getattr(model, part).state_dict().items():
            assert torch.equal(value, sam[f"{part}.{name}"]), name


@pytest.fixture
def efficient(monkeypatch: pytest.MonkeyPatch) -> Segmenter:
    """At a size of which the grid is not the one of its positions either, but smaller than the published one."""
    monkeypatch.setattr(efficient_sam, "IMAGE_SIZE", SIZE)
    return converted("EfficientSAM", small_original("EfficientSAM"))


@torch.no_grad()
def test_embeddings_of_efficient_sam_are_those_of_the_published_definition(efficient: Segmenter) -> None:
    images = torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    expected = efficient_sam_embedding(small_original("EfficientSAM"), images)
    torch.testing.assert_close(efficient.encode(images).embedding, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["click", "clicks", "box", "box and clicks", "clicks of which some are none"])
@torch.no_grad()
def test_masks_of_efficient_sam_are_those_of_the_published_definition(efficient: Segmenter, kind: str) -> None:
    images = torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    features = efficient.encode(images)
    clicks = torch.tensor([[[20.0, 25.0], [150.0, 80.0], [3.0, 240.0]], [[90.0, 35.0], [66.0, 6.0], [7.0, 9.0]]])
    labels = torch.tensor([[1, 0, 1], [0, 1, 1]])
    clicks, labels = (clicks[:, :1], labels[:, :1]) if kind == "click" else (clicks, labels)
    if "none" in kind:
        labels[0, 2] = PADDING
    box = torch.tensor([[5.0, 8.0, 130.0, 240.0], [70.0, 11.0, 99.0, 43.0]])
    prompts = Prompts(
        object_valid=torch.ones(1, 2, dtype=torch.bool),
        points=clicks[None] if "click" in kind else None,
        point_labels=labels[None] if "click" in kind else None,
        boxes=box[None] if "box" in kind else None,
    )
    parts = [(clicks, labels.where(labels != PADDING, -1))] if "click" in kind else []
    parts += [(box.reshape(2, 2, 2), torch.tensor([[2, 3], [2, 3]]))] if "box" in kind else []
    points, kinds = (torch.cat(of, dim=1) for of in zip(*parts, strict=True))
    masks, iou = efficient_sam_masks(small_original("EfficientSAM"), features.embedding, points, kinds, image_size=SIZE)
    for multimask, chosen in ((True, slice(1, None)), (False, slice(0, 1))):
        found = efficient.decode(features, prompts, multimask=multimask)
        torch.testing.assert_close(found.logits[0], masks[:, chosen], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(found.iou[0], iou[:, chosen], rtol=1e-4, atol=1e-4)
    assert found.logits.std() > 0.01


def test_a_mask_prompt_changes_nothing_in_efficient_sam_until_it_is_trained_to(efficient: Segmenter) -> None:
    features = efficient.encode(torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1)))
    side = efficient.spec.mask_size
    click, label = torch.tensor([[[[20.0, 25.0]]]]), torch.ones(1, 1, 1, dtype=torch.int64)
    masks = torch.randn(1, 1, 1, side, side, generator=torch.Generator().manual_seed(2))
    valid = torch.ones(1, 1, dtype=torch.bool)
    without = efficient.decode(features, Prompts(valid, click, label), multimask=True)
    found = efficient.decode(features, Prompts(valid, click, label, masks=masks), multimask=True)
    assert torch.equal(found.logits, without.logits)
    found.logits.square().mean().backward()
    last = efficient.prompt_encoder.mask_embed.conv3
    assert last.weight.grad is not None and last.weight.grad.abs().sum() > 0


@families
def test_the_command_writes_a_folder_that_the_doctor_knows_and_that_loads(
    family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = small_original(family)
    torch.save({"model": weights}, tmp_path / "weights.pt")
    assert main(["convert", str(tmp_path / "weights.pt"), "--output", str(tmp_path / "new")]) == 0
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"config.json", "model.safetensors"}
    assert main(["doctor", str(tmp_path / "new")]) == 0
    assert f"{family} (adapt_" in capsys.readouterr().out
    loaded = load_segmenter(str(tmp_path / "new"))
    assert loaded.family == family and isinstance(loaded, Segmenter)
    for name, value in published_model(weights, source=family).state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], value), name


@families
def test_weights_that_are_missing_or_left_over_are_listed(family: str) -> None:
    weights = small_original(family)
    del weights["mask_decoder.transformer.norm_final_attn.bias"]
    weights["mask_decoder.extra"] = torch.zeros(2)
    with pytest.raises(CheckpointError, match=r"1 missing: mask_decoder.*norm_final_attn.bias; 1 unexpected: mask_dec"):
        published_model(weights, source="file.pt")


@families
def test_a_file_of_an_encoder_alone_is_refused_by_what_it_lacks(family: str) -> None:
    weights = {name: value for name, value in small_original(family).items() if name.startswith("image_encoder.")}
    with pytest.raises(CheckpointError, match=r"file\.pt is no original file of SAM.*: it has no \S+ under any name"):
        published_model(weights, source="file.pt")
