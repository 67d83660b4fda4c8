"""Non-maximum suppression of boxes: of boxes that nearly coincide, one stays."""

import numpy as np
import numpy.typing as npt


def suppress(boxes: npt.NDArray[np.float64], scores: npt.NDArray[np.float64], *, most: float) -> npt.NDArray[np.int64]:
    """Indices of the boxes that stay, best first.

    From the best on, a box stays if its IoU with each one that stays already is at most `most`. Of equal scores the
    first goes first. As in the published code a box is as wide as its corners are apart, so one pixel has no area;
    two boxes that have none are alike only if they are equal.

    Args:
        boxes: (N, 4) XYXY.
        scores: (N,).
        most: largest IoU of two boxes that stay.
    """
    order = np.argsort(-scores, kind="stable")
    left, top, right, bottom = boxes[order].T
    areas = (right - left) * (bottom - top)
    waiting = np.arange(len(order))
    kept: list[int] = []
    while waiting.size:
        best, others = waiting[0], waiting[1:]
        kept.append(int(order[best]))
        wide = np.minimum(right[best], right[others]) - np.maximum(left[best], left[others])
        tall = np.minimum(bottom[best], bottom[others]) - np.maximum(top[best], top[others])
        shared = np.maximum(wide, 0) * np.maximum(tall, 0)
        union = areas[best] + areas[others] - shared
        same = (boxes[order[others]] == boxes[order[best]]).all(axis=1)
        waiting = others[~np.where(union > 0, shared > most * union, same)]
    return np.array(kept, dtype=np.int64)
