"""From a finished run to a repository of the Hub."""

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import constants
from rich.console import Console

from adapt import __version__
from adapt.errors import AdaptError, HubError, RunError
from adapt.files import make_folder
from adapt.hub import (
    ADAPTER_FILES,
    PICTURES,
    Asked,
    CardFacts,
    Identity,
    asked,
    check_adapter,
    check_content,
    check_loaded,
    check_login,
    check_plain,
    commit,
    find,
    is_hub_id,
    loading_code,
    portable_recipe,
    portable_results,
    write_package,
)
from adapt.jobs.tuned import load_tuned, phrase_reader
from adapt.recipe import HubSettings, Recipe, load_recipe
from adapt.runs import ADAPTER, GALLERY, MODEL, RECIPE, REPORT, check_writable, write_folder
from adapt.segmenters import PromptableSegmenter, SegmenterSpec, load_segmenter
from adapt.text import load_concepts
from adapt.tuning import merge

RESULTS = "results.json"
FIGURES: Mapping[Asked, str] = {"prompts": "protocols", "classes": "semantic", "phrases": "text"}
"""Where `RESULTS` has the figures of models that are asked in one way."""


@dataclass(frozen=True, eq=False)
class Ready:
    """A run that can be pushed: what its card says, and the model.

    Attributes:
        facts: of the card.
        identity: of what the repository will hold.
        spec: of the model.
        save: puts the model, or the adapter, into a folder.
        pictures: of the run, that the card shows.
    """

    facts: CardFacts
    identity: Identity
    spec: SegmenterSpec
    save: Callable[[Path], None]
    pictures: list[Path]

    def write(self, folder: Path) -> None:
        """Fill an empty folder with all that is pushed."""
        write_package(
            folder,
            facts=self.facts,
            identity=self.identity,
            spec=self.spec,
            save=self.save,
            pictures=self.pictures,
        )


def check_pushable(run_folder: Path) -> None:
    """Fail early if a run has not come to its end, or has lost its model.

    Raises:
        RunError: says what to do.
    """
    if not (run_folder / REPORT).is_file():
        raise RunError(
            f"{run_folder} has not finished: it has no {REPORT}, so nobody knows how good its model is; go on with "
            f"it: adapt fit --resume {run_folder}"
        )
    if not (run_folder / MODEL).is_dir() and not (run_folder / ADAPTER).is_dir():
        raise RunError(
            f"{run_folder} has finished, but its best checkpoint is not there: it has neither {MODEL}/ nor {ADAPTER}/; "
            "copy the whole folder of the run, or fit again"
        )


def make_ready(run_folder: Path, settings: HubSettings, *, repo: str) -> Ready:
    """Read a run, merge its adapter if it has one, and collect what its card says.

    Args:
        run_folder: of a finished run.
        settings: of the recipe, as the command line has changed them.
        repo: owner/name.

    Raises:
        RunError: the run has not finished, or its results cannot be read.
        HubError: it is to be pushed as an adapter and cannot be.
        CheckpointError: see `load_tuned` and `merge`.
    """
    check_pushable(run_folder)
    recipe = load_recipe(run_folder / RECIPE).model_copy(update={"hub": settings})
    results = _read_results(run_folder, asked(recipe))
    segmenter = _model(recipe, run_folder, adapter_only=settings.adapter_only)
    portable, left_out = portable_recipe(recipe)
    pictures = _pictures(run_folder, settings.pictures)
    name = run_folder.resolve().parent.name
    facts = CardFacts(
        repo=repo,
        recipe=portable,
        left_out=left_out,
        name=name,
        results=portable_results(results),
        family=segmenter.family,
        input_size=segmenter.spec.image_size,
        base_commit=results.get("commit"),
        adapter=settings.adapter_only,
        pictures=[f"{PICTURES}/{number}.png" for number in range(1, len(pictures) + 1)],
        version=__version__,
    )
    kind = "adapter" if settings.adapter_only else "model"
    identity = Identity(recipe=name, base=portable.model.checkpoint, kind=kind)
    reader = phrase_reader(recipe, run_folder) if recipe.concepts.learn else None

    def save(folder: Path) -> None:
        if settings.adapter_only:
            for file in ADAPTER_FILES:
                shutil.copyfile(run_folder / ADAPTER / file, folder / file)
        else:
            segmenter.save(folder)
        if reader is not None:
            reader.save(folder)

    return Ready(facts, identity, segmenter.spec, save, pictures)


def push(run_folder: Path, settings: HubSettings, *, repo: str, replace: bool, console: Console) -> None:
    """Push a run's model, load it back, and print where it is and how it is loaded.

    Args:
        run_folder: of a finished run.
        settings: see `make_ready`.
        repo: owner/name.
        replace: write over a repository that holds something else.
        console: for notices.

    Raises:
        HubError: see `commit`; the repository is as it was.
        AdaptError: see `make_ready`.
    """
    tell = _teller(console)
    check_pushable(run_folder)
    check_login(repo, tell=tell)
    ready = make_ready(run_folder, settings, repo=repo)
    found = find(repo, tell=tell)
    if found is not None:
        check_content(repo, found, ready.identity, private=settings.private, replace=replace, tell=tell)
        if found.private and not settings.private:
            tell(f"{repo} stays private: change that on its page")
    with tempfile.TemporaryDirectory(prefix="adapt-push-") as place:
        folder = Path(place)
        ready.write(folder)
        made = commit(
            repo,
            folder,
            title=f"{ready.facts.name}: {ready.identity.kind} by adapt {__version__}",
            private=settings.private,
            replace=replace,
            tell=tell,
        )
        check_loaded(ready.facts, made, folder, tell=tell)
    console.print("loaded back from the Hub: its answers are the same, to the bit", highlight=False)
    print(f"{constants.ENDPOINT}/{repo}\nrevision {made}\n\n{loading_code(ready.facts, revision=made)}")


def check_push_after_fit(recipe: Recipe, console: Console) -> None:
    """Fail before anything is trained if `fit` could not push in the end.

    Raises:
        HubError: see `check_login`.
    """
    if recipe.hub.after_fit and recipe.hub.repo is not None:
        check_login(recipe.hub.repo, tell=_teller(console))


def push_after_fit(recipe: Recipe, run_folder: Path, console: Console) -> None:
    """Push what `fit` has made, if the recipe says so.

    Raises:
        HubError: it cannot be pushed; the message says that the run is complete.
    """
    if not recipe.hub.after_fit or recipe.hub.repo is None:
        return
    try:
        push(run_folder, recipe.hub, repo=recipe.hub.repo, replace=False, console=console)
    except AdaptError as error:
        raise HubError(f"{error}\nThe run itself is complete; push it later: adapt push {run_folder}") from error


def write_dry_run(run_folder: Path, settings: HubSettings, *, repo: str, output: Path) -> None:
    """Write what would be pushed into a new folder; asks no server but for a base model.

    Raises:
        RunError: the folder is there, or cannot be written.
        AdaptError: see `make_ready`.
    """
    if output.exists():
        raise RunError(f"{output} is there already; give --output a new folder")
    check_writable(output)
    ready = make_ready(run_folder, settings, repo=repo)
    make_folder(output.parent, then="or give --output another folder")
    write_folder(output, ready.write)
    print(f"would be pushed to {repo} ({'private' if settings.private else 'public'}), in one commit: {output}")
    for path in sorted(path for path in output.rglob("*") if path.is_file()):
        print(f"  {path.relative_to(output).as_posix()}  {path.stat().st_size:,} bytes")


def _model(recipe: Recipe, run_folder: Path, *, adapter_only: bool) -> PromptableSegmenter:
    """The tuned model as a stock one; for an adapter, the base that it stands on."""
    if not adapter_only:
        segmenter = load_tuned(recipe, run_folder)
        merge(segmenter)
        return segmenter
    model = recipe.model
    on_hub = model.weights == "pretrained" and is_hub_id(model.checkpoint)
    check_adapter(
        recipe.tuning,
        model.checkpoint if on_hub else None,
        resized=False,
        memory=recipe.clips.length > 1,
        classes=bool(recipe.semantic.classes),
    )
    load = load_concepts if recipe.concepts.learn else load_segmenter
    base = load(model.checkpoint, revision=model.revision)
    check_plain(base.family)
    resized = model.input_size not in (None, base.spec.image_size)
    check_adapter(recipe.tuning, model.checkpoint, resized=resized)
    return base


def _read_results(run_folder: Path, kind: Asked) -> dict[str, Any]:
    path = run_folder / RESULTS
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        assert found[FIGURES[kind]]
        assert kind != "prompts" or all("base" in figures for figures in found["protocols"].values())
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise RunError(
            f"{path} cannot be read ({error!r}), and a card without figures says nothing; fit again"
        ) from None
    return found


def _pictures(run_folder: Path, count: int) -> list[Path]:
    """The first pictures of each protocol in turn, of those that the evaluation has drawn."""
    if not count:
        return []
    found = sorted((run_folder / GALLERY).glob("*.png"), key=lambda path: (path.stem.split("_")[-2:], path.name))
    if not found:
        raise RunError(
            f"{run_folder / GALLERY} has no pictures; push with --pictures 0, or fit with evaluation.gallery"
        )
    return found[:count]


def _teller(console: Console) -> Callable[[str], None]:
    return lambda line: console.print(line, highlight=False, markup=False, soft_wrap=True)
