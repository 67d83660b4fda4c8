"""Synthetic images as a source of samples: the first epoch's are prepared like any data, later ones are drawn anew."""

from collections.abc import Iterator
from functools import partial

import numpy as np

from adapt.datamodules.source import Case, Source
from adapt.datamodules.synthetic.scenes import draw_scene
from adapt.recipe import SyntheticData
from adapt.samples import Sample

VERSION = "1"
"""Raise it when other images are drawn; stores of older ones are then made anew."""
IMAGES_A_CASE = 64


def synthetic_source(settings: SyntheticData) -> Source:
    """The images of the first epoch, some to a case."""
    starts = range(0, settings.images, IMAGES_A_CASE)
    cases = [partial(_case, settings, start, min(start + IMAGES_A_CASE, settings.images)) for start in starts]
    return Source(inputs=[], cases=cases, version=VERSION)


def redraw(settings: SyntheticData, group: str, epoch: int) -> Sample:
    """The image that stands for another one in an epoch.

    Args:
        settings: of the recipe.
        group: of the image in the first epoch, `synthetic_<seed>_<index>`.
        epoch: 0 draws that same image.
    """
    return _sample(settings, int(group.rpartition("_")[2]), epoch)


def _case(settings: SyntheticData, start: int, end: int) -> Case:
    def samples() -> Iterator[Sample]:
        for index in range(start, end):
            yield _sample(settings, index, 0)

    return Case(samples=samples())


def _sample(settings: SyntheticData, index: int, epoch: int) -> Sample:
    random = np.random.default_rng([settings.seed, index, epoch])
    scene = draw_scene(random, side=settings.side, smallest=settings.smallest)
    name = f"synthetic_{settings.seed}_{index:06d}"
    return Sample(
        image=scene.image,
        masks=scene.masks,
        categories=scene.categories,
        group=name,
        spacing=(1.0, 1.0),
        spacing_unit="px",
        sample_id=f"{name}_{epoch}" if epoch else name,
        source=f"{settings.root}, image {index}",
    )
