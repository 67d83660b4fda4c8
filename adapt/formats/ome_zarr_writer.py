"""Small OME-Zarr images with labels, in version 0.4 or 0.5, one level each."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from adapt.errors import RunError
from adapt.files import permissions
from adapt.formats.extras import extra
from adapt.unwritable import unwritable

with extra("microscopy", reads="OME-Zarr"):
    import zarr

Version = Literal["0.4", "0.5"]
TYPES = {"T": "time", "C": "channel", "Z": "space", "Y": "space", "X": "space"}
"""Axes of OME-Zarr in the order that it asks for, and what each is."""
CHUNK = 256
"""Side of a chunk, pixels."""


def write_ome_zarr(
    folder: Path,
    image: npt.NDArray[Any],
    *,
    axes: str,
    pixel_size: tuple[float, float] | None,
    channel_names: tuple[str, ...],
    labels: Mapping[str, npt.NDArray[np.integer]],
    version: Version,
) -> None:
    """Write an image and its labels; whole or not at all.

    Every chunk is written, also of empty regions: a missing file can then only be a loss.

    Args:
        folder: must not be there; should end in `.ome.zarr`.
        image: any array with `axes`.
        axes: letters of T, C, Z, Y and X, in this order.
        pixel_size: (row, column) in micrometres, or None if it is not known.
        channel_names: one a channel, or none.
        labels: name to an array with the axes of the image but C; may be empty.
        version: of OME-Zarr; 0.4 is stored as zarr 2, 0.5 as zarr 3.

    Raises:
        RunError: the folder is there already, or cannot be written.
    """
    if folder.exists():
        raise RunError(f"{folder} is there already; name another folder, or remove it")
    temporary = None
    try:
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        channels = {"omero": {"channels": _channels(image, channel_names)}} if channel_names else {}
        sizes = {} if pixel_size is None else {"Y": pixel_size[0], "X": pixel_size[1]}
        _write_array(temporary, image, axes, sizes, name=folder.name, version=version, more=channels)
        if labels:
            _write_group(temporary / "labels", {"labels": list(labels)}, version)
        for name, values in labels.items():
            source = {"source": {"image": "../../"}}
            about = {"image-label": {"version": version, **source} if version == "0.4" else source}
            place, plane_axes = temporary / "labels" / name, axes.replace("C", "")
            _write_array(place, values, plane_axes, sizes, name=name, version=version, more=about)
        temporary.chmod(permissions(0o777))  # mkdtemp's 0700 would hide it from colleagues
        os.rename(temporary, folder)
    except OSError as error:
        raise RunError(unwritable(folder, error, "or name another folder")) from None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _channels(image: npt.NDArray[Any], names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Names, and the window in which viewers show them."""
    low, high = float(image.min()), float(image.max())
    window = {"min": low, "max": high, "start": low, "end": high}
    return [{"label": name, "color": "FFFFFF", "active": True, "window": window} for name in names]


def _write_array(
    folder: Path,
    values: npt.NDArray[Any],
    axes: str,
    sizes: Mapping[str, float],
    *,
    name: str,
    version: Version,
    more: Mapping[str, Any],
) -> None:
    """A group with one level of a multiscale image; `sizes` are in micrometres, of the axes that have one."""
    if list(axes) != [axis for axis in TYPES if axis in axes] or len(axes) != values.ndim:
        raise ValueError(f"axes must be {values.ndim} of {''.join(TYPES)} in this order, are {axes}")
    multiscale = {
        "name": name,
        "axes": [
            {"name": axis.lower(), "type": TYPES[axis]} | ({"unit": "micrometer"} if axis in sizes else {})
            for axis in axes
        ],
        "datasets": [
            {
                "path": "0",
                "coordinateTransformations": [{"type": "scale", "scale": [sizes.get(axis, 1.0) for axis in axes]}],
            }
        ],
    }
    if version == "0.4":
        multiscale["version"] = version
    group = _write_group(folder, {"multiscales": [multiscale], **more}, version)
    chunks = tuple(min(length, CHUNK) if axis in "YX" else 1 for axis, length in zip(axes, values.shape, strict=True))
    array = group.create_array(
        "0",
        shape=values.shape,
        dtype=values.dtype,
        chunks=chunks,
        fill_value=0,
        config={"write_empty_chunks": True},
        **(
            {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
            if version == "0.4"
            else {"dimension_names": tuple(axes.lower())}
        ),
    )
    array[...] = values


def _write_group(folder: Path, metadata: dict[str, Any], version: Version) -> Any:  # noqa: ANN401 - a zarr Group
    """A group with OME metadata where its version has them."""
    attributes = metadata if version == "0.4" else {"ome": {"version": version, **metadata}}
    return zarr.open_group(folder, mode="a", zarr_format=2 if version == "0.4" else 3, attributes=attributes)
