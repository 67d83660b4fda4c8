"""Generated data in the real formats of each domain, with exact labels: for the quickstart, trials and tests.

They are made to exercise the software; a figure measured on them says nothing about real images.
"""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from adapt.datamodules.generated import ct, ct_dicom, dividing_cells, nuclei, scene, shapes
from adapt.errors import DataError
from adapt.files import permissions
from adapt.unwritable import unwritable

PREFIX = "adapt:"
"""What a `data.root` that is generated begins with."""


@dataclass(frozen=True)
class Generated:
    """A generated data set.

    Attributes:
        kind: of the data settings that read it.
        version: raised when what is written changes.
        write: fills an empty folder; always with the same content.
    """

    kind: str
    version: int
    write: Callable[[Path], None]


GENERATED = {
    "adapt:ct_phantom": Generated("medical", 2, ct.write_ct_phantom),
    "adapt:ct_phantom_dicom": Generated("medical", 1, ct_dicom.write_ct_phantom_dicom),
    "adapt:satellite_scenes": Generated("satellite", 1, scene.write_satellite_scenes),
    "adapt:nuclei": Generated("microscopy", 1, nuclei.write_nuclei),
    "adapt:nuclei_zarr": Generated("microscopy", 1, nuclei.write_nuclei_zarr),
    "adapt:dividing_cells": Generated("microscopy", 1, dividing_cells.write_dividing_cells),
    "adapt:shapes_folder": Generated("folder", 1, shapes.write_shapes_folder),
    "adapt:shapes_coco": Generated("coco", 1, shapes.write_shapes_coco),
    "adapt:shapes_yolo": Generated("yolo", 1, shapes.write_shapes_yolo),
    "adapt:shapes_hub": Generated("hub", 1, shapes.write_shapes_hub),
}


def same_images(one: str, other: str) -> bool:
    """Whether two names are of the same generated images; what follows the first word is the format."""
    first, second = (name.split("_")[0] for name in (one, other))
    return one.startswith(PREFIX) and first == second


def generated_folder(name: str, *, kind: str, cache: Path) -> Path:
    """The folder of a generated data set; written at the first call.

    Raises:
        DataError: there is no such data set of this kind, or the cache cannot be written.
    """
    known = [key for key, data in GENERATED.items() if data.kind == kind]
    if name not in known:
        raise DataError(f"data.root {name!r}: generated data of kind {kind}: {', '.join(known) or 'none'}")
    data = GENERATED[name]
    folder = cache / "generated" / f"{name.removeprefix(PREFIX)}_v{data.version}"
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".writing."))
    except OSError as error:
        raise DataError(unwritable(f"cache folder {cache}", error, "or set cache=/another/folder")) from None
    try:
        data.write(temporary)
        temporary.chmod(permissions(0o777))  # mkdtemp's 0700 would hide a shared cache from colleagues
        temporary.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was faster
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder
