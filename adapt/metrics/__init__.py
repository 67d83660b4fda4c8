"""Scores of masks, and how sure we are of their means."""

from adapt.metrics.aggregate import Interval, bootstrap_interval, group_means, mean_over_groups
from adapt.metrics.boundary import BoundaryScore, boundary_score
from adapt.metrics.calibration import Bin, expected_error, reliability
from adapt.metrics.clicks import clicks_to_reach
from adapt.metrics.overlap import dice, dice_of_counts, iou, iou_of_counts

__all__ = [
    "Bin",
    "BoundaryScore",
    "Interval",
    "bootstrap_interval",
    "boundary_score",
    "clicks_to_reach",
    "dice",
    "dice_of_counts",
    "expected_error",
    "group_means",
    "iou",
    "iou_of_counts",
    "mean_over_groups",
    "reliability",
]
