"""How well edges agree with those that people drew: the Berkeley benchmark.

It is that of Martin et al., 2004, and Arbelaez et al., 2011. At each threshold an edge map is cut and thinned. Its
pixels and those of an annotation correspond one to one if they lie within a tolerance of each other; the most pairs
count, found exactly, by Hopcroft and Karp's bipartite matching. (The benchmark's own program finds pairs of least total
distance, in which leaving a pixel out costs far more than any distance.) A pixel that corresponds in any annotation is
right; every pixel of every annotation should be found.

ODS is F at the one threshold best for all images, OIS with the best threshold for each, AP the mean precision at
recalls from 0 to 1, R50 the greatest recall at a precision of 0.5 or more. Thresholds are taken as they are, not
interpolated between.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.spatial import KDTree

from adapt.metrics.edge_maps import thin

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating]
TOLERANCE = 0.0075
"""Of the image's diagonal: 4.3 px of the benchmark's 481 x 321."""
THRESHOLDS = tuple(number / 100 for number in range(1, 100))


@dataclass(frozen=True, eq=False)
class EdgeCounts:
    """Pixels of one image, an entry a threshold; each (T,) int64.

    Attributes:
        right: of the edges, those that correspond in any annotation.
        predicted: of the edges.
        found: of all annotations, those that correspond to an edge.
        true: of all annotations.
    """

    right: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    found: npt.NDArray[np.int64]
    true: npt.NDArray[np.int64]


@dataclass(frozen=True)
class EdgeScores:
    """Each 0 to 1; the threshold is that of ODS."""

    ods: float
    ois: float
    ap: float
    r50: float
    threshold: float


def edge_counts(
    edges: Floats,
    annotations: Sequence[Mask],
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    tolerance: float = TOLERANCE,
) -> EdgeCounts:
    """Correspondences of an edge map at each threshold.

    Args:
        edges: (H, W) strength, 0 to 1.
        annotations: (H, W) edges as each person drew them, one pixel wide.
        thresholds: strength that an edge has at least.
        tolerance: distance that still corresponds, as a share of the diagonal.
    """
    distance = tolerance * float(np.hypot(*edges.shape))
    rows = []
    for threshold in thresholds:
        cut = thin(edges >= threshold)
        right = np.zeros_like(cut)
        found = 0
        for annotation in annotations:
            ours = corresponding(cut, annotation, distance=distance)
            right |= ours
            found += int(ours.sum())
        rows.append((right.sum(), cut.sum(), found, sum(int(annotation.sum()) for annotation in annotations)))
    return EdgeCounts(*np.asarray(rows, dtype=np.int64).reshape(-1, 4).T)


def corresponding(edges: Mask, annotation: Mask, *, distance: float) -> Mask:
    """(H, W): which pixels of the edges have a pixel of the annotation to themselves, of the most that can.

    Args:
        edges: (H, W).
        annotation: (H, W).
        distance: between the two, pixels, at most.
    """
    matched = np.zeros_like(edges)
    ours, theirs = np.argwhere(edges), np.argwhere(annotation)
    if len(ours) and len(theirs):
        trees = [KDTree(pixels, balanced_tree=False, compact_nodes=False) for pixels in (ours, theirs)]  # half the time
        near = trees[0].sparse_distance_matrix(trees[1], distance, output_type="ndarray")
        graph = csr_array((np.ones(len(near), dtype=bool), (near["i"], near["j"])), shape=(len(ours), len(theirs)))
        matched[tuple(ours[maximum_bipartite_matching(graph, perm_type="column") >= 0].T)] = True
    return matched


def edge_scores(images: Sequence[EdgeCounts], *, thresholds: Sequence[float] = THRESHOLDS) -> EdgeScores | None:
    """Scores of all images together; None if people drew no edge.

    Args:
        images: counts at the same thresholds.
        thresholds: those.
    """
    counts = np.array([(image.right, image.predicted, image.found, image.true) for image in images])  # (N, 4, T)
    if not images or not counts[:, 3].any():
        return None
    precision, recall, f = _rates(counts.sum(axis=0))
    best = _rates(counts.transpose(1, 0, 2))[2].argmax(axis=1)  # (N,)
    at_best = counts[np.arange(len(images)), :, best].sum(axis=0)
    recalls, first = np.unique(recall[np.lexsort((-precision, recall))], return_index=True)
    precisions = precision[np.lexsort((-precision, recall))][first]
    return EdgeScores(
        ods=float(f.max()),
        ois=float(_rates(at_best)[2]),
        ap=float(np.interp(np.linspace(0, 1, 101), recalls, precisions, left=0, right=0).sum() / 100),
        r50=float(recall[precision >= 0.5].max(initial=0)),
        threshold=float(thresholds[int(f.argmax())]),
    )


def _rates(counts: npt.NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F of (4, ...) counts; 0 of nothing."""
    right, predicted, found, true = counts
    precision, recall = right / np.maximum(predicted, 1), found / np.maximum(true, 1)
    total = precision + recall
    return precision, recall, 2 * precision * recall / np.where(total > 0, total, 1)
