"""From the data section of a recipe to stores, splits and batches."""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.markup import escape

from adapt.concepts import words_for
from adapt.datamodules import Redraw, SegmentationDataModule, Source, Splits, Store, split_groups
from adapt.datamodules.classes import categories_of, check_classes
from adapt.datamodules.clips import ClipData
from adapt.datamodules.coco import coco_source
from adapt.datamodules.embeddings import ObjectEmbeddings
from adapt.datamodules.folder import folder_source
from adapt.datamodules.generated import PREFIX, generated_folder
from adapt.datamodules.hub import hub_source
from adapt.datamodules.labelled import is_labelled, labelled_source, refuse_held_out
from adapt.datamodules.medical import medical_source
from adapt.datamodules.reasons import by_reason, told
from adapt.datamodules.source import joined
from adapt.datamodules.store import open_or_make
from adapt.datamodules.synthetic import redraw, synthetic_source
from adapt.datamodules.transforms import Augmentation
from adapt.datamodules.yolo import yolo_source
from adapt.features import FeatureCache
from adapt.recipe import (
    CocoData,
    DataSettings,
    FolderData,
    HubData,
    LabelSettings,
    MedicalData,
    MicroscopyData,
    Recipe,
    SatelliteData,
    SyntheticData,
    TrainerSettings,
    YoloData,
    group_rule,
)
from adapt.segmenters import SegmenterSpec


def make_store(recipe: Recipe, console: Console) -> Store:
    """The prepared data of a recipe, made at the first call, opened at later ones; names the cases it skips."""
    return _store_of(recipe.data, recipe, console, label=recipe.label)


def make_general_store(recipe: Recipe, console: Console) -> Store:
    """The prepared general images of `evaluation.retention`, likewise."""
    return _store_of(recipe.evaluation.retention.data, recipe, console)


def _store_of(data: DataSettings, recipe: Recipe, console: Console, *, label: LabelSettings | None = None) -> Store:
    store = open_store(data, recipe, console, on_error=data.on_error, label=label)
    for group in by_reason(store.facts.skipped):
        console.print(f"[yellow]skipped:[/] {escape(told(group))}", highlight=False, soft_wrap=True)
    return store


def open_store(
    data: DataSettings, recipe: Recipe, console: Console, *, on_error: str, label: LabelSettings | None = None
) -> Store:
    """Prepared data for a recipe, whatever it says about cases that cannot be used: `fail`, or `skip` them.

    With `label`, the masks of its folder come after those of `data`.
    """
    cache = Path(recipe.cache).expanduser()
    source = make_source(data.model_copy(update={"on_error": on_error}), cache)
    settings = data.model_dump(mode="json", exclude={"root", "on_error"})
    if label is not None and label.root is not None:
        source = joined(source, labelled_source(Path(label.root).expanduser(), label.weights))
        settings["label"] = label.weights.model_dump(mode="json")
    return open_or_make(
        source,
        settings=settings,
        cache=cache,
        console=console,
        on_error=on_error,
        workers=recipe.trainer.workers,
    )


def make_source(data: DataSettings, cache: Path) -> Source:
    """The cases of a recipe's data, not yet read; readers of an extra are imported only where they are needed."""
    if isinstance(data, SyntheticData):
        return synthetic_source(data)
    generated = data.root.startswith(PREFIX)
    root = generated_folder(data.root, kind=data.kind, cache=cache) if generated else Path(data.root).expanduser()
    match data:
        case MedicalData():
            return medical_source(data, root)
        case FolderData():
            return folder_source(data, root)
        case CocoData():
            return coco_source(data, root)
        case SatelliteData():
            from adapt.datamodules.satellite import satellite_source  # needs an extra

            return satellite_source(data, root)
        case MicroscopyData():
            from adapt.datamodules.microscopy import microscopy_source  # needs an extra

            return microscopy_source(data, root)
        case YoloData():
            return yolo_source(data, root)
        case HubData():
            return hub_source(data, root)


def make_splits(recipe: Recipe, store: Store, console: Console) -> Splits:
    """Groups of train, validation and test; says so when there is no validation.

    What `adapt label` has added only trains, and moves no other group.
    """
    added = sorted({group for group in store.groups if is_labelled(group)})
    splits = split_groups((group for group in store.groups if not is_labelled(group)), recipe.split, seed=recipe.seed)
    refuse_held_out(added, [*splits.validation, *splits.test])
    splits = replace(splits, train=(*splits.train, *added))
    if recipe.semantic.classes:
        check_classes(store, splits, recipe.semantic.classes)
    if recipe.concepts.learn:
        words_for(categories_of(store), recipe.text.phrases)
    if not splits.validation:
        console.print(
            "[yellow]notice:[/] no group is left for validation, so the last weights are kept rather than the best",
            highlight=False,
            soft_wrap=True,
        )
    key, rule = next(iter(group_rule(recipe.data).items()), ("", ""))
    if rule is None and not isinstance(recipe.data, MedicalData | SatelliteData):  # a volume is a patient
        console.print(
            "[yellow]notice:[/] each image is a group of its own; if several show one patient, scene or slide, set "
            f"{key}, or the test split is not independent of training",
            highlight=False,
            soft_wrap=True,
        )
    return splits


def redraw_of(data: DataSettings) -> Redraw | None:
    """What draws the images of later epochs; None for data that is read, or drawn once."""
    return partial(redraw, data) if isinstance(data, SyntheticData) and data.fresh else None


def make_data(
    recipe: Recipe,
    store: Store,
    splits: Splits,
    spec: SegmenterSpec,
    device: torch.device,
    *,
    features: FeatureCache | None = None,
    embeddings: ObjectEmbeddings | None = None,
) -> SegmentationDataModule:
    """Batches of a recipe's data for a segmenter that runs on `device`; with what else is kept of them, if it is."""
    return SegmentationDataModule(
        store,
        splits,
        spec,
        augmentation=Augmentation(recipe.augment, keep_cut=bool(recipe.semantic.classes) or recipe.concepts.learn),
        settings=_with_every_object(recipe.trainer) if recipe.concepts.learn else recipe.trainer,
        seed=recipe.seed,
        pin_memory=device.type == "cuda",
        redraw=redraw_of(recipe.data),
        features=None if features is None else features.reader,
        classes=recipe.semantic.classes,
        clips=make_clips(recipe, store, spec),
        embeddings=embeddings,
    )


def _with_every_object(trainer: TrainerSettings) -> TrainerSettings:
    """Of an image all objects are learnt: a concept's object that is left out would be learnt as a false one."""
    return trainer.model_copy(update={"objects_per_image": sys.maxsize})


def make_clips(recipe: Recipe, store: Store, spec: SegmenterSpec) -> ClipData | None:
    """What loads clips; None for a recipe of single images.

    Raises:
        DataError: the images have no order.
    """
    if recipe.clips.length == 1:
        return None
    return ClipData(
        store,
        spec,
        length=recipe.clips.length,
        by_category=isinstance(recipe.data, MedicalData) and recipe.data.objects == "label",
        objects=recipe.trainer.objects_per_image,
        seed=recipe.seed,
    )


def named_categories(data: DataSettings) -> list[str]:
    """The categories that a recipe names; none if it takes all that are there."""
    match data:
        case MedicalData() | FolderData() | SatelliteData() | HubData():
            return list(data.labels)
        case CocoData() | YoloData():
            return data.categories
        case _:
            return []
