"""What is scored of each image or volume: overlaps of its objects by class, and its scored masks."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pycocotools import mask as coco

from adapt.errors import DataError
from adapt.formats import CocoImage, CocoObject, encode_masks, rasterise
from adapt.formats.coco import read_coco_dataset
from adapt.formats.coco_results import read_coco_predictions
from adapt.metrics import Overlaps, PredictedMasks, TrueMasks, label_map_overlaps, mask_overlaps
from adapt.score.files import Labels, Reading, paired_files, read_pair

OBJECT = "object"
"""The class of objects that have none."""


@dataclass(frozen=True, eq=False)
class Scene:
    """One image or volume.

    Attributes:
        name: of the image.
        group: patient, scene or slide; the interval is over these.
        overlaps: of the objects of each class that is there or predicted.
        disjoint: no object covers another of its side, as panoptic quality wants it.
        dice: of each class, where a class is one region and not many objects.
        masks: predicted and true masks, where all predictions have a score.
    """

    name: str
    group: str
    overlaps: Mapping[str, Overlaps]
    disjoint: bool = True
    dice: Mapping[str, float] | None = None
    masks: tuple[PredictedMasks, TrueMasks] | None = None


def read_scenes(
    predictions: Path,
    truth: Path,
    *,
    label_kind: str,
    group_pattern: str | None,
    min_score: float,
    ignore_classes: bool,
    prediction_suffix: str,
    truth_suffix: str,
    reading: Reading,
) -> Iterator[Scene]:
    """The images of two COCO files, or of two folders of label maps, one after another.

    Args:
        predictions: a JSON file, a label map, or a folder of label maps.
        truth: likewise.
        label_kind: what a value of a label map is: one of many `instances`, or one of the `classes`.
        group_pattern: regular expression whose group, in a name, is the group; None: each image is one.
        min_score: predictions below it are left out of the overlaps, though not of the scored masks.
        ignore_classes: all objects of COCO files count as one class.
        prediction_suffix: see `paired_files`.
        truth_suffix: see `paired_files`.
        reading: see `Reading`.

    Raises:
        DataError: the two do not belong together, or one cannot be read.
    """
    kinds = [path.suffix.lower() == ".json" for path in (predictions, truth)]
    if any(kinds) and not all(kinds):
        raise DataError(f"{predictions} and {truth}: give two COCO files (.json), or two folders of label maps")
    if all(kinds):
        return coco_scenes(
            predictions,
            truth,
            group_pattern=group_pattern,
            min_score=min_score,
            ignore_classes=ignore_classes,
            reading=reading,
        )
    pairs = paired_files(predictions, truth, prediction_suffix=prediction_suffix, truth_suffix=truth_suffix)
    return label_map_scenes(pairs, label_kind=label_kind, group_pattern=group_pattern, reading=reading)


def label_map_scenes(
    pairs: Mapping[str, tuple[Path, Path]], *, label_kind: str, group_pattern: str | None, reading: Reading
) -> Iterator[Scene]:
    """Scenes of label maps, read when they are asked for.

    Raises:
        DataError: see `read_pair`; or the pattern finds no group.
    """
    groups = {name: _group(name, group_pattern) for name in pairs}
    for name, (prediction, truth) in pairs.items():
        ours, theirs = read_pair(prediction, truth, reading=reading)
        if label_kind == "instances":
            yield Scene(name, groups[name], {OBJECT: label_map_overlaps(ours, theirs)})
        else:
            yield _scene_of_classes(name, groups[name], ours, theirs)


def _scene_of_classes(name: str, group: str, predicted: Labels, truth: Labels) -> Scene:
    values = sorted({*np.unique(predicted).tolist(), *np.unique(truth).tolist()} - {0})
    overlaps = {str(value): label_map_overlaps(predicted == value, truth == value) for value in values}
    ious = {label: float(found.ious.sum()) for label, found in overlaps.items()}  # one region on each side at most
    return Scene(name, group, overlaps, dice={label: 2 * iou / (1 + iou) for label, iou in ious.items()})


def coco_scenes(
    predictions: Path,
    truth: Path,
    *,
    group_pattern: str | None,
    min_score: float,
    ignore_classes: bool,
    reading: Reading,
) -> Iterator[Scene]:
    """Scenes of two COCO files: an instances file, and results or another instances file.

    Raises:
        DataError: a file cannot be read, they do not belong together, an image is too large, a segmentation is none,
            or the pattern finds no group.
    """
    for path in (predictions, truth):
        if not path.is_file():
            raise DataError(f"{path}: no such file")
    dataset = read_coco_dataset(truth)
    names = [image.file_name for image in dataset.images]
    if len(set(names)) < len(names):
        raise DataError(f"{truth}: an image is listed more than once; give each its own file_name")
    answers = read_coco_predictions(predictions, dataset, ignore_categories=ignore_classes)
    for image, found in zip(dataset.images, answers, strict=True):
        if min(image.height, image.width) < 1 or image.height * image.width > reading.pixels:
            raise DataError(
                f"{truth}: {image.file_name} is {image.width} x {image.height} pixels; more than --max-pixels "
                f"({reading.pixels:,}) and less than 1 are refused"
            )
        true = _Masks.read(image.objects, image, truth, one_class=ignore_classes)
        crowds = _Masks.read(image.crowds, image, truth, one_class=ignore_classes)
        ours = _Masks.read(found.objects, image, predictions, one_class=ignore_classes)
        yield _coco_scene(image, ours, true, crowds, _group(image.file_name, group_pattern), min_score)


@dataclass(frozen=True, eq=False)
class _Masks:
    """Masks of one image with their categories and scores."""

    masks: list[bytes]
    categories: list[str]
    scores: list[float | None]

    @classmethod
    def read(cls, objects: Sequence[CocoObject], image: CocoImage, path: Path, *, one_class: bool) -> "_Masks":
        masks = []
        for place, entry in enumerate(objects):
            try:
                mask = rasterise(entry.segmentation, height=image.height, width=image.width)
            except (ValueError, TypeError, IndexError) as error:
                raise DataError(
                    f"{path}: {entry.category} {place} of {image.file_name}: its segmentation is none ({error})"
                ) from None
            masks += encode_masks(mask[None])
        categories = [OBJECT if one_class else entry.category for entry in objects]
        return cls(masks, categories, [entry.score for entry in objects])

    def above(self, score: float) -> "_Masks":
        kept = [place for place, own in enumerate(self.scores) if own is None or own >= score]
        return _Masks(
            masks=[self.masks[place] for place in kept],
            categories=[self.categories[place] for place in kept],
            scores=[self.scores[place] for place in kept],
        )

    def of(self, category: str) -> list[bytes]:
        return [mask for mask, own in zip(self.masks, self.categories, strict=True) if own == category]


def _coco_scene(image: CocoImage, ours: _Masks, true: _Masks, crowds: _Masks, group: str, min_score: float) -> Scene:
    size = {"height": image.height, "width": image.width}
    kept = ours.above(min_score)
    scored = [score for score in ours.scores if score is not None]
    return Scene(
        name=image.file_name,
        group=group,
        overlaps={
            category: mask_overlaps(kept.of(category), true.of(category), **size)
            for category in sorted({*kept.categories, *true.categories})
        },
        disjoint=_disjoint(kept.masks, image) and _disjoint(true.masks, image),
        masks=None
        if len(scored) < len(ours.scores)
        else (
            PredictedMasks(ours.masks, ours.categories, scored),
            TrueMasks(
                **size,
                masks=[*true.masks, *crowds.masks],
                categories=[*true.categories, *crowds.categories],
                crowds=[False] * len(true.masks) + [True] * len(crowds.masks),
            ),
        ),
    )


def _disjoint(masks: Sequence[bytes], image: CocoImage) -> bool:
    """No mask covers another one: together they have as many pixels as one by one."""
    rles = [{"size": [image.height, image.width], "counts": mask} for mask in masks]
    return not rles or int(coco.area(coco.merge(rles))) == int(coco.area(rles).sum())


def _group(name: str, pattern: str | None) -> str:
    if pattern is None:
        return name
    match = re.search(pattern, name)
    if match is None or not match[1]:
        raise DataError(f"--group-pattern {pattern!r} finds no group in {name!r}; correct it")
    return match[1]
