"""Folders of finished runs, as fit leaves them, without the training."""

import json
from pathlib import Path

import torch

from adapt.datamodules import Splits
from adapt.evaluate import ObjectScore, summarise, write_tables
from adapt.evaluate.results import Retention
from adapt.jobs.tuned import write_tuned
from adapt.recipe import DecoderTuning, InsertingTuning, load_recipe
from adapt.runs import versions
from adapt.segmenters import load_segmenter
from adapt.tuning import choose

SIZE = 64
PATIENTS = ("Meier_Hans_1961", "Schulz_Anna_1975")
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
    choose(tuned, recipe.tuning)
    torch.manual_seed(0)
    with torch.no_grad():
        for _, parameter in tuned.named_parameters():
            if parameter.requires_grad:
                parameter.add_(0.02 * torch.randn_like(parameter))
    assert isinstance(recipe.tuning, DecoderTuning | InsertingTuning)
    write_tuned(recipe, tuned, base=untouched, folder=run)
    _write_results(run, checkpoint=base, commit=untouched.commit)
    splits = Splits(train=("p1",), validation=("p2",), test=PATIENTS)
    (run / "splits.json").write_text(json.dumps(vars(splits)), encoding="utf-8")
    (run / "report.html").write_text("<p>report</p>", encoding="utf-8")
    (run / "gallery").mkdir()
    for name in ("one_click_01_worst", "one_click_02_best", "box_01_worst"):
        (run / "gallery" / f"{name}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + name.encode())
    return run


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
    facts: dict[str, object] = {
        "recipe": "nuclei",
        "checkpoint": checkpoint,
        "commit": commit,
        "test_groups": list(PATIENTS),
        "versions": versions(),
    }
    results = type(found)(**{**vars(found), "retention": general})
    write_tables(results, scores(), run, facts=facts)
