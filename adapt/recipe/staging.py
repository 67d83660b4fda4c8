"""A stage of a curriculum."""

from typing import Annotated

from pydantic import AfterValidator, Field

from adapt.recipe.settings import Settings

STAGED = ("augment", "data", "features", "loss", "optimizer", "prompts", "trainer", "tuning")
"""Sections whose values a stage may change; and `model.input_size`."""


def _can_be_staged(change: dict[str, bool | int | float | str | None]) -> dict[str, bool | int | float | str | None]:
    for path in change:
        section, dot, _ = path.partition(".")
        if path != "model.input_size" and not (dot and section in STAGED):
            raise ValueError(f"{path!r} cannot change between stages; what can: model.input_size, {', '.join(STAGED)}")
    return change


class StageSettings(Settings):
    """A stage that trains before the run proper, on the same segmenter: the recipe, with some values changed."""

    name: str = Field(pattern="^[a-z0-9_-]+$", description="Names the stage's folder below the run's.")
    change: Annotated[
        dict[str, bool | int | float | str | None],
        Field(min_length=1, description="Key paths and values, as on the command line: prompts.box_chance: 1.0."),
        AfterValidator(_can_be_staged),
    ]
