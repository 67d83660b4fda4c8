"""Planes that are read in windows: the same pixels as of the whole, and no more memory than they need."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
import zarr

from adapt.errors import DataError
from adapt.predict.planes import open_planes
from adapt.recipe import MicroscopyData
from adapt.tiles import Tile, tile_image

SIZE = (150, 190)


def settings(**others: object) -> MicroscopyData:
    return MicroscopyData.model_validate(
        {"kind": "microscopy", "root": "-", "tile_size": 64, "tile_overlap": 16, **others}
    )


def stack() -> npt.NDArray[np.uint16]:
    """(Z, C, Y, X) values of which no two rows, columns, planes or channels are alike."""
    return np.random.default_rng(0).integers(0, 4000, (2, 2, *SIZE)).astype(np.uint16)


def write_zarr(path: Path, values: npt.NDArray[Any], axes: str, chunks: tuple[int, ...]) -> Path:
    """OME-Zarr 0.4."""
    group = zarr.open_group(path, mode="w", zarr_format=2)
    array = group.create_array("0", shape=values.shape, chunks=chunks, dtype=values.dtype)
    array[:] = values
    named = [{"name": letter.lower(), "type": "space" if letter in "ZYX" else "channel"} for letter in axes]
    scale = {"type": "scale", "scale": [1.0] * len(axes)}
    datasets = [{"path": "0", "coordinateTransformations": [scale]}]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": named, "datasets": datasets}]
    return path


def write(path: Path, form: str) -> Path:
    if form == "zarr":
        return write_zarr(path.with_suffix(".zarr"), stack(), "ZCYX", (1, 1, 40, 50))
    compression = "zlib" if form == "compressed" else None
    tifffile.imwrite(path, stack(), metadata={"axes": "ZCYX"}, ome=True, compression=compression)
    return path


@pytest.mark.parametrize(
    "chosen", [{"z": 1, "channels": [1]}, {"z": "max", "channels": [0, 1]}, {"z": "all", "channels": [0]}]
)
def test_windows_show_the_same_pixels_in_whatever_format_they_lie(tmp_path: Path, chosen: dict[str, Any]) -> None:
    shown = []
    for form in ("compressed", "as it is", "zarr"):
        with open_planes(write(tmp_path / f"{form}.ome.tif", form), settings(**chosen)) as opened:
            tiles = tile_image(*SIZE, size=64, overlap=16)
            shown.append([opened.picture(index, tile) for index in range(opened.slices) for tile in tiles])
            whole = [opened.picture(index, opened.whole) for index in range(opened.slices)]
        assert all(
            (picture == whole[number // len(tiles)][tiles[number % len(tiles)].slices]).all()
            for number, picture in enumerate(shown[-1])
        )
    for others in zip(*shown, strict=True):
        assert len(np.unique(others[0])) > 50
        assert (others[0] == others[1]).all() and (others[0] == others[2]).all()


def test_a_window_of_a_large_plane_takes_little_memory(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 4000, (2048, 2048)).astype(np.uint16)
    path = write_zarr(tmp_path / "a.zarr", values, "YX", (128, 128))
    tracemalloc.start()
    with open_planes(path, settings()) as opened:
        tracemalloc.reset_peak()
        opened.picture(0, Tile(1000, 1000, 64, 64))
        assert tracemalloc.get_traced_memory()[1] < values.nbytes / 4
    tracemalloc.stop()


def test_a_chunk_that_is_missing_matters_where_it_is_looked_at(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "a.zarr", stack()[0, 0], "YX", (50, 50))
    with open_planes(path, settings()) as opened:
        (path / "0" / "2.3").unlink()
        assert opened.picture(0, Tile(0, 0, 100, 150)).shape == (100, 150, 3)
        with pytest.raises(DataError, match=r"1 of 1 chunks of a plane are missing, the first is 2\.3"):
            opened.picture(0, Tile(100, 150, 50, 40))
