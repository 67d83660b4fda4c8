"""Two processes that learn classes do what one does with all their images."""

import warnings
from pathlib import Path

import pytest
import torch
from torch import distributed
from working_together import SIDE, STEPS, DoubleTask, fit, in_two, save, trained

from adapt.build import make_segmenter, make_task, tune
from adapt.recipe import DecoderTuning, FolderData, LoraTuning, ModelSettings, Recipe, SemanticSettings, TuningSettings

pytestmark = pytest.mark.slow

MODES: dict[str, TuningSettings] = {"decoder": DecoderTuning(prompt_encoder=True), "lora": LoraTuning(rank=2, blocks=2)}


def train_classes(folder: Path) -> None:
    """The same steps, by as many processes as there are."""
    processes = distributed.get_world_size() if distributed.is_initialized() else 1
    for mode, tuning in MODES.items():
        recipe = Recipe(
            data=FolderData(kind="folder", root="x"),
            model=ModelSettings(input_size=SIDE),
            semantic=SemanticSettings(classes=["thing"]),
            tuning=tuning,
        )
        torch.manual_seed(0)
        segmenter = make_segmenter(recipe)
        tune(recipe, segmenter)
        task = make_task(recipe, segmenter, steps_per_epoch=STEPS).double()
        task.__class__ = DoubleTask
        metrics = fit(task, batch=4 // processes).callback_metrics
        save(folder, mode, {"weights": trained(task), "metrics": dict(metrics)})


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("together")
    in_two(train_classes, folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice
        train_classes(folder)
    return folder


@pytest.mark.parametrize("mode", MODES)
def test_two_processes_end_with_the_weights_and_figures_of_one(trainings: Path, mode: str) -> None:
    one, *both = (torch.load(trainings / f"{mode}_{rank}.pt") for rank in ("alone", 0, 1))
    for name, values in one["weights"].items():
        assert torch.equal(both[0]["weights"][name], both[1]["weights"][name])
        torch.testing.assert_close(both[0]["weights"][name], values, rtol=0, atol=1e-6)
    for found in both:
        assert found["metrics"]["val/miou"] == one["metrics"]["val/miou"]
        torch.testing.assert_close(found["metrics"]["train/loss_epoch"], one["metrics"]["train/loss_epoch"])
