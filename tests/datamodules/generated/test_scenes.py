"""The generated scenes are data like any other: files, exact footprints in another CRS, the same at every call."""

from pathlib import Path

import numpy as np
import pytest
import shapely

from adapt.datamodules.generated import scene as scenes
from adapt.datamodules.satellite import satellite_source
from adapt.formats.georeference import reproject, to_pixels
from adapt.formats.geotiff import open_geotiff, read_scene, read_window
from adapt.formats.polygons import draw_polygons
from adapt.formats.vectors import find_layer, read_polygons
from adapt.recipe import SatelliteData
from adapt.tiles import Tile

WHOLE = Tile(0, 0, scenes.SIDE, scenes.SIDE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scenes")
    scenes.write_scenes(path, scenes=scenes.DEEP + 1, seed=0)
    return path


def test_files_hold_what_was_drawn(folder: Path) -> None:
    layer = find_layer(folder / "labels" / "footprints.gpkg", column="category")
    written = read_polygons(layer)
    begin = 0
    for number in range(scenes.DEEP + 1):
        pixels, footprints = scenes.draw_scene(np.random.default_rng([0, number]))
        scene = read_scene(folder / "images" / f"scene_{number}.tif")
        with open_geotiff(scene.path) as dataset:
            values, valid = read_window(dataset, WHOLE, range(1, len(scene.colours) + 1))
        deep = number == scenes.DEEP
        np.testing.assert_array_equal(values, pixels.astype(np.uint16) * 40 + 300 if deep else pixels[:3])
        assert valid.all()
        assert scene.crs != layer.crs
        own = written.geometries[begin : begin + len(footprints)]
        begin += len(footprints)
        placed = to_pixels(reproject(own, layer.crs, scene.crs), scene)
        assert shapely.hausdorff_distance(placed, footprints).max() < 1e-3  # pixels
        np.testing.assert_array_equal(draw_polygons(placed, WHOLE), draw_polygons(footprints, WHOLE))
    assert begin == len(written.geometries)
    assert set(written.categories) == {"building"}


def test_one_scene_is_deep_and_has_near_infrared(folder: Path) -> None:
    found = read_scene(folder / "images" / f"scene_{scenes.DEEP}.tif")
    assert (found.dtype, found.colours) == ("uint16", ("red", "green", "blue", "nir"))
    assert read_scene(folder / "images" / "scene_0.tif").dtype == "uint8"


def test_there_are_buildings_that_touch_nest_and_cross_the_border() -> None:
    touching = nested = crossing = 0
    frame = shapely.box(0, 0, scenes.SIDE, scenes.SIDE)
    for number in range(scenes.SCENES):
        _, found = scenes.draw_scene(np.random.default_rng([0, number]))
        tree = shapely.STRtree(found)
        left, right = tree.query(found, predicate="dwithin", distance=1e-6)
        touching += int((left < right).sum())
        assert shapely.area(shapely.intersection(found[left[left < right]], found[right[left < right]])).max() < 1e-6
        nested += sum(frame.contains(shapely.Polygon(shape.exterior)) for shape in found if shape.interiors)
        crossing += int(shapely.crosses(found, frame.exterior).sum() + shapely.overlaps(found, frame).sum())
    assert min(touching, nested, crossing) > 10


def test_roofs_differ_from_the_ground_around_them() -> None:
    pixels, footprints = scenes.draw_scene(np.random.default_rng([0, 0]))
    roofs = draw_polygons(footprints, WHOLE)
    ground = pixels[:3, ~roofs.any(0)].reshape(3, -1)
    middle, spread = ground.mean(1), ground.std(1)
    distances = [np.abs((pixels[:3, roof].mean(1) - middle) / spread).max() for roof in roofs if roof.sum() > 50]
    assert np.mean(np.array(distances) > 1) > 0.9


def test_each_scene_is_its_own_and_the_same_again() -> None:
    first, again, other = (scenes.draw_scene(np.random.default_rng([0, n]))[0] for n in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_each_scene_is_a_group(folder: Path) -> None:
    cases = satellite_source(SatelliteData(kind="satellite", root=str(folder)), folder).cases
    assert len({sample.group for case in cases for sample in case().samples}) == scenes.DEEP + 1
