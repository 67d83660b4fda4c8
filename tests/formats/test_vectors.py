"""Vector files: areas with their category and CRS, and every unusable file says what to do."""

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import shapely
from rasterio.crs import CRS

from adapt.errors import DataError
from adapt.formats.georeference import LONGITUDE_LATITUDE, reproject
from adapt.formats.vectors import VectorLayer, feature_bounds, find_layer, read_polygons, vector_files, write_polygons

UTM33 = CRS.from_epsg(32633)
SQUARE, OTHER = shapely.box(400_000, 5_000_000, 400_010, 5_000_020), shapely.box(400_030, 5_000_000, 400_040, 5_000_010)
HOLED = shapely.Polygon(SQUARE.exterior, [shapely.box(400_004, 5_000_004, 400_006, 5_000_006).exterior])
BOW = shapely.Polygon([(0, 0), (4, 4), (4, 0), (0, 4)])  # two triangles of area 4 that meet in the middle
DRIVERS = {".gpkg": "GPKG", ".geojson": "GeoJSON", ".shp": "ESRI Shapefile"}


def _write(
    path: Path, geometries: list[Any], *, crs: str | None = "EPSG:32633", layer: str | None = None, **columns: list[Any]
) -> Path:
    pyogrio.raw.write(
        path,
        geometry=shapely.to_wkb(np.array(geometries, dtype=object)),
        field_data=[np.array(values, dtype=object) for values in columns.values()],
        fields=list(columns),
        driver=DRIVERS[path.suffix],
        crs=crs,
        layer=layer,
        geometry_type="Unknown" if path.suffix != ".shp" else "Polygon",
        append=path.exists(),
    )
    return path


def _geojson(path: Path, geometries: list[Any], **members: object) -> Path:
    features = [
        {"type": "Feature", "properties": {}, "geometry": None if g is None else json.loads(shapely.to_geojson(g))}
        for g in geometries
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", **members, "features": features}), encoding="utf-8")
    return path


def _refused(path: Path, **wanted: str) -> str:
    with pytest.raises(DataError) as caught:
        layer = find_layer(path, **wanted)
        feature_bounds(layer)
        read_polygons(layer)
    return str(caught.value)


@pytest.mark.parametrize("ending", DRIVERS)
def test_polygons_come_with_category_and_crs_from_each_format(tmp_path: Path, ending: str) -> None:
    path = _write(tmp_path / f"häuser von 2024{ending}", [HOLED, OTHER], kind=["dom", "hütte"], note=["x", "y"])
    layer = find_layer(path, column="kind")
    assert layer.crs == UTM33
    polygons = read_polygons(layer)
    assert polygons.categories == ("dom", "hütte")
    for found, expected in zip(polygons.geometries, (HOLED, OTHER), strict=True):
        assert shapely.equals(found, expected)
    np.testing.assert_allclose(feature_bounds(layer), [HOLED.bounds, OTHER.bounds])


def test_a_shapefile_is_several_files(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.shp", [SQUARE], kind=["x"])
    assert {file.suffix for file in vector_files(path)} >= {".shp", ".shx", ".dbf", ".prj"}


def test_a_changed_file_is_another_layer(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.gpkg", [SQUARE])
    layer = find_layer(path)
    assert find_layer(path) == layer
    path.unlink()
    assert find_layer(_write(path, [OTHER])) != layer


def test_of_several_layers_one_is_chosen(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.gpkg", [SQUARE], layer="roofs")
    _write(path, [OTHER, SQUARE], layer="fields")
    assert len(read_polygons(find_layer(path, layer="fields")).geometries) == 2
    assert "a.gpkg: holds several layers; set data.layer to one of: roofs, fields" in _refused(path)
    assert "has no layer 'trees'; set data.layer to one of: roofs, fields" in _refused(path, layer="trees")


def test_categories_may_be_numbers_or_missing(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.gpkg", [SQUARE, OTHER], kind=["", None])
    assert read_polygons(find_layer(path, column="kind")).categories == (None, None)
    features = [
        {"type": "Feature", "properties": {"k": k}, "geometry": json.loads(shapely.to_geojson(BOW))} for k in (3, None)
    ]
    path = tmp_path / "b.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    assert read_polygons(find_layer(path, column="k")).categories == ("3", None)
    assert "no attribute 'kind'; it has k" in _refused(path, column="kind")


def test_geojson_that_names_no_crs_is_longitude_and_latitude(tmp_path: Path) -> None:
    path = _geojson(tmp_path / "a.geojson", [shapely.box(13, 45, 13.1, 45.1)])
    layer = find_layer(path)
    assert layer.crs == LONGITUDE_LATITUDE
    assert len(feature_bounds(layer)) == 1


def test_metres_in_geojson_that_names_no_crs_are_refused_until_it_is_named(tmp_path: Path) -> None:
    path = _geojson(tmp_path / "a.geojson", [SQUARE])
    message = _refused(path)
    assert "(400000.0, 5000000.0) is no longitude and latitude" in message
    assert "set data.label_crs to the right one" in message
    layer = find_layer(path, crs="EPSG:32633")
    assert layer.crs == UTM33
    assert len(feature_bounds(layer)) == 1


def test_geojson_may_name_its_crs_as_was_once_usual(tmp_path: Path) -> None:
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
    assert find_layer(_geojson(tmp_path / "a.geojson", [SQUARE], crs=crs)).crs == UTM33


def test_a_shapefile_without_a_crs_is_refused_until_it_is_named(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.shp", [SQUARE], kind=["x"])
    (tmp_path / "a.prj").unlink()
    assert "a.shp: names no coordinate reference system; set data.label_crs" in _refused(path)
    assert find_layer(path, crs="EPSG:32633").crs == UTM33
    assert "data.label_crs: 'EPSG:1' is no coordinate reference system" in _refused(path, crs="EPSG:1")


def test_a_self_crossing_polygon_is_repaired(tmp_path: Path) -> None:
    path = _geojson(tmp_path / "a.geojson", [BOW, shapely.box(5, 5, 6, 6)])
    polygons = read_polygons(find_layer(path))
    assert [geometry.is_valid for geometry in polygons.geometries] == [True, True]
    assert polygons.geometries[0].area == pytest.approx(8)
    assert polygons.geometries[0].geom_type == "MultiPolygon"


def test_what_is_no_area_is_ignored_among_areas_and_refused_alone(tmp_path: Path) -> None:
    point, line = shapely.Point(1, 1), shapely.LineString([(0, 0), (1, 1)])
    mixed = shapely.GeometryCollection([shapely.MultiPolygon([shapely.box(0, 0, 1, 1)]), shapely.box(3, 3, 4, 4), line])
    spike = shapely.Polygon([(0, 0), (2, 0), (0, 0)])  # no area at all
    path = _geojson(tmp_path / "a.geojson", [point, line, None, shapely.Polygon(), spike, mixed])
    polygons = read_polygons(find_layer(path))
    assert [geometry.area for geometry in polygons.geometries] == [2.0]
    path = _geojson(tmp_path / "b.geojson", [point, line])
    assert "none of 2 features of layer 'b' is a polygon" in _refused(path)


def test_a_layer_without_features_is_empty(tmp_path: Path) -> None:
    layer = find_layer(_write(tmp_path / "a.gpkg", []))
    assert feature_bounds(layer).shape == (0, 4)
    assert len(read_polygons(layer).geometries) == 0


@pytest.mark.parametrize("ending", [".gpkg", ".geojson", ".shp"])
def test_a_file_of_other_content_is_refused_by_its_first_bytes(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    path.write_text("<OGRVRTDataSource></OGRVRTDataSource>", encoding="utf-8")
    assert f"is no {ending} file by its content" in _refused(path)


@pytest.mark.parametrize("ending", [".gpkg", ".geojson"])
def test_a_file_cut_short_is_named(tmp_path: Path, ending: str) -> None:
    path = _write(tmp_path / f"a{ending}", [SQUARE, OTHER], kind=["x", "y"])
    path.write_bytes(path.read_bytes()[: 2000 if ending == ".gpkg" else 200])
    assert f"a{ending}: cannot be read as vector data" in _refused(path)


@pytest.mark.parametrize("ending", DRIVERS)
@pytest.mark.parametrize("name", ["north!", "a;b", "gro\u00df # %20 ?x&y", "a=1,b"])
def test_no_sign_of_a_path_is_taken_for_another_place(tmp_path: Path, ending: str, name: str) -> None:
    _write(tmp_path / f"plain{ending}", [SQUARE, OTHER], kind=["x", "y"])
    folder = tmp_path / name
    folder.mkdir()
    for part in tmp_path.glob("plain.*"):
        shutil.copy(part, folder / f"{name}{part.suffix}")
    layer = find_layer(folder / f"{name}{ending}", column="kind")
    assert len(feature_bounds(layer)) == 2
    polygons = read_polygons(layer)
    assert shapely.equals(polygons.geometries, [SQUARE, OTHER]).all() and polygons.categories == ("x", "y")


def test_missing_and_other_files_are_named(tmp_path: Path) -> None:
    assert "none.gpkg: cannot be read (No such file or directory)" in _refused(tmp_path / "none.gpkg")
    assert "a.kml: vector labels are .gpkg, .geojson, .json, .shp files" in _refused(tmp_path / "a.kml")


def _written(tmp_path: Path, name: str) -> VectorLayer:
    path = tmp_path / name
    write_polygons(path, np.array([HOLED, OTHER], dtype=object), ids=[7, 9], categories=["dom", "hütte"], crs=UTM33)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    return find_layer(path, column="category")


def test_a_geopackage_keeps_the_crs(tmp_path: Path) -> None:
    layer = _written(tmp_path, "dächer 1.gpkg")
    assert (layer.name, layer.crs) == ("dächer 1", UTM33)
    polygons = read_polygons(layer)
    assert polygons.categories == ("dom", "hütte")
    assert shapely.equals(polygons.geometries, [HOLED, OTHER]).all()
    with sqlite3.connect(layer.path) as file:  # no GDAL here
        assert file.execute('select id, category from "dächer 1"').fetchall() == [(7, "dom"), (9, "hütte")]
        [(crs,)] = file.execute("select srs_id from gpkg_contents").fetchall()
    file.close()
    assert crs == 32633


def test_geojson_is_written_as_rfc_7946_demands(tmp_path: Path) -> None:
    layer = _written(tmp_path, "a.geojson")
    content = json.loads(layer.path.read_bytes())
    assert "crs" not in content
    assert [feature["properties"] for feature in content["features"]] == [
        {"id": 7, "category": "dom"},
        {"id": 9, "category": "hütte"},
    ]
    rings = content["features"][0]["geometry"]["coordinates"]
    assert [shapely.LinearRing(ring).is_ccw for ring in rings] == [True, False]
    back = reproject(read_polygons(layer).geometries, LONGITUDE_LATITUDE, UTM33)
    assert shapely.hausdorff_distance(back, [HOLED, OTHER]).max() < 1e-3  # metres


def test_other_endings_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.shp: polygons are written as \.gpkg or \.geojson"):
        _written(tmp_path, "a.shp")


def test_a_written_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    _written(tmp_path, "a.gpkg")
    write_polygons(tmp_path / "a.gpkg", np.array([OTHER], dtype=object), ids=[1], categories=["x"], crs=UTM33)
    assert len(read_polygons(find_layer(tmp_path / "a.gpkg")).geometries) == 1


@pytest.mark.shared_data
def test_real_footprints_are_read_whole(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "satellite_buildings" / "labels" / "buildings_epsg4326.geojson"
    polygons = read_polygons(find_layer(path, column="osm_id"))
    assert len(polygons.geometries) == 206
    shutil.copy(path, tmp_path / "ä ö.geojson")
    assert len(read_polygons(find_layer(tmp_path / "ä ö.geojson")).geometries) == len(polygons.geometries)
