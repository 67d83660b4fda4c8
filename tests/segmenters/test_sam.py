"""The thin SAM class against the stock `SamModel`: same masks, one encoding, gradients where they belong."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import SamModel

from adapt.prompts import PADDING, Prompts, box_prompts, point_prompts
from adapt.segmenters import ImageFeatures
from adapt.segmenters.initial import initialised
from adapt.segmenters.sam import sam_segmenter
from adapt.segmenters.segmenter import Segmenter
from adapt.segmenters.tiny import tiny_config

VALID = torch.ones(2, 3, dtype=torch.bool)


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return sam_segmenter(initialised(tiny_config(), seed=0))


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(2, 3, 256, 256, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def features(segmenter: Segmenter, images: Tensor) -> ImageFeatures:
    with torch.no_grad():
        return segmenter.encode(images)


def _points() -> Tensor:
    return torch.rand(2, 3, 2, generator=torch.Generator().manual_seed(1)) * 255


def _boxes() -> Tensor:
    corners = torch.rand(2, 3, 2, 2, generator=torch.Generator().manual_seed(2)) * 255
    return torch.cat((corners.amin(-2), corners.amax(-2)), dim=-1)


def test_the_spec_tells_sizes(segmenter: Segmenter, features: ImageFeatures) -> None:
    spec = segmenter.spec
    assert (spec.image_size, spec.mask_size, spec.candidates) == (256, 64, 3)
    assert spec.pixel_mean == (123.675, 116.28, 103.53)  # of ImageNet, on 0..255
    assert spec.pixel_std == (58.395, 57.12, 57.375)
    assert features.embedding.shape == (2, 128, 16, 16)


@pytest.mark.parametrize("multimask", [True, False])
def test_clicks_decode_as_the_stock_model_does(segmenter: Segmenter, features: ImageFeatures, multimask: bool) -> None:
    with torch.no_grad():
        ours = segmenter.decode(features, point_prompts(_points(), VALID), multimask=multimask)
        stock = segmenter.model(
            image_embeddings=features.embedding,
            input_points=_points()[:, :, None],
            input_labels=torch.ones(2, 3, 1, dtype=torch.int64),
            multimask_output=multimask,
        )
    assert ours.logits.shape == (2, 3, 3 if multimask else 1, 64, 64)
    torch.testing.assert_close(ours.logits, stock.pred_masks, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.iou, stock.iou_scores, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("multimask", [True, False])
def test_boxes_decode_as_the_stock_model_does(segmenter: Segmenter, features: ImageFeatures, multimask: bool) -> None:
    with torch.no_grad():
        ours = segmenter.decode(features, box_prompts(_boxes(), VALID), multimask=multimask)
        stock = segmenter.model(image_embeddings=features.embedding, input_boxes=_boxes(), multimask_output=multimask)
    torch.testing.assert_close(ours.logits, stock.pred_masks, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.iou, stock.iou_scores, rtol=1e-5, atol=1e-5)


def test_several_points_an_object_decode_as_the_stock_model_does(segmenter: Segmenter, features: ImageFeatures) -> None:
    points = torch.rand(2, 3, 4, 2, generator=torch.Generator().manual_seed(3)) * 255
    labels = torch.tensor([1, 0, 1, PADDING]).expand(2, 3, 4)
    with torch.no_grad():
        prompts = Prompts(object_valid=VALID, points=points, point_labels=labels)
        ours = segmenter.decode(features, prompts, multimask=True)
        stock = segmenter.model(image_embeddings=features.embedding, input_points=points, input_labels=labels)
    torch.testing.assert_close(ours.logits, stock.pred_masks, rtol=1e-5, atol=1e-5)


def test_encoding_equals_the_stock_model(segmenter: Segmenter, images: Tensor, features: ImageFeatures) -> None:
    torch.testing.assert_close(features.embedding, segmenter.model.get_image_embeddings(images), rtol=0, atol=0)


def _count_calls(module: nn.Module, calls: list[int]) -> torch.utils.hooks.RemovableHandle:
    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
        calls.append(len(inputs[0]))

    return module.register_forward_hook(count)


def test_the_encoder_runs_once_however_many_objects_are_decoded(segmenter: Segmenter, images: Tensor) -> None:
    calls: list[int] = []
    with _count_calls(segmenter.stages[0].modules[0], calls), torch.no_grad():
        features = segmenter.encode(images)
        assert calls == [2]  # one call, with both images
        for _ in range(3):
            segmenter.decode(features, point_prompts(_points(), VALID), multimask=True)
            segmenter.decode(features, box_prompts(_boxes(), VALID), multimask=False)
    assert calls == [2]


def test_padding_objects_are_zero_and_change_nothing(segmenter: Segmenter, features: ImageFeatures) -> None:
    valid = torch.tensor([[True, False, True], [False, True, False]])
    with torch.no_grad():
        some = segmenter.decode(features, box_prompts(_boxes(), valid), multimask=True)
        every = segmenter.decode(features, box_prompts(_boxes(), VALID), multimask=True)
    assert (some.logits[~valid] == 0).all()
    assert (some.iou[~valid] == 0).all()
    torch.testing.assert_close(some.logits[valid], every.logits[valid], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(some.iou[valid], every.iou[valid], rtol=1e-5, atol=1e-5)


def test_padding_objects_are_not_computed(segmenter: Segmenter, features: ImageFeatures) -> None:
    decoded: list[int] = []

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
        decoded.append(len(output[0]))

    with segmenter.mask_decoder.register_forward_hook(count), torch.no_grad():
        valid = torch.tensor([[True, False, False], [True, True, False]])
        segmenter.decode(features, box_prompts(_boxes(), valid), multimask=True)
    assert decoded == [3]


def test_each_object_has_its_own_mask_prompt(segmenter: Segmenter, features: ImageFeatures) -> None:
    generator = torch.Generator().manual_seed(4)
    masks = torch.randn(2, 3, 1, 64, 64, generator=generator)
    changed = masks.clone()
    changed[1, 2] = torch.randn(1, 64, 64, generator=generator)
    with torch.no_grad():
        plain, first, second = (
            segmenter.decode(features, Prompts(object_valid=VALID, boxes=_boxes(), masks=given), multimask=False).logits
            for given in (None, masks, changed)
        )
    differs = [(one - other).abs().amax((-3, -2, -1)) > 1e-4 for one, other in ((plain, first), (first, second))]
    assert differs[0].all()
    assert differs[1].tolist() == [[False, False, False], [False, False, True]]


def test_a_mask_prompt_decodes_as_the_stock_model_does(segmenter: Segmenter, features: ImageFeatures) -> None:
    """The stock call takes one mask an image, so it is asked object by object."""
    masks = torch.randn(2, 3, 1, 64, 64, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        ours = segmenter.decode(features, Prompts(object_valid=VALID, boxes=_boxes(), masks=masks), multimask=True)
        for index in range(3):
            stock = segmenter.model(
                image_embeddings=features.embedding,
                input_boxes=_boxes()[:, index : index + 1],
                input_masks=masks[:, index],
            )
            torch.testing.assert_close(ours.logits[:, index], stock.pred_masks[:, 0], rtol=1e-5, atol=1e-5)


def test_features_are_selected_by_number_or_mask(features: ImageFeatures) -> None:
    by_number = features.select(torch.tensor([1, 1, 0])).embedding
    assert torch.equal(by_number, features.embedding[[1, 1, 0]])
    by_mask = features.select(torch.tensor([False, True])).embedding
    assert torch.equal(by_mask, features.embedding[1:])


def test_what_is_saved_loads_in_plain_transformers(tmp_path: Path, images: Tensor) -> None:
    segmenter = sam_segmenter(initialised(tiny_config(), seed=0))
    with torch.no_grad():  # weights that no fresh model has
        for _, parameter in segmenter.named_parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(6)), alpha=0.01)
    segmenter.save(tmp_path)
    assert {"config.json", "model.safetensors"} <= {file.name for file in tmp_path.iterdir()}
    loaded = sam_segmenter(SamModel.from_pretrained(tmp_path).eval())
    with torch.no_grad():
        ours, theirs = (
            each.decode(each.encode(images), box_prompts(_boxes(), VALID), multimask=True)
            for each in (segmenter, loaded)
        )
    assert torch.equal(ours.logits, theirs.logits)
    assert torch.equal(ours.iou, theirs.iou)
    assert loaded.spec == segmenter.spec


def test_gradients_reach_the_encoder(images: Tensor) -> None:
    """The stock `get_image_embeddings` stops them, which would make tuning an encoder a silent failure."""
    segmenter = sam_segmenter(initialised(tiny_config(), seed=0))
    predictions = segmenter.decode(segmenter.encode(images), point_prompts(_points(), VALID), multimask=True)
    predictions.logits.square().mean().backward()
    gradients = [parameter.grad for parameter in segmenter.encoder.parameters()]
    assert all(gradient is not None for gradient in gradients)
    assert sum(bool(gradient.abs().sum() > 0) for gradient in gradients if gradient is not None) > 0.9 * len(gradients)
