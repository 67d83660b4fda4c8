"""The mean IoU over classes of a validation that several processes share, exact however the samples are dealt out.

It is that of `classes`, by which the evaluation is headed. Each process keeps a row of int64 for each sample and class;
a sample that was dealt out twice, as padding of the last batches, counts once.
"""

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from adapt.metrics.aggregate import mean_over_groups
from adapt.metrics.classes import Counts, class_ious, group_scores, put_together
from adapt.samples import sample_key

COLUMNS = 6
"""Key of the sample, value of the class, key of the group, and the three counts."""


class GatheredClassIou(Metric):
    """Mean over classes, then groups, of all samples that any process has seen; NaN if there are none."""

    full_state_update = False
    rows: list[Tensor]
    """Each (1 + classes, COLUMNS) int64."""

    def __init__(self) -> None:
        super().__init__()
        self.add_state("rows", default=[], dist_reduce_fx="cat")
        self._begin()

    def update(self, counts: Counts, *, key: int, group: str) -> None:
        """Add a sample, by its key (see `sample_key`); its group is a patient, scene or slide."""
        values = np.arange(len(counts))
        of_sample = np.stack((np.full_like(values, key), values, np.full_like(values, sample_key(group))), axis=1)
        self.rows.append(torch.from_numpy(np.concatenate((of_sample, counts), axis=1)).to(self.device))

    def compute(self) -> Tensor:
        """Scalar float32."""
        rows = torch.cat(self.rows) if isinstance(self.rows, list) else self.rows
        table = rows.cpu().numpy()
        _, once = np.unique(table[:, :2], axis=0, return_index=True)  # in order of samples and classes
        table = table[once]
        samples = table.reshape(-1, int(table[:, 1].max(initial=0)) + 1, COLUMNS)
        together = put_together((str(sample[0, 2]), sample[:, 3:]) for sample in samples)
        scores = group_scores({group: class_ious(counts) for group, counts in together.items()})
        return torch.tensor(mean_over_groups(scores) if scores else float("nan"), device=rows.device)

    def reset(self) -> None:
        """Forget all samples."""
        super().reset()
        self._begin()

    def _begin(self) -> None:
        """A process without samples gathers an empty table: without one, torchmetrics would send another shape."""
        self.rows.append(torch.empty(0, COLUMNS, dtype=torch.int64, device=self.device))
