"""A round begins: a model draws on what people have not gone through, and what is worth a look is handed out."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from adapt.datamodules.labelled import GROUP
from adapt.engine import Provenance, Signals, Stage, rank_images
from adapt.errors import NO_FILE, DataError, RunError
from adapt.files import write_file, write_text
from adapt.jobs.predict import Loaded
from adapt.labelling.drawing import draw
from adapt.labelling.keeping import advice, kept_masks, may_overlap
from adapt.labelling.pictures import Place, pixels_of, places_of, prompts_of
from adapt.labelling.project import Project
from adapt.labelling.review_files import ReviewFormat, write_review
from adapt.labelling.rounds import DRAWN, MASKS, Round, begin_round, hand_out, open_round, seen_by_people, write_labels
from adapt.labelling.stored import as_plain
from adapt.labelling.unlabelled import Unlabelled, find_unlabelled, group_of, label_of
from adapt.predict import Model
from adapt.predict.opened import Opened
from adapt.predict.opening import open_input
from adapt.predict.prompted import PromptedObject
from adapt.runs import claimed
from adapt.wording import counted, listed

DECISIVE = ("views", "disagreement_masks", "predicted_iou", "stability")
"""Settings of `label` that decide what a round holds."""


@dataclass(frozen=True)
class Wish:
    """What is asked for.

    Attributes:
        stage: of the data engine.
        prompts: file of prompts; None to look for everything.
        label: of masks whose prompt has none; None for the only one that the recipe names.
        form: of the file for review.
        address: where Label Studio finds the pictures.
    """

    stage: Stage
    prompts: Path | None
    label: str | None
    form: ReviewFormat
    address: str


def suggest(project: Project, loaded: Loaded, wish: Wish, *, console: Console) -> None:
    """Draw on all pictures that people have not gone through, rank them, and hand out the first.

    A round that was stopped goes on; one that is drawn is handed out again, in another format or number.

    Args:
        project: see `Project`.
        loaded: the model; its recipe is the project's, with overrides.
        wish: see `Wish`.
        console: for progress and notices.

    Raises:
        RunError: the last round is another one and has no verdict yet, or the folder cannot be written.
        DataError: nothing is left to draw on, or no image of it can be used.
    """
    recipe = loaded.recipe
    facts = json.loads(
        json.dumps(
            {
                "stage": wish.stage,
                "label": label_of(recipe.data, wish.label),
                "model": loaded.about,
                "settings": recipe.label.model_dump(mode="json", include=set(DECISIVE)),
                "generate": recipe.generate.model_dump(mode="json"),
                "data": recipe.data.model_dump(mode="json"),
                "prompts": _digest(wish.prompts),
            }
        )
    )
    with claimed(project.root):
        entry = open_round(project)
        if entry is not None and entry.facts != facts:
            differing = [key for key in facts if entry.facts.get(key) != facts[key]]
            raise RunError(
                f"round {entry.number} has no verdict yet, and was asked for another {listed(differing)}; go on as it "
                "was begun, or end it: adapt label accept, or adapt label refuse"
            )
        if entry is None or not entry.complete:
            unlabelled = find_unlabelled(project.unlabelled, recipe, wish.prompts, console=console)
            entry = entry or begin_round(project, facts)
            _draw_all(project, entry, loaded, unlabelled, console=console)
            _rank(entry)
            write_labels(project)
        _tell(entry, loaded, console)
        if entry.stage != "automatic":
            _hand_out(project, entry, loaded, wish)


def _digest(prompts: Path | None) -> str | None:
    if prompts is None:
        return None
    if not prompts.is_file():
        raise DataError(f"{prompts}: {NO_FILE}")
    return hashlib.sha256(prompts.read_bytes()).hexdigest()


def _draw_all(project: Project, entry: Round, loaded: Loaded, unlabelled: Unlabelled, *, console: Console) -> None:
    """Draw on each picture that is not done; each is written before the next begins, and a bad image stops no other."""
    recipe, prompts = loaded.recipe, unlabelled.prompts
    seen, failed, places = seen_by_people(project), [], 0
    columns = (TextColumn("drawing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        for one in progress.track(unlabelled.inputs):
            own = None if prompts is None else prompts.get(one.name, [])
            if own == []:
                continue
            try:
                with open_input(one, recipe.data) as opened:
                    for place in places_of(one, opened):
                        if place.name in seen:
                            continue
                        places += 1
                        record = entry.folder / DRAWN / f"{place.name}.json"
                        if not record.is_file():
                            facts = {GROUP: group_of(one, recipe.data), "source": str(one.path)}
                            content = _drawn(project, entry, loaded, opened, place, own)
                            write_text(record, json.dumps({**content, **facts}) + "\n")
            except DataError as error:
                failed.append(str(error))
                console.print(f"[yellow]failed:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
    if not places:
        raise DataError(listed(failed) if failed else "people have gone through every picture; none is left to draw on")


def _drawn(
    project: Project,
    entry: Round,
    loaded: Loaded,
    opened: Opened,
    place: Place,
    wanted: Sequence[PromptedObject] | None,
) -> dict[str, Any]:
    """Draw on a picture: what its record says. The picture itself is written for people and for training."""
    recipe, about = loaded.recipe, entry.facts["model"]
    pixels = np.ascontiguousarray(pixels_of(opened, place))
    model = Model(loaded.segmenter, loaded.device, recipe.generate, recipe.predict)
    drawing = draw(model, pixels, None if wanted is None else prompts_of(wanted, opened, place), recipe.label)
    picture = Image.fromarray(pixels)
    write_file(project.pictures / place.name, lambda file: picture.save(file, format="PNG"))
    image = kept_masks(
        drawing,
        place.name,
        (pixels.shape[0], pixels.shape[1]),
        made_by=Provenance(
            entry.stage, model=about.get("run") or about["checkpoint"], revision=about["revision"] or about["weights"]
        ),
        label=str(entry.facts["label"]),
        overlaps=may_overlap(recipe.data),
        settings=recipe.label,
        generate=recipe.generate,
    )
    best = {"predicted_iou": drawing.best_predicted_iou, "stability": drawing.best_stability}
    best = {name: value for name, value in best.items() if np.isfinite(value)}
    return {**as_plain(image), "found": len(drawing.masks), "signals": asdict(drawing.signals), "best": best}


def _rank(entry: Round) -> None:
    """All records in one file, most useful look first; it says that the round is drawn."""
    records = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((entry.folder / DRAWN).glob("*.json"))]
    by_name = {record["file_name"]: record for record in records}
    order = rank_images({name: Signals(**record["signals"]) for name, record in by_name.items()})
    write_text(entry.folder / MASKS, json.dumps({"images": [by_name[name] for name in order]}) + "\n")


def _tell(entry: Round, loaded: Loaded, console: Console) -> None:
    """How much was drawn and kept, and what to lower where that is nothing."""
    records: list[Mapping[str, Any]] = json.loads((entry.folder / MASKS).read_text(encoding="utf-8"))["images"]
    kept = sum(len(record["objects"]) for record in records)
    empty = sum(not record["found"] for record in records)
    found = sum(record["found"] for record in records)
    print(
        f"round {entry.number} ({entry.stage}): {counted(len(records), 'picture')}, {counted(found, 'mask')} drawn, "
        f"{kept:,} kept"
    )
    if not kept or empty:
        best = {
            name: max(record["best"].get(name, 0.0) for record in records if record["found"] == 0 or not kept)
            for name in ("predicted_iou", "stability")
        }
        what = "no mask is kept" if not kept else f"nothing was found in {counted(empty, 'picture')}"
        told = advice(best["predicted_iou"], best["stability"], loaded.recipe.generate, loaded.recipe.label)
        console.print(f"[yellow]notice:[/] {what}: {told}", highlight=False, soft_wrap=True)


def _hand_out(project: Project, entry: Round, loaded: Loaded, wish: Wish) -> None:
    """Write the file for review of the first pictures."""
    images = list(entry.sent().values())[: loaded.recipe.label.images]
    hand_out(entry, [image.file_name for image in images])
    model = entry.facts["model"]
    path = write_review(
        entry.folder, images, wish.form, address=wish.address, model=str(model.get("run") or model["checkpoint"])
    )
    print(f"for review: {path} with {counted(len(images), 'picture')} of {project.pictures}")
