"""How often an encoder runs."""

from typing import Any

import pytest
import torch
from torch import nn


class Encoded:
    """Counts images that go into the encoder, by its first module: what makes patches of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, patches: type[nn.Module]) -> None:
        self.count = 0
        forward = patches.forward

        def counted(module: nn.Module, pixel_values: torch.Tensor) -> Any:  # noqa: ANN401 - a model's own output
            self.count += len(pixel_values)
            return forward(module, pixel_values)

        monkeypatch.setattr(patches, "forward", counted)
