"""From the name of a checkpoint to a segmenter. All weights are there and fit, or it is an error."""

import json
import os.path
from pathlib import Path

import torch
from transformers import SamModel

from adapt.errors import CheckpointError
from adapt.segmenters.initial import initialised
from adapt.segmenters.protocol import PromptableSegmenter
from adapt.segmenters.quiet import quiet_transformers
from adapt.segmenters.sam import SamSegmenter
from adapt.segmenters.tiny import tiny_config, tiny_folder
from adapt.wording import listed

TINY = "adapt:tiny"
FAMILIES: dict[str, type[SamModel]] = {"sam": SamModel}
"""`model_type` of `config.json` to the class that reads it."""


def load_segmenter(checkpoint: str, *, revision: str | None = None) -> PromptableSegmenter:
    """The pretrained segmenter, in float32 on the CPU, in eval mode.

    Args:
        checkpoint: `adapt:tiny`, a local folder with `config.json` and `model.safetensors`, or a Hub id.
        revision: branch, tag or commit, for a Hub id.

    Raises:
        CheckpointError: not found, unreachable, of another architecture, or with missing, unexpected or
            misshapen weights (listed).
    """
    source = tiny_folder() if checkpoint == TINY else _find(checkpoint)
    _, family = _family(source, revision=revision)
    return SamSegmenter(_load_strictly(family, source, revision=revision))


def random_segmenter(checkpoint: str, *, seed: int, revision: str | None = None) -> PromptableSegmenter:
    """A segmenter of a checkpoint's architecture with fresh weights, to be trained from nothing; else as above."""
    if checkpoint == TINY:
        return SamSegmenter(initialised(tiny_config(), seed=seed))
    config_file, family = _family(_find(checkpoint), revision=revision)
    return SamSegmenter(initialised(family.config_class.from_json_file(config_file), seed=seed))


def _find(checkpoint: str) -> Path | str:
    """A local folder, or the name of a Hub repository."""
    if checkpoint.startswith("adapt:"):
        raise CheckpointError(f"model.checkpoint {checkpoint!r} is unknown; the only one that is embedded is {TINY}")
    folder = Path(os.path.expanduser(checkpoint))  # unlike Path.expanduser, leaves the home of nobody as it is
    if folder.is_dir():
        return folder
    if folder.exists() or checkpoint.startswith((".", "/", "~")) or checkpoint.count("/") != 1:
        raise CheckpointError(
            f"model.checkpoint {checkpoint!r} is neither a folder nor a Hub id (owner/name). "
            f"Give a local folder with config.json and model.safetensors, a Hub id, or {TINY}"
        )
    return checkpoint


def _family(source: Path | str, *, revision: str | None) -> tuple[Path, type[SamModel]]:
    """The configuration file of a checkpoint, and the class that reads it."""
    if isinstance(source, Path):
        config_file = source / "config.json"
        if not config_file.is_file():
            raise CheckpointError(f"{source} has no config.json; give a folder written by save_pretrained, or {TINY}")
        if (source / "adapter_config.json").exists():
            raise CheckpointError(f"{source} holds an adapter (adapter_config.json); give the merged model's folder")
    else:
        config_file = _download_config(source, revision)
    try:
        config = json.loads(config_file.read_text(encoding="utf-8"))
        model_type = str(config["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{config_file} is not a model's config.json ({error!r}); download it again") from None
    if model_type not in FAMILIES:
        raise CheckpointError(
            f"{source} is a {model_type!r} model; its architecture is not one of: {', '.join(FAMILIES)}. "
            f"Choose a Segment Anything checkpoint (facebook/sam-vit-base) or {TINY}"
        )
    return config_file, FAMILIES[model_type]


def _download_config(repo: str, revision: str | None) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(repo, "config.json", revision=revision))
    except (OSError, ValueError, RuntimeError) as error:  # offline, no such repository, a name that is none
        raise _unreachable(repo, error) from None


def _unreachable(repo: str, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"the Hub checkpoint {repo!r} could not be fetched ({type(error).__name__}: {_first_line(error)}). "
        f"Check the name and the network, or set model.checkpoint to a local folder or to {TINY}"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0]


def _load_strictly(family: type[SamModel], source: Path | str, *, revision: str | None) -> SamModel:
    local = isinstance(source, Path)
    try:
        with quiet_transformers():
            model, found = family.from_pretrained(
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
            raise _unreachable(str(source), error) from None
        raise CheckpointError(
            f"{source}: the weights cannot be read ({type(error).__name__}: {_first_line(error)}). "
            "A complete model.safetensors is needed; download or save it again"
        ) from error
    _refuse_partial(str(source), found)
    return model.eval()


def _refuse_partial(source: str, found: dict[str, set[str] | list[str]]) -> None:
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
