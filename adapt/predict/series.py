"""Time series and stacks of microscopy with their truth, to score objects that are followed through them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from adapt.datamodules.microscopy import read_label_maps
from adapt.errors import DataError
from adapt.predict.following import check_followed
from adapt.predict.opened import Opened
from adapt.predict.planes import open_planes
from adapt.predict.volume_dice import Target, targets_of
from adapt.recipe import MicroscopyData


@contextmanager
def open_series(
    case: str, image_path: Path, label_path: Path, *, data: MicroscopyData
) -> Iterator[tuple[Opened, list[Target]]]:
    """The frames or planes of an image, and its objects: what has one label value in all, or is linked by overlap.

    Raises:
        DataError: they cannot be read, or are not looked at whole.
    """
    with open_planes(image_path, data) as opened:
        try:
            check_followed(opened)
        except DataError as error:
            raise DataError(f"{case}: {error}") from None
        labels = read_label_maps(image_path, label_path, data)
        values = np.unique(labels[labels != 0])
        regions = (np.searchsorted(values, labels) + 1) * (labels != 0)  # numbered without gaps
        yield opened, targets_of(regions, data.category, min_pixels=data.min_object_pixels)
