"""Pixels and the ground: the same place in any CRS, and the size of a pixel in metres."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from adapt.errors import DataError
from adapt.formats.georeference import (
    LONGITUDE_LATITUDE,
    metres_per_pixel,
    named_crs,
    outline,
    reproject,
    to_ground,
    to_pixels,
)
from adapt.formats.geotiff import Scene

UTM33 = Affine(0.5, 0, 400_000, 0, -0.5, 5_000_000)


def _scene(crs: str, transform: Affine, *, side: int = 100) -> Scene:
    return Scene(Path("a.tif"), 0, side, side, "uint8", CRS.from_user_input(crs), transform, ("",), ("gray",), ())


def _points(*places: tuple[float, float]) -> "np.ndarray":
    return np.array([shapely.Point(place) for place in places], dtype=object)


def test_pixels_go_to_the_ground_and_back_on_a_turned_scene() -> None:
    transform = Affine(0.4, 0.3, 400_000, 0.3, -0.4, 5_000_000)
    scene = _scene("EPSG:32633", transform)
    ground = to_ground(_points((0, 0), (10, 20)), scene)
    np.testing.assert_allclose(shapely.get_coordinates(ground), [(400_000, 5_000_000), (400_010, 4_999_995)])
    np.testing.assert_allclose(shapely.get_coordinates(to_pixels(ground, scene)), [(0, 0), (10, 20)], atol=1e-6)


def test_web_mercator_is_what_its_formula_says() -> None:
    longitude, latitude, radius = 32.59, 0.349, 6378137
    moved = reproject(_points((longitude, latitude)), LONGITUDE_LATITUDE, CRS.from_epsg(3857))
    y = radius * math.log(math.tan(math.pi / 4 + math.radians(latitude) / 2))
    np.testing.assert_allclose(shapely.get_coordinates(moved), [(radius * math.radians(longitude), y)], atol=1e-6)


def test_a_place_that_a_crs_does_not_know_is_refused() -> None:
    with pytest.raises(DataError, match="EPSG:4326 cannot be turned into EPSG:3857"):
        reproject(_points((0, 95)), LONGITUDE_LATITUDE, CRS.from_epsg(3857))


@pytest.mark.parametrize("name", ["EPSG:999999", "nonsense", ""])
def test_an_unknown_crs_is_told_with_the_key(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match=r"data\.label_crs: .* is no coordinate reference system"):
        named_crs(name, key="data.label_crs")
    assert capfd.readouterr().err == ""  # PROJ has its own way to speak


def test_the_outline_follows_the_border_in_another_crs() -> None:
    scene = _scene("EPSG:32633", UTM33, side=20_000)
    there = outline(scene, LONGITUDE_LATITUDE)
    back = reproject(np.array([there], dtype=object), LONGITUDE_LATITUDE, CRS.from_epsg(32633))[0]
    assert back.symmetric_difference(shapely.box(400_000, 4_990_000, 410_000, 5_000_000)).area < 1
    assert outline(scene, scene.crs).bounds == (400_000, 4_990_000, 410_000, 5_000_000)


def _haversine(latitude: float, *, east: float = 0, north: float = 0) -> float:
    a, b = math.radians(latitude), math.radians(latitude + north)
    half = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(math.radians(east) / 2) ** 2
    return 2 * 6371_008.8 * math.asin(math.sqrt(half))


@pytest.mark.parametrize("latitude", [0.0, 48.0, -62.0])
def test_degrees_are_metres_at_the_latitude_of_the_scene(latitude: float) -> None:
    scene = _scene("EPSG:4326", Affine(1e-4, 0, 10, 0, -2e-4, latitude + 0.01))
    expected = _haversine(latitude, north=2e-4), _haversine(latitude, east=1e-4)
    assert metres_per_pixel(scene) == pytest.approx(expected, rel=0.006)  # the sphere is that far from the ellipsoid


def test_a_degree_at_the_equator_is_as_long_as_the_ellipsoid_makes_it() -> None:
    row, column = metres_per_pixel(_scene("EPSG:4326", Affine(1e-3, 0, 10, 0, -1e-3, 0.05)))
    assert (row * 1000, column * 1000) == pytest.approx((110_574.4, 111_319.5), abs=0.5)


def test_the_stretch_of_web_mercator_is_taken_back() -> None:
    y = 6378137 * math.log(math.tan(math.pi / 4 + math.radians(60) / 2))
    row, column = metres_per_pixel(_scene("EPSG:3857", Affine(1, 0, 0, 0, -1, y + 50)))
    assert (row, column) == pytest.approx((0.5, 0.5), rel=0.004)


def test_a_projected_crs_is_taken_at_its_word_and_feet_are_metres() -> None:
    assert metres_per_pixel(_scene("EPSG:32633", Affine(0.3, 0.4, 4e5, 0.8, -0.6, 5e6))) == pytest.approx(
        (math.hypot(0.4, 0.6), math.hypot(0.3, 0.8))
    )
    foot = 1200 / 3937  # of the US survey
    scene = _scene("EPSG:2263", Affine(2, 0, 980_000, 0, -1, 200_000))
    assert metres_per_pixel(scene) == pytest.approx((foot, 2 * foot))


@pytest.mark.parametrize("first", ["rasterio", "pyogrio"])
def test_both_gdals_find_their_data_whichever_comes_first(tmp_path: Path, first: str) -> None:
    code = f"""
import {first}
import numpy as np, shapely
from pathlib import Path
from rasterio.crs import CRS
from adapt.formats.georeference import LONGITUDE_LATITUDE, reproject
from adapt.formats.vectors import find_layer, read_polygons, write_polygons
square = np.array([shapely.box(400_000, 5_000_000, 400_100, 5_000_100)], dtype=object)
path = Path("square.gpkg")
write_polygons(path, square, ids=[1], categories=["a"], crs=CRS.from_epsg(32633))
layer = find_layer(path)
there = reproject(read_polygons(layer).geometries, layer.crs, LONGITUDE_LATITUDE)
print(layer.crs.to_epsg(), *there[0].centroid.coords[0])
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stderr == ""
    code_found, longitude, latitude = map(float, run.stdout.split())
    assert (code_found, longitude, latitude) == (32633, pytest.approx(13.73, abs=0.01), pytest.approx(45.15, abs=0.01))
