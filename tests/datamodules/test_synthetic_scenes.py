"""Synthetic scenes: images and masks that belong together, the same for the same seed."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapt.datamodules.synthetic.canvas import Canvas, Patch, float32
from adapt.datamodules.synthetic.scenes import FAMILIES, MOST_OBJECTS, Scene, draw_family, draw_scene
from adapt.datamodules.synthetic.shapes import fill, placed, rectangle

SMALLEST = 0.0006

seeds = st.integers(0, 2**32 - 1)
sides = st.integers(64, 256)
families = st.sampled_from(sorted(FAMILIES))


def black(side: int = 64) -> Canvas:
    return Canvas(np.zeros((side, side, 3), np.float32))


def square(centre: tuple[float, float], size: float, side: int = 64) -> Patch:
    patch = fill(placed([rectangle(1, 1)], centre=centre, size=size, angle=0), side=side)
    assert patch is not None
    return patch


def numbers(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def border_contrast(scene: Scene) -> float:
    """How much the image differs between the two sides of a mask's border: median of the masks."""
    clear = []
    image = scene.image.astype(np.float32)
    kernel = np.ones((5, 5), np.uint8)
    for mask in scene.masks:
        filled = mask.astype(np.uint8)
        inside = mask & (cv2.erode(filled, kernel) == 0)
        outside = (cv2.dilate(filled, kernel) > 0) & ~mask
        if outside.any():
            clear.append(np.abs(image[inside].mean(axis=0) - image[outside].mean(axis=0)).max())
    return float(np.median(clear)) if clear else 0.0


@settings(max_examples=30)
@given(seed=seeds, side=sides, name=families)
def test_a_scene_is_an_image_with_masks_that_fit_it(seed: int, side: int, name: str) -> None:
    scene = draw_family(np.random.default_rng(seed), name, side=side, smallest=SMALLEST)
    assert scene.image.shape == (side, side, 3) and scene.image.dtype == np.uint8
    assert scene.masks.shape[1:] == (side, side) and scene.masks.dtype == np.bool_
    assert 1 <= len(scene.masks) == len(scene.categories) <= MOST_OBJECTS
    assert scene.masks.any(axis=(1, 2)).all()
    assert np.ptp(scene.image) > 0


@settings(max_examples=12)
@given(seed=seeds, side=sides)
def test_the_same_seed_draws_the_same_scene(seed: int, side: int) -> None:
    one, other = (draw_scene(np.random.default_rng(seed), side=side, smallest=SMALLEST) for _ in range(2))
    np.testing.assert_array_equal(one.image, other.image)
    np.testing.assert_array_equal(one.masks, other.masks)
    assert (one.categories, one.family) == (other.categories, other.family)


def test_each_family_occurs_about_as_often_as_its_weight_says() -> None:
    random = np.random.default_rng(3)
    drawn = [draw_scene(random, side=64, smallest=SMALLEST).family for _ in range(300)]
    total = sum(family.weight for family in FAMILIES.values())
    for name, family in FAMILIES.items():
        assert drawn.count(name) / 300 == pytest.approx(family.weight / total, abs=0.09)
        assert name in drawn


@settings(max_examples=20)
@given(seed=seeds, name=families, smallest=st.floats(0.0005, 0.02))
def test_no_mask_is_smaller_than_asked_for_unless_it_is_the_only_one(seed: int, name: str, smallest: float) -> None:
    scene = draw_family(np.random.default_rng(seed), name, side=96, smallest=smallest)
    assert len(scene.masks) == 1 or (scene.masks.mean(axis=(1, 2)) >= smallest).all()


def test_where_all_objects_are_too_small_the_largest_is_kept() -> None:
    scene = draw_family(np.random.default_rng(0), "fluorescence", side=64, smallest=1.0)
    assert len(scene.masks) == 1 and scene.masks.any()


def test_an_object_that_is_hidden_in_part_has_only_what_is_seen() -> None:
    canvas = black()
    canvas.add(square((24, 32), 21), float32([1, 0, 0]), category="below")
    canvas.add(square((34, 32), 21), float32([0, 1, 0]), category="above")
    below, above = canvas.masks(numbers(0, 1))
    assert not (below & above).any()
    np.testing.assert_array_equal(above, canvas.image[..., 1] >= 0.5)
    np.testing.assert_array_equal(below, canvas.image[..., 0] >= 0.5)


def test_the_share_of_an_object_that_is_seen_counts_its_parts() -> None:
    canvas = black()
    whole = canvas.add(square((24, 32), 21), float32([1, 0, 0]), category="whole")
    canvas.add(square((20, 32), 5), float32([0, 1, 0]), category="part", parent=whole)
    canvas.add(square((45, 32), 41), float32([0, 0, 1]), category="above")
    np.testing.assert_allclose(canvas.shares(), [11 / 21, 1, 1], atol=1e-9)


def test_what_covers_an_object_without_being_one_is_in_no_mask() -> None:
    canvas = black()
    canvas.add(square((32, 32), 30), float32([1, 1, 1]), category="roof")
    canvas.cover(square((32, 32), 10), float32([0, 0.5, 0]))
    (roof,) = canvas.masks(numbers(0))
    np.testing.assert_array_equal(roof, canvas.image[..., 0] > 0.5)


def test_parts_lie_inside_their_object_and_belong_to_its_mask() -> None:
    canvas = black()
    whole = canvas.add(square((32, 32), 20), float32([1, 0, 0]), category="whole")
    part = canvas.add(square((42, 32), 10), float32([0, 1, 0]), category="part", parent=whole)
    canvas.add(square((40, 32), 4), float32([0, 0, 1]), category="subpart", parent=part)
    canvas.add(square((10, 10), 6), float32([1, 1, 1]), category="other")
    masks = canvas.masks(numbers(0, 1, 2, 3))
    assert (masks[1] <= masks[0]).all() and (masks[2] <= masks[1]).all() and masks[2].any()
    assert not (masks[3] & masks[0]).any()
    np.testing.assert_array_equal(masks[0], square_mask((32, 32), 20))
    np.testing.assert_array_equal(canvas.areas(), masks.sum(axis=(1, 2)))


def square_mask(centre: tuple[float, float], size: float) -> np.ndarray:
    canvas = black()
    canvas.add(square(centre, size), float32([1, 1, 1]), category="square")
    return canvas.masks(numbers(0))[0]


def test_a_part_that_comes_after_another_object_is_refused() -> None:
    canvas = black()
    for centre in ((16.0, 16.0), (48.0, 48.0)):
        canvas.add(square(centre, 10), float32([1, 1, 1]), category="object")
    with pytest.raises(ValueError, match="object 0 gets a part after object 1"):
        canvas.add(square((16, 16), 4), float32([0, 0, 0]), category="part", parent=0)


@pytest.mark.parametrize("name", ["things", "organs", "bright_field", "roofs"])
def test_masks_of_a_family_are_nested_or_apart(name: str) -> None:
    """What is seen of two objects overlaps only where one is part of the other."""
    nested = 0
    for seed in range(12):
        masks = draw_family(np.random.default_rng(seed), name, side=128, smallest=0).masks
        flat = masks.reshape(len(masks), -1).astype(np.float32)
        shared, areas = flat @ flat.T, flat.sum(axis=1)
        smaller = np.minimum(areas[:, None], areas)
        assert ((shared == 0) | (shared == smaller)).all()
        nested += int((shared > 0).sum()) - len(masks)
    assert nested > 0


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_image_and_masks_belong_together(name: str) -> None:
    """Across the borders of masks the image changes more than across those of the same masks mirrored."""
    right, mirrored = [], []
    for seed in range(16):
        scene = draw_family(np.random.default_rng(seed), name, side=128, smallest=0.002)
        right.append(border_contrast(scene))
        wrong = Scene(scene.image, scene.masks[:, ::-1, ::-1], scene.categories, scene.family)
        mirrored.append(border_contrast(wrong))
    assert np.median(right) > 2 * np.median(mirrored)


@pytest.mark.parametrize("size", [3.0, 10.0, 25.5])
def test_a_filled_shape_has_the_area_of_its_outline(size: float) -> None:
    areas = [float(square((32 + shift, 32 - shift), size).alpha.sum()) for shift in np.linspace(0, 1, 8)]
    assert np.mean(areas) == pytest.approx(size**2, rel=0.7 / size)  # a third of a pixel


def test_a_shape_outside_the_canvas_covers_nothing() -> None:
    assert fill(placed([rectangle(1, 1)], centre=(-20, 10), size=8, angle=1.0), side=64) is None
