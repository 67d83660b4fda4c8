"""Hugging Face data sets, from the Hub or a local folder: opened, checked, and cut into ranges of rows.

The rows stay in Arrow's format: `datasets` decodes no image, and runs no code of a data set (since version 4 it
cannot). A data set that is opened is memory mapped, and travels to other processes as the paths of its files.
"""

import difflib
import pickle
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import datasets
import yaml
from datasets import Dataset, DatasetDict, IterableDataset
from huggingface_hub import HfApi
from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError is its client's own, by version
    GatedRepoError,
    HTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from adapt.datamodules.hub_rows import HubRows, feature_of, read_rows, value_of
from adapt.datamodules.pairing import files_below
from adapt.datamodules.source import Source
from adapt.errors import DataError
from adapt.recipe import HubData
from adapt.wording import counted, listed

HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
COMMIT = re.compile(r"[0-9a-f]{40}")
SAVED = ("dataset_dict.json", "state.json")
"""Files that `save_to_disk` writes into the folder of a data set, with and without splits."""
ROWS_PER_CASE = 32
UNREADABLE = (datasets.exceptions.DatasetsError, yaml.YAMLError, pickle.UnpicklingError)
"""Of a data set, of its card, and of a tensor in it that is more than a tensor, which torch refuses to read."""


def hub_source(settings: HubData, root: Path) -> Source:
    """Rows of the chosen splits of a data set.

    The source's version names the commit of a Hub data set; of a local folder every file is an input.

    Args:
        settings: of the recipe.
        root: the local folder, or the id of a Hub data set as a path.

    Raises:
        DataError: there is no such data set, configuration, split or column; it cannot be reached or read; or an
            id is given to two rows.
    """
    folder = root if root.is_dir() else None
    place = str(root) if folder else root.as_posix()
    if folder is None and not HUB_ID.fullmatch(place):
        raise DataError(f"data.root: no folder {root} (looked from {Path.cwd()}), and no Hub id (owner/name)")
    commit = None if folder else _commit(place, settings.revision)
    columns = [settings.image_column, settings.mask_column]
    columns += [c for c in (settings.category_column, settings.group_column, settings.id_column) if c is not None]
    cases = []
    for split, table in _open(place, commit, settings).items():
        if table.features is None:
            raise DataError(f"{place}: the columns of {split} are not known while streaming; set data.streaming=false")
        names = _check_columns(table, settings, f"{place} {split}")
        table = table.with_format("arrow").select_columns(sorted({_column(c, table.column_names) for c in columns}))
        if settings.max_images is not None and (isinstance(table, IterableDataset) or len(table) > settings.max_images):
            table = table.take(settings.max_images)
        rows = HubRows(table, first=0, split=split, place=place, folder=folder, category_names=names)
        cases += [partial(read_rows, part, settings=settings) for part in _ranges(rows, settings)]
    return Source(
        inputs=files_below(folder) if folder else [],
        cases=cases,
        version=f"{place}@{commit}" if commit else "",
    )


def _ranges(rows: HubRows, settings: HubData) -> list[HubRows]:
    """Rows as several cases; a stream is read in one pass, so it is one case."""
    table = rows.table
    if isinstance(table, IterableDataset):
        return [rows]
    if settings.id_column is not None:
        top = _column(settings.id_column, table.column_names)
        counts = Counter(str(value_of(settings.id_column, {top: value})) for value in table.data[top].to_pylist())
        twice = [name for name, count in counts.items() if count > 1]
        if twice:
            raise DataError(
                f"{rows.place} {rows.split}: data.id_column {settings.id_column} gives "
                f"{counted(len(twice), 'id')} to several rows: {listed(twice)}; choose another column, or null"
            )
    starts = range(0, len(table), ROWS_PER_CASE)
    return [rows.part(start, min(start + ROWS_PER_CASE, len(table))) for start in starts]


def _commit(place: str, revision: str | None) -> str:
    """The commit that a revision of a Hub data set stands for now."""
    if revision is not None and COMMIT.fullmatch(revision):
        return revision
    with _told(place, revision):
        sha = HfApi().dataset_info(place, revision=revision).sha
    if sha is None:
        raise DataError(f"data.root {place!r}: the Hub names no commit; set data.revision to one")
    return sha


def _open(place: str, commit: str | None, settings: HubData) -> dict[str, Dataset | IterableDataset]:
    """The chosen splits by name."""
    if any((Path(place) / name).is_file() for name in SAVED):
        with _told(place):
            saved = datasets.load_from_disk(place)
        found = dict(saved) if isinstance(saved, DatasetDict) else {"train": saved}
        _check_names("data.splits", settings.splits, list(found), place)
        return {split: found[split] for split in settings.splits}
    with _told(place):
        configs = datasets.get_dataset_config_names(place, revision=commit)
    if settings.config is None and len(configs) > 1 and "default" not in configs:
        raise DataError(f"{place}: has several configurations; set data.config to one of {', '.join(configs)}")
    if settings.config is not None:
        _check_names("data.config", [settings.config], configs, place)
    with _told(place):
        builder = datasets.load_dataset_builder(place, name=settings.config, revision=commit)
        streams = builder.as_streaming_dataset()
    _check_names("data.splits", settings.splits, list(streams), place)
    if settings.streaming:
        return {split: streams[split] for split in settings.splits}
    with _told(place):
        builder.download_and_prepare()
        return {split: builder.as_dataset(split=split) for split in settings.splits}


@contextmanager
def _told(place: str, revision: str | None = None) -> Iterator[None]:
    """Errors of the Hub and of `datasets` as one sentence with a remedy."""
    begin = f"data.root {place!r}:"
    try:
        yield
    except GatedRepoError:
        raise DataError(f"{begin} is gated; ask for access on its page, then log in: hf auth login") from None
    except RepositoryNotFoundError:
        raise DataError(
            f"{begin} is neither a folder (looked from {Path.cwd()}) nor a data set of the Hub that you may read; "
            "correct it, or log in to a private one: hf auth login"
        ) from None
    except RevisionNotFoundError:
        raise DataError(f"{begin} has no revision {revision!r}; set data.revision to a branch, tag or commit") from None
    except (ConnectionError, HTTPError) as error:
        raise DataError(
            f"{begin} is no folder here (looked from {Path.cwd()}), and the Hub cannot be reached ({_short(error)}); "
            "check the network, or set data.root to a local copy"
        ) from None
    except (*UNREADABLE, OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{begin} cannot be read by datasets ({_short(error.__cause__ or error)})") from None


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _check_names(key: str, wanted: list[str], known: list[str], place: str) -> None:
    for name in wanted:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise DataError(f"{key}: no {name!r}{hint} in {place}; it has {', '.join(known) or 'none'}")


def _check_columns(table: Dataset | IterableDataset, settings: HubData, where: str) -> tuple[str, ...]:
    """Check that each column is there; the names that stand for the numbers of `category_column`, if it has any."""
    for key in ("image_column", "mask_column", "category_column", "group_column", "id_column"):
        column = getattr(settings, key)
        if column is not None and feature_of(column, table.features) is None:
            near = difflib.get_close_matches(column, table.column_names, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            has = ", ".join(table.column_names)
            raise DataError(f"data.{key}: no column {column!r}{hint} in {where}; it has {has}")
    feature = None if settings.category_column is None else feature_of(settings.category_column, table.features)
    while feature is not None and not hasattr(feature, "names"):
        feature = getattr(feature, "feature", None)  # of a list: what it holds
    return () if feature is None else tuple(feature.names)


def _column(path: str, known: list[str]) -> str:
    """The column that a name such as objects.image begins with."""
    return path if path in known else path.split(".")[0]
