"""Prompts drawn for training: a click anywhere in the mask, or a box with noisy corners.

Source: Segment Anything (Kirillov et al., 2023), appendix A, "Interactive training": with equal chance a
foreground point drawn uniformly, or the mask's box with noise of standard deviation 10 % of the box side,
at most 20 pixels. Everything is a tensor operation over all objects at once.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from adapt.prompts.draws import draw_keys, normal, object_keys, uniform
from adapt.prompts.fixed import tight_boxes
from adapt.prompts.prompts import Prompts, box_prompts, point_prompts

PURPOSE_KIND, PURPOSE_CLICK, PURPOSE_BOX = 0, 1, 2  # a box uses PURPOSE_BOX and the three after it
PURPOSE_SURROUNDINGS = 10
REFERENCE_SIZE = 1024
"""Side of the model frame for which the largest shift of a corner is given."""


@dataclass(frozen=True)
class PromptSimulation:
    """How prompts are drawn; see `PromptSettings` of the recipe for the defaults.

    Attributes:
        seed: of the run.
        box_chance: chance that an image is prompted by boxes.
        box_noise: standard deviation of a corner's shift, as a share of the box side.
        box_noise_max: largest shift, in pixels of a model frame of 1024.
        uniform_noise: draw the shift evenly from within `box_noise` of the side, as SAM 2 does, not from a Gaussian.
    """

    seed: int
    box_chance: float
    box_noise: float
    box_noise_max: float
    uniform_noise: bool = False


def draw_clicks(masks: Tensor, u: Tensor) -> Tensor:
    """A pixel of each mask, every pixel with the same chance.

    Args:
        masks: (..., H, W) bool.
        u: (...) float32 in [0, 1), one draw a mask.

    Returns:
        (..., 2) float32 xy, pixel indices; (0, 0) for an empty mask.
    """
    row_ends = masks.sum(-1).cumsum(-1)  # (..., H): object pixels up to and with each row
    count = row_ends[..., -1]
    rank = torch.minimum((u * count).long(), (count - 1).clamp(min=0))  # which object pixel, in reading order
    row = (row_ends <= rank[..., None]).sum(-1).clamp(max=masks.shape[-2] - 1)
    before = torch.where(row > 0, row_ends.gather(-1, (row - 1).clamp(min=0)[..., None]).squeeze(-1), 0)
    index = row[..., None, None].expand(*row.shape, 1, masks.shape[-1])
    line_ends = masks.gather(-2, index).squeeze(-2).cumsum(-1)  # (..., W)
    column = (line_ends <= (rank - before)[..., None]).sum(-1)
    points = torch.stack((column, row), dim=-1)
    return torch.where(count[..., None] > 0, points, 0).float()


def jitter_boxes(
    boxes: Tensor, extents: Tensor, keys: Tensor, *, noise: float, max_shift: float, evenly: bool = False
) -> Tensor:
    """Boxes whose corners are shifted by noise, limited, and clipped to the image.

    Args:
        boxes: (B, N, 4) float32 XYXY, model frame.
        extents: (B, 2) float32, width and height of the image inside the model frame.
        keys: (B, N) int64, one a box.
        noise: standard deviation as a share of the box side (width for x, height for y).
        max_shift: largest shift, pixels of the model frame.
        evenly: uniform noise within `noise` of the side, rather than Gaussian.

    Returns:
        (B, N, 4) float32 XYXY with x0 <= x1 and y0 <= y1.
    """
    sides = (boxes[..., 2:] - boxes[..., :2] + 1).repeat(1, 1, 2)

    def draw(purpose: int) -> Tensor:
        return uniform(keys, purpose) * 2 - 1 if evenly else normal(keys, purpose)

    shift = torch.stack([draw(PURPOSE_BOX + corner) for corner in range(4)], dim=-1) * noise * sides
    corners = (boxes + shift.clamp(-max_shift, max_shift)).unflatten(-1, (2, 2))
    corners = corners.clamp(min=0).minimum((extents - 1)[:, None, None, :])
    return torch.cat((corners.amin(-2), corners.amax(-2)), dim=-1)


def draw_prompts(
    masks: Tensor,
    extents: Tensor,
    object_valid: Tensor,
    sample_keys: Tensor,
    *,
    epoch: int,
    simulation: PromptSimulation,
) -> tuple[Tensor, Prompts, Prompts]:
    """Which images are prompted by boxes, and a click and a box for every object.

    Args:
        masks: (B, N, S, S) bool, model frame.
        extents: (B, 2) float32, see `jitter_boxes`.
        object_valid: (B, N) bool.
        sample_keys: (B,) int64.
        epoch: draws of another epoch differ.
        simulation: see `PromptSimulation`.

    Returns:
        (B,) bool, True for an image prompted by boxes; click prompts; box prompts.
    """
    image_keys = draw_keys(sample_keys, seed=simulation.seed, epoch=epoch)
    keys = object_keys(image_keys, masks.shape[1])
    by_box = uniform(image_keys, PURPOSE_KIND) < simulation.box_chance
    clicks = draw_clicks(masks, uniform(keys, PURPOSE_CLICK))
    boxes = jitter_boxes(
        tight_boxes(masks),
        extents,
        keys,
        noise=simulation.box_noise,
        max_shift=simulation.box_noise_max * masks.shape[-1] / REFERENCE_SIZE,
        evenly=simulation.uniform_noise,
    )
    return by_box, point_prompts(clicks, object_valid), box_prompts(boxes, object_valid)


def draw_embeddings(embeddings: Tensor, object_valid: Tensor, keys: Tensor) -> Prompts:
    """Each object by its embedding, with equal chance of it alone and of it with what is around it.

    Source: Segment Anything, appendix D.5, where half of the crops have nothing but the object.

    Args:
        embeddings: (B, N, 3, D) float32, see `Batch`.
        object_valid: (B, N) bool.
        keys: (B, N) int64, one an object.
    """
    alone = uniform(keys, PURPOSE_SURROUNDINGS)[..., None] < 0.5
    drawn = torch.where(alone, embeddings[..., 0, :], embeddings[..., 1, :])
    return Prompts(object_valid=object_valid, embeddings=drawn)
