"""Surface distance and HD95 against MONAI and by hand; missed and empty objects by the written rule."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice
from scipy import ndimage

from adapt.metrics import boundary_score

Mask = npt.NDArray[np.bool_]


def _blob(seed: int, shape: tuple[int, ...], share: float = 0.7) -> Mask:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 3)
    return np.asarray(noise > np.quantile(noise, share), dtype=bool)


def _one_hot(mask: Mask) -> torch.Tensor:
    return torch.from_numpy(mask)[None, None]


@pytest.mark.filterwarnings("ignore:monai.metrics.utils:FutureWarning")  # MONAI's own call of what it deprecates
@pytest.mark.parametrize("shape", [(40, 50), (12, 20, 24)])
@pytest.mark.parametrize("anisotropic", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_equal_to_monai(shape: tuple[int, ...], anisotropic: bool, seed: int) -> None:
    spacing = tuple([2.5, 0.8, 0.6][-len(shape) :]) if anisotropic else (1.0,) * len(shape)
    predicted, truth = _blob(seed, shape), _blob(seed + 100, shape)
    found = boundary_score(predicted, truth, spacing=spacing, tolerance=1.5)
    surface = compute_surface_dice(
        _one_hot(predicted), _one_hot(truth), class_thresholds=[1.5], include_background=True, spacing=spacing
    )
    hausdorff = compute_hausdorff_distance(
        _one_hot(predicted), _one_hot(truth), include_background=True, percentile=95, spacing=spacing
    )
    assert found.nsd == pytest.approx(surface.item(), abs=1e-6)
    assert found.hd95 == pytest.approx(hausdorff.item(), abs=1e-5)


def test_a_shifted_square_by_hand() -> None:
    truth = np.zeros((20, 20), dtype=bool)
    truth[5:10, 5:10] = True
    predicted = np.roll(truth, 3, axis=1)
    exact = boundary_score(predicted, truth, spacing=(1.0, 0.5), tolerance=1.5)
    assert exact.nsd == 1.0  # three columns of half a unit
    strict = boundary_score(predicted, truth, spacing=(1.0, 0.5), tolerance=0.0)
    # borders of 16 pixels each share two columns' ends in rows 5 and 9: columns 8 and 9
    assert strict.nsd == pytest.approx(2 * 4 / 32)
    assert exact.hd95 == pytest.approx(1.5)


def test_the_edge_of_the_image_is_a_border() -> None:
    full = np.ones((6, 8), dtype=bool)
    smaller = full.copy()
    smaller[:, 0] = False
    score = boundary_score(smaller, full, spacing=(1.0, 1.0), tolerance=0.0)
    assert 0 < score.nsd < 1 and score.hd95 == 1.0


def test_a_missed_object_is_as_far_off_as_can_be() -> None:
    truth = np.zeros((30, 40), dtype=bool)
    truth[3, 3] = True
    score = boundary_score(np.zeros_like(truth), truth, spacing=(2.0, 1.0), tolerance=5.0)
    assert (score.nsd, score.hd95) == (0.0, pytest.approx(np.hypot(60, 40)))
    assert boundary_score(truth, np.zeros_like(truth), spacing=(2.0, 1.0), tolerance=5.0) == score
    nothing = boundary_score(np.zeros_like(truth), np.zeros_like(truth), spacing=(1.0, 1.0), tolerance=1.0)
    assert (nothing.nsd, nothing.hd95) == (1.0, 0.0)


def test_one_pixel_is_its_own_border() -> None:
    mask = np.zeros((5, 5), dtype=bool)
    mask[2, 2] = True
    other = np.roll(mask, 2, axis=0)
    assert boundary_score(mask, mask, spacing=(1.0, 1.0), tolerance=0.0).nsd == 1.0
    assert boundary_score(mask, other, spacing=(3.0, 1.0), tolerance=0.0).hd95 == 6.0


@pytest.mark.parametrize("step", [0.1, 0.7, 0.3, 1e-3])
def test_a_distance_of_just_the_tolerance_is_within_it_wherever_it_lies(step: float) -> None:
    """10 * 0.7 - 8 * 0.7 is more than 2 * 0.7 in floating point."""
    for column in range(12):
        mask = np.zeros((1, 20), dtype=bool)
        mask[0, column] = True
        score = boundary_score(mask, np.roll(mask, 2, axis=1), spacing=(1.0, step), tolerance=2 * step)
        assert (score.nsd, score.hd95) == (1.0, 2 * step)


@pytest.mark.parametrize("shape", [(30, 40), (8, 14, 12)])
def test_distances_are_those_of_a_distance_transform(shape: tuple[int, ...]) -> None:
    """To the last bit, also where blobs touch the edge or fill the image but a pixel, or answers are scattered."""
    spacing = (2.5, 0.7, 0.3)[: len(shape)]
    full = np.ones(shape, dtype=bool)
    full[(0,) * len(shape)] = False
    scattered = np.random.default_rng(0).random(shape) < 0.3
    small = np.zeros(shape, dtype=bool)
    small[tuple(slice(size // 3, size // 2) for size in shape)] = True
    pairs = [(_blob(seed, shape), _blob(seed + 50, shape, share=0.4)) for seed in range(5)]
    for predicted, truth in [
        *pairs,
        (_blob(5, shape), full),
        (scattered, small),
        (small, scattered),
        (scattered, full),
    ]:
        borders = [mask & ~ndimage.binary_erosion(mask) for mask in (predicted, truth)]
        distances = [
            ndimage.distance_transform_edt(~other, sampling=spacing)[border]
            for border, other in zip(borders, reversed(borders), strict=True)
        ]
        for tolerance in (0.0, 0.7, 1.4, 5.0):
            found = boundary_score(predicted, truth, spacing=spacing, tolerance=tolerance)
            within = sum(int((values <= tolerance).sum()) for values in distances)
            assert found.nsd == within / sum(map(len, distances))
            assert found.hd95 == pytest.approx(max(np.percentile(values, 95) for values in distances), rel=1e-12)
