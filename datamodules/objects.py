"""From label values to objects; for every domain whose labels are maps of named values."""

from collections.abc import Iterable, Mapping

import cv2
import numpy as np
import numpy.typing as npt

from adapt.errors import DataError

LISTED = 10


def named_values(
    present: Iterable[int], labels: Mapping[str, int], *, others_are_errors: bool, source: object
) -> list[int]:
    """Which of the present label values are named.

    Args:
        present: values in the label map, 0 (background) apart.
        labels: name to value.
        others_are_errors: what a value without a name means.
        source: of the map, for messages.

    Raises:
        DataError: a value has no name, and that is an error.
    """
    values = sorted(present)
    unknown = [value for value in values if value not in labels.values()]
    if unknown and others_are_errors:
        known = ", ".join(f"{name}: {value}" for name, value in labels.items())
        raise DataError(
            f"{source}: label values {some(unknown)} are not named in data.labels ({known}). "
            "Name them, or set data.other_labels=ignore"
        )
    return [value for value in values if value in labels.values()]


def split_objects(
    labels: npt.NDArray[np.integer], names: Mapping[str, int], *, by_component: bool, min_pixels: int
) -> tuple[npt.NDArray[np.bool_], tuple[str, ...], int]:
    """Objects of a 2D label map.

    Args:
        labels: (H, W) values.
        names: category to value.
        by_component: an object is each 8-connected region of a value; else the value as a whole.
        min_pixels: smaller objects are left out.

    Returns:
        (N, H, W) bool masks, N categories, and how many objects were too small.
    """
    masks: list[npt.NDArray[np.bool_]] = []
    categories: list[str] = []
    small = 0
    for name, value in names.items():
        structure = labels == value
        if not structure.any():
            continue
        if by_component:
            count, regions = cv2.connectedComponents(structure.astype(np.uint8), connectivity=8)
        else:
            count, regions = 2, structure.astype(np.int32)
        for mask in (regions == region for region in range(1, count)):
            if np.count_nonzero(mask) < min_pixels:
                small += 1
            else:
                masks.append(mask)
                categories.append(name)
    stacked = np.stack(masks) if masks else np.zeros((0, *labels.shape), dtype=bool)
    return stacked, tuple(categories), small


def instance_objects(
    labels: npt.NDArray[np.integer], *, min_pixels: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.integer], int]:
    """Objects of a 2D instance map, each value one object.

    Args:
        labels: (H, W) values, 0 is background.
        min_pixels: smaller objects are left out.

    Returns:
        (N, H, W) bool masks, the N values, and how many objects were too small.
    """
    values, pixels = np.unique(labels, return_counts=True)
    pixels, values = pixels[values != 0], values[values != 0]
    kept = values[pixels >= min_pixels]
    masks = np.empty((len(kept), *labels.shape), dtype=bool)
    for mask, value in zip(masks, kept, strict=True):
        np.equal(labels, value, out=mask)
    return masks, kept, len(values) - len(kept)


def is_binary_mask(labels: npt.NDArray[np.integer]) -> bool:
    """Whether a map of 0 and 255 shows several regions: then it is a mask of a class, not one object."""
    present = np.unique(labels[labels != 0])
    return (
        present.tolist() == [255]
        and cv2.connectedComponents((labels > 0).astype(np.uint8), connectivity=8)[0] > 2  # background is one
    )


def some(values: list[int]) -> str:
    """The first values of a list, for a message."""
    rest = f" and {len(values) - LISTED} more" if len(values) > LISTED else ""
    return ", ".join(map(str, values[:LISTED])) + rest
