"""The prompts of a batch, in the model frame."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

PADDING = -10
"""Label of a point that is only there to fill the tensor (the value `transformers` gives it)."""
LARGEST_LOGIT = 32.0
"""Bound of the logits that are fed back as a mask prompt, as in Segment Anything's predictor."""


@dataclass(frozen=True, eq=False)
class Prompts:
    """Prompts for N objects in each of B images; all coordinates are pixel indices of the model frame.

    Attributes:
        object_valid: (B, N) bool; False marks padding objects.
        points: (B, N, P, 2) float32 xy, or None; no point at all where nobody prompts.
        point_labels: (B, N, P) int64: 1 object, 0 background, `PADDING`; None with points None.
        boxes: (B, N, 4) float32 XYXY, centres of the corner pixels, or None. All objects have a box, or none.
        masks: (B, N, 1, h, w) float32 logits of a previous prediction, or None.
        embeddings: (B, N, D) float32 of CLIP, of an object or of a text, or None; for models that take texts alone.
    """

    object_valid: Tensor
    points: Tensor | None = None
    point_labels: Tensor | None = None
    boxes: Tensor | None = None
    masks: Tensor | None = None
    embeddings: Tensor | None = None

    def __post_init__(self) -> None:
        if self.points is None and self.boxes is None and self.embeddings is None:
            raise ValueError("prompts need points or boxes, or embeddings")
        if (self.points is None) != (self.point_labels is None):
            raise ValueError("points and point_labels go together")
        for name in ("points", "boxes", "masks", "embeddings"):
            tensor = getattr(self, name)
            if tensor is not None and tensor.shape[:2] != self.object_valid.shape:
                raise ValueError(f"{name} {tuple(tensor.shape)} do not match {tuple(self.object_valid.shape)} objects")

    def select(self, index: Tensor) -> "Prompts":
        """Prompts of the images that a (K,) int64 index or a (B,) bool mask names."""
        return self._each(lambda values: values[index])

    def to(self, device: torch.device) -> "Prompts":
        """The same prompts on another device."""
        return self._each(lambda values: values.to(device))

    def add_clicks(self, points: Tensor, labels: Tensor) -> "Prompts":
        """The same prompts with more clicks: (B, N, K, 2) float32 xy and (B, N, K) int64 labels."""
        if self.points is None or self.point_labels is None:
            return replace(self, points=points, point_labels=labels)
        return replace(
            self,
            points=torch.cat((self.points, points), dim=2),
            point_labels=torch.cat((self.point_labels, labels), dim=2),
        )

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Prompts":
        return Prompts(
            object_valid=change(self.object_valid),
            points=None if self.points is None else change(self.points),
            point_labels=None if self.point_labels is None else change(self.point_labels),
            boxes=None if self.boxes is None else change(self.boxes),
            masks=None if self.masks is None else change(self.masks),
            embeddings=None if self.embeddings is None else change(self.embeddings),
        )


def point_prompts(points: Tensor, object_valid: Tensor) -> Prompts:
    """One foreground click an object from (B, N, 2) points; padding objects get padding points."""
    labels = torch.where(object_valid, 1, PADDING).unsqueeze(-1)
    return Prompts(object_valid=object_valid, points=points.unsqueeze(2), point_labels=labels)


def box_prompts(boxes: Tensor, object_valid: Tensor) -> Prompts:
    """One box an object from (B, N, 4) XYXY."""
    return Prompts(object_valid=object_valid, boxes=boxes)


def no_prompts(object_valid: Tensor) -> Prompts:
    """Nothing is said of any object, (B, N) bool: where they are is remembered, or all that is known is asked for."""
    points = torch.zeros(*object_valid.shape, 0, 2, device=object_valid.device)
    return Prompts(object_valid, points, points.new_zeros(points.shape[:-1], dtype=torch.int64))
