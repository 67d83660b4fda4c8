"""Images with their masks as plain data, for the files of a round."""

from collections.abc import Mapping
from typing import Any

from adapt.engine import Outcome
from adapt.formats.review import ReviewImage, ReviewObject


def as_plain(image: ReviewImage, outcomes: tuple[Outcome, ...] | None = None) -> dict[str, Any]:
    """An image, and what people made of each of its masks, if they have looked."""
    objects = [
        {"identity": one.identity, "label": one.label, "mask": one.mask.decode(), "attributes": dict(one.attributes)}
        for one in image.objects
    ]
    for one, outcome in zip(objects, outcomes or (), strict=False):
        one["outcome"] = outcome.value
    return {"file_name": image.file_name, "height": image.height, "width": image.width, "objects": objects}


def from_plain(content: Mapping[str, Any]) -> tuple[ReviewImage, tuple[Outcome, ...]]:
    """Inverse of `as_plain`; a mask that nobody has looked at was kept."""
    objects = tuple(
        ReviewObject(one["identity"], one["label"], one["mask"].encode(), one["attributes"])
        for one in content["objects"]
    )
    outcomes = tuple(Outcome(one.get("outcome", Outcome.KEPT.value)) for one in content["objects"])
    return ReviewImage(content["file_name"], content["height"], content["width"], objects), outcomes
