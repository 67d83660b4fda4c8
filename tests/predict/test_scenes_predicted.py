"""Scenes: stitched objects on the ground, prompts on the ground, and rasters and polygons that say the same."""

import io
import json
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyogrio
import pytest
import rasterio
import shapely
import torch
from affine import Affine
from exact_segmenter import ExactSegmenter, discs, same_partition
from rasterio.errors import NotGeoreferencedWarning
from rasterio.features import rasterize
from rasterio.warp import transform
from rich.console import Console

from adapt.errors import DataError
from adapt.formats.geotiff import read_scene
from adapt.formats.label_strips import polygons_of_strips, write_label_strips
from adapt.formats.polygons import polygonise
from adapt.predict import Model, Request, Tally, predict, usual_recipe
from adapt.predict.inputs import find_inputs
from adapt.predict.prompt_vectors import read_ground_prompts
from adapt.recipe import GenerateSettings, PredictSettings, SatelliteData

PLACE = Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)
DATA = SatelliteData(kind="satellite", root="-", tile_size=64, tile_overlap=16, category="roof")


def scene(path: Path, values: npt.NDArray[np.uint8], *, crs: str | None = "EPSG:32633") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {"driver": "GTiff", "count": 1, "dtype": "uint8", "height": values.shape[0], "width": values.shape[1]}
    place = {"crs": crs, "transform": PLACE} if crs else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # some are meant to have no place
        with rasterio.open(path, "w", **facts, **place, tiled=True, blockxsize=64, blockysize=64) as file:
            file.write(values, 1)
    return path


@pytest.fixture
def truth() -> npt.NDArray[np.uint8]:
    return discs(150, 190, count=50, seed=4, largest=14)


def job(source: Path, output: Path, *, prompts: Path | None = None, formats: tuple[str, ...] = ()) -> Tally:
    generate = GenerateSettings(points_per_side=32, predicted_iou=0.9, crop_edge=0)
    model = Model(ExactSegmenter(), torch.device("cpu"), generate, PredictSettings())
    request = Request(source, output, prompts, formats, follow=False, overview=False)
    return predict(request, model, DATA, about={"model": "exact"}, console=Console(file=io.StringIO()))


def test_a_scene_is_labelled_on_its_pixels_and_its_polygons_are_the_raster(
    tmp_path: Path, truth: npt.NDArray[np.uint8]
) -> None:
    path = scene(tmp_path / "images" / "a.tif", truth)
    tally = job(path, tmp_path / "out", formats=("geotiff", "gpkg", "geojson"))
    assert tally.objects == 50
    with rasterio.open(tmp_path / "out" / "a.tif") as file:
        labels = file.read(1)
        assert file.crs.to_epsg() == 32633 and file.transform == PLACE and file.nodata == 0 and labels.dtype == np.uint8
    assert same_partition(labels, truth)
    facts, _, encoded, (ids, names, scores) = pyogrio.raw.read(tmp_path / "out" / "a.gpkg")
    assert list(facts["fields"]) == ["id", "category", "score"] and set(names) == {"roof"} and np.allclose(scores, 0.97)
    drawn = rasterize(
        list(zip(shapely.from_wkb(encoded), ids.tolist(), strict=True)), out_shape=truth.shape, transform=PLACE
    )
    assert (drawn == labels).all()
    assert len(json.loads((tmp_path / "out" / "a.geojson").read_text())["features"]) == 50


def on_ground(x: float, y: float, crs: str) -> tuple[float, float]:
    """A point of the image, pixel indices, in a CRS."""
    east, north = PLACE.c + PLACE.a * (x + 0.5), PLACE.f + PLACE.e * (y + 0.5)
    (there,), (up,) = transform("EPSG:32633", crs, [east], [north])
    return there, up


def features(path: Path, geometries: list[dict[str, object]], properties: list[dict[str, object]]) -> Path:
    entries = [
        {"type": "Feature", "geometry": geometry, "properties": own}
        for geometry, own in zip(geometries, properties, strict=True)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": entries}))
    return path


def test_prompts_on_the_ground_are_laid_on_the_scene(tmp_path: Path, truth: npt.NDArray[np.uint8]) -> None:
    path = scene(tmp_path / "images" / "a.tif", truth)
    scene(tmp_path / "images" / "b.tif", truth, crs="EPSG:32634")  # six degrees away
    points = [[float(np.median(one)) for one in np.nonzero(truth == value)[::-1]] for value in (1, 2)]
    rows, columns = np.nonzero(truth == 3)
    corners = [(columns.min() - 0.5, rows.min() - 0.5), (columns.max() + 0.5, rows.max() + 0.5)]
    (x0, y0), (x1, y1) = (on_ground(float(x), float(y), "EPSG:4326") for x, y in corners)
    ring = [[[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]]
    geometries = [{"type": "Point", "coordinates": on_ground(*point, "EPSG:4326")} for point in points]
    geometries += [{"type": "Polygon", "coordinates": ring}]
    properties = [{"category": "hut"}, {"category": None, "object": None}, {"category": "shed"}]
    prompts = features(tmp_path / "prompts.geojson", geometries, properties)
    found = read_ground_prompts(prompts, find_inputs(tmp_path / "images", DATA))
    assert list(found) == ["a"]
    assert np.allclose([one.clicks[0][:2] for one in found["a"][:2]], points, atol=1e-3)
    tally = job(path, tmp_path / "out", prompts=prompts)
    with rasterio.open(tmp_path / "out" / "a.tif") as file:
        assert (file.read(1) == np.where(truth <= 3, truth, 0)).all()
    rows_of = json.loads((tmp_path / "out" / "records" / "a.json").read_text())["objects"]
    assert tally.objects == 3 and [row["category"] for row in rows_of] == ["hut", "roof", "shed"]


def test_features_of_one_object_are_its_clicks(tmp_path: Path, truth: npt.NDArray[np.uint8]) -> None:
    scene(tmp_path / "images" / "a.tif", truth)
    geometries = [{"type": "Point", "coordinates": on_ground(x, 20, "EPSG:4326")} for x in (10, 30, 50)]
    properties = [{"object": "A", "label": 1}, {"object": "A", "label": 0}, {"object": "B", "label": 1}]
    prompts = features(tmp_path / "prompts.geojson", geometries, properties)
    found = read_ground_prompts(prompts, find_inputs(tmp_path / "images", DATA))["a"]
    assert [[label for *_, label in one.clicks] for one in found] == [[1, 0], [1]]


def test_prompts_elsewhere_and_scenes_without_a_place_are_refused(tmp_path: Path, truth: npt.NDArray[np.uint8]) -> None:
    path = scene(tmp_path / "a.tif", truth)
    far = features(tmp_path / "far.geojson", [{"type": "Point", "coordinates": [100, 0]}], [{}])
    with pytest.raises(DataError, match=r"no feature lies on .*mixed-up CRS is the usual cause"):
        job(path, tmp_path / "out", prompts=far)
    nowhere = scene(tmp_path / "nowhere.tif", truth, crs=None)
    with pytest.raises(DataError, match="names no coordinate reference system"):
        job(nowhere, tmp_path / "out", prompts=far)
    with pytest.raises(DataError, match="as polygons need"):
        job(nowhere, tmp_path / "out", formats=("gpkg",))


def test_a_scene_without_a_place_is_labelled_on_its_pixels(tmp_path: Path, truth: npt.NDArray[np.uint8]) -> None:
    assert job(scene(tmp_path / "nowhere.tif", truth, crs=None), tmp_path / "out").objects == 50
    with warnings.catch_warnings(), rasterio.open(tmp_path / "out" / "nowhere.tif") as file:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        assert same_partition(file.read(1), truth)


def test_a_checkpoint_reads_a_scene_as_a_scene_and_another_tiff_as_microscopy(
    tmp_path: Path, truth: npt.NDArray[np.uint8]
) -> None:
    assert usual_recipe(scene(tmp_path / "a.tif", truth)) == "satellite_buildings"
    assert usual_recipe(scene(tmp_path / "b.tif", truth, crs=None)) == "microscopy_nuclei"


def test_strips_are_written_as_one_raster_and_outlined_as_one(tmp_path: Path) -> None:
    path = scene(tmp_path / "a.tif", np.zeros((1200, 90), dtype=np.uint8))
    labels = discs(1200, 90, count=60, seed=2, largest=30).astype(np.int32) * 5
    strips = [(top, labels[top : top + 512]) for top in (0, 512, 1024)]
    write_label_strips(tmp_path / "labels.tif", strips, largest=300, like=read_scene(path))
    with rasterio.open(tmp_path / "labels.tif") as file:
        assert file.dtypes == ("uint16",) and (file.read(1) == labels).all()
    pieces, whole = polygons_of_strips(strips, like=read_scene(path)), polygonise(labels)
    assert list(pieces) == list(whole)
    areas = [shapely.area(pieces[value]) for value in whole]
    assert np.allclose(areas, [shapely.area(whole[value]) * 0.25 for value in whole])  # of half a metre a side
    assert all(shapely.is_valid(piece) for piece in pieces.values())


def test_a_raster_that_cannot_be_finished_leaves_nothing(tmp_path: Path) -> None:
    path = scene(tmp_path / "a.tif", np.zeros((100, 90), dtype=np.uint8))

    def strips() -> object:
        yield 0, np.ones((50, 90), dtype=np.int32)
        raise DataError("the scene is cut short")

    with pytest.raises(DataError, match="cut short"):
        write_label_strips(tmp_path / "labels.tif", strips(), largest=1, like=read_scene(path))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.tif"]


def test_an_empty_scene_gives_empty_files(tmp_path: Path) -> None:
    path = scene(tmp_path / "a.tif", np.zeros((150, 190), dtype=np.uint8))
    tally = job(path, tmp_path / "out", formats=("geotiff", "gpkg", "geojson"))
    assert (tally.objects, tally.empty) == (0, 1)
    with rasterio.open(tmp_path / "out" / "a.tif") as file:
        assert not file.read(1).any()
    assert pyogrio.read_info(tmp_path / "out" / "a.gpkg")["features"] == 0
