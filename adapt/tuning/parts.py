"""Low-rank updates of some parts of a fused layer, in the place and form of an update of the whole."""

from collections.abc import Sequence

import torch
from peft.tuners.lora.dora import DoraLinearLayer
from torch import Tensor, nn
from torch.nn import functional


class PartsUp(nn.Module):
    """The up-projection: each part reads its own share of the ranks, and the rows of other parts are zero.

    Stands in for the Linear layer of peft, which reads `weight` only.
    """

    def __init__(self, weight: Tensor, roles: Sequence[str], of: Sequence[str]) -> None:
        """From the (outputs, ranks) weight of the whole, zero before the first step.

        Args:
            weight: of the layer that this replaces.
            roles: the parts of the outputs, in order.
            of: those that are adapted; each has an equal share of the ranks, in this order.
        """
        super().__init__()
        self.roles, self.of = tuple(roles), tuple(of)
        self.rows, self.rank = weight.shape[0] // len(roles), weight.shape[1] // len(of)
        for place, role in enumerate(of):
            own = weight.detach()[self._rows_of(role), place * self.rank : (place + 1) * self.rank]
            self.register_parameter(role, nn.Parameter(own.clone()))

    def _rows_of(self, role: str) -> slice:
        place = self.roles.index(role)
        return slice(place * self.rows, (place + 1) * self.rows)

    @property
    def weight(self) -> Tensor:
        """(outputs, ranks), of the whole layer."""
        return torch.cat([self._padded(role) for role in self.roles])

    def _padded(self, role: str) -> Tensor:
        if role not in self.of:
            of_any = self.get_parameter(self.of[0])
            return of_any.new_zeros(self.rows, self.rank * len(self.of))
        place = self.of.index(role)
        left, right = self.rank * place, self.rank * (len(self.of) - 1 - place)
        return functional.pad(self.get_parameter(role), (left, right))

    def forward(self, code: Tensor) -> Tensor:
        """(..., ranks) to (..., outputs)."""
        return functional.linear(code, self.weight)


class PartsMagnitude(DoraLinearLayer):
    """DoRA's magnitudes, of which those of other parts stay as they were."""

    def __init__(self, weight: Tensor, roles: Sequence[str], of: Sequence[str]) -> None:
        """From the (outputs,) magnitudes of the whole; else see `PartsUp`."""
        super().__init__(fan_in_fan_out=False)  # type: ignore[no-untyped-call]
        self.roles, self.of = tuple(roles), tuple(of)
        for role, own in zip(roles, weight.detach().chunk(len(roles)), strict=True):
            if role in of:
                self.register_parameter(role, nn.Parameter(own.clone()))
            else:
                self.register_buffer(role, own.clone(), persistent=False)

    @property
    def weight(self) -> Tensor:  # type: ignore[override]  # peft only reads it
        """(outputs,), of the whole layer."""
        return torch.cat([getattr(self, role) for role in self.roles])
