"""CLIP's embeddings of objects, made once and kept: a file that is mapped, and read where it is asked."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import safe_open
from torch import Tensor

EMBEDDINGS, ROWS, ENDS = "embeddings", "rows", "ends"


@dataclass(frozen=True)
class ObjectEmbeddings:
    """Of the objects of some rows of a store. What is pickled is the path, so a worker maps the same file.

    The file has `embeddings` (objects, 3, D) float16: of each object alone, with what is around it, and of its
    category's name; `rows` of the store, ascending, and behind which of the embeddings each `ends`.
    """

    path: Path

    def __reduce__(self) -> tuple[Callable[[Path], "ObjectEmbeddings"], tuple[Path]]:
        return ObjectEmbeddings, (self.path,)

    @cached_property
    def _file(self) -> Any:  # noqa: ANN401 - safetensors has no types
        return safe_open(str(self.path), framework="pt")

    @cached_property
    def _spans(self) -> dict[int, slice]:
        rows, ends = (self._file.get_tensor(name).tolist() for name in (ROWS, ENDS))
        return {row: slice(begin, end) for row, begin, end in zip(rows, [0, *ends[:-1]], ends, strict=True)}

    def of(self, row: int, chosen: npt.NDArray[np.int64]) -> Tensor:
        """(N, 3, D) float32 of N of the objects of a row, by their places among all."""
        all_of_row: Tensor = self._file.get_slice(EMBEDDINGS)[self._spans[row]]
        return all_of_row[torch.from_numpy(chosen)].float()
