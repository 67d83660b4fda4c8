"""The domain mIoU of a validation that several processes share, exact however the samples are dealt out.

It is that of `aggregate`, by which the evaluation is headed: over objects, categories and groups. Each process keeps a
row of int64 for each object. The rows of all processes are put into one order before a mean is taken, so that one
process and several give the same figure to the last bit. Objects are told apart by sample and place, so a sample that
was dealt out twice, as padding of the last batches, counts once.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchmetrics import Metric

from adapt.metrics.aggregate import group_means, mean_over_groups
from adapt.samples import sample_key


class GatheredMeanIou(Metric):
    """Mean over all objects, categories and groups that any process has seen; NaN if there are none."""

    full_state_update = False
    objects: list[Tensor]
    """Each (N, 5) int64: key of the sample, place in it, keys of category and group, bits of the float64 IoU."""

    def __init__(self) -> None:
        super().__init__()
        self.add_state("objects", default=[], dist_reduce_fx="cat")
        self._begin()

    def update(self, ious: npt.NDArray[np.float64], *, key: int, categories: Sequence[str], group: str) -> None:
        """Add a sample.

        Args:
            ious: of its N objects.
            key: of the sample, see `sample_key`.
            categories: N names.
            group: patient, scene or slide.
        """
        bits = np.asarray(ious, dtype=np.float64).view(np.int64).tolist()
        rows = [
            (key, place, sample_key(category), sample_key(group), iou)
            for place, (category, iou) in enumerate(zip(categories, bits, strict=True))
        ]
        self.objects.append(torch.tensor(rows, dtype=torch.int64, device=self.device).reshape(-1, 5))

    def compute(self) -> Tensor:
        """Scalar float32."""
        rows = torch.cat(self.objects) if isinstance(self.objects, list) else self.objects
        table = rows.cpu().numpy()
        _, once = np.unique(table[:, :2], axis=0, return_index=True)  # in order of samples and places
        categories, groups, ious = table[once, 2], table[once, 3], table[once, 4].copy().view(np.float64)
        means = group_means(ious, [str(key) for key in categories], [str(key) for key in groups])
        return torch.tensor(mean_over_groups(means) if means else float("nan"), device=rows.device)

    def reset(self) -> None:
        """Forget all samples."""
        super().reset()
        self._begin()

    def _begin(self) -> None:
        """A process without samples gathers an empty table: without one, torchmetrics would send another shape."""
        self.objects.append(torch.empty(0, 5, dtype=torch.int64, device=self.device))
