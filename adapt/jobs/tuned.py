"""What a run keeps of its model, and how it is read again: the model itself, or what was put into the untouched one."""

import copy
from pathlib import Path

import torch

from adapt.build import as_computed, make_segmenter
from adapt.errors import RunError
from adapt.recipe import AdapterTuning, InsertingTuning, Recipe
from adapt.runs import ADAPTER, MODEL, write_folder
from adapt.segmenters import PromptableSegmenter, load_segmenter
from adapt.text import PhraseReader, load_concepts
from adapt.tuning import base_weights, has_inserted, load_adapter, merge, neutral, save_adapter


def write_tuned(recipe: Recipe, segmenter: PromptableSegmenter, *, base: PromptableSegmenter, folder: Path) -> Path:
    """Write a tuned segmenter below a run folder: `model/`, or `adapter/` if parts were put into it.

    Args:
        recipe: of the run.
        segmenter: tuned.
        base: the untouched one.
        folder: of the run.

    Returns:
        What was written.
    """
    if not has_inserted(segmenter):
        write_stock(recipe, segmenter, folder / MODEL)
        return folder / MODEL
    tuning = recipe.tuning
    assert isinstance(tuning, InsertingTuning)
    weights = base_weights(base, recipe.model.checkpoint)
    write_folder(folder / ADAPTER, lambda place: save_adapter(segmenter, place, tuning=tuning, base=weights))
    return folder / ADAPTER


def write_stock(recipe: Recipe, segmenter: PromptableSegmenter, folder: Path) -> None:
    """Write a stock model, and beside one that is asked by phrases its tokenizer, so that it can be asked anywhere."""
    reader = phrase_reader(recipe, None) if recipe.concepts.learn else None

    def write(place: Path) -> None:
        segmenter.save(place)
        if reader is not None:
            reader.save(place)

    write_folder(folder, write)


def load_tuned(recipe: Recipe, run_folder: Path) -> PromptableSegmenter:
    """The tuned segmenter of a run, as training has left it.

    Args:
        recipe: of the run; names the untouched model that an adapter stands on.
        run_folder: of the run.

    Raises:
        RunError: the run has not finished its training.
        CheckpointError: what it kept is damaged, or the untouched model is not the one it was tuned from.
    """
    if (run_folder / MODEL).is_dir():
        saved = str((run_folder / MODEL).resolve())
        return as_computed(
            recipe, load_concepts(saved, revision=None) if recipe.concepts.learn else load_segmenter(saved)
        )
    check_trained(run_folder)
    segmenter = make_segmenter(recipe)
    load_adapter(segmenter, run_folder / ADAPTER)
    return segmenter


def phrase_reader(recipe: Recipe, run_folder: Path | None) -> PhraseReader:
    """What reads the phrases of a run that learns concepts: kept beside its model, or the untouched model's.

    Raises:
        CheckpointError: it is not there.
    """
    if run_folder is not None and (run_folder / MODEL).is_dir():
        return PhraseReader(str((run_folder / MODEL).resolve()), revision=None)
    return PhraseReader(recipe.model.checkpoint, revision=recipe.model.revision)


def check_prompted(recipe: Recipe, what: str) -> None:
    """Fail early if something is asked of a run that its model, which answers by classes or phrases, cannot do.

    Raises:
        RunError: the run's recipe names classes, or learns concepts.
    """
    if recipe.concepts.learn:
        raise RunError(
            f"{what} is for models that are prompted by clicks and boxes, and this run has concepts.learn; it can be "
            f"evaluated and predicted with by --text, and its {MODEL}/ loads in transformers (docs/text.md)"
        )
    if recipe.semantic.classes:
        raise RunError(
            f"{what} is for models that are prompted, and this run has semantic.classes; it can be evaluated, "
            f"predicted with and merged, and its {MODEL}/ loads in transformers (docs/semantic.md)"
        )


def check_trained(run_folder: Path) -> None:
    """Fail early if a run has kept no model.

    Raises:
        RunError: neither `model/` nor `adapter/` is there.
    """
    if not (run_folder / MODEL).is_dir() and not (run_folder / ADAPTER).is_dir():
        raise RunError(
            f"{run_folder} has neither {MODEL}/ nor {ADAPTER}/: the run has not finished its training; go on with it: "
            f"adapt fit --resume {run_folder}"
        )


@torch.no_grad()
def alike(
    recipe: Recipe, base: PromptableSegmenter, tuned: PromptableSegmenter
) -> tuple[PromptableSegmenter, PromptableSegmenter]:
    """The untouched and the tuned segmenter with parameters of the same names, so that they can be mixed.

    What was inserted is merged; networks, which cannot be, are put into a copy of the untouched one as well, where
    they change nothing.

    Raises:
        CheckpointError: it can be neither.
    """
    if not isinstance(recipe.tuning, AdapterTuning) or not has_inserted(tuned):
        merge(tuned)
        return base, tuned
    start = copy.deepcopy(tuned)
    own = dict(base.named_parameters())
    for name, parameter in start.named_parameters():
        if name in own:
            parameter.copy_(own[name])
    neutral(start)
    return start, tuned
