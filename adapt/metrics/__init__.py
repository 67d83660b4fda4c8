"""Scores of masks, and how sure we are of their means."""

from adapt.metrics.aggregate import Interval, bootstrap_interval, group_means
from adapt.metrics.overlap import dice, dice_of_counts, iou, iou_of_counts

__all__ = ["Interval", "bootstrap_interval", "dice", "dice_of_counts", "group_means", "iou", "iou_of_counts"]
