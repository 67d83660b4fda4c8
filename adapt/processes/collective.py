"""What the processes of one run compute together; a process that is alone is all of them."""

from typing import TypeVar

import torch
from torch import Tensor, distributed
from torch.distributed.tensor import DTensor, distribute_tensor

Value = TypeVar("Value")


def this_process() -> tuple[int, int]:
    """Number of this process, from 0, and how many there are."""
    if not distributed.is_available() or not distributed.is_initialized():
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def summed(values: Tensor) -> Tensor:
    """Sum over the processes of a tensor that has the same shape in each; without a gradient."""
    return _reduced(values, distributed.ReduceOp.SUM)


def largest(values: Tensor) -> Tensor:
    """Likewise the maximum of each number."""
    return _reduced(values, distributed.ReduceOp.MAX)


def whole(values: Tensor) -> Tensor:
    """A tensor that is divided among the processes, put together in each; any other as it is."""
    return values.full_tensor() if isinstance(values, DTensor) else values


def part_of(values: Tensor, like: Tensor) -> Tensor:
    """Of a tensor that each process has whole, what this one has of `like`, which may be divided; on its device."""
    values = values.to(like.device)
    if not isinstance(like, DTensor):
        return values
    return distribute_tensor(values, like.device_mesh, like.placements, src_data_rank=None)


def gathered(value: Value) -> list[Value]:
    """What each process has, in their order; plain data."""
    _, processes = this_process()
    if processes == 1:
        return [value]
    values: list[Value | None] = [None] * processes
    distributed.all_gather_object(values, value)
    return values  # type: ignore[return-value]


def from_first(value: Value) -> Value:
    """What the first process has; the others' is not looked at. Plain data."""
    if this_process()[1] == 1:
        return value
    values = [value]
    distributed.broadcast_object_list(values, src=0)
    return values[0]


def _reduced(values: Tensor, operation: distributed.ReduceOp.RedOpType) -> Tensor:
    values = values.detach().clone()
    if this_process()[1] > 1:
        distributed.all_reduce(values, op=operation)
    return values


def least(number: int, device: torch.device) -> int:
    """The smallest number that a process has."""
    return -int(largest(torch.tensor(-number, device=device)))
