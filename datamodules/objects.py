"""From labels to objects; for every domain whose labels are maps of values, or masks."""

from collections.abc import Iterable, Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from adapt.errors import DataError
from adapt.formats import rasterise
from adapt.recipe import CocoData, FolderData, HubData, SatelliteData, YoloData
from adapt.wording import listed


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
            f"{source}: label values {listed(unknown)} are not named in data.labels ({known}). "
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


def label_map_objects(
    labels: npt.NDArray[np.integer], settings: FolderData | HubData | SatelliteData, *, min_pixels: int, source: object
) -> tuple[npt.NDArray[np.bool_], tuple[str, ...], int]:
    """Objects of a 2D label map whose values are instances or classes, as `label_kind` says.

    Args:
        labels: (H, W) values, 0 is background.
        settings: of the domain.
        min_pixels: smaller objects are left out.
        source: of the map, for messages.

    Returns:
        (N, H, W) bool masks, N categories, and how many objects were too small.

    Raises:
        DataError: a class has no name, or a mask of several regions is given for an instance.
    """
    if settings.label_kind == "classes":
        present = [int(value) for value in np.unique(labels) if value != 0]
        named_values(present, settings.labels, others_are_errors=settings.other_labels == "error", source=source)
        return split_objects(
            labels, settings.labels, by_component=settings.objects == "component", min_pixels=min_pixels
        )
    if is_binary_mask(labels):
        raise DataError(
            f"{source}: is a mask of 0 and 255 with several regions, but data.label_kind=instances takes each value "
            f"for one object. Set data.label_kind=classes data.labels={{{settings.category}: 255}}: each region is "
            "then one"
        )
    masks, _, small = instance_objects(labels, min_pixels=min_pixels)
    return masks, (settings.category,) * len(masks), small


def refuse_other_size(labels: Sequence[int], image: Sequence[int], *, source: object) -> None:
    """Check that a label map shows the pixels of its image.

    Args:
        labels: rows and columns.
        image: rows and columns.
        source: of the label map.

    Raises:
        DataError: it does not.
    """
    if tuple(labels) != tuple(image):
        raise DataError(
            f"{source}: shapes differ: image {tuple(image)}, label {tuple(labels)} (rows, columns); "
            "both must show the same pixels"
        )


def is_binary_mask(labels: npt.NDArray[np.integer]) -> bool:
    """Whether a map of 0 and 255 shows several regions: then it is a mask of a class, not one object."""
    present = np.unique(labels[labels != 0])
    return (
        present.tolist() == [255]
        and cv2.connectedComponents((labels > 0).astype(np.uint8), connectivity=8)[0] > 2  # background is one
    )


def drawn_objects(
    found: Sequence[tuple[str, object]], settings: CocoData | YoloData, *, size: tuple[int, int], source: object
) -> tuple[npt.NDArray[np.bool_], tuple[str, ...], int]:
    """Masks of the annotated objects of the wanted categories, which may overlap.

    Args:
        found: category and COCO segmentation of each.
        settings: of the domain.
        size: rows and columns of the image.
        source: of the image, for messages.

    Returns:
        (N, H, W) bool masks, N categories, and how many objects were too small.

    Raises:
        DataError: a segmentation is none.
    """
    wanted = [entry for entry in found if not settings.categories or entry[0] in settings.categories]
    masks = np.empty((len(wanted), *size), dtype=bool)
    for mask, (category, segmentation) in zip(masks, wanted, strict=True):
        try:
            mask[:] = rasterise(segmentation, height=size[0], width=size[1])
        except (ValueError, TypeError) as error:
            raise DataError(f"{source}: a segmentation of {category!r} cannot be drawn: {error}") from None
    return large_objects(masks, [category for category, _ in wanted], min_pixels=settings.min_object_pixels)


def large_objects(
    masks: npt.NDArray[np.bool_], categories: Sequence[str], *, min_pixels: int
) -> tuple[npt.NDArray[np.bool_], tuple[str, ...], int]:
    """The objects of at least `min_pixels`, which may overlap.

    Args:
        masks: (N, H, W) bool.
        categories: N names.
        min_pixels: smaller objects are left out.

    Returns:
        (M, H, W) bool masks, M categories, and how many objects were too small.
    """
    kept = masks.sum((1, 2)) >= min_pixels
    names = tuple(name for name, keep in zip(categories, kept, strict=True) if keep)
    return masks[kept], names, len(masks) - len(names)
