"""Which volumes belong together: images and labels in two folders, or side by side in a folder for each patient."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from adapt.datamodules.pairing import by_name, case_group, existing_folder, files_below, paired, side_by_side, stripped
from adapt.datamodules.source import Case
from adapt.errors import DataError
from adapt.recipe import MedicalData

VOLUME = re.compile(r"(?P<name>.+?)\.(?P<format>nii|nii\.gz|nrrd|mha)", re.IGNORECASE)
DICOM_SEG = re.compile(r"(?P<name>.+?)\.dcm", re.IGNORECASE)
KINDS = "volumes (.nii, .nii.gz, .nrrd, .mha) or folders with a DICOM series"


def find_volumes(
    settings: MedicalData, root: Path
) -> tuple[dict[str, tuple[Path, Path]], list[Callable[[], Case]], list[Path]]:
    """Name of each case to its image and label, a case for each that has no partner and is skipped, and all paths.

    Raises:
        DataError: a folder is missing or empty, two files have one name, or an image or label has no partner (all are
            listed).
    """
    images_below = existing_folder(root, settings.image_folder, "data.image_folder")
    labels_below = existing_folder(root, settings.label_folder, "data.label_folder")
    shared = side_by_side(images_below, labels_below, settings.image_suffix, settings.label_suffix)
    images = volumes_in(images_below, settings.image_suffix, other=settings.label_suffix if shared else "")
    labels = volumes_in(labels_below, settings.label_suffix, DICOM_SEG, other=settings.image_suffix if shared else "")
    if images and not labels:
        wanted = f" whose names end in data.label_suffix={settings.label_suffix}" if settings.label_suffix else ""
        raise DataError(f"{labels_below}: holds no labels{wanted}; .nii, .nii.gz, .nrrd, .mha and DICOM SEG are read")
    names, told = paired(
        images, labels, root, kinds=KINDS + ending(settings.image_suffix), on_error=settings.on_error, suffixes=True
    )
    return {name: (images[name], labels[name]) for name in names}, told, [*images.values(), *labels.values()]


def ending(suffix: str) -> str:
    """What a message says of names that must end in something."""
    return f" whose names end in data.image_suffix={suffix}" if suffix else ""


def volumes_in(folder: Path, suffix: str = "", *endings: re.Pattern[str], other: str = "") -> dict[str, Path]:
    """Name without suffix to each volume below a folder; a folder that holds no volume file is one itself.

    Args:
        folder: with volumes, or with a folder for each patient, whose name then is the first part of the name.
        suffix: only names that end in it, in front of the format.
        endings: of files that are read beside volumes.
        other: a longer suffix, whose files are something else.

    Raises:
        DataError: two have one name.
    """
    return by_name(_named(folder, suffix, (VOLUME, *endings), other), folder)


def _named(
    folder: Path, suffix: str, endings: Sequence[re.Pattern[str]], other: str, entered: frozenset[Path] = frozenset()
) -> Iterator[tuple[str, Path]]:
    entered |= {folder.resolve()}  # a link that leads back here would never end
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        match = next((match for one in endings if (match := one.fullmatch(path.name))), None)
        if path.is_dir() and path.resolve() not in entered and _holds_volumes(path):
            for inner, below in _named(path, suffix, endings, other, entered):
                yield f"{path.name}/{inner}".rstrip("/"), below
            continue
        stem = path.name if path.is_dir() else match["name"] if match else None
        name = None if stem is None else stripped(stem, suffix, others=(other,))
        if name is not None:
            yield name, path


def _holds_volumes(folder: Path) -> bool:
    """Whether it is a folder of volumes, and not of the slices of one."""
    return any(VOLUME.fullmatch(file.name) for file in files_below(folder))


def patient_of(name: str, pattern: str | None) -> str:
    """The group of a case: as the pattern says; without one its folder, where patients have folders, or its name.

    Raises:
        DataError: the pattern does not match.
    """
    return name.split("/")[0] if pattern is None else case_group(name, pattern)
