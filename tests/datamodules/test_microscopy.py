"""Microscopy images become planes and tiles with their instances, and every unusable case says what to do."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from small_evaluation import SMALL_EVALUATION

from adapt.cli import main
from adapt.datamodules import split_groups
from adapt.datamodules.microscopy import _group, _in_gap, microscopy_source
from adapt.datamodules.microscopy_pictures import Picture
from adapt.errors import DataError
from adapt.formats.ome_zarr_writer import Version, write_ome_zarr
from adapt.formats.tiff import write_label_tiff
from adapt.recipe import MicroscopyData, Percentile, SplitSettings
from adapt.samples import Sample

Array = npt.NDArray[Any]

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(100, 4000, (40, 60), dtype=np.uint16)
STACK = RANDOM.integers(100, 4000, (3, 2, 40, 60), dtype=np.uint16)  # ZCYX
COLOUR = RANDOM.integers(0, 256, (40, 60, 3), dtype=np.uint8)


def _labels() -> Array:
    """Value 1 of 36 pixels, 7 of 150, 300 of 4."""
    labels = np.zeros((40, 60), dtype=np.uint16)
    labels[2:8, 3:9] = 1
    labels[20:30, 30:45] = 7
    labels[38:40, 58:60] = 300
    return labels


def _tiff(path: Path, values: Array, **how: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, values, **({"photometric": "minisblack", "compression": "zlib"} | how))
    return path


def _pair(root: Path, image: Array = GREY, labels: Array | None = None, *, name: str = "a", **how: object) -> None:
    _tiff(root / "images" / f"{name}.tif", image, **how)
    _tiff(root / "labels" / f"{name}.tif", _labels() if labels is None else labels)


def _settings(root: Path, **changes: object) -> MicroscopyData:
    return MicroscopyData(kind="microscopy", root=str(root), **({"min_object_pixels": 1} | changes))


def _read(root: Path, **changes: object) -> list[Sample]:
    return [s for case in microscopy_source(_settings(root, **changes), root).cases for s in case().samples]


def _refused(root: Path, **changes: object) -> str:
    with pytest.raises(DataError) as caught:
        _read(root, **changes)
    return str(caught.value)


def _stretched(values: Array, *, low: float = 0.5, high: float = 99.5) -> Array:
    bottom, top = np.percentile(values, [low, high])
    return np.clip((values - bottom) / (top - bottom) * 255, 0, 255)


def test_each_value_is_an_object_and_deep_pixels_are_stretched(tmp_path: Path) -> None:
    _pair(tmp_path, resolution=(1e4 / 0.65, 1e4 / 0.7), resolutionunit="CENTIMETER")
    [sample] = _read(tmp_path, category="nucleus")
    for mask, value in zip(sample.masks, (1, 7, 300), strict=True):
        np.testing.assert_array_equal(mask, _labels() == value)
    for channel in range(3):
        np.testing.assert_allclose(sample.image[..., channel], _stretched(GREY), atol=0.51)
    assert sample.categories == ("nucleus",) * 3
    assert (sample.spacing, sample.spacing_unit) == (pytest.approx((0.7, 0.65)), "um")
    assert (sample.sample_id, sample.group, sample.cut) == ("a", "a", (False,) * 3)
    assert sample.source == str(tmp_path / "images" / "a.tif")


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.int16])
def test_grey_of_any_type_looks_the_same(tmp_path: Path, kind: type) -> None:
    values = (GREY // 16).astype(kind)
    _pair(tmp_path, values)
    [sample] = _read(tmp_path)
    np.testing.assert_allclose(sample.image[..., 0], _stretched(values), atol=0.51)


def test_percentiles_can_be_set_or_8_bits_left_as_they_are(tmp_path: Path) -> None:
    values = (GREY // 16).astype(np.uint8)
    _pair(tmp_path, values)
    wide = Percentile(kind="percentile", low=0, high=100)
    np.testing.assert_allclose(
        _read(tmp_path, intensity=wide)[0].image[..., 0], _stretched(values, low=0, high=100), atol=0.51
    )
    np.testing.assert_array_equal(_read(tmp_path, intensity=None)[0].image[..., 0], values)
    _pair(tmp_path)
    assert "its pixels are uint16, so data.intensity is needed, not null" in _refused(tmp_path, intensity=None)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_8_bit_colour_stays_as_it_is_but_grey_in_three_channels_is_grey(tmp_path: Path, ending: str) -> None:
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    grey = np.repeat((GREY // 32).astype(np.uint8)[..., None], 3, axis=2)
    for name, values in (("colour", COLOUR), ("grey", grey)):
        Image.fromarray(values).save(tmp_path / "images" / f"{name}.{ending}")
        Image.fromarray(_labels()).save(tmp_path / "labels" / f"{name}.png")
    colour, stretched = _read(tmp_path)
    np.testing.assert_array_equal(colour.image, COLOUR)
    np.testing.assert_allclose(stretched.image, _stretched(grey), atol=0.51)
    assert (colour.spacing, colour.spacing_unit) == ((1.0, 1.0), "px")
    [red, _] = _read(tmp_path, channels=[0])
    np.testing.assert_allclose(red.image[..., 2], _stretched(COLOUR[..., 0]), atol=0.51)


def test_channels_are_chosen_by_number_or_name_and_stretched_each(tmp_path: Path) -> None:
    image = np.stack([GREY, GREY[::-1] * 10, GREY[:, ::-1]])
    _pair(tmp_path, image, ome=True, metadata={"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP", "Cy5"]}})
    [sample] = _read(tmp_path, channels=["Cy5", 1])
    np.testing.assert_allclose(sample.image[..., 0], _stretched(image[2]), atol=0.51)
    np.testing.assert_allclose(sample.image[..., 1], _stretched(image[1].astype(float)), atol=0.51)
    assert not sample.image[..., 2].any()
    assert "no channel is chosen, it has 3 (DAPI, GFP, Cy5); set data.channels" in _refused(tmp_path)
    assert "no channel 'RFP'" in _refused(tmp_path, channels=["RFP"])
    _pair(tmp_path, image, metadata={"axes": "CYX"})
    assert "no channel 'DAPI', it has 3, without names" in _refused(tmp_path, channels=["DAPI"])


def _stack_pair(root: Path, labels: Array) -> None:
    _pair(root, STACK, labels, metadata={"axes": "ZCYX"})


def test_every_plane_of_a_stack_is_an_image_of_one_group_in_one_range(tmp_path: Path) -> None:
    labels = np.stack([_labels(), np.zeros_like(_labels()), _labels().T.reshape(40, 60)])
    _tiff(tmp_path / "images" / "a.tif", STACK, metadata={"axes": "ZCYX"})
    _tiff(tmp_path / "labels" / "a.tif", labels, metadata={"axes": "ZYX"})
    [read] = microscopy_source(_settings(tmp_path, z="all", channels=[1]), tmp_path).cases
    case = read()
    first, last = case.samples
    assert (first.sample_id, last.sample_id, first.group, last.group) == ("a/z0000", "a/z0002", "a", "a")
    assert case.empty_images == 1
    low, high = np.percentile(STACK[:, 1], [0.5, 99.5])
    for sample, z in ((first, 0), (last, 2)):
        np.testing.assert_array_equal(sample.masks.any(0), labels[z] > 0)
        expected = np.clip((STACK[z, 1] - low) / (high - low) * 255, 0, 255)
        np.testing.assert_allclose(sample.image[..., 0], expected, atol=0.51)


def _deep_pair(root: Path, planes: int) -> None:
    _tiff(root / "images" / "a.tif", RANDOM.integers(0, 99, (planes, 40, 60), np.uint8), metadata={"axes": "ZYX"})
    _tiff(root / "labels" / "a.tif", np.stack([_labels()] * planes), metadata={"axes": "ZYX"})


def test_blocks_of_planes_are_groups_with_a_gap_between_them(tmp_path: Path) -> None:
    _deep_pair(tmp_path, 12)
    samples = _read(tmp_path, z="all", split_by="block", block_planes=3, block_gap=2)
    planes: dict[str, list[int]] = {}
    for sample in samples:
        planes.setdefault(sample.group, []).append(int(sample.sample_id.removeprefix("a/z")))
    assert planes == {"a/block_000": [0, 1, 2], "a/block_001": [5, 6, 7], "a/block_002": [10, 11]}


@settings(max_examples=50)
@given(planes=st.integers(1, 60), size=st.integers(1, 9), gap=st.integers(1, 9), plane=st.integers(0, 59))
def test_neighbours_within_the_gap_are_never_in_two_groups(planes: int, size: int, gap: int, plane: int) -> None:
    data = MicroscopyData(kind="microscopy", root="x", z="all", split_by="block", block_planes=size, block_gap=gap)
    pictures = [Picture(0, (number,), place=number) for number in range(planes)]
    kept = {picture.place: _group("a", picture, data) for picture in pictures if not _in_gap(picture, data)}
    for number, group in kept.items():
        near = {kept[other] for other in range(number - gap, number + gap + 1) if other in kept}
        assert near == {group}
    assert 0 in kept and len(set(kept.values())) == -(-planes // (size + gap))


def test_one_stack_can_be_split_by_its_blocks(tmp_path: Path) -> None:
    _deep_pair(tmp_path, 20)
    groups = [sample.group for sample in _read(tmp_path, z="all", split_by="block", block_planes=4)]
    splits = split_groups(groups, SplitSettings(), seed=0)
    assert all((splits.train, splits.validation, splits.test))
    with pytest.raises(DataError, match="cannot split"):
        split_groups([sample.group for sample in _read(tmp_path, z="all")], SplitSettings(), seed=0)


def test_one_plane_or_the_projection_of_a_stack_is_one_image(tmp_path: Path) -> None:
    _stack_pair(tmp_path, _labels())
    [plane] = _read(tmp_path, z=2, channels=[0])
    np.testing.assert_allclose(plane.image[..., 0], _stretched(STACK[2, 0]), atol=0.51)
    [greatest] = _read(tmp_path, z="max", channels=[0])
    np.testing.assert_allclose(greatest.image[..., 0], _stretched(STACK[:, 0].max(0)), atol=0.51)
    assert plane.sample_id == greatest.sample_id == "a"
    assert "has 3 places along Z; choose one: data.z=0 to 2" in _refused(tmp_path, channels=[0])
    assert "has labels of one plane, but data.z=all reads 3" in _refused(tmp_path, z="all", channels=[0])
    _tiff(tmp_path / "labels" / "a.tif", np.stack([_labels()] * 3), metadata={"axes": "ZYX"})
    assert "has labels of 3 planes, but data.z=max" in _refused(tmp_path, z="max", channels=[0])


def test_a_time_is_chosen_in_images_and_in_labels_that_have_it(tmp_path: Path) -> None:
    labels = np.stack([np.zeros_like(_labels()), _labels(), np.zeros_like(_labels())])
    _tiff(tmp_path / "images" / "a.tif", STACK[:, 0], imagej=True, compression=None, metadata={"axes": "TYX"})
    _tiff(tmp_path / "labels" / "a.tif", labels, metadata={"axes": "TYX"})
    [sample] = _read(tmp_path, time=1)
    np.testing.assert_allclose(sample.image[..., 0], _stretched(STACK[1, 0]), atol=0.51)
    assert len(sample.masks) == 3
    assert "has 3 places along T; choose one: data.time=0 to 2" in _refused(tmp_path)
    assert "so there is no data.time=3" in _refused(tmp_path, time=3)
    [plane] = _read(tmp_path, axes="ZYX", z=1)  # a stack that calls itself a film
    np.testing.assert_array_equal(plane.image, sample.image)


def test_large_images_are_cut_into_tiles_whose_objects_are_marked(tmp_path: Path) -> None:
    labels = np.zeros((100, 150), dtype=np.uint16)
    labels[40:60, 70:90] = 5  # cut by the tiles that begin at 40 or end at 80
    labels[2:6, 2:6] = 9
    labels[90:93, 140:143] = 11  # 9 pixels: too small
    image = RANDOM.integers(0, 1000, labels.shape, dtype=np.uint16)
    _pair(tmp_path, image, labels)
    settings = {"tile_size": 80, "tile_overlap": 40, "min_object_pixels": 10}
    [read] = microscopy_source(_settings(tmp_path, **settings), tmp_path).cases
    case = read()
    samples = {sample.sample_id: sample for sample in case.samples}
    assert case.small_objects == 1
    assert case.empty_images == 0
    assert sorted(samples) == [f"a/y{top:05d}_x{left:05d}" for top in (0, 20) for left in (0, 40, 70)]
    expected = _stretched(image)
    for name, sample in samples.items():
        top, left = int(name[3:8]), int(name[10:])
        np.testing.assert_allclose(sample.image[..., 0], expected[top : top + 80, left : left + 80], atol=0.51)
        window = labels[top : top + 80, left : left + 80]
        np.testing.assert_array_equal(sample.masks.any(0), np.isin(window, (5, 9)))
        assert sample.cut[0] == (left in (0, 70))
    assert len(samples["a/y00000_x00000"].masks) == 2
    assert {s.sample_id for s in _read(tmp_path, cut_objects="drop", **settings)} == {
        "a/y00000_x00000",  # the whole object in its corner
        "a/y00000_x00040",
        "a/y00020_x00040",
    }


def test_thousands_of_objects_are_never_held_at_once(tmp_path: Path) -> None:
    """All masks of the image as one array would have 5,000 x 1,000,000 pixels."""
    rows, columns = np.mgrid[:1000, :1000]
    labels = np.where((rows % 10 < 8) & (columns % 20 < 16), rows // 10 * 50 + columns // 20 + 1, 0).astype(np.uint16)
    assert labels.max() == 5000
    _pair(tmp_path, labels, labels)
    seen: set[int] = set()
    for sample in _read(tmp_path, tile_size=200, tile_overlap=20):
        assert len(sample.masks) < 300
        top, left = int(sample.sample_id[3:8]), int(sample.sample_id[10:])
        values = [set(labels[top : top + 200, left : left + 200][mask].tolist()) for mask in sample.masks]
        assert all(len(value) == 1 for value in values)
        seen |= set().union(*(v for v, cut in zip(values, sample.cut, strict=True) if not cut))
    assert seen == set(range(1, 5001))


def test_the_layout_of_cellpose_is_read(tmp_path: Path) -> None:
    for name in ("img01", "img 02 \u00e9"):
        _tiff(tmp_path / f"{name}.tif", GREY)
        _tiff(tmp_path / f"{name}_masks.tif", _labels())
        _tiff(tmp_path / f"{name}_flows.tif", np.zeros((40, 60), np.float32))
        (tmp_path / f"{name}_seg.npy").write_bytes(b"never opened")
    samples = _read(tmp_path, image_folder=".", label_folder=".", label_suffix="_masks")
    assert [sample.sample_id for sample in samples] == ["img 02 \u00e9", "img01"]
    assert "holds images and labels; set data.label_suffix" in _refused(tmp_path, image_folder=".", label_folder=".")


def test_numbered_pairs_of_cellpose_are_read(tmp_path: Path) -> None:
    for number in range(2):
        Image.fromarray(COLOUR).save(tmp_path / f"{number:03d}_img.png")
        Image.fromarray(_labels()).save(tmp_path / f"{number:03d}_masks.png")
    suffixes = {"image_suffix": "_img", "label_suffix": "_masks"}
    samples = _read(tmp_path, image_folder=".", label_folder=".", **suffixes)
    assert [sample.sample_id for sample in samples] == ["000", "001"]
    assert all(len(sample.masks) == 3 for sample in samples)


def test_the_layout_of_stardist_is_read(tmp_path: Path) -> None:
    _tiff(tmp_path / "images" / "a.tif", GREY)
    _tiff(tmp_path / "masks" / "a.tif", _labels())
    [sample] = _read(tmp_path, label_folder="masks")
    assert len(sample.masks) == 3


def test_pickled_masks_of_cellpose_are_refused_with_the_remedy(tmp_path: Path) -> None:
    _tiff(tmp_path / "img01.tif", GREY)
    (tmp_path / "img01_seg.npy").write_bytes(b"never opened")
    text = _refused(tmp_path, image_folder=".", label_folder=".", label_suffix="_masks")
    assert "img01_seg.npy: the masks of 1 image are Cellpose's _seg.npy, a Python pickle" in text
    assert "Save masks as PNG/tif, and set data.label_suffix=_cp_masks" in text


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_labels_inside_ome_zarr_are_read(tmp_path: Path, version: Version) -> None:
    (tmp_path / "images").mkdir()
    image = STACK.transpose(1, 0, 2, 3)
    labels = np.stack([_labels()] * 3)
    write_ome_zarr(
        tmp_path / "images" / "a b.ome.zarr",
        image,
        axes="CZYX",
        pixel_size=(0.7, 0.65),
        channel_names=("DAPI", "GFP"),
        labels={"nuclei": labels},
        version=version,
    )
    samples = _read(tmp_path, label_name="nuclei", channels=["GFP"], z="all")
    assert [sample.sample_id for sample in samples] == [f"a b/z{z:04d}" for z in range(3)]
    assert (samples[0].spacing, samples[0].spacing_unit) == (pytest.approx((0.7, 0.65)), "um")
    np.testing.assert_allclose(samples[1].image[..., 0], _stretched(STACK[:, 1])[1], atol=0.51)
    np.testing.assert_array_equal(samples[2].masks[1], _labels() == 7)
    assert "no such labels; the image has: nuclei" in _refused(tmp_path, label_name="cells", channels=[0], z=0)
    missing = microscopy_source(_settings(tmp_path, label_name="cells"), tmp_path)
    assert all(path.is_file() for path in missing.inputs)  # or it is the cache that stumbles, and says something else
    inputs = microscopy_source(_settings(tmp_path, label_name="nuclei"), tmp_path).inputs
    assert set(inputs) == {path for path in (tmp_path / "images").rglob("*") if path.is_file()}


def test_a_missing_chunk_stops_unless_it_is_meant(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    _tiff(tmp_path / "labels" / "a.tif", _labels())
    folder = tmp_path / "images" / "a.zarr"
    write_ome_zarr(folder, GREY, axes="YX", pixel_size=None, channel_names=(), labels={}, version="0.5")
    assert len(_read(tmp_path)) == 1
    (folder / "0" / "c" / "0" / "0").unlink()
    assert "1 of 1 chunks of a plane are missing, the first is c/0/0" in _refused(tmp_path)
    assert not _read(tmp_path, missing_chunks="fill")[0].image.any()


def test_a_label_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    _pair(tmp_path, labels=_labels().T)
    text = _refused(tmp_path)
    assert "shapes differ: image (40, 60), label (60, 40) (rows, columns); both must show the same pixels" in text
    _stack_pair(tmp_path, _labels())
    _tiff(tmp_path / "labels" / "a.tif", np.stack([_labels()] * 2), metadata={"axes": "ZYX"})
    assert "lengths along Z differ: image 3, label 2" in _refused(tmp_path, z=0, channels=[0])


@pytest.mark.parametrize(
    ("labels", "how", "told"),
    [
        (_labels() / 2, {}, "label values are not whole numbers (first: 0.5); store integers"),
        (_labels().astype(np.int16) - 1, {}, "label values start at 0, the least here is -1"),
        (np.where(_labels() > 0, 255, 0).astype(np.uint8), {}, "is a mask of 0 and 255 with several regions"),
        (
            COLOUR,
            {"photometric": "rgb"},
            "a label map has one channel, this one has 3; store label values, not colours",
        ),
        (np.full((40, 60), np.nan, np.float32), {}, "pixels are NaN or infinite"),
    ],
)
def test_maps_that_are_no_instances_are_refused(tmp_path: Path, labels: Array, how: dict[str, Any], told: str) -> None:
    _pair(tmp_path)
    _tiff(tmp_path / "labels" / "a.tif", labels, **how)
    assert told in _refused(tmp_path)


def test_coloured_labels_of_other_formats_are_refused_likewise(tmp_path: Path) -> None:
    _pair(tmp_path)
    (tmp_path / "labels" / "a.tif").unlink()
    Image.fromarray(COLOUR).save(tmp_path / "labels" / "a.png")
    assert "a.png: a label map has one channel, this image is RGB; store label values, not" in _refused(tmp_path)
    Image.fromarray(_labels().astype(np.uint8)).convert("RGBA").save(tmp_path / "labels" / "a.png")  # grey and opaque
    assert len(_read(tmp_path)[0].masks) > 0


def test_whole_floats_are_labels(tmp_path: Path) -> None:
    _pair(tmp_path, labels=_labels().astype(np.float32))
    [sample] = _read(tmp_path)
    np.testing.assert_array_equal(sample.masks[2], _labels() == 300)


def test_a_label_file_as_it_is_written_here_is_read(tmp_path: Path) -> None:
    _pair(tmp_path)
    write_label_tiff(tmp_path / "labels" / "a.tif", _labels(), pixel_size=(0.7, 0.65))
    [sample] = _read(tmp_path)
    assert len(sample.masks) == 3
    assert (sample.spacing, sample.spacing_unit) == (pytest.approx((0.7, 0.65)), "um")  # the image has none


def test_links_in_circles_and_other_files_are_passed_over(tmp_path: Path) -> None:
    _pair(tmp_path)
    images = tmp_path / "images"
    (images / "loop").symlink_to(images)
    (images / ".hidden.tif").write_bytes(b"")
    (images / "notes.txt").write_text("not an image", encoding="utf-8")
    (images / "folder.tif").mkdir()
    assert [sample.sample_id for sample in _read(tmp_path)] == ["a"]


def test_partners_are_found_whatever_the_format_and_named_when_missing(tmp_path: Path) -> None:
    _tiff(tmp_path / "images" / "a.ome.tiff", GREY, ome=True)
    (tmp_path / "labels").mkdir()
    Image.fromarray(_labels()).save(tmp_path / "labels" / "a.png")
    assert len(_read(tmp_path)) == 1
    assert "no label, whose name ends in data.label_suffix=_masks, is in" in _refused(tmp_path, label_suffix="_masks")
    _tiff(tmp_path / "images" / "b.TIF", GREY)
    assert "1 image without a label of the same name: b" in _refused(tmp_path)
    _tiff(tmp_path / "images" / "a.tif", GREY)
    assert "two files are called a: a.ome.tiff and a.tif; keep one" in _refused(tmp_path)


def test_images_of_a_slide_are_one_group(tmp_path: Path) -> None:
    for name in ("s1_f1", "s1_f2", "s2_f1"):
        _pair(tmp_path, name=name)
    assert [sample.group for sample in _read(tmp_path, group_pattern="^(s[0-9]+)_")] == ["s1", "s1", "s2"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"tile_size": 64, "tile_overlap": 64}, "tile_overlap"),
        ({"axes": "ZQX"}, "axes"),
        ({"channels": []}, "channels"),
        ({"channels": [0, 1, 2, 3]}, "channels"),
        ({"z": "min"}, "z"),
        ({"level": -1}, "level"),
        ({"split_by": "block"}, "z or time must be all"),
        ({"split_by": "block", "z": "all", "group_pattern": "^(a)"}, "split_by must be file"),
        ({"split_by": "block", "z": "all", "block_gap": 0}, "block_gap"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        _settings(tmp_path, **changes)


@pytest.mark.shared_data
def test_real_nuclei_are_counted_as_they_are_in_the_files(shared_data: Path) -> None:
    root = shared_data / "microscopy_nuclei"
    samples = _read(root, label_folder="masks", tile_size=1024)
    assert len(samples) == 48
    for sample in samples:
        with Image.open(root / "masks" / f"{sample.sample_id}.tif") as file:
            stored = np.asarray(file)
        assert len(sample.masks) == len(set(stored[stored > 0].tolist()))
        np.testing.assert_array_equal(sample.masks.any(0), stored > 0)


@pytest.mark.shared_data
def test_a_real_stack_is_read_plane_by_plane(shared_data: Path, tmp_path: Path) -> None:
    for folder, name in (("images", "img3d.tif"), ("labels", "mask3d.tif")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "stack.tif").symlink_to(shared_data / "microscopy_3d" / name)
    assert "its axes are QYX (31, 61, 57), which does not say what each one is; set data.axes" in _refused(tmp_path)
    samples = {sample.sample_id: sample for sample in _read(tmp_path, axes="ZYX", z="all")}
    with Image.open(tmp_path / "labels" / "stack.tif") as file:
        for z in range(31):
            file.seek(z)
            stored = np.asarray(file)
            sample = samples.pop(f"stack/z{z:04d}", None)
            assert (sample is None) == (not stored.any())
            if sample is not None:
                assert len(sample.masks) == len(set(stored[stored > 0].tolist()))
                assert sample.group == "stack"
    assert not samples


SHORT = ["trainer.epochs=1", "trainer.min_steps=0", "evaluation.gallery=2", *SMALL_EVALUATION]


@pytest.mark.slow
@pytest.mark.parametrize(
    "data",
    [
        ["data.root=adapt:nuclei"],
        ["data.root=adapt:nuclei_zarr", "data.label_name=nuclei", "data.channels=[DAPI]"],
    ],
)
def test_the_recipe_fits_generated_nuclei_from_one_command(tmp_path: Path, data: list[str]) -> None:
    places = [f"cache={tmp_path}/cache", f"output={tmp_path}/runs"]
    assert main(["fit", "--recipe", "microscopy_nuclei", *data, *places, *SHORT]) == 0
    (folder,) = (tmp_path / "runs" / "microscopy_nuclei").iterdir()
    categories = json.loads((folder / "results.json").read_bytes())["protocols"]["box"]["base"]["categories"]
    assert set(categories) == {"nucleus"}
