"""A model whose weights are divided among the processes of a run: torch's FSDP2, by Lightning.

In a training step each block of the encoder is put together where it runs, forward and back, and is a part in each
process again behind it. All the rest is small, and is put together once a step: the decoder runs many times in it, and
in one process more often than in another. Gradients and the optimiser's state are always divided.

Between steps the model is whole: validation, the measure of forgetting and galleries run it as often as each of them
likes, and no process waits for another.
"""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from adapt.processes.collective import part_of, whole
from adapt.segmenters import PromptableSegmenter

STEP = "training_step"
"""The method of a task that is one step, from images to loss."""


def shard(task: nn.Module, segmenter: PromptableSegmenter, *, spared: int, mesh: DeviceMesh) -> None:
    """Divide the parameters of a task among the processes of a mesh.

    Args:
        task: all that trains, on any device; has a `training_step`.
        segmenter: of the task.
        spared: first stages of the encoder that stay whole in every process, since one may run them and another not;
            nothing of them trains.
        mesh: of one dimension.
    """
    for block in segmenter.blocks:
        if block.stage >= spared:
            fully_shard(block.module, mesh=mesh)
    ignored = {values for stage in segmenter.stages[:spared] for values in stage.parameters}
    fully_shard(task, mesh=mesh, reshard_after_forward=False, ignored_params=ignored)
    register_fsdp_forward_method(task, STEP)
    assert isinstance(task, FSDPModule)
    # the first module that runs counts as the outermost one, which a block would be if a validation came first
    task._get_fsdp_state()._lazy_init()


def put_together(task: nn.Module) -> None:
    """Let each process have the whole model, until `divide`; all must ask for it. A whole one stays as it is."""
    for module in task.modules():
        if isinstance(module, FSDPModule):
            module.set_reshard_after_forward(False, recurse=False)
            module.unshard()


def divide(task: nn.Module) -> None:
    """Let each process have its part again, as it was, if the model is whole; what was done to that is forgotten."""
    assert isinstance(task, FSDPModule)
    if any(isinstance(parameter, DTensor) for parameter in task.parameters()):
        return
    task.reset_iter_state()
    for module in task.modules():
        if isinstance(module, FSDPModule) and module is not task:
            module.set_reshard_after_forward(True, recurse=False)


@contextmanager
def in_a_copy(segmenter: PromptableSegmenter) -> Iterator[None]:
    """Have a copy of the model in the segmenter, which can be divided for good; then its own again, as it was."""
    own = segmenter.model
    holder: Any = segmenter
    holder.model = copy.deepcopy(own)
    try:
        yield
    finally:
        holder.model = own


class ShardedStrategy(ModelParallelStrategy):
    """Lightning's strategy of FSDP2, with checkpoints as those of any other: whole, of the first process, no pickle."""

    def __init__(self, processes: int, *, timeout: timedelta) -> None:
        """Of so many processes, which wait for one another for `timeout` at most."""
        super().__init__(
            data_parallel_size=processes, tensor_parallel_size=1, save_distributed_checkpoint=False, timeout=timeout
        )

    @property
    def lightning_restore_optimizer(self) -> bool:
        """By `load_optimizer_state_dict`."""
        return True

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """What trains, put together in the first process."""
        return {name: self._gathered(values) for name, values in self._trained().items()}

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """Likewise; in the form that a plain optimiser has."""
        found = optimizer.state_dict()
        state = {
            number: {name: self._gathered(value) if isinstance(value, Tensor) else value for name, value in of.items()}
            for number, of in found["state"].items()
        }
        return {**found, "state": state}

    def load_checkpoint(self, checkpoint_path: str | Path, weights_only: bool | None = None) -> dict[str, Any]:
        """Every process reads all of it."""
        return self.checkpoint_io.load_checkpoint(checkpoint_path)

    @torch.no_grad()
    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Keep the own part of what trains; the task has seen to it that the names are right."""
        trained = self._trained()
        for name, values in checkpoint["state_dict"].items():
            trained[name].copy_(part_of(values, trained[name]))

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Likewise."""
        for optimizer, found in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            state = {
                number: {
                    name: part_of(value, parameters[number]) if value.shape == parameters[number].shape else value
                    for name, value in of.items()
                }
                for number, of in found["state"].items()
            }
            optimizer.load_state_dict({**found, "state": state})

    def _gathered(self, values: Tensor) -> Tensor | None:
        """One after the other goes to the first process's own memory, so that a device never holds all of them."""
        together = whole(values.detach())
        return together.to("cpu", copy=True) if self.is_global_zero else None

    def _trained(self) -> dict[str, nn.Parameter]:
        assert self.lightning_module is not None
        return {name: values for name, values in self.lightning_module.named_parameters() if values.requires_grad}
