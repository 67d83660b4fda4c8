"""Edge F-score of predicted masks (Segment Anything, section 7.2): do their borders lie where those of the truth do?

Files of masks say yes or no of each pixel, and how sure a mask is by its score alone. So a mask of score s stands for a
probability of 0.5 + s / 2 inside and 0 outside, and of two borders that of the higher score is the stronger edge. True
edges are the outer borders of all true masks, as one person's drawing.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from adapt.errors import DataError
from adapt.formats import decode_masks
from adapt.metrics import EdgeCounts, EdgeScores, edge_counts, edge_map, edge_scores, suppress_weaker, thin
from adapt.score.scenes import Scene


def score_edges(scenes: Sequence[Scene]) -> EdgeScores | None:
    """Scores over all images; None where the truth has no edge.

    Raises:
        DataError: the predictions of an image have no scores.
    """
    return edge_scores([_counts(scene) for scene in scenes])


def _counts(scene: Scene) -> EdgeCounts:
    if scene.masks is None:
        raise DataError(
            f"{scene.name}: --edges orders borders by the scores of COCO predictions, and these have none; give COCO "
            "files (adapt predict --format coco), with a score for each mask"
        )
    predicted, truth = scene.masks
    size = {"height": truth.height, "width": truth.width}
    sure = np.clip(np.asarray(predicted.scores, dtype=float), 0, 1) / 2 + 0.5
    masks = (decode_masks([mask], **size)[0] for mask in predicted.masks)
    edges = edge_map((mask * own for mask, own in zip(masks, sure, strict=True)), **size)
    return edge_counts(suppress_weaker(edges), [_drawn(truth.masks, truth.crowds, size)])


def _drawn(masks: Sequence[bytes], crowds: Sequence[bool], size: dict[str, int]) -> npt.NDArray[np.bool_]:
    """(H, W): the outer borders of all masks that are no crowds, one pixel wide."""
    borders = np.zeros((size["height"], size["width"]), dtype=bool)
    for mask, crowd in zip(masks, crowds or [False] * len(masks), strict=True):
        if not crowd:
            (pixels,) = decode_masks([mask], **size)
            borders |= ndimage.binary_dilation(pixels) & ~pixels
    return thin(borders)
