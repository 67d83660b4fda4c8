"""What a run is about to do, in lines for people."""

from collections import Counter

import torch

from adapt.build.data import named_categories
from adapt.build.features import nothing_to_keep
from adapt.build.training import make_plan
from adapt.datamodules import SegmentationDataModule, Store
from adapt.datamodules.store import Facts
from adapt.features import FeaturePlan
from adapt.optimization import parameter_groups, rate_range
from adapt.recipe import DataSettings, Recipe
from adapt.segmenters import TINY, TINY_NOTE, TINY_VIDEO, TINY_VIDEO_NOTE, PromptableSegmenter, freeze_boundary
from adapt.tuning import trainable_table
from adapt.wording import counted

SLOW_HALVES = (
    "bf16-mixed, which this processor has no instructions for, so that it takes several times as long: "
    "trainer.precision=32-true"
)


def store_lines(store: Store) -> list[tuple[str, str]]:
    """Name and value of what a store holds, and what was left out."""
    facts = store.facts
    return [
        ("samples", f"{facts.samples:,}"),
        ("objects", f"{facts.objects:,}{f', {facts.cut_objects:,} cut' if facts.cut_objects else ''}"),
        ("groups", f"{len(set(store.groups)):,}"),
        ("left out", _left_out(facts)),
        ("size", f"{facts.data_bytes / 1e6:,.1f} MB"),
    ]


def plan_lines(
    recipe: Recipe,
    data: SegmentationDataModule,
    segmenter: PromptableSegmenter,
    device: torch.device,
    *,
    features: FeaturePlan | None = None,
) -> list[tuple[str, str]]:
    """Name and value of what a run is about to do: data, split, model, what trains, what is kept."""
    facts, splits = data.store.facts, data.splits
    trainable = ", ".join(
        f"{part} {count:,} of {total:,}" for part, count, total in trainable_table(segmenter) if count
    )
    kept = str(features) if features is not None and features.views else ""
    kept = kept or nothing_to_keep(recipe, freeze_boundary(segmenter.stages))
    own = {TINY: TINY_NOTE, TINY_VIDEO: TINY_VIDEO_NOTE}.get(recipe.model.checkpoint)
    note = f" ({own})" if own else ""
    if recipe.model.weights == "random":
        note = " (random weights: its untouched figures are a floor)"
    return [
        (
            "data",
            f"{counted(facts.samples, 'image')} with {counted(facts.objects, 'object')} of "
            f"{counted(len(set(data.store.groups)), 'group')}; left out: {_left_out(facts)}",
        ),
        (
            "split",
            ", ".join(
                f"{name} {counted(len(data.rows(groups)), 'image')} of {counted(len(groups), 'group')}"
                for name, groups in (
                    ("train", splits.train),
                    ("validation", splits.validation),
                    ("test", splits.test),
                )
            ),
        ),
        ("model", f"{recipe.model.checkpoint}{note}, input {segmenter.spec.image_size} px, on {device}"),
        ("trains", trainable),
        ("optimizer", f"AdamW, learning rate {_rates(recipe, segmenter)}"),
        *([("features", kept)] if kept else []),
        ("objects", _objects(data.store, recipe.data)),
        *([("precision", SLOW_HALVES)] if _halves_are_slow(recipe, device) else []),
    ]


def _halves_are_slow(recipe: Recipe, device: torch.device) -> bool:
    """Whether training would compute in bfloat16 on a processor that has to imitate it."""
    imitated = torch.backends.cpu.get_cpu_capability() == "AVX2"
    return recipe.trainer.precision == "bf16-mixed" and device.type == "cpu" and imitated


def _objects(store: Store, data: DataSettings) -> str:
    """Objects of each named category; a name that never occurs is most likely a mistake."""
    counts = Counter(name for names in store.rows["categories"] for name in names)
    names = named_categories(data) or sorted(counts)
    return ", ".join(f"{name} {counts[name] or 'none'}" for name in names)


def _left_out(facts: Facts) -> str:
    cases = f" ({counted(facts.empty_cases, 'case')} without any)" if facts.empty_cases else ""
    return (
        f"{counted(facts.empty_images, 'image')} without objects{cases}, "
        f"{counted(facts.small_objects, 'small object')}, {counted(len(facts.skipped), 'case')} that cannot be used"
    )


def _rates(recipe: Recipe, segmenter: PromptableSegmenter) -> str:
    """The learning rates of what trains, after the warm-up."""
    return rate_range(parameter_groups(segmenter, make_plan(recipe, steps_per_epoch=1)))
