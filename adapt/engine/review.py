"""What people made of exported masks: which they kept, changed, added and removed, and what cannot be right."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from pycocotools import mask as coco

from adapt.engine.provenance import Provenance
from adapt.errors import DataError
from adapt.formats.review import ReviewImage, ReviewObject
from adapt.wording import counted, listed


class Outcome(Enum):
    """What became of a mask."""

    KEPT = "kept"
    CHANGED = "changed"
    ADDED = "added"


@dataclass(frozen=True)
class Checked:
    """One reviewed image.

    Attributes:
        image: its masks, each with its provenance as attributes; also where a format has lost it.
        outcomes: one a mask.
        removed: identities of exported masks that are gone.
    """

    image: ReviewImage
    outcomes: tuple[Outcome, ...]
    removed: tuple[str, ...]


def check_review(
    sent: Sequence[ReviewImage],
    returned: Sequence[ReviewImage],
    *,
    labels: Collection[str],
    overlaps: bool,
    source: object,
) -> list[Checked]:
    """Compare a review with what was exported. Images that were not returned are not reviewed yet.

    A mask is known by its identity, or, where a program has dropped or replaced that, by its pixels and label.

    Args:
        sent: what was exported, with provenance.
        returned: what was read back.
        labels: that masks may have.
        overlaps: masks may cover one another.
        source: of the review, for messages.

    Raises:
        DataError: images that were not exported, or twice, or of another size; labels that are not known; masks with
            one identity; or masks that cover one another where they must not. Identities are named.
    """
    by_name = {image.file_name: image for image in sent}
    names = [image.file_name for image in returned]
    others = sorted(set(names) - set(by_name))
    if others:
        raise DataError(
            f"{source}: has images that were not exported for it: {listed(others)}. Give the review of "
            f"{listed(sorted(by_name))}"
        )
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise DataError(f"{source}: listed more than once: {listed(twice)}; keep one review of each image")
    unknown = sorted({item.label for image in returned for item in image.objects} - set(labels))
    if unknown:
        raise DataError(
            f"{source}: labels {listed([repr(label) for label in unknown])} are not known; use "
            f"{listed(sorted(labels))}, or add them to the labels of the data"
        )
    return [_checked(by_name[image.file_name], image, overlaps, f"{source}: {image.file_name}") for image in returned]


def _checked(sent: ReviewImage, image: ReviewImage, overlaps: bool, source: str) -> Checked:
    if (sent.height, sent.width) != (image.height, image.width):
        raise DataError(
            f"{source}: is {(image.height, image.width)}, but was exported as {(sent.height, sent.width)} (rows, "
            "columns); review the image at its own size"
        )
    ids = Counter(item.identity for item in image.objects if item.identity)
    copies = [identity for identity, count in ids.items() if count > 1]
    if copies:
        raise DataError(
            f"{source}: several masks have one id: {listed(copies)}. Was one copied, or cut in two? Empty the id of "
            "the new one"
        )
    if not overlaps:
        _refuse_overlaps(image, source)
    known = {item.identity: item for item in sent.objects}
    lost = {(item.mask, item.label): item for item in sent.objects if item.identity not in ids}
    objects, outcomes = [], []
    for place, item in enumerate(image.objects, start=1):
        before = known.get(item.identity) or lost.pop((item.mask, item.label), None)
        found, outcome = _after(item, before, f"{source}, mask {item.identity or place}")
        objects.append(found)
        outcomes.append(outcome)
    left = {item.identity for item in objects}
    return Checked(
        image=replace(image, objects=tuple(objects)),
        outcomes=tuple(outcomes),
        removed=tuple(identity for identity in known if identity not in left),
    )


def _after(item: ReviewObject, before: ReviewObject | None, source: str) -> tuple[ReviewObject, Outcome]:
    """The mask with its provenance, and what became of it."""
    if before is None:
        return replace(item, attributes=Provenance("manual").as_attributes()), Outcome.ADDED
    provenance = Provenance.from_attributes(before.attributes, source=source)
    if provenance is None:
        raise DataError(f"{source}: was exported without a stage; export it again")
    changed = (item.mask, item.label) != (before.mask, before.label)
    attributes = replace(provenance, changed=provenance.changed or changed).as_attributes()
    found = replace(item, identity=before.identity, attributes=attributes)
    return found, Outcome.CHANGED if changed else Outcome.KEPT


def _refuse_overlaps(image: ReviewImage, source: str) -> None:
    rles = [{"size": [image.height, image.width], "counts": item.mask} for item in image.objects]
    if len(rles) < 2:
        return
    shared = np.triu(np.asarray(coco.iou(rles, rles, [0] * len(rles))) > 0, k=1)
    if shared.any():
        names = [item.identity or f"new mask {place}" for place, item in enumerate(image.objects, start=1)]
        pairs = [f"{names[one]} and {names[other]}" for one, other in np.argwhere(shared)]
        raise DataError(
            f"{source}: {counted(len(pairs), 'pair')} of masks cover one another: {listed(pairs)}. A pixel of a label "
            "map belongs to one object; cut one of them back"
        )
