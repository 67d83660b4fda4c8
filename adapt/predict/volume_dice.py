"""How good a volume or time series becomes from one prompt: an object is prompted on its middle slice, and followed.

Scored in all slices (or frames) together against the whole object, so that slices count in which the object is missed,
and those into which it is carried too far. Nobody helps on the way.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from adapt.datamodules.volume_reading import Labels
from adapt.predict.following import segment_following
from adapt.predict.opened import Opened, Scan
from adapt.predict.prompted import PromptedObject
from adapt.predict.segmenting import Model
from adapt.prompts import center_points
from adapt.propagation import next_box
from adapt.recipe import MedicalData

PROMPTS = ("one_click", "box")
CORNERS = np.ones((3, 3, 3), dtype=bool)
"""Voxels that touch by a corner are of one object, as pixels are in slices."""


@dataclass(frozen=True)
class VolumeDice:
    """One object of one volume or time series, one model, one kind of prompt.

    Attributes:
        volume: or series; of a volume in time the slice position is part of the name.
        slice: where it was prompted, or the frame.
        slices: in how many it lies.
        dice: in all slices together: in three dimensions, of a time series over its frames.
        slice_dice: in the prompted slice alone.
    """

    model: str
    prompt: str
    volume: str
    structure: str
    slice: int
    slices: int
    dice: float
    slice_dice: float


@dataclass(frozen=True, eq=False)
class Target:
    """An object: (slices, H, W) bool within `where` of the slices of an input, and the slice in its middle.

    What an answer is in the `unlabelled` ones counts nothing, since nobody knows what would be right there.
    """

    structure: str
    where: tuple[slice, slice, slice]
    voxels: npt.NDArray[np.bool_]
    middle: int
    unlabelled: frozenset[int] = frozenset()

    def mask(self, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
        """(H, W) bool in the middle slice."""
        mask = np.zeros(size, dtype=bool)
        mask[self.where[1:]] = self.voxels[self.middle - self.where[0].start]
        return mask


def volume_dice(
    name: str, opened: Opened, targets: Sequence[Target], models: Mapping[str, Model]
) -> Iterator[VolumeDice]:
    """Scores of all objects of a volume or time series by each model and kind of prompt.

    Args:
        name: of the volume or series.
        opened: its images.
        targets: its objects; of none there is no score.
        models: name (base, tuned) to model.
    """
    if not targets:
        return
    size = (opened.height, opened.width)
    for model_name, model in models.items():
        for kind in PROMPTS:
            wanted = [_prompt(target, size, kind) for target in targets]
            found = segment_following(model, opened, wanted, advance=lambda: None)
            answers: dict[int, dict[int, npt.NDArray[np.bool_]]] = defaultdict(dict)
            for index, of_slice in (found.masks or {}).items():
                for number, mask in of_slice:
                    answers[number][index] = mask.pixels
            for number, target in enumerate(targets, start=1):
                whole, middle = _dice(target, answers[number], size)
                series, place = divmod(target.middle, opened.length)
                yield VolumeDice(
                    model_name,
                    kind,
                    name if opened.series == 1 else f"{name}/{series:04d}",
                    target.structure,
                    place,
                    len(set(range(target.where[0].start, target.where[0].stop)) - target.unlabelled),
                    dice=whole,
                    slice_dice=middle,
                )


def volume_targets(labels: Labels, scan: Scan, data: MedicalData) -> list[Target]:
    """The objects of a volume; `data.objects` says whether one is a connected region or a label as a whole.

    Of a volume in time each slice has objects of its own; a region goes on from one labelled frame to the next one.
    """
    slices, times = scan.volume.size[scan.axis], len(scan.volume.frames)
    every = np.arange(slices * times).reshape(slices, times)
    rows = every.T if scan.volume.clock is None else every[:, labels.labelled]
    unlabelled = frozenset(every.flatten().tolist()) - frozenset(rows.flatten().tolist())
    found: list[Target] = []
    for layer in labels.layers:
        values = scan.in_slices(layer)
        for structure, value in labels.structures:
            regions, count = np.zeros(values.shape, dtype=np.int32), 0
            for row in rows:
                there = values[row] == value
                inside, more = ndimage.label(there, CORNERS) if data.objects == "component" else (1 * there, 1)
                regions[row] = inside + count * there
                count += more
            found += targets_of(regions, structure, min_pixels=data.min_object_pixels, unlabelled=unlabelled)
    return found


def targets_of(
    regions: npt.NDArray[np.integer],
    structure: str,
    *,
    min_pixels: int,
    unlabelled: frozenset[int] = frozenset(),
) -> list[Target]:
    """The objects that are large enough where they are prompted.

    Args:
        regions: (slices, H, W) numbers, each one object; 0 is background, and few numbers below the largest are free.
        structure: what they are called.
        min_pixels: in the middle slice.
        unlabelled: slices that count nothing; see `Target`.
    """
    found = []
    for number, where in enumerate(ndimage.find_objects(regions), start=1):
        if where is None:
            continue
        inside = regions[where] == number
        present = np.flatnonzero(inside.any((1, 2)))
        middle = int(present[len(present) // 2])
        if np.count_nonzero(inside[middle]) >= min_pixels:
            found.append(Target(structure, where, inside, where[0].start + middle, unlabelled))
    return found


def _prompt(target: Target, size: tuple[int, int], kind: str) -> PromptedObject:
    mask = target.mask(size)
    if kind == "box":
        return PromptedObject(box=next_box(mask, margin=0), slice=target.middle)
    x, y = center_points(mask[None])[0].tolist()
    return PromptedObject(clicks=((x, y, 1),), slice=target.middle)


def _dice(target: Target, answers: Mapping[int, npt.NDArray[np.bool_]], size: tuple[int, int]) -> tuple[float, float]:
    """Dice of the whole object, and in its middle slice."""
    shared = answered = 0
    for index, mask in answers.items():
        if index in target.unlabelled:
            continue
        answered += int(np.count_nonzero(mask))
        if target.where[0].start <= index < target.where[0].stop:
            truth = target.voxels[index - target.where[0].start]
            shared += int(np.count_nonzero(mask[target.where[1:]] & truth))
    truth = target.mask(size)
    answer = answers.get(target.middle, np.zeros(size, dtype=bool))
    middle = 2 * np.count_nonzero(answer & truth) / (np.count_nonzero(answer) + np.count_nonzero(truth))
    return 2 * shared / (answered + int(np.count_nonzero(target.voxels))), float(middle)


def mean_dice(scores: Sequence[VolumeDice]) -> dict[tuple[str, str, str], tuple[float, float, int]]:
    """(structure, prompt, model) to the mean Dice, that in the prompted slice, and how many objects."""
    groups: dict[tuple[str, str, str], list[VolumeDice]] = defaultdict(list)
    for score in scores:
        groups[score.structure, score.prompt, score.model].append(score)
    return {
        key: (
            float(np.mean([one.dice for one in group])),
            float(np.mean([one.slice_dice for one in group])),
            len(group),
        )
        for key, group in sorted(groups.items())
    }
