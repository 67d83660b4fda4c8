"""Scores of masks, and how sure we are of their means."""

from adapt.metrics.aggregate import Interval, bootstrap_interval, group_means, mean_over_groups
from adapt.metrics.boundary import BoundaryScore, boundary_score
from adapt.metrics.calibration import Bin, expected_error, reliability
from adapt.metrics.classes import Counts, class_counts, class_dices, class_ious, group_scores, put_together
from adapt.metrics.clicks import clicks_to_reach
from adapt.metrics.detection import (
    COCO_SIZES,
    MaskAp,
    PredictedMasks,
    TrueMasks,
    average_recall,
    mask_ap,
)
from adapt.metrics.edge_maps import edge_map, suppress_weaker, thin
from adapt.metrics.edge_scores import EdgeCounts, EdgeScores, corresponding, edge_counts, edge_scores
from adapt.metrics.matching import THRESHOLDS, Matches, match, match_all, mean_average_precision, paired_ious
from adapt.metrics.overlap import dice, dice_of_counts, iou, iou_of_counts
from adapt.metrics.pairs import Overlaps, label_map_overlaps, mask_overlaps
from adapt.metrics.panoptic import PanopticQuality, mean_panoptic_quality, panoptic_matches, panoptic_quality

__all__ = [
    "COCO_SIZES",
    "THRESHOLDS",
    "Bin",
    "BoundaryScore",
    "Counts",
    "EdgeCounts",
    "EdgeScores",
    "Interval",
    "MaskAp",
    "Matches",
    "Overlaps",
    "PanopticQuality",
    "PredictedMasks",
    "TrueMasks",
    "average_recall",
    "bootstrap_interval",
    "boundary_score",
    "class_counts",
    "class_dices",
    "class_ious",
    "clicks_to_reach",
    "corresponding",
    "dice",
    "dice_of_counts",
    "edge_counts",
    "edge_map",
    "edge_scores",
    "expected_error",
    "group_means",
    "group_scores",
    "iou",
    "iou_of_counts",
    "label_map_overlaps",
    "mask_ap",
    "mask_overlaps",
    "match",
    "match_all",
    "mean_average_precision",
    "mean_over_groups",
    "mean_panoptic_quality",
    "paired_ious",
    "panoptic_matches",
    "panoptic_quality",
    "put_together",
    "reliability",
    "suppress_weaker",
    "thin",
]
