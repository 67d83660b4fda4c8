"""A pretrained text model from its name: whole and of the right kind, or it is an error. No code of others is run."""

import json
import os.path
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import PushToHubMixin

from adapt.errors import CheckpointError
from adapt.segmenters.checkpoint import commit_of, download_config, first_line, refuse_partial, unreachable
from adapt.segmenters.quiet import quiet_transformers

Part = TypeVar("Part", bound=PushToHubMixin)
Tokenizer = TypeVar("Tokenizer", bound=PreTrainedTokenizerBase)
WEIGHTS = "*.safetensors"
NO_SUCH_MODEL = "Give a folder that save_pretrained has written, or a Hub id"


@dataclass(frozen=True)
class Place:
    """Where a text model lies.

    Attributes:
        name: as the recipe has it.
        source: a local folder, or a Hub id.
        revision: of a Hub id, the commit, so that all files are of one.
        local: whether it is a folder.
        key: of the recipe.
        model_type: as its configuration says.
        config: all that it says.
        version: the commit, or of a folder the sizes and times of its weights: what it finds may differ with it.
    """

    name: str
    source: str
    revision: str | None
    local: bool
    key: str
    model_type: str
    config: Mapping[str, Any]
    version: str


def find_text_model(name: str, *, revision: str | None, key: str, kinds: Sequence[str]) -> Place:
    """Where a text model lies, whose configuration says that it is of a kind that is wanted.

    Args:
        name: local folder, or Hub id.
        revision: branch, tag or commit, for a Hub id.
        key: of the recipe that names it, for messages.
        kinds: values of `model_type`.

    Raises:
        CheckpointError: not found, not reachable, or of another kind; says which, and how to get it.
    """
    folder = Path(os.path.expanduser(name))
    local = folder.is_dir()
    if not local and (name.startswith((".", "/", "~")) or name.count("/") != 1):
        raise CheckpointError(f"{key} {name!r} is neither a folder nor a Hub id (owner/name). {NO_SUCH_MODEL}")
    config_file = folder / "config.json" if local else download_config(name, revision, key=key, instead=_instead(name))
    try:
        config = json.loads(config_file.read_text(encoding="utf-8"))
        model_type = str(config["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{key} {name}: {config_file} is not a model's config.json ({error!r})") from None
    if model_type not in kinds:
        raise CheckpointError(f"{key} {name} is a {model_type!r} model; wanted is {' or '.join(kinds)}")
    source = str(folder) if local else name
    commit = None if local else commit_of(config_file) or revision
    weights = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in sorted(folder.glob(WEIGHTS))]
    return Place(name, source, commit, local, key, model_type, config, version=str(weights if local else commit))


def _instead(name: str) -> str:
    return f"a local folder (where there is a network: hf download {name} --local-dir FOLDER)"


def load_weights(
    kind: type[PreTrainedModel], place: Place, *, attention: str | dict[str, str] = "sdpa"
) -> PreTrainedModel:
    """The model in float32 on the CPU, in eval mode. Weights that the architecture has no place for are left out.

    Args:
        kind: its class.
        place: where it lies.
        attention: how it is computed, or of each part; else config.json could name a kernel to be fetched and run.

    Raises:
        CheckpointError: weights cannot be read, or are missing.
    """
    try:
        with quiet_transformers():
            model, found = kind.from_pretrained(
                place.source,
                revision=place.revision or "main",
                use_safetensors=True,  # never a pickle
                ignore_mismatched_sizes=True,  # so that they are listed; refused below
                output_loading_info=True,
                local_files_only=place.local,
                dtype=torch.float32,
                attn_implementation=attention,
            )
    except Exception as error:  # transformers and safetensors raise many kinds for a broken file
        raise _unreadable(place, "the weights", error) from error
    refuse_partial(f"{place.key} {place.name}", {**found, "unexpected_keys": []})
    return model.eval()


def load_tokenizer(kind: type[Tokenizer], place: Place) -> Tokenizer:
    """The tokenizer of a model. Without a vocabulary, `transformers` makes one that knows no word, and says nothing.

    Raises:
        CheckpointError: see `load_part`; or it has no vocabulary.
    """
    tokenizer = load_part(kind, place, what="the tokenizer")
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise CheckpointError(
            f"{place.key} {place.name}: the tokenizer cannot be read (it has no vocabulary); download it again, all "
            "files of it"
        )
    return tokenizer


def load_part(kind: type[Part], place: Place, *, what: str) -> Part:
    """The tokenizer or the image processor of a model.

    Raises:
        CheckpointError: its files are not there, or cannot be read.
    """
    try:
        with quiet_transformers():
            part: Part = kind.from_pretrained(
                place.source, revision=place.revision or "main", local_files_only=place.local
            )
            return part
    except Exception as error:
        raise _unreadable(place, what, error) from error


def _unreadable(place: Place, what: str, error: Exception) -> CheckpointError:
    if not place.local and isinstance(error, OSError):
        return unreachable(place.name, error, key=place.key, instead=_instead(place.name))
    return CheckpointError(
        f"{place.key} {place.name}: {what} cannot be read ({type(error).__name__}: {first_line(error)}); download it "
        "again, all files of it"
    )
