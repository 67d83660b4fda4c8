"""GeoTIFF scenes: facts and windows without reading the whole, masks that other readers understand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import tifffile
from rasterio.enums import ColorInterp, Resampling
from rasterio.shutil import copy as gdal_copy

from adapt.errors import DataError
from adapt.formats.geotiff import (
    Scene,
    band_numbers,
    open_geotiff,
    read_scene,
    read_window,
    sampled_percentiles,
    write_labels,
)
from adapt.tiles import Tile

Array = npt.NDArray[Any]
TRANSFORM = rasterio.Affine(0.5, 0, 400_000, 0, -0.5, 5_000_000)
RGB = np.random.default_rng(0).integers(1, 256, (3, 70, 90), dtype=np.uint8)
ALL = Tile(0, 0, 70, 90)


def _write(path: Path, pixels: Array, *, colours: list[ColorInterp] | None = None, **profile: object) -> Path:
    profile = {"crs": "EPSG:32633", "transform": TRANSFORM} | profile
    shape = {"count": len(pixels), "height": pixels.shape[1], "width": pixels.shape[2]}
    with rasterio.open(path, "w", driver="GTiff", dtype=pixels.dtype, **shape, **profile) as file:
        file.write(pixels)
        if colours:
            file.colorinterp = colours
    return path


def _window(path: Path, tile: Tile = ALL, bands: tuple[int, ...] = (1, 2, 3)) -> tuple[Array, Array]:
    with open_geotiff(path) as dataset:
        return read_window(dataset, tile, bands)


def test_the_header_is_read_without_pixels(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.tif", RGB, photometric="RGB")
    scene = read_scene(path)
    assert (scene.height, scene.width, scene.dtype) == (70, 90, "uint8")
    assert scene.crs.to_epsg() == 32633
    assert scene.transform == TRANSFORM
    assert scene.colours == ("red", "green", "blue")
    assert scene.files == (path,)
    assert scene.georeferenced


def test_a_scene_is_a_key_that_changes_with_its_file(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.tif", RGB)
    scene = read_scene(path)
    assert {scene: 1}[read_scene(path)] == 1
    _write(path, RGB[:1])
    assert read_scene(path) != scene


def test_a_plain_tiff_has_no_place(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", RGB[0])
    assert not read_scene(tmp_path / "a.tif").georeferenced


def test_a_window_has_the_chosen_bands_in_the_chosen_order(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.tif", RGB)
    values, valid = _window(path, Tile(10, 20, 30, 40), (3, 1))
    np.testing.assert_array_equal(values, RGB[[2, 0], 10:40, 20:60])
    assert valid.all()


def _with_gap(value: float, dtype: str) -> Array:
    pixels = RGB.astype(dtype)
    pixels[:, :20] = value
    pixels[0, 50, 50] = value  # one band alone, as in a deep shadow
    return pixels


def _nodata(path: Path) -> None:
    _write(path, _with_gap(0, "uint8"), nodata=0)


def _alpha(path: Path) -> None:
    alpha = np.full((1, 70, 90), 255, np.uint8)
    alpha[:, :20] = 0
    colours = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    _write(path, np.concatenate([RGB, alpha]), colours=colours)


def _negative(path: Path) -> None:
    _write(path, _with_gap(-9999, "int16"), nodata=-9999)


@pytest.mark.parametrize("write", [_nodata, _alpha, _negative])
def test_a_pixel_without_any_value_is_not_valid(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path / "a.tif")
    _, valid = _window(tmp_path / "a.tif")
    expected = np.ones((70, 90), dtype=bool)
    expected[:20] = False
    np.testing.assert_array_equal(valid, expected)


def test_nan_and_infinity_are_not_valid_though_no_nodata_is_named(tmp_path: Path) -> None:
    pixels = RGB.astype(np.float32)
    pixels[1, 3, 4], pixels[2, 5, 6] = np.nan, np.inf
    _, valid = _window(_write(tmp_path / "a.tif", pixels))
    assert sorted(map(tuple, np.argwhere(~valid).tolist())) == [(3, 4), (5, 6)]


def test_bands_have_numbers_descriptions_and_colours(tmp_path: Path) -> None:
    colours = [ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.nir, ColorInterp.undefined]
    path = _write(tmp_path / "a.tif", np.zeros((5, 4, 4), np.uint16), colours=colours, photometric="MINISBLACK")
    with rasterio.open(path, "r+") as dataset:
        dataset.set_band_description(5, "Höhe (m)")
    scene = read_scene(path)
    assert band_numbers(scene, ["red", "green", "blue"]) == (3, 2, 1)
    assert band_numbers(scene, ["NIR"]) == (4,)
    assert band_numbers(scene, ["höhe (m)", 1, "nir"]) == (5, 1, 4)
    with pytest.raises(DataError, match=r"data.bands: no band 'swir'; it has 1 blue, 2 green, 3 red, 4 nir, 5 Höhe"):
        band_numbers(scene, ["swir"])
    with pytest.raises(DataError, match="no band 6"):
        band_numbers(scene, [6])


@pytest.mark.parametrize(("count", "expected"), [(1, (1,)), (2, (1,)), (3, (1, 2, 3)), (4, (1, 2, 3)), (13, (1, 2, 3))])
def test_the_usual_bands_are_the_first_three_or_one(tmp_path: Path, count: int, expected: tuple[int, ...]) -> None:
    scene = read_scene(_write(tmp_path / "a.tif", np.zeros((count, 4, 4), np.uint8)))
    assert band_numbers(scene, None) == expected


def test_a_name_of_two_bands_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.tif", np.zeros((2, 4, 4), np.uint8))
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("b8", "B8")
    with pytest.raises(DataError, match="bands 1, 2 are all called 'b8'"):
        band_numbers(read_scene(path), ["b8"])


def test_indices_of_a_palette_are_no_intensities(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with rasterio.open(path, "w", driver="GTiff", count=1, height=4, width=4, dtype="uint8", transform=TRANSFORM) as f:
        f.write(np.zeros((1, 4, 4), np.uint8))
        f.write_colormap(1, {0: (10, 20, 30, 255)})
    with pytest.raises(DataError, match="indices of a palette; convert it with gdal_translate -expand rgb"):
        band_numbers(read_scene(path), None)


def test_complex_pixels_are_refused(tmp_path: Path) -> None:
    _write(tmp_path / "a.tif", np.zeros((1, 4, 4), np.complex64))
    with pytest.raises(DataError, match="complex64 numbers; store amplitude"):
        read_scene(tmp_path / "a.tif")


def test_percentiles_of_a_small_scene_are_numpys(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 10_000, (2, 64, 64), dtype=np.uint16)
    with open_geotiff(_write(tmp_path / "a.tif", pixels)) as dataset:
        found = sampled_percentiles(dataset, (1, 2), low=2, high=98)
    np.testing.assert_allclose(found, [np.percentile(band, [2, 98]) for band in pixels])


def test_percentiles_of_a_large_scene_come_from_a_part_of_it(tmp_path: Path) -> None:
    y, x = np.mgrid[0:1500, 0:1500]
    ramp = (x + y)[None].astype(np.uint16)
    with open_geotiff(_write(tmp_path / "a.tif", ramp)) as dataset:
        [(low, high)] = sampled_percentiles(dataset, (1,), low=2, high=98)
        first = sampled_percentiles(dataset, (1,), low=2, high=98)
    expected = np.percentile(ramp, [2, 98])
    np.testing.assert_allclose([low, high], expected, atol=0.03 * ramp.max())
    assert first == [(low, high)]
    assert [low, high] != expected.tolist()  # else all of it was read


def test_percentiles_leave_out_what_has_no_value(tmp_path: Path) -> None:
    pixels = RGB.astype(np.int16)
    pixels[:, :35], pixels[1, 40:] = -9999, -9999  # a gap in all bands, and one in a single band
    with open_geotiff(_write(tmp_path / "a.tif", pixels, nodata=-9999)) as dataset:
        found = sampled_percentiles(dataset, (1, 2, 3), low=0, high=100)
    assert min(low for low, _ in found) >= 1
    with (
        open_geotiff(_write(tmp_path / "b.tif", np.full_like(pixels, -9999), nodata=-9999)) as dataset,
        pytest.raises(DataError, match="no valid pixel of band 1, 2 in 4 windows"),
    ):
        sampled_percentiles(dataset, (1, 2), low=2, high=98)


@pytest.mark.parametrize(("most", "dtype"), [(255, "uint8"), (256, "uint16"), (65_536, "uint32")])
def test_a_mask_is_written_as_other_readers_expect_it(tmp_path: Path, most: int, dtype: str) -> None:
    scene = read_scene(_write(tmp_path / "a.tif", RGB))
    labels = np.arange(70 * 90, dtype=np.int64).reshape(70, 90) % 200
    labels[0, 0] = most
    write_labels(tmp_path / "mask.tif", labels, like=scene)
    with tifffile.TiffFile(tmp_path / "mask.tif") as file:  # no GDAL here
        page = file.pages[0]
        np.testing.assert_array_equal(page.asarray(), labels)
        assert page.dtype == dtype
        assert page.is_tiled and page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        tags = file.geotiff_metadata
        assert page.tags["GDAL_NODATA"].value == "0"
    assert tags["ModelPixelScale"] == [0.5, 0.5, 0.0]
    assert tags["ModelTiepoint"] == [0.0, 0.0, 0.0, 400_000.0, 5_000_000.0, 0.0]
    assert tags["ProjectedCSTypeGeoKey"] == 32633
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "mask.tif"]


def test_a_mask_of_a_plain_tiff_has_no_place_either(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", RGB[0])
    scene = read_scene(tmp_path / "a.tif")
    write_labels(tmp_path / "mask.tif", RGB[1], like=scene)
    assert not read_scene(tmp_path / "mask.tif").georeferenced
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "mask.tif"), RGB[1])


def _scene(tmp_path: Path) -> Scene:
    return read_scene(_write(tmp_path / "a.tif", RGB))


@pytest.mark.parametrize("labels", [np.full((70, 90), -1), np.full((70, 90), 2**32), np.zeros((90, 70), int)])
def test_labels_that_no_mask_holds_are_refused(tmp_path: Path, labels: Array) -> None:
    with pytest.raises(DataError, match=r"mask\.tif: labels are"):
        write_labels(tmp_path / "mask.tif", labels, like=_scene(tmp_path))
    assert not (tmp_path / "mask.tif").exists()


def test_a_cloud_optimised_geotiff_is_read_at_full_size(tmp_path: Path) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (3, 600, 700), dtype=np.uint8)
    _write(tmp_path / "plain.tif", pixels)
    with rasterio.open(tmp_path / "plain.tif", "r+") as dataset:
        dataset.build_overviews([2], Resampling.average)
    gdal_copy(tmp_path / "plain.tif", tmp_path / "cog.tif", driver="COG", blocksize=256)
    assert read_scene(tmp_path / "cog.tif").height == 600
    values, _ = _window(tmp_path / "cog.tif", Tile(300, 400, 256, 256))
    np.testing.assert_array_equal(values, pixels[:, 300:556, 400:656])


def test_names_may_have_spaces_and_letters_of_any_language(tmp_path: Path) -> None:
    folder = tmp_path / "Überflug 2024 (Nord)"
    folder.mkdir()
    path = _write(folder / "街 区.tif", RGB)
    np.testing.assert_array_equal(_window(path)[0], RGB)
    write_labels(folder / "маска 1.tif", RGB[0], like=read_scene(path))
    np.testing.assert_array_equal(_window(folder / "маска 1.tif", bands=(1,))[0][0], RGB[0])


@pytest.mark.parametrize("compress", [None, "deflate"])
def test_a_scene_cut_short_is_named(tmp_path: Path, compress: str | None) -> None:
    path = _write(tmp_path / "a.tif", RGB, compress=compress)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(DataError, match=r"a\.tif: (some pixels )?cannot be read.*copy"):
        _window(path, Tile(60, 0, 10, 90))


@pytest.mark.parametrize(
    "content", [b"", b"II*\x00", b"not a TIFF", b"<VRTDataset rasterXSize='1' rasterYSize='1'></VRTDataset>"]
)
def test_what_is_no_tiff_is_refused_whatever_gdal_could_make_of_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.tif: cannot be read as a GeoTIFF"):
        read_scene(tmp_path / "a.tif")


def test_a_missing_scene_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.tif: no such file"):
        read_scene(tmp_path / "none.tif")


def test_a_huge_block_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    shape = {"count": 1, "height": 10_000, "width": 10_000, "dtype": "uint8", "transform": TRANSFORM}
    path = tmp_path / "a.tif"
    blocks = {"tiled": True, "blockxsize": 10_000, "blockysize": 10_000}
    with rasterio.open(path, "w", driver="GTiff", **shape, **blocks, compress="deflate", sparse_ok=True):
        pass  # no pixel is stored: a kilobyte of file
    with pytest.raises(DataError, match=r"stored in blocks of 100,000,000 pixels.*TILED=YES"):
        read_scene(path)
