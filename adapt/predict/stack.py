"""A stack whose slices are larger than a tile."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from adapt.generate import Funnel
from adapt.predict.opened import Opened
from adapt.predict.prompted import PromptedObject
from adapt.predict.segmenting import Found, Model, Segmentation, segment_in_tiles


def segment_stack_in_tiles(
    model: Model,
    opened: Opened,
    wanted: Sequence[PromptedObject] | None,
    *,
    work: Path,
    advance: Callable[[], None],
) -> Segmentation:
    """The slices of a stack one after the other, each in tiles; objects are numbered through."""
    objects: list[Found] = []
    funnel = Funnel()
    of_slice: dict[int, tuple[int, Segmentation]] = {}
    for index in range(opened.slices):
        own = None if wanted is None else [one for one in wanted if (one.slice or 0) == index]
        if own == []:
            continue
        found = segment_in_tiles(model, opened, own, index=index, work=work, advance=advance)
        of_slice[index] = (len(objects), found)
        funnel += found.funnel
        objects += [replace(one, number=one.number + len(objects)) for one in found.objects]

    def strips(index: int) -> Iterator[tuple[int, Any]]:
        if index not in of_slice:
            yield 0, np.zeros((opened.height, opened.width), dtype=np.int32)
            return
        first, found = of_slice[index]
        for top, labels in found.strips(index):
            yield top, labels + first * (labels > 0)

    return Segmentation(objects, strips, None, funnel=funnel)
