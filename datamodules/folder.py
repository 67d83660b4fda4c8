"""2D images and label maps side by side, paired by name."""

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from adapt.datamodules.objects import instance_objects, named_values, split_objects
from adapt.datamodules.pairing import case_group, existing_folder, refuse_unpaired
from adapt.datamodules.source import Case, Source
from adapt.errors import DataError
from adapt.formats import image as image_format
from adapt.formats import read_image, read_label_map
from adapt.recipe import FolderData
from adapt.samples import Sample


def folder_source(settings: FolderData, root: Path) -> Source:
    """Pairs of image and label map below a folder.

    Raises:
        DataError: a folder is missing or empty, or an image or label has no partner (all are listed).
    """
    images = _images(existing_folder(root, settings.image_folder, "data.image_folder"))
    labels = _images(existing_folder(root, settings.label_folder, "data.label_folder"))
    refuse_unpaired(images, labels, root, kinds=f"{', '.join(image_format.SUFFIXES)} files")
    return Source(
        inputs=[*images.values(), *labels.values()],
        cases=[partial(read_case, name, images[name], labels[name], settings=settings) for name in sorted(images)],
    )


def _images(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in image_format.SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in found:
            raise DataError(
                f"{folder}: two files are called {path.stem}: {found[path.stem].name} and {path.name}; keep one"
            )
        found[path.stem] = path
    return found


def read_case(name: str, image_path: Path, label_path: Path, *, settings: FolderData) -> Case:
    """One image with its objects; no sample if none is large enough.

    Raises:
        DataError: unreadable, of different size, or with label values that are not named.
    """
    image = read_image(image_path, max_pixels=settings.max_image_pixels)
    labels = read_label_map(label_path, max_pixels=settings.max_image_pixels)
    if image.shape[:2] != labels.shape:
        raise DataError(
            f"{name}: shapes differ: image {image.shape[:2]}, label {labels.shape} (rows, columns); "
            "both must show the same pixels"
        )
    if settings.label_kind == "classes":
        present = [int(value) for value in np.unique(labels) if value != 0]
        strict = settings.other_labels == "error"
        named_values(present, settings.labels, others_are_errors=strict, source=label_path)
        masks, categories, small = split_objects(
            labels,
            settings.labels,
            by_component=settings.objects == "component",
            min_pixels=settings.min_object_pixels,
        )
    else:
        _refuse_binary(labels, label_path, settings)
        masks, _, small = instance_objects(labels, min_pixels=settings.min_object_pixels)
        categories = (settings.category,) * len(masks)
    if not len(masks):
        return Case(samples=[], empty_images=1, small_objects=small)
    sample = Sample(
        image=image,
        masks=masks,
        categories=categories,
        group=case_group(name, settings.group_pattern),
        spacing=(1.0, 1.0),
        spacing_unit="px",
        sample_id=name,
        source=str(image_path),
    )
    return Case(samples=[sample], empty_images=0, small_objects=small)


def _refuse_binary(labels: npt.NDArray[np.integer], path: Path, settings: FolderData) -> None:
    """A 0/255 map of several regions is a mask of a class, not one object."""
    present = np.unique(labels[labels != 0])
    if present.tolist() == [255] and cv2.connectedComponents((labels > 0).astype(np.uint8), connectivity=8)[0] > 2:
        raise DataError(
            f"{path}: is a mask of 0 and 255 with several regions, but data.label_kind=instances takes each value for "
            f"one object. Set data.label_kind=classes data.labels={{{settings.category}: 255}}: each region is then one"
        )
