"""The check from beginning to end, and its cheap part for the start of a training."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from adapt.build import make_segmenter, named_categories, open_store
from adapt.datacheck.balance import class_balance, missing_categories
from adapt.datacheck.contact_sheet import draw_contact_sheet
from adapt.datacheck.findings import (
    Finding,
    left_out,
    overlapping_objects,
    several_pieces,
    tiny_objects,
    unusable_cases,
)
from adapt.datacheck.groups import duplicates, few_test_groups, names_alike, shared_stems
from adapt.datacheck.intensity import flat_images, unlike_the_others
from adapt.datacheck.report import (
    CheckReport,
    as_json,
    data_facts,
    data_lines,
    exit_code,
    print_report,
    sorted_findings,
)
from adapt.datacheck.tracks import jumping_tracks
from adapt.datacheck.walk import digest, summarise, summarise_store
from adapt.datamodules import Splits, Store, split_groups
from adapt.datamodules.labelled import is_labelled
from adapt.errors import CheckpointError, DataError
from adapt.files import make_folder, write_file, write_text
from adapt.recipe import DataSettings, Recipe, group_rule
from adapt.runs import check_writable, new_run_folder
from adapt.segmenters import SegmenterSpec
from adapt.terminal import Terminal

JSON, SHEET = "check.json", "contact_sheet.png"
QUICK_WARNINGS = 5
"""Lines that the start of a training may take."""
QUICK_MASKS = 50
"""Images whose masks are read at the start of a training."""
QUICK_BYTES = 2**30
"""Largest store whose images are hashed at the start of a training: SHA-256 takes about a second for it."""


def check_data(recipe: Recipe, *, name: str, folder: Path | None, strict: bool) -> int:
    """Read all of a recipe's data, print what is wrong with it, write `check.json` and `contact_sheet.png`.

    Args:
        recipe: checked.
        name: of the recipe; names the folder of the check.
        folder: receives the files; None for a new one, `output/<recipe>/checks/<time>`.
        strict: whether a warning alone makes the exit code 1.

    Returns:
        The exit code; see `exit_code`.

    Raises:
        RunError: the folder cannot be written.
    """
    console = Terminal(stderr=True)
    output = Path(recipe.output).expanduser()
    check_writable(output if folder is None else folder)
    report, store = _examine(recipe, name, console)
    if folder is None:
        folder = new_run_folder(output, f"{name}/checks")
    else:
        make_folder(folder, then="or name another with --output")
    write_text(folder / JSON, json.dumps(as_json(report), indent=2, ensure_ascii=False) + "\n")
    written = [folder / JSON]
    if store is not None:
        sheet = draw_contact_sheet(store, report, seed=recipe.seed)
        write_file(folder / SHEET, lambda file: sheet.save(file, format="PNG"))
        written.append(folder / SHEET)
    out = Terminal()
    print_report(report, out)
    for path in written:
        out.print(f"wrote {path}", highlight=False, markup=False, soft_wrap=True)
    return exit_code(report.findings, strict=strict)


def _examine(recipe: Recipe, name: str, console: Console) -> tuple[CheckReport, Store | None]:
    """All that can be found; no store if nothing can be read."""
    try:
        store = open_store(recipe.data, recipe, console, on_error="skip")
    except DataError as error:
        return CheckReport(recipe=name, findings=[Finding("unreadable_data", "error", str(error))]), None
    spec, without_model = _spec(recipe)
    splits, without_split = _splits(recipe, store)
    split_of = _split_of(splits)
    samples = summarise_store(store, spec=spec, console=console)
    balance = class_balance(
        [(sample.group, [item.category for item in sample.objects]) for sample in samples],
        split_of,
        named=named_categories(recipe.data),
    )
    found = [
        *unusable_cases(store.facts, refused=recipe.data.on_error == "fail"),
        *without_split,
        *without_model,
        *left_out(store.facts),
        *_of_groups(recipe, store, splits),
        *duplicates([(sample.sample_id, sample.group, sample.digest) for sample in samples], split_of),
        *missing_categories(balance),
        *([] if spec is None else tiny_objects(samples, spec)),
        *([] if _may_lie_in_pieces(recipe.data) else several_pieces(samples)),
        *flat_images(samples),
        *unlike_the_others(samples),
        *overlapping_objects(samples),
        *jumping_tracks(store.rows),
    ]
    report = CheckReport(
        recipe=name,
        findings=sorted_findings(found),
        facts=data_facts(store, samples, splits),
        lines=data_lines(store, samples, splits, spec),
        balance=balance,
        samples=samples,
        split_of=split_of,
    )
    return report, store


def quick_findings(recipe: Recipe, store: Store, splits: Splits) -> list[Finding]:
    """What can be found without reading all masks; images are read only of a store up to `QUICK_BYTES`.

    Masks are read of images with a single object: there a mask of a class may have been taken for one. Cases that
    cannot be used are not among it: `make_store` has refused or named them.
    """
    split_of = _split_of(splits)
    categories = store.rows["categories"][:]
    images = zip(store.groups, categories, strict=True)
    single = [] if _may_lie_in_pieces(recipe.data) else [row for row, names in enumerate(categories) if len(names) == 1]
    columns = ["sample_id", "group", "height", "width", "channels", "image"]
    hashed = store.rows.select_columns(columns) if store.facts.data_bytes <= QUICK_BYTES else []
    return sorted_findings(
        [
            *left_out(store.facts),
            *_of_groups(recipe, store, splits),
            *duplicates([(row["sample_id"], row["group"], digest(row)) for row in hashed], split_of),
            *missing_categories(class_balance(images, split_of, named=named_categories(recipe.data))),
            *several_pieces([summarise(store.rows[row], spec=None) for row in single[:QUICK_MASKS]]),
            *jumping_tracks(store.rows),
        ]
    )


def print_warnings(findings: Sequence[Finding], console: Console) -> None:
    """Print the first few errors and warnings, a line each, and how to see all."""
    grave = [finding for finding in findings if finding.severity != "note"]
    for finding in grave[:QUICK_WARNINGS]:
        console.print(f"[yellow]data:[/] {escape(finding.text)}", highlight=False, soft_wrap=True)
    more = f" ({len(grave) - QUICK_WARNINGS} more)" if len(grave) > QUICK_WARNINGS else ""
    console.print(
        f"the whole check{more}: python -m adapt data check, with the same --recipe and values",
        highlight=False,
        soft_wrap=True,
    )


def _of_groups(recipe: Recipe, store: Store, splits: Splits | None) -> list[Finding]:
    rule = group_rule(recipe.data)
    whole_scenes = rule.get("data.split_by") == "scene" and rule["data.group_pattern"] is None
    groups = [group for group in store.groups if not is_labelled(group)]
    return [
        *names_alike(groups),
        *([] if any(rule.values()) or not rule else shared_stems(groups)),
        *([] if splits is None else few_test_groups(splits, whole_scenes=whole_scenes)),
    ]


def _spec(recipe: Recipe) -> tuple[SegmenterSpec | None, list[Finding]]:
    """Of the model, or why there is none: data can be checked where the model is not."""
    try:
        return make_segmenter(recipe).spec, []
    except CheckpointError as error:
        return None, [
            Finding("model_unread", "warning", f"objects too small for the model were not looked for: {error}")
        ]


def _splits(recipe: Recipe, store: Store) -> tuple[Splits | None, list[Finding]]:
    try:
        return split_groups(store.groups, recipe.split, seed=recipe.seed), []
    except DataError as error:
        return None, [Finding("cannot_split", "error", str(error))]


def _split_of(splits: Splits | None) -> dict[str, str]:
    """Group to the name of its split."""
    if splits is None:
        return {}
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    return {group: name for name, groups in parts.items() for group in groups}


def _may_lie_in_pieces(data: DataSettings) -> bool:
    """Whether pieces that do not touch may be one object.

    Such are a label as a whole, which only maps of classes are read as, and what COCO has several polygons for: a
    thing that another one covers in part.
    """
    whole: bool = getattr(data, "objects", None) == "label" and getattr(data, "label_kind", "classes") == "classes"
    return whole or data.kind == "coco"
