"""Which images are there to be labelled, what their prompts are, and what their objects are called."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from adapt.build import make_source, make_splits, make_store, named_categories
from adapt.datamodules.pairing import case_group
from adapt.errors import DataError
from adapt.predict.inputs import Input, find_inputs, prompts_by_input
from adapt.predict.prompt_files import read_prompts
from adapt.predict.prompted import PromptedObject
from adapt.recipe import DataSettings, LabelSettings, Recipe
from adapt.wording import counted, listed


@dataclass(frozen=True)
class Unlabelled:
    """Images that may be labelled.

    Attributes:
        inputs: neither labelled by hand, nor of a group that validates or tests.
        prompts: of each that has some, by name; None to look for everything in all.
    """

    inputs: Sequence[Input]
    prompts: Mapping[str, Sequence[PromptedObject]] | None


def find_unlabelled(folder: Path, recipe: Recipe, prompts: Path | None, *, console: Console) -> Unlabelled:
    """The images of a folder that may be labelled, and their prompts; says which it leaves out.

    Raises:
        DataError: none is left, or the prompts cannot be read.
    """
    found = find_inputs(folder, recipe.data)
    asked = None if prompts is None else prompts_by_input(read_prompts(prompts), found, source=prompts)
    by_hand_alone = recipe.model_copy(update={"label": LabelSettings()})
    splits = make_splits(by_hand_alone, make_store(by_hand_alone, console), Console(quiet=True))
    source = make_source(recipe.data, Path(recipe.cache).expanduser())
    by_hand = {path.resolve() for path in source.inputs}
    free = [one for one in found if not by_hand & {path.resolve() for path in one.files}]
    held_out = {*splits.validation, *splits.test}
    inputs = [one for one in free if group_of(one, recipe.data) not in held_out]
    for count, why in ((len(found) - len(free), "labelled by hand"), (len(free) - len(inputs), "of held-out groups")):
        if count:
            console.print(f"left out: {counted(count, 'image')} {why}", highlight=False)
    if not inputs:
        raise DataError(f"{folder}: all its images are labelled by hand, or of held-out groups; none is left to label")
    return Unlabelled(inputs, asked)


def group_of(one: Input, data: DataSettings) -> str:
    """Patient, scene or slide of an image, as the recipe tells them by name."""
    return case_group(one.name, getattr(data, "group_pattern", None))


def known_labels(data: DataSettings) -> list[str]:
    """Labels that the recipe names: its classes, or what all objects are called; none if it takes what is there."""
    named = named_categories(data)
    category = getattr(data, "category", None)
    return named or ([] if category is None else [category])


def label_of(data: DataSettings, given: str | None) -> str:
    """The label of masks that no prompt names.

    Args:
        data: of the recipe.
        given: on the command line; None for the only one that the recipe names.

    Raises:
        DataError: the recipe names several or none, and none is given; or another one is given.
    """
    named = known_labels(data)
    if given is not None:
        if named and given not in named:
            raise DataError(f"--label {given!r} is none of the recipe's labels: {listed(named)}")
        return given
    if len(named) == 1:
        return named[0]
    has = f"{len(named)} labels ({listed(named)})" if named else "no label"
    raise DataError(f"the recipe names {has}, so masks without a prompt have no name; give --label NAME")
