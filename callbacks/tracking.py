"""Weights & Biases and TensorBoard. Neither can stop a run, or hold it up for more than seconds."""

import importlib.util
import netrc
import os
import socket
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from rich.console import Console
from rich.markup import escape

from adapt.errors import RecipeError
from adapt.files import write_text
from adapt.recipe import WandbSettings

if TYPE_CHECKING:
    import wandb

    from adapt.callbacks.galleries import GalleryEntry

PROBE_SECONDS, INIT_SECONDS, FINISH_SECONDS = 2.0, 5.0, 5.0
"""Together they stay below the 15 s that tracking may cost."""
RUN_ID = "wandb_id.txt"
DEFAULT_SERVER = "https://api.wandb.ai"


def wandb_logger(
    settings: WandbSettings, *, name: str, folder: Path, config: dict[str, object], console: Console
) -> tuple[Logger, "wandb.Run"]:
    """A logger of a W&B run; the run is offline if that is asked for, or if the server or a login is missing.

    Args:
        settings: of the recipe.
        name: shown in W&B.
        folder: receives W&B's own files.
        config: the resolved recipe.
        console: for the one warning.

    Raises:
        RecipeError: wandb is not installed.
    """
    if importlib.util.find_spec("wandb") is None:
        raise RecipeError("tracking: wandb needs the extra: pip install 'adapt-sam[wandb]', or set tracking=none")
    import wandb

    reason = None if settings.offline else _why_offline()
    offline = settings.offline or reason is not None
    number = _run_id(folder)
    try:
        run = _init(settings, name, folder, config, number, offline=offline)
    except wandb.errors.Error as error:
        reason = str(error).strip().splitlines()[0]
        wandb.teardown()
        run = _init(settings, name, folder, config, number, offline=True)
    if reason is not None:
        console.print(
            f"[yellow]warning:[/] W&B is offline ({escape(reason)}); training goes on.", highlight=False, soft_wrap=True
        )
    if run.settings.mode == "offline":
        _print_sync_line(run, console)
    return WandbLogger(experiment=run), run


def finish_wandb(run: "wandb.Run", console: Console) -> None:
    """End a W&B run; if its server has gone away, say how to upload the rest."""
    try:
        run.finish()
    except Exception as error:  # whatever it is, the training is done and must not be lost
        reason = str(error).strip().splitlines()[0]
        console.print(
            f"[yellow]warning:[/] W&B has not taken the whole run ({escape(reason)}).", highlight=False, soft_wrap=True
        )
        _print_sync_line(run, console)


def _print_sync_line(run: "wandb.Run", console: Console) -> None:
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
            init_timeout=INIT_SECONDS,
            finish_timeout=FINISH_SECONDS,
            finish_timeout_raises=True,
            silent=True,
            console="off",
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


def log_gallery(run: "wandb.Run", entries: Sequence["GalleryEntry"], *, epoch: int) -> None:
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
    run.log({"gallery": images, "gallery_objects": table})


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
