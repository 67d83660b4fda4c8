"""Augmentation: a dozen named operations of albumentations, and nothing else of it.

Draws depend on (seed, epoch, sample), so an image is augmented alike in whichever worker it lands.
"""

import os
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from adapt.recipe import AugmentSettings
from adapt.samples import Sample

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it would ask a server for its newest version

import albumentations as A
import cv2

Image = npt.NDArray[np.uint8]
Masks = npt.NDArray[np.bool_]
SMALLEST_SHARE = 0.25
SMALLEST_PIXELS = 4
"""An object that geometry cuts below a quarter of its area, or below 4 pixels, is dropped."""

OPERATIONS: dict[str, Callable[[float], A.BasicTransform]] = {
    "horizontal_flip": lambda p: A.HorizontalFlip(p=p),
    "vertical_flip": lambda p: A.VerticalFlip(p=p),
    "rotate90": lambda p: A.RandomRotate90(p=p),
    "transpose": lambda p: A.Transpose(p=p),
    "rotate": lambda p: A.Rotate(limit=(-20, 20), border_mode=cv2.BORDER_CONSTANT, p=p),
    "scale": lambda p: A.Affine(scale=(0.8, 1.25), translate_percent=(-0.1, 0.1), p=p),
    "elastic": lambda p: A.ElasticTransform(alpha=30, sigma=6, p=p),
    "brightness_contrast": lambda p: A.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.2, p=p),
    "gamma": lambda p: A.RandomGamma(gamma_limit=(80, 125), p=p),
    "noise": lambda p: A.GaussNoise(std_range=(0.02, 0.08), p=p),
    "blur": lambda p: A.GaussianBlur(blur_limit=(3, 5), p=p),
    "clahe": lambda p: A.CLAHE(clip_limit=(1.0, 3.0), p=p),
}
"""Key of `augment` in the recipe to the operation with that chance, in the order of application."""


class Augmentation:
    """The operations with a chance above 0, applied to an image and its masks together.

    With `keep_cut`, what geometry leaves of an object is kept, however little: of a class, it is no background.
    """

    def __init__(self, settings: AugmentSettings, *, keep_cut: bool = False) -> None:
        self._keep_cut = keep_cut
        chances = settings.model_dump()
        chosen = [make(chances[name]) for name, make in OPERATIONS.items() if chances[name] > 0]
        self._compose = A.Compose(chosen) if chosen else None

    def __call__(self, sample: Sample, *, seed: int) -> Sample:
        """The augmented sample; the sample itself if no object would be left. Spacing stays that of the stored axes."""
        if self._compose is None:
            return sample
        image, masks = self.apply(sample.image, sample.masks, seed=seed)
        kept = (masks.sum((1, 2)) > 0) if self._keep_cut else large_enough(sample.masks, masks)
        if not kept.any():
            return sample
        return Sample(
            image=image,
            masks=masks[kept],
            categories=tuple(name for name, keep in zip(sample.categories, kept, strict=True) if keep),
            group=sample.group,
            spacing=sample.spacing,
            spacing_unit=sample.spacing_unit,
            sample_id=sample.sample_id,
            source=sample.source,
            weights=tuple(weight for weight, keep in zip(sample.weights, kept, strict=True) if keep)
            if sample.weights
            else (),
        )

    def apply(self, image: Image, masks: Masks, *, seed: int) -> tuple[Image, Masks]:
        """An image (H, W, 3) uint8 and masks (N, H, W) bool of it, which may be empty, as the seed has it."""
        if self._compose is None:
            return image, masks
        self._compose.set_random_seed(seed)
        result = self._compose(image=image, masks=masks.astype(np.uint8))
        return np.ascontiguousarray(result["image"]), np.asarray(result["masks"]).astype(bool)


def large_enough(before: Masks, after: Masks) -> npt.NDArray[np.bool_]:
    """(N,) bool, the objects that geometry has left enough of; see `SMALLEST_SHARE`."""
    areas, left = before.sum((1, 2)), after.sum((1, 2))
    kept: npt.NDArray[np.bool_] = (left >= SMALLEST_SHARE * areas) & (left >= np.minimum(SMALLEST_PIXELS, areas))
    return kept
