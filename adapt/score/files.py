"""Label maps of any format, and which prediction belongs to which truth."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from adapt.errors import DataError
from adapt.formats import label_values, read_itk, read_label_map, read_nifti, same_geometry
from adapt.formats.volume import Volume, refuse_larger
from adapt.wording import counted, listed

Labels = npt.NDArray[np.integer]
FILE = re.compile(r"(?P<name>.+?)(?P<ending>(?:\.ome)?\.tiff?|\.png|\.bmp|\.nii(?:\.gz)?|\.nrrd|\.mha)", re.IGNORECASE)
KINDS = ".png, .bmp, .tif, .tiff, .nii, .nii.gz, .nrrd and .mha"
OPTIONS = {"data.max_image_pixels": "--max-pixels", "data.max_voxels": "--max-voxels", "data.axes": "--axes"}
"""What a recipe calls a choice, and what it is called here."""


@dataclass(frozen=True)
class Reading:
    """How files are read.

    Attributes:
        pixels: an image or plane that claims to have more is refused by its header.
        voxels: likewise, a volume.
        axes: of TIFFs that do not say, one letter a dimension, such as ZYX.
    """

    pixels: int
    voxels: int
    axes: str | None = None


def paired_files(
    predictions: Path, truth: Path, *, prediction_suffix: str = "", truth_suffix: str = ""
) -> dict[str, tuple[Path, Path]]:
    """Name to prediction and truth, sorted; two files are a pair whatever they are called.

    Args:
        predictions: a folder of label maps, or one of them.
        truth: likewise.
        prediction_suffix: what names of predictions end in, beside the ending of the format.
        truth_suffix: likewise, of the truth.

    Raises:
        DataError: there is no such folder or file, one is empty, two files have one name, or a name is on one side
            alone (all are counted, the first are named).
    """
    for path in (predictions, truth):
        if not path.exists():
            raise DataError(f"{path}: no such file or folder")
    if predictions.is_file() and truth.is_file():
        return {_name(truth, "") or truth.stem: (predictions, truth)}
    if predictions.is_file() or truth.is_file():
        raise DataError(f"{predictions} and {truth}: give two folders, or two files")
    ours, theirs = _by_name(predictions, prediction_suffix), _by_name(truth, truth_suffix)
    faults = [
        f"{counted(len(lonely), what)} without {other}: {listed(sorted(lonely))}"
        for what, other, lonely in (
            ("truth", "a prediction", theirs.keys() - ours.keys()),
            ("prediction", "a truth", ours.keys() - theirs.keys()),
        )
        if lonely
    ]
    if faults:
        raise DataError(
            f"{predictions} and {truth}: {'; '.join(faults)}. Give both the same name (or --prediction-suffix, "
            "--truth-suffix), or remove them; a label map of zeros says that nothing was found"
        )
    return {name: (ours[name], theirs[name]) for name in sorted(theirs)}


def _name(path: Path, suffix: str) -> str | None:
    match = FILE.fullmatch(path.name)
    if match is None or path.name.startswith(".") or not match["name"].endswith(suffix):
        return None
    return match["name"].removesuffix(suffix) or None


def _by_name(folder: Path, suffix: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        name = _name(path, suffix)
        if name is None or not path.is_file():
            continue
        if name in found:
            raise DataError(f"{folder}: two files are called {name}: {found[name].name} and {path.name}; keep one")
        found[name] = path
    if not found:
        ending = f" whose name ends in {suffix}" if suffix else ""
        raise DataError(f"{folder}: no label map{ending}; {KINDS} files are read")
    return found


def read_pair(prediction: Path, truth: Path, *, reading: Reading) -> tuple[Labels, Labels]:
    """Two label maps of the same pixels or voxels.

    Args:
        prediction: of any format.
        truth: likewise.
        reading: see `Reading`.

    Raises:
        DataError: one cannot be read, is too large, has values that are no labels, or shows other pixels than the
            other one.
    """
    ours, theirs = (_read(path, reading) for path in (prediction, truth))
    if isinstance(ours, Volume) and isinstance(theirs, Volume):
        differs = same_geometry(ours, theirs)
        if differs is not None:
            raise DataError(f"{prediction} and {truth}: {differs}; predict in the grid of the truth")
    labels = [found.voxels if isinstance(found, Volume) else found for found in (ours, theirs)]
    if labels[0].shape != labels[1].shape:
        raise DataError(
            f"{prediction} is {labels[0].shape}, but {truth} is {labels[1].shape}; predict at the size of the truth"
        )
    return label_values(labels[0], source=prediction), label_values(labels[1], source=truth)


def _read(path: Path, reading: Reading) -> Labels | Volume:
    match = FILE.fullmatch(path.name)
    ending = match["ending"].lower() if match else ""
    try:
        if ending.startswith(".nii"):
            return _one_volume(path, reading)
        if ending in (".nrrd", ".mha"):
            return read_itk(path, max_voxels=reading.voxels)
        if ending.endswith((".tif", ".tiff")):
            return _read_tiff(path, reading)
        return read_label_map(path, max_pixels=reading.pixels)
    except DataError as error:
        text = str(error)
        for key, option in OPTIONS.items():
            text = text.replace(key, option)
        raise DataError(text) from None


def _one_volume(path: Path, reading: Reading) -> Volume:
    volume = read_nifti(path, time=True, max_voxels=reading.voxels)
    if volume.clock is not None:
        raise DataError(
            f"{path}: holds {len(volume.frames)} volumes in time, and volumes are scored one by one; write each to a "
            "file of its own"
        )
    return volume


def _read_tiff(path: Path, reading: Reading) -> Labels:
    """(H, W), or (Z, H, W) if there are several planes."""
    from adapt.formats.tiff import open_tiff  # needs the extra

    with open_tiff(path, max_pixels=reading.pixels, axes=reading.axes, labels=True) as stack:
        refuse_larger(stack.shape, reading.voxels, source=path)
        if stack.length("C") > 1 or stack.length("T") > 1:
            raise DataError(
                f"{path}: its axes are {stack.axes} {stack.shape}; a label map has rows, columns and Z alone"
            )
        planes = [stack.plane(z=z) for z in range(stack.length("Z"))]
    return np.stack(planes) if len(planes) > 1 else planes[0]
