"""Domains: from a team's files to batches. Import as `adapt.datamodules`.

What needs Lightning or `datasets` is imported when it is first asked for: a process that only prepares files, or reads
a domain, starts in seconds less.
"""

import importlib
from typing import TYPE_CHECKING

if __name__ != "adapt.datamodules":
    raise ImportError("import adapt.datamodules, not datamodules: a module under two names would exist twice")

from adapt.datamodules.source import Case, Source
from adapt.datamodules.splits import Splits, split_groups, test_only

if TYPE_CHECKING:
    from adapt.datamodules.datamodule import SegmentationDataModule
    from adapt.datamodules.epoch_sampler import EpochSampler
    from adapt.datamodules.prepared_samples import Redraw
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
_LATER = {
    "EpochSampler": "epoch_sampler",
    "Redraw": "prepared_samples",
    "SegmentationDataModule": "datamodule",
    "Store": "store",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
