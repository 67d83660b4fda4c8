"""What a scene is painted on: the image, and of each pixel the object that is seen there."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]
"""One number a pixel, or the channels of a colour, or of the colour of each pixel."""


def float32(values: npt.ArrayLike) -> Field:
    """The values as an array of float32."""
    return np.asarray(values, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Patch:
    """What a shape covers.

    Attributes:
        window: rows and columns of the canvas.
        alpha: (h, w) float32, the share of each pixel of the window that is covered, 0 to 1.
    """

    window: tuple[slice, slice]
    alpha: Field

    @property
    def inside(self) -> npt.NDArray[np.bool_]:
        """(h, w) bool, the pixels that are covered by half or more."""
        return self.alpha >= 0.5


class Canvas:
    """A picture in the making. Objects are numbered depth first: an object, its parts, then the next object.

    So an object and all that is part of it have consecutive numbers, and its mask is the pixels whose owner is
    one of these.

    Attributes:
        image: (S, S, C) float32, 0 to 1, with one channel or three.
        owner: (S, S) int16, number of the object that is seen; -1 where there is none.
        categories: the name of each object.
    """

    def __init__(self, image: Field) -> None:
        self.image = image
        self.owner = np.full(image.shape[:2], -1, dtype=np.int16)
        self.categories: list[str] = []
        self._parents: list[int] = []
        self._painted: list[int] = []  # pixels, before anything hid some of them
        self._ends: list[int] = []  # one more than the number of the last part

    @property
    def side(self) -> int:
        """Length of the picture's sides, pixels."""
        return len(self.owner)

    def paint(self, patch: Patch, colour: Field) -> None:
        """Change colours and no owner: a shadow, a stain, a grain.

        Args:
            patch: where.
            colour: (C,), (h, w, 1) or (h, w, C).
        """
        under = self.image[patch.window]
        under += (colour - under) * patch.alpha[..., None]

    def cover(self, patch: Patch, colour: Field) -> None:
        """Paint what hides the objects under it and is none itself."""
        self.paint(patch, colour)
        self.owner[patch.window][patch.inside] = -1

    def add(self, patch: Patch, colour: Field, *, category: str, parent: int = -1) -> int:
        """Paint an object over all that is there, or a part on what is seen of its parent.

        Returns:
            its number, the parent of its own parts.

        Raises:
            ValueError: another object was added after the parent and its parts.
        """
        number = len(self.categories)
        if parent >= 0:
            if self._ends[parent] != number:
                raise ValueError(f"object {parent} gets a part after object {number - 1}, which is no part of it")
            patch = Patch(patch.window, patch.alpha * (self.owner[patch.window] >= parent))
        self.paint(patch, colour)
        inside = patch.inside
        self.owner[patch.window][inside] = number
        self.categories.append(category)
        self._painted.append(int(np.count_nonzero(inside)))
        self._parents.append(parent)
        self._ends.append(number + 1)
        while parent >= 0:
            self._ends[parent] = number + 1
            parent = self._parents[parent]
        return number

    def seen(self, patch: Patch, number: int) -> Patch:
        """The piece of a patch where an object is seen, without its parts."""
        return Patch(patch.window, patch.alpha * (self.owner[patch.window] == number))

    def taken(self, patch: Patch) -> float:
        """The share of a patch where an object is seen already."""
        inside = patch.inside
        return float((self.owner[patch.window][inside] >= 0).mean()) if inside.any() else 1.0

    def under(self, patch: Patch) -> Field:
        """(C,) mean colour of what a patch would hide."""
        weights = patch.alpha / max(float(patch.alpha.sum()), 1e-6)
        colour: Field = np.einsum("hw,hwc->c", weights, self.image[patch.window])
        return colour

    def areas(self) -> npt.NDArray[np.int64]:
        """(N,) visible pixels of each object with its parts."""
        below = np.concatenate([[0], np.cumsum(np.bincount(self.owner.ravel() + 1, minlength=len(self._ends) + 1)[1:])])
        areas: npt.NDArray[np.int64] = below[self._ends] - below[:-1]
        return areas

    def shares(self) -> npt.NDArray[np.float64]:
        """(N,) the share of each object in the picture that nothing hides."""
        shares: npt.NDArray[np.float64] = self.areas() / np.maximum(self._painted, 1)
        return shares

    def masks(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """(N, S, S) bool, what is seen of these objects with their parts."""
        masks = np.empty((len(numbers), *self.owner.shape), dtype=np.bool_)
        for row, number in enumerate(numbers):
            masks[row] = (self.owner >= number) & (self.owner < self._ends[number])
        return masks
