"""The checkpoints of a run folder: each a file and its manifest; which is the newest, which the best, which may go.

A checkpoint counts as soon as its manifest is there, which is written last; the manifest's hash tells a damaged file.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from adapt.errors import CheckpointError
from adapt.files import write_text

NEWEST = 2
"""How many of the last ones are kept, beside the best."""
CHECKPOINT, MANIFEST = ".ckpt", ".json"
OWN_HASH = "manifest_sha256"
"""A wrong digit in a manifest would let a run go on from another place than its checkpoint's."""
OURS = re.compile(r"\.?epoch_\d+_batch_\d+\.(ckpt|json)(\.[a-z0-9_]{8})?")
"""Names of checkpoints and manifests, whole or half written; what else somebody keeps beside them is theirs."""


@dataclass(frozen=True)
class Place:
    """How far a training was when a checkpoint was written.

    Attributes:
        epochs: that were done, validation included.
        batches: of the next epoch that were done; all of them if its validation was not.
        batches_per_epoch: if this changes, the data are others.
        steps: of the optimiser, in all.
        score: validation mIoU of the epoch that ended here; None inside an epoch, or if it must not be the best.
        data: key of the prepared data.
    """

    epochs: int
    batches: int
    batches_per_epoch: int
    steps: int
    score: float | None
    data: str


@dataclass(frozen=True)
class Kept:
    """A checkpoint on disk, as its manifest tells."""

    path: Path
    place: Place
    sha256: str


def path_of(folder: Path, place: Place) -> Path:
    """Where the checkpoint of a place is kept."""
    return folder / f"epoch_{place.epochs:05d}_batch_{place.batches:06d}{CHECKPOINT}"


def write_manifest(path: Path, place: Place, *, sha256: str) -> None:
    """Make a checkpoint that is written count."""
    content = {**asdict(place), "sha256": sha256}
    text = json.dumps({**content, OWN_HASH: _digest(content)}, indent=2)
    write_text(path.with_suffix(MANIFEST), text + "\n")


def read_manifest(path: Path) -> Kept:
    """What the manifest says of a checkpoint.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    manifest = path.with_suffix(MANIFEST)
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
        if content.pop(OWN_HASH) != _digest(content):
            raise ValueError("it is not what was written")
        sha256 = str(content.pop("sha256"))
        return Kept(path, Place(**content), sha256)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: its manifest {manifest.name} cannot be read ({error})") from None


def verify(kept: Kept) -> None:
    """Compare a checkpoint with its hash.

    Raises:
        CheckpointError: it is missing, or not what was written.
    """
    try:
        with kept.path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"{kept.path}: cannot be read ({error.strerror})") from None
    if found != kept.sha256:
        raise CheckpointError(f"{kept.path}: damaged, its SHA-256 is not that of its manifest")


def kept_checkpoints(folder: Path, *, tell: Callable[[str], None]) -> list[Kept]:
    """Those with a manifest, oldest first; damaged manifests are told, and left out."""
    found = []
    for manifest in sorted(path for path in folder.glob(f"*{MANIFEST}") if OURS.fullmatch(path.name)):
        try:
            found.append(read_manifest(manifest.with_suffix(CHECKPOINT)))
        except CheckpointError as error:
            tell(str(error))
    return sorted(found, key=lambda kept: (kept.place.epochs, kept.place.batches))


def newest_good(folder: Path, *, tell: Callable[[str], None]) -> Kept | None:
    """The newest checkpoint that is whole; None if there was never one. What is newer, and damaged, is removed.

    Args:
        folder: of the checkpoints; may be missing.
        tell: gets a line for each that is damaged.

    Raises:
        CheckpointError: all are damaged.
    """
    damaged: list[str] = []
    found = kept_checkpoints(folder, tell=damaged.append)
    good = _first_whole(reversed(found), tell=damaged.append)
    if good is None and damaged:
        raise CheckpointError("\n".join([*damaged, "no checkpoint is left that is whole; fit again"]))
    for line in damaged:
        tell(f"{line}; the one before it is used")
    remove_all_but([] if good is None else found[: found.index(good) + 1], folder)
    return good


def best_good(folder: Path, *, tell: Callable[[str], None]) -> Kept:
    """The whole checkpoint with the highest score, the earliest of equals; the newest if none has a score.

    Raises:
        CheckpointError: there is none.
    """
    found = kept_checkpoints(folder, tell=tell)
    scored = sorted((kept for kept in found if kept.place.score is not None), key=lambda kept: -(kept.place.score or 0))
    good = _first_whole([*scored, *reversed(found)], tell=tell)
    if good is None:
        raise CheckpointError(f"{folder} holds no checkpoint that is whole; fit again")
    return good


def tidy(folder: Path) -> None:
    """Remove all but the newest ones and the best, and what a killed process has left half written."""
    found = kept_checkpoints(folder, tell=lambda line: None)
    scored = [kept for kept in found if kept.place.score is not None]
    best = [max(scored, key=lambda kept: kept.place.score or 0)] if scored else []  # the first of equals
    remove_all_but([*best, *found[-NEWEST:]], folder)


def remove_all_but(kept: Iterable[Kept], folder: Path) -> None:
    """Of a folder of checkpoints, and of these files alone. Manifests go first: what has none does not count."""
    stay = {path for one in kept for path in (one.path, one.path.with_suffix(MANIFEST))}
    for path in sorted(folder.glob("*"), key=lambda path: path.suffix != MANIFEST):
        if path not in stay and OURS.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _digest(content: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _first_whole(candidates: Iterable[Kept], *, tell: Callable[[str], None]) -> Kept | None:
    for kept in candidates:
        try:
            verify(kept)
        except CheckpointError as error:
            tell(str(error))
        else:
            return kept
    return None
