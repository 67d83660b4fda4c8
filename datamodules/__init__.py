"""Domains: from a team's files to batches. Import as `adapt.datamodules`."""

if __name__ != "adapt.datamodules":
    raise ImportError("import adapt.datamodules, not datamodules: a module under two names would exist twice")

from adapt.datamodules.base import EpochSampler, Redraw, SegmentationDataModule
from adapt.datamodules.source import Case, Source
from adapt.datamodules.splits import Splits, split_groups, test_only
from adapt.datamodules.store import Store

__all__ = [
    "Case",
    "EpochSampler",
    "Redraw",
    "SegmentationDataModule",
    "Source",
    "Splits",
    "Store",
    "split_groups",
    "test_only",
]
