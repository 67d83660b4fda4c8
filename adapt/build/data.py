"""From the data section of a recipe to stores, splits and batches."""

from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.markup import escape

from adapt.datamodules import Redraw, SegmentationDataModule, Source, Splits, Store, split_groups
from adapt.datamodules.coco import coco_source
from adapt.datamodules.folder import folder_source
from adapt.datamodules.generated import PREFIX, generated_folder
from adapt.datamodules.hub import hub_source
from adapt.datamodules.medical import medical_source
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
    MedicalData,
    MicroscopyData,
    Recipe,
    SatelliteData,
    SyntheticData,
    YoloData,
    group_rule,
)
from adapt.segmenters import SegmenterSpec


def make_store(recipe: Recipe, console: Console) -> Store:
    """The prepared data of a recipe, made at the first call, opened at later ones; names the cases it skips."""
    return _store_of(recipe.data, recipe, console)


def make_general_store(recipe: Recipe, console: Console) -> Store:
    """The prepared general images of `evaluation.retention`, likewise."""
    return _store_of(recipe.evaluation.retention.data, recipe, console)


def _store_of(data: DataSettings, recipe: Recipe, console: Console) -> Store:
    store = open_store(data, recipe, console, on_error=data.on_error)
    for error in store.facts.skipped:
        console.print(f"[yellow]skipped:[/] {escape(error)}", highlight=False, soft_wrap=True)
    return store


def open_store(data: DataSettings, recipe: Recipe, console: Console, *, on_error: str) -> Store:
    """Prepared data for a recipe, whatever it says about cases that cannot be used: `fail`, or `skip` them."""
    cache = Path(recipe.cache).expanduser()
    return open_or_make(
        make_source(data.model_copy(update={"on_error": on_error}), cache),
        settings=data.model_dump(mode="json", exclude={"root", "on_error"}),
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
    """Groups of train, validation and test; says so when there is no validation."""
    splits = split_groups(store.groups, recipe.split, seed=recipe.seed)
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
) -> SegmentationDataModule:
    """Batches of a recipe's data for a segmenter that runs on `device`; with cached features where there are some."""
    return SegmentationDataModule(
        store,
        splits,
        spec,
        augmentation=Augmentation(recipe.augment),
        settings=recipe.trainer,
        seed=recipe.seed,
        pin_memory=device.type == "cuda",
        redraw=redraw_of(recipe.data),
        features=None if features is None else features.reader,
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
