"""Findings about cases and objects, from summaries made by hand."""

from collections.abc import Callable

import pytest

from adapt.datacheck.findings import (
    left_out,
    of_total,
    overlapping_objects,
    several_pieces,
    tiny_objects,
    unusable_cases,
)
from adapt.datacheck.walk import ObjectSummary, SampleSummary
from adapt.datamodules.store import Facts
from adapt.segmenters import SegmenterSpec

Samples = Callable[..., SampleSummary]
Objects = Callable[..., ObjectSummary]

SPEC = SegmenterSpec(256, 64, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 3, "pad")  # a cell of the mask grid is 4 x 4 px


def _facts(**changes: object) -> Facts:
    values: dict[str, object] = {
        "samples": 8,
        "objects": 30,
        "cut_objects": 0,
        "empty_images": 0,
        "small_objects": 0,
        "empty_cases": 0,
        "skipped": [],
        "unlabelled": [],
        "data_bytes": 1,
    }
    return Facts(**values | changes)


@pytest.mark.parametrize(("refused", "severity"), [(True, "error"), (False, "warning")])
def test_each_unusable_case_is_a_finding_as_grave_as_the_recipe_takes_it(refused: bool, severity: str) -> None:
    found = unusable_cases(_facts(skipped=["a.nii: NaN", "b.nii: no label"]), refused=refused)
    assert [(f.code, f.severity, f.text) for f in found] == [
        ("unusable_case", severity, "a.nii: NaN"),
        ("unusable_case", severity, "b.nii: no label"),
    ]


def test_cases_of_one_reason_are_one_finding_that_has_the_error_of_each() -> None:
    errors = ["a.nii: 3 voxels are NaN", "b.nii: no label", "c.nii: 20 voxels are NaN"]
    nan, unlabelled = unusable_cases(_facts(skipped=errors), refused=True)
    assert nan.text == "a.nii: 3 voxels are NaN (likewise 1 other: c.nii)"
    assert nan.where == ("a.nii: 3 voxels are NaN", "c.nii: 20 voxels are NaN")
    assert (unlabelled.text, unlabelled.where) == ("b.nii: no label", ("b.nii: no label",))


def test_a_case_without_an_object_is_a_warning_and_a_slice_without_one_a_note() -> None:
    [case] = left_out(_facts(empty_cases=2, empty_images=2))
    assert (case.code, case.severity) == ("empty_cases", "warning")
    assert case.text.startswith("2 cases without any object")
    [images] = left_out(_facts(empty_images=2))
    assert (images.code, images.severity) == ("empty_images", "note")
    assert images.text.startswith("2 of 10 images (20.0 %) without any object")


def test_scenes_that_no_label_lies_on_are_named() -> None:
    [found] = left_out(_facts(unlabelled=["/scenes/a.tif"]))
    assert (found.code, found.severity, found.where) == ("unlabelled_scenes", "warning", ("/scenes/a.tif",))
    assert found.text.startswith("no label lies on 1 scene, left out: /scenes/a.tif; ")


def test_small_objects_are_noted_with_their_share_of_all() -> None:
    [found] = left_out(_facts(small_objects=10))
    assert (found.code, found.severity) == ("small_objects", "note")
    assert found.text.startswith("10 of 40 objects (25.0 %) smaller than data.min_object_pixels")


def test_nothing_left_out_is_nothing_found() -> None:
    assert left_out(_facts()) == [] and unusable_cases(_facts(), refused=True) == []


@pytest.mark.parametrize(("side", "area", "is_tiny"), [(256, 15, True), (256, 16, False), (512, 63, True)])
def test_an_object_below_a_cell_of_the_mask_grid_is_too_small(
    summary: Samples, an_object: Objects, side: int, area: int, is_tiny: bool
) -> None:
    sample = summary("a", an_object(area=area), an_object(area=5000), height=side, width=side)
    found = tiny_objects([sample, summary("b")], SPEC)
    assert bool(found) == is_tiny
    if found:
        assert (found[0].code, found[0].severity, found[0].where) == ("tiny_objects", "warning", ("a",))
        assert "1 of 3 objects (33.3 %) too small" in found[0].text and "16 px there" in found[0].text
        assert "without a pixel" not in found[0].text


def test_an_object_that_resizing_loses_is_too_small_whatever_its_area(summary: Samples, an_object: Objects) -> None:
    [found] = tiny_objects([summary("a", an_object(area=900, seen=False))], SPEC)
    assert "1 without a pixel left; cell 1." in found.text


def test_images_with_the_most_tiny_objects_come_first(summary: Samples, an_object: Objects) -> None:
    dot = an_object(area=1)
    samples = [summary("few", dot), summary("none"), summary("many", dot, dot)]
    assert tiny_objects(samples, SPEC)[0].where == ("many", "few")


def test_an_object_in_pieces_is_found_unless_a_tile_cuts_it(summary: Samples, an_object: Objects) -> None:
    samples = [summary("a", an_object(pieces=3), an_object()), summary("b", an_object(pieces=2, cut=True))]
    [found] = several_pieces(samples)
    assert (found.code, found.severity, found.where) == ("several_pieces", "warning", ("a",))
    assert "1 of 3 objects (33.3 %)" in found.text
    assert several_pieces(samples[1:]) == []


def test_overlaps_are_a_note_with_counts(summary: Samples, an_object: Objects) -> None:
    over = an_object(overlaps=True)
    [found] = overlapping_objects([summary("a", over, over), summary("b")])
    assert (found.code, found.severity, found.where) == ("overlapping_objects", "note", ("a",))
    assert "2 of 3 objects (66.7 %) sharing pixels with another, in 1 image;" in found.text
    assert overlapping_objects([summary("b")]) == []


def test_a_share_is_told_with_its_total() -> None:
    assert of_total(1, 5000, "object") == "1 of 5,000 objects (under 0.1 %)"
