"""Automatic masks of an image, as the published `SamAutomaticMaskGenerator` makes them.

A grid of clicks over the image and over crops of it; three candidates a click; of these, those that are expected to be
good and that are stable; of those that are alike, the best. Source: Segment Anything (Kirillov et al., 2023), section
4 and appendix B, and the code published with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from adapt.errors import DataError
from adapt.formats import decode_masks, encode_masks
from adapt.frames import to_image_frame
from adapt.generate.candidates import Funnel, Survivor, survivors
from adapt.generate.grid import Crop, crops_of, point_grid
from adapt.generate.masks import GeneratedMask, Rle, boxes_of
from adapt.generate.regions import without_small_regions
from adapt.generate.suppression import suppress
from adapt.generate.upsampling import upsampling
from adapt.prompts import point_prompts, tight_boxes
from adapt.recipe import GenerateSettings
from adapt.segmenters import ImageFeatures, PromptableSegmenter


@dataclass(frozen=True)
class Generation:
    """What became of an image: its masks, best first, and how many candidates each filter has left."""

    masks: list[GeneratedMask]
    funnel: Funnel


def generate_masks(
    segmenter: PromptableSegmenter, image: npt.NDArray[np.uint8], settings: GenerateSettings
) -> list[GeneratedMask]:
    """Masks of everything in an image, highest predicted IoU first; `generate` says as well what was left out.

    Args:
        segmenter: in eval mode, on any device.
        image: (H, W, 3) uint8, image frame.
        settings: grid, crops and thresholds.

    Raises:
        DataError: not such an image.
    """
    return generate(segmenter, image, settings).masks


@torch.inference_mode()
def generate(
    segmenter: PromptableSegmenter,
    image: npt.NDArray[np.uint8],
    settings: GenerateSettings,
    *,
    features: ImageFeatures | None = None,
) -> Generation:
    """Masks of everything in an image, and how they came about.

    Memory does not grow with the number of candidates but by their run lengths.

    Args:
        segmenter: in eval mode, on any device.
        image: (H, W, 3) uint8, image frame.
        settings: grid, crops and thresholds.
        features: of the whole image, if it is encoded already.

    Raises:
        DataError: not such an image.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise DataError(
            f"masks are generated for (H, W, 3) uint8 images, this is {image.shape} {image.dtype}; repeat the channel "
            "of a grey image three times, and scale other numbers to 0..255"
        )
    height, width = image.shape[:2]
    crops = crops_of(height, width, layers=settings.crop_layers, overlap=settings.crop_overlap)
    funnel = Funnel()
    found: list[GeneratedMask] = []
    for crop in crops:
        known = features if crop.layer == 0 else None
        found += _masks_of_crop(segmenter, image, crop, settings, funnel, known)
    if len(crops) > 1:
        found = [found[place] for place in _smallest_crops(found, settings)]
    if settings.min_region:
        found = _cleaned(found, settings)
    found = sorted(found, key=lambda mask: -mask.predicted_iou)[: settings.max_masks]
    funnel.kept = len(found)
    return Generation(found, funnel)


def _masks_of_crop(
    segmenter: PromptableSegmenter,
    image: npt.NDArray[np.uint8],
    crop: Crop,
    settings: GenerateSettings,
    funnel: Funnel,
    features: ImageFeatures | None,
) -> list[GeneratedMask]:
    """Masks of a crop, in the frame of the image, without doubles, highest predicted IoU first."""
    height, width = crop.size
    frame = segmenter.spec.frame(height, width)
    if features is None:
        features = _encode(segmenter, image, crop)
    to_image = upsampling(frame, segmenter.spec.mask_size)
    tall, wide = frame.resized
    grid = point_grid(settings.points_per_side // settings.crop_points_downscale**crop.layer)
    # as published: shares of the resized image, without the half pixel by which `to_model_frame` differs
    points = torch.from_numpy(grid * (wide, tall)).float()
    found: list[tuple[Survivor, Tensor]] = []
    for clicks in points.split(settings.points_per_batch):
        valid = torch.ones(1, len(clicks), dtype=torch.bool)
        prompts = point_prompts(clicks[None], valid).to(features.embedding.device)
        answers = segmenter.decode(features, prompts, multimask=True)
        logits, expected = answers.logits[0].flatten(0, 1), answers.iou[0].flatten()
        given = to_image_frame(clicks, frame)
        for one in survivors(logits, expected, to_image, settings, funnel):
            if not _is_cut(one.box, crop, image.shape[:2], settings.crop_edge):
                found.append((one, given[one.place // segmenter.spec.candidates]))
    funnel.whole += len(found)
    boxes = np.array([one.box for one, _ in found], dtype=np.float64).reshape(-1, 4)
    scores = np.array([one.predicted_iou for one, _ in found], dtype=np.float64)
    stay = (found[place] for place in suppress(boxes, scores, most=settings.nms))
    return [_placed(one, point, crop, image.shape[:2]) for one, point in stay]


def without_doubles(masks: Sequence[GeneratedMask], settings: GenerateSettings) -> list[int]:
    """Places of the masks that suppression leaves of all, in each crop and then between crops; crop by crop."""
    stay: list[int] = []
    for crop in dict.fromkeys(mask.crop for mask in masks):
        own = [place for place, mask in enumerate(masks) if mask.crop == crop]
        scores = np.array([masks[place].predicted_iou for place in own], dtype=np.float64)
        boxes = boxes_of([masks[place] for place in own])
        stay += [own[place] for place in suppress(boxes, scores, most=settings.nms)]
    if not settings.crop_layers:
        return stay
    return [stay[place] for place in _smallest_crops([masks[place] for place in stay], settings)]


def _smallest_crops(masks: Sequence[GeneratedMask], settings: GenerateSettings) -> npt.NDArray[np.int64]:
    """Places of the masks that stay where those of several crops are alike."""
    sizes = [(mask.crop[2] - mask.crop[0]) * (mask.crop[3] - mask.crop[1]) for mask in masks]
    return suppress(boxes_of(masks), -np.array(sizes, dtype=np.float64), most=settings.crop_nms)


def _cleaned(masks: list[GeneratedMask], settings: GenerateSettings) -> list[GeneratedMask]:
    """Masks without small holes and islands; of those that are alike now, one that was clean before stays."""
    cleaned = []
    for mask in masks:
        pixels = mask.pixels
        clean = without_small_regions(pixels, least=settings.min_region)
        if not np.array_equal(clean, pixels):
            counts, box = encode_masks(clean[None])[0], tight_boxes(torch.from_numpy(clean)).tolist()
            rle = Rle(size=mask.rle["size"], counts=counts)
            mask = replace(mask, rle=rle, box=tuple(box), area=int(np.count_nonzero(clean)))
        cleaned.append(mask)
    untouched = [float(one is other) for one, other in zip(cleaned, masks, strict=True)]
    stay = suppress(boxes_of(cleaned), np.array(untouched), most=max(settings.nms, settings.crop_nms))
    return [cleaned[place] for place in stay]


def _encode(segmenter: PromptableSegmenter, image: npt.NDArray[np.uint8], crop: Crop) -> ImageFeatures:
    """Features of a crop, on the device of the segmenter."""
    left, top, right, bottom = crop.box
    placed = segmenter.spec.to_model_frame(np.ascontiguousarray(image[top:bottom, left:right]))
    _, parameter = next(segmenter.named_parameters())
    return segmenter.encode(placed[None].to(parameter.device))


def _is_cut(box: tuple[int, int, int, int], crop: Crop, size: tuple[int, int], tolerance: float) -> bool:
    """Whether a box, in the frame of its crop, lies near an edge of it that is no edge of the image."""
    height, width = size
    left, top = crop.box[:2]
    placed = (box[0] + left, box[1] + top, box[2] + left, box[3] + top)
    return any(
        abs(place - edge) <= tolerance < abs(place - end)
        for place, edge, end in zip(placed, crop.box, (0, 0, width, height), strict=True)
    )


def _placed(one: Survivor, point: Tensor, crop: Crop, size: tuple[int, int]) -> GeneratedMask:
    """A candidate of a crop in the frame of the whole image."""
    left, top, right, bottom = crop.box
    counts = one.counts
    if crop.size != size:
        whole = np.zeros((1, *size), dtype=bool)
        whole[:, top:bottom, left:right] = decode_masks([counts], height=bottom - top, width=right - left)
        (counts,) = encode_masks(whole)
    x0, y0, x1, y1 = one.box
    x, y = point.tolist()
    return GeneratedMask(
        rle=Rle(size=size, counts=counts),
        box=(float(x0 + left), float(y0 + top), float(x1 + left), float(y1 + top)),
        area=one.area,
        predicted_iou=one.predicted_iou,
        stability=one.stability,
        point=(x + left, y + top),
        crop=crop.box,
    )
