"""What each image of a batch is asked: categories that it shows, and some that it does not, to learn presence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from adapt.concepts.losses import ConceptLosses, ConceptWeights, Wanted, concept_losses
from adapt.concepts.matching import centred
from adapt.errors import DataError
from adapt.losses import resize_targets
from adapt.prompts import tight_boxes
from adapt.samples import Batch
from adapt.segmenters import ConceptDetector, ImageFeatures, Texts
from adapt.wording import listed

STREAM = 3
"""What a random stream of an image is for: its questions."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The categories of the data, and what the text encoder has read of the words for each.

    Attributes:
        names: P categories.
        texts: P phrases, in the same order.
    """

    names: tuple[str, ...]
    texts: Texts


@dataclass(frozen=True, eq=False)
class ConceptObjective:
    """What is asked and what is minimised; see `ConceptSettings` of the recipe for the defaults.

    Attributes:
        vocabulary: what can be asked for.
        present, absent: categories that an image is asked for, at most: of those that it shows, and of the others.
        weights: of the loss.
        threshold: score above which an answer counts in validation.
        seed: of the draws.
    """

    vocabulary: Vocabulary
    present: int
    absent: int
    weights: ConceptWeights
    threshold: float
    seed: int


@dataclass(frozen=True)
class Question:
    """One category asked of one image.

    Attributes:
        image: of the batch.
        name: place in the vocabulary.
        objects: places of its objects in the image; none if the category is absent.
    """

    image: int
    name: int
    objects: tuple[int, ...]


def words_for(categories: Sequence[str], phrases: dict[str, str]) -> list[str]:
    """The words that each category is asked by: those that the recipe gives it, or its name.

    Raises:
        DataError: a category has neither.
    """
    words = [" ".join(phrases.get(category, category).split()) for category in categories]
    nameless = [category for category, phrase in zip(categories, words, strict=True) if not phrase]
    if nameless:
        raise DataError(
            f"the data have objects of a category without a name ({listed([repr(name) for name in nameless])}), which "
            "cannot be asked for: name it in the data section of the recipe, or say it in text.phrases="
            f"{{{nameless[0]!r}: words}}"
        )
    return words


def drawn(
    held: Sequence[int], others: Sequence[int], objective: ConceptObjective, *, key: int, epoch: int
) -> tuple[list[int], list[int]]:
    """Which of the categories that an image shows, and of the others, it is asked for; the same whoever draws."""
    random = np.random.default_rng([objective.seed, epoch, key, STREAM])
    return (
        sorted(random.permutation(held).astype(int).tolist()[: objective.present]),
        sorted(random.permutation(others).astype(int).tolist()[: objective.absent]),
    )


def questions_of(batch: Batch, objective: ConceptObjective, *, epoch: int) -> list[Question]:
    """What the images of a batch are asked in an epoch, one image behind the other."""
    places = {name: place for place, name in enumerate(objective.vocabulary.names)}
    questions = []
    valid = batch.object_valid.tolist()
    for image, (categories, key) in enumerate(zip(batch.categories, batch.sample_keys.tolist(), strict=True)):
        shown = {places[name] for name in categories}
        objects: dict[int, list[int]] = {}
        for index, name in enumerate(categories):
            if valid[image][index]:
                objects.setdefault(places[name], []).append(index)
        others = [place for place in range(len(places)) if place not in shown]
        for asked in drawn(sorted(objects), others, objective, key=key, epoch=epoch):
            questions += [Question(image, name, tuple(objects.get(name, ()))) for name in asked]
    return questions


def wanted_of(batch: Batch, questions: Sequence[Question], *, mask_size: int) -> Wanted:
    """The boxes and masks that answer the questions."""
    side = batch.masks.shape[-1]
    boxes, masks = [], []
    for question in questions:
        own = batch.masks[question.image, list(question.objects)]
        low, high = tight_boxes(own).split(2, dim=-1)
        boxes.append(centred(torch.cat((low, high + 1), dim=-1) / side))
        masks.append(resize_targets(own[None], mask_size)[0])
    images = torch.tensor([question.image for question in questions], device=batch.masks.device)
    return Wanted(images=images, boxes=boxes, masks=torch.cat(masks))


def answers_loss(
    detector: ConceptDetector, features: ImageFeatures, batch: Batch, objective: ConceptObjective, *, epoch: int
) -> ConceptLosses:
    """Ask the images of a batch, and compare what is found with what is there.

    Args:
        detector: what trains of it is chosen.
        features: of the batch's images.
        batch: with all objects of each image.
        objective: see `ConceptObjective`.
        epoch: that the questions are drawn for.
    """
    questions = questions_of(batch, objective, epoch=epoch)
    device = features.embedding.device
    images = torch.tensor([question.image for question in questions], device=device)
    texts = objective.vocabulary.texts.select([question.name for question in questions], device)
    answers = detector.find(features.select(images), texts)
    wanted = wanted_of(batch, questions, mask_size=answers.masks.shape[-1])
    return concept_losses(answers, wanted, objective.weights, images=len(batch.sample_keys))
