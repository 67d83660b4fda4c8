"""GeoTIFF scenes by rasterio: facts without pixels, windows with what is valid in them, label rasters written.

Scenes may be of any size: only windows are read. An opened file belongs to the process that opened it.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adapt.errors import NO_FILE, DataError
from adapt.files import write_file
from adapt.formats.extras import extra
from adapt.tiles import Tile

with extra("satellite", reads="GeoTIFF"):
    import rasterio
    from affine import Affine
    from rasterio.crs import CRS
    from rasterio.enums import MaskFlags
    from rasterio.errors import NotGeoreferencedWarning, RasterioError
    from rasterio.io import DatasetReader, MemoryFile
    from rasterio.windows import Window

SUFFIXES = (".tif", ".tiff")
CACHE_BYTES = 256 * 2**20
"""GDAL keeps decoded blocks up to this; its own default is a share of the machine's memory, in each process."""
MAX_BLOCK_PIXELS = 2**26
"""A window needs the whole of each block it touches, so files stored as one huge block are refused."""
SAMPLE_SIDE, SAMPLES_A_SIDE = 64, 10
"""Percentiles are estimated from a regular grid of up to 10 x 10 windows of 64 x 64 pixels."""
LABEL_TYPES = (np.uint8, np.uint16, np.uint32)


@dataclass(frozen=True)
class Scene:
    """What the header of a GeoTIFF says.

    Attributes:
        path: of the file.
        modified: time of its last change, ns; a scene that is changed is another scene.
        height: rows.
        width: columns.
        dtype: of the pixels, numpy's name.
        crs: coordinate reference system, None if the file names none.
        transform: (column, row) of a pixel's upper left corner to (x, y) in `crs`.
        descriptions: of each band; empty if it has none.
        colours: colour interpretation of each band: red, green, blue, nir, gray, alpha, undefined, and so on.
        files: the file and those that belong to it: world file, mask, metadata.
    """

    path: Path
    modified: int
    height: int
    width: int
    dtype: str
    crs: CRS | None
    transform: Affine
    descriptions: tuple[str, ...]
    colours: tuple[str, ...]
    files: tuple[Path, ...]

    @property
    def georeferenced(self) -> bool:
        """Whether its pixels have a place on the ground."""
        return self.crs is not None and not self.transform.is_identity


@contextmanager
def open_geotiff(path: Path) -> Iterator[DatasetReader]:
    """A GeoTIFF to read windows of.

    Raises:
        DataError: missing, not a TIFF, or stored in blocks that are too large to read windows of.
    """
    try:
        with warnings.catch_warnings(), rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # `Scene.georeferenced` says it
            # No other driver: a .tif with the text of a virtual data set could name any file or address.
            dataset = rasterio.open(path, driver="GTiff")
    except RasterioError as error:
        reason = f"cannot be read as a GeoTIFF ({error}); copy or convert the file again"
        raise DataError(f"{path}: {reason if path.exists() else NO_FILE}") from None
    with dataset:
        largest = max(rows * columns for rows, columns in dataset.block_shapes)
        if largest > MAX_BLOCK_PIXELS:
            raise DataError(
                f"{path}: stored in blocks of {largest:,} pixels, so a part of it cannot be read alone; "
                "rewrite it with gdal_translate -co TILED=YES"
            )
        yield dataset


def read_scene(path: Path) -> Scene:
    """The facts of a scene, without its pixels.

    Raises:
        DataError: see `open_geotiff`; or the pixels are complex numbers.
    """
    with open_geotiff(path) as dataset:
        scene = Scene(
            path=path,
            modified=path.stat().st_mtime_ns,
            height=dataset.height,
            width=dataset.width,
            dtype=dataset.dtypes[0],
            crs=dataset.crs,
            transform=dataset.transform,
            descriptions=tuple(text or "" for text in dataset.descriptions),
            colours=tuple(colour.name for colour in dataset.colorinterp),
            files=tuple(Path(file) for file in dataset.files),
        )
    if "complex" in scene.dtype:
        raise DataError(f"{path}: pixels are {scene.dtype} numbers; store amplitude or decibels")
    return scene


def band_numbers(scene: Scene, bands: Sequence[int | str] | None) -> tuple[int, ...]:
    """Numbers (from 1) of the wanted bands.

    Args:
        scene: the facts.
        bands: numbers, descriptions or colours; None for the first three, or the first if there are fewer than 3.

    Raises:
        DataError: a band is not there, two have the name, or its values are indices of a palette.
    """
    if bands is None:
        found: tuple[int, ...] = (1, 2, 3) if len(scene.colours) >= 3 else (1,)
    else:
        found = tuple(_band_number(scene, band) for band in bands)
    if any(scene.colours[number - 1] == "palette" for number in found):
        raise DataError(f"{scene.path}: pixels are indices of a palette; convert it with gdal_translate -expand rgb")
    return found


def _band_number(scene: Scene, band: int | str) -> int:
    names = list(zip(scene.descriptions, scene.colours, strict=True))
    if isinstance(band, int):
        found = [band] if 1 <= band <= len(names) else []
    else:  # a description is what somebody wrote on purpose, so it goes before the colour
        wanted = band.casefold()
        found = [number for number, (text, _) in enumerate(names, 1) if text.casefold() == wanted]
        found = found or [number for number, (_, colour) in enumerate(names, 1) if colour.casefold() == wanted]
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{number} {text or colour}" for number, (text, colour) in enumerate(names, 1))
    fault = f"no band {band!r}" if not found else f"bands {', '.join(map(str, found))} are all called {band!r}"
    raise DataError(f"{scene.path}: data.bands: {fault}; it has {known}")


def read_window(
    dataset: DatasetReader, tile: Tile, bands: Sequence[int]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Pixels of a tile.

    Returns:
        (bands, H, W) values as stored, and (H, W) bool: False where no band has a value (nodata, alpha, mask), or
        any is NaN or infinite.

    Raises:
        DataError: the file is damaged or cut short there.
    """
    values, valid = _read(dataset, tile, bands)
    return values, valid.any(0) & np.isfinite(values).all(0)


def _read(dataset: DatasetReader, tile: Tile, bands: Sequence[int]) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """(bands, H, W) values, and of each whether the file marks it as valid."""
    window = Window(tile.left, tile.top, tile.width, tile.height)
    flags = [dataset.mask_flag_enums[band - 1] for band in bands]
    try:
        with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES):
            values = dataset.read(list(bands), window=window)
            if all(MaskFlags.all_valid in flag for flag in flags):
                return values, np.ones(values.shape, dtype=bool)
            return values, dataset.read_masks(list(bands), window=window) > 0
    except RasterioError as error:
        # The same of every tile, so that the scene is named once.
        raise DataError(
            f"{dataset.name}: some pixels cannot be read, it is damaged or cut short; copy it again"
        ) from error


def sampled_percentiles(
    dataset: DatasetReader, bands: Sequence[int], *, low: float, high: float
) -> list[tuple[float, float]]:
    """The values at two percentiles (0..100) of each band, estimated from a regular grid of windows.

    Raises:
        DataError: no valid pixel is in these windows.
    """
    rows, columns = (_sample_starts(length) for length in dataset.shape)
    found: list[list[npt.NDArray[Any]]] = [[] for _ in bands]
    for top in rows:
        for left in columns:
            tile = Tile(top, left, min(SAMPLE_SIDE, dataset.height), min(SAMPLE_SIDE, dataset.width))
            values, valid = _read(dataset, tile, bands)
            for sample, band, kept in zip(found, values, valid & np.isfinite(values), strict=True):
                sample.append(band[kept])
    samples = [np.concatenate(sample) for sample in found]
    empty = [band for band, sample in zip(bands, samples, strict=True) if not sample.size]
    if empty:
        raise DataError(
            f"{dataset.name}: no valid pixel of band {', '.join(map(str, empty))} in {len(rows) * len(columns)} "
            "windows spread over the scene, so no percentile is known; "
            "set data.intensity={kind: range, low: …, high: …}"
        )
    return [(float(a), float(b)) for a, b in (np.percentile(sample, [low, high]) for sample in samples)]


def _sample_starts(length: int) -> list[int]:
    count = min(SAMPLES_A_SIDE, -(-length // SAMPLE_SIDE))
    return sorted({int(start) for start in np.linspace(0, max(length - SAMPLE_SIDE, 0), count)})


def write_labels(path: Path, labels: npt.NDArray[np.integer], *, like: Scene) -> None:
    """Write a label map on the pixels of a scene: tiled, compressed, nodata 0, whole or not at all.

    Args:
        path: of the GeoTIFF.
        labels: (H, W) values from 0; stored as uint8, uint16 or uint32, whichever is enough.
        like: the scene; its CRS and transform are written.

    Raises:
        DataError: another size than the scene's, or values that no such type holds.
    """
    if labels.shape != (like.height, like.width):
        raise DataError(f"{path}: labels are {labels.shape}, {like.path} is {(like.height, like.width)}")
    least, most = int(labels.min()), int(labels.max())
    dtype = next((kind for kind in LABEL_TYPES if most <= np.iinfo(kind).max), None)
    if dtype is None or least < 0:
        raise DataError(f"{path}: labels are from {least} to {most}; 0 to {np.iinfo(np.uint32).max} can be written")
    with warnings.catch_warnings(), MemoryFile() as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a mask of a plain image is one too
        with memory.open(
            driver="GTiff",
            height=like.height,
            width=like.width,
            count=1,
            dtype=np.dtype(dtype).name,
            crs=like.crs,
            transform=like.transform,
            nodata=0,
            tiled=True,
            blockxsize=256,
            blockysize=256,
            compress="deflate",
            bigtiff="IF_SAFER",
        ) as dataset:
            dataset.write(labels.astype(dtype), 1)
        write_file(path, lambda file: file.write(memory.getbuffer()))
