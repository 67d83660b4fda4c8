"""Volumes from slices, by counting voxels and against a volume that is put together by hand."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from adapt.evaluate import ObjectScore, VolumeScore, summarise, volume_scores
from adapt.formats import encode_masks
from adapt.metrics import boundary_score
from adapt.samples import Sample

Mask = npt.NDArray[np.bool_]
SHAPE = (12, 14)


def _sample(volume: str, index: int, masks: Mask, categories: tuple[str, ...]) -> Sample:
    return Sample(
        image=np.zeros((*SHAPE, 3), dtype=np.uint8),
        masks=masks,
        categories=categories,
        group=volume,
        spacing=(1.0, 0.5),
        spacing_unit="mm",
        sample_id=f"{volume}/axial/{index:04d}",
        source="",
        slice_of=(volume, index, 3.0),
    )


def _score(sample: Sample, place: int, answer: Mask, *, model: str = "base", protocol: str = "box") -> ObjectScore:
    return ObjectScore(
        model=model,
        protocol=protocol,
        sample_id=sample.sample_id,
        index=place,
        category=sample.categories[place],
        group=sample.group,
        pixels=1,
        answer_pixels=int(answer.sum()),
        iou=0.5,
        curve=(0.5,),
        oracle_iou=0.5,
        dice=0.5,
        predicted_iou=0.5,
        box_iou=0.5,
        nsd=0.5,
        hd95=1.0,
        unit="mm",
        mask=encode_masks(answer[None])[0],
    )


def _block(rows: slice, columns: slice) -> Mask:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[rows, columns] = True
    return mask


def _found(samples: list[Sample], scores: list[ObjectScore]) -> dict[tuple[str, str], VolumeScore]:
    return {(score.volume, score.category): score for score in volume_scores(samples, scores, tolerance=1.0)}


def test_dice_counts_the_voxels_of_all_slices() -> None:
    """Truth 10 + 30 voxels, answers 10 + 6, of which 10 + 6 are right: 2 * 16 / (40 + 16)."""
    one, two = _block(slice(1, 3), slice(1, 6)), _block(slice(1, 6), slice(1, 7))
    samples = [_sample("p1", 4, one[None], ("liver",)), _sample("p1", 5, two[None], ("liver",))]
    scores = [_score(samples[0], 0, one), _score(samples[1], 0, _block(slice(1, 2), slice(1, 7)))]
    assert _found(samples, scores)["p1", "liver"].dice == pytest.approx(32 / 56)


def test_objects_of_a_category_are_joined() -> None:
    """Two pieces of a liver, each of whose answers is the other piece: nothing is wrong with the volume."""
    pieces = np.stack([_block(slice(1, 3), slice(1, 3)), _block(slice(6, 9), slice(6, 9))])
    sample = _sample("p1", 0, pieces, ("liver", "liver"))
    found = _found([sample], [_score(sample, 0, pieces[1]), _score(sample, 1, pieces[0])])
    assert (found["p1", "liver"].dice, found["p1", "liver"].nsd) == (1.0, 1.0)


def test_borders_are_those_of_the_volume_with_its_empty_slices() -> None:
    """Slices 2 and 5 are labelled, 3 and 4 are not; the reference puts the volume together itself."""
    truth, answer = np.zeros((6, *SHAPE), dtype=bool), np.zeros((6, *SHAPE), dtype=bool)
    truth[2, 2:8, 2:8] = truth[5, 3:9, 1:9] = True
    answer[2, 2:8, 3:10] = answer[5, 3:5, 1:9] = True
    samples = [_sample("p1", index, truth[None, index], ("liver",)) for index in (2, 5)]
    scores = [_score(sample, 0, answer[index]) for sample, index in zip(samples, (2, 5), strict=True)]
    expected = boundary_score(answer, truth, spacing=(3.0, 1.0, 0.5), tolerance=1.0)
    assert 0 < expected.nsd < 1
    assert _found(samples, scores)["p1", "liver"].nsd == pytest.approx(expected.nsd)


def test_slices_lie_apart_as_the_volume_says() -> None:
    """One of two slices is missed: its border is 3 mm from the other one, so a tolerance of 3 forgives it."""
    mask = _block(slice(2, 8), slice(2, 8))
    samples = [_sample("p1", index, mask[None], ("liver",)) for index in (0, 1)]
    scores = [_score(samples[0], 0, mask), _score(samples[1], 0, np.zeros(SHAPE, dtype=bool))]
    near, far, pixels = (next(volume_scores(samples, scores, tolerance=tolerance)) for tolerance in (2.9, 3.0, None))
    assert near.nsd < far.nsd == 1.0
    assert (near.tolerance, far.tolerance, near.unit) == (2.9, 3.0, "mm")
    assert pixels.tolerance == 2.0  # two pixels of 1 x 0.5 mm


def test_each_volume_category_model_and_protocol_has_a_score() -> None:
    masks = np.stack([_block(slice(1, 3), slice(1, 3)), _block(slice(6, 9), slice(6, 9))])
    samples = [_sample(volume, index, masks, ("liver", "spleen")) for volume in ("p1", "p2") for index in (0, 1)]
    scores = [
        _score(sample, place, masks[place], model=model, protocol=protocol)
        for sample in samples
        for place in (0, 1)
        for model in ("base", "tuned")
        for protocol in ("box", "one_click", "clicks")
    ]
    found = list(volume_scores(samples, scores, tolerance=None))
    assert {(s.volume, s.category, s.model, s.protocol) for s in found} == {
        (volume, category, model, protocol)
        for volume in ("p1", "p2")
        for category in ("liver", "spleen")
        for model in ("base", "tuned")
        for protocol in ("box", "one_click")  # and none for corrected answers
    }
    assert len(found) == 16


def test_a_structure_that_is_missed_everywhere_scores_zero() -> None:
    mask = _block(slice(2, 8), slice(2, 8))
    sample = _sample("p1", 0, mask[None], ("liver",))
    score = _found([sample], [_score(sample, 0, np.zeros(SHAPE, dtype=bool))])["p1", "liver"]
    assert (score.dice, score.nsd) == (0.0, 0.0)


def test_images_that_are_no_slices_have_no_volume() -> None:
    mask = _block(slice(2, 8), slice(2, 8))
    sample = replace(_sample("p1", 0, mask[None], ("liver",)), slice_of=None)
    assert list(volume_scores([sample], [_score(sample, 0, mask)], tolerance=None)) == []
    frame = replace(sample, slice_of=("p1", 0, None))  # of a time series, which fills no space
    assert list(volume_scores([frame], [_score(frame, 0, mask)], tolerance=None)) == []


def test_slices_are_read_one_volume_at_a_time() -> None:
    mask = _block(slice(2, 8), slice(2, 8))
    samples = [_sample(f"p{number}", 0, mask[None], ("liver",)) for number in range(3)]
    read: list[str] = []

    def reading() -> Iterator[Sample]:
        for sample in samples:
            read.append(sample.sample_id)
            yield sample

    found = volume_scores(reading(), [_score(sample, 0, mask) for sample in samples], tolerance=None)
    next(found)
    assert len(read) <= 2  # the first slice of the second volume tells that the first is complete


def test_volumes_are_averaged_over_categories_then_groups_and_paired() -> None:
    """p1 liver 0.5, spleen 0.9; p2 liver 0.3: p1 0.7, p2 0.3, the mean 0.5; tuned is 0.1 better everywhere."""
    dices = {("p1", "liver"): 0.5, ("p1", "spleen"): 0.9, ("p2", "liver"): 0.3}
    volumes = [
        VolumeScore(
            "base" if add == 0 else "tuned",
            "box",
            volume,
            category,
            volume,
            dice + add,
            dice / 2,
            tolerance=2.0,
            unit="mm",
        )
        for (volume, category), dice in dices.items()
        for add in (0, 0.1)
    ]
    mask = _block(slice(2, 8), slice(2, 8))
    samples = [_sample(volume, 0, mask[None], (category,)) for volume, category in dices]
    scores = [_score(sample, 0, mask, model=model) for sample in samples for model in ("base", "tuned")]
    figures = summarise(scores, volumes=volumes, bootstrap_samples=100, seed=0).protocols["box"]
    found = figures.base.volumes
    assert found is not None
    assert (found.dice, found.nsd, found.volumes) == (pytest.approx(0.5), pytest.approx(0.25), 2)
    assert found.categories["liver"].dice == pytest.approx(0.4)
    assert found.categories["spleen"].nsd == pytest.approx(0.45)
    assert figures.difference is not None and figures.difference.volume_dice is not None
    assert figures.difference.volume_dice.mean == pytest.approx(0.1)
