"""What tuning has made a model forget: both models by the same protocols on general images, unlike the domain's."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from rich.console import Console

from adapt.build import make_general_store
from adapt.datamodules import Store
from adapt.datamodules.generated import same_images
from adapt.errors import DataError
from adapt.evaluate import Measures, ObjectScore, Retention, score_samples, summarise
from adapt.recipe import Recipe
from adapt.samples import Sample
from adapt.segmenters import PromptableSegmenter


@dataclass(frozen=True, eq=False)
class GeneralImages:
    """The images, and how they are scored.

    Attributes:
        name: as the recipe names them.
        store: holds them.
        rows: of the store, those that are scored.
        protocols: names of `PROTOCOLS`.
        measures: see `Measures`.
    """

    name: str
    store: Store
    rows: tuple[int, ...]
    protocols: tuple[str, ...]
    measures: Measures

    def samples(self) -> Iterator[Sample]:
        """The images, read as they are needed."""
        return (self.store.sample(row) for row in self.rows)


def open_general_images(recipe: Recipe, console: Console) -> GeneralImages | None:
    """The images of `evaluation.retention`; None if it is off, or if they are those that the recipe trains on.

    Raises:
        DataError: they cannot be read.
    """
    settings = recipe.evaluation.retention
    if not settings.images:
        return None
    root, own = settings.data.root, recipe.data.root
    if root == own or same_images(root, own):
        console.print(
            f"[yellow]notice:[/] what was forgotten is not measured: the general images, {root}, are those of the "
            "data; name others in evaluation.retention.data",
            highlight=False,
            soft_wrap=True,
        )
        return None
    try:
        store = make_general_store(recipe, console)
    except DataError as error:
        raise DataError(
            f"evaluation.retention: {error}\nThe keys are those of evaluation.retention.data; "
            "evaluation.retention.images=0 does without"
        ) from None
    chosen = np.random.default_rng(recipe.seed).permutation(len(store.rows))[: settings.images]
    return GeneralImages(
        name=root,
        store=store,
        rows=tuple(sorted(chosen.tolist())),
        protocols=tuple(settings.protocols),
        measures=Measures(clicks=recipe.evaluation.clicks, tolerance=recipe.evaluation.boundary_tolerance),
    )


def general_scores(
    general: GeneralImages, models: Mapping[str, PromptableSegmenter], *, device: torch.device
) -> Iterator[list[ObjectScore]]:
    """Scores of each general image, as they come.

    Args:
        general: see `GeneralImages`.
        models: name to segmenter, on `device`, in eval mode.
        device: where the models are.
    """
    return score_samples(
        general.samples(), models, protocols=general.protocols, measures=general.measures, device=device
    )


def retention_of(general: GeneralImages, scores: list[ObjectScore], *, bootstrap_samples: int, seed: int) -> Retention:
    """Figures of the models `base` and `tuned` on general images."""
    return Retention(general.name, summarise(scores, bootstrap_samples=bootstrap_samples, seed=seed))
