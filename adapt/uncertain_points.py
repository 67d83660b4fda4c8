"""Points where a mask is uncertain: the loss there costs a fraction of the loss at every pixel.

Source: PointRend (Kirillov et al., 2020), section 3.1, "Non-uniform sampling": of `OVERSAMPLING` times as many points
drawn evenly, those with the most uncertain prediction are taken, and the rest anywhere, so that no region is forgotten.
"""

import torch
from torch import Tensor
from torch.nn import functional

OVERSAMPLING, UNCERTAIN_SHARE = 3, 0.75
"""PointRend's k and beta."""


def uncertain_points(logits: Tensor, proposals: Tensor, anywhere: Tensor) -> Tensor:
    """The most uncertain of the proposed points, and points anywhere.

    Args:
        logits: (B, N, M, h, w) of M candidates; a point is as uncertain as the candidate that is nearest to 0 there.
        proposals: (B, N, Q, 2) float32 xy in 0..1 of the model frame.
        anywhere: (B, N, R, 2), likewise.

    Returns:
        (B, N, Q // OVERSAMPLING, 2), of which the last R are `anywhere`.
    """
    count = proposals.shape[2] // OVERSAMPLING - anywhere.shape[2]
    with torch.no_grad():
        distance = sample_at(logits, proposals).abs().amin(2)  # (B, N, Q)
    nearest = distance.topk(count, dim=-1, largest=False).indices
    return torch.cat((proposals.gather(2, nearest[..., None].expand(-1, -1, -1, 2)), anywhere), dim=2)


def sample_at(values: Tensor, points: Tensor) -> Tensor:
    """Values (B, N, M, h, w) at points (B, N, P, 2) xy in 0..1, bilinear: (B, N, M, P) float32."""
    grid = points.flatten(0, 1)[:, None] * 2 - 1  # (B * N, 1, P, 2)
    sampled: Tensor = functional.grid_sample(
        values.flatten(0, 1).float(), grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return sampled.reshape(*values.shape[:3], points.shape[2])
