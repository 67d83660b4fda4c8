"""Automatic masks of `adapt:tiny`, against the published algorithm as transformers carries it, part by part."""

import re
import tracemalloc
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image as Pictures
from torch.nn import functional
from transformers.models.sam import image_processing_pil_sam as published

from adapt.errors import DataError
from adapt.generate import Funnel, GeneratedMask, generate, generate_masks
from adapt.generate.suppression import suppress
from adapt.recipe import GenerateSettings
from adapt.segmenters import PromptableSegmenter, load_segmenter

Image = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def tiny() -> PromptableSegmenter:
    return load_segmenter("adapt:tiny")


def discs(height: int, width: int, *, seed: int = 0, count: int = 9) -> Image:
    """Bright discs on a dark ground, some cut by the border."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    image = np.full((height, width, 3), 40, dtype=np.uint8)
    for _ in range(count):
        y, x, radius = (
            random.integers(height),
            random.integers(width),
            random.integers(3, max(4, min(height, width) // 6)),
        )
        image[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = random.integers(120, 255, 3)
    return image


@dataclass
class Found:
    mask: npt.NDArray[np.bool_]
    score: float
    box: list[float]


@torch.inference_mode()
def as_published(segmenter: PromptableSegmenter, image: Image, settings: GenerateSettings) -> list[Found]:
    """The published algorithm: transformers' crops, points, filters, boxes, run lengths; only the NMS is ours.

    (At a stability that equals the threshold transformers drops a mask that the published code keeps.)
    """
    size = segmenter.spec.image_size
    boxes, points, crops, _ = published._generate_crop_boxes(
        image.transpose(2, 0, 1),
        size,
        settings.crop_layers,
        settings.crop_overlap,
        settings.points_per_side,
        settings.crop_points_downscale,
    )
    found: list[Found] = []
    sizes: list[float] = []
    for number, box in enumerate(boxes):
        crop = crops[number].transpose(1, 2, 0)
        height, width = crop.shape[:2]
        scale = size / max(height, width)
        tall, wide = int(height * scale + 0.5), int(width * scale + 0.5)
        resized = np.asarray(Pictures.fromarray(crop).resize((wide, tall), Pictures.Resampling.BILINEAR))
        normalised = (
            torch.from_numpy(resized.copy()).float() - torch.tensor(segmenter.spec.pixel_mean)
        ) / torch.tensor(segmenter.spec.pixel_std)
        padded = functional.pad(normalised.permute(2, 0, 1), (0, size - wide, 0, size - tall))
        clicks = torch.from_numpy(points[0, :, number]).float()
        answers = segmenter.model(
            pixel_values=padded[None],
            input_points=clicks[None, :, None],
            input_labels=torch.ones(1, len(clicks), 1, dtype=torch.int64),
            multimask_output=True,
        )
        full = functional.interpolate(answers.pred_masks[0], (size, size), mode="bilinear", align_corners=False)
        full = functional.interpolate(full[..., :tall, :wide], (height, width), mode="bilinear", align_corners=False)
        masks, scores, placed = published.SamImageProcessorPil.filter_masks(
            None,
            full,
            answers.iou_scores[0],
            image.shape[:2],
            box,
            pred_iou_thresh=settings.predicted_iou,
            stability_score_thresh=settings.stability,
            stability_score_offset=settings.stability_offset,
        )
        stay = suppress(placed.double().numpy(), scores.double().numpy(), most=settings.nms)
        found += [Found(published._rle_to_mask(masks[i]), float(scores[i]), placed[i].tolist()) for i in stay]
        sizes += [float((box[2] - box[0]) * (box[3] - box[1]))] * len(stay)
    if len(boxes) > 1:
        stay = suppress(np.array([one.box for one in found]), -np.array(sizes), most=settings.crop_nms)
        found = [found[place] for place in stay]
    return sorted(found, key=lambda one: -one.score)


@pytest.mark.parametrize(
    ("size", "settings"),
    [
        ((96, 120), GenerateSettings(points_per_side=10, predicted_iou=0.4, stability=0.6)),
        (
            (300, 130),
            GenerateSettings(points_per_side=8, predicted_iou=0.3, stability=0.5, points_per_batch=7, nms=0.4),
        ),
        (
            (140, 160),
            GenerateSettings(points_per_side=6, predicted_iou=0.3, stability=0.49, crop_layers=1),
        ),
    ],
)
def test_masks_and_scores_are_those_of_the_published_algorithm(
    tiny: PromptableSegmenter, size: tuple[int, int], settings: GenerateSettings
) -> None:
    image = discs(*size)
    expected, found = as_published(tiny, image, settings), generate_masks(tiny, image, settings)
    assert len(expected) > 2
    assert len(found) == len(expected)
    for mask, other in zip(found, expected, strict=True):
        assert mask.predicted_iou == pytest.approx(other.score, abs=1e-4)
        assert mask.box == pytest.approx(other.box, abs=1)
        assert (mask.pixels != other.mask).mean() < 1e-3  # a logit near zero may round to either side


def some_masks(tiny: PromptableSegmenter, image: Image, **others: object) -> list[GeneratedMask]:
    chosen = {"points_per_side": 8, "predicted_iou": 0.3, "stability": 0.4, **others}
    return generate_masks(tiny, image, GenerateSettings.model_validate(chosen))


def test_a_mask_is_described_by_its_pixels(tiny: PromptableSegmenter) -> None:
    image = discs(90, 130)
    masks = some_masks(tiny, image, crop_layers=1)
    assert [mask.predicted_iou for mask in masks] == sorted((mask.predicted_iou for mask in masks), reverse=True)
    assert len({mask.crop for mask in masks}) > 1
    for mask in masks:
        rows, columns = np.nonzero(mask.pixels)
        assert mask.rle["size"] == (90, 130) == mask.pixels.shape
        assert mask.area == len(rows)
        assert mask.box == (columns.min(), rows.min(), columns.max(), rows.max())
        assert 0.4 <= mask.stability <= 1
        left, top, right, bottom = mask.crop
        assert left <= mask.point[0] < right and top <= mask.point[1] < bottom


def test_masks_that_touch_the_edge_of_a_crop_inside_the_image_are_dropped(tiny: PromptableSegmenter) -> None:
    masks = some_masks(tiny, discs(90, 130), crop_layers=1, crop_edge=3)
    crops = [mask for mask in masks if mask.crop != (0, 0, 130, 90)]
    assert crops
    for mask in crops:
        for place, end in ((0, 0), (1, 0), (2, 130), (3, 90)):
            assert mask.crop[place] == end or abs(mask.box[place] - mask.crop[place]) > 3


def test_the_batch_of_clicks_changes_nothing(tiny: PromptableSegmenter) -> None:
    image = discs(90, 130)
    one, other = some_masks(tiny, image, points_per_batch=64), some_masks(tiny, image, points_per_batch=5)
    assert len(one) == len(other) > 0
    assert [mask.box for mask in one] == [mask.box for mask in other]


def test_features_that_are_known_are_not_computed_again(
    tiny: PromptableSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = discs(90, 130)
    with torch.inference_mode():
        pixels = tiny.spec.to_model_frame(image)
        features = tiny.encode(pixels[None])
    settings = GenerateSettings(points_per_side=4, predicted_iou=0.3, stability=0.3)
    expected = generate_masks(tiny, image, settings)

    def refuse(images: torch.Tensor) -> None:
        raise AssertionError("the encoder was run")

    monkeypatch.setattr(tiny, "encode", refuse)
    assert generate(tiny, image, settings, features=features).masks == expected


def test_small_regions_are_gone_and_the_description_follows(tiny: PromptableSegmenter) -> None:
    image = discs(90, 130)
    cleaned = some_masks(tiny, image, min_region=25, stability=0.1, predicted_iou=0.1)
    assert cleaned != some_masks(tiny, image, stability=0.1, predicted_iou=0.1)
    for mask in cleaned:
        pixels = mask.pixels
        for part in (pixels, ~pixels):
            _, _, areas, _ = cv2.connectedComponentsWithStats(part.view(np.uint8), connectivity=8)
            assert (part is pixels and len(areas) == 2) or (areas[1:, cv2.CC_STAT_AREA] >= 25).all()
        rows, columns = np.nonzero(pixels)
        assert mask.area == len(rows)
        assert mask.box == (columns.min(), rows.min(), columns.max(), rows.max())


def test_no_more_masks_than_asked_for_and_these_are_the_best(tiny: PromptableSegmenter) -> None:
    image = discs(90, 130)
    every = some_masks(tiny, image)
    assert some_masks(tiny, image, max_masks=2) == every[:2]


def test_memory_does_not_grow_with_the_number_of_candidates(tiny: PromptableSegmenter) -> None:
    image = discs(200, 256)
    peaks = []
    for per_side in (4, 12):  # nine times as many candidates
        settings = GenerateSettings(points_per_side=per_side, points_per_batch=4, predicted_iou=0, stability=0, nms=1.0)
        tracemalloc.start()  # sees what NumPy holds: all that is in full resolution
        found = generate(tiny, image, settings)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert found.funnel.kept > 0.9 * per_side**2
    candidates_more = (144 - 16) * 3
    assert peaks[1] - peaks[0] < candidates_more * image.shape[0] * image.shape[1] / 8 / 4  # a quarter of their bits


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (700, 2), (3, 5)])
def test_the_smallest_and_the_longest_images_give_masks_or_none(
    tiny: PromptableSegmenter, size: tuple[int, int]
) -> None:
    masks = some_masks(tiny, discs(*size, count=1), crop_layers=1, points_per_side=4, predicted_iou=0.0, stability=0.0)
    assert all(mask.pixels.shape == size for mask in masks)
    assert len({mask.box for mask in masks}) == len(masks)  # masks of one pixel are doubles like others


@pytest.mark.parametrize(
    "image", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32), np.zeros((0, 8, 3), np.uint8)]
)
def test_what_is_no_image_is_refused_with_the_remedy(tiny: PromptableSegmenter, image: npt.NDArray[np.uint8]) -> None:
    with pytest.raises(DataError, match="repeat the channel of a grey image"):
        generate_masks(tiny, image, GenerateSettings())


@pytest.mark.parametrize(
    ("thresholds", "told"),
    [
        ({"predicted_iou": 5.0}, r"best predicted IoU is 0\.\d+, not above generate.predicted_iou=5; lower it"),
        ({"predicted_iou": 0.0, "stability": 1.0}, r"best stability is 0\.\d+, below generate.stability=1; lower it"),
    ],
)
def test_thresholds_that_keep_nothing_are_named_with_the_best_score(
    tiny: PromptableSegmenter, thresholds: dict[str, float], told: str
) -> None:
    settings = GenerateSettings(points_per_side=6, **thresholds)
    found = generate(tiny, discs(64, 80), settings)
    assert found.masks == [] and found.funnel.candidates == 108
    assert re.search(told, found.funnel.why_nothing(settings))


def test_masks_that_are_all_cut_by_their_crop_are_told_apart() -> None:
    funnel = Funnel(candidates=30, expected=20, stable=4)
    assert "all 4 candidates that are good enough touch the edge" in funnel.why_nothing(GenerateSettings())


def test_an_image_without_anything_in_it_gives_a_list(tiny: PromptableSegmenter) -> None:
    assert isinstance(generate_masks(tiny, np.zeros((50, 60, 3), np.uint8), GenerateSettings(points_per_side=4)), list)
