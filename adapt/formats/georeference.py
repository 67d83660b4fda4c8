"""Where pixels lie on the ground: outlines, coordinate reference systems, metres a pixel."""

import numpy as np
import numpy.typing as npt

from adapt.errors import DataError
from adapt.formats.extras import extra
from adapt.formats.geotiff import Scene

with extra("satellite", reads="georeferenced data"):
    import shapely
    from rasterio import Env
    from rasterio._err import CPLE_BaseError  # what PROJ's errors become; rasterio.errors has no name for it
    from rasterio.crs import CRS
    from rasterio.errors import CRSError
    from rasterio.warp import transform

LONGITUDE_LATITUDE = CRS.from_epsg(4326)
EQUATOR, FLATTENING = 6378137.0, 1 / 298.257223563
"""Radius in metres and flattening of WGS 84's ellipsoid."""
EDGE_PARTS = 16
"""A straight edge is bent by another CRS: it gets this many points before it is reprojected."""

Geometries = npt.NDArray[np.object_]
"""(N,) shapely geometries."""


def named_crs(name: str, *, key: str) -> CRS:
    """The CRS of a name such as EPSG:32633.

    Raises:
        DataError: there is none; names the recipe key.
    """
    try:
        with Env():  # else PROJ's errors go to stderr as well
            return CRS.from_user_input(name)
    except CRSError as error:
        raise DataError(
            f"{key}: {name!r} is no coordinate reference system ({error}); give one as EPSG:32633"
        ) from None


def reproject(geometries: Geometries, source: CRS, target: CRS) -> Geometries:
    """Geometries in another CRS; x is east and y is north in both.

    Raises:
        DataError: a point has no place there.
    """
    if source == target or not len(geometries):
        return geometries

    def moved(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.column_stack(transform(source, target, points[:, 0], points[:, 1]))

    try:
        there: Geometries = shapely.transform(geometries, moved)
        lost = not np.isfinite(shapely.total_bounds(there)).all()
    except (CRSError, CPLE_BaseError) as error:
        raise DataError(f"{source.to_string()} cannot be turned into {target.to_string()} ({error})") from None
    if lost:
        raise DataError(f"coordinates of {source.to_string()} lie outside what {target.to_string()} describes")
    return there


def outline(scene: Scene, crs: CRS) -> shapely.Polygon:
    """The border of a scene in a CRS.

    Raises:
        DataError: it has no place there.
    """
    height, width = scene.height, scene.width
    corners = shapely.Polygon([(0, 0), (width, 0), (width, height), (0, height)])
    bent = shapely.segmentize(corners, max(height, width) / EDGE_PARTS) if scene.crs != crs else corners
    return reproject(to_ground(np.array([bent], dtype=object), scene), scene.crs, crs)[0]


def to_ground(geometries: Geometries, scene: Scene) -> Geometries:
    """From pixels of a scene, (column, row) with 0 at the upper left corner, to its CRS."""
    return _affine(geometries, tuple(scene.transform)[:6])


def to_pixels(geometries: Geometries, scene: Scene) -> Geometries:
    """From a scene's CRS to its pixels, (column, row) with 0 at the upper left corner."""
    return _affine(geometries, tuple(~scene.transform)[:6])


def _affine(geometries: Geometries, coefficients: tuple[float, ...]) -> Geometries:
    a, b, c, d, e, f = coefficients

    def moved(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        x, y = points.T
        return np.column_stack((a * x + b * y + c, d * x + e * y + f))

    there: Geometries = shapely.transform(geometries, moved)
    return there


def metres_per_pixel(scene: Scene) -> tuple[float, float]:
    """Size of a pixel on the ground, (row, column), at the middle of a georeferenced scene.

    A projected CRS is taken at its word, apart from Mercator's: it stretches by latitude, so it is measured on the
    ellipsoid, as degrees are.
    """
    assert scene.crs is not None  # callers ask `georeferenced` first
    a, b, _, d, e, _ = tuple(scene.transform)[:6]
    if not scene.crs.is_geographic and scene.crs.to_dict().get("proj") != "merc":
        metres = scene.crs.linear_units_factor[1] if scene.crs.is_projected else 1.0
        return float(np.hypot(b, e)) * metres, float(np.hypot(a, d)) * metres
    column, row = scene.width / 2, scene.height / 2
    cross = np.array([shapely.Point(column, row), shapely.Point(column, row + 1), shapely.Point(column + 1, row)])
    degrees = shapely.get_coordinates(reproject(to_ground(cross, scene), scene.crs, LONGITUDE_LATITUDE))
    latitude = np.radians(degrees[0, 1])
    square = FLATTENING * (2 - FLATTENING)
    bend = 1 - square * np.sin(latitude) ** 2
    east = EQUATOR / np.sqrt(bend) * np.cos(latitude)  # metres a radian of longitude, and of latitude
    north = EQUATOR * (1 - square) / bend**1.5
    steps = np.hypot(*(np.radians(degrees[1:] - degrees[0]) * (east, north)).T)
    return float(steps[0]), float(steps[1])
