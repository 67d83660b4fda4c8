"""What is kept of frozen features in a training and in an evaluation."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from adapt.build.data import redraw_of
from adapt.datamodules import Splits, Store
from adapt.evaluate import shared_stages
from adapt.features import (
    About,
    FeatureCache,
    FeaturePlan,
    features_folder,
    plan_features,
    prefix_key,
    room_for_features,
)
from adapt.recipe import Recipe
from adapt.segmenters import PromptableSegmenter, freeze_boundary


def plan_training_features(
    recipe: Recipe, segmenter: PromptableSegmenter, store: Store, splits: Splits
) -> FeaturePlan | None:
    """What a fit will keep of frozen features; None if the recipe keeps none, or there are none to keep."""
    boundary = freeze_boundary(segmenter.stages)
    if nothing_to_keep(recipe, boundary):
        return None
    images = Counter(store.groups)
    return plan_features(
        segmenter,
        boundary=boundary,
        dtype=recipe.features.dtype,
        training=sum(images[group] for group in splits.train),
        other=sum(images[group] for group in (*splits.validation, *splits.test)),
        views=recipe.features.views if any(recipe.augment.model_dump().values()) else 1,
        room=_room_for_features(recipe),
    )


def nothing_to_keep(recipe: Recipe, boundary: int) -> str:
    """Why there are no frozen features to keep; empty if there are some."""
    if not recipe.features.cache:
        return "not kept: features.cache is false"
    if not boundary:
        return "none: the image encoder trains from its first layer on"
    return "not kept: the images are drawn anew for each epoch" if redraw_of(recipe.data) is not None else ""


def open_test_features(
    recipe: Recipe, models: Mapping[str, PromptableSegmenter], *, images: int, console: Console
) -> FeatureCache | None:
    """The cache that an evaluation of so many images reads and fills, behind what its models have in common."""
    boundary = shared_stages(list(models.values()))
    if not recipe.features.cache or not boundary:
        return None
    room, first = _room_for_features(recipe), next(iter(models.values()))
    plan = plan_features(
        first, boundary=boundary, dtype=recipe.features.dtype, training=0, other=images, views=1, room=room
    )
    return open_features(recipe, first, plan, precision="32-true", console=console)


def open_features(
    recipe: Recipe, segmenter: PromptableSegmenter, plan: FeaturePlan | None, *, precision: str, console: Console
) -> FeatureCache | None:
    """The cache that a plan asks for; says so if there is too little room for it."""

    def notice(text: str) -> None:
        console.print(f"[yellow]notice:[/] {escape(text)}", highlight=False, soft_wrap=True)

    if plan is not None and plan.shortage:
        notice(plan.shortage)
    if plan is None or not plan.views:
        return None
    settings, spec = recipe.features, segmenter.spec
    key = prefix_key(segmenter, boundary=plan.boundary, dtype=settings.dtype, precision=precision)
    return FeatureCache(
        features_folder(Path(recipe.cache).expanduser()) / key,
        about=About(recipe.model.checkpoint, plan.boundary, plan.stages, spec.image_size, settings.dtype),
        views=plan.views,
        limit=int(settings.limit_gb * 1e9),
        notice=notice,
    )


def _room_for_features(recipe: Recipe) -> int:
    return room_for_features(Path(recipe.cache).expanduser(), limit=int(recipe.features.limit_gb * 1e9))
