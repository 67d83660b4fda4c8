"""Folders of finished runs, as fit leaves them, without the training."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from small_text_models import write_sam3

from adapt.build import tune
from adapt.datamodules import Splits
from adapt.evaluate import ObjectScore, summarise, write_tables
from adapt.evaluate.results import Retention
from adapt.evaluate.semantic import summarise_classes, write_classes
from adapt.evaluate.semantic.scoring import ClassScore
from adapt.evaluate.texts import text_results
from adapt.formats import encode_masks
from adapt.jobs.tuned import write_tuned
from adapt.metrics import PredictedMasks, TrueMasks
from adapt.recipe import DecoderTuning, InsertingTuning, Recipe, load_recipe
from adapt.runs import versions
from adapt.segmenters import PromptableSegmenter, load_segmenter
from adapt.text import load_concepts

SIZE = 64
PATIENTS = ("Meier_Hans_1961", "Schulz_Anna_1975")
CLASSES = ("liver", "kidney")
RECIPE = """\
description: "Nuclei of {home}/study"
output: {home}/runs
cache: {home}/.cache/adapt
model: {{checkpoint: {base}, input_size: {size}}}
data: {{kind: folder, root: {home}/patients}}
split: {{test_groups: [Meier_Hans_1961, Schulz_Anna_1975]}}
wandb: {{entity: alice}}
{more}
"""


def make_run(
    folder: Path, *, base: str = "adapt:tiny", size: int | None = SIZE, more: str = "", home: str = "/home/alice"
) -> Path:
    """A finished run below a folder: `nuclei/<time>`.

    Args:
        folder: new.
        base: `model.checkpoint`.
        size: `model.input_size`.
        more: of the recipe.
        home: the paths of the recipe are below it.
    """
    run = folder / "nuclei" / "2026-01-31_09-30-00"
    run.mkdir(parents=True)
    text = RECIPE.format(base=base, size="null" if size is None else size, more=more, home=home)
    (run / "recipe.yaml").write_text(text, encoding="utf-8")
    recipe = load_recipe(run / "recipe.yaml")
    untouched, tuned = (load_segmenter(base) for _ in range(2))
    if size is not None:
        untouched, tuned = (segmenter.at_input_size(size) for segmenter in (untouched, tuned))
    _shake(tuned, recipe)
    assert isinstance(recipe.tuning, DecoderTuning | InsertingTuning)
    write_tuned(recipe, tuned, base=untouched, folder=run)
    _write_results(run, checkpoint=base, commit=untouched.commit)
    _finish(run, pictures=("one_click_01_worst", "one_click_02_best", "box_01_worst"))
    return run


def make_class_run(folder: Path, base: Path, *, more: str = "") -> Path:
    """A finished run of classes: of each the masks that a model gives that was shaken a little.

    Args:
        folder: new.
        base: of the untouched model.
        more: of the recipe.
    """
    run = folder / "organs" / "2026-01-31_09-30-00"
    run.mkdir(parents=True)
    more = f"semantic: {{classes: [{', '.join(CLASSES)}]}}\n{more}"
    (run / "recipe.yaml").write_text(
        RECIPE.format(base=base, size="null", more=more, home="/home/alice"), encoding="utf-8"
    )
    recipe = load_recipe(run / "recipe.yaml")
    untouched, tuned = (load_segmenter(str(base)).with_classes(CLASSES) for _ in range(2))
    _shake(tuned, recipe)
    write_tuned(recipe, tuned, base=untouched, folder=run)
    counts = np.array([[50, 60, 55], [20, 25, 30], [9, 10, 10]])
    answer = tuple(encode_masks(np.ones((3, 8, 8), dtype=np.bool_)))
    found = [
        ClassScore(f"{patient}/1", patient, counts * [[1], [1], [place]], answer)
        for place, patient in enumerate(PATIENTS, start=1)
    ]
    results = summarise_classes(found, CLASSES, bootstrap_samples=200, seed=0)
    write_classes(results, found, run, facts=_facts("organs", checkpoint=str(base), commit=None))
    _finish(run, pictures=("01_worst", "02_best"))
    return run


def make_concept_run(folder: Path, *, base: str | None = None, more: str = "") -> Path:
    """A finished run of concepts: a small SAM 3 and its tokenizer.

    Args:
        folder: new.
        base: of the untouched model; None for one that is written to `folder`.
        more: of the recipe.
    """
    run = folder / "concepts" / "2026-01-31_09-30-00"
    run.mkdir(parents=True)
    if base is None:  # phrases as long as with the published one, which its processor takes for granted
        base = str(write_sam3(folder / "sam3", longest=32))
    more = f"concepts: {{learn: true}}\ntext: {{concept_threshold: 0.05, phrases: {{nucleus: dark nucleus}}}}\n{more}"
    (run / "recipe.yaml").write_text(
        RECIPE.format(base=base, size="null", more=more, home="/home/alice"), encoding="utf-8"
    )
    recipe = load_recipe(run / "recipe.yaml")
    untouched, tuned = (load_concepts(base, revision=None) for _ in range(2))
    _shake(tuned, recipe)
    write_tuned(recipe, tuned, base=untouched, folder=run)
    masks = encode_masks(np.eye(8, dtype=np.bool_)[None].repeat(2, 0))
    truth = [TrueMasks(8, 8, masks, ["cell", "nucleus"])] * 2
    answers = {
        ("untouched", "text"): [PredictedMasks([], [], [])] * 2,
        ("tuned", "text"): [PredictedMasks(masks[:1], ["cell"], [0.9]), PredictedMasks([], [], [])],
    }
    results = text_results(answers, truth, list(PATIENTS), bootstrap_samples=200, seed=0)
    facts = {**_facts("concepts", checkpoint=base, commit=untouched.commit), "categories": ["cell", "nucleus"]}
    (run / "results.json").write_text(json.dumps({**results.as_dict(), **facts}), encoding="utf-8")
    _finish(run, pictures=())
    return run


def _shake(segmenter: PromptableSegmenter, recipe: Recipe) -> None:
    """As if what trains had been trained."""
    tune(recipe, segmenter)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in segmenter.parameters():
            if parameter.requires_grad:
                parameter.add_(0.02 * torch.randn_like(parameter))


def _finish(run: Path, *, pictures: Sequence[str]) -> None:
    """What else fit leaves."""
    splits = Splits(train=("p1",), validation=("p2",), test=PATIENTS)
    (run / "splits.json").write_text(json.dumps(vars(splits)), encoding="utf-8")
    (run / "report.html").write_text("<p>report</p>", encoding="utf-8")
    (run / "gallery").mkdir()
    for name in pictures:
        (run / "gallery" / f"{name}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + name.encode())


def scores(*, category: str = "nucleus") -> list[ObjectScore]:
    """One object of two patients, a little better answered after tuning."""
    ious = {"base": (0.5, 0.6), "tuned": (0.7, 0.9)}
    return [
        ObjectScore(
            model=model,
            protocol=protocol,
            sample_id=f"{patient}/1",
            index=0,
            category=category,
            group=patient,
            pixels=25,
            answer_pixels=25,
            iou=iou,
            curve=(iou,),
            oracle_iou=iou,
            dice=iou,
            predicted_iou=0.9,
            box_iou=0.785,
            nsd=0.5,
            hd95=3.0,
            unit="px",
        )
        for model in ious
        for protocol in ("one_click", "box")
        for patient, iou in zip(PATIENTS, ious[model], strict=True)
    ]


def _write_results(run: Path, *, checkpoint: str, commit: str | None) -> None:
    found = summarise(scores(), bootstrap_samples=200, seed=0)
    general = Retention("/home/alice/photos", summarise(scores(category="cat"), bootstrap_samples=200, seed=0))
    facts = _facts("nuclei", checkpoint=checkpoint, commit=commit)
    results = type(found)(**{**vars(found), "retention": general})
    write_tables(results, scores(), run, facts=facts)


def _facts(name: str, *, checkpoint: str, commit: str | None) -> dict[str, object]:
    return {
        "recipe": name,
        "checkpoint": checkpoint,
        "commit": commit,
        "test_groups": list(PATIENTS),
        "versions": versions(),
    }
