"""Between label rasters and polygons, in pixels: (column, row), 0 at the upper left corner of the raster."""

import numpy as np
import numpy.typing as npt

from adapt.errors import DataError
from adapt.formats.extras import extra
from adapt.formats.georeference import Geometries
from adapt.tiles import Tile

with extra("satellite", reads="polygons"):
    import shapely
    from affine import Affine
    from rasterio.features import rasterize, shapes


def draw_polygons(geometries: Geometries, tile: Tile) -> npt.NDArray[np.bool_]:
    """(N, H, W) masks of polygons on a tile: the pixels whose centre is inside. Overlapping polygons stay so."""
    masks = np.zeros((len(geometries), tile.height, tile.width), dtype=bool)
    for mask, geometry in zip(masks, geometries, strict=True):
        left, top, right, bottom = shapely.bounds(geometry) - (tile.left, tile.top) * 2
        rows = slice(*np.clip([np.floor(top), np.ceil(bottom)], 0, tile.height).astype(int).tolist())
        columns = slice(*np.clip([np.floor(left), np.ceil(right)], 0, tile.width).astype(int).tolist())
        part = mask[rows, columns]  # the rest is empty, and a tile may have hundreds of polygons
        if part.size:
            origin = Affine(1, 0, tile.left + columns.start, 0, 1, tile.top + rows.start)
            part[:] = rasterize([geometry], out_shape=part.shape, transform=origin, dtype=np.uint8)
    return masks


def polygonise(labels: npt.NDArray[np.integer]) -> dict[int, shapely.Polygon | shapely.MultiPolygon]:
    """The outline of each value above 0 along the sides of its pixels, with holes; in the order of the values.

    Args:
        labels: (H, W) values from 0.

    Raises:
        DataError: a value is above 2^31 - 1, which GDAL's polygons do not know.
    """
    if labels.max(initial=0) > np.iinfo(np.int32).max:
        raise DataError(f"label {labels.max()} is too large for polygons; number the objects from 1")
    parts: dict[int, list[shapely.Polygon]] = {}
    for ring, value in shapes(labels.astype(np.int32), mask=labels > 0, connectivity=4):
        # A ring that meets itself at a corner is what GDAL gives, but no valid polygon.
        parts.setdefault(int(value), []).append(shapely.make_valid(shapely.geometry.shape(ring)))
    return {value: shapely.union_all(parts[value]) for value in sorted(parts)}
