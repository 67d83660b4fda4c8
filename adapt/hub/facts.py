"""What is known of a model that is pushed, and what its card says that depends on how it is asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from huggingface_hub import EvalResult

from adapt.families import OWN_FAMILIES
from adapt.recipe import Recipe

Asked = Literal["prompts", "classes", "phrases"]
"""How a model is asked: by clicks and boxes; not at all, as it gives each pixel one of its classes; by phrases."""


@dataclass(frozen=True)
class CardFacts:
    """What a card says.

    Attributes:
        repo: owner/name.
        recipe: portable.
        left_out: key paths of the recipe that are not as they were.
        name: of the recipe.
        results: portable `results.json`.
        family: of `adapt.families`, or SAM 3 for a model that is asked by phrases.
        input_size: side of the model's input, pixels.
        base_commit: Hub commit of the base model, if it came from there.
        adapter: whether an adapter is pushed, and no merged model.
        pictures: paths in the repository.
        version: of this package.
    """

    repo: str
    recipe: Recipe
    left_out: Sequence[str]
    name: str
    results: Mapping[str, Any]
    family: str
    input_size: int
    base_commit: str | None
    adapter: bool
    pictures: Sequence[str]
    version: str

    @property
    def asked(self) -> Asked:
        """How the model is asked."""
        return asked(self.recipe)

    @property
    def why_ours(self) -> str:
        """Why only this package loads the model so that it answers as it was measured; empty if plain ones do."""
        if self.family in OWN_FAMILIES:
            return "Plain `transformers` has no class for it"
        if self.asked == "classes" and self.family == "SAM-HQ":
            return "`SamHQModel` of plain `transformers` gives other maps"
        return ""


@dataclass(frozen=True)
class Said:
    """What a card says that depends on how the model is asked.

    Attributes:
        task: the Hub's name for it.
        answers: what goes in and what comes out, half a sentence behind "It".
        example: what the code that asks it is an example of.
        using: that code, behind the lines that load the model.
        caution: what whoever loads it has to know; empty if nothing.
        knows: a sentence in Markdown on its categories.
        training: in Markdown, how it was asked while it was trained.
        results: in Markdown, the sections of figures.
        figures: for the head of the card.
    """

    task: str
    answers: str
    example: str
    using: str
    caution: str
    knows: str
    training: str
    results: str
    figures: Sequence[EvalResult]


def asked(recipe: Recipe) -> Asked:
    """How the models of a recipe are asked."""
    if recipe.concepts.learn:
        return "phrases"
    return "classes" if recipe.semantic.classes else "prompts"
