"""From a repository that `adapt push` has made to a recipe that starts from its model.

Only files of known names are fetched, recipe and weights are data, and what a recipe says of places is left behind.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi

from adapt.errors import HubError
from adapt.files import make_folder, write_text
from adapt.hub.package import MARKER, MODEL_FILES, RECIPE, TOKENIZER_FILES, recipe_text
from adapt.hub.portable import portable_recipe
from adapt.hub.repository import told
from adapt.hub.retry import retried
from adapt.recipe import Recipe, load_recipe
from adapt.runs import write_folder

MAX_TEXT_BYTES = 1_000_000
"""Of each file but the weights and a tokenizer."""
MAX_TOKENIZER_BYTES = 10_000_000
"""That of CLIP, which SAM 3 reads phrases with, has 3.6 million."""
MODEL = "model"


@dataclass(frozen=True)
class Pulled:
    """A pushed model.

    Attributes:
        repo: owner/name.
        commit: that its files are of.
        recipe: portable, starting from the model.
        left_out: key paths of the recipe that are to be set.
    """

    repo: str
    commit: str
    recipe: Recipe
    left_out: list[str]


def read_pushed(repo: str, revision: str | None, *, tell: Callable[[str], None]) -> Pulled:
    """The recipe of a pushed model, made to start from it.

    Args:
        repo: owner/name.
        revision: branch, tag or commit; None for the newest.
        tell: gets a line for each failure after which it is tried again.

    Raises:
        HubError: there is no such repository or revision, or `adapt push` has made none of it.
        RecipeError: its recipe is not valid here.
    """
    api = HfApi()
    with told(repo):
        info = retried(lambda: api.model_info(repo, revision=revision), what=f"look at {repo}", tell=tell)
    commit, names = str(info.sha), {sibling.rfilename for sibling in info.siblings or []}
    if not {RECIPE, MARKER} <= names:
        raise HubError(
            f"{repo} was not pushed by adapt: it has no {RECIPE} with {MARKER}. To start from any Segment Anything "
            f"model, set model.checkpoint={repo} in a recipe of yours"
        )
    if not set(MODEL_FILES) <= names:
        raise HubError(
            f"{repo} holds an adapter and no model, and fit starts from models; push the merged model as well, to "
            "another repository"
        )
    recipe, left_out = portable_recipe(load_recipe(_fetch(repo, RECIPE, commit, tell=tell)))
    model = recipe.model.model_copy(
        update={"checkpoint": repo, "revision": commit, "weights": "pretrained", "input_size": None}
    )
    started = recipe.model_copy(update={"model": model, "curriculum": []})
    return Pulled(repo, commit, started, [name for name in left_out if name != "model.checkpoint"])


def write_recipe(pulled: Pulled, path: Path) -> None:
    """Write the recipe, which names the repository and the commit, as a new file.

    Raises:
        HubError: something is there already.
    """
    _check_new(path)
    make_folder(path.parent, then="or give --output another place")
    write_text(path, _text(pulled))


def write_start(pulled: Pulled, folder: Path, *, tell: Callable[[str], None]) -> Path:
    """Write the recipe and the model into a new folder, so that fit needs no network.

    Returns:
        The recipe.

    Raises:
        HubError: something is there already, or what was fetched is not what was pushed.
    """
    _check_new(folder)
    make_folder(folder.parent, then="or give --output another folder")
    sums = _checksums(_fetch(pulled.repo, MARKER, pulled.commit, tell=tell))
    local = pulled.recipe.model.model_copy(update={"checkpoint": str((folder / MODEL).resolve()), "revision": None})
    recipe = pulled.recipe.model_copy(update={"model": local})

    def fill(place: Path) -> None:
        (place / MODEL).mkdir()
        for name in (*MODEL_FILES, *(TOKENIZER_FILES if recipe.concepts.learn else ())):
            source = _fetch(pulled.repo, name, pulled.commit, tell=tell)
            with source.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != sums.get(name):
                    raise HubError(
                        f"{pulled.repo}: {name} is not what was pushed (its SHA-256 is not that of {MARKER}); pull "
                        "another --revision"
                    )
            shutil.copyfile(source, place / MODEL / name)  # of the cache's link, what it leads to
        write_text(place / RECIPE, _text(Pulled(pulled.repo, pulled.commit, recipe, pulled.left_out)))

    write_folder(folder, fill)
    return folder / RECIPE


def _text(pulled: Pulled) -> str:
    to_set = [name for name in pulled.left_out if name.endswith("root")]
    lines = [f"# Starts from {pulled.repo} at commit {pulled.commit}."]
    if to_set:
        lines.append(f"# Set {', '.join(to_set)} to your data.")
    return "\n".join([*lines, recipe_text(pulled.recipe, [])])


def _fetch(repo: str, name: str, commit: str, *, tell: Callable[[str], None]) -> Path:
    """A file of a known name, in the cache of the Hub."""
    api = HfApi()
    with told(repo):
        if not name.endswith(".safetensors"):
            (entry,) = retried(
                lambda: api.get_paths_info(repo, [name], revision=commit), what=f"look at {repo}", tell=tell
            )
            most = MAX_TOKENIZER_BYTES if name in TOKENIZER_FILES else MAX_TEXT_BYTES
            if getattr(entry, "size", most + 1) > most:
                raise HubError(f"{repo}: {name} is larger than {most:,} bytes, so it is no {name} of adapt")
        return Path(retried(lambda: api.hf_hub_download(repo, name, revision=commit), what=f"fetch {name}", tell=tell))


def _checksums(marker: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(marker.read_text(encoding="utf-8"))["sha256"]
        return {str(name): str(digest) for name, digest in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise HubError(f"{MARKER} of the repository cannot be read ({error!r}); pull another --revision") from None


def _check_new(path: Path) -> None:
    if os.path.lexists(path):  # a link that leads nowhere is something as well
        raise HubError(f"{path} is there already and is not written over; give --output a new name")
