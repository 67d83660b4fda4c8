"""Objects that stay themselves from frame to frame, where each frame has numbered its own anew."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.integer]


def numbered_through(frames: Iterable[Labels]) -> Iterator[npt.NDArray[np.int32]]:
    """Label maps in which an object has one number in all frames, from 1.

    It keeps its number as long as something continues it; see `continuations`. What continues nothing is new, and so is
    one half of an object that has divided.

    Args:
        frames: (H, W) values, 0 is background; of one size, in their order.
    """
    before: npt.NDArray[np.int32] | None = None
    known = 0
    for frame in frames:
        values, of_pixel = np.unique(frame, return_inverse=True)
        same = {} if before is None else continuations(before, frame)
        numbers = np.zeros(len(values), dtype=np.int32)
        for place, value in enumerate(values.tolist()):
            if value != 0 and value not in same:
                known += 1
            numbers[place] = same.get(value, known if value else 0)
        before = numbers[of_pixel.reshape(frame.shape)]
        yield before.copy()  # whoever gets it may change it


def continuations(before: Labels, after: Labels) -> dict[int, int]:
    """Which objects of a frame are which of the frame before: those of which each has its largest IoU with the other.

    Args:
        before: (H, W) values, 0 is background.
        after: (H, W) values of the next frame.

    Returns:
        Value in `after` to value in `before`; of objects that overlap none, or not most, there is no entry.
    """
    first, of_pixel = np.unique(before, return_inverse=True)
    second, of_next = np.unique(after, return_inverse=True)
    shared = np.zeros((len(first), len(second)), dtype=np.int64)
    np.add.at(shared, (of_pixel.ravel(), of_next.ravel()), 1)
    union = shared.sum(1)[:, None] + shared.sum(0)[None] - shared
    ious = np.where((first != 0)[:, None] & (second != 0)[None], shared / union, 0.0)
    best, best_before = ious.argmax(1), ious.argmax(0)
    return {
        int(second[place]): int(first[row])
        for row, place in enumerate(best.tolist())
        if ious[row, place] > 0 and best_before[place] == row
    }
