"""From the name of a checkpoint to a segmenter. All weights are there and fit, or it is an error."""

import importlib
import json
import os.path
import re
from pathlib import Path

import torch
from transformers import PreTrainedModel

from adapt.architectures import PromptableModel
from adapt.errors import CheckpointError
from adapt.families import CONCEPTS, FAMILIES, NEEDS, TEXT_ALONE, missing_packages
from adapt.segmenters import (
    edgetam,
    efficient_sam,
    mobile_sam,
    repvit_sam,
    sam,
    sam2,
    sam2_video,
    sam3_tracker,
    sam_hq,
)
from adapt.segmenters.family import Family
from adapt.segmenters.initial import initialised
from adapt.segmenters.protocol import PromptableSegmenter
from adapt.segmenters.quiet import quiet_transformers
from adapt.segmenters.segmenter import Segmenter
from adapt.segmenters.tiny import tiny_config, tiny_folder
from adapt.segmenters.tiny_video import NAME as TINY_VIDEO
from adapt.segmenters.tiny_video import SEED, tiny_video_model
from adapt.wording import listed

TINY = "adapt:tiny"
OTHERS = f"a local folder or to {TINY}"
"""What `model.checkpoint` can be set to in place of a Hub id."""
COMMIT = re.compile(r"[0-9a-f]{40}")
BY_NAME: dict[str, Family] = {
    family.name: family
    for family in (
        sam.FAMILY,
        sam_hq.FAMILY,
        sam2.FAMILY,
        sam2_video.FAMILY,
        sam3_tracker.FAMILY,
        edgetam.FAMILY,
        efficient_sam.FAMILY,
        mobile_sam.FAMILY,
        repvit_sam.EDGE_SAM,
        repvit_sam.REPVIT_SAM,
    )
}
"""The families by their names in `adapt.families`."""


def load_segmenter(checkpoint: str, *, revision: str | None = None) -> PromptableSegmenter:
    """The pretrained segmenter, in float32 on the CPU, in eval mode.

    Args:
        checkpoint: `adapt:tiny`, `adapt:tiny_video`, a local folder with `config.json` and `model.safetensors`, or a
            Hub id.
        revision: branch, tag or commit, for a Hub id.

    Raises:
        CheckpointError: not found, unreachable, of another architecture, or with missing, unexpected or
            misshapen weights (listed).
    """
    if checkpoint == TINY_VIDEO:
        return random_segmenter(checkpoint, seed=SEED)
    source = tiny_folder() if checkpoint == TINY else _find(checkpoint)
    config_file, family = _family(source, revision=revision)
    commit = None if isinstance(source, Path) else commit_of(config_file)
    model = _load_strictly(family.model, source, revision=commit or revision)
    model.config._commit_hash = commit  # transformers 5.23 does not tell it any more
    return Segmenter(model, family)


def check_checkpoint(checkpoint: str, *, revision: str | None = None) -> None:
    """All that `load_segmenter` asks but for the weights.

    Raises:
        CheckpointError: not found, unreachable, or of another architecture.
    """
    if checkpoint not in (TINY, TINY_VIDEO):
        _family(_find(checkpoint), revision=revision)


def random_segmenter(checkpoint: str, *, seed: int, revision: str | None = None) -> PromptableSegmenter:
    """A segmenter of a checkpoint's architecture with fresh weights, to be trained from nothing; else as above."""
    if checkpoint == TINY:
        return Segmenter(initialised(tiny_config(), seed=seed), sam.FAMILY)
    if checkpoint == TINY_VIDEO:
        return Segmenter(tiny_video_model(seed=seed), sam2_video.FAMILY)
    config_file, family = _family(_find(checkpoint), revision=revision)
    config = family.model.config_class.from_json_file(config_file)
    return Segmenter(initialised(config, seed=seed, of=family.model), family)


def _find(checkpoint: str) -> Path | str:
    """A local folder, or the name of a Hub repository."""
    if checkpoint.startswith("adapt:"):
        raise CheckpointError(f"model.checkpoint {checkpoint!r} is unknown; embedded are {TINY} and {TINY_VIDEO}")
    folder = Path(os.path.expanduser(checkpoint))  # unlike Path.expanduser, leaves the home of nobody as it is
    if folder.is_dir():
        return folder
    if folder.exists() or checkpoint.startswith((".", "/", "~")) or checkpoint.count("/") != 1:
        raise CheckpointError(
            f"model.checkpoint {checkpoint!r} is neither a folder nor a Hub id (owner/name). "
            f"Give a local folder with config.json and model.safetensors, a Hub id, or {TINY}"
        )
    return checkpoint


def _family(source: Path | str, *, revision: str | None) -> tuple[Path, Family]:
    """The configuration file of a checkpoint, and its family."""
    if isinstance(source, Path):
        config_file = source / "config.json"
        if not config_file.is_file():
            raise CheckpointError(f"{source} has no config.json; give a folder written by save_pretrained, or {TINY}")
        if (source / "adapter_config.json").exists():
            raise CheckpointError(f"{source} holds an adapter (adapter_config.json); give the merged model's folder")
    else:
        config_file = download_config(source, revision)
    try:
        config = json.loads(config_file.read_text(encoding="utf-8"))
        model_type = str(config["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{config_file} is not a model's config.json ({error!r}); download it again") from None
    if model_type not in FAMILIES and model_type in CONCEPTS:
        raise CheckpointError(
            f"{source} is a {model_type!r} model, which takes no clicks and boxes. {TEXT_ALONE}. To teach it your "
            "categories set concepts.learn=true; to prompt SAM 3, take facebook/sam3, which has the tracker as well"
        )
    if model_type not in FAMILIES:
        raise CheckpointError(
            f"{source} is a {model_type!r} model; its architecture is not one of: {', '.join(FAMILIES)}. "
            f"Choose a Segment Anything checkpoint (facebook/sam-vit-base, facebook/sam2.1-hiera-tiny) or {TINY}"
        )
    _import_needed(str(source), FAMILIES[model_type])
    return config_file, BY_NAME[FAMILIES[model_type]]


def _import_needed(source: str, family: str) -> None:
    """Import the packages that a family alone needs.

    Raises:
        CheckpointError: one is not there, or was built for another torch.
    """
    missing = missing_packages(family)
    if missing:
        raise CheckpointError(f"{source} cannot be read here: {missing}")
    for package in NEEDS.get(family, ()):
        try:
            importlib.import_module(package)
        except Exception as error:  # a RuntimeError where torchvision finds no operators of its own
            raise CheckpointError(
                f"{source} cannot be read here: {family} needs {package}, which is installed and cannot be imported "
                f"({type(error).__name__}: {first_line(error)}). Its torchvision must be built for this torch, "
                f"{torch.__version__}: install both anew, from one index"
            ) from None


def commit_of(config_file: Path) -> str | None:
    """The commit of a file in the cache of the Hub, which keeps a folder for each."""
    commit = config_file.parent.name
    return commit if COMMIT.fullmatch(commit) else None


def download_config(repo: str, revision: str | None, *, key: str = "model.checkpoint", instead: str = OTHERS) -> Path:
    """The configuration file of a Hub repository, in the Hub's cache.

    Args:
        repo: Hub id.
        revision: branch, tag or commit.
        key: of the recipe that names it, for messages.
        instead: what that can be set to, for messages.

    Raises:
        CheckpointError: it cannot be fetched.
    """
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(repo, "config.json", revision=revision))
    except (OSError, ValueError, RuntimeError) as error:  # offline, no such repository, a name that is none
        raise unreachable(repo, error, key=key, instead=instead) from None


def unreachable(
    repo: str, error: Exception, *, key: str = "model.checkpoint", instead: str = OTHERS
) -> CheckpointError:
    """What to say of a Hub repository that cannot be fetched; see `download_config`."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    check = "Check the name and the network"
    if isinstance(error, GatedRepoError) or isinstance(error.__cause__, GatedRepoError):
        check = f"Ask for access on https://huggingface.co/{repo}, then log in: hf auth login"
    elif isinstance(error, RepositoryNotFoundError) or isinstance(error.__cause__, RepositoryNotFoundError):
        check = "Check the name; if the repository is private, log in: hf auth login"
    return CheckpointError(
        f"the Hub checkpoint {repo!r} could not be fetched ({type(error).__name__}: {first_line(error)}). "
        f"{check}, or set {key} to {instead}"
    )


def first_line(error: Exception) -> str:
    """Of what an error says; empty if it says nothing."""
    return (str(error).strip().splitlines() or [""])[0]


def _load_strictly(model_class: type[PreTrainedModel], source: Path | str, *, revision: str | None) -> PreTrainedModel:
    local = isinstance(source, Path)
    try:
        with quiet_transformers():
            model, found = model_class.from_pretrained(
                str(source),
                revision=revision or "main",
                use_safetensors=True,  # never a pickle
                ignore_mismatched_sizes=True,  # so that they are listed; refused below
                output_loading_info=True,
                local_files_only=local,
                dtype=torch.float32,
                attn_implementation="sdpa",  # else config.json could name a kernel to be fetched and run
            )
    except Exception as error:  # transformers and safetensors raise many kinds for a broken file
        if not local and isinstance(error, OSError):
            raise unreachable(str(source), error) from None
        raise CheckpointError(
            f"{source}: the weights cannot be read ({type(error).__name__}: {first_line(error)}). "
            "A complete model.safetensors is needed; download or save it again"
        ) from error
    refuse_partial(str(source), found)
    if isinstance(model, PromptableModel):
        _move_to_own_memory(model)
    return model.eval()


def _move_to_own_memory(model: PreTrainedModel) -> None:
    """Away from the file, where weights lie at odd addresses: convolutions round otherwise there, in the last bit."""
    for weight in (*model.parameters(), *model.buffers()):
        weight.data = weight.data.clone()


def refuse_partial(source: str, found: dict[str, set[str] | list[str]]) -> None:
    """Refuse weights that are not just those of the architecture.

    Args:
        source: where they lie, for messages.
        found: what `from_pretrained` says of loading.

    Raises:
        CheckpointError: some are missing, unexpected or of another shape (listed).
    """
    faults = {
        "missing": sorted(map(str, found["missing_keys"])),
        "unexpected": sorted(map(str, found["unexpected_keys"])),
        "of another shape": sorted(str(entry[0]) for entry in found["mismatched_keys"]),
    }
    told = [f"{len(names)} {fault}: {listed(names)}" for fault, names in faults.items() if names]
    if told:
        raise CheckpointError(
            f"{source}: the weights do not fit the architecture of config.json, and nothing is loaded partly. "
            f"{'; '.join(told)}. Use the folder or repository that the weights came with"
        )
