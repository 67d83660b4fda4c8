"""What is remembered of objects from frame to frame of a video, or from slice to slice of a volume.

Source: SAM 2 (Ravi et al., 2024), section 4 and appendix D.1: frames that were prompted are remembered for good, of the
others the latest few; of each a map of what the object covers, and a pointer that says which object it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from adapt.segmenters.protocol import ImageFeatures


@dataclass(frozen=True, eq=False)
class Memory:
    """Of K objects in one frame.

    Attributes:
        pointer: (K, C) float.
        map: (K, c, h, w) float; None where the frame is so far away that the pointer alone is asked for.
    """

    pointer: Tensor
    map: Tensor | None


@dataclass(frozen=True, eq=False)
class Recalled:
    """A memory as it is seen from another frame.

    Attributes:
        memory: of the same K objects.
        prompted: whether somebody said there where the objects are.
        distance: frames since then, on the way that the objects are followed; below 0 for a frame that is yet to come.
    """

    memory: Memory
    prompted: bool
    distance: int


@dataclass(eq=False)
class Bank:
    """The memories of K objects that are followed together.

    Attributes:
        prompted: frame to memory, of the frames that were prompted.
        followed: likewise, of the others.
    """

    prompted: dict[int, Memory] = field(default_factory=dict)
    followed: dict[int, Memory] = field(default_factory=dict)

    def seen_from(self, frame: int, *, step: int, reach: int) -> list[Recalled]:
        """All that is remembered there: prompted frames, and the `reach` frames before it.

        Args:
            frame: that is looked at.
            step: 1 on the way up, -1 on the way down.
            reach: frames that can be looked back.
        """
        known = [Recalled(memory, True, (frame - at) * step) for at, memory in self.prompted.items()]
        near = ((distance, self.followed.get(frame - step * distance)) for distance in range(reach, 0, -1))
        return known + [Recalled(memory, False, distance) for distance, memory in near if memory is not None]

    def forget(self, frame: int, *, start: int, maps: int, reach: int) -> None:
        """Keep of the followed frames those that can be asked for still: near the present one, or near the start.

        Args:
            frame: the present one.
            start: where the way down begins.
            maps: how far maps are looked back for.
            reach: how far pointers are.
        """
        kept = {}
        for at, memory in self.followed.items():
            distance = min(abs(frame - at), abs(start - at))
            if distance <= reach:
                kept[at] = memory if distance <= maps else replace(memory, map=None)
        self.followed = kept


def together(parts: Sequence[Sequence[Recalled]]) -> list[Recalled]:
    """What is recalled of several objects, as of K objects; each recalls frames of the same kinds and distances."""
    joined = []
    for same in zip(*parts, strict=True):
        maps = [one.memory.map for one in same if one.memory.map is not None]
        pointer = torch.cat([one.memory.pointer for one in same])
        joined.append(replace(same[0], memory=Memory(pointer, torch.cat(maps) if maps else None)))
    return joined


class ObjectMemory(Protocol):
    """The part of a model that remembers."""

    @property
    def maps(self) -> int:
        """Frames without a prompt that maps are recalled of."""
        ...

    @property
    def pointers(self) -> int:
        """Frames without a prompt that pointers are recalled of."""
        ...

    @property
    def candidates(self) -> bool:
        """Whether several candidates are asked for in a frame that is not prompted."""
        ...

    @property
    def modules(self) -> Sequence[nn.Module]:
        """All modules of it."""
        ...

    @property
    def parameters(self) -> Sequence[nn.Parameter]:
        """All that it reads and that no part of a segmenter of images reads."""
        ...

    def condition(
        self, features: ImageFeatures, images: Tensor, recalled: Sequence[Recalled], *, frames: int
    ) -> Tensor:
        """What K objects see of their images, by what is remembered of them: (K, C, h, w) float.

        Args:
            features: of B images.
            images: (K,) int64, the image of each object.
            recalled: at least one memory with a map.
            frames: of the whole video.
        """
        ...

    def remember(
        self,
        features: ImageFeatures,
        images: Tensor,
        *,
        logits: Tensor,
        tokens: Tensor,
        present: Tensor,
        prompted: bool,
        training: bool,
    ) -> Memory:
        """The memory of K objects in a frame.

        Args:
            features: of B images.
            images: (K,) int64, the image of each object.
            logits: (K, h, w) float, its mask.
            tokens: (K, C) float; see `MaskPredictions`.
            present: (K,) bool, whether it is there at all.
            prompted: whether somebody said where it is.
            training: masks of prompted frames stay soft, and memories as exact as they are; else masks are cut at 0,
                and maps are kept in bfloat16, as the authors' predictor does.
        """
        ...
