"""2D images and label maps by Pillow, from files or bytes. The header's size is checked before decoding.

Transparency is left out, as the processors of pretrained models do: the colours that are stored count.
"""

from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from adapt.errors import NO_FILE, DataError
from adapt.formats.intensity import label_values, percentile_range, to_uint8
from adapt.wording import counted

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
"""What is decoded, whatever a file is called; Pillow would start other programs for some of the rest."""
LOSSY = ("JPEG", "MPO")
OPAQUE = 255
DEEP_MODES = ("I;16", "I;16B", "I;16L", "I", "F")
PERCENTILES = (0.5, 99.5)


def read_image(path: Path, *, max_pixels: int) -> npt.NDArray[np.uint8]:
    """An image file as (H, W, 3) uint8; see `decode_image`.

    Raises:
        DataError: missing, unreadable, too large, or with NaN or infinite pixels.
    """
    return _colours(_open(path, str(path), max_pixels), str(path))


def decode_image(content: bytes, *, source: str, max_pixels: int) -> npt.NDArray[np.uint8]:
    """The bytes of an image file as (H, W, 3) uint8; deeper grey images are mapped by percentiles 0.5 to 99.5.

    Args:
        content: of a PNG, JPEG, TIFF, BMP or WebP file.
        source: what the bytes are, for messages.
        max_pixels: larger images are refused by their header.

    Raises:
        DataError: unreadable, too large, or with NaN or infinite pixels.
    """
    return _colours(_open(BytesIO(content), source, max_pixels), source)


def read_label_map(path: Path, *, max_pixels: int) -> npt.NDArray[np.integer]:
    """A label map file as (H, W) integers; see `decode_label_map`.

    Raises:
        DataError: missing, unreadable, too large, of several channels, or with values that are not whole.
    """
    return _values(_open(path, str(path), max_pixels, lossless=True), str(path))


def decode_label_map(content: bytes, *, source: str, max_pixels: int) -> npt.NDArray[np.integer]:
    """The bytes of a label map as (H, W) integers; palette images give their indices.

    Several channels are one where they say the same: all colours equal, and no pixel transparent.

    Args:
        content: of a PNG, TIFF, BMP or WebP file.
        source: what the bytes are, for messages.
        max_pixels: larger maps are refused by their header.

    Raises:
        DataError: unreadable, too large, JPEG, of several channels, or with values that are not whole.
    """
    return _values(_open(BytesIO(content), source, max_pixels, lossless=True), source)


def _open(file: Path | BytesIO, source: str, max_pixels: int, *, lossless: bool = False) -> Image.Image:
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # `max_pixels` takes its place
    try:
        with Image.open(file, formats=FORMATS) as image:
            _check(image, source, max_pixels, lossless=lossless)
            return ImageOps.exif_transpose(image)
    except FileNotFoundError:
        raise DataError(f"{source}: {NO_FILE}") from None
    except (OSError, ValueError, TypeError, SyntaxError) as error:  # Pillow raises all of these
        reason = "not PNG, JPEG, TIFF, BMP or WebP" if isinstance(error, UnidentifiedImageError) else error
        reason = getattr(error, "strerror", None) or reason  # Is a directory, Permission denied
        raise DataError(
            f"{source}: cannot be read as an image ({reason}); copy it again, or convert it to PNG"
        ) from None
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _check(image: Image.Image, source: str, max_pixels: int, *, lossless: bool) -> None:
    if image.width * image.height > max_pixels:
        raise DataError(
            f"{source}: {image.width} x {image.height} pixels are more than data.max_image_pixels ({max_pixels:,}); "
            "raise it, or cut the image into tiles"
        )
    if lossless and image.format in LOSSY:
        raise DataError(f"{source}: JPEG changes label values; store label maps as PNG or TIFF")
    if image.mode in ("RGB", "RGBA") and any(";16" in str(raw) for *_, raw in getattr(image, "tile", ())):
        raise DataError(f"{source}: 16-bit colour would lose its lower byte; convert it to 8 bits a channel")
    frames = getattr(image, "n_frames", 1)
    if frames != 1 and image.format != "MPO":  # a phone's JPEG, whose further images are previews and depth
        raise DataError(f"{source}: holds {frames} images; one 2D image a file is needed")


def _colours(image: Image.Image, source: str) -> npt.NDArray[np.uint8]:
    if image.mode not in DEEP_MODES:
        return np.asarray(image.convert("RGB"))
    values = np.asarray(image)
    if not np.isfinite(values).all():
        raise DataError(f"{source}: has NaN or infinite pixels; replace them")
    low, high = percentile_range(values, low=PERCENTILES[0], high=PERCENTILES[1])
    return np.repeat(to_uint8(values, low=low, high=high)[..., None], 3, axis=2)


def _values(image: Image.Image, source: str) -> npt.NDArray[np.integer]:
    stored = np.asarray(image)
    if image.mode in ("RGB", "RGBA", "LA"):
        stored = _one_channel(stored, image.mode, source)
    if stored.ndim != 2:
        raise DataError(
            f"{source}: a label map has one channel, this image is {image.mode}; store label values, not colours"
        )
    return label_values(stored, source=source)


def _one_channel(stored: npt.NDArray[np.uint8], mode: str, source: str) -> npt.NDArray[np.uint8]:
    """(H, W) of (H, W, C) whose colours are all greys and opaque: else nobody knows which values are the labels."""
    count = len(mode.removesuffix("A"))
    colours, alpha = stored[..., :count], stored[..., count:]
    begin = f"{source}: a label map has one channel, this image is {mode}"
    if (colours != colours[..., :1]).any():
        packed = colours.astype(np.uint32) @ np.array([1, 1 << 8, 1 << 16], dtype=np.uint32)
        found = counted(len(np.unique(packed)), "colour")
        raise DataError(
            f"{begin}; store label values, not {found}: a grey image of the values, or a palette image whose indices "
            "are the values"
        )
    if (alpha != OPAQUE).any():
        transparent = np.count_nonzero(alpha != OPAQUE)
        raise DataError(
            f"{begin}, of which {transparent:,} of {alpha.size:,} pixels are transparent; what is labelled may be in "
            "either, so store the label values as a grey image without transparency"
        )
    return colours[..., 0]
