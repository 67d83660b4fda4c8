"""Tokens of classes on SAM's decoder: what they begin as, and what transformers makes of them."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import SamModel

from adapt.build import make_segmenter
from adapt.errors import CheckpointError
from adapt.recipe import FolderData, ModelSettings, Recipe, SemanticSettings
from adapt.segmenters import PromptableSegmenter, load_segmenter

CLASSES = ("liver", "spleen", "kidney", "vertebra")


@pytest.fixture(scope="module")
def segmenter() -> PromptableSegmenter:
    return load_segmenter("adapt:tiny").with_classes(CLASSES)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(2, 3, 256, 256, generator=torch.Generator().manual_seed(0))


def moved(segmenter: PromptableSegmenter) -> PromptableSegmenter:
    """A copy whose classes have learnt something: each its own."""
    copied = copy.deepcopy(segmenter)
    with torch.no_grad():
        copied.mask_decoder.mask_tokens.weight.add_(torch.randn(6, 128, generator=torch.Generator().manual_seed(1)))
    return copied


@torch.no_grad()
def answer(segmenter: PromptableSegmenter, images: Tensor) -> Tensor:
    return segmenter.classify(segmenter.encode(images))


def test_there_is_a_map_for_the_background_and_each_class(segmenter: PromptableSegmenter, images: Tensor) -> None:
    assert segmenter.classes == CLASSES
    assert answer(segmenter, images).shape == (2, 5, segmenter.spec.mask_size, segmenter.spec.mask_size)


def test_each_class_begins_as_the_token_of_the_single_mask_so_none_is_preferred(
    segmenter: PromptableSegmenter, images: Tensor
) -> None:
    stock = load_segmenter("adapt:tiny").mask_decoder
    assert all(torch.equal(row, stock.mask_tokens.weight[0]) for row in segmenter.mask_decoder.mask_tokens.weight)
    for network in segmenter.mask_decoder.output_hypernetworks_mlps:
        for name, value in network.state_dict().items():
            assert torch.equal(value, stock.output_hypernetworks_mlps[0].state_dict()[name])
    maps = answer(segmenter, images)
    torch.testing.assert_close(maps, maps[:, :1].expand_as(maps), atol=1e-4, rtol=1e-4)
    assert maps.std() > 0.1  # something is seen already


def test_the_stock_model_answers_with_the_same_maps_in_the_same_order(
    segmenter: PromptableSegmenter, images: Tensor
) -> None:
    learnt = moved(segmenter)
    with torch.no_grad():
        stock = learnt.model(pixel_values=images, multimask_output=True).pred_masks
    assert torch.equal(stock[:, 0], answer(learnt, images))


def test_what_is_saved_loads_in_transformers_and_here_bit_for_bit(
    segmenter: PromptableSegmenter, images: Tensor, tmp_path: Path
) -> None:
    learnt = moved(segmenter)
    learnt.save(tmp_path)
    stock = SamModel.from_pretrained(tmp_path, dtype=torch.float32).eval()
    assert stock.config.id2label == {0: "background", 1: "liver", 2: "spleen", 3: "kidney", 4: "vertebra"}
    again = load_segmenter(str(tmp_path))
    assert again.classes == CLASSES
    for name, value in learnt.named_parameters():
        assert torch.equal(dict(again.named_parameters())[name], value)
    with torch.no_grad():
        maps = stock(pixel_values=images).pred_masks[:, 0]  # several masks are what it gives by itself
    assert torch.equal(maps, answer(again, images))
    assert torch.equal(maps, answer(learnt, images))


def test_classes_stay_at_another_input_size(segmenter: PromptableSegmenter) -> None:
    small = moved(segmenter).at_input_size(128)
    assert small.classes == CLASSES
    assert answer(small, torch.zeros(1, 3, 128, 128)).shape == (1, 5, 32, 32)


def test_classes_that_are_there_already_are_kept_as_they_are(segmenter: PromptableSegmenter, images: Tensor) -> None:
    learnt = moved(segmenter)
    expected = answer(learnt, images)
    assert torch.equal(answer(learnt.with_classes(CLASSES), images), expected)


@pytest.mark.parametrize("names", [("liver", "spleen"), ("spleen", "liver", "kidney", "vertebra")])
def test_other_classes_than_a_model_has_are_refused(segmenter: PromptableSegmenter, names: tuple[str, ...]) -> None:
    with pytest.raises(CheckpointError, match="trained with others, or in another order, liver, spleen, kidney"):
        segmenter.with_classes(names)


def test_a_model_with_classes_is_not_taken_for_one_that_is_prompted(
    segmenter: PromptableSegmenter, tmp_path: Path
) -> None:
    segmenter.save(tmp_path)
    recipe = Recipe(data=FolderData(kind="folder", root="x"), model=ModelSettings(checkpoint=str(tmp_path)))
    with pytest.raises(CheckpointError, match=r"set semantic.classes=|semantic.classes=\[liver,spleen,kidney,vertebra"):
        make_segmenter(recipe)
    named = recipe.model_copy(update={"semantic": SemanticSettings(classes=list(CLASSES))})
    assert make_segmenter(named).classes == CLASSES
