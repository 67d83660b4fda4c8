"""The files of a repository: what plain transformers or peft loads, the card, the recipe and the results."""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapt.errors import HubError
from adapt.families import OWN_FAMILIES
from adapt.hub.card import card_text
from adapt.hub.facts import CardFacts
from adapt.hub.processor import write_processor
from adapt.hub.stock import STOCK
from adapt.recipe import (
    AdapterTuning,
    InsertingTuning,
    OftTuning,
    Recipe,
    ScaleShiftTuning,
    TextTokenTuning,
    TuningSettings,
    as_yaml,
)
from adapt.segmenters import SegmenterSpec

CARD, RECIPE, RESULTS, MARKER, PICTURES = "README.md", "recipe.yaml", "results.json", "adapt.json", "pictures"
MODEL_FILES = ("config.json", "model.safetensors")
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "adapter.json")
PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
"""Beside a model that is asked by phrases."""
OURS = frozenset((CARD, RECIPE, RESULTS, MARKER, *MODEL_FILES, *ADAPTER_FILES, *PROCESSOR_FILES, *TOKENIZER_FILES))
"""Every file that a push may write, but for pictures."""


@dataclass(frozen=True)
class Identity:
    """What a repository holds, so that no push takes one model's place for another's.

    Attributes:
        recipe: its name.
        base: checkpoint that the model was tuned from.
        kind: model or adapter.
    """

    recipe: str
    base: str
    kind: str

    def __str__(self) -> str:
        return f"the {self.kind} of recipe {self.recipe} (base {self.base})"


def check_adapter(
    tuning: TuningSettings, base: str | None, *, resized: bool, memory: bool = False, classes: bool = False
) -> None:
    """Fail early if plain peft could not put this adapter on a model of the Hub.

    Args:
        tuning: of the recipe.
        base: Hub id of the model that it stands on; None if its weights are on no Hub.
        resized: whether the base was used at an input size that is not its own.
        memory: whether the memory of a video model has trained beside it.
        classes: whether the model has classes, whose tokens the base has not.

    Raises:
        HubError: it could not; says what to push instead.
    """
    instead = "push the merged model: leave out --adapter-only, and hub.adapter_only"
    if not isinstance(tuning, InsertingTuning):
        raise HubError(f"the run has no adapter, since its tuning.mode trains the model itself; {instead}")
    if isinstance(tuning, AdapterTuning | TextTokenTuning):
        raise HubError(
            f"what tuning.mode {tuning.mode} has put into the model is read by neither transformers nor peft, so that "
            "it cannot be pushed; "
            "fit with tuning.mode lora"
        )
    if isinstance(tuning, ScaleShiftTuning | OftTuning):
        raise HubError(f"plain peft cannot run what tuning.mode {tuning.mode} has put into this model; {instead}")
    if memory:
        raise HubError(f"the memory has trained beside the adapter, and plain peft reads none; {instead}")
    if classes:
        raise HubError(f"the base model has no tokens for the classes, without which plain peft reads none; {instead}")
    if base is None:
        raise HubError(f"an adapter needs its base model, and this one's is not on the Hub; {instead}")
    if resized:
        raise HubError(f"the adapter was trained at another input size than its base model's own; {instead}")


def check_plain(family: str) -> None:
    """Fail early if plain peft could not put an adapter on a model of a family.

    Raises:
        HubError: it could not; says why, and what to push instead.
    """
    reason = STOCK[family].no_adapter
    if reason:
        raise HubError(f"{reason}; push the merged model: leave out --adapter-only, and hub.adapter_only")


def write_package(
    folder: Path,
    *,
    facts: CardFacts,
    identity: Identity,
    spec: SegmenterSpec,
    save: Callable[[Path], None],
    pictures: Sequence[Path],
) -> None:
    """Fill an empty folder with all that is pushed.

    Args:
        folder: empty.
        facts: of the card.
        identity: see there.
        spec: of the model.
        save: puts it there, or the adapter, with its tokenizer if it is asked by phrases.
        pictures: go to the `facts.pictures` of the same place.
    """
    save(folder)
    if facts.family not in OWN_FAMILIES:
        write_processor(spec, facts.family, folder)
    for source, name in zip(pictures, facts.pictures, strict=True):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(source, folder / name)
    _write(folder / RECIPE, recipe_text(facts.recipe, facts.left_out))
    _write(folder / RESULTS, _json(facts.results))
    _write(folder / CARD, card_text(facts))
    about = {"adapt": facts.version, "recipe": identity.recipe, "base": identity.base, "kind": identity.kind}
    _write(folder / MARKER, _json({**about, "sha256": digests(folder)}))


def recipe_text(recipe: Recipe, left_out: Sequence[str]) -> str:
    """The recipe as YAML, with a word on what is not as it was."""
    told = f"# Not as it was, since it is of one machine: {', '.join(left_out)}.\n" if left_out else ""
    return f"{told}{as_yaml(recipe)}"


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file below a folder, by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    found = {}
    for path in files:
        with path.open("rb") as file:
            found[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def read_identity(text: bytes) -> Identity | None:
    """Of a marker file; None if it is none of ours."""
    try:
        found = json.loads(text)
        return Identity(str(found["recipe"]), str(found["base"]), str(found["kind"]))
    except (ValueError, KeyError, TypeError):
        return None


def _json(content: Any) -> str:  # noqa: ANN401 - plain data of any shape
    return json.dumps(content, indent=2) + "\n"


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
