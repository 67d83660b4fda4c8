"""2D images and label maps side by side, paired by name."""

from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from adapt.datamodules.pairing import case_group, existing_folder, refuse_unpaired
from adapt.datamodules.store import Case, Source
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
    categories = _categories(labels, label_path, settings)
    masks = {value: labels == value for value in categories}
    kept = [value for value in categories if np.count_nonzero(masks[value]) >= settings.min_object_pixels]
    small = len(categories) - len(kept)
    if not kept:
        return Case(samples=[], empty_images=1, small_objects=small)
    sample = Sample(
        image=image,
        masks=np.stack([masks[value] for value in kept]),
        categories=tuple(categories[value] for value in kept),
        group=case_group(name, settings.group_pattern),
        spacing=(1.0, 1.0),
        spacing_unit="px",
        sample_id=name,
        source=str(image_path),
    )
    return Case(samples=[sample], empty_images=0, small_objects=small)


def _categories(labels: npt.NDArray[np.int64], path: Path, settings: FolderData) -> dict[int, str]:
    """Label value to category, for the values in the map."""
    present = [int(value) for value in np.unique(labels) if value != 0]
    if settings.label_kind == "instances":
        return dict.fromkeys(present, settings.category)
    named = {value: name for name, value in settings.labels.items()}
    unknown = [value for value in present if value not in named]
    if unknown:
        known = ", ".join(f"{name}: {value}" for name, value in settings.labels.items())
        raise DataError(
            f"{path}: label values {', '.join(map(str, unknown[:10]))} are not named in data.labels "
            f"({known}). Name them, or correct the map"
        )
    return {value: named[value] for value in present}
