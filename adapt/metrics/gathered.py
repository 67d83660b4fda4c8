"""The mean IoU of a validation that several processes share, exact however the samples are dealt out.

Each process keeps, of each sample, its key, the sum of its objects' IoUs and their number, all as int64: sums of
integers do not depend on their order, so that one process and several give the same figure to the last bit. Samples are
told apart by their keys, so one that was dealt out twice, as padding of the last batches, counts once.
"""

import torch
from torch import Tensor
from torchmetrics import Metric

UNIT = 1 << 40
"""IoUs are counted in steps of 1 / UNIT, finer than float32 for IoUs above 1e-5; 8 million perfect ones still fit."""


class GatheredMeanIou(Metric):
    """Mean over all objects of all samples that any process has seen; NaN if there are none."""

    full_state_update = False
    samples: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("samples", default=[], dist_reduce_fx="cat")
        self._begin()

    def update(self, ious: Tensor, object_valid: Tensor, sample_keys: Tensor) -> None:
        """Add a batch.

        Args:
            ious: (B, N) float32, 0 to 1.
            object_valid: (B, N) bool; padding objects do not count.
            sample_keys: (B,) int64, one a sample.
        """
        steps = torch.where(object_valid, (ious.float() * UNIT).round(), 0).long()
        self.samples.append(torch.stack((sample_keys, steps.sum(1), object_valid.sum(1)), dim=1))

    def compute(self) -> Tensor:
        """Scalar float32."""
        rows = torch.cat(self.samples) if isinstance(self.samples, list) else self.samples
        rows = rows[rows[:, 0].argsort(stable=True)]
        first = torch.ones(len(rows), dtype=torch.bool, device=rows.device)
        first[1:] = rows[1:, 0] != rows[:-1, 0]
        steps, objects = rows[first, 1:].sum(0).tolist()
        return torch.tensor(steps / objects / UNIT if objects else float("nan"), device=rows.device)

    def reset(self) -> None:
        """Forget all samples."""
        super().reset()
        self._begin()

    def _begin(self) -> None:
        """A process without samples gathers an empty table: without one, torchmetrics would send another shape."""
        self.samples.append(torch.empty(0, 3, dtype=torch.int64, device=self.device))
