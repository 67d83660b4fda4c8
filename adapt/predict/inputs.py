"""What is to be segmented: from the path of an input to images of one kind, and which prompts are of which."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adapt.datamodules.pairing import by_name, files_below, stripped
from adapt.datamodules.volume_files import VOLUME, ending, volumes_in
from adapt.errors import DataError
from adapt.formats import image as image_format
from adapt.predict.prompt_files import Asked
from adapt.predict.prompted import PromptedObject
from adapt.recipe import DataSettings, FolderData, MedicalData, MicroscopyData, SatelliteData
from adapt.wording import counted, listed

PLANES = re.compile(r"(?P<name>.+?)(?:\.ome)?\.(?:tiff?|png|jpe?g|zarr)", re.IGNORECASE)
SCENE = re.compile(r"(?P<name>.+?)\.tiff?", re.IGNORECASE)
PICTURE = re.compile(r"(?P<name>.+?)\.(?:" + "|".join(s[1:] for s in image_format.SUFFIXES) + ")", re.IGNORECASE)


@dataclass(frozen=True)
class Input:
    """One image, volume or scene.

    Attributes:
        name: without the ending; names what is written.
        path: of the file, or of a folder with a DICOM series or an OME-Zarr image.
    """

    name: str
    path: Path

    @property
    def files(self) -> list[Path]:
        """Every file that belongs to it."""
        return files_below(self.path) if self.path.is_dir() else [self.path]


def find_inputs(path: Path, data: DataSettings) -> list[Input]:
    """The inputs at a path that the data section of a recipe can read: one, or those in a folder.

    In a folder, those whose names end in `image_suffix`, if it is set; labels beside them, which end in `label_suffix`,
    are none.

    Raises:
        DataError: there are none, or two would have one name.
    """
    endings, kinds = _readable(data)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder (looked from {Path.cwd()})")
    if path.is_file() or path.suffix.lower() == ".zarr":
        match = endings.fullmatch(path.name)
        if match is None:
            raise DataError(_wrong_kind(path, data, kinds))
        return [Input(match["name"], path)]
    if isinstance(data, MedicalData) and _is_series(path):
        return [Input(path.name, path)]
    if isinstance(data, MedicalData):
        volumes = volumes_in(path, data.image_suffix, other=data.label_suffix)
        if not volumes:
            raise DataError(_wrong_kind(path, data, kinds + ending(data.image_suffix)))
        flat = by_name(((name.replace("/", "_"), place) for name, place in volumes.items()), path)
        return [Input(name, place) for name, place in flat.items()]
    suffix, other = (
        (data.image_suffix, data.label_suffix) if isinstance(data, FolderData | MicroscopyData) else ("", "")
    )
    found: dict[str, Path] = {}
    for entry in sorted(path.iterdir()):
        match = endings.fullmatch(entry.name)
        whole = entry.is_dir() and entry.suffix.lower() == ".zarr"
        if entry.name.startswith(".") or not (whole or (match and entry.is_file())):
            continue
        name = stripped(match["name"] if match else entry.name, suffix, others=(other,))
        if name is None:
            continue
        if name in found:
            raise DataError(f"{path}: two images are called {name}: {found[name].name} and {entry.name}; keep one")
        found[name] = entry
    if not found:
        raise DataError(_wrong_kind(path, data, kinds + ending(suffix)))
    return [Input(name, place) for name, place in found.items()]


def _readable(data: DataSettings) -> tuple[re.Pattern[str], str]:
    match data:
        case MedicalData():
            return VOLUME, "volumes (.nii, .nii.gz, .nrrd, .mha, or a folder with a DICOM series)"
        case SatelliteData():
            return SCENE, "GeoTIFF scenes (.tif, .tiff)"
        case MicroscopyData():
            return PLANES, "TIFF, OME-TIFF, PNG and JPEG files and OME-Zarr folders"
        case _:
            return PICTURE, f"pictures ({', '.join(image_format.SUFFIXES)})"


def _wrong_kind(path: Path, data: DataSettings, kinds: str) -> str:
    held = "holds none" if path.is_dir() else "is none"
    return (
        f"{path}: the recipe is of kind {data.kind} and reads {kinds}; this {held}. Give such an input, or --recipe "
        "NAME of a recipe that says how this one is read"
    )


def _is_series(folder: Path) -> bool:
    """Whether the files of a folder are the slices of one series, and not volumes each."""
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    files = [entry for entry in entries if entry.is_file()]
    return bool(files) and not any(VOLUME.fullmatch(file.name) for file in files)


def prompts_by_input(
    asked: Sequence[Asked], inputs: Sequence[Input], *, source: Path
) -> dict[str, list[PromptedObject]]:
    """Name of an input to the objects that are asked of it; none of inputs that no prompt names.

    Of inputs that are named as without an object the list is empty; those that are not there do not matter.

    Raises:
        DataError: prompts name images that are not there, or none where there are several (all are listed).
    """
    known = _names(inputs)
    found: dict[str, list[PromptedObject]] = {}
    unknown: dict[str, None] = {}
    for one in asked:
        if one.wanted is None:
            if one.image is not None and one.image in known:
                found.setdefault(known[one.image], [])
            continue
        if one.image is None and len(inputs) > 1:
            raise DataError(
                f"{one.wanted.place}: names no image, and there are {len(inputs)}; give the file name of its image"
            )
        name = inputs[0].name if one.image is None else known.get(one.image)
        if name is None:
            unknown[str(one.image)] = None
        else:
            found.setdefault(name, []).append(one.wanted)
    if unknown:
        files = _files(inputs)
        raise DataError(
            f"{source}: prompts name {counted(len(unknown), 'image')} that are not in the input: "
            f"{listed(list(unknown))}; the input has {listed([files.get(one.name, one.name) for one in inputs])}"
        )
    return found


def _names(inputs: Sequence[Input]) -> Mapping[str | int, str]:
    """All that an input may be called: its file name, with and without ending, and COCO's number of it."""
    names: dict[str | int, str] = {}
    for one in inputs:
        names.setdefault(one.name, one.name)
        if one.name.isdecimal():
            names.setdefault(int(one.name), one.name)
    return names | {file: name for name, file in _files(inputs).items()}


def _files(inputs: Sequence[Input]) -> dict[str, str]:
    """Name of each input to its file's, but for those whose file's name another has too, in another folder."""
    times = Counter(one.path.name for one in inputs)
    return {one.name: one.path.name for one in inputs if times[one.path.name] == 1}


def usual_recipe(path: Path) -> str:
    """Name of the packaged recipe that reads an input, for a checkpoint that has none; by the first of a folder.

    Raises:
        DataError: nothing is there, or it is a volume, which does not say how its voxels become 0..255.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file or folder (looked from {Path.cwd()})")
    whole = path.is_file() or path.suffix.lower() == ".zarr"
    entries = [path] if whole else [entry for entry in sorted(path.iterdir()) if not entry.name.startswith(".")]
    for entry in entries:
        if entry.suffix.lower() == ".zarr":
            return "microscopy_nuclei"
        if VOLUME.fullmatch(entry.name) or entry.suffix.lower() == ".dcm":
            raise DataError(
                f"{entry}: a volume does not say how its voxels become 0..255, and a checkpoint does not either; give "
                "--recipe medical_ct or medical_mr, or the folder of a run"
            )
        if entry.suffix.lower() in (".tif", ".tiff"):
            return "satellite_buildings" if _lies_on_the_ground(entry) else "microscopy_nuclei"
        if PICTURE.fullmatch(entry.name):
            return "folder"
    raise DataError(f"{path}: holds no image of a known ending; give --recipe NAME, which says how it is read")


def _lies_on_the_ground(path: Path) -> bool:
    from adapt.formats.geotiff import read_scene  # needs an extra

    return read_scene(path).georeferenced
