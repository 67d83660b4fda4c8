"""2D images beside label maps, or beside folders with a mask for each object; paired by name."""

from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from adapt.datamodules.objects import label_map_objects, large_objects, refuse_other_size
from adapt.datamodules.pairing import by_name, case_group, existing_folder, files_ending, paired, side_by_side, stripped
from adapt.datamodules.source import Case, Source, one_image
from adapt.errors import DataError
from adapt.formats import image as image_format
from adapt.formats import read_image, read_label_map
from adapt.recipe import FolderData


def folder_source(settings: FolderData, root: Path) -> Source:
    """Pairs of image and label map below a folder, or of image and folder of masks.

    Raises:
        DataError: a folder is missing or empty, or an image or label has no partner (all are listed).
    """
    image_folder = existing_folder(root, settings.image_folder, "data.image_folder")
    label_folder = existing_folder(root, settings.label_folder, "data.label_folder")
    masks = settings.label_kind == "masks"
    shared = not masks and side_by_side(image_folder, label_folder, settings.image_suffix, settings.label_suffix)
    images = _by_stem(image_folder, settings.image_suffix, other=settings.label_suffix if shared else "")
    other = settings.image_suffix if shared else ""
    labels = _folders(label_folder) if masks else _by_stem(label_folder, settings.label_suffix, other=other)
    if images and masks and not labels:
        raise DataError(
            f"{label_folder}: holds no folder, but data.label_kind=masks reads one of the name of each image, with a "
            "file for each object; set data.label_kind"
        )
    kinds = f"{', '.join(image_format.SUFFIXES)} files"
    names, told = paired(images, labels, root, kinds=kinds, on_error=settings.on_error, suffixes=not masks)
    label_files = [file for path in labels.values() for file in (_mask_files(path) if masks else [path])]
    return Source(
        inputs=[*images.values(), *label_files],
        cases=[*told, *(partial(read_case, name, images[name], labels[name], settings=settings) for name in names)],
    )


def _by_stem(folder: Path, suffix: str, *, other: str) -> dict[str, Path]:
    named = (
        (stripped(path.stem, suffix, others=(other,)), path) for path in files_ending(folder, image_format.SUFFIXES)
    )
    return by_name(((name, path) for name, path in named if name is not None), folder)


def _folders(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")}


def _mask_files(folder: Path) -> list[Path]:
    """Mask files of an image: in its folder, then in the folders of categories inside."""
    return [
        file for place in (folder, *_folders(folder).values()) for file in files_ending(place, image_format.SUFFIXES)
    ]


def read_case(name: str, image_path: Path, label_path: Path, *, settings: FolderData) -> Case:
    """One image with its objects; no sample if none is large enough.

    Raises:
        DataError: unreadable, of different size, or with label values that are not named.
    """
    image = read_image(image_path, max_pixels=settings.max_image_pixels)
    if settings.label_kind == "masks":
        objects = _read_masks(label_path, image, settings)
    else:
        labels = _read_label(label_path, image, settings)
        objects = label_map_objects(labels, settings, min_pixels=settings.min_object_pixels, source=label_path)
    group = case_group(name, settings.group_pattern)
    return one_image(image, objects, group=group, sample_id=name, source=image_path)


def _read_masks(
    folder: Path, image: npt.NDArray[np.uint8], settings: FolderData
) -> tuple[npt.NDArray[np.bool_], tuple[str, ...], int]:
    """Masks of any value above 0, one file each; categories are the folders inside `folder`."""
    files = _mask_files(folder)
    masks = np.empty((len(files), *image.shape[:2]), dtype=bool)
    for mask, file in zip(masks, files, strict=True):
        np.greater(_read_label(file, image, settings), 0, out=mask)
    categories = [settings.category if file.parent == folder else file.parent.name for file in files]
    return large_objects(masks, categories, min_pixels=settings.min_object_pixels)


def _read_label(path: Path, image: npt.NDArray[np.uint8], settings: FolderData) -> npt.NDArray[np.integer]:
    labels = read_label_map(path, max_pixels=settings.max_image_pixels)
    refuse_other_size(labels.shape, image.shape[:2], source=path)
    return labels
