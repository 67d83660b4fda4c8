"""Pictures for the browser: an image, and a mask as a small PNG that lies over it."""

import base64
import io
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from adapt.frames import Frame, logits_to_image_frame
from adapt.segmenters import SegmenterSpec

EMPTY, INSIDE, LINE, EDGE = range(4)
"""Values of an overlay: nothing, the mask, its outline, and a light edge around that, seen on dark and on light."""
INK = (0, 114, 178)
"""Of masks: the blue of Okabe and Ito, which people of any colour vision tell from grey, white and orange."""
COLOURS = {EMPTY: (0, 0, 0, 0), INSIDE: (*INK, 100), LINE: (*INK, 255), EDGE: (255, 255, 255, 220)}
"""RGB and opacity of each value."""
JPEG_QUALITY = 92


@dataclass(frozen=True)
class Shown:
    """How an image of (height, width) pixels is shown: made smaller, or each pixel as a square of several.

    Attributes:
        height, width: of the masks that are computed; those of the image, unless it is made smaller.
        times: side of the square that is one of their pixels.
    """

    height: int
    width: int
    times: int

    @classmethod
    def of(cls, height: int, width: int, *, longest: int) -> "Shown":
        """So that the longer side is at most `longest` pixels, and fills it as far as whole squares can."""
        longer = max(height, width)
        if longer <= longest:
            return cls(height, width, longest // longer)
        return cls(max(1, round(height * longest / longer)), max(1, round(width * longest / longer)), 1)

    def mask(self, logits: torch.Tensor, spec: SegmenterSpec) -> npt.NDArray[np.bool_]:
        """(height x times, width x times) bool from (h, w) logits of the whole model frame.

        If the image is not made smaller, this is the mask that is saved, pixel by pixel.
        """
        frame = spec.frame(self.height, self.width)
        mask: npt.NDArray[np.uint8] = (logits_to_image_frame(logits, frame) > 0).numpy().view(np.uint8)
        if self.times > 1:
            mask = cv2.resize(mask, None, fx=self.times, fy=self.times, interpolation=cv2.INTER_NEAREST)
        return mask.view(np.bool_)

    def preview(self, logits: torch.Tensor, spec: SegmenterSpec) -> npt.NDArray[np.bool_]:
        """The same roughly, for a small picture: straight from the logits, ten times as fast at 1,024 pixels."""
        frame = Frame(self.height, self.width, logits.shape[-1], spec.fit)
        mask: npt.NDArray[np.bool_] = (logits_to_image_frame(logits, frame) > 0).numpy()
        return mask


def overlay(mask: npt.NDArray[np.bool_], *, thickness: int) -> npt.NDArray[np.uint8]:
    """(H, W) of `EMPTY`, `INSIDE`, `LINE`, `EDGE`: what is drawn of a mask.

    Args:
        mask: (H, W) bool.
        thickness: of the outline, which lies inside the mask; the light edge outside is half as thick.
    """
    inside = mask.astype(np.uint8)
    inner = cv2.erode(inside, _square(thickness))
    around = cv2.dilate(inside, _square((thickness + 1) // 2))
    drawn: npt.NDArray[np.uint8] = EDGE * around - (EDGE - LINE) * inside - (LINE - INSIDE) * inner
    return drawn


def _square(reach: int) -> npt.NDArray[np.uint8]:
    """A square around a pixel, which is taken row by row and column by column: a disc would be ten times as slow."""
    return np.ones((2 * reach + 1,) * 2, dtype=np.uint8)


def overlay_png(values: npt.NDArray[np.uint8]) -> bytes:
    """An overlay as a PNG of two bits a pixel, transparent where nothing is drawn."""
    image = Image.fromarray(values)
    image.putpalette([channel for value in sorted(COLOURS) for channel in COLOURS[value][:3]])
    opacity = bytes(COLOURS[value][3] for value in sorted(COLOURS))
    return _written(image, "PNG", bits=2, transparency=opacity, compress_level=1)


def picture_uri(image: npt.NDArray[np.uint8], shown: Shown) -> str:
    """An image (H, W, 3) uint8 as it is shown: a JPEG, or a PNG of a small one; squares are left to the browser."""
    picture = Image.fromarray(image)
    if shown.times > 1:
        return as_uri("image/png", _written(picture, "PNG", compress_level=1))
    if picture.size != (shown.width, shown.height):
        picture = picture.resize((shown.width, shown.height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return as_uri("image/jpeg", _written(picture, "JPEG", quality=JPEG_QUALITY, subsampling=0))


def mask_png(mask: npt.NDArray[np.bool_]) -> bytes:
    """A mask (H, W) as a PNG of one channel: 255 is the object."""
    return _written(Image.fromarray(mask.astype(np.uint8) * 255), "PNG", compress_level=6)


def as_uri(kind: str, content: bytes) -> str:
    """Content of a kind (image/png) as an address that holds it, so that nothing is served from the disk."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _written(image: Image.Image, format_name: str, **how: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format=format_name, **how)
    return file.getvalue()
