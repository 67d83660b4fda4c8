"""Scenes become tiles with objects on the right pixels, and every unusable scene says what to do."""

import json
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import shapely
import tifffile
from PIL import Image
from rasterio.crs import CRS
from small_evaluation import SMALL_EVALUATION

from adapt.cli import main
from adapt.datamodules import Source
from adapt.datamodules.satellite import satellite_source
from adapt.errors import DataError
from adapt.formats.georeference import LONGITUDE_LATITUDE, reproject, to_ground
from adapt.formats.geotiff import read_scene
from adapt.formats.vectors import write_polygons
from adapt.recipe import SatelliteData
from adapt.samples import Sample

Array = npt.NDArray[Any]
HEIGHT, WIDTH = 150, 200
RGB = np.random.default_rng(0).integers(1, 256, (3, HEIGHT, WIDTH), dtype=np.uint8)
# In pixels: a house, one that overlaps it, one across a tile's border, one across the scene's, a speck, one outside.
BOXES = [
    (10, 10, 30, 25),
    (20, 15, 40, 30),
    (90, 10, 110, 30),
    (190, 140, 230, 180),
    (60, 60, 62, 61),
    (300, 0, 310, 9),
]


def _write_scene(root: Path, name: str = "a", *, pixels: Array = RGB, column: int = 0, **profile: object) -> Path:
    (root / "images").mkdir(parents=True, exist_ok=True)
    path = root / "images" / f"{name}.tif"
    count, height, width = pixels.shape
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(0.5, 0, 400_000 + column / 2, 0, -0.5, 5_000_000)}
    shape = {"count": count, "height": height, "width": width, "dtype": pixels.dtype.name}
    with rasterio.open(path, "w", driver="GTiff", **shape, **(place | profile)) as file:
        file.write(pixels)
    return path


def _write_footprints(
    path: Path, scene: Path, boxes: list[Any] = BOXES, *, crs: CRS = LONGITUDE_LATITUDE, names: list[str] | None = None
) -> None:
    path.parent.mkdir(exist_ok=True)
    shapes = np.array([shapely.box(*b) if isinstance(b, tuple) else b for b in boxes], dtype=object)
    facts = read_scene(scene)
    there = reproject(to_ground(shapes, facts), facts.crs, crs)
    write_polygons(path, there, ids=range(1, len(boxes) + 1), categories=names or ["house"] * len(boxes), crs=crs)


def _write_labels(root: Path, labels: Array, *, name: str = "a", **profile: object) -> None:
    scene = _write_scene(root / "x", name, pixels=labels[None], **profile)
    (root / "labels").mkdir(exist_ok=True)
    scene.rename(root / "labels" / scene.name)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A scene of 150 x 200 pixels with footprints in another CRS."""
    _write_footprints(tmp_path / "labels" / "all.gpkg", _write_scene(tmp_path))
    return tmp_path


def _source(root: Path, **changes: object) -> Source:
    return satellite_source(SatelliteData(kind="satellite", root=str(root), **changes), root)


def _samples(root: Path, **changes: object) -> list[Sample]:
    return [sample for case in _source(root, **changes).cases for sample in case().samples]


def _refused(root: Path, **changes: object) -> str:
    with pytest.raises(DataError) as caught:
        _samples(root, **changes)
    return str(caught.value)


def _filled(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of a mask that must be a full rectangle."""
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def test_footprints_in_another_crs_lie_on_their_pixels(root: Path) -> None:
    [case] = _source(root, category="roof").cases
    case_read = case()
    [sample] = case_read.samples
    assert [_filled(mask) for mask in sample.masks] == [*BOXES[:3], (190, 140, 200, 150)]
    np.testing.assert_array_equal(sample.image, RGB.transpose(1, 2, 0))
    assert sample.categories == ("roof",) * 4
    assert sample.cut == (False,) * 4  # behind the scene's border there is no picture
    assert (sample.spacing, sample.spacing_unit) == ((0.5, 0.5), "m")
    assert (sample.group, sample.sample_id, sample.source) == ("a", "a/000000_000000", str(root / "images" / "a.tif"))
    assert case_read.small_objects == 1


def test_cases_are_sent_to_other_processes(root: Path) -> None:
    for case in _source(root).cases:
        assert len(list(pickle.loads(pickle.dumps(case))().samples)) == 1


def test_every_file_that_is_read_is_an_input(root: Path) -> None:
    (root / "images" / "a.tif.aux.xml").write_text("<PAMDataset></PAMDataset>", encoding="utf-8")
    names = [path.relative_to(root).as_posix() for path in _source(root).inputs]
    assert names == ["images/a.tif", "images/a.tif.aux.xml", "labels/all.gpkg"]


def test_tiles_overlap_and_mark_what_their_border_cuts(root: Path) -> None:
    samples = {sample.sample_id: sample for sample in _samples(root, tile_size=100, tile_overlap=20)}
    assert set(samples) == {"a/000000_000000", "a/000000_000080", "a/000000_000100", "a/000050_000100"}
    first, second = samples["a/000000_000000"], samples["a/000000_000080"]
    assert [_filled(mask) for mask in first.masks] == [*BOXES[:2], (90, 10, 100, 30)]
    assert first.cut == (False, False, True)
    assert [_filled(mask) for mask in second.masks] == [(10, 10, 30, 30)]  # whole, thanks to the overlap
    assert second.cut == (False,)
    np.testing.assert_array_equal(second.image, RGB.transpose(1, 2, 0)[:100, 80:180])


def test_cut_objects_can_be_dropped(root: Path) -> None:
    settings = {"tile_size": 100, "tile_overlap": 20, "cut_objects": "drop"}
    samples = {sample.sample_id: sample for sample in _samples(root, **settings)}
    assert set(samples) == {"a/000000_000000", "a/000000_000080", "a/000050_000100"}
    assert not any(cut for sample in samples.values() for cut in sample.cut)


def test_tiles_without_objects_are_counted_and_their_pixels_never_read(root: Path) -> None:
    _write_footprints(root / "labels" / "all.gpkg", root / "images" / "a.tif", BOXES[:1])
    path = root / "images" / "a.tif"
    path.write_bytes(path.read_bytes()[:-1000])  # the last rows are damaged
    [case] = _source(root, tile_size=50, tile_overlap=0).cases
    read = case()
    assert [sample.sample_id for sample in read.samples] == ["a/000000_000000"]
    assert read.empty_images == 11


def test_a_large_scene_is_several_cases(root: Path) -> None:
    cases = _source(root, tile_size=32, tile_overlap=16).cases  # 9 rows and 12 columns of tiles
    assert len(cases) == 2
    ids = [sample.sample_id for case in cases for sample in case().samples]
    assert len(ids) == len(set(ids))


def test_a_courtyard_stays_empty_and_what_stands_in_it_is_its_own(root: Path) -> None:
    ring = shapely.Polygon(shapely.box(50, 50, 90, 90).exterior, [shapely.box(60, 60, 80, 80).exterior])
    _write_footprints(root / "labels" / "all.gpkg", root / "images" / "a.tif", [ring, (65, 65, 75, 75)])
    [sample] = _samples(root)
    assert sample.masks.sum((1, 2)).tolist() == [1200, 100]
    assert not (sample.masks[0] & sample.masks[1]).any()


def test_categories_come_from_an_attribute(root: Path) -> None:
    names = ["house", "shed", "", "house", "x", "x"]
    _write_footprints(root / "labels" / "all.gpkg", root / "images" / "a.tif", names=names)
    [sample] = _samples(root, category_column="category", category="other")
    assert sample.categories == ("house", "shed", "other", "house")
    assert "data.category_column: no attribute 'kind'; it has id, category" in _refused(root, category_column="kind")


def test_one_file_serves_all_scenes_and_may_be_named_itself(root: Path) -> None:
    _write_footprints(root / "labels" / "all.gpkg", _write_scene(root, "b", column=90), BOXES)
    assert {sample.sample_id for sample in _samples(root)} == {"a/000000_000000", "b/000000_000000"}
    (root / "labels" / "all.gpkg").rename(root / "häuser 1.gpkg")
    assert len(_samples(root, label_path="häuser 1.gpkg")) == 2


def test_each_scene_may_have_its_own_labels_of_either_kind(root: Path) -> None:
    (root / "labels" / "all.gpkg").rename(root / "labels" / "a.gpkg")
    _write_scene(root, "b", column=1000)
    labels = np.zeros((HEIGHT, WIDTH), np.uint16)
    labels[5:15, 5:15], labels[5:15, 15:25] = 3, 900
    _write_labels(root, labels, name="b", column=1000)
    samples = _samples(root)
    assert [len(sample.masks) for sample in samples] == [4, 2]
    assert [_filled(mask) for mask in samples[1].masks] == [(5, 5, 15, 15), (15, 5, 25, 15)]
    _write_scene(root, "c", column=2000)
    assert "1 image without a label of the same name: c" in _refused(root)


def test_values_of_a_label_raster_may_be_classes(root: Path) -> None:
    (root / "labels" / "all.gpkg").unlink()
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[5:15, 5:15] = labels[30:40, 5:15] = 1
    labels[50:60, 5:15], labels[100:] = 2, 255
    _write_labels(root, labels, nodata=255)
    [sample] = _samples(root, label_kind="classes", labels={"roof": 1, "water": 2})
    assert sample.categories == ("roof", "roof", "water")
    [whole] = _samples(root, label_kind="classes", labels={"roof": 1, "water": 2}, objects="label")
    assert whole.categories == ("roof", "water")
    assert "label values 2 are not named in data.labels" in _refused(root, label_kind="classes", labels={"roof": 1})


def test_a_binary_mask_is_not_taken_for_one_building(root: Path) -> None:
    (root / "labels" / "all.gpkg").unlink()
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[5:15, 5:15] = labels[30:40, 5:15] = 255
    _write_labels(root, labels)
    assert "data.label_kind=classes data.labels={roof: 255}" in _refused(root, category="roof")


@pytest.mark.parametrize(
    ("labels", "profile", "told"),
    [
        (np.zeros((WIDTH, HEIGHT), np.uint8), {}, r"is \(200, 150\), .* is \(150, 200\) \(rows, columns\); resample"),
        (np.zeros((HEIGHT, WIDTH), np.uint8), {"column": 3}, "lies up to 3.0 pixels beside"),
        (np.zeros((HEIGHT, WIDTH), np.uint8), {"crs": "EPSG:32634"}, "is in EPSG:32634"),
        (np.full((HEIGHT, WIDTH), 0.5, np.float32), {}, r"label values are not whole numbers \(first: 0\.5\)"),
        (np.full((HEIGHT, WIDTH), -1, np.int16), {}, "label values start at 0, the least here is -1"),
    ],
)
def test_a_label_raster_that_does_not_fit_is_refused(
    root: Path, labels: Array, profile: dict[str, Any], told: str
) -> None:
    (root / "labels" / "all.gpkg").unlink()
    _write_labels(root, labels, **profile)
    with pytest.raises(DataError, match=told):
        _samples(root)


def test_scenes_without_a_place_go_with_label_rasters_only(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[5:15, 5:15] = 1
    tifffile.imwrite(tmp_path / "images" / "a.tif", RGB.transpose(1, 2, 0), photometric="rgb")
    tifffile.imwrite(tmp_path / "labels" / "a.tif", labels)
    [sample] = _samples(tmp_path)
    assert (sample.spacing, sample.spacing_unit) == ((1.0, 1.0), "px")
    (tmp_path / "labels" / "a.tif").unlink()
    _write_footprints(tmp_path / "labels" / "a.gpkg", _write_scene(tmp_path / "other"))
    assert "a.tif: names no coordinate reference system" in _refused(tmp_path)


def test_pixels_without_a_value_are_black_and_belong_to_no_object(root: Path) -> None:
    pixels = RGB.copy()
    pixels[:, :, :15] = 0
    _write_scene(root, pixels=pixels, nodata=0)
    [sample] = _samples(root)
    assert _filled(sample.masks[0]) == (15, 10, 30, 25)
    assert not sample.image[:, :15].any()


def test_tiles_with_little_in_them_are_left_out(root: Path) -> None:
    pixels = RGB.copy()
    pixels[:, :, 60:] = 0
    _write_scene(root, pixels=pixels, nodata=0)
    assert len(_samples(root, max_nodata=0.7)) == 1
    [case] = _source(root, max_nodata=0.69).cases
    read = case()
    assert (list(read.samples), read.empty_images) == ([], 1)


def test_deep_scenes_are_stretched_by_their_percentiles(root: Path) -> None:
    deep = RGB.astype(np.uint16) * 40 + 300
    deep[1] += 3000
    _write_scene(root, pixels=deep)
    [sample] = _samples(root)
    for band, values in zip(sample.image.transpose(2, 0, 1), deep, strict=True):
        low, high = np.percentile(values, [2, 98])
        expected = np.clip((values - low) / (high - low), 0, 1) * 255
        assert np.abs(band - expected).max() <= 3  # estimated from windows
    [narrow] = _samples(root, intensity={"kind": "percentile", "low": 20.0, "high": 80.0})
    assert (narrow.image == 255).mean() == pytest.approx(0.2, abs=0.02)


def test_a_fixed_range_is_the_same_for_all_scenes(root: Path) -> None:
    _write_scene(root, pixels=RGB.astype(np.float32) / 1000)
    [sample] = _samples(root, intensity={"kind": "range", "low": 0.0, "high": 0.255})
    np.testing.assert_array_equal(sample.image, RGB.transpose(1, 2, 0))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 13])
def test_scenes_of_any_number_of_bands_are_read(root: Path, count: int) -> None:
    pixels = np.random.default_rng(count).integers(1, 256, (count, HEIGHT, WIDTH), dtype=np.uint8)
    _write_scene(root, pixels=pixels, photometric="MINISBLACK")
    [sample] = _samples(root)
    used = [0, 1, 2] if count >= 3 else [0, 0, 0]
    np.testing.assert_array_equal(sample.image, pixels[used].transpose(1, 2, 0))
    [sample] = _samples(root, bands=[count])
    np.testing.assert_array_equal(sample.image, pixels[[count - 1] * 3].transpose(1, 2, 0))
    assert "data.bands: no band 'swir'; it has 1 gray" in _refused(root, bands=["swir"])


def test_a_place_is_never_in_two_blocks(root: Path) -> None:
    settings = {"split_by": "block", "block_size": 64, "tile_size": 40, "tile_overlap": 10, "min_object_pixels": 1}
    owners: dict[tuple[int, int], str] = {}
    for sample in _samples(root, **settings):
        top, left = map(int, sample.sample_id.split("/")[-1].split("_"))
        height, width = sample.image.shape[:2]
        for pixel in np.ndindex(height, width):
            assert owners.setdefault((top + pixel[0], left + pixel[1]), sample.group) == sample.group
    assert {"a/0_0", "a/0_1", "a/1_2"} <= set(owners.values())


def test_neighbours_are_one_group_unless_a_pattern_names_groups(root: Path) -> None:
    for name, column in (("north_2", 200), ("south_1", 3000)):
        _write_footprints(root / "labels" / f"{name}.gpkg", _write_scene(root, name, column=column))
    (root / "labels" / "all.gpkg").rename(root / "labels" / "a.gpkg")
    assert [sample.group for sample in _samples(root)] == ["a", "a", "south_1"]
    assert "finds no group in the case name 'a'" in _refused(root, group_pattern="^([a-z]+)_")
    assert [sample.group for sample in _samples(root, group_pattern="^([a-z]+)")] == ["a", "north", "south"]


def test_footprints_elsewhere_are_told_with_both_extents(root: Path) -> None:
    other = _write_scene(root / "other", column=10_000)
    _write_footprints(root / "labels" / "all.gpkg", other, BOXES[:1])
    message = _refused(root)
    assert "all.gpkg: no feature lies on" in message
    # 5 km farther east: 0.0636 degrees of longitude there
    assert re.search(r"in EPSG:4326 are features from \(13\.79\d+, 45\.14\d+\) to \(13\.79\d+, 45\.14\d+\)", message)
    assert re.search(r"and scenes from \(13\.72\d+, 45\.14\d+\) to \(13\.72\d+, 45\.14\d+\)", message)
    assert "A mixed-up CRS is the usual cause: set data.label_crs" in message


def test_a_scene_that_no_footprint_lies_on_is_told_beside_the_others(root: Path) -> None:
    _write_scene(root, "b", column=100_000)
    cases = [read() for read in _source(root).cases]
    assert [case.unlabelled for case in cases] == [str(root / "images" / "b.tif"), ""]
    assert [sample.group for case in cases for sample in case.samples] == ["a"]


def test_footprints_of_another_zone_lie_where_label_crs_says(root: Path) -> None:
    utm = CRS.from_epsg(32633)
    _write_footprints(root / "labels" / "all.gpkg", root / "images" / "a.tif", crs=utm)
    assert "no feature lies on" in _refused(root, label_crs="EPSG:32634")
    assert "EPSG:32632" in _refused(root, label_crs="EPSG:32632")
    assert len(_samples(root, label_crs="EPSG:32633")) == 1


def test_a_scene_that_cannot_be_used_does_not_hide_the_others(root: Path) -> None:
    (root / "images" / "damaged 街.tif").write_bytes(b"II*\x00")
    cases = _source(root).cases
    with pytest.raises(DataError, match=r"damaged 街\.tif: cannot be read as a GeoTIFF"):
        cases[0]()
    assert len(list(cases[1]().samples)) == 1


def test_a_scene_cut_short_is_named(root: Path) -> None:
    path = root / "images" / "a.tif"
    path.write_bytes(path.read_bytes()[:30_000])
    assert "a.tif: " in _refused(root)
    assert "copy" in _refused(root)


def test_geojson_in_metres_needs_its_crs(root: Path) -> None:
    (root / "labels" / "all.gpkg").unlink()
    square = shapely.box(400_005, 4_999_985, 400_015, 4_999_995)
    feature = {"type": "Feature", "properties": {}, "geometry": json.loads(shapely.to_geojson(square))}
    text = json.dumps({"type": "FeatureCollection", "features": [feature]})
    (root / "labels" / "a.geojson").write_text(text, encoding="utf-8")
    assert "is no longitude and latitude" in _refused(root)
    [sample] = _samples(root, label_crs="EPSG:32633")
    assert _filled(sample.masks[0]) == (10, 10, 30, 30)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"labels": {"roof": 1}, "label_kind": "classes"}, "data.labels are values of label rasters"),
        ({"image_folder": "scenes"}, "data.image_folder: no folder"),
        ({"label_path": "none.gpkg"}, "none.gpkg; correct it, or name a folder"),
        ({"label_path": "none"}, "data.label_path: no folder"),
        ({"layer": "roofs"}, "has no layer 'roofs'"),
    ],
)
def test_settings_that_do_not_fit_the_files_are_told(root: Path, changes: dict[str, Any], told: str) -> None:
    assert told in _refused(root, **changes)


def test_settings_of_vectors_are_not_ignored_with_rasters(root: Path) -> None:
    (root / "labels" / "all.gpkg").unlink()
    _write_labels(root, np.ones((HEIGHT, WIDTH), np.uint8))
    message = "data.label_crs is read of vector labels, but the labels are rasters; set it to null"
    assert message in _refused(root, label_crs="EPSG:4326")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"bands": [1, 2]}, "bands: give 1 or 3, not 2"),
        ({"tile_size": 64, "tile_overlap": 64}, r"tile_overlap \(64\) must be below tile_size \(64\)"),
        ({"split_by": "block", "block_size": 256}, r"block_size \(256\) must not be below tile_size \(512\)"),
        ({"split_by": "block", "group_pattern": "(a)"}, "group_pattern names the groups"),
        ({"label_kind": "classes"}, "label_kind classes needs labels"),
        ({"labels": {"a": 1}}, "labels is read with label_kind classes only"),
        ({"intensity": {"kind": "range", "low": 5.0, "high": 5.0}}, r"low \(5.0\) must be below high \(5.0\)"),
        ({"intensity": {"kind": "percentile", "low": 60.0, "high": 40.0}}, r"low \(60.0\) must be below high"),
    ],
)
def test_settings_that_contradict_one_another_are_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        SatelliteData(kind="satellite", root="x", **changes)


@pytest.mark.shared_data
def test_real_footprints_agree_with_masks_that_another_tool_drew(shared_data: Path) -> None:
    root = shared_data / "satellite_buildings"
    both = either = 0
    samples = _samples(root, min_object_pixels=1)
    assert len(samples) == 20
    for sample in samples:
        drawn = np.asarray(Image.open(root / "masks" / Path(sample.source).name)) > 0
        mine = sample.masks.any(0)
        both, either = both + int((mine & drawn).sum()), either + int((mine | drawn).sum())
        # Web Mercator stretches little at the equator: 7.46 cm stay 7.41 (the earth is flattened) and 7.46.
        assert sample.spacing == pytest.approx((0.07414, 0.07464), abs=1e-5)
    assert both / either > 0.999


@pytest.mark.shared_data
def test_a_real_panchromatic_scene_is_read_with_its_geojson(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "satellite_pan"
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "pan.tif").symlink_to(folder / "sample_geotiff.tif")
    (tmp_path / "footprints.geojson").symlink_to(folder / "geotiff_labels.geojson")
    settings = {"label_path": "footprints.geojson", "category_column": "building", "min_object_pixels": 1}
    [sample] = _samples(tmp_path, **settings, tile_size=900)
    assert set(sample.categories) == {"yes"}
    assert sample.image.shape == (900, 900, 3)
    assert len(sample.masks) == 43
    assert (sample.image[..., 0] == 0).mean() == pytest.approx(0.02, abs=0.01)
    assert (sample.image[..., 0] == 255).mean() == pytest.approx(0.02, abs=0.01)
    assert sample.spacing == (0.5, 0.5)
    tiles = _samples(tmp_path, **settings)
    assert len(tiles) == 4
    assert any(any(tile.cut) for tile in tiles)


@pytest.mark.slow
def test_the_recipe_fits_generated_scenes_from_one_command(tmp_path: Path) -> None:
    places = ["data.root=adapt:satellite_scenes", f"cache={tmp_path}/cache", f"output={tmp_path}/runs"]
    short = ["trainer.epochs=1", "trainer.min_steps=0", "evaluation.gallery=2", *SMALL_EVALUATION]
    assert main(["fit", "--recipe", "satellite_buildings", *places, *short]) == 0
    (folder,) = (tmp_path / "runs" / "satellite_buildings").iterdir()
    categories = json.loads((folder / "results.json").read_bytes())["protocols"]["box"]["base"]["categories"]
    assert set(categories) == {"building"}
