"""Weights & Biases and TensorBoard. Neither can stop a run, or hold it up for more than seconds."""

import importlib.util
import netrc
import os
import socket
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from lightning.pytorch.loggers import Logger, TensorBoardLogger
from rich.console import Console
from rich.markup import escape

from adapt.errors import RecipeError, RunError
from adapt.files import write_text
from adapt.recipe import WandbSettings

if TYPE_CHECKING:
    import wandb

    from adapt.callbacks.galleries import GalleryEntry

PROBE_SECONDS, ANSWER_SECONDS = 2.0, 5.0
"""Whether there is a server at all; and for it to answer."""
LOG_SECONDS = 5.0
"""For what is sent in one call (W&B asks its server before it takes a table); after one that failed nothing is sent."""
FINISH_SECONDS, CLOSE_SECONDS = 4.0, 1.0
"""To upload the rest; and to let go of a W&B that has failed. Without a server, or with one that is lost, a run takes
less than 15 s longer than with a W&B that answers."""
UPLOAD_SECONDS = 1800.0
"""For a model, which goes there only if the recipe asks for it: hundreds of MB."""
START_SECONDS = 15.0
"""To begin a run, whatever the server does: on busy cores a healthy W&B needs many of these."""
RUN_ID, LOST = "wandb_id.txt", "wandb_lost.txt"
TABLE_ROWS = 10_000
"""W&B shows no more of a table."""
DEFAULT_SERVER = "https://api.wandb.ai"
Value = TypeVar("Value")


class NoAnswerError(Exception):
    """W&B has failed, or takes too long; the message says which."""


def within(seconds: float, call: Callable[[], Value]) -> Value:
    """What a call of W&B returns; one that takes too long is left behind, in a thread that keeps no process alive.

    Raises:
        NoAnswerError: it raised anything, or has not come back in time.
    """
    answers: SimpleQueue[tuple[Value, None] | tuple[None, BaseException]] = SimpleQueue()

    def answer() -> None:
        try:
            answers.put((call(), None))
        except BaseException as error:  # SystemExit as well, which W&B raises if its own process has crashed
            answers.put((None, error))

    Thread(target=answer, daemon=True).start()
    try:
        value, error = answers.get(timeout=seconds)
    except Empty:
        raise NoAnswerError(f"no answer within {seconds:.0f} s") from None
    if error is not None:
        raise NoAnswerError(_first_line(error)) from error
    return value  # type: ignore[return-value]


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class WandbTracker(Logger):
    """Sends metrics and galleries to a W&B run for as long as it takes them; the metrics files have all of them."""

    def __init__(self, run: "wandb.Run", *, console: Console) -> None:
        """Hand over a run that has begun."""
        super().__init__()
        self._run, self._console, self._lost = run, console, ""

    @property
    def name(self) -> str:
        """The project in W&B."""
        return str(self._run.project)

    @property
    def version(self) -> str:
        """The id of the run."""
        return str(self._run.id)

    @property
    def offline(self) -> bool:
        """Whether the run is only written down, to be uploaded later."""
        return bool(self._run.settings.mode == "offline")

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Send figures of a step."""
        self._send(lambda: {**metrics, "trainer/global_step": step}, self._run.log)

    def log_hyperparams(self, params: object) -> None:
        """Nothing to do: the run has had its recipe from the beginning."""

    def log_gallery(self, entries: Sequence["GalleryEntry"], *, epoch: int) -> None:
        """Send a gallery."""
        self._send(lambda: gallery(entries, epoch=epoch), self._run.log)

    def log_outcome(
        self, figures: Mapping[str, float], objects: Sequence[Mapping[str, object]], *, model: Path | None
    ) -> None:
        """Send how the run ended, as its summary: it has no step, so it fits behind whatever was sent.

        Args:
            figures: of the comparison.
            objects: rows of a table, all with the same columns; W&B shows the first `TABLE_ROWS`; no rows, no table.
            model: folder that becomes an artefact; None sends none.
        """
        self._send(lambda: dict(figures), self._run.summary.update)
        if objects:
            self._send(lambda: {"test_objects": _table(objects)}, self._run.summary.update)
        if model is not None:
            made = partial(_artefact, model, name=f"model-{self.version}")
            self._send(made, self._upload, seconds=UPLOAD_SECONDS)

    def finish(self) -> None:
        """End the run; if W&B has not taken all of it, say how to upload the rest."""
        try:
            within(FINISH_SECONDS + CLOSE_SECONDS, self._run.finish)
        except NoAnswerError as error:
            self._lost = self._lost or str(error)
        if self._lost:
            _let_go()
            _warn(self._console, f"W&B has not taken the whole run ({self._lost}).")
            with suppress(RunError):  # a full disk
                write_text(Path(self._run.dir).parents[2] / LOST, f"{self._lost}\n")
            _tell_sync_line(self._run, self._console)

    def _upload(self, artefact: "wandb.Artifact") -> None:
        logged = self._run.log_artifact(artefact)
        if not self.offline:
            logged.wait()  # the end of a run would not wait for it

    def _send(
        self, make: Callable[[], Value], send: Callable[[Value], object], *, seconds: float = LOG_SECONDS
    ) -> None:
        if self._lost:
            return
        try:
            made = make()
            within(seconds, lambda: send(made))
        except Exception as error:  # a full disk, for pictures; whatever it is, training goes on
            self._lost = _first_line(error)


def wandb_tracker(
    settings: WandbSettings, *, name: str, folder: Path, config: dict[str, object], console: Console
) -> WandbTracker | None:
    """A W&B run, begun; an offline one if that is asked for, or if the server or a login is missing.

    Args:
        settings: of the recipe.
        name: shown in W&B.
        folder: receives W&B's own files.
        config: the resolved recipe.
        console: for warnings.

    Returns:
        None if W&B cannot even begin an offline run; this has been told.

    Raises:
        RecipeError: wandb is not installed.
    """
    if importlib.util.find_spec("wandb") is None:
        raise RecipeError("tracking: wandb needs the extra: pip install 'adapt-sam[wandb]', or set tracking=none")
    import wandb  # noqa: F401  (here, so that the seconds it takes count for no limit)

    number = _run_id(folder)
    reason, run = None if settings.offline else _why_offline(), None
    if not settings.offline and reason is None:
        try:
            run = within(START_SECONDS, lambda: _init(settings, name, folder, config, number, offline=False))
        except NoAnswerError as error:
            reason = str(error)
            _let_go()
    if run is None:
        try:
            run = within(START_SECONDS, lambda: _init(settings, name, folder, config, number, offline=True))
        except NoAnswerError as error:
            _let_go()
            _warn(console, f"W&B does not work here ({error}); training goes on without it.")
            return None
    if reason is not None:
        _warn(console, f"W&B is offline ({reason}); training goes on.")
    write_text(folder / RUN_ID, f"{run.id}\n")  # a sweep names its runs itself
    tracker = WandbTracker(run, console=console)
    if tracker.offline:
        _tell_sync_line(run, console)
    return tracker


def has_taken_all(folder: Path) -> bool:
    """Whether a server has taken whatever the run of a folder told it; if not, asking it again would cost seconds."""
    return not (folder / LOST).exists() and not any(folder.glob("wandb/offline-run-*"))


def _let_go() -> None:
    """Take W&B's hook off the end of the process, which would wait for W&B's own process, however long."""
    import wandb

    with suppress(NoAnswerError):
        within(CLOSE_SECONDS, wandb.teardown)


def _warn(console: Console, text: str) -> None:
    console.print(f"[yellow]warning:[/] {escape(text)}", highlight=False, soft_wrap=True)


def _tell_sync_line(run: "wandb.Run", console: Console) -> None:
    console.print(
        f"upload later with: wandb sync {Path(run.dir).parent}", highlight=False, markup=False, soft_wrap=True
    )


def _run_id(folder: Path) -> str:
    """Of the W&B run of a folder: a training that is resumed there goes on under the id that it began with."""
    file = folder / RUN_ID
    if not file.is_file():
        write_text(file, uuid.uuid4().hex[:12] + "\n")
    return file.read_text(encoding="utf-8").strip()


def _init(
    settings: WandbSettings, name: str, folder: Path, config: dict[str, object], number: str, *, offline: bool
) -> "wandb.Run":
    import wandb

    return wandb.init(
        project=settings.project,
        entity=settings.entity,
        name=name,
        dir=str(folder),
        config=config,
        id=number,
        resume=None if offline else "allow",  # offline, the id alone joins what `wandb sync` uploads
        mode="offline" if offline else "online",
        settings=wandb.Settings(
            init_timeout=ANSWER_SECONDS,
            finish_timeout=FINISH_SECONDS,
            finish_timeout_raises=True,
            silent=True,
            console="off",
            x_save_requirements=False,  # takes a second, and a run's folder tells the versions that matter
        ),
    )


def _why_offline() -> str | None:
    """What stands against an online run; None if nothing does."""
    server = urlsplit(os.environ.get("WANDB_BASE_URL", DEFAULT_SERVER))
    host, port = server.hostname or "", server.port or (80 if server.scheme == "http" else 443)
    try:
        socket.create_connection((host, port), timeout=PROBE_SECONDS).close()
    except OSError as error:
        return f"{host}:{port} cannot be reached: {error}"
    if not os.environ.get("WANDB_API_KEY") and not _stored_login(host):
        return "no login: run `wandb login`, or set WANDB_API_KEY"
    return None


def _stored_login(host: str) -> bool:
    """Whether `wandb login` has left a key; W&B itself would ask for one and wait."""
    file = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        return netrc.netrc(file).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def gallery(entries: Sequence["GalleryEntry"], *, epoch: int) -> dict[str, object]:
    """Images with truth and answer as layers that can be switched on and off, and a table of the same objects."""
    import wandb

    table = wandb.Table(columns=["epoch", "sample", "category", "prompt", "IoU", "picture"])
    images = []
    for entry in entries:
        layers = {
            name: {"mask_data": mask.astype("uint8"), "class_labels": {1: entry.category}}
            for name, mask in (("truth", entry.truth), ("answer", entry.answer))
        }
        images.append(wandb.Image(entry.image, masks=layers, caption=f"{entry.sample_id}: IoU {entry.iou:.2f}"))
        picture = wandb.Image(str(entry.picture))
        table.add_data(epoch, entry.sample_id, entry.category, entry.protocol, entry.iou, picture)
    return {"gallery": images, "gallery_objects": table}


def _table(rows: Sequence[Mapping[str, object]]) -> "wandb.Table":
    import wandb

    columns: list[str | int] = [*rows[0]]
    return wandb.Table(columns=columns, data=[list(row.values()) for row in rows[:TABLE_ROWS]])


def _artefact(folder: Path, *, name: str) -> "wandb.Artifact":
    import wandb

    artefact = wandb.Artifact(name, type="model")
    artefact.add_dir(str(folder))
    return artefact


def tensorboard_logger(folder: Path) -> Logger:
    """A logger that writes TensorBoard's files.

    Raises:
        RecipeError: tensorboard is not installed.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise RecipeError(
            "tracking: tensorboard needs the extra: pip install 'adapt-sam[tensorboard]', or tracking=none"
        )
    return TensorBoardLogger(save_dir=folder, name="tensorboard", version="")
