"""2D images and label maps (PNG, JPEG, TIFF) by Pillow. The header's size is checked before decoding."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from adapt.errors import DataError
from adapt.formats.intensity import integral, percentile_range, to_uint8

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
LOSSY = (".jpg", ".jpeg")
DEEP_MODES = ("I;16", "I;16B", "I;16L", "I", "F")
PERCENTILES = (0.5, 99.5)


def _open(path: Path, max_pixels: int) -> Image.Image:
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # `max_pixels` takes its place
    try:
        with Image.open(path) as image:
            return _checked(image, path, max_pixels)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, ValueError, TypeError, SyntaxError) as error:  # Pillow raises all of these
        raise DataError(f"{path}: cannot be read as an image ({error}); convert it to PNG") from None
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _checked(image: Image.Image, path: Path, max_pixels: int) -> Image.Image:
    if image.width * image.height > max_pixels:
        raise DataError(
            f"{path}: {image.width} x {image.height} pixels are more than data.max_image_pixels ({max_pixels:,}); "
            "raise it, or cut the image into tiles"
        )
    frames = getattr(image, "n_frames", 1)
    if frames != 1:
        raise DataError(f"{path}: holds {frames} images; one 2D image a file is needed")
    return ImageOps.exif_transpose(image)


def read_image(path: Path, *, max_pixels: int) -> npt.NDArray[np.uint8]:
    """An image as (H, W, 3) uint8; deeper grey images are mapped by percentiles 0.5 to 99.5.

    Raises:
        DataError: missing, unreadable, too large, or with NaN or infinite pixels.
    """
    image = _open(path, max_pixels)
    if image.mode not in DEEP_MODES:
        return np.asarray(image.convert("RGB"))
    values = np.asarray(image)
    if not np.isfinite(values).all():
        raise DataError(f"{path}: has NaN or infinite pixels; replace them")
    low, high = percentile_range(values, low=PERCENTILES[0], high=PERCENTILES[1])
    return np.repeat(to_uint8(values, low=low, high=high)[..., None], 3, axis=2)


def read_label_map(path: Path, *, max_pixels: int) -> npt.NDArray[np.integer]:
    """A label map as (H, W) integers; palette images give their indices.

    Raises:
        DataError: missing, unreadable, too large, of several channels, or with values that are not whole.
    """
    if path.suffix.lower() in LOSSY:
        raise DataError(f"{path}: JPEG changes label values; store label maps as PNG or TIFF")
    image = _open(path, max_pixels)
    if image.mode not in ("1", "L", "P", *DEEP_MODES):
        raise DataError(
            f"{path}: a label map has one channel, this image is {image.mode}; store label values, not colours"
        )
    values = integral(np.asarray(image))
    if values is None:
        raise DataError(f"{path}: label values are not whole numbers; store integers")
    if values.min() < 0:
        raise DataError(f"{path}: label values start at 0, the least here is {values.min()}")
    return values
