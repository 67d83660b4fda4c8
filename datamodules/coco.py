"""2D images with COCO instance annotations; instances may overlap."""

import os
from collections import Counter
from functools import partial
from pathlib import Path

from adapt.datamodules.objects import drawn_objects
from adapt.datamodules.pairing import case_group, existing_folder, refuse
from adapt.datamodules.source import Case, Source, one_image
from adapt.errors import DataError
from adapt.formats import CocoImage, read_coco, read_image
from adapt.recipe import CocoData
from adapt.wording import counted, listed


def coco_source(settings: CocoData, root: Path) -> Source:
    """Images of an annotation file that have at least one instance of the wanted categories.

    Raises:
        DataError: a folder or the file is missing or unreadable, a category is unknown, an image lies outside
            the folder or is missing.
    """
    folder = existing_folder(root, settings.image_folder, "data.image_folder")
    annotations = root / settings.annotation_file
    images = read_coco(annotations)
    known = {instance.category for image in images for instance in image.objects}
    unknown = sorted(set(settings.categories) - known)
    if unknown:
        has = ", ".join(sorted(known)) or "none"
        raise DataError(f"data.categories: no annotation of {', '.join(unknown)} in {annotations}; it has {has}")
    times = Counter(image.file_name for image in images)
    faults = {name: fault for name, count in times.items() if (fault := _fault(name, count, folder)) is not None}
    if faults and settings.on_error == "fail":
        told = listed([f"{name} {fault}" for name, fault in faults.items()])
        raise DataError(f"{annotations}: {counted(len(faults), 'image')} cannot be used: {told}")
    return Source(
        inputs=[annotations, *(folder / name for name in times)],
        cases=[
            *(partial(refuse, f"{annotations}, image {name}: {fault}") for name, fault in faults.items()),
            *(
                partial(read_case, image, folder / image.file_name, settings=settings)
                for image in images
                if image.file_name not in faults
            ),
        ],
    )


def _fault(name: str, times: int, folder: Path) -> str | None:
    """What is wrong with an image of the file before it is read."""
    path = Path(os.path.normpath(folder / name))  # links stay as they are: whoever made them may lead out of the folder
    if not path.is_relative_to(os.path.normpath(folder)):
        return "lies outside of the image folder (set data.image_folder)"
    if times > 1:
        return "is listed more than once (give each its own file_name)"
    return None if path.is_file() else "is missing (set data.image_folder, or remove it from the file)"


def read_case(annotated: CocoImage, path: Path, *, settings: CocoData) -> Case:
    """One image with its instances; no sample if none is large enough.

    Raises:
        DataError: unreadable, of another size than annotated, or with a segmentation that is none.
    """
    image = read_image(path, max_pixels=settings.max_image_pixels)
    size = (annotated.height, annotated.width)
    if image.shape[:2] != size:
        raise DataError(f"{path}: is {image.shape[:2]}, but annotated as {size} (rows, columns); export both again")
    found = [(entry.category, entry.segmentation) for entry in annotated.objects]
    objects = drawn_objects(found, settings, size=size, source=path)
    group = case_group(Path(annotated.file_name).with_suffix("").as_posix(), settings.group_pattern)
    return one_image(image, objects, group=group, sample_id=annotated.file_name, source=path)
