"""Groups of places: neighbours never straddle a split, and blocks share no pixel."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS

from adapt.datamodules.satellite_areas import Area, block_areas, scene_areas
from adapt.errors import DataError
from adapt.formats.georeference import LONGITUDE_LATITUDE, outline
from adapt.formats.geotiff import Scene, read_scene
from adapt.tiles import Tile

SIDE = 100


def _scene(
    name: str,
    row: float,
    column: float,
    *,
    height: int = SIDE,
    width: int = SIDE,
    size: float = 0.5,
    placed: bool = True,
) -> Scene:
    """A scene whose corner lies `row` and `column` pixels of 0.5 m from a common corner."""
    transform = Affine(size, 0, 400_000 + column * 0.5, 0, -size, 5_000_000 - row * 0.5)
    crs = CRS.from_epsg(32633) if placed else None
    return Scene(Path(f"{name}.tif"), 0, height, width, "uint8", crs, transform, ("",), ("gray",), ())


def _groups(areas: list[Area]) -> dict[str, str]:
    return {area.scene.path.stem: area.group for area in areas}


@pytest.mark.parametrize(
    ("row", "column", "together"),
    [(0, 100, True), (60, 40, True), (100, 100, True), (0, 100.4, True), (0, 101, False), (102, 0, False)],
    ids=["side by side", "overlap", "corner", "a gap of rounding", "a gap of a pixel", "below a gap"],
)
def test_scenes_that_touch_or_overlap_are_one_group(row: float, column: float, together: bool) -> None:
    groups = _groups(scene_areas([_scene("a", 0, 0), _scene("b", row, column)]))
    assert groups == {"a": "a", "b": "a" if together else "b"}


def test_a_chain_of_neighbours_is_one_group_named_after_the_first() -> None:
    scenes = [_scene("a", 0, 200), _scene("b", 500, 0), _scene("c", 0, 0), _scene("d", 0, 100)]
    assert _groups(scene_areas(scenes)) == {"a": "a", "b": "b", "c": "a", "d": "a"}


def test_scenes_in_other_crs_are_neighbours_on_the_ground() -> None:
    first = _scene("a", 0, 0)
    west, _, east, north = outline(first, LONGITUDE_LATITUDE).bounds
    scenes = [first]
    for name, longitude in (("b", (west + east) / 2), ("c", east + 0.1)):
        place = Affine(1e-5, 0, longitude, 0, -1e-5, north)
        scenes.append(replace(first, path=Path(f"{name}.tif"), crs=LONGITUDE_LATITUDE, transform=place))
    assert _groups(scene_areas(scenes)) == {"a": "a", "b": "a", "c": "c"}


def test_scenes_without_a_place_are_groups_of_their_own() -> None:
    scenes = [_scene("a", 0, 0, placed=False), _scene("b", 0, 0, placed=False), _scene("c", 0, 0)]
    assert _groups(scene_areas(scenes)) == {"a": "a", "b": "b", "c": "c"}
    assert _groups(block_areas(scenes, size=SIDE)) == {"a": "a/0_0", "b": "b/0_0", "c": "c/0_0"}


def _cover(areas: list[Area], height: int, width: int) -> np.ndarray:
    cover = np.zeros((height, width), dtype=int)
    for area in areas:
        assert area.part.height > 0 and area.part.width > 0
        cover[area.part.slices] += 1
    return cover


@given(height=st.integers(1, 400), width=st.integers(1, 400), size=st.integers(32, 200))
def test_blocks_cover_each_pixel_of_a_scene_once(height: int, width: int, size: int) -> None:
    areas = block_areas([_scene("a", 0, 0, height=height, width=width)], size=size)
    assert (_cover(areas, height, width) == 1).all()
    assert len({area.group for area in areas}) == len(areas)
    assert all(size / 2 <= area.part.height <= size * 1.5 or height < size for area in areas)


def test_a_block_is_named_by_its_row_and_column() -> None:
    areas = block_areas([_scene("a", 0, 0, height=230, width=120)], size=100)
    assert [(area.group, area.part.top, area.part.height) for area in areas] == [("a/0_0", 0, 100), ("a/1_0", 100, 130)]
    assert {area.part.width for area in areas} == {120}


@given(order=st.permutations([(row, column) for row in range(3) for column in range(4)]))
def test_small_scenes_of_a_mosaic_share_its_blocks(order: list[tuple[int, int]]) -> None:
    # Two by two scenes are a block, whichever scene comes first.
    scenes = [_scene(f"{row}{column}", row * SIDE, column * SIDE) for row, column in order]
    areas = block_areas(scenes, size=2 * SIDE)
    assert [area.part for area in areas] == [Tile(0, 0, SIDE, SIDE)] * 12
    first = scenes[0].path.stem
    assert _groups(areas) == {f"{r}{c}": f"{first}/{r // 2}_{c // 2}" for r, c in order}


def test_a_block_border_may_cut_a_scene_of_a_mosaic() -> None:
    areas = block_areas([_scene("a", 0, 0), _scene("b", 0, 100)], size=60)  # 200 columns: blocks end at 60, 120, 200
    parts = [(area.scene.path.stem, area.group, area.part.left, area.part.width) for area in areas if not area.part.top]
    assert parts == [
        ("a", "a/0_0", 0, 60),
        ("a", "a/0_1", 60, 40),
        ("b", "a/0_1", 0, 20),
        ("b", "a/0_2", 20, 80),
    ]


def test_blocks_refuse_scenes_that_overlap() -> None:
    block_areas([_scene("a", 0, 0), _scene("b", 0, 100), _scene("c", 99.8, 0)], size=SIDE)
    with pytest.raises(DataError, match=r"data\.split_by=block: scenes overlap \(a\.tif and b\.tif\).*split_by=scene"):
        block_areas([_scene("a", 0, 0), _scene("b", 0, 99)], size=SIDE)
    with pytest.raises(DataError, match=r"a\.tif and b\.tif, and 2 more pairs"):
        block_areas([_scene(name, 0, 0) for name in "abc"], size=SIDE)


def test_neighbours_of_another_pixel_size_have_blocks_of_their_own() -> None:
    areas = block_areas([_scene("a", 0, 0), _scene("b", 0, 100, size=1.0)], size=1000)
    assert _groups(areas) == {"a": "a/0_0", "b": "b/0_0"}


@pytest.mark.shared_data
def test_real_tiles_are_the_blocks_they_were_cut_from(shared_data: Path) -> None:
    root = shared_data / "satellite_buildings"
    tiles = json.loads((root / "tiles.json").read_bytes())
    known = {Path(tile["image"]).stem: tile["block"] for tile in tiles}
    scenes = [read_scene(root / tile["image"]) for tile in tiles]
    found = _groups(block_areas(scenes, size=1024))
    pairs = {(known[name], group) for name, group in found.items()}
    assert len(pairs) == len(set(known.values())) == len(set(found.values())) == 5
    # Four of the five blocks touch one another, so by scene they are one place.
    places = _groups(scene_areas(scenes))
    assert len({(known[name], group) for name, group in places.items()}) == 5
    assert sorted(list(places.values()).count(group) for group in set(places.values())) == [4, 16]
