"""A round ends: the gate compares a run that was trained on it with the one before, or people refuse it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from adapt.datamodules.labelled import PREFIX
from adapt.engine import Verdict, judge
from adapt.errors import RunError
from adapt.files import write_text
from adapt.labelling.project import Project
from adapt.labelling.rounds import CLOSED, Round, open_round, rounds_of, write_labels
from adapt.recipe import Recipe, load_recipe
from adapt.runs import RECIPE, SPLITS, claimed
from adapt.wording import listed

RESULTS = "results.json"


def accept(project: Project, run: Path, *, before: Path | None) -> Verdict:
    """Let the gate judge the open round, and write down the verdict; what is refused trains no more.

    Args:
        project: see `Project`.
        run: that was trained on the labels of the round.
        before: the run to compare with; by default the one that the last round was accepted with, or the one that has
            drawn this round; without either, the untouched model.

    Raises:
        RunError: no round is open, or a run is none, was not trained on these labels, or was scored on other data.
        DataError: the runs were not scored on the same groups.
    """
    with claimed(project.root):
        entry = _open(project)
        recipe = load_recipe(_file(run, RECIPE))
        _refuse_other_labels(project, run, recipe)
        earlier = before or _run_before(project, entry)
        if earlier is not None:
            _refuse_other_data(run, recipe, earlier, load_recipe(_file(earlier, RECIPE)))
        gate_on = project.recipe().label.gate_on
        verdict = judge(
            group_scores(earlier or run, "base" if earlier is None else "tuned", gate_on=gate_on),
            group_scores(run, "tuned", gate_on=gate_on),
            samples=recipe.evaluation.bootstrap_samples,
            seed=recipe.seed,
        )
        compared = "the untouched model" if earlier is None else str(earlier.resolve())
        content = {**asdict(verdict), "run": str(run.resolve()), "before": compared, "told": str(verdict)}
        write_text(entry.folder / CLOSED, json.dumps(content, indent=1) + "\n")
        write_labels(project)
    print(f"round {entry.number} {verdict}, compared with {compared}")
    return verdict


def refuse(project: Project) -> None:
    """Set the open round aside without a run.

    Raises:
        RunError: no round is open.
    """
    with claimed(project.root):
        entry = _open(project)
        write_text(entry.folder / CLOSED, json.dumps({"accepted": False, "told": "refused by people"}, indent=1) + "\n")
        write_labels(project)
    print(f"round {entry.number} is refused: none of its masks trains; they stay in {entry.folder}")


def group_scores(run: Path, model: str, *, gate_on: str) -> dict[str, float]:
    """MIoU of each held-out group, of one protocol or as the mean of all.

    Args:
        run: folder of a finished run.
        model: `tuned` or `base`.
        gate_on: see `LabelSettings.gate_on`.

    Raises:
        RunError: it has no results, or not those.
    """
    path = _file(run, RESULTS)
    try:
        protocols: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["protocols"]
        chosen = list(protocols) if gate_on == "mean" else [gate_on]
        tables: list[dict[str, float]] = [protocols[name][model]["groups"] for name in chosen]
        return {group: sum(table[group] for table in tables) / len(tables) for group in tables[0]}
    except KeyError as error:
        raise RunError(f"{path}: has no {error} for label.gate_on={gate_on}; evaluate the run again with it") from None
    except (OSError, ValueError, TypeError, IndexError) as error:
        raise RunError(f"{path} cannot be read ({error}); evaluate the run again") from None


def _open(project: Project) -> Round:
    entry = open_round(project)
    if entry is None or not entry.complete:
        state = "no round is open" if entry is None else f"round {entry.number} is not drawn yet"
        raise RunError(f"{project.root}: {state}; see adapt label suggest")
    return entry


def _file(run: Path, name: str) -> Path:
    if not (run / name).is_file():
        raise RunError(f"{run} is not the folder of a finished run: it has no {name}. Give runs/<recipe>/<time>")
    return run / name


def _run_before(project: Project, entry: Round) -> Path | None:
    accepted = [one.closed for one in rounds_of(project) if one.closed is not None and one.closed["accepted"]]
    if accepted:
        return Path(accepted[-1]["run"])
    drawn_by = entry.facts["model"].get("run")
    return None if drawn_by is None else Path(drawn_by)


def _refuse_other_labels(project: Project, run: Path, recipe: Recipe) -> None:
    """Check that a run was trained on all pictures that train now."""
    fit = f"python -m adapt fit --recipe {project.recipe_file}"
    root = recipe.label.root
    if root is None or Path(root).expanduser().resolve() != project.root:
        raise RunError(f"{run} was not trained on the labels of {project.root}; {fit}")
    train = set(json.loads(_file(run, SPLITS).read_text(encoding="utf-8"))["train"])
    groups = {
        PREFIX + one.groups()[name]
        for one in rounds_of(project)
        if one.complete and not one.refused
        for name, (image, _) in one.labelled().items()
        if image.objects
    }
    missing = sorted(group.removeprefix(PREFIX) for group in groups - train)
    if missing:
        raise RunError(f"{run} was trained before {listed(missing)} had labels; {fit}")
    if not groups:
        raise RunError(f"{project.root}: no mask trains, so there is nothing to judge; see adapt label import")


def _refuse_other_data(run: Path, recipe: Recipe, earlier: Path, other: Recipe) -> None:
    """Check that two runs were scored on the same images; a path may be written in two ways."""
    compared = [
        {
            "data": {**one.data.model_dump(mode="json"), "root": str(Path(one.data.root).expanduser().resolve())},
            "split": one.split,
            "seed": one.seed,
        }
        for one in (recipe, other)
    ]
    for key, value in compared[0].items():
        if value != compared[1][key]:
            raise RunError(f"{run} and {earlier} differ in {key}, so they were not scored on the same images")
