"""2D images with YOLO segmentation labels: a text file of outlines beside each image; objects may overlap."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from adapt.datamodules.objects import drawn_objects
from adapt.datamodules.pairing import by_name, case_group, existing_folder, files_below, paired
from adapt.datamodules.source import Case, Source, one_image
from adapt.errors import DataError
from adapt.formats import image as image_format
from adapt.formats import outline_polygons, read_image, read_yolo_labels, read_yolo_names
from adapt.recipe import YoloData

NO_LABELS = ("classes", "notes", "readme", "labels")
"""Text files that tools put beside the labels."""


def yolo_source(settings: YoloData, root: Path) -> Source:
    """Images of each `image_folder` below a folder, whatever splits they lie in.

    The label file of `train/images/a.png` is `train/labels/a.txt`, that of `images/train/a.png` is
    `labels/train/a.txt`, and the name of either case is `train/a`. Without a label file an image has no object.

    Raises:
        DataError: no image or no label file is found, a label file has no image, two images share a name, or a
            class is unknown.
    """
    existing_folder(root, "", "data.root")
    names = dict(enumerate(settings.class_names)) or read_yolo_names(root / settings.names_file)
    unknown = sorted(set(settings.categories) - set(names.values()))
    if unknown:
        has = ", ".join(names.values())
        raise DataError(f"data.categories: {', '.join(unknown)} is no class of {root}; the classes are {has}")
    files = [path for path in files_below(root) if not path.name.startswith(".")]
    pictures = [path for path in files if path.suffix.lower() in image_format.SUFFIXES]
    texts = [path for path in files if path.suffix.lower() == ".txt" and path.stem.lower() not in NO_LABELS]
    images = by_name(_named(pictures, root, settings.image_folder), root)
    labels = by_name(_named(texts, root, settings.label_folder), root)
    for what, found, key in (("image", images, "image_folder"), ("label file", labels, "label_folder")):
        if not found:
            raise DataError(f"{root}: no {what} in a folder {getattr(settings, key)!r}; set data.root or data.{key}")
    kinds = f"{', '.join(image_format.SUFFIXES)} files"
    cases, told = paired(images, labels, root, kinds=kinds, on_error=settings.on_error, unlabelled=True)
    read = [] if settings.class_names else [root / settings.names_file]
    return Source(
        inputs=[*read, *images.values(), *labels.values()],
        cases=[
            *told,
            *(
                partial(read_case, name, images[name], labels.get(name), names=names, settings=settings)
                for name in cases
            ),
        ],
    )


def _named(paths: Iterable[Path], root: Path, folder: str) -> Iterator[tuple[str, Path]]:
    """Files below a folder of that name; each is called like its path without the folder and the suffix."""
    for path in paths:
        before, between, after = f"/{path.relative_to(root).as_posix()}".rpartition(f"/{folder}/")
        if between:
            yield f"{before}/{after}".lstrip("/").removesuffix(path.suffix), path


def read_case(
    name: str, image_path: Path, label_path: Path | None, *, names: Mapping[int, str], settings: YoloData
) -> Case:
    """One image with its objects; no sample if none is large enough.

    Raises:
        DataError: unreadable, or with a line that is no outline of a known class.
    """
    image = read_image(image_path, max_pixels=settings.max_image_pixels)
    labelled = [] if label_path is None else read_yolo_labels(label_path, names)
    height, width = image.shape[:2]
    found = [(entry.category, outline_polygons(entry.outline, height=height, width=width)) for entry in labelled]
    objects = drawn_objects(found, settings, size=(height, width), source=image_path)
    group = case_group(name, settings.group_pattern)
    return one_image(image, objects, group=group, sample_id=name, source=image_path)
