"""Where a tuned model is pushed to, and what its card says beyond what the run knows."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from adapt.recipe.settings import Settings

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
REPO = re.compile(rf"{_NAME}/{_NAME}")
"""What the Hub takes for owner/name; and no two dots or dashes side by side."""


def check_repo(name: str) -> str:
    """The name of a repository, as it is.

    Raises:
        ValueError: the Hub would not take it.
    """
    if not REPO.fullmatch(name) or "--" in name or ".." in name or name.endswith(".git"):
        raise ValueError(
            f"{name!r} is no name of a Hub repository: give owner/name, of letters, digits, -, _ and ., as in "
            "my-team/sam-nuclei"
        )
    return name


class CardSettings(Settings):
    """What only people know of a model; what is left empty is not claimed."""

    title: str | None = Field(None, description="Heading of the card; null: made of the recipe's name.")
    domain: str | None = Field(None, description="What the images show and how they were made, in a sentence or two.")
    data: str | None = Field(None, description="Where the data come from, and who labelled them.")
    data_license: str | None = Field(None, description="Licence of the data, as in CC BY-SA 4.0.")
    dataset: Annotated[str, AfterValidator(check_repo)] | None = Field(
        None, description="Hub id of the data set, if it is there; links the card to it."
    )
    license: str | None = Field(
        None,
        pattern="^[a-z0-9.-]+$",
        description="Licence of the tuned weights, in the Hub's words: apache-2.0, cc-by-nc-4.0, other. The base "
        "model's and the data's have a say.",
    )
    intended_use: str | None = Field(None, description="What the model is for.")
    limits: str | None = Field(None, description="What it is not for, and where it is known to fail.")


class HubSettings(Settings):
    """The Hugging Face Hub: what `adapt push` does without options, and whether `fit` ends with it."""

    repo: Annotated[str, AfterValidator(check_repo)] | None = Field(
        None, description="Repository that receives the model: owner/name."
    )
    after_fit: bool = Field(False, description="Push as soon as `fit` has compared the models.")
    private: bool = Field(True, description="A repository that is created can be seen by its owners alone.")
    adapter_only: bool = Field(
        False, description="Push the adapter alone, which plain peft puts on the base model, and no merged model."
    )
    pictures: int = Field(
        0, ge=0, le=24, description="Pictures of test objects in the card. They are images of your data; 0: none."
    )
    card: CardSettings = CardSettings()

    @model_validator(mode="after")
    def _pushed_somewhere(self) -> "HubSettings":
        if self.after_fit and self.repo is None:
            raise ValueError("after_fit needs to know where to; set hub.repo to owner/name")
        return self
