"""TIFF, OME-TIFF and ImageJ TIFF by tifffile: planes are read one at a time, label maps written."""

import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, cast
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from adapt.errors import NO_FILE, DataError
from adapt.files import write_file
from adapt.formats.extras import extra
from adapt.formats.planes import PlaneReader, PlaneStack, array_reader, known_axes, micrometres, refuse_large

with extra("microscopy", reads="TIFF"):
    import tifffile

COARSEST = 20.0
"""Micrometres: a coarser pixel in the resolution tags is that of a screen or printer (72 to 1200 dpi)."""
UNITS = {2: "inch", 3: "cm"}
"""Of the resolution tags."""


class _Errors(logging.Handler):
    """Keeps what tifffile logs; it goes on without the pages that it cannot find."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def _errors_are_raised(path: Path) -> Iterator[None]:
    """Nothing of tifffile is printed; its errors, raised or logged, become one `DataError`."""
    errors, logger = _Errors(), logging.getLogger("tifffile")
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(errors)
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"{path}: {NO_FILE}") from None
    except DataError:
        raise
    except Exception as error:  # damaged files make tifffile and its codecs raise nearly anything
        raise DataError(f"{path}: cannot be read as TIFF ({error}); copy it again, or save it anew") from error
    finally:
        logger.removeHandler(errors)
        logger.propagate = propagated
    if errors.messages:
        raise DataError(f"{path}: is damaged or cut short ({errors.messages[0]}); copy it again")


@contextmanager
def open_tiff(path: Path, *, max_pixels: int, axes: str | None = None, labels: bool = False) -> Iterator[PlaneStack]:
    """The image of a TIFF file; planes can be read as long as the context is open.

    Args:
        path: of the file.
        max_pixels: of a plane; larger ones are refused by their header.
        axes: one letter a dimension, in place of what the file says; dimensions of length 1 do not count.
        labels: the file holds labels: `axes` are those of the image, and count without C where their number fits.

    Raises:
        DataError: missing, damaged, with several images or parts in other files, too large, with axes that are not
            told, or with values that are no real numbers.
    """
    with ExitStack() as opened:
        with _errors_are_raised(path):
            content = opened.enter_context(path.open("rb"))  # of a damaged file tifffile would leave it open
            file = opened.enter_context(tifffile.TiffFile(content))
            series = file.series
            _refuse_unread_metadata(file, path)
            if len(series) != 1:
                raise DataError(f"{path}: holds {len(series)} images; save each as a file of its own")
            stack = _stack(file, series[0], path, max_pixels=max_pixels, wanted=axes, labels=labels)
        yield stack


def _refuse_unread_metadata(file: Any, path: Path) -> None:  # noqa: ANN401 - a TiffFile
    """Metadata that do not fit the pages are passed over by tifffile, and the axes would silently be others."""
    told = [name for name, claimed in (("ImageJ", file.is_imagej), ("OME", file.is_ome)) if claimed]
    if told and all(series.kind in ("generic", "uniform") for series in file.series):
        raise DataError(
            f"{path}: its {' and '.join(told)} metadata do not fit its pages; the file is cut short, or was changed by "
            "another program. Copy it again, or save it anew"
        )


def _stack(file: Any, series: Any, path: Path, *, max_pixels: int, wanted: str | None, labels: bool) -> PlaneStack:  # noqa: ANN401
    page = series.keyframe
    refuse_large(path, size=(page.imagelength, page.imagewidth), decoded=math.prod(page.shape), max_pixels=max_pixels)
    shape, stored = tuple(series.get_shape(squeeze=True)), series.get_axes(squeeze=True)
    if series.dtype is None or series.dtype.kind not in "buif":
        raise DataError(f"{path}: its pixels are {series.dtype}, not one real number each; convert it")
    if series.is_multifile or any(part is None for part in series):
        raise DataError(f"{path}: planes are missing, or lie in other files; save the image as one file")
    samples = stored if "C" in stored else stored.replace("S", "C")  # samples of a pixel are channels
    if labels and wanted is not None:
        wanted = wanted.replace("C", "")
        wanted = wanted if len(wanted) == len(shape) else None
    axes = known_axes(samples, shape, wanted=wanted, source=path)
    colour = page.photometric in (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR) and "S" in stored
    return PlaneStack(
        source=path,
        axes=axes,
        shape=shape,
        dtype=series.dtype,
        read=_reader(series, axes, path),
        channel_names=_channel_names(file),
        pixel_size=_pixel_size(file, page),
        colour=colour and shape[stored.index("S")] in (3, 4) and axes[stored.index("S")] == "C",
        windowed=_lies_as_it_is(series),
    )


def _lies_as_it_is(series: Any) -> bool:  # noqa: ANN401 - a TiffPageSeries
    """Whether the values lie in the file as they are, so that it can be memory mapped."""
    return bool(series.dataoffset is not None and series.keyframe.is_memmappable and series.transform is None)


def _reader(series: Any, axes: str, path: Path) -> PlaneReader:  # noqa: ANN401 - a TiffPageSeries
    """Planes of a series: memory mapped if its values lie in the file as they are, else page by page."""
    if _lies_as_it_is(series):
        return array_reader(series.asarray(out="memmap", squeeze=True), axes)
    shape, page = tuple(series.get_shape(squeeze=True)), tuple(series.keyframe.shape)
    parts = (len(series), math.prod(page))
    split = [n for n in range(len(shape)) if (math.prod(shape[:n]), math.prod(shape[n:])) == parts]
    if not split or series.transform is not None:
        raise DataError(f"{path}: its pages {page} do not make up the image {shape}; save it anew as OME-TIFF")
    leading = split[0]  # axes that number the pages; the others are inside a page

    @lru_cache(maxsize=1)  # the channels of a colour page are asked for one by one
    def decoded(number: int) -> npt.NDArray[Any]:
        with _errors_are_raised(path):
            values: npt.NDArray[Any] = series[number].asarray(maxworkers=1).reshape(shape[leading:])
            return values

    def read(index: Mapping[str, int | slice]) -> npt.NDArray[Any]:
        places = [cast(int, index[axis]) for axis in axes[:leading]]  # of Y and X alone there may be slices
        number = int(np.ravel_multi_index(places, shape[:leading])) if leading else 0
        return array_reader(decoded(number), axes[leading:])(index)

    return read


def _pixel_size(file: Any, page: Any) -> tuple[float, float] | None:  # noqa: ANN401 - a TiffFile and its page
    """(row, column) in micrometres, from OME-XML, ImageJ's description, or the resolution tags."""
    if file.is_ome:
        pixels = _ome_pixels(file)
        sizes = [
            micrometres(float(pixels.get(f"PhysicalSize{axis}", "nan")), pixels.get(f"PhysicalSize{axis}Unit", "um"))
            for axis in "YX"
        ]
    else:
        unit = str((file.imagej_metadata or {}).get("unit", ""))
        in_tags = not unit
        unit = unit or UNITS.get(int(page.resolutionunit), "")
        columns, rows = page.resolution  # pixels in a unit, along x and along y
        sizes = [micrometres(1 / count if count else math.nan, unit) for count in (rows, columns)]
        if in_tags and any(size is not None and size > COARSEST for size in sizes):
            return None
    row, column = sizes
    return None if row is None or column is None else (row, column)


def _channel_names(file: Any) -> tuple[str, ...]:  # noqa: ANN401 - a TiffFile
    if not file.is_ome:
        return ()
    names = [channel.get("Name", "") for channel in _ome_pixels(file).findall("{*}Channel")]
    return tuple(names) if any(names) else ()


def _ome_pixels(file: Any) -> ElementTree.Element:  # noqa: ANN401 - a TiffFile
    pixels = ElementTree.fromstring(file.ome_metadata).find("{*}Image/{*}Pixels")
    if pixels is None:
        raise ValueError("its OME-XML describes no image")
    return pixels


def write_label_tiff(
    path: Path,
    labels: npt.NDArray[np.integer],
    *,
    pixel_size: tuple[float, float] | None,
    stacked: Literal["Z", "T"] = "Z",
) -> None:
    """Write one map of labels or several, compressed, in the smallest of uint8, uint16 and uint32; whole or not at all.

    The pixel size goes to the resolution tags in centimetres, which ImageJ shows in micrometres.

    Args:
        path: of the file.
        labels: (H, W), or (Z, H, W), or (T, H, W) values from 0.
        pixel_size: (row, column) in micrometres, or None if it is not known.
        stacked: what the first of three axes is.

    Raises:
        DataError: a value is below 0 or above those of uint32.
    """
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    kind = next((kind for kind in (np.uint8, np.uint16, np.uint32) if high <= np.iinfo(kind).max), None)
    if kind is None or low < 0:
        raise DataError(f"{path}: label values from {low} to {high} do not fit 32 bits without a sign")
    row, column = pixel_size or (None, None)
    content = BytesIO()
    tifffile.imwrite(
        content,
        labels.astype(kind),
        photometric="minisblack",
        compression="zlib",
        metadata={"axes": f"{stacked}YX"[-labels.ndim :]},
        resolution=(1e4 / column, 1e4 / row) if row and column else None,
        resolutionunit="CENTIMETER" if row and column else None,
        software="adapt",
    )
    write_file(path, lambda file: file.write(content.getvalue()))


def write_ome_tiff(
    path: Path, values: npt.NDArray[Any], *, axes: str, pixel_size: tuple[float, float], channel_names: tuple[str, ...]
) -> None:
    """Write an array as compressed OME-TIFF, always as the same bytes; whole or not at all.

    Args:
        path: of the file; should end in `.ome.tif`.
        values: any array with `axes`.
        axes: letters of T, Z, C, Y and X.
        pixel_size: (row, column) in micrometres.
        channel_names: one a channel.
    """
    row, column = pixel_size
    content = BytesIO()
    tifffile.imwrite(
        content,
        values,
        ome=True,
        photometric="minisblack",
        compression="zlib",
        software="adapt",
        metadata={
            "axes": axes,
            "UUID": "00000000-0000-0000-0000-000000000000",
            "PhysicalSizeX": column,
            "PhysicalSizeXUnit": "\u00b5m",
            "PhysicalSizeY": row,
            "PhysicalSizeYUnit": "\u00b5m",
            "Channel": {"Name": list(channel_names)},
        },
    )
    write_file(path, lambda file: file.write(content.getvalue()))
