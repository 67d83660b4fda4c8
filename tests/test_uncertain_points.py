"""Points lie where the mask is uncertain, and values are read where they are."""

import torch

from adapt.uncertain_points import OVERSAMPLING, sample_at, uncertain_points


def test_values_are_read_at_pixel_centres_and_between_them() -> None:
    values = torch.arange(16.0).reshape(1, 1, 1, 4, 4)
    centres = torch.tensor([[[[0.125, 0.125], [0.375, 0.125], [0.125, 0.375], [0.25, 0.125]]]])
    assert sample_at(values, centres)[0, 0, 0].tolist() == [0.0, 1.0, 4.0, 0.5]


def test_most_points_lie_on_the_border_of_the_mask() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = (torch.linspace(-8, 8, 64)[None, :].expand(64, 64) * 1.0).reshape(1, 1, 1, 64, 64)  # 0 in the middle
    count, fresh = 400, 100
    proposals = torch.rand(1, 1, OVERSAMPLING * count, 2, generator=generator)
    anywhere = torch.rand(1, 1, fresh, 2, generator=generator)
    chosen = uncertain_points(logits, proposals, anywhere)
    assert chosen.shape == (1, 1, count, 2)
    assert torch.equal(chosen[:, :, -fresh:], anywhere)
    near = (chosen[0, 0, :-fresh, 0] - 0.5).abs()
    assert near.max() < 0.15  # 300 of 1,200 even draws: the quarter around the middle
    assert (anywhere[..., 0] - 0.5).abs().max() > 0.4


def test_a_point_is_as_uncertain_as_its_least_certain_candidate() -> None:
    logits = torch.full((1, 1, 2, 8, 8), 9.0)
    logits[:, :, 1, :, 4:] = 0.0
    proposals = torch.tensor([[[[0.1, 0.5], [0.9, 0.5], [0.2, 0.1]]]])
    assert uncertain_points(logits, proposals, proposals[:, :, :0]).flatten().tolist() == [
        proposals[0, 0, 1, 0].item(),
        0.5,
    ]
