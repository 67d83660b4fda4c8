"""Read a file of weights, and nothing but weights: what would run code is refused before it runs."""

import pickle
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from adapt.errors import CheckpointError

INSIDE = ("model", "state_dict", "model_state_dict")
"""Where the checkpoint of a training keeps the weights, beside its optimiser."""
PARALLEL = "module."
"""What torch puts in front of each name when a model has trained on several devices."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """Name to weights of a .pth or .safetensors file, on the CPU.

    Raises:
        CheckpointError: the file is not there, cut short, holds code, or no weights.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} is not a file; give the .pth file that the authors published")
    content = _content(path)
    for key in INSIDE:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f"{path} holds no table of names and weights; give the file that the authors published")
    return {str(name).removeprefix(PARALLEL): value for name, value in content.items()}


def _content(path: Path) -> object:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and safetensors raise many kinds for a broken file
        if isinstance(error, pickle.UnpicklingError) and "Unsupported" in str(error):
            raise CheckpointError(
                f"{path} holds more than weights: pickled objects, which could run code when they are read. Nothing of "
                "it was run. Ask its author for the weights alone: torch.save(model.state_dict(), file)"
            ) from None
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> CheckpointError:
    first = (str(error).strip().splitlines() or [""])[0]
    return CheckpointError(
        f"{path} cannot be read ({type(error).__name__}: {first}): it is cut short or no file of weights; download it "
        "again, and compare its size with the one that is published"
    )
