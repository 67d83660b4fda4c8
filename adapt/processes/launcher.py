"""Who starts the processes of a run, and how many there will be.

`torchrun` and SLURM start them all, with the number of each in the environment. Otherwise Lightning starts what the
recipe asks for, by running this command again.
"""

import os

import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from adapt.errors import RecipeError
from adapt.recipe import Recipe


def launcher() -> ClusterEnvironment:
    """Lightning's view of what starts the processes.

    A SLURM job of one task is started by nobody: its script may start several processes by itself. Requeueing is left
    to the script: Lightning would save inside its signal handler, in the middle of a step.
    """
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    interactive = os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive")
    if "SLURM_PROCID" in os.environ and int(os.environ.get("SLURM_NTASKS", 1)) > 1 and not interactive:
        if "SLURM_NTASKS_PER_NODE" not in os.environ:
            raise RecipeError("SLURM has not said how many processes a node has; give sbatch --ntasks-per-node")
        return SLURMEnvironment(auto_requeue=False)
    return LightningEnvironment()


def placed(recipe: Recipe, device: torch.device) -> Recipe:
    """The recipe with `trainer.devices` and `trainer.num_nodes` as they will be, in numbers.

    Args:
        recipe: checked.
        device: that it trains on, of the kind.

    Raises:
        RecipeError: it asks for others than the launcher has started, or than this machine has.
    """
    settings, starts = recipe.trainer, launcher()
    if isinstance(starts, LightningEnvironment):
        there = torch.cuda.device_count() if device.type == "cuda" else 1
        devices, nodes = there if settings.devices == "auto" else settings.devices, settings.num_nodes
        if devices > there and device.type != "cpu":  # on a CPU, processes share it
            raise RecipeError(
                f"trainer.devices={devices}, but there {'is' if there == 1 else 'are'} {there} of {device.type} here; "
                "lower it, or set auto"
            )
    else:
        name, devices, nodes = _started(starts)
        for key, said, found in (("devices", settings.devices, devices), ("num_nodes", settings.num_nodes, nodes)):
            if said not in (1, "auto", found):
                raise RecipeError(
                    f"trainer.{key}={said}, but {name} has started {found}; start as many, or leave trainer.{key} out"
                )
    changed = {"devices": devices, "num_nodes": nodes}
    return recipe.model_copy(update={"trainer": settings.model_copy(update=changed)})


def count_processes(recipe: Recipe) -> int:
    """Of a placed recipe, on all nodes."""
    assert isinstance(recipe.trainer.devices, int), "`placed` makes it a number"
    return recipe.trainer.devices * recipe.trainer.num_nodes


def _started(starts: ClusterEnvironment) -> tuple[str, int, int]:
    """Name of the launcher, processes of a node, and nodes."""
    slurm = isinstance(starts, SLURMEnvironment)
    on_node = int(os.environ["SLURM_NTASKS_PER_NODE" if slurm else "LOCAL_WORLD_SIZE"])
    return "SLURM" if slurm else "torchrun", on_node, starts.world_size() // on_node
