"""Label rasters and polygons of scenes of any size, from strips of labels; no more than a strip is held."""

import os
import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from adapt.errors import DataError, RunError
from adapt.files import permissions
from adapt.formats.extras import extra
from adapt.formats.georeference import Geometries, to_ground
from adapt.formats.geotiff import CACHE_BYTES, LABEL_TYPES, Scene
from adapt.formats.polygons import polygonise
from adapt.unwritable import unwritable

with extra("satellite", reads="GeoTIFF"):
    import rasterio
    import shapely
    from rasterio.errors import NotGeoreferencedWarning, RasterioError
    from rasterio.windows import Window
    from shapely.affinity import translate

Strips = Iterable[tuple[int, npt.NDArray[np.integer]]]
"""First row and (h, W) labels of each strip, from top to bottom, as wide as the scene."""
BLOCK = 256


def write_label_strips(path: Path, strips: Strips, *, largest: int, like: Scene) -> None:
    """Write a label map on the pixels of a scene, strip by strip: tiled, compressed, nodata 0, whole or not at all.

    Args:
        path: of the GeoTIFF.
        strips: see `Strips`.
        largest: label; decides whether uint8, uint16 or uint32 is stored.
        like: the scene; its CRS and transform are written.

    Raises:
        DataError: more labels than uint32 holds.
        RunError: the folder cannot be written, or the disk is full.
    """
    kind = next((kind for kind in LABEL_TYPES if largest <= np.iinfo(kind).max), None)
    if kind is None:
        raise DataError(f"{path}: {largest:,} labels are more than uint32 holds")
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tif")
        os.close(handle)
        temporary = Path(name)
        with warnings.catch_warnings(), rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a mask of a plain image is one too
            with rasterio.open(
                temporary,
                "w",
                driver="GTiff",
                height=like.height,
                width=like.width,
                count=1,
                dtype=np.dtype(kind).name,
                crs=like.crs,
                transform=like.transform,
                nodata=0,
                tiled=True,
                blockxsize=BLOCK,
                blockysize=BLOCK,
                compress="deflate",
                bigtiff="IF_SAFER",
            ) as dataset:
                for top, labels in strips:
                    dataset.write(labels.astype(kind), 1, window=Window(0, top, like.width, len(labels)))
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(permissions(0o666))
        os.replace(temporary, path)
    except (OSError, RasterioError) as error:
        raise RunError(unwritable(path, error, "or name another folder")) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def polygons_of_strips(strips: Strips, *, like: Scene) -> dict[int, shapely.Polygon | shapely.MultiPolygon]:
    """The outline of each label on the ground, in the scene's CRS; in the order of the labels.

    Args:
        strips: see `Strips`.
        like: the scene.
    """
    pieces: dict[int, list[shapely.Geometry]] = {}
    for top, labels in strips:
        for value, outline in polygonise(labels).items():
            pieces.setdefault(value, []).append(translate(outline, yoff=top))
    whole: Geometries = np.array([shapely.union_all(pieces[value]) for value in sorted(pieces)], dtype=object)
    return dict(zip(sorted(pieces), to_ground(whole, like), strict=True))
