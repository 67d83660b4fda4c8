"""Polygons of GeoPackage, GeoJSON and shapefiles, read and written by pyogrio."""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adapt.errors import DataError
from adapt.files import write_file
from adapt.formats.extras import extra
from adapt.formats.georeference import LONGITUDE_LATITUDE, Geometries, named_crs, reproject

with extra("satellite", reads="vector data"):
    import pyogrio
    import pyogrio.raw
    import shapely
    from pyogrio.errors import DataLayerError, DataSourceError
    from rasterio.crs import CRS

FIRST_BYTES = {
    ".gpkg": b"SQLite format 3\x00",
    ".geojson": b"{",
    ".json": b"{",
    ".shp": b"\x00\x00\x27\x0a",
}
"""Ending to what such a file begins with. GDAL goes by content alone, and some of its formats name other files."""
SHAPEFILE_PARTS = (".shx", ".dbf", ".prj", ".cpg")
POLYGON, MULTI_POLYGON = 3, 6
DEGREES = (-180.0, -90.0, 360.0, 90.0)
"""Where longitudes and latitudes lie: left, bottom, right, top; some count longitude from 0 to 360."""


@dataclass(frozen=True)
class VectorLayer:
    """One layer of a vector file, not yet read.

    Attributes:
        path: of the file.
        modified: time of its last change, ns; a file that is changed is another layer.
        name: of the layer.
        column: attribute that holds the category; None if it is not wanted.
        crs: of its coordinates.
    """

    path: Path
    modified: int
    name: str
    column: str | None
    crs: CRS


@dataclass(frozen=True, eq=False)
class Polygons:
    """The areas of a layer.

    Attributes:
        geometries: (N,) valid polygons and multipolygons in the CRS of the layer; one a feature.
        categories: N values of the attribute column as text; None where it is empty or not wanted.
    """

    geometries: Geometries
    categories: tuple[str | None, ...]


def vector_files(path: Path) -> list[Path]:
    """A vector file and those that belong to it."""
    parts = [path.with_suffix(ending) for ending in SHAPEFILE_PARTS] if path.suffix.lower() == ".shp" else []
    return [path, *(part for part in parts if part.exists())]


def find_layer(
    path: Path, *, layer: str | None = None, column: str | None = None, crs: str | None = None
) -> VectorLayer:
    """A layer, checked without reading its polygons.

    Args:
        path: of the file.
        layer: name; may be None where there is only one.
        column: attribute that holds the category.
        crs: of the coordinates; None takes the one that the file names (GeoJSON without: EPSG:4326, by RFC 7946).

    Raises:
        DataError: missing or unreadable, no such layer or attribute, or no CRS is known.
    """
    _refuse_other_content(path)
    with _reading(path):
        geometric = [str(name) for name, kind in pyogrio.list_layers(_for_gdal(path)) if kind is not None]
    if layer is None and len(geometric) == 1:
        layer = geometric[0]
    if layer not in geometric:
        fault = "holds several layers" if layer is None and geometric else f"has no layer {layer or 'of polygons'!r}"
        raise DataError(f"{path}: {fault}; set data.layer to one of: {', '.join(geometric) or 'none'}")
    with _reading(path):
        facts = pyogrio.read_info(_for_gdal(path), layer=layer)
    if column is not None and column not in facts["fields"]:
        known = ", ".join(facts["fields"]) or "none"
        raise DataError(f"{path}: data.category_column: no attribute {column!r}; it has {known}")
    if crs is None and facts["crs"] is None:
        raise DataError(f"{path}: names no coordinate reference system; set data.label_crs, such as EPSG:32633")
    known_crs = named_crs(crs or facts["crs"], key="data.label_crs" if crs else str(path))
    return VectorLayer(path, path.stat().st_mtime_ns, layer, column, known_crs)


def _refuse_other_content(path: Path) -> None:
    expected = FIRST_BYTES.get(path.suffix.lower())
    if expected is None:
        raise DataError(f"{path}: vector labels are {', '.join(FIRST_BYTES)} files; convert it to GeoPackage")
    try:
        with path.open("rb") as file:
            start = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); copy or export it again") from None
    if not start.startswith(expected):
        raise DataError(f"{path}: is no {path.suffix} file by its content; copy or export it again")


def _for_gdal(path: Path) -> str:
    """A path for pyogrio, which takes what stands before a `!` for an archive, and drops what follows a `;`."""
    return f"/vsisubfile/0,{path}" if set("!;") & set(str(path)) else str(path)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # GDAL's remarks; what matters is checked here
            yield
    except (DataSourceError, DataLayerError, ValueError, RuntimeError) as error:
        raise DataError(f"{path}: cannot be read as vector data ({error}); copy or export it again") from None


def feature_bounds(layer: VectorLayer) -> npt.NDArray[np.float64]:
    """(N, 4) left, bottom, right, top of each feature that has a geometry, in the CRS of the layer.

    Raises:
        DataError: unreadable; or GeoJSON without a CRS whose coordinates are no degrees.
    """
    with _reading(layer.path):
        bounds: npt.NDArray[np.float64] = pyogrio.read_bounds(_for_gdal(layer.path), layer=layer.name)[1].T
    bounds = bounds[np.isfinite(bounds).all(1)]
    outside = (bounds[:, :2] < DEGREES[:2]) | (bounds[:, 2:] > DEGREES[2:])
    if layer.crs.is_geographic and outside.any():
        x, y = bounds[outside.any(1)][0, :2]
        raise DataError(
            f"{layer.path}: ({x:.1f}, {y:.1f}) is no longitude and latitude, as coordinates in {layer.crs.to_string()} "
            "are (GeoJSON that names no CRS is EPSG:4326); set data.label_crs to the right one, such as EPSG:32633"
        )
    return bounds


def read_polygons(layer: VectorLayer) -> Polygons:
    """The areas of a layer, one a feature; those that cross themselves are repaired, points and lines ignored.

    Raises:
        DataError: unreadable, or features but no area.
    """
    columns = [layer.column] if layer.column else []
    with _reading(layer.path):
        path = _for_gdal(layer.path)
        _, _, encoded, values = pyogrio.raw.read(path, layer=layer.name, columns=columns, force_2d=True)
    found: Geometries = shapely.from_wkb(encoded, on_invalid="ignore")
    crossing = (shapely.get_dimensions(found) == 2) & ~shapely.is_valid(found)
    found[crossing] = shapely.make_valid(found[crossing])
    other = ~np.isin(shapely.get_type_id(found), (POLYGON, MULTI_POLYGON)) | shapely.is_empty(found)
    for number in np.flatnonzero(other):
        found[number] = _polygon_parts(found[number])
    areas = ~shapely.is_missing(found)
    if len(found) and not areas.any():
        raise DataError(f"{layer.path}: none of {len(found)} features of layer {layer.name!r} is a polygon")
    names = [_name(value) for value in values[0]] if columns else [None] * len(found)
    return Polygons(
        geometries=found[areas],
        categories=tuple(name for name, area in zip(names, areas, strict=True) if area),
    )


def read_features(layer: VectorLayer, columns: Sequence[str]) -> tuple[Geometries, list[dict[str, Any]]]:
    """All features of a layer, of any type, and their values in the columns that are there.

    Args:
        layer: see `find_layer`.
        columns: attributes that may be there.

    Raises:
        DataError: unreadable.
    """
    with _reading(layer.path):
        known = pyogrio.read_info(_for_gdal(layer.path), layer=layer.name)["fields"]
        present = [name for name in columns if name in known]
        path = _for_gdal(layer.path)
        facts, _, encoded, values = pyogrio.raw.read(path, layer=layer.name, columns=present, force_2d=True)
    found: Geometries = shapely.from_wkb(encoded, on_invalid="ignore")
    names = list(facts["fields"])  # in the order of the values
    rows = [
        {name: None if _is_missing(value) else value for name, value in zip(names, row, strict=True)}
        for row in (zip(*values, strict=True) if names else [()] * len(found))
    ]
    return found, rows


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _polygon_parts(geometry: shapely.Geometry | None) -> shapely.Polygon | shapely.MultiPolygon | None:
    """The polygons of a collection as one geometry; None if it has none."""
    parts = shapely.get_parts(shapely.get_parts(geometry))  # of a collection, then of its multipolygons
    parts = parts[shapely.get_type_id(parts) == POLYGON]
    parts = parts[~shapely.is_empty(parts)]
    return shapely.union_all(parts) if len(parts) else None


def _name(value: object) -> str | None:
    """A category as text; None where it is missing."""
    if isinstance(value, float):  # whole numbers too, where one is missing and NaN
        return None if np.isnan(value) else f"{value:g}"
    return None if value is None or value == "" else str(value)


def write_polygons(
    path: Path,
    geometries: Geometries,
    *,
    ids: Sequence[int],
    categories: Sequence[str],
    crs: CRS,
    scores: Sequence[float] | None = None,
) -> None:
    """Write polygons with the attributes `id`, `category` and, if given, `score`; whole or not at all.

    A GeoPackage (`.gpkg`) keeps the CRS; GeoJSON is written in EPSG:4326, as RFC 7946 demands.

    Args:
        path: of the file; its ending decides the format.
        geometries: (N,) polygons and multipolygons.
        ids: of each.
        categories: of each.
        crs: of the coordinates.
        scores: of each, such as a predicted IoU.
    """
    package = path.suffix.lower() == ".gpkg"
    if not package and path.suffix.lower() not in (".geojson", ".json"):
        raise DataError(f"{path}: polygons are written as .gpkg or .geojson")
    stored = geometries if package else reproject(geometries, crs, LONGITUDE_LATITUDE)
    columns = {"id": np.array(ids, dtype=np.int64), "category": np.array(categories, dtype=object)}
    if scores is not None:
        columns["score"] = np.array(scores, dtype=np.float64)
    memory = io.BytesIO()
    pyogrio.raw.write(
        memory,
        geometry=shapely.to_wkb(stored),
        field_data=list(columns.values()),
        fields=np.array(list(columns), dtype=object),
        layer=path.stem,
        driver="GPKG" if package else "GeoJSON",
        crs=(crs if package else LONGITUDE_LATITUDE).to_string(),
        geometry_type="MultiPolygon" if package else "Unknown",
        promote_to_multi=package,
        # Nine decimals are a tenth of a millimetre: a pixel of an aerial image is not moved.
        layer_options=None if package else {"RFC7946": "YES", "COORDINATE_PRECISION": "9"},
    )
    write_file(path, lambda file: file.write(memory.getbuffer()))
