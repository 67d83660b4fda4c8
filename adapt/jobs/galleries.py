"""What a gallery during training shows: some validation objects, and the answers of the model as it is."""

from pathlib import Path

import numpy as np
import torch

from adapt.callbacks.galleries import EpochGalleries, GalleryEntry
from adapt.datamodules import SegmentationDataModule
from adapt.evaluate import Measures, Picture, draw_gallery, score_samples
from adapt.formats import decode_masks
from adapt.recipe import Recipe
from adapt.runs import GALLERY
from adapt.samples import Sample, with_objects
from adapt.segmenters import PromptableSegmenter

IMAGES = 6
"""Pictures of a gallery, for each protocol."""
PROTOCOLS = ("one_click", "box")


def epoch_galleries(
    recipe: Recipe, data: SegmentationDataModule, segmenter: PromptableSegmenter, *, folder: Path, device: torch.device
) -> list[EpochGalleries]:
    """The callback that draws some objects of the validation split, or of the training split if there is no other."""
    settings = recipe.evaluation
    if not settings.gallery_every or recipe.semantic.classes or recipe.concepts.learn:  # drawn by no prompts
        return []
    rows = data.rows(data.splits.validation) or data.rows(data.splits.train)
    chosen = np.random.default_rng(recipe.seed).permutation(rows)[:IMAGES]
    samples = [one_object(data.store.sample(int(row))) for row in chosen]
    measures = Measures(clicks=settings.clicks, tolerance=settings.boundary_tolerance)

    def draw(target: Path) -> list[GalleryEntry]:
        scores = score_samples(samples, {"tuned": segmenter}, protocols=PROTOCOLS, measures=measures, device=device)
        by_id = {sample.sample_id: sample for sample in samples}
        drawn = draw_gallery(
            [score for of_sample in scores for score in of_sample],
            count=len(samples),
            sample_of=by_id.__getitem__,
            folder=target,
        )
        return [_entry(picture, by_id[picture.score.sample_id]) for picture in drawn]

    return [EpochGalleries(draw, every=settings.gallery_every, folder=folder / GALLERY)]


def one_object(sample: Sample) -> Sample:
    """The sample with its largest object alone."""
    largest = int(sample.masks.sum((1, 2)).argmax())
    return with_objects(sample, np.array([largest]))


def _entry(picture: Picture, sample: Sample) -> GalleryEntry:
    height, width = sample.image.shape[:2]
    return GalleryEntry(
        picture=picture.path,
        image=sample.image,
        truth=sample.masks[0],
        answer=decode_masks([picture.score.mask], height=height, width=width)[0],
        sample_id=sample.sample_id,
        category=sample.categories[0],
        protocol=picture.protocol,
        iou=picture.score.iou,
    )
