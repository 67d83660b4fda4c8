"""Augmentation moves image and masks together, and a seed decides what it does."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from adapt.datamodules.transforms import OPERATIONS, Augmentation
from adapt.recipe import AugmentSettings
from adapt.samples import Sample

GEOMETRY = ("horizontal_flip", "vertical_flip", "rotate90", "transpose", "rotate", "scale", "elastic")
SIDE = 96


def _augmentation(*names: str, chance: float = 1.0) -> Augmentation:
    return Augmentation(AugmentSettings(**dict.fromkeys(names, chance)))


def _masks() -> npt.NDArray[np.bool_]:
    """Three discs off the centre, none like another."""
    rows, columns = np.mgrid[:SIDE, : SIDE + 24]
    places = [(30, 40, 14), (60, 80, 10), (64, 30, 12)]
    return np.stack([(rows - y) ** 2 + (columns - x) ** 2 < radius**2 for y, x, radius in places])


def _sample(*, grey: bool = False) -> Sample:
    masks = _masks()
    image = np.random.default_rng(0).integers(60, 190, (*masks.shape[1:], 3), dtype=np.uint8)
    if grey:
        image = np.repeat(image[..., :1], 3, axis=2)
    return Sample(image, masks, ("a", "b", "c"), "group", (0.5, 2.0), "mm", "id", "source.png")


def _painted() -> Sample:
    """Each mask is the bright part of its own channel."""
    return replace(_sample(), image=np.ascontiguousarray(_masks().transpose(1, 2, 0)).astype(np.uint8) * 255)


def test_the_recipe_offers_what_there_is() -> None:
    assert list(OPERATIONS) == list(AugmentSettings.model_fields)


@pytest.mark.parametrize("grey", [True, False], ids=["grey", "colour"])
@pytest.mark.parametrize("name", list(OPERATIONS))
def test_each_operation_changes_the_image_and_keeps_its_form(name: str, grey: bool) -> None:
    sample = _sample(grey=grey)
    before = sample.image.copy(), sample.masks.copy()
    results = [_augmentation(name)(sample, seed=seed) for seed in range(4)]
    for result in results:
        assert result.image.dtype == np.uint8
        assert result.masks.dtype == np.bool_
        assert result.image.shape == (*result.masks.shape[1:], 3)
        assert sorted(result.image.shape) == sorted(sample.image.shape)  # transposed at most
        assert result.image.flags.c_contiguous
    changed = [result.image.shape != sample.image.shape or (result.image != sample.image).any() for result in results]
    assert any(changed)  # a turn by 0 degrees is a fair draw, four of them are not
    np.testing.assert_array_equal(sample.image, before[0])  # the store's row is left alone
    np.testing.assert_array_equal(sample.masks, before[1])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", GEOMETRY)
def test_masks_follow_the_image(name: str, seed: int) -> None:
    result = _augmentation(name)(_painted(), seed=seed)
    assert result.categories == ("a", "b", "c")
    for channel, mask in enumerate(result.masks):
        bright = result.image[..., channel] > 127
        assert (bright & mask).sum() / (bright | mask).sum() > 0.9


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - set(GEOMETRY)))
def test_intensity_leaves_the_masks_alone(name: str) -> None:
    result = _augmentation(name)(_sample(), seed=0)
    np.testing.assert_array_equal(result.masks, _masks())


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_the_seed_decides(name: str) -> None:
    sample = _sample()
    results = [_augmentation(name, chance=0.5)(sample, seed=seed) for seed in range(12)]
    again = _augmentation(name, chance=0.5)
    for seed in (11, 3, 0):  # neither the order of the calls nor the object matters
        repeated = again(sample, seed=seed)
        np.testing.assert_array_equal(repeated.image, results[seed].image)
        np.testing.assert_array_equal(repeated.masks, results[seed].masks)
    assert len({result.image.tobytes() for result in results}) > 1


def test_without_a_chance_the_sample_is_itself() -> None:
    sample = _sample()
    assert Augmentation(AugmentSettings())(sample, seed=0) is sample


def test_all_operations_together() -> None:
    result = _augmentation(*OPERATIONS)(_sample(), seed=3)
    assert len(result.masks) == len(result.categories) >= 1


def test_many_objects_are_transformed_alike() -> None:
    # OpenCV works on four channels at once at most; a microscopy image has hundreds of objects.
    masks = np.repeat(_masks()[:1], 300, axis=0)
    sample = replace(_sample(), masks=masks, categories=tuple(map(str, range(300))))
    for name in GEOMETRY:
        result = _augmentation(name)(sample, seed=1)
        assert len(result.masks) == 300
        assert (result.masks == result.masks[0]).all()


def _corner_sample() -> Sample:
    """One disc that stays, and a corner that a turn by some degrees cuts away."""
    masks = _masks()
    masks[1] = False
    masks[1, :4, :4] = True
    return replace(_sample(), masks=masks)


def test_an_object_that_is_cut_away_goes_with_its_category() -> None:
    sample = _corner_sample()
    results = [_augmentation("rotate")(sample, seed=seed) for seed in range(12)]
    assert {result.categories for result in results} == {("a", "b", "c"), ("a", "c")}
    for result in results:
        assert len(result.masks) == len(result.categories)
        assert result.masks.any((1, 2)).all()


def test_a_sample_that_would_lose_every_object_stays_as_it_is() -> None:
    sample = _corner_sample()
    sample = replace(sample, masks=sample.masks[1:2], categories=("b",))
    results = [_augmentation("rotate")(sample, seed=seed) for seed in range(12)]
    kept = [result is sample for result in results]
    assert any(kept)
    assert not all(kept)
    assert all(result.masks.any() for result in results)
