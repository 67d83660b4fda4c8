"""OME-Zarr 0.4 and 0.5: what is written follows the specification, and only what is there is read."""

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import numpy.typing as npt
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapt.errors import DataError, RunError
from adapt.formats.ome_zarr import open_ome_zarr, open_ome_zarr_labels
from adapt.formats.ome_zarr_writer import CHUNK, Version, write_ome_zarr

Array = npt.NDArray[Any]
LIMIT = 10_000_000
VERSIONS: tuple[Version, ...] = ("0.4", "0.5")
IMAGE = np.random.default_rng(0).integers(1, 4000, (2, 3, 20, 300), dtype=np.uint16)  # CZYX, two chunks along X
LABELS = np.random.default_rng(1).integers(0, 9, (3, 20, 300), dtype=np.uint16)
same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12)


def _write(folder: Path, version: Version = "0.5", **changes: object) -> Path:
    how: dict[str, Any] = {"axes": "CZYX", "pixel_size": (0.7, 0.65), "channel_names": ("DAPI", "GFP")}
    write_ome_zarr(folder, IMAGE, **(how | {"labels": {"nuclei": LABELS}, "version": version} | changes))
    return folder


def _metadata_file(folder: Path, version: Version) -> Path:
    return folder / (".zattrs" if version == "0.4" else "zarr.json")


def _attributes(folder: Path, version: Version) -> dict[str, Any]:
    """What the file says, read as JSON."""
    content = json.loads(_metadata_file(folder, version).read_text(encoding="utf-8"))
    return content if version == "0.4" else content["attributes"]["ome"]


def _change(folder: Path, stored_as: Version, /, **changes: object) -> None:
    """Change the first multiscale of the metadata."""
    path = _metadata_file(folder, stored_as)
    content = json.loads(path.read_text(encoding="utf-8"))
    holder = content if stored_as == "0.4" else content["attributes"]["ome"]
    holder["multiscales"][0] |= changes
    path.write_text(json.dumps(content), encoding="utf-8")


def _refused(folder: Path, **how: object) -> str:
    with pytest.raises(DataError) as caught:
        open_ome_zarr(folder, **({"level": 0, "max_pixels": LIMIT} | how)).plane()
    return str(caught.value)


@pytest.mark.parametrize("version", VERSIONS)
def test_planes_names_and_sizes_come_back(tmp_path: Path, version: Version) -> None:
    folder = _write(tmp_path / "a b \u00fc.ome.zarr", version)
    stack = open_ome_zarr(folder, level=0, max_pixels=LIMIT)
    assert (stack.axes, stack.shape, stack.channel_names) == ("CZYX", IMAGE.shape, ("DAPI", "GFP"))
    assert stack.pixel_size == pytest.approx((0.7, 0.65))
    labels = open_ome_zarr_labels(folder / "labels" / "nuclei", size=(20, 300), max_pixels=LIMIT)
    assert (labels.axes, labels.pixel_size) == ("ZYX", pytest.approx((0.7, 0.65)))
    for z in range(3):
        np.testing.assert_array_equal(stack.plane(z=z, channel=1), IMAGE[1, z])
        np.testing.assert_array_equal(labels.plane(z=z), LABELS[z])
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_written_has_the_fields_of_the_specification(tmp_path: Path, version: Version) -> None:
    folder = _write(tmp_path / "a.ome.zarr", version)
    attributes = _attributes(folder, version)
    [multiscale] = attributes["multiscales"]
    assert (multiscale if version == "0.4" else attributes)["version"] == version
    assert multiscale["axes"] == [
        {"name": "c", "type": "channel"},
        {"name": "z", "type": "space"},
        {"name": "y", "type": "space", "unit": "micrometer"},
        {"name": "x", "type": "space", "unit": "micrometer"},
    ]
    scale = [{"type": "scale", "scale": [1.0, 1.0, 0.7, 0.65]}]
    assert multiscale["datasets"] == [{"path": "0", "coordinateTransformations": scale}]
    for channel in attributes["omero"]["channels"]:
        assert {"label", "color"} <= set(channel) and set(channel["window"]) == {"min", "max", "start", "end"}
    assert _attributes(folder / "labels", version)["labels"] == ["nuclei"]
    label = _attributes(folder / "labels" / "nuclei", version)
    assert label["image-label"]["source"] == {"image": "../../"}
    assert label["multiscales"][0]["datasets"][0]["path"] == "0"


def test_chunks_of_zarr_2_hold_the_values_at_the_places_of_the_specification(tmp_path: Path) -> None:
    folder = _write(tmp_path / "a.ome.zarr", "0.4")
    about = json.loads((folder / "0" / ".zarray").read_text(encoding="utf-8"))
    assert (about["zarr_format"], about["dimension_separator"], about["chunks"]) == (2, "/", [1, 1, 20, CHUNK])
    codec = numcodecs.get_codec(about["compressor"])
    decoded = np.frombuffer(codec.decode((folder / "0/1/2/0/1").read_bytes()), dtype=about["dtype"])
    np.testing.assert_array_equal(decoded.reshape(1, 1, 20, CHUNK)[0, 0, :, : 300 - CHUNK], IMAGE[1, 2, :, CHUNK:])


def test_chunks_of_zarr_3_hold_the_values_at_the_places_of_the_specification(tmp_path: Path) -> None:
    folder = _write(tmp_path / "a.ome.zarr", "0.5")
    about = json.loads((folder / "0" / "zarr.json").read_text(encoding="utf-8"))
    assert (about["zarr_format"], about["dimension_names"]) == (3, ["c", "z", "y", "x"])
    assert about["chunk_key_encoding"] == {"name": "default", "configuration": {"separator": "/"}}
    assert [codec["name"] for codec in about["codecs"]] == ["bytes", "zstd"]
    stored = numcodecs.Zstd().decode((folder / "0/c/1/2/0/1").read_bytes())
    decoded = np.frombuffer(stored, dtype="<u2").reshape(20, CHUNK)
    np.testing.assert_array_equal(decoded[:, : 300 - CHUNK], IMAGE[1, 2, :, CHUNK:])


@same_folder
@given(
    kind=st.sampled_from([np.uint8, np.uint16, np.int32, np.float32, np.bool_]),
    axes=st.sampled_from(["YX", "ZYX", "CYX", "TCZYX"]),
    version=st.sampled_from(VERSIONS),
    data=st.data(),
)
def test_images_of_any_type_and_shape_come_back(
    tmp_path: Path, kind: type, axes: str, version: Version, data: st.DataObject
) -> None:
    shape = tuple(data.draw(st.integers(1, 4)) for _ in axes)
    values = np.random.default_rng(3).integers(0, 2, shape).astype(kind)
    folder = tmp_path / "a.zarr"
    shutil.rmtree(folder, ignore_errors=True)
    write_ome_zarr(folder, values, axes=axes, pixel_size=None, channel_names=(), labels={}, version=version)
    stack = open_ome_zarr(folder, level=0, max_pixels=LIMIT)
    assert (stack.dtype, stack.pixel_size, stack.channel_names) == (np.dtype(kind), None, ())
    last = {
        name: size - 1
        for axis, name, size in zip("TZC", ("time", "z", "channel"), map(stack.length, "TZC"), strict=True)
    }
    place = tuple(length - 1 for length in shape[:-2])
    np.testing.assert_array_equal(stack.plane(**last), values[place])
    assert len(axes) == values.ndim


@pytest.mark.parametrize("version", VERSIONS)
def test_a_missing_chunk_of_an_image_is_named(tmp_path: Path, version: Version) -> None:
    folder = _write(tmp_path / "a.ome.zarr", version)
    key = "0/1/0/1" if version == "0.4" else "c/0/1/0/1"
    (folder / "0" / key).unlink()
    stack = open_ome_zarr(folder, level=0, max_pixels=LIMIT)
    np.testing.assert_array_equal(stack.plane(z=0), IMAGE[0, 0])  # its chunks are there
    with pytest.raises(DataError) as caught:
        stack.plane(z=1)
    assert f"1 of 2 chunks of a plane are missing, the first is {key}; zarr would show them empty" in str(caught.value)
    filled = open_ome_zarr(folder, level=0, max_pixels=LIMIT, fill_missing=True).plane(z=1)
    np.testing.assert_array_equal(filled[:, :CHUNK], IMAGE[0, 1, :, :CHUNK])
    assert (filled[:, CHUNK:] == 0).all()


@pytest.mark.parametrize("version", VERSIONS)
def test_an_image_of_metadata_alone_is_refused(tmp_path: Path, version: Version) -> None:
    folder = _write(tmp_path / "a.ome.zarr", version)
    for path in (folder / "0").iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    assert "2 of 2 chunks of a plane are missing" in _refused(folder)


@pytest.mark.parametrize("version", VERSIONS)
def test_missing_chunks_of_labels_are_background(tmp_path: Path, version: Version) -> None:
    folder = _write(tmp_path / "a.ome.zarr", version)
    key = "0/1/0/1" if version == "0.4" else "0/c/1/0/1"
    (folder / "labels" / "nuclei" / key).unlink()
    plane = open_ome_zarr_labels(folder / "labels" / "nuclei", size=(20, 300), max_pixels=LIMIT).plane(z=1)
    np.testing.assert_array_equal(plane[:, :CHUNK], LABELS[1, :, :CHUNK])
    assert (plane[:, CHUNK:] == 0).all()


def test_empty_regions_are_written_so_that_they_can_be_told_from_a_loss(tmp_path: Path) -> None:
    empty = np.zeros((20, 300), np.uint8)
    for version in VERSIONS:
        folder = tmp_path / f"{version}.zarr"
        write_ome_zarr(folder, empty, axes="YX", pixel_size=None, channel_names=(), labels={}, version=version)
        assert not open_ome_zarr(folder, level=0, max_pixels=LIMIT).plane().any()


def test_a_shard_is_one_file_of_many_chunks(tmp_path: Path) -> None:
    folder = _write(tmp_path / "a.ome.zarr")
    group = zarr.open_group(folder, mode="a")
    del group["0"]
    group.create_array("0", data=IMAGE, chunks=(1, 1, 10, 50), shards=(1, 1, 20, 150))
    stack = open_ome_zarr(folder, level=0, max_pixels=LIMIT)
    np.testing.assert_array_equal(stack.plane(z=2, channel=1), IMAGE[1, 2])
    (folder / "0/c/1/2/0/1").unlink()
    with pytest.raises(DataError, match=r"1 of 2 chunks of a plane are missing, the first is c/1/2/0/1"):
        stack.plane(z=2, channel=1)


def _add_level(folder: Path, version: Version) -> None:
    """A second level of half the size, in image and labels."""
    for place, values in ((folder, IMAGE), (folder / "labels" / "nuclei", LABELS)):
        half = values[..., ::2, ::2]
        zarr.open_group(place, mode="a").create_array("1", data=half, config={"write_empty_chunks": True})
        multiscale = _attributes(place, version)["multiscales"][0]
        scale = multiscale["datasets"][0]["coordinateTransformations"][0]["scale"]
        doubled = [*scale[:-2], 2 * scale[-2], 2 * scale[-1]]
        coarse = {"path": "1", "coordinateTransformations": [{"type": "scale", "scale": doubled}]}
        _change(place, version, datasets=[*multiscale["datasets"], coarse])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_coarser_level_has_larger_pixels_and_its_own_labels(tmp_path: Path, version: Version) -> None:
    folder = _write(tmp_path / "a.ome.zarr", version)
    _add_level(folder, version)
    stack = open_ome_zarr(folder, level=1, max_pixels=LIMIT)
    assert stack.pixel_size == pytest.approx((1.4, 1.3))
    np.testing.assert_array_equal(stack.plane(z=1, channel=1), IMAGE[1, 1, ::2, ::2])
    labels = open_ome_zarr_labels(folder / "labels" / "nuclei", size=stack.size, max_pixels=LIMIT)
    np.testing.assert_array_equal(labels.plane(z=1), LABELS[1, ::2, ::2])
    assert "has 2 levels; set data.level=0 to 1" in _refused(folder, level=2)
    with pytest.raises(DataError, match=r"image \(7, 7\), label \(20, 300\), \(10, 150\)"):
        open_ome_zarr_labels(folder / "labels" / "nuclei", size=(7, 7), max_pixels=LIMIT)


@pytest.mark.parametrize("version", VERSIONS)
def test_scales_of_all_levels_and_units_are_used(tmp_path: Path, version: Version) -> None:
    folder = _write(tmp_path / "a.ome.zarr", version)
    axes = [{"name": name, "type": "space", "unit": "nanometer"} for name in "zyx"]
    axes.insert(0, {"name": "c", "type": "channel"})
    whole = [{"type": "scale", "scale": [1, 1, 1000, 2000]}, {"type": "translation", "translation": [0, 0, 5, 5]}]
    _change(folder, version, axes=axes, coordinateTransformations=whole)
    assert open_ome_zarr(folder, level=0, max_pixels=LIMIT).pixel_size == pytest.approx((0.7, 1.3))
    for axis in axes:
        axis.pop("unit", None)
    _change(folder, version, axes=axes)
    assert open_ome_zarr(folder, level=0, max_pixels=LIMIT).pixel_size is None


@pytest.mark.parametrize("version", VERSIONS)
def test_metadata_that_do_not_fit_are_told(tmp_path: Path, version: Version) -> None:
    folder = _write(tmp_path / "a.ome.zarr", version)
    _change(folder, version, axes=[{"name": name, "type": "space"} for name in "yx"])
    assert "names 2 axes for an array of 4" in _refused(folder)
    _change(folder, version, axes=[{"name": name} for name in ("c", "depth", "y", "x")])
    assert "its axes are C?YX (2, 3, 20, 300), which does not say" in _refused(folder)
    np.testing.assert_array_equal(
        open_ome_zarr(folder, level=0, max_pixels=LIMIT, axes="CZYX").plane(z=2, channel=1), IMAGE[1, 2]
    )
    _change(folder, version, datasets=[{"path": "9"}])
    assert "cannot be read as OME-Zarr" in _refused(folder)


def test_what_is_no_image_is_told(tmp_path: Path) -> None:
    assert "none.zarr: no such folder" in _refused(tmp_path / "none.zarr")
    (tmp_path / "empty.zarr").mkdir()
    assert "empty.zarr: cannot be read as OME-Zarr" in _refused(tmp_path / "empty.zarr")
    zarr.open_group(tmp_path / "plate.zarr", mode="w", attributes={"ome": {"version": "0.5", "plate": {}}})
    assert "holds no image (multiscales); of a plate or a collection" in _refused(tmp_path / "plate.zarr")
    (tmp_path / "loop.zarr").symlink_to(tmp_path / "loop.zarr")
    assert "loop.zarr: no such folder" in _refused(tmp_path / "loop.zarr")


def test_other_versions_are_told(tmp_path: Path) -> None:
    folder = _write(tmp_path / "a.ome.zarr", "0.4")
    _change(folder, "0.4", version="0.3")
    assert "is OME-Zarr 0.3; 0.4 and 0.5 are read" in _refused(folder)


def test_labels_that_are_not_there_are_told_with_the_others(tmp_path: Path) -> None:
    folder = _write(tmp_path / "a.ome.zarr")
    with pytest.raises(DataError, match=r"labels/cells: no such labels; the image has: nuclei\. Set data.label_name"):
        open_ome_zarr_labels(folder / "labels" / "cells", size=(20, 300), max_pixels=LIMIT)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_claimed_size_is_refused_before_anything_is_read(tmp_path: Path, version: Version) -> None:
    folder = _write(tmp_path / "a.ome.zarr", version)
    path = folder / "0" / (".zarray" if version == "0.4" else "zarr.json")
    about = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(about | {"shape": [2, 3, 200_000, 200_000]}), encoding="utf-8")
    assert "200000 x 200000 pixels are more than data.max_image_pixels (10,000,000)" in _refused(folder)
    large = [1, 1, 200_000, 200_000]
    grid = (
        {"chunks": large}
        if version == "0.4"
        else {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": large}}}
    )
    path.write_text(json.dumps(about | grid), encoding="utf-8")
    assert "is stored in blocks of 40,000,000,000 values" in _refused(folder)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("codec", ["blosc", "zstd", "gzip"])
def test_a_chunk_cut_anywhere_is_refused(tmp_path: Path, version: Version, codec: str) -> None:
    folder = _write(tmp_path / "a.ome.zarr", version)
    group = zarr.open_group(folder, mode="a")
    del group["0"]
    codecs = {
        "0.4": {"blosc": numcodecs.Blosc(), "zstd": numcodecs.Zstd(), "gzip": numcodecs.GZip()},
        "0.5": {"blosc": zarr.codecs.BloscCodec(), "zstd": zarr.codecs.ZstdCodec(), "gzip": zarr.codecs.GzipCodec()},
    }
    group.create_array("0", data=IMAGE, chunks=IMAGE.shape, compressors=codecs[version][codec])
    np.testing.assert_array_equal(open_ome_zarr(folder, level=0, max_pixels=LIMIT).plane(), IMAGE[0, 0])
    chunk = folder / "0" / ("0.0.0.0" if version == "0.4" else "c/0/0/0/0")
    content = chunk.read_bytes()
    for length in range(0, len(content), len(content) // 10):
        chunk.write_bytes(content[:length])
        assert "copy" in _refused(folder)


class _Program:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (os.environ["ADAPT_TEST_TRACE"],)


@pytest.mark.parametrize("place", ["compressor", "filters"])
def test_pickles_are_refused_and_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setenv("ADAPT_TEST_TRACE", str(tmp_path / "trace"))
    folder = _write(tmp_path / "a.ome.zarr", "0.4")
    path = folder / "0" / ".zarray"
    about = json.loads(path.read_text(encoding="utf-8"))
    codec = {"id": "pickle", "protocol": 5}
    about |= {"compressor": None, "filters": None} | {place: codec if place == "compressor" else [codec]}
    path.write_text(json.dumps(about), encoding="utf-8")
    for chunk in (folder / "0").rglob("*"):
        if chunk.is_file() and not chunk.name.startswith("."):
            chunk.write_bytes(pickle.dumps(_Program()))
    assert "a.ome.zarr: cannot be read as OME-Zarr" in _refused(folder)  # by zarr itself, from 3.1 on
    assert not (tmp_path / "trace").exists()


def test_nothing_is_left_of_an_image_that_cannot_be_written(tmp_path: Path) -> None:
    folder = _write(tmp_path / "a.ome.zarr")
    with pytest.raises(RunError, match="is there already"):
        _write(folder)
    with pytest.raises(ValueError, match="axes must be 4 of TCZYX in this order, are ZCYX"):
        _write(tmp_path / "b.ome.zarr", axes="ZCYX")
    with pytest.raises(RunError, match="cannot be written"):
        _write(tmp_path / "none" / "b.ome.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["a.ome.zarr"]
