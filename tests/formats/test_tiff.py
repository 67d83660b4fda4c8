"""TIFF, OME-TIFF and ImageJ TIFF: any plane of any axes, pixel sizes, and labels that other programs read."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from adapt.errors import DataError
from adapt.formats.tiff import open_tiff, write_label_tiff, write_ome_tiff

Array = npt.NDArray[Any]
LIMIT = 10_000_000
SHAPE = (2, 3, 4, 20, 24)  # TZCYX
VALUES = np.random.default_rng(0).integers(0, 4000, SHAPE, dtype=np.uint16)
OME = {
    "PhysicalSizeX": 650.0,
    "PhysicalSizeXUnit": "nm",
    "PhysicalSizeY": 0.7,
    "PhysicalSizeYUnit": "\u00b5m",
    "Channel": {"Name": ["DAPI", "GFP", "Cy5", "BF"]},
}
TAGS = {"resolution": (1e4 / 0.65, 1e4 / 0.7), "resolutionunit": "CENTIMETER"}
same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)


def _write(path: Path, values: Array, **how: object) -> Path:
    tifffile.imwrite(path, values, **({"photometric": "minisblack"} | how))
    return path


def _plane(path: Path, *, axes: str | None = None, **place: int) -> Array:
    with open_tiff(path, max_pixels=LIMIT, axes=axes) as stack:
        return stack.plane(**place).copy()


def _size(path: Path) -> tuple[float, float] | None:
    with open_tiff(path, max_pixels=LIMIT) as stack:
        return stack.pixel_size


def _refused(path: Path, **how: object) -> str:
    with pytest.raises(DataError) as caught, open_tiff(path, **({"max_pixels": LIMIT} | how)) as stack:
        stack.plane()
    return str(caught.value)


@pytest.mark.parametrize(
    "how",
    [
        {"imagej": True},
        {"imagej": True, "compression": "zlib"},
        {"ome": True},
        {"ome": True, "compression": "lzw", "tile": (16, 16)},
        {"ome": True, "byteorder": ">", "bigtiff": True},
        {"compression": "zstd", "predictor": True},
        {},
    ],
)
def test_any_plane_of_a_hyperstack_is_read(tmp_path: Path, how: dict[str, Any]) -> None:
    path = _write(tmp_path / "a b \u00fc.tif", VALUES, metadata={"axes": "TZCYX"}, **how)
    with open_tiff(path, max_pixels=LIMIT) as stack:
        assert (stack.axes, stack.shape, stack.colour) == ("TZCYX", SHAPE, False)
        for time, z, channel in np.ndindex(SHAPE[:3]):
            plane = stack.plane(time=time, z=z, channel=channel)
            assert plane.dtype == np.uint16 and plane.dtype.isnative
            np.testing.assert_array_equal(plane, VALUES[time, z, channel])


@same_folder
@given(
    kind=st.sampled_from([np.uint8, np.uint16, np.int16, np.uint32, np.float32, np.float64, np.bool_]),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 20), st.integers(1, 20)),
    compression=st.sampled_from([None, "zlib"]),
    axis=st.sampled_from("TZC"),
)
def test_values_of_any_type_and_shape_come_back(
    tmp_path: Path, kind: type, shape: tuple[int, ...], compression: str | None, axis: str
) -> None:
    values = np.random.default_rng(1).integers(0, 2, shape).astype(kind)
    path = _write(tmp_path / "a.tif", values, compression=compression, metadata={"axes": f"{axis}YX"})
    place = {"T": "time", "Z": "z", "C": "channel"}[axis]
    for index in range(shape[0]):
        plane = _plane(path, **{place: index})
        assert plane.dtype == kind
        np.testing.assert_array_equal(plane, values[index])


def test_only_the_wanted_page_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _write(tmp_path / "a.tif", VALUES[0, :, 0], compression="zlib", metadata={"axes": "ZYX"})
    decoded = []
    real = tifffile.TiffFrame.asarray
    monkeypatch.setattr(
        tifffile.TiffFrame, "asarray", lambda page, **how: (decoded.append(page.index), real(page, **how))[1]
    )
    np.testing.assert_array_equal(_plane(path, z=2), VALUES[0, 2, 0])
    assert decoded == [2]


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("samples", [3, 4])
def test_colours_are_channels(tmp_path: Path, planar: str, samples: int) -> None:
    values = np.random.default_rng(0).integers(0, 256, (20, 24, samples), dtype=np.uint8)
    stored = values if planar == "contig" else values.transpose(2, 0, 1).copy()
    extra = {"extrasamples": ["unassalpha"]} if samples == 4 else {}
    path = _write(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar, compression="zlib", **extra)
    with open_tiff(path, max_pixels=LIMIT) as stack:
        assert stack.colour
        for channel in range(samples):
            np.testing.assert_array_equal(stack.plane(channel=channel), values[..., channel])


def test_axes_can_be_named_where_the_file_does_not(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.tif", VALUES[0, :, 0], metadata=None)
    assert "its axes are IYX (3, 20, 24), which does not say what each one is; set data.axes" in _refused(path)
    np.testing.assert_array_equal(_plane(path, axes="ZYX", z=1), VALUES[0, 1, 0])
    np.testing.assert_array_equal(_plane(path, axes="CYX", channel=1), VALUES[0, 1, 0])
    assert "data.axes=YX has 2 letters; give 3" in _refused(path, axes="YX")


def test_labels_take_the_axes_of_the_image_without_channels(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.tif", VALUES[0, :, 0], metadata=None)
    for axes in ("ZYX", "ZCYX", "CZYX"):
        with open_tiff(path, max_pixels=LIMIT, axes=axes, labels=True) as stack:
            assert stack.axes == "ZYX"
    flat = _write(tmp_path / "b.tif", VALUES[0, 0, 0])
    with open_tiff(flat, max_pixels=LIMIT, axes="ZYX", labels=True) as stack:
        assert stack.axes == "YX"


@pytest.mark.parametrize("unit", ["um", "micron", "\\u00B5m"])
def test_the_pixel_size_of_imagej_is_read(tmp_path: Path, unit: str) -> None:
    plane = VALUES[0, 0, 0]
    path = _write(
        tmp_path / "a.tif", plane, imagej=True, resolution=(1 / 0.65, 1 / 0.7), metadata={"unit": unit, "axes": "YX"}
    )
    assert _size(path) == pytest.approx((0.7, 0.65), rel=1e-5)


def test_the_pixel_size_and_channels_of_ome_are_read(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.ome.tif", VALUES, metadata={"axes": "TZCYX", **OME})
    with open_tiff(path, max_pixels=LIMIT) as stack:
        assert stack.pixel_size == pytest.approx((0.7, 0.65))
        assert stack.channel_names == ("DAPI", "GFP", "Cy5", "BF")


def test_the_pixel_size_of_resolution_tags_is_read_unless_it_is_that_of_a_screen(tmp_path: Path) -> None:
    plane = VALUES[0, 0, 0]
    assert _size(_write(tmp_path / "a.tif", plane, **TAGS)) == pytest.approx((0.7, 0.65))
    inches = {"resolution": (25_400 / 0.65, 25_400 / 0.7), "resolutionunit": "INCH"}
    assert _size(_write(tmp_path / "b.tif", plane, **inches)) == pytest.approx((0.7, 0.65))
    for dots in (72, 96, 300, 1200):
        assert _size(_write(tmp_path / "c.tif", plane, resolution=(dots, dots), resolutionunit="INCH")) is None
    assert _size(_write(tmp_path / "d.tif", plane)) is None


def test_pixels_of_imagej_without_a_length_have_no_size(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.tif", VALUES[0, 0, 0], imagej=True, resolution=(2, 2), metadata={"unit": "pixel"})
    assert _size(path) is None


@pytest.mark.parametrize("unit", ["pixel", "reference frame"])
def test_ome_units_that_are_no_length_give_no_size(tmp_path: Path, unit: str) -> None:
    metadata = {"axes": "YX", "PhysicalSizeX": 1.0, "PhysicalSizeXUnit": unit, "PhysicalSizeY": 1.0}
    assert _size(_write(tmp_path / "a.ome.tif", VALUES[0, 0, 0], metadata=metadata)) is None


def _claim(path: Path, *, width: int, height: int) -> Path:
    """A TIFF of 8 pixels whose header says another size."""
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    entries += [(273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, width * height % 2**32)]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    path.write_bytes(b"II*\0" + struct.pack("<I", 16) + bytes(8) + directory + bytes(4))
    return path


def test_a_header_that_claims_too_much_is_refused_before_decoding(tmp_path: Path) -> None:
    path = _claim(tmp_path / "a.tif", width=200_000, height=200_000)
    assert path.stat().st_size < 200
    text = _refused(path, max_pixels=100_000_000)
    assert "200000 x 200000 pixels are more than data.max_image_pixels (100,000,000)" in text


def test_a_size_that_the_file_does_not_hold_is_told(tmp_path: Path) -> None:
    assert "a.tif: " in _refused(_claim(tmp_path / "a.tif", width=3000, height=3000))


@pytest.mark.parametrize(
    "how", [{"imagej": True}, {"ome": True, "compression": "zlib"}, {"metadata": None}, {"compression": "lzw"}]
)
def test_a_file_cut_anywhere_is_refused_or_read_whole(tmp_path: Path, how: dict[str, Any]) -> None:
    whole = _write(tmp_path / "whole.tif", VALUES[0, :, 0], **({"metadata": {"axes": "ZYX"}} | how))
    content = whole.read_bytes()
    path = tmp_path / "cut.tif"
    refused = 0
    for length in range(0, len(content), len(content) // 40):
        path.write_bytes(content[:length])
        try:
            with open_tiff(path, max_pixels=LIMIT, axes="ZYX") as stack:
                assert stack.length("Z") == 3
                for z in range(3):
                    np.testing.assert_array_equal(stack.plane(z=z), VALUES[0, z, 0])
        except DataError as error:
            assert "cut.tif" in str(error)
            refused += 1
    assert refused >= 20


@pytest.mark.parametrize("content", [b"", b"II*\0", b"not a picture at all", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_tiff_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tif").write_bytes(content)
    assert "a.tif: cannot be read as TIFF" in _refused(tmp_path / "a.tif")
    assert "none.tif: no such file" in _refused(tmp_path / "none.tif")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(tmp_path: Path, bad: float) -> None:
    values = np.zeros((20, 24), dtype=np.float32)
    values[3, 3] = bad
    assert "1 of 480 pixels are NaN or infinite" in _refused(_write(tmp_path / "a.tif", values))


def test_complex_values_and_several_images_are_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.tif", np.zeros((20, 24), dtype=np.complex64))
    assert "its pixels are complex64, not one real number each" in _refused(path)
    with tifffile.TiffWriter(tmp_path / "b.tif") as writer:
        writer.write(np.zeros((20, 24), np.uint8))
        writer.write(np.zeros((30, 24), np.uint8))
    assert "b.tif: holds 2 images; save each as a file of its own" in _refused(tmp_path / "b.tif")


def test_planes_in_other_files_are_not_read_as_black(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.ome.tif", VALUES[0, :, 0], metadata={"axes": "ZYX"})
    content = path.read_bytes()
    assert content.count(b'PlaneCount="3"') == 1
    path.write_bytes(content.replace(b'PlaneCount="3"', b'PlaneCount="2"'))
    assert "planes are missing, or lie in other files; save the image as one file" in _refused(path)


def test_nothing_of_tifffile_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content = _write(tmp_path / "a.tif", VALUES, imagej=True, metadata={"axes": "TZCYX"}).read_bytes()
    (tmp_path / "a.tif").write_bytes(content[:1000])
    assert "a.tif" in _refused(tmp_path / "a.tif")
    assert capfd.readouterr() == ("", "")


@same_folder
@given(
    greatest=st.sampled_from([0, 1, 255, 256, 65_535, 65_536, 2**32 - 1]),
    shape=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    size=st.none() | st.tuples(st.floats(0.01, 15), st.floats(0.01, 15)),
)
def test_written_labels_are_read_by_pillow_and_here(
    tmp_path: Path, greatest: int, shape: tuple[int, int], size: tuple[float, float] | None
) -> None:
    labels = np.random.default_rng(2).integers(0, greatest, shape, dtype=np.int64, endpoint=True)
    labels[0, 0] = greatest
    path = tmp_path / "labels.tif"
    write_label_tiff(path, labels, pixel_size=size)
    with Image.open(path) as image:
        stored = np.asarray(image)
        dots = image.info.get("dpi")
    kind = np.uint8 if greatest < 256 else np.uint16 if greatest < 65_536 else np.uint32
    np.testing.assert_array_equal(stored.astype(np.int64) % 2**32, labels)  # Pillow shows uint32 as int32
    if size is not None:
        assert dots == pytest.approx((25_400 / size[1], 25_400 / size[0]), rel=1e-4)
    with open_tiff(path, max_pixels=LIMIT) as stack:
        assert stack.dtype == kind
        np.testing.assert_array_equal(stack.plane(), labels)
        assert stack.pixel_size == (None if size is None else pytest.approx(size, rel=1e-6))
    assert [found.name for found in tmp_path.iterdir()] == ["labels.tif"]


def test_written_labels_have_their_size_in_itk_and_the_tags_that_imagej_reads(tmp_path: Path) -> None:
    labels = VALUES[0, :, 0]
    write_label_tiff(tmp_path / "a.tif", labels, pixel_size=(0.7, 0.65))
    image = sitk.ReadImage(str(tmp_path / "a.tif"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), labels)
    assert image.GetSpacing()[:2] == pytest.approx((0.65e-3, 0.7e-3), rel=1e-4)  # mm
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages[0].resolutionunit == 3  # centimetres; ImageJ turns up to 10 um into micrometres
        assert file.pages[0].compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert file.series[0].axes == "ZYX"


def test_labels_of_a_time_series_have_a_time_axis(tmp_path: Path) -> None:
    labels = VALUES[0, :, 0]
    write_label_tiff(tmp_path / "a.tif", labels, pixel_size=None, stacked="T")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.series[0].axes == "TYX"
    with open_tiff(tmp_path / "a.tif", max_pixels=LIMIT) as stack:
        assert stack.length("T") == len(labels)
        np.testing.assert_array_equal(stack.plane(time=1), labels[1])


@pytest.mark.parametrize("value", [-1, 2**32])
def test_labels_that_do_not_fit_are_refused(tmp_path: Path, value: int) -> None:
    with pytest.raises(DataError, match="do not fit 32 bits"):
        write_label_tiff(tmp_path / "a.tif", np.full((2, 2), value, dtype=np.int64), pixel_size=None)
    assert list(tmp_path.iterdir()) == []


def test_written_images_are_the_same_bytes_again(tmp_path: Path) -> None:
    for name in ("a.ome.tif", "b.ome.tif"):
        names = ("one", "two", "three", "four")
        write_ome_tiff(tmp_path / name, VALUES[0], axes="ZCYX", pixel_size=(0.7, 0.65), channel_names=names)
    assert (tmp_path / "a.ome.tif").read_bytes() == (tmp_path / "b.ome.tif").read_bytes()
    with open_tiff(tmp_path / "a.ome.tif", max_pixels=LIMIT) as stack:
        assert (stack.axes, stack.channel_names) == ("ZCYX", ("one", "two", "three", "four"))
        assert stack.pixel_size == pytest.approx((0.7, 0.65))
        np.testing.assert_array_equal(stack.plane(z=2, channel=3), VALUES[0, 2, 3])


@pytest.mark.parametrize("kind", ["ome", "imagej"])
def test_metadata_of_other_pages_are_refused_and_not_passed_over(tmp_path: Path, kind: str) -> None:
    path = _write(tmp_path / "a.tif", VALUES[0, :, 0], metadata={"axes": "ZYX"}, compression="zlib", **{kind: True})
    content = path.read_bytes()
    was, now = (b'SizeX="24"', b'SizeX="42"') if kind == "ome" else (b"slices=3", b"slices=0")
    assert content.count(was) == 1
    path.write_bytes(content.replace(was, now))
    assert f"its {'OME' if kind == 'ome' else 'ImageJ'} metadata do not fit its pages" in _refused(path)
