"""Simulated clicks and boxes: where they fall, how they spread, and what they depend on."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from adapt.prompts import Prompts, PromptSimulation, draw_clicks, draw_prompts, jitter_boxes
from adapt.prompts.draws import draw_keys, object_keys

MASKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=3, max_dims=3, max_side=9), elements=st.booleans())
ONE_STEP_BELOW_1 = 1 - 2**-24  # the largest draw there is
SIMULATION = PromptSimulation(seed=3, box_chance=0.5, box_noise=0.1, box_noise_max=20.0)


def _reference_click(mask: npt.NDArray[np.bool_], u: float) -> list[int]:
    pixels = np.argwhere(mask)
    if not len(pixels):
        return [0, 0]
    row, column = pixels[int(np.floor(np.float32(u) * np.float32(len(pixels))))]
    return [column, row]


@given(masks=MASKS, share=st.integers(0, 2**24 - 1))
def test_a_click_is_the_pixel_that_a_plain_loop_picks(masks: npt.NDArray[np.bool_], share: int) -> None:
    u = share * 2.0**-24
    clicks = draw_clicks(torch.from_numpy(masks), torch.full((len(masks),), u))
    assert clicks.dtype == torch.float32
    assert clicks.tolist() == [_reference_click(mask, u) for mask in masks]


@given(masks=MASKS, share=st.integers(0, 2**24 - 1))
def test_a_click_lies_in_its_mask(masks: npt.NDArray[np.bool_], share: int) -> None:
    clicks = draw_clicks(torch.from_numpy(masks), torch.full((len(masks),), share * 2.0**-24))
    for mask, (x, y) in zip(masks, clicks.long().tolist(), strict=True):
        assert mask[y, x] or not mask.any()


@pytest.mark.parametrize("side", [700, 1024])
def test_the_ends_of_a_large_mask_are_reached_and_not_passed(side: int) -> None:
    """A product in float32 must not be rounded up to the number of pixels."""
    full = torch.ones(2, side, side, dtype=torch.bool)
    clicks = draw_clicks(full, torch.tensor([0.0, ONE_STEP_BELOW_1]))
    assert clicks.tolist() == [[0, 0], [side - 1, side - 1]]


def test_every_pixel_of_an_odd_shape_has_the_same_chance() -> None:
    mask = torch.zeros(9, 11, dtype=torch.bool)
    mask[0, 3] = mask[2, 1:9] = mask[5:8, 10] = mask[8, 0] = mask[4, 2:7:2] = True
    draws = 40_000
    u = torch.rand(draws, generator=torch.Generator().manual_seed(0))
    clicks = draw_clicks(mask.expand(draws, -1, -1), u).long()
    counts = np.zeros(mask.shape)
    np.add.at(counts, (clicks[:, 1].numpy(), clicks[:, 0].numpy()), 1)
    inside = counts[mask.numpy()]
    assert inside.sum() == draws
    assert len(inside) == 16
    chi_square = ((inside - draws / 16) ** 2 / (draws / 16)).sum()
    assert chi_square < 37.7  # 15 degrees of freedom: 99.9 %


def test_an_empty_mask_gives_the_origin() -> None:
    assert draw_clicks(torch.zeros(2, 5, 7, dtype=torch.bool), torch.tensor([0.0, 0.9])).tolist() == [[0, 0], [0, 0]]


def test_clicks_for_any_leading_dimensions() -> None:
    generator = torch.Generator().manual_seed(1)
    masks = torch.rand(2, 3, 8, 6, generator=generator) > 0.5
    u = torch.rand(2, 3, generator=generator)
    clicks = draw_clicks(masks, u)
    assert clicks.shape == (2, 3, 2)
    assert torch.equal(draw_clicks(masks[1], u[1]), clicks[1])
    assert torch.equal(draw_clicks(masks[1, 2], u[1, 2]), clicks[1, 2])
    assert draw_clicks(masks[:0], u[:0]).shape == (0, 3, 2)


WIDE_EXTENTS = torch.tensor([[10_000.0, 10_000.0]])


def _many_jittered(box: list[float], *, noise: float, max_shift: float, count: int = 20_000) -> Tensor:
    boxes = torch.tensor(box).expand(1, count, 4)
    keys = object_keys(draw_keys(torch.tensor([5]), seed=0, epoch=0), count)
    return jitter_boxes(boxes, WIDE_EXTENTS, keys, noise=noise, max_shift=max_shift)[0]


def test_corners_spread_by_a_tenth_of_the_side() -> None:
    box = [5000.0, 4000.0, 5199.0, 4099.0]  # 200 x 100 pixels, edges included
    shifts = _many_jittered(box, noise=0.1, max_shift=1e6) - torch.tensor(box)
    torch.testing.assert_close(shifts.std(0), torch.tensor([20.0, 10.0, 20.0, 10.0]), rtol=0.03, atol=0)
    torch.testing.assert_close(shifts.mean(0), torch.zeros(4), rtol=0, atol=0.6)
    corners = torch.corrcoef(shifts.T) - torch.eye(4)
    assert corners.abs().max() < 0.03  # each coordinate is drawn on its own


def test_no_shift_exceeds_the_limit_and_some_reach_it() -> None:
    box = [5000.0, 4000.0, 5999.0, 4999.0]
    shifts = _many_jittered(box, noise=0.1, max_shift=20.0) - torch.tensor(box)
    assert shifts.abs().max() == 20.0
    assert 0.8 < (shifts.abs() == 20.0).float().mean() < 0.88  # P(|N(0, 100)| > 20) = 0.841


def test_the_box_of_one_pixel_has_a_side_of_one_pixel() -> None:
    box = [5000.0, 4000.0, 5000.0, 4000.0]
    jittered = _many_jittered(box, noise=0.1, max_shift=20.0)
    sides = jittered[:, 2:] - jittered[:, :2]
    # The two corners are drawn apart and put in order: the mean of |N(0, 0.1) - N(0, 0.1)| is 0.2 / sqrt(pi).
    torch.testing.assert_close(sides.mean(0), torch.full((2,), 0.2 / torch.pi**0.5), rtol=0.05, atol=0)


def test_without_noise_a_box_stays() -> None:
    box = [10.0, 20.0, 30.0, 40.0]
    assert torch.equal(_many_jittered(box, noise=0.0, max_shift=20.0), torch.tensor(box).expand(20_000, 4))


def test_boxes_are_clipped_to_the_image_inside_the_square() -> None:
    boxes = torch.tensor([[[0.0, 0.0, 99.0, 59.0]], [[0.0, 0.0, 39.0, 99.0]]]).expand(2, 500, 4)
    extents = torch.tensor([[100.0, 60.0], [40.0, 100.0]])
    keys = object_keys(draw_keys(torch.tensor([1, 2]), seed=0, epoch=0), 500)
    jittered = jitter_boxes(boxes, extents, keys, noise=0.3, max_shift=50.0)
    assert jittered.min() == 0
    assert jittered[0].amax(0).tolist()[2:] == [99.0, 59.0]
    assert jittered[1].amax(0).tolist()[2:] == [39.0, 99.0]


def test_corners_stay_in_order_even_under_wild_noise() -> None:
    jittered = _many_jittered([5000.0, 5000.0, 5003.0, 5003.0], noise=5.0, max_shift=1e6)
    assert (jittered[:, :2] <= jittered[:, 2:]).all()
    assert (jittered[:, :2] < jittered[:, 2:]).any()


def _scene(samples: int, objects: int, side: int = 32) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    masks = torch.zeros(samples, objects, side, side, dtype=torch.bool)
    for image in range(samples):
        for index in range(objects):
            top, left = torch.randint(0, side // 2, (2,), generator=generator).tolist()
            masks[image, index, top : top + side // 2, left : left + side // 2] = True
    extents = torch.full((samples, 2), float(side))
    return masks, extents, torch.ones(samples, objects, dtype=torch.bool), torch.arange(100, 100 + samples)


def _coordinates(clicks: Prompts, boxes: Prompts) -> tuple[Tensor, Tensor]:
    assert clicks.points is not None and boxes.boxes is not None
    return clicks.points.squeeze(2), boxes.boxes


def test_the_same_seed_draws_the_same() -> None:
    scene = _scene(6, 4)
    first = draw_prompts(*scene, epoch=2, simulation=SIMULATION)
    torch.manual_seed(99)  # the global generator plays no part
    second = draw_prompts(*scene, epoch=2, simulation=SIMULATION)
    assert torch.equal(first[0], second[0])
    for one, other in zip(_coordinates(*first[1:]), _coordinates(*second[1:]), strict=True):
        assert torch.equal(one, other)


def test_drawing_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    draw_prompts(*_scene(2, 2), epoch=0, simulation=SIMULATION)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("changed", ["seed", "epoch", "sample"])
def test_another_seed_epoch_or_sample_draws_anew(changed: str) -> None:
    masks, extents, valid, keys = _scene(64, 4)
    simulation = PromptSimulation(seed=4 if changed == "seed" else 3, box_chance=0.5, box_noise=0.1, box_noise_max=20.0)
    first = draw_prompts(masks, extents, valid, keys, epoch=0, simulation=SIMULATION)
    second = draw_prompts(
        masks,
        extents,
        valid,
        keys + (1000 if changed == "sample" else 0),
        epoch=1 if changed == "epoch" else 0,
        simulation=simulation,
    )
    assert 0.3 < (first[0] != second[0]).float().mean() < 0.7  # independent coins differ half of the time
    for one, other in zip(_coordinates(*first[1:]), _coordinates(*second[1:]), strict=True):
        assert (one != other).any(-1).float().mean() > 0.95


def test_objects_of_an_image_are_drawn_apart() -> None:
    masks = torch.ones(1, 50, 32, 32, dtype=torch.bool)
    _, clicks, boxes = draw_prompts(
        masks,
        torch.tensor([[32.0, 32.0]]),
        torch.ones(1, 50, dtype=torch.bool),
        torch.tensor([1]),
        epoch=0,
        simulation=SIMULATION,
    )
    points, _ = _coordinates(clicks, boxes)
    assert points[0].unique(dim=0).shape[0] > 40


def test_draws_do_not_depend_on_the_order_of_the_batch() -> None:
    masks, extents, valid, keys = _scene(7, 3)
    order = torch.tensor([4, 0, 6, 2, 1, 5, 3])
    by_box, *prompts = draw_prompts(masks, extents, valid, keys, epoch=1, simulation=SIMULATION)
    permuted, *others = draw_prompts(
        masks[order], extents[order], valid[order], keys[order], epoch=1, simulation=SIMULATION
    )
    assert torch.equal(permuted, by_box[order])
    for one, other in zip(_coordinates(*prompts), _coordinates(*others), strict=True):
        assert torch.equal(other, one[order])


def test_draws_do_not_depend_on_the_rest_of_the_batch() -> None:
    """Another batch size, or padding for an image with more objects, changes no draw."""
    masks, extents, valid, keys = _scene(7, 3)
    by_box, *prompts = draw_prompts(masks, extents, valid, keys, epoch=1, simulation=SIMULATION)
    padded = torch.cat((masks[2:3], torch.zeros(1, 5, 32, 32, dtype=torch.bool)), dim=1)
    valid_padded = torch.arange(8)[None] < 3
    alone, *others = draw_prompts(padded, extents[2:3], valid_padded, keys[2:3], epoch=1, simulation=SIMULATION)
    assert alone.tolist() == [by_box[2].item()]
    for one, other in zip(_coordinates(*prompts), _coordinates(*others), strict=True):
        assert torch.equal(other[0, :3], one[2])


@pytest.mark.parametrize(("chance", "least", "most"), [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.5, 0.48, 0.52)])
def test_the_share_of_images_prompted_by_boxes(chance: float, least: float, most: float) -> None:
    count = 10_000
    by_box, _, _ = draw_prompts(
        torch.ones(count, 1, 2, 2, dtype=torch.bool),
        torch.full((count, 2), 2.0),
        torch.ones(count, 1, dtype=torch.bool),
        torch.arange(count),
        epoch=0,
        simulation=PromptSimulation(seed=0, box_chance=chance, box_noise=0.1, box_noise_max=20.0),
    )
    assert least <= by_box.float().mean().item() <= most


def test_the_limit_of_a_shift_follows_the_model_frame() -> None:
    """20 pixels of a frame of 1024 are 5 of one of 256."""
    side = 256
    masks = torch.zeros(1, 400, side, side, dtype=torch.bool)
    masks[..., 60:200, 60:200] = True
    _, _, boxes = draw_prompts(
        masks,
        torch.full((1, 2), float(side)),
        torch.ones(1, 400, dtype=torch.bool),
        torch.tensor([1]),
        epoch=0,
        simulation=SIMULATION,
    )
    assert boxes.boxes is not None
    shifts = boxes.boxes[0] - torch.tensor([60.0, 60.0, 199.0, 199.0])
    assert shifts.abs().max() == 5.0
