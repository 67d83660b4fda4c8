"""What a model draws on a picture, and how sure it seems of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from adapt.engine import Signals, candidate_disagreement, unstable, unsure, view_disagreement
from adapt.formats import encode_masks
from adapt.frames import logits_to_image_frame, to_model_frame
from adapt.generate import GeneratedMask, generate
from adapt.generate.candidates import stability
from adapt.metrics import mask_overlaps
from adapt.predict import Model
from adapt.predict.asking import ask, encode
from adapt.predict.prompted import PromptedObject
from adapt.predict.segmenting import as_mask
from adapt.prompts import point_prompts
from adapt.recipe import LabelSettings
from adapt.segmenters import ImageFeatures, PromptableSegmenter

Picture = npt.NDArray[np.uint8]
MIRRORED: tuple[tuple[int, ...], ...] = ((1,), (0,), (0, 1))
"""Axes that are turned round in each view: left and right, up and down, both."""


@dataclass(frozen=True)
class Drawing:
    """What was found in a picture.

    Attributes:
        masks: they may overlap; none is empty.
        categories: what the prompt of each is called; empty without one.
        signals: see `Signals`.
        best_predicted_iou, best_stability: of all that was found, whether a threshold has kept it or not.
    """

    masks: list[GeneratedMask]
    categories: list[str]
    signals: Signals
    best_predicted_iou: float
    best_stability: float


def draw(model: Model, picture: Picture, wanted: Sequence[PromptedObject] | None, settings: LabelSettings) -> Drawing:
    """Masks of a picture, and the signals by which it is ranked.

    Args:
        model: see `Model`.
        picture: (H, W, 3) uint8.
        wanted: its prompts; None to look for everything.
        settings: how many views and masks the signals are taken from.
    """
    height, width = picture.shape[:2]
    features = encode(model.segmenter, picture, model.device)
    found, best = _found(model, picture, features, wanted)
    masks = [mask for mask, _ in found]
    views = []
    for axes in MIRRORED[: settings.views]:
        mirrored = np.ascontiguousarray(np.flip(picture, axes))
        asked = None if wanted is None else [_mirrored(one, axes, height=height, width=width) for one in wanted]
        seen, _ = _found(model, mirrored, encode(model.segmenter, mirrored, model.device), asked)
        back = [encode_masks(np.flip(mask.pixels, axes)[None])[0] for mask, _ in seen]
        views.append(mask_overlaps(back, [mask.rle["counts"] for mask in masks], height=height, width=width))
    first = sorted(masks, key=lambda mask: -mask.predicted_iou)[: settings.disagreement_masks]
    points = np.array([mask.point for mask in first], dtype=np.float32).reshape(-1, 2)
    ious = candidate_ious(
        model.segmenter, features, points, size=(height, width), batch=model.generate.points_per_batch
    )
    signals = Signals(
        unsure=unsure([mask.predicted_iou for mask in masks]),
        unstable=unstable([mask.stability for mask in masks]),
        candidates=candidate_disagreement(ious),
        views=view_disagreement(views) if views else None,
    )
    return Drawing(masks, [category for _, category in found], signals, *best)


def _found(
    model: Model, picture: Picture, features: ImageFeatures, wanted: Sequence[PromptedObject] | None
) -> tuple[list[tuple[GeneratedMask, str]], tuple[float, float]]:
    """Masks with the categories of their prompts, and the best predicted IoU and stability that were met."""
    if wanted is None:
        made = generate(model.segmenter, picture, model.generate, features=features)
        funnel = made.funnel
        return [(mask, "") for mask in made.masks], (funnel.best_predicted_iou, funnel.best_stability)
    height, width = picture.shape[:2]
    frame = model.segmenter.spec.frame(height, width)
    found: dict[int, tuple[GeneratedMask, str]] = {}
    for place, answer in ask(model.segmenter, features, wanted, height=height, width=width):
        if answer.mask.any():
            logits = logits_to_image_frame(answer.logits, frame).numpy()
            mask = replace(as_mask(answer), stability=stability(logits, model.generate))
            found[place] = (mask, wanted[place].category)
    ordered = [found[place] for place in sorted(found)]
    best = (
        max((mask.predicted_iou for mask, _ in ordered), default=0.0),
        max((mask.stability for mask, _ in ordered), default=0.0),
    )
    return ordered, best


@torch.inference_mode()
def candidate_ious(
    segmenter: PromptableSegmenter,
    features: ImageFeatures,
    points: npt.NDArray[np.float32],
    *,
    size: tuple[int, int],
    batch: int,
) -> list[npt.NDArray[np.float64]]:
    """Of each click, (M, M) IoU between the candidates that the segmenter answers with.

    Args:
        segmenter: in eval mode.
        features: of the picture.
        points: (N, 2) xy, image frame.
        size: height and width of the picture.
        batch: clicks that are decoded at once.
    """
    frame = segmenter.spec.frame(*size)
    tables: list[npt.NDArray[np.float64]] = []
    for start in range(0, len(points), batch):
        part = to_model_frame(torch.from_numpy(points[start : start + batch])[None], frame)
        prompts = point_prompts(part, torch.ones(part.shape[:2], dtype=torch.bool)).to(features.embedding.device)
        masks = (segmenter.decode(features, prompts, multimask=True).logits[0] > 0).flatten(2).double()
        shared = masks @ masks.transpose(1, 2)
        areas = masks.sum(2)
        union = areas[:, :, None] + areas[:, None, :] - shared
        tables += list((shared / union.clamp(min=1)).cpu().numpy())
    return tables


def _mirrored(one: PromptedObject, axes: Sequence[int], *, height: int, width: int) -> PromptedObject:
    """The same prompt in a picture that is turned round."""

    def turned(x: float, y: float) -> tuple[float, float]:
        return (width - 1 - x if 1 in axes else x), (height - 1 - y if 0 in axes else y)

    box = one.box
    if box is not None:
        (x0, y0), (x1, y1) = turned(*box[:2]), turned(*box[2:])
        box = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
    return replace(one, clicks=tuple((*turned(x, y), label) for x, y, label in one.clicks), box=box)
