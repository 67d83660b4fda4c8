"""CLIP's embeddings of the objects that a run trains and validates on: made once, and kept below the cache."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from safetensors import SafetensorError
from safetensors.torch import save

from adapt.build import redraw_of
from adapt.datamodules import Splits, Store
from adapt.datamodules.embeddings import EMBEDDINGS, ENDS, ROWS, ObjectEmbeddings
from adapt.errors import RecipeError
from adapt.files import in_turn, write_file
from adapt.recipe import Recipe, TextTokenTuning
from adapt.text import ClipEmbedder, find_clip

VERSION = 1
"""Raise it when what is kept changes."""
FOLDER = "embeddings"


def object_embeddings(
    recipe: Recipe, store: Store, splits: Splits, *, device: torch.device, console: Console
) -> ObjectEmbeddings | None:
    """What a run in the mode `text_token` reads beside images and masks; None in other modes.

    Raises:
        RecipeError: the images are drawn anew for each epoch.
        CheckpointError: the CLIP is not there, or cannot be read.
        DataError: the name of a category is too long for it.
    """
    tuning = recipe.tuning
    if not isinstance(tuning, TextTokenTuning):
        return None
    if redraw_of(recipe.data) is not None:
        raise RecipeError("tuning.mode text_token embeds each object once, so that data.fresh cannot be true")
    wanted = {*splits.train, *splits.validation}
    rows = [row for row, group in enumerate(store.groups) if group in wanted]
    place = find_clip(tuning.clip, revision=tuning.revision)
    facts = [VERSION, place.version, place.name, tuning.context, store.folder.name, rows, recipe.text.phrases]
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]
    path = Path(recipe.cache).expanduser() / FOLDER / f"{key}.safetensors"
    with in_turn(path.with_suffix(".lock")):
        if not _is_whole(path):
            embedder = ClipEmbedder(place, device=device)
            content = _embedded(store, rows, embedder, recipe, context=tuning.context, console=console)
            write_file(path, lambda file: file.write(content))
    return ObjectEmbeddings(path)


def _is_whole(path: Path) -> bool:
    try:
        return path.is_file() and bool(ObjectEmbeddings(path)._spans)
    except (OSError, SafetensorError):
        return False


def _embedded(
    store: Store, rows: Sequence[int], embedder: ClipEmbedder, recipe: Recipe, *, context: float, console: Console
) -> bytes:
    """The file; see `ObjectEmbeddings`."""
    names = sorted({name for row in rows for name in store.rows[row]["categories"]})
    words = dict(zip(names, embedder.phrases([recipe.text.phrases.get(name, name) for name in names]), strict=True))
    parts, ends = [], [0]
    for row in track(rows, "embedding objects", console=console, transient=True, disable=not console.is_terminal):
        sample = store.sample(row)
        seen = embedder.regions(sample.image, sample.masks, context=context)
        named = torch.stack([words[name] for name in sample.categories])
        parts.append(torch.cat((seen, named[:, None]), dim=1).half())
        ends.append(ends[-1] + len(named))
    return save({EMBEDDINGS: torch.cat(parts), ROWS: torch.tensor(rows), ENDS: torch.tensor(ends[1:])})
