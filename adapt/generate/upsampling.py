"""Logits of a mask in the image frame, of the part of it only where there is something to see.

The same as `adapt.frames.logits_to_image_frame`, but for rounding. Both of its steps are linear along each axis, so
that one matrix a side does them; and most masks are small, so that most of an image need not be computed.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from adapt.frames import Frame

Logits = npt.NDArray[np.float32]
BLOCK = 128
"""Most rows of a product that are computed at once: those of a block need few of the columns."""
PRODUCT = 2**18
"""Most multiplications that are done at once. Of larger products BLAS gives shares to threads of its own, which go on
waiting busily when they are done, and so keep the cores from those of torch that decode the next clicks."""


@dataclass(frozen=True, eq=False)
class Axis:
    """How the rows (or columns) of an image come from those of the logits.

    Attributes:
        weights: (n, k) float32: of each row of the image, that of each row of the logits.
        first, last: (n,) of each row of the image, the first and the last row of the logits that counts; both ascend.
    """

    weights: Logits
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]

    def reached(self, rows: npt.NDArray[np.int64]) -> slice:
        """The rows of the image to which some rows of the logits, ascending, may give something."""
        return slice(
            int(np.searchsorted(self.last, rows[0], side="left")),
            int(np.searchsorted(self.first, rows[-1], side="right")),
        )

    def needed(self, rows: slice) -> slice:
        """The rows of the logits that give something to some rows of the image, one at least."""
        return slice(int(self.first[rows.start]), int(self.last[rows.stop - 1]) + 1)

    def apply(self, values: Logits, rows: slice) -> Logits:
        """(m, l) values of those rows of the logits that are needed as (rows, l)."""
        begin = int(self.first[rows.start])
        out = np.empty((rows.stop - rows.start, values.shape[1]), dtype=np.float32)
        block = self._block(values.shape[1])
        for start in range(rows.start, rows.stop, block):
            part = slice(start, min(start + block, rows.stop))
            used = self.needed(part)
            np.matmul(
                self.weights[part, used],
                values[used.start - begin : used.stop - begin],
                out=out[part.start - rows.start : part.stop - rows.start],
            )
        return out

    def _block(self, width: int) -> int:
        """Rows that are computed at once, of this width, so that their product is no larger than `PRODUCT`."""
        per_row = (int(self.last[-1]) - int(self.first[0]) + 1) / len(self.weights)
        block = BLOCK
        while block > 1 and block * width * (block * per_row + 3) > PRODUCT:
            block //= 2
        return block


@dataclass(frozen=True, eq=False)
class Upsampling:
    """From logits (h, w) of the whole model frame to those of an image; see `upsampling`."""

    rows: Axis
    columns: Axis

    @property
    def height(self) -> int:
        """Of the image."""
        return len(self.rows.weights)

    @property
    def width(self) -> int:
        """Of the image."""
        return len(self.columns.weights)

    def part_above(self, logits: Logits, least: float) -> tuple[Logits, int, int] | None:
        """The part of the image outside of which no logit is above `least`; None if none is at all.

        Args:
            logits: (h, w), the whole model frame.
            least: a logit.

        Returns:
            Its logits, and the row and column of the image at which it begins.
        """
        above = logits > least
        rows, columns = np.flatnonzero(above.any(axis=1)), np.flatnonzero(above.any(axis=0))
        if not rows.size:
            return None
        tall, wide = self.rows.reached(rows), self.columns.reached(columns)
        if tall.start >= tall.stop or wide.start >= wide.stop:  # in the padding
            return None
        used = logits[self.rows.needed(tall), self.columns.needed(wide)]
        return self.columns.apply(self.rows.apply(used, tall).T, wide).T, tall.start, wide.start


def upsampling(frame: Frame, mask_size: int) -> Upsampling:
    """What makes logits of `mask_size` pixels a side those of an image.

    Args:
        frame: of the image.
        mask_size: side of the logits.
    """
    if frame.fit == "stretch":  # no padding to cut, so at once
        return Upsampling(
            rows=_axis(mask_size, mask_size, mask_size, frame.height),
            columns=_axis(mask_size, mask_size, mask_size, frame.width),
        )
    height, width = frame.resized
    return Upsampling(
        rows=_axis(mask_size, frame.size, height, frame.height),
        columns=_axis(mask_size, frame.size, width, frame.width),
    )


def _axis(low: int, model: int, inside: int, image: int) -> Axis:
    """Along one side: to the model's input, cut to what the image fills of it, then to the image."""
    weights = torch.eye(low)[None]
    if low != model:
        weights = functional.interpolate(weights, model, mode="linear", align_corners=False)
    weights = weights[..., :inside]
    if inside != image:
        weights = functional.interpolate(weights, image, mode="linear", align_corners=False)
    found = np.ascontiguousarray(weights[0].T.numpy())
    counts = found != 0
    return Axis(found, counts.argmax(axis=1), low - 1 - counts[:, ::-1].argmax(axis=1))
