"""What people made of a review, and reviews that cannot be right."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapt.engine import Checked, Outcome, Provenance, check_review
from adapt.errors import DataError
from adapt.formats import encode_masks
from adapt.formats.coco_review import read_coco_review, write_coco_review
from adapt.formats.cvat import read_cvat, write_cvat
from adapt.formats.label_studio import read_label_studio, write_label_studio
from adapt.formats.review import ReviewImage, ReviewObject

PROVENANCE = Provenance("assisted", model="runs/a", revision="f3", predicted_iou=0.1 + 0.2, stability=0.9)


def _mask(*columns: int) -> bytes:
    mask = np.zeros((1, 4, 10), dtype=bool)
    mask[0, 1:3, list(columns)] = True
    return encode_masks(mask)[0]


def _object(identity: str, *columns: int, label: str = "cell") -> ReviewObject:
    return ReviewObject(identity, label, _mask(*columns), PROVENANCE.as_attributes())


def _image(*objects: ReviewObject, name: str = "a.png") -> ReviewImage:
    return ReviewImage(name, 4, 10, objects)


SENT = _image(_object("m1", 0, 1), _object("m2", 3, 4), _object("m3", 6, 7))


def _check(*returned: ReviewImage, sent: Sequence[ReviewImage] = (SENT,), overlaps: bool = False) -> list[Checked]:
    return check_review(sent, returned, labels=["cell", "debris"], overlaps=overlaps, source="review.json")


def _stages(checked: Checked) -> list[Provenance | None]:
    return [Provenance.from_attributes(item.attributes, source="test") for item in checked.image.objects]


def test_kept_changed_added_and_removed_masks_are_told_apart() -> None:
    added = ReviewObject("", "debris", _mask(9))
    [found] = _check(_image(_object("m1", 0, 1), _object("m2", 3, 4, 5), added))
    assert found.outcomes == (Outcome.KEPT, Outcome.CHANGED, Outcome.ADDED)
    assert found.removed == ("m3",)
    assert _stages(found) == [PROVENANCE, replace(PROVENANCE, changed=True), Provenance("manual")]


def test_another_label_is_a_change() -> None:
    [found] = _check(_image(_object("m1", 0, 1, label="debris")))
    assert found.outcomes == (Outcome.CHANGED,)


def test_a_program_that_drops_all_attributes_keeps_untouched_masks_known() -> None:
    bare = [ReviewObject("", item.label, item.mask) for item in SENT.objects]
    [found] = _check(_image(*bare[:2], ReviewObject("", "cell", _mask(9))))
    assert found.outcomes == (Outcome.KEPT, Outcome.KEPT, Outcome.ADDED)
    assert [item.identity for item in found.image.objects] == ["m1", "m2", ""]
    assert _stages(found)[0] == PROVENANCE


def test_an_identity_that_a_program_has_replaced_is_found_again_by_the_pixels_but_once() -> None:
    renamed, copied = ReviewObject("xY3k", "cell", _mask(0, 1)), ReviewObject("zzzz", "cell", _mask(0, 1))
    [found] = _check(_image(renamed, copied), overlaps=True)
    assert found.outcomes == (Outcome.KEPT, Outcome.ADDED)
    assert found.removed == ("m2", "m3")
    [pasted] = _check(_image(_object("m1", 0, 1), copied), overlaps=True)
    assert pasted.outcomes == (Outcome.KEPT, Outcome.ADDED)


def test_an_id_that_was_never_exported_is_of_a_new_mask() -> None:
    """Label Studio gives one to every region."""
    [found] = _check(_image(ReviewObject("xY3k", "cell", _mask(9))))
    assert found.outcomes == (Outcome.ADDED,)
    assert _stages(found) == [Provenance("manual")]


def test_images_that_were_not_returned_are_not_reviewed() -> None:
    assert [entry.image.file_name for entry in _check(SENT, sent=[SENT, _image(name="b.png")])] == ["a.png"]


@pytest.mark.parametrize(
    ("returned", "fault"),
    [
        (
            [_image(name="z.png"), SENT],
            r"has images that were not exported for it: z\.png\. Give the review of a\.png",
        ),
        ([SENT, SENT], r"listed more than once: a\.png"),
        ([_image(_object("m1", 0, label="nucleus"))], "labels 'nucleus' are not known; use cell, debris"),
        ([replace(SENT, height=5)], r"a\.png: is \(5, 10\), but was exported as \(4, 10\)"),
        ([_image(_object("m1", 0), _object("m1", 3))], "several masks have one id: m1"),
        ([_image(_object("m1", 0, 1), _object("m2", 1, 2))], "1 pair of masks cover one another: m1 and m2"),
        ([_image(_object("m1", 0), ReviewObject("", "cell", _mask(0)))], "m1 and new mask 2"),
    ],
)
def test_a_review_that_cannot_be_right_is_refused(returned: list[ReviewImage], fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        _check(*returned)


def test_masks_may_cover_one_another_where_that_is_allowed() -> None:
    [found] = _check(_image(_object("m1", 0, 1), _object("m2", 1, 2)), overlaps=True)
    assert found.outcomes == (Outcome.KEPT, Outcome.CHANGED)


def _label_studio(path: Path, images: list[ReviewImage]) -> list[ReviewImage]:
    write_label_studio(path, images, address="", model="runs/a")
    tasks = json.loads(path.read_text(encoding="utf-8"))
    for task in tasks:
        task["annotations"] = [{"result": task["predictions"][0]["result"]}]
    path.write_text(json.dumps(tasks), encoding="utf-8")
    return read_label_studio(path, max_pixels=100)


def _written(write: Callable[..., None], read: Callable[..., list[ReviewImage]]) -> Any:  # noqa: ANN401 - a function
    def through(path: Path, images: list[ReviewImage]) -> list[ReviewImage]:
        write(path, images)
        return read(path, max_pixels=100)

    return through


@pytest.mark.parametrize(
    "through", [_written(write_coco_review, read_coco_review), _written(write_cvat, read_cvat), _label_studio]
)
def test_provenance_survives_each_program_to_the_last_bit(
    tmp_path: Path, through: Callable[[Path, list[ReviewImage]], list[ReviewImage]]
) -> None:
    [found] = _check(*through(tmp_path / "review", [SENT]))
    assert found.outcomes == (Outcome.KEPT,) * 3
    assert _stages(found) == [PROVENANCE] * 3
