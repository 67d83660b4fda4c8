"""How much a cache of frozen features will need, before anything is computed."""

import math
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from adapt.features.cache import DTYPES
from adapt.features.folder import features_folder, kept_entries
from adapt.segmenters import PromptableSegmenter
from adapt.wording import counted

HEADER = 256
"""Bytes of an entry beside its numbers, at most."""
SPARE = 1_000_000_000
"""Bytes of the disk that are left to everything else."""


@dataclass(frozen=True)
class FeaturePlan:
    """What a run will keep of frozen features.

    Attributes:
        boundary: stages of the encoder in front of the first one that trains, of `stages`.
        stages: of the encoder.
        entry: bytes of one image behind the boundary.
        training: images, each kept once a view.
        other: images that are kept once: of validation and test.
        wanted: views of a training image.
        views: that there is room for; 0 if there is none for a single one.
        room: bytes that features may take.
    """

    boundary: int
    stages: int
    entry: int
    training: int
    other: int
    wanted: int
    views: int
    room: int

    def bytes(self, views: int) -> int:
        """Of all entries."""
        return self.entry * (self.training * views + self.other)

    def __str__(self) -> str:
        """One line, for the plan of a run."""
        images = counted(self.training, "image")
        kept = f"{images} in {counted(self.views, 'view')}" if self.wanted > 1 else images
        return (
            f"kept behind stage {self.boundary} of {self.stages} of the encoder: {kept}, {self.other} others, "
            f"{_size(self.entry)} each, {_size(self.bytes(self.views))} at most"
        )

    @property
    def shortage(self) -> str:
        """What could not be had for want of room, and the remedy; empty if all could."""
        if self.views == self.wanted:
            return ""
        instead = (
            f"with {counted(self.views, 'view')} of each image instead of {self.wanted}"
            if self.views
            else "without, so the encoder runs on every image of every epoch"
        )
        return (
            f"frozen features would need {_size(self.bytes(self.wanted))}, and there is room for "
            f"{_size(self.room)}: it goes on {instead}. Raise features.limit_gb, free the disk, or set "
            "cache=/another/folder"
        )


def plan_features(
    segmenter: PromptableSegmenter, *, boundary: int, dtype: str, training: int, other: int, views: int, room: int
) -> FeaturePlan:
    """What to keep behind the first `boundary` stages, of which there is at least one, within `room` bytes."""
    shapes = segmenter.stages[boundary - 1].shapes
    entry = HEADER + DTYPES[dtype].itemsize * sum(math.prod(shape) for shape in shapes)
    plan = FeaturePlan(boundary, len(segmenter.stages), entry, training, other, wanted=views, views=views, room=room)
    return replace(plan, views=next((count for count in range(views, 0, -1) if plan.bytes(count) <= room), 0))


def room_for_features(cache: Path, *, limit: int) -> int:
    """Bytes that features may take: the limit, or less if the disk has less, where older entries count as free."""
    existing = next(path for path in (cache, *cache.absolute().parents) if path.exists())
    there = sum(entry.size for entry in kept_entries(features_folder(cache)))
    return max(0, min(limit, shutil.disk_usage(existing).free - SPARE + there))


def _size(count: int) -> str:
    """Bytes for people."""
    return (
        f"{count / 1e9:,.1f} GB"
        if count >= 1e9
        else f"{count / 1e6:,.1f} MB"
        if count >= 1e6
        else f"{count / 1e3:,.0f} kB"
    )
