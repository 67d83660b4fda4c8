"""What tuning has made a model forget: both models by the same protocols on general images, unlike the domain's."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from rich.console import Console
from rich.markup import escape

from adapt.build import make_general_store
from adapt.datamodules import Store
from adapt.datamodules.generated import same_images
from adapt.errors import DataError
from adapt.evaluate import (
    EncodedSample,
    Measures,
    ObjectScore,
    Retention,
    encode_sample,
    mious,
    score_encoded,
    score_samples,
    summarise,
)
from adapt.features import FeatureCache
from adapt.protocols import truth_of
from adapt.recipe import Recipe
from adapt.samples import Sample, sample_key
from adapt.segmenters import ImageFeatures, PromptableSegmenter

MODEL = "trained"
"""What the one model is called that is scored while it trains."""


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
            f"[yellow]notice:[/] what was forgotten is not measured: the general images, {escape(root)}, are those of "
            "the data; name others in evaluation.retention.data",
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
    general: GeneralImages,
    models: Mapping[str, PromptableSegmenter],
    *,
    device: torch.device,
    features: FeatureCache | None = None,
) -> Iterator[list[ObjectScore]]:
    """Scores of each general image, as they come.

    Args:
        general: see `GeneralImages`.
        models: name to segmenter, on `device`, in eval mode.
        device: where the models are.
        features: see `encode_samples`.
    """
    return score_samples(
        general.samples(),
        models,
        protocols=general.protocols,
        measures=general.measures,
        device=device,
        features=features,
    )


def retention_of(general: GeneralImages, scores: list[ObjectScore], *, bootstrap_samples: int, seed: int) -> Retention:
    """Figures of the models `base` and `tuned` on general images."""
    return Retention(general.name, summarise(scores, bootstrap_samples=bootstrap_samples, seed=seed))


class GeneralScore:
    """The mIoU of a model on general images while it trains, averaged over protocols."""

    def __init__(
        self, general: GeneralImages, segmenter: PromptableSegmenter, *, device: torch.device, frozen: bool
    ) -> None:
        """Of a segmenter on `device`; a `frozen` encoder runs once an image, whatever the number of calls."""
        self._general, self._segmenter, self._device, self._frozen = general, segmenter, device, frozen
        self._kept: list[ImageFeatures] = []

    def __call__(self) -> float:
        """The score of the model as it is, which must be in eval mode."""
        scores = [
            score
            for encoded in self._encoded()
            for score in score_encoded(
                encoded, {MODEL: self._segmenter}, protocols=self._general.protocols, measures=self._general.measures
            )
        ]
        found = mious(scores)
        return sum(found.values()) / len(found)

    def _encoded(self) -> Iterator[EncodedSample]:
        for number, sample in enumerate(self._general.samples()):
            if number < len(self._kept):
                features = self._kept[number]
            else:
                features = encode_sample(sample, self._segmenter, self._device)
            if self._frozen and number == len(self._kept):
                self._kept.append(features)
            truth = truth_of(sample.masks, sample_key(sample.sample_id), self._device)
            yield EncodedSample(sample, truth, {MODEL: features})
