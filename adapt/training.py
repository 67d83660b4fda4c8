"""Train a segmenter, and leave its best weights in it."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from adapt.build import count_epochs, make_loggers, make_task, make_trainer
from adapt.callbacks.checkpoints import AtomicCheckpointIO, best_checkpoint, last_checkpoint
from adapt.callbacks.galleries import EpochGalleries, GalleryEntry
from adapt.callbacks.metrics_files import read_metrics
from adapt.callbacks.progress import TrainingProgress
from adapt.callbacks.throughput import Throughput
from adapt.datamodules import SegmentationDataModule
from adapt.evaluate import Measures, Picture, draw_gallery, score_samples
from adapt.formats import decode_masks
from adapt.recipe import Recipe
from adapt.runs import CHECKPOINTS, GALLERY, MODEL, write_folder
from adapt.samples import Sample
from adapt.segmenters import PromptableSegmenter
from adapt.task import AdaptTask

GALLERY_IMAGES = 6
"""Pictures of a gallery during training, for each protocol."""
GALLERY_PROTOCOLS = ("one_click", "box")


@dataclass(frozen=True)
class Training:
    """What a fit leaves for the report."""

    seconds: float
    samples_per_second: float
    data_wait_share: float
    curves: dict[str, list[tuple[float, float]]]

    def __str__(self) -> str:
        speed = f"{self.samples_per_second:.1f} samples/s"
        return f"{self.seconds:.0f} s: {speed}, {100 * self.data_wait_share:.1f} % of it waiting for data"


def train(
    recipe: Recipe,
    data: SegmentationDataModule,
    segmenter: PromptableSegmenter,
    *,
    folder: Path,
    device: torch.device,
    name: str,
    console: Console,
) -> Training:
    """Fit, and leave the best weights in the segmenter."""
    throughput = Throughput()
    validated = bool(data.splits.validation)
    last, best = last_checkpoint(folder / CHECKPOINTS), best_checkpoint(folder / CHECKPOINTS)
    loggers, finish_tracking = make_loggers(recipe, name=name, folder=folder, console=console)
    steps_per_epoch = len(data.train_dataloader())
    trainer = make_trainer(
        recipe,
        device,
        epochs=count_epochs(recipe, steps_per_epoch=steps_per_epoch),
        folder=folder,
        loggers=loggers,
        callbacks=[
            last,
            *([best] if validated else []),
            throughput,
            TrainingProgress(console, throughput),
            *_galleries(recipe, data, segmenter, folder=folder, device=device),
        ],
        validated=validated,
    )
    task = make_task(recipe, segmenter, steps_per_epoch=steps_per_epoch)
    begun = time.perf_counter()
    try:
        trainer.fit(task, datamodule=data)
    except SystemExit:  # what Lightning makes of Ctrl-C
        kept = best.best_model_path or last.best_model_path
        if kept:
            _restore(task, kept)
            write_folder(folder / MODEL, segmenter.save)
        said = f"the model so far is kept: adapt evaluate {folder}" if kept else "no epoch was done"
        console.print(f"interrupted; {said}", highlight=False, markup=False, soft_wrap=True)
        raise KeyboardInterrupt from None
    finally:
        finish_tracking()
    seconds = time.perf_counter() - begun
    _restore(task, best.best_model_path or last.best_model_path)
    return Training(
        seconds=seconds,
        samples_per_second=throughput.samples_per_second,
        data_wait_share=throughput.wait_share,
        curves=_curves(folder),
    )


def _galleries(
    recipe: Recipe, data: SegmentationDataModule, segmenter: PromptableSegmenter, *, folder: Path, device: torch.device
) -> list[EpochGalleries]:
    """The callback that draws some objects of the validation split, or of the training split if there is no other."""
    settings = recipe.evaluation
    if not settings.gallery_every:
        return []
    rows = data.rows(data.splits.validation) or data.rows(data.splits.train)
    chosen = np.random.default_rng(recipe.seed).permutation(rows)[:GALLERY_IMAGES]
    samples = [one_object(data.store.sample(int(row))) for row in chosen]
    measures = Measures(clicks=settings.clicks, tolerance=settings.boundary_tolerance)

    def draw(target: Path) -> list[GalleryEntry]:
        scores = score_samples(
            samples, {"tuned": segmenter}, protocols=GALLERY_PROTOCOLS, measures=measures, device=device
        )
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
    return replace(
        sample,
        masks=sample.masks[largest : largest + 1],
        categories=sample.categories[largest : largest + 1],
        cut=sample.cut[largest : largest + 1],
    )


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


def _restore(task: AdaptTask, checkpoint: str) -> None:
    """Put the tuned weights of a checkpoint back into the task's segmenter."""
    task.load_tuned(AtomicCheckpointIO().load_checkpoint(checkpoint)["state_dict"])


def _curves(folder: Path) -> dict[str, list[tuple[float, float]]]:
    names = {"train/loss_epoch": "training loss", "val/miou": "validation mIoU"}
    rows = read_metrics(folder)
    return {
        title: [(row["epoch"] + 1, row[key]) for row in rows if row.get(key) is not None]
        for key, title in names.items()
    }
