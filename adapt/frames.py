"""The two frames and the only conversions between them.

*Image frame*: pixels of the stored image. *Model frame*: pixels of the square that the model reads. Either the image is
resized so that its longer side fills the square, and zeros are padded at the bottom and right (Segment Anything,
`ResizeLongestSide`), or it is stretched to the whole square (SAM 2 and 3). A point is given in pixel indices: (0, 0) is
the centre of the first pixel, so the first pixel covers -0.5 to 0.5. Half-pixel centres make the round trip exact.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from adapt.errors import DataError

Fit = Literal["pad", "stretch"]
"""pad: the image keeps its proportions, zeros fill the rest of the square; stretch: it fills the square."""


@dataclass(frozen=True)
class Frame:
    """How one image lies in the model frame.

    Attributes:
        height, width: size of the image frame, pixels.
        size: side of the model frame, pixels.
        fit: see `Fit`; without a default, since a wrong one misplaces all prompts and nothing else shows it.
    """

    height: int
    width: int
    size: int
    fit: Fit

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.size) < 1:
            raise DataError(f"an image of {self.height} x {self.width} pixels cannot be placed in a model frame")

    @property
    def resized(self) -> tuple[int, int]:
        """Height and width of the image inside the model frame, pixels; the longer one equals `size`, or both do."""
        if self.fit == "stretch":
            return self.size, self.size
        scale = self.size / max(self.height, self.width)
        return max(1, int(self.height * scale + 0.5)), max(1, int(self.width * scale + 0.5))

    @property
    def scale(self) -> tuple[float, float]:
        """Model pixels per image pixel along x and y; unless stretched, they differ by rounding only."""
        height, width = self.resized
        return width / self.width, height / self.height


def to_model_frame(points: Tensor, frame: Frame) -> Tensor:
    """Points (..., 2) float xy from image frame to model frame. A box is two points."""
    scale = points.new_tensor(frame.scale)
    return (points + 0.5) * scale - 0.5


def to_image_frame(points: Tensor, frame: Frame) -> Tensor:
    """Points (..., 2) float xy from model frame to image frame; inverse of `to_model_frame`."""
    scale = points.new_tensor(frame.scale)
    return (points + 0.5) / scale - 0.5


def image_to_model_frame(
    image: npt.NDArray[np.uint8], *, size: int, mean: tuple[float, ...], std: tuple[float, ...], fit: Fit
) -> Tensor:
    """Resize (bilinear with antialiasing, as Segment Anything does), normalise, then pad with zeros if it must be.

    Args:
        image: (H, W, 3) uint8, image frame.
        size: side of the model frame.
        mean: of each channel, on the 0..255 scale.
        std: of each channel, on the 0..255 scale.
        fit: see `Fit`.

    Returns:
        (3, size, size) float32, model frame.
    """
    height, width = Frame(image.shape[0], image.shape[1], size, fit).resized
    resized = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
    normalised = (resized.astype(np.float32) - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)
    padded = torch.zeros(3, size, size)
    padded[:, :height, :width] = torch.from_numpy(normalised).permute(2, 0, 1)
    return padded


def masks_to_model_frame(masks: npt.NDArray[np.bool_], *, size: int, fit: Fit) -> npt.NDArray[np.bool_]:
    """Masks (N, H, W) bool of the image frame as (N, size, size) bool of the model frame, nearest pixel."""
    rows, columns = nearest_pixels(Frame(masks.shape[1], masks.shape[2], size, fit))
    placed = np.zeros((len(masks), size, size), dtype=bool)
    placed[:, : len(rows), : len(columns)] = masks[:, rows[:, None], columns[None, :]]
    return placed


def nearest_pixels(frame: Frame) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Row and column of the image that each row and column of the model frame shows, padding apart; both ascend."""
    height, width = frame.resized
    rows = np.minimum(((np.arange(height) + 0.5) * frame.height / height).astype(np.int64), frame.height - 1)
    columns = np.minimum(((np.arange(width) + 0.5) * frame.width / width).astype(np.int64), frame.width - 1)
    return rows, columns


def logits_to_image_frame(logits: Tensor, frame: Frame) -> Tensor:
    """Mask logits (..., h, w) of the whole model frame, at any size, as (..., H, W) float32 logits of the image.

    Bilinear to the model frame, crop the padding, bilinear to the image, as Segment Anything does; without padding
    bilinear to the image at once, as SAM 2 does.
    """
    flat = logits.reshape(1, -1, *logits.shape[-2:]).float()
    if frame.fit == "pad":
        height, width = frame.resized
        flat = _resized(flat, (frame.size, frame.size))[..., :height, :width]
    image = _resized(flat, (frame.height, frame.width))
    return image.reshape(*logits.shape[:-2], frame.height, frame.width)


def _resized(values: Tensor, size: tuple[int, int]) -> Tensor:
    """(1, K, h, w) bilinear at another size; what has that size already is not copied."""
    if values.shape[-2:] == size:
        return values
    return functional.interpolate(values, size, mode="bilinear", align_corners=False)
