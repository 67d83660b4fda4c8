"""Who starts the processes of a run, and how many there will be."""

import pytest
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from adapt.errors import RecipeError
from adapt.processes.launcher import count_processes, launcher, placed
from adapt.recipe import Recipe, find_recipe, load_recipe

CPU = torch.device("cpu")
TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4", "RANK": "0", "LOCAL_RANK": "0"}
SLURM = {"SLURM_PROCID": "0", "SLURM_NTASKS": "6", "SLURM_NTASKS_PER_NODE": "3", "SLURM_JOB_NAME": "fit"}


@pytest.fixture(autouse=True)
def _started_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*TORCHRUN, *SLURM):
        monkeypatch.delenv(name, raising=False)


def recipe(*overrides: str) -> Recipe:
    return load_recipe(find_recipe("folder"), ["data.root=adapt:shapes_folder", *overrides])


def environment(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_one_process_by_default_and_as_many_as_the_recipe_says() -> None:
    assert isinstance(launcher(), LightningEnvironment)
    assert count_processes(placed(recipe(), CPU)) == 1
    assert count_processes(placed(recipe("trainer.devices=auto"), CPU)) == 1
    assert count_processes(placed(recipe("trainer.devices=2", "trainer.num_nodes=3"), CPU)) == 6


def test_more_devices_than_there_are_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert count_processes(placed(recipe("trainer.devices=auto"), torch.device("cuda"))) == 4
    with pytest.raises(RecipeError, match=r"trainer.devices=5, but there are 4 of cuda here"):
        placed(recipe("trainer.devices=5"), torch.device("cuda"))
    with pytest.raises(RecipeError, match=r"trainer.devices=2, but there is 1 of mps here"):
        placed(recipe("trainer.devices=2"), torch.device("mps"))


@pytest.mark.parametrize(
    ("values", "kind", "devices", "name"),
    [(TORCHRUN, TorchElasticEnvironment, 4, "torchrun"), (SLURM, SLURMEnvironment, 3, "SLURM")],
)
def test_what_a_launcher_has_started_counts_and_must_agree_with_the_recipe(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], kind: type, devices: int, name: str
) -> None:
    environment(monkeypatch, values)
    assert isinstance(launcher(), kind)
    for said in ((), ("trainer.devices=auto",), (f"trainer.devices={devices}", "trainer.num_nodes=2")):
        found = placed(recipe(*said), CPU).trainer
        assert (found.devices, found.num_nodes) == (devices, 2)
    with pytest.raises(RecipeError, match=rf"trainer.devices=2, but {name} has started {devices}"):
        placed(recipe("trainer.devices=2"), CPU)


def test_a_slurm_job_of_one_task_starts_its_processes_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    environment(monkeypatch, SLURM | {"SLURM_NTASKS": "1"})
    assert isinstance(launcher(), LightningEnvironment)


def test_slurm_must_say_how_many_tasks_a_node_has(monkeypatch: pytest.MonkeyPatch) -> None:
    environment(monkeypatch, SLURM)
    monkeypatch.delenv("SLURM_NTASKS_PER_NODE")
    with pytest.raises(RecipeError, match="--ntasks-per-node"):
        launcher()


def test_slurm_requeues_by_its_script_and_not_inside_a_signal_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    environment(monkeypatch, SLURM)
    found = launcher()
    assert isinstance(found, SLURMEnvironment) and not found.auto_requeue
