"""Finished runs side by side: the same objects, the same prompts, each run paired with the first.

Of a run, its tuned model counts; of an evaluation of an untouched model alone, that one.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adapt.errors import ResultsError
from adapt.evaluate.objects import read_objects
from adapt.evaluate.results import Difference, ModelFigures
from adapt.evaluate.scoring import ObjectScore
from adapt.evaluate.sizes import size_parts
from adapt.evaluate.summary import difference, model_figures

Identity = tuple[str, str, int, str, str, int]
"""What makes two scores those of the same object: protocol, sample, index, category, group and area."""


@dataclass(frozen=True, eq=False)
class Run:
    """What is compared of a run.

    Attributes:
        name: as it was asked for.
        recipe, checkpoint: from its results.
        model: `tuned`, or `base` where there is no other.
        scores: of this model.
    """

    name: str
    recipe: str
    checkpoint: str
    model: str
    scores: Sequence[ObjectScore]


@dataclass(frozen=True)
class Entry:
    """A run under one protocol; `difference` is to the first run, None for that one itself."""

    figures: ModelFigures
    difference: Difference | None


@dataclass(frozen=True)
class Comparison:
    """Runs on the same objects.

    Attributes:
        runs: in the order they were asked for.
        protocols: name to an entry a run.
        objects, groups: how many were compared.
        left_out: objects of each run that not all have.
        only_some: protocols that not all runs have.
    """

    runs: Sequence[Run]
    protocols: dict[str, list[Entry]]
    objects: int
    groups: int
    left_out: Sequence[int]
    only_some: Sequence[str]


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """The runs, or evaluations, of some folders.

    Raises:
        ResultsError: fewer than two, one twice, or one that has no results that can be read.
    """
    if len(folders) < 2:
        raise ResultsError("compare takes the folders of two runs or more")
    twice = [folder for place, folder in enumerate(folders) if folder.resolve() in map(Path.resolve, folders[:place])]
    if twice:
        raise ResultsError(f"{twice[0]} is named twice; name each run once")
    return [_read_run(folder) for folder in folders]


def _read_run(folder: Path) -> Run:
    scores = read_objects(folder)
    path = folder / "results.json"
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        recipe, checkpoint = str(facts["recipe"]), str(facts["checkpoint"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"{path} cannot be read ({error}); evaluate the run again") from None
    model = "tuned" if any(score.model == "tuned" for score in scores) else "base"
    return Run(str(folder), recipe, checkpoint, model, [score for score in scores if score.model == model])


def compare_runs(runs: Sequence[Run], *, only_common: bool, bootstrap_samples: int, seed: int) -> Comparison:
    """Figures of each run on the same objects, and their paired differences to the first.

    Args:
        runs: two or more.
        only_common: leave out objects that not all runs have, rather than refuse to compare.
        bootstrap_samples: resamples of the groups.
        seed: of the resampling.

    Raises:
        ResultsError: the objects differ, or no protocol or object is common.
    """
    shared = set.intersection(*({score.protocol for score in run.scores} for run in runs))
    names = list(dict.fromkeys(score.protocol for run in runs for score in run.scores))
    if not shared:
        raise ResultsError(
            f"the runs have no protocol in common ({', '.join(names)}); evaluate them with the same ones"
        )
    objects = [{_identity(score) for score in run.scores if score.protocol in shared} for run in runs]
    common = set.intersection(*objects)
    left_out = [len(own - common) for own in objects]
    if any(left_out) and not (only_common and common):
        raise ResultsError(_differing(runs, objects, common))
    protocols: dict[str, list[Entry]] = {}
    for name in (name for name in names if name in shared):
        scores = [[s for s in run.scores if s.protocol == name and _identity(s) in common] for run in runs]
        if not scores[0]:
            continue  # none of its objects is common
        sizes = size_parts([score.pixels for score in scores[0]])
        protocols[name] = [
            Entry(
                figures=model_figures(own, (), sizes, samples=bootstrap_samples, seed=seed),
                difference=None if place == 0 else difference(scores[0], own, samples=bootstrap_samples, seed=seed),
            )
            for place, own in enumerate(scores)
        ]
    return Comparison(
        runs=runs,
        protocols=protocols,
        objects=len({identity[1:3] for identity in common}),
        groups=len({identity[4] for identity in common}),
        left_out=left_out,
        only_some=[name for name in names if name not in shared],
    )


def _identity(score: ObjectScore) -> Identity:
    return score.protocol, score.sample_id, score.index, score.category, score.group, score.pixels


def _differing(runs: Sequence[Run], objects: Sequence[set[Identity]], common: set[Identity]) -> str:
    def count(identities: set[Identity]) -> int:
        return len({identity[1:3] for identity in identities})

    counts = ", ".join(f"{run.name} {count(own)}" for run, own in zip(runs, objects, strict=True))
    text = f"the runs were tested on different objects: {counts}; "
    if not common:
        return f"{text}none is common (same sample, index, category, group and area), so nothing can be compared"
    return f"{text}{count(common)} are common. --common compares on these alone"
