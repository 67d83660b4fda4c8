"""What a domain hands over: cases that can be read one by one."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from adapt.samples import Sample


@dataclass(eq=False)
class Case:
    """What one file, volume or scene gives.

    Attributes:
        samples: images with their objects; may be made one by one as they are asked for, so that a volume of a
            thousand slices is never held with all its masks.
        empty_images: images left out because no object is in them; complete when `samples` has been gone through.
        small_objects: objects left out because they are smaller than the minimum; likewise.
        errors: of single images that cannot be used, where the others of the case can; likewise.
        unlabelled: name of a scene that no label lies on, though labels were given for all.
    """

    samples: Iterable[Sample]
    empty_images: int = 0
    small_objects: int = 0
    errors: list[str] = field(default_factory=list)
    unlabelled: str = ""


def one_image(
    image: npt.NDArray[np.uint8],
    objects: tuple[npt.NDArray[np.bool_], tuple[str, ...], int],
    *,
    group: str,
    sample_id: str,
    source: Path,
) -> Case:
    """A picture without a known pixel size, and its objects; no sample if it has none.

    Args:
        image: (H, W, 3) uint8.
        objects: (N, H, W) bool masks, N categories, and how many objects were too small.
        group: see `Sample`.
        sample_id: see `Sample`.
        source: file of the image.
    """
    masks, categories, small = objects
    if not len(masks):
        return Case(samples=[], empty_images=1, small_objects=small)
    sample = Sample(
        image=image,
        masks=masks,
        categories=categories,
        group=group,
        spacing=(1.0, 1.0),
        spacing_unit="px",
        sample_id=sample_id,
        source=str(source),
    )
    return Case(samples=[sample], small_objects=small)


@dataclass(frozen=True)
class Source:
    """A domain's data, before it is read.

    Attributes:
        inputs: every file that is read; if one changes, the store is made anew.
        cases: one function a case; each reads it, or raises `DataError`. They are sent to other processes, so they
            are functions of a module, or `functools.partial` of one, and open their files themselves.
        version: of data that are no local files, such as the commit of a Hub data set.
    """

    inputs: Sequence[Path]
    cases: Sequence[Callable[[], Case]]
    version: str = ""


def joined(source: Source, more: Source) -> Source:
    """Two sources as one; the cases of the first come first."""
    return Source([*source.inputs, *more.inputs], [*source.cases, *more.cases], source.version + more.version)
