"""Rounds: each a folder that is only ever added to, from the first picture that is drawn to the verdict.

`round.json` what was asked for; `drawn/` a file for each picture that is done; `masks.json` what the stage keeps of
them, and the order of their use; `handed_out.json` what people were given; `reviews/` what came back; `closed.json`
the verdict. What a file says is never changed, but for `handed_out.json`, which grows.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from adapt.datamodules.labelled import GROUP, LABELS
from adapt.engine import Outcome, Stage
from adapt.errors import RunError
from adapt.files import make_folder, write_text
from adapt.formats.coco_review import write_coco_review
from adapt.formats.review import ReviewImage
from adapt.labelling.project import Project
from adapt.labelling.stored import from_plain

ROUND, DRAWN, MASKS, HANDED_OUT, REVIEWS, CLOSED = (
    "round.json",
    "drawn",
    "masks.json",
    "handed_out.json",
    "reviews",
    "closed.json",
)
Labelled = tuple[ReviewImage, tuple[Outcome, ...]]
"""A picture with its masks, and what people made of each."""


@dataclass(frozen=True)
class Round:
    """One round; `folder` is named by its number, from 1."""

    folder: Path

    @property
    def number(self) -> int:
        """From 1."""
        return int(self.folder.name)

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        """What was asked for: stage, label, model, key of all that decides what is drawn."""
        return cast("Mapping[str, Any]", _read(self.folder / ROUND))

    @property
    def stage(self) -> Stage:
        """Of the data engine."""
        return cast("Stage", self.facts["stage"])

    @property
    def complete(self) -> bool:
        """Whether all pictures are drawn."""
        return (self.folder / MASKS).is_file()

    @property
    def closed(self) -> Mapping[str, Any] | None:
        """The verdict; None as long as there is none."""
        path = self.folder / CLOSED
        return cast("Mapping[str, Any]", _read(path)) if path.is_file() else None

    @property
    def refused(self) -> bool:
        """Whether its masks are set aside."""
        closed = self.closed
        return closed is not None and not closed["accepted"]

    def sent(self) -> dict[str, ReviewImage]:
        """Pictures with the masks that the stage has kept, most useful look first; empty until all are drawn."""
        if not self.complete:
            return {}
        images = (from_plain(entry)[0] for entry in _read(self.folder / MASKS)["images"])
        return {image.file_name: image for image in images}

    def groups(self) -> dict[str, str]:
        """Group of each picture."""
        return {entry["file_name"]: entry[GROUP] for entry in _read(self.folder / MASKS)["images"]}

    def handed_out(self) -> list[str]:
        """Names of the pictures that people were given."""
        path = self.folder / HANDED_OUT
        return list(_read(path)) if path.is_file() else []

    def reviews(self) -> list[Path]:
        """Files of what came back, in their order."""
        return sorted((self.folder / REVIEWS).glob("*.json"))

    def reviewed(self) -> dict[str, Labelled]:
        """Pictures that came back; of one that did so twice, the last."""
        found: dict[str, Labelled] = {}
        for path in self.reviews():
            for entry in _read(path)["images"]:
                image, outcomes = from_plain(entry)
                found[image.file_name] = (image, outcomes)
        return found

    def labelled(self) -> dict[str, Labelled]:
        """Pictures whose masks train: those that came back, and in the later stages all others as they were drawn."""
        if not self.complete:
            return {}
        drawn: dict[str, Labelled] = {}
        if self.stage != "assisted":
            drawn = {name: (image, (Outcome.KEPT,) * len(image.objects)) for name, image in self.sent().items()}
        return drawn | self.reviewed()


def _read(path: Path) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read ({error}); put it back from a copy, or refuse the round") from None


def rounds_of(project: Project) -> list[Round]:
    """All rounds, in their order."""
    return [Round(path.parent) for path in sorted(project.rounds.glob(f"[0-9]*/{ROUND}"))]


def open_round(project: Project) -> Round | None:
    """The last round, if it has no verdict yet."""
    found = rounds_of(project)
    return found[-1] if found and found[-1].closed is None else None


def begin_round(project: Project, facts: Mapping[str, Any]) -> Round:
    """A new round, in which nothing is drawn yet."""
    folder = project.rounds / f"{len(rounds_of(project)) + 1:03d}"
    for place in (folder, folder / DRAWN, folder / REVIEWS):
        make_folder(place)
    write_text(folder / ROUND, json.dumps(facts, indent=1) + "\n")
    return Round(folder)


def seen_by_people(project: Project) -> set[str]:
    """Pictures that came back in a round that was not refused."""
    return {name for entry in rounds_of(project) if not entry.refused for name in entry.reviewed()}


def write_labels(project: Project) -> None:
    """Put together what trains: of each picture, the masks of the last round that has some and was not refused."""
    found: dict[str, ReviewImage] = {}
    for entry in rounds_of(project):
        if entry.refused or not entry.complete:
            continue
        groups = entry.groups()
        for name, (image, _) in entry.labelled().items():
            found[name] = _with_group(image, groups[name])
    write_coco_review(project.root / LABELS, [image for _, image in sorted(found.items())])


def _with_group(image: ReviewImage, group: str) -> ReviewImage:
    objects = tuple(replace(one, attributes={**one.attributes, GROUP: group}) for one in image.objects)
    return replace(image, objects=objects)


def hand_out(entry: Round, names: Sequence[str]) -> None:
    """Note what people are given, beside what they were given before."""
    known = entry.handed_out()
    write_text(entry.folder / HANDED_OUT, json.dumps(list(dict.fromkeys([*known, *names])), indent=1) + "\n")
