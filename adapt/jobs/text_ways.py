"""All ways in which test images are asked by text: through a detector's boxes, as a run has learnt it, or by SAM 3."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache

import torch
from rich.console import Console
from rich.progress import track

from adapt.build import open_test_features
from adapt.concepts import words_for
from adapt.datamodules import Store
from adapt.evaluate import TextResults, encode_images, text_results
from adapt.formats import encode_masks
from adapt.jobs.text_doors import BoxDoor, MaskDoor, box_door, concept_door, token_door
from adapt.jobs.tuned import phrase_reader
from adapt.metrics import PredictedMasks, TrueMasks
from adapt.predict.asking import ask
from adapt.predict.opened import whole_image
from adapt.predict.prompted import PromptedObject
from adapt.predict.text_boxes import boxes_in
from adapt.prompts import tight_boxes
from adapt.recipe import Recipe, TextTokenTuning
from adapt.runs import versions
from adapt.samples import Sample
from adapt.segmenters import ImageFeatures, PromptableSegmenter

TEXT, TRUE_BOX = "text", "true box"
UNTOUCHED, TUNED = "untouched", "tuned"


def asked_by_text(recipe: Recipe, ways: "Ways", store: Store, rows: Sequence[int], *, console: Console) -> TextResults:
    """Figures of each way, over some rows of a store; encoders that are the same in all models run once an image."""
    truth: list[TrueMasks] = []
    groups: list[str] = []
    found: dict[tuple[str, str], list[PredictedMasks]] = {}
    told = track(rows, "asking by text", console=console, transient=True, disable=not console.is_terminal)
    samples = (store.sample(row) for row in told)
    kept = open_test_features(recipe, ways.models, images=len(rows), console=console)
    for sample, features in encode_images(samples, ways.models, device=ways.device, features=kept):
        height, width = sample.image.shape[:2]
        truth.append(TrueMasks(height, width, encode_masks(sample.masks), sample.categories))
        groups.append(sample.group)
        for key, masks in ways.answers(sample, features):
            found.setdefault(key, []).append(masks)
    resamples = recipe.evaluation.bootstrap_samples
    return text_results(found, truth, groups, bootstrap_samples=resamples, seed=recipe.seed)


def text_facts(
    recipe: Recipe, name: str, ways: "Ways", *, test_groups: Sequence[str], categories: Sequence[str]
) -> dict[str, object]:
    """What `results.json` says beside the figures, of a recipe with this name."""
    return {
        "recipe": name,
        "checkpoint": recipe.model.checkpoint,
        "revision": recipe.model.revision,
        "commit": ways.models[UNTOUCHED].commit,
        "bootstrap_samples": recipe.evaluation.bootstrap_samples,
        "test_groups": list(test_groups),
        "categories": list(categories),
        "versions": versions(),
    }


class Ways:
    """All ways in which an image is asked: by text and by the true boxes, of each model.

    A run that has learnt to read texts is asked so; else a detector finds the boxes of a text, once for all models.
    Models of concepts are asked by text alone, and each image for the categories of all images.
    """

    def __init__(
        self,
        recipe: Recipe,
        models: Mapping[str, PromptableSegmenter],
        *,
        device: torch.device,
        learnt: bool,
        categories: Sequence[str],
    ) -> None:
        """Load what reads the texts.

        Args:
            recipe: of the run, or any.
            models: by their names, on their device, in eval mode.
            device: where they are.
            learnt: whether there is a model `tuned`, as the recipe has tuned it.
            categories: of all images that will be asked.
        """
        self.models, self.device = models, device
        self._phrases = recipe.text.phrases
        self._everything = tuple(categories) if recipe.concepts.learn else None
        self._prompted = {} if recipe.concepts.learn else models
        self._boxes: BoxDoor | None = None
        self._masks: dict[str, MaskDoor] = {}
        if recipe.concepts.learn:
            reader = phrase_reader(recipe, None)
            self._masks = {
                title: cache(concept_door(model, reader, recipe.text, version=title)) for title, model in models.items()
            }
        elif learnt and isinstance(recipe.tuning, TextTokenTuning):
            self._masks = {TUNED: cache(token_door(models[TUNED], recipe.tuning, device=device))}
        else:
            self._boxes = cache(box_door(recipe.text, device=device))

    def answers(
        self, sample: Sample, features: Mapping[str, ImageFeatures]
    ) -> Iterator[tuple[tuple[str, str], PredictedMasks]]:
        """Name of each model and of what it was prompted by, and its masks, from its features of the image."""
        height, width = sample.image.shape[:2]
        asked = sorted(set(sample.categories)) if self._everything is None else self._everything
        words = dict(zip(words_for(asked, self._phrases), asked, strict=True))
        prompts = {TRUE_BOX: true_boxes(sample)}
        if self._boxes is not None:
            boxes = boxes_in(whole_image(sample.image), self._boxes(tuple(words)))
            prompts = {TEXT: [replace(one, category=words[one.category]) for one in boxes], **prompts}
        for title, door in self._masks.items():
            masks = door(tuple(words)).find(features[title], height=height, width=width)
            yield (
                (title, TEXT),
                PredictedMasks(
                    [encode_masks(one.mask[None])[0] for one in masks],
                    [words[one.phrase] for one in masks],
                    [one.score for one in masks],
                ),
            )
        for title, model in self._prompted.items():
            for kind, wanted in prompts.items():
                yield (title, kind), answered(model, features[title], wanted, height=height, width=width)


def true_boxes(sample: Sample) -> list[PromptedObject]:
    """The tight box of each object of a sample."""
    boxes = tight_boxes(torch.from_numpy(sample.masks)).tolist()
    return [
        PromptedObject(box=(x0, y0, x1, y1), category=category)
        for (x0, y0, x1, y1), category in zip(boxes, sample.categories, strict=True)
    ]


def answered(
    model: PromptableSegmenter,
    features: ImageFeatures,
    wanted: Sequence[PromptedObject],
    *,
    height: int,
    width: int,
) -> PredictedMasks:
    """The masks of prompted objects; the score of one is the detector's, or else the predicted IoU."""
    answers = dict(ask(model, features, wanted, height=height, width=width))
    masks = [encode_masks(answers[place].mask[None])[0] for place in range(len(wanted))]
    scores = [answers[place].predicted_iou if one.score is None else one.score for place, one in enumerate(wanted)]
    return PredictedMasks(masks, [one.category for one in wanted], scores)
