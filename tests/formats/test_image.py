"""2D images and label maps of every common kind; size is checked before decoding."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from adapt.errors import DataError
from adapt.formats import decode_image, decode_label_map, read_image, read_label_map

Array = npt.NDArray[Any]

RANDOM = np.random.default_rng(0)
COLOUR = RANDOM.integers(0, 256, (20, 30, 3), dtype=np.uint8)
GREY = COLOUR[..., 0].copy()
LIMIT = 10_000
ORIENTATION = 0x0112  # the EXIF tag


def _save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def _grey3(values: Array) -> Array:
    return np.repeat(values[..., None], 3, axis=2)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_colour_is_read_as_it_is(tmp_path: Path, suffix: str) -> None:
    image = read_image(_save(tmp_path / f"a.{suffix}", Image.fromarray(COLOUR)), max_pixels=LIMIT)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, COLOUR)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_grey_fills_three_channels(tmp_path: Path, suffix: str) -> None:
    image = read_image(_save(tmp_path / f"a.{suffix}", Image.fromarray(GREY)), max_pixels=LIMIT)
    np.testing.assert_array_equal(image, _grey3(GREY))


def test_jpeg_is_near_what_was_stored(tmp_path: Path) -> None:
    smooth = np.stack(np.broadcast_arrays(np.arange(64)[:, None] * 3, np.arange(64) * 3, 90), axis=-1).astype(np.uint8)
    image = read_image(_save(tmp_path / "a.jpg", Image.fromarray(smooth), quality=95), max_pixels=LIMIT)
    assert np.abs(image.astype(int) - smooth).max() <= 8  # lossy, but no channel is swapped


def test_transparency_is_left_out(tmp_path: Path) -> None:
    clear = np.dstack([COLOUR, np.full(GREY.shape, 7, np.uint8)])
    image = read_image(_save(tmp_path / "a.png", Image.fromarray(clear, "RGBA")), max_pixels=LIMIT)
    np.testing.assert_array_equal(image, COLOUR)


def test_a_palette_image_gives_its_colours(tmp_path: Path) -> None:
    indices = np.array([[0, 1], [2, 1]], dtype=np.uint8)
    palette = Image.fromarray(indices, "P")
    palette.putpalette([10, 20, 30, 200, 100, 50, 0, 255, 0])
    image = read_image(_save(tmp_path / "a.png", palette), max_pixels=LIMIT)
    assert image.tolist() == [[[10, 20, 30], [200, 100, 50]], [[0, 255, 0], [200, 100, 50]]]


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    image = read_image(_save(tmp_path / "a.png", Image.fromarray(GREY > 100)), max_pixels=LIMIT)
    np.testing.assert_array_equal(image, _grey3(np.where(GREY > 100, 255, 0)))


@pytest.mark.parametrize(("suffix", "kind"), [("png", np.uint16), ("tif", np.uint16), ("tif", np.float32)])
def test_deep_grey_is_mapped_by_percentiles(tmp_path: Path, suffix: str, kind: type) -> None:
    # 0..1000, so percentiles 0.5 and 99.5 are 5 and 995: a wide range of float or 16 bit uses all of 0..255.
    values = np.random.default_rng(1).permutation(1001).reshape(7, 143).astype(kind)
    image = read_image(_save(tmp_path / f"a.{suffix}", Image.fromarray(values)), max_pixels=LIMIT)
    expected = np.clip((values.astype(float) - 5) / 990 * 255, 0, 255)
    assert np.abs(image[..., 0] - expected).max() <= 0.5 + 1e-4
    np.testing.assert_array_equal(image, _grey3(image[..., 0]))


def test_a_16_bit_image_uses_the_whole_range(tmp_path: Path) -> None:
    # Read as 8 bits by dropping the upper byte, or by clipping, a 12 bit image would be white or noise.
    values = np.linspace(1000, 4000, 400).astype(np.uint16).reshape(20, 20)
    image = read_image(_save(tmp_path / "a.tif", Image.fromarray(values)), max_pixels=LIMIT)[..., 0]
    assert image.min() == 0
    assert image.max() == 255
    assert (np.diff(image.flatten().astype(int)) >= 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_pixels_that_are_not_finite_are_refused(tmp_path: Path, bad: float) -> None:
    values = np.ones((5, 5), dtype=np.float32)
    values[2, 3] = bad
    path = _save(tmp_path / "a.tif", Image.fromarray(values))
    with pytest.raises(DataError, match=r"a\.tif: has NaN or infinite pixels; replace them"):
        read_image(path, max_pixels=LIMIT)


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.swapaxes(0, 1)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: a[::-1, ::-1].swapaxes(0, 1)),
        (8, lambda a: np.rot90(a)),
    ],
)
def test_a_camera_held_upright_is_read_upright(tmp_path: Path, orientation: int, turned: Any) -> None:  # noqa: ANN401
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = _save(tmp_path / "a.png", Image.fromarray(COLOUR), exif=exif)
    np.testing.assert_array_equal(read_image(path, max_pixels=LIMIT), turned(COLOUR))
    labels = _save(tmp_path / "b.png", Image.fromarray(GREY), exif=exif)
    np.testing.assert_array_equal(read_label_map(labels, max_pixels=LIMIT), turned(GREY))


def _png_header(width: int, height: int) -> bytes:
    """A PNG that says it is so large, and holds no pixels: decoding it fails, reading its header does not."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 900)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("read", [read_image, read_label_map])
@pytest.mark.parametrize("side", [11_000, 14_000])  # Pillow itself would warn at the first and refuse the second
def test_a_small_file_of_a_huge_image_is_refused_by_its_header(tmp_path: Path, read: Any, side: int) -> None:  # noqa: ANN401
    path = tmp_path / "bomb.png"
    path.write_bytes(_png_header(side, side))
    assert path.stat().st_size < 1000
    with pytest.raises(
        DataError, match=rf"bomb\.png: {side} x {side} pixels .*max_image_pixels \(100,000,000\); raise it"
    ):
        read(path, max_pixels=100_000_000)


def test_the_limit_can_be_raised_beyond_pillows_own(tmp_path: Path) -> None:
    # Pillow refuses 179 million pixels by itself. The pixels are missing here, so the decoder is what must complain.
    path = tmp_path / "large.png"
    path.write_bytes(_png_header(14_000, 14_000))
    with pytest.raises(DataError, match="truncated"):
        read_image(path, max_pixels=200_000_000)


def _tiff_header(width: int, height: int) -> bytes:
    """A TIFF whose directory says that it is so large, with one strip of a byte."""
    entries = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, height), (279, 1)]
    packed = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<I", 16) + bytes(8) + struct.pack("<H", len(entries)) + packed + bytes(4)


@pytest.mark.parametrize("read", [read_image, read_label_map])
def test_a_small_tiff_of_a_huge_image_is_refused_by_its_header(tmp_path: Path, read: Any) -> None:  # noqa: ANN401
    path = tmp_path / "bomb.tif"
    path.write_bytes(_tiff_header(50_000, 50_000))
    with pytest.raises(DataError, match=r"bomb\.tif: 50000 x 50000 pixels are more than data\.max_image_pixels"):
        read(path, max_pixels=100_000_000)
    with pytest.raises(DataError, match="cannot be read as an image"):  # the same file, once it may be so large
        path.write_bytes(_tiff_header(50, 50))
        read(path, max_pixels=100_000_000)


@pytest.mark.parametrize("read", [decode_image, decode_label_map])
def test_a_bomb_in_bytes_is_refused_by_its_header(read: Any) -> None:  # noqa: ANN401
    with pytest.raises(DataError, match=r"row 3: 14000 x 14000 pixels are more than data\.max_image_pixels"):
        read(_png_header(14_000, 14_000), source="row 3", max_pixels=100_000_000)


def test_bytes_are_read_as_the_file_is(tmp_path: Path) -> None:
    image = _save(tmp_path / "a.png", Image.fromarray(COLOUR))
    labels = _save(tmp_path / "b.tif", Image.fromarray(LABELS.astype(np.uint16)))
    np.testing.assert_array_equal(decode_image(image.read_bytes(), source="row", max_pixels=LIMIT), COLOUR)
    np.testing.assert_array_equal(decode_label_map(labels.read_bytes(), source="row", max_pixels=LIMIT), LABELS)


@pytest.mark.parametrize("content", [b"", b"text", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"GIF89a"])
def test_other_formats_are_refused_whatever_the_file_is_called(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.png: cannot be read as an image \(not PNG, JPEG, TIFF, BMP or WebP\)"):
        read_image(path, max_pixels=LIMIT)


def test_postscript_is_never_run(tmp_path: Path) -> None:
    # Pillow opens this by its content, and would start Ghostscript to draw it.
    path = tmp_path / "a.png"
    Image.fromarray(COLOUR).save(path, "EPS")
    with pytest.raises(DataError, match="cannot be read as an image"):
        read_image(path, max_pixels=LIMIT)


def test_jpeg_labels_are_refused_whatever_the_file_is_called(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(GREY).save(path, "JPEG")
    with pytest.raises(DataError, match=r"a\.png: JPEG changes label values"):
        read_label_map(path, max_pixels=LIMIT)


def test_a_photo_with_a_preview_behind_it_is_read(tmp_path: Path) -> None:
    smooth = Image.fromarray(np.full((20, 30, 3), 90, np.uint8))
    preview = Image.fromarray(np.full((20, 30, 3), 200, np.uint8))
    path = _save(tmp_path / "a.jpg", smooth, format="MPO", save_all=True, append_images=[preview])
    image = read_image(path, max_pixels=LIMIT)
    assert image.shape == (20, 30, 3)
    assert abs(int(image.mean()) - 90) <= 2


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_colour_is_refused_rather_than_cut_to_its_upper_byte(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    assert cv2.imwrite(str(path), COLOUR.astype(np.uint16) * 10)
    with pytest.raises(DataError, match=rf"a\.{suffix}: 16-bit colour would lose its lower byte; convert it to 8"):
        read_image(path, max_pixels=LIMIT)


@pytest.mark.parametrize("name", ["a b.png", "größe 漢字.PNG", "[1] (x).TIFF"])
def test_any_file_name_is_read(tmp_path: Path, name: str) -> None:
    np.testing.assert_array_equal(read_image(_save(tmp_path / name, Image.fromarray(COLOUR)), max_pixels=LIMIT), COLOUR)


def test_a_link_to_itself_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: cannot be read as an image"):
        read_image(tmp_path / "a.png", max_pixels=LIMIT)


def test_an_image_at_the_limit_is_read(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.png", Image.fromarray(GREY))
    assert read_image(path, max_pixels=20 * 30).shape == (20, 30, 3)
    with pytest.raises(DataError, match="30 x 20 pixels"):
        read_image(path, max_pixels=20 * 30 - 1)


@pytest.mark.parametrize("read", [read_image, read_label_map])
def test_a_missing_file_is_named(tmp_path: Path, read: Any) -> None:  # noqa: ANN401
    with pytest.raises(DataError, match=r"gone\.png: no such file"):
        read(tmp_path / "gone.png", max_pixels=LIMIT)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    buffer = io.BytesIO()
    Image.fromarray(COLOUR).save(buffer, {"png": "PNG", "jpg": "JPEG", "tif": "TIFF"}[suffix])
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(buffer.getvalue()[: int(len(buffer.getvalue()) * share)])
    with pytest.raises(DataError, match=rf"a\.{suffix}: cannot be read as an image .*convert it to PNG"):
        read_image(path, max_pixels=LIMIT)


def test_a_tiff_without_dimensions_is_refused(tmp_path: Path) -> None:
    # Little-endian TIFF with a directory of no entry: a valid beginning, then nothing.
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + struct.pack("<HI", 0, 0))
    with pytest.raises(DataError, match=r"a\.tif: cannot be read as an image"):
        read_image(path, max_pixels=LIMIT)


@pytest.mark.parametrize("read", [read_image, read_label_map])
def test_an_image_of_several_pages_is_refused(tmp_path: Path, read: Any) -> None:  # noqa: ANN401
    pages = [Image.fromarray(GREY), Image.fromarray(GREY)]
    path = _save(tmp_path / "a.tif", pages[0], save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match=r"a\.tif: holds 2 images; one 2D image a file is needed"):
        read(path, max_pixels=LIMIT)


LABELS = np.array([[0, 1, 1], [7, 0, 250]])


@pytest.mark.parametrize(
    ("suffix", "kind"), [("png", np.uint8), ("png", np.uint16), ("tif", np.uint16), ("tif", np.int32), ("tif", "f4")]
)
def test_label_values_are_kept(tmp_path: Path, suffix: str, kind: str) -> None:
    path = _save(tmp_path / f"a.{suffix}", Image.fromarray(LABELS.astype(kind)))
    values = read_label_map(path, max_pixels=LIMIT)
    assert np.issubdtype(values.dtype, np.integer)
    np.testing.assert_array_equal(values, LABELS)


def test_many_instances_fit_in_16_bits(tmp_path: Path) -> None:
    labels = np.arange(60_000, dtype=np.uint16).reshape(200, 300)
    path = _save(tmp_path / "a.png", Image.fromarray(labels))
    np.testing.assert_array_equal(read_label_map(path, max_pixels=100_000), labels)


def test_one_bit_labels_are_zero_and_one(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.png", Image.fromarray(LABELS > 0))
    np.testing.assert_array_equal(read_label_map(path, max_pixels=LIMIT), LABELS > 0)


def test_a_palette_label_map_gives_its_indices(tmp_path: Path) -> None:
    # Pascal VOC and Cityscapes store labels like this; the palette's colours say nothing.
    indices = np.array([[0, 1], [2, 1]], dtype=np.uint8)
    palette = Image.fromarray(indices, "P")
    palette.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    values = read_label_map(_save(tmp_path / "a.png", palette), max_pixels=LIMIT)
    np.testing.assert_array_equal(values, indices)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_channels_that_say_the_same_are_one_label_map(tmp_path: Path, mode: str) -> None:
    labels = LABELS.astype(np.uint8)
    path = _save(tmp_path / "a.png", Image.fromarray(labels).convert(mode))
    values = read_label_map(path, max_pixels=LIMIT)
    np.testing.assert_array_equal(values, labels)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_labels_that_may_be_in_the_transparency_are_refused(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(np.zeros((20, 30), np.uint8)).convert(mode)
    image.putalpha(Image.fromarray(GREY))
    with pytest.raises(DataError, match="a label map has one channel"):
        read_label_map(_save(tmp_path / "a.png", image), max_pixels=LIMIT)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_coloured_label_map_is_refused(tmp_path: Path, mode: str) -> None:
    path = _save(tmp_path / "a.png", Image.fromarray(COLOUR).convert(mode))
    with pytest.raises(DataError, match=rf"a\.png: .*one channel, this image is {mode}; store label values"):
        read_label_map(path, max_pixels=LIMIT)


def test_a_coloured_label_map_is_told_with_its_colours_and_the_way_out(tmp_path: Path) -> None:
    colours = np.array([[[0, 0, 0], [128, 0, 0], [0, 128, 0]], [[0, 0, 0], [0, 0, 128], [128, 0, 0]]], dtype=np.uint8)
    path = _save(tmp_path / "a.png", Image.fromarray(colours).convert("RGBA"))
    with pytest.raises(DataError) as caught:
        read_label_map(path, max_pixels=LIMIT)
    assert str(caught.value) == (
        f"{path}: a label map has one channel, this image is RGBA; store label values, not 4 colours: a grey image of "
        "the values, or a palette image whose indices are the values"
    )
    indices = Image.fromarray(colours).quantize(4)  # the way out
    assert len(np.unique(read_label_map(_save(tmp_path / "b.png", indices), max_pixels=LIMIT))) == 4


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("alpha", [0, 254])
def test_labels_that_are_transparent_everywhere_are_refused(tmp_path: Path, mode: str, alpha: int) -> None:
    image = Image.fromarray(LABELS.astype(np.uint8)).convert(mode)
    image.putalpha(alpha)
    with pytest.raises(
        DataError, match=rf"this image is {mode}, of which 6 of 6 pixels are transparent; .* grey image"
    ):
        read_label_map(_save(tmp_path / "a.png", image), max_pixels=LIMIT)


def test_label_values_that_are_not_whole_are_refused(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.tif", Image.fromarray(np.array([[0.0, 0.5]], dtype=np.float32)))
    with pytest.raises(DataError, match=r"a\.tif: label values are not whole numbers \(first: .*\); store integers"):
        read_label_map(path, max_pixels=LIMIT)


def test_negative_label_values_are_refused(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.tif", Image.fromarray(np.array([[0, -3]], dtype=np.int32)))
    with pytest.raises(DataError, match=r"a\.tif: label values start at 0, the least here is -3"):
        read_label_map(path, max_pixels=LIMIT)


def test_a_side_of_16_pixels_is_no_16_bit_colour(tmp_path: Path) -> None:
    for size in ((16, 16), (162, 7)):
        pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "a.png")
        assert np.array_equal(read_image(tmp_path / "a.png", max_pixels=10_000), pixels)
