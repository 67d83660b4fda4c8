"""Scores of masks, and how sure we are of their means."""

from adapt.metrics.aggregate import Interval, bootstrap_interval, group_means
from adapt.metrics.overlap import box_masks, dice, iou

__all__ = ["Interval", "bootstrap_interval", "box_masks", "dice", "group_means", "iou"]
