"""Validation during training: the figures of the evaluation, at the size that an image has in the model frame."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from test_task import PLAIN, SINGLE, plan, simulation

from adapt.callbacks.checkpoints import VALIDATION
from adapt.datamodules.batches import collate, to_batch
from adapt.evaluate import Measures, score_samples, summarise
from adapt.samples import Sample
from adapt.segmenters import PromptableSegmenter, load_segmenter
from adapt.task import AdaptTask

SIDE = 256


@pytest.fixture(scope="module")
def tiny() -> PromptableSegmenter:
    return load_segmenter("adapt:tiny")


def _sample(number: int, *, group: str, categories: tuple[str, ...], height: int = SIDE, width: int = SIDE) -> Sample:
    """Discs in noise; the longer side is that of the model frame, so that no pixel is resized."""
    random = np.random.default_rng(number)
    rows, columns = np.mgrid[:height, :width]
    masks: list[npt.NDArray[np.bool_]] = []
    for _ in categories:
        y, x, radius = random.uniform(20, height - 20), random.uniform(20, width - 20), random.uniform(5, 40)
        masks.append(np.hypot(rows - y, columns - x) < radius)
    return Sample(
        image=random.integers(256, size=(height, width, 3), dtype=np.uint8),
        masks=np.stack(masks),
        categories=categories,
        group=group,
        spacing=(1.0, 1.0),
        spacing_unit="px",
        sample_id=str(number),
        source="",
    )


SAMPLES = [
    _sample(0, group="a", categories=("liver", "liver", "spleen")),
    _sample(1, group="a", categories=("liver",), height=200),
    _sample(2, group="b", categories=("spleen", "liver"), width=131),
    _sample(3, group="b", categories=("vessel",)),
    _sample(4, group="c", categories=("liver", "liver", "liver")),
]


class Validation:
    """A task, and what it has logged after each epoch."""

    def __init__(self, tiny: PromptableSegmenter, monkeypatch: pytest.MonkeyPatch) -> None:
        self.task = AdaptTask(tiny, simulation=simulation(0.5), session=SINGLE, objective=PLAIN, plan=plan())
        self.logged: dict[str, float] = {}
        monkeypatch.setattr(self.task, "log_dict", self._log)

    def _log(self, values: dict[str, torch.Tensor]) -> None:
        self.logged |= {name: float(value) for name, value in values.items()}

    def epoch(self, samples: Sequence[Sample], *, batch_size: int) -> dict[str, float]:
        items = [to_batch(sample, self.task.segmenter.spec) for sample in samples]
        with torch.inference_mode():
            for start in range(0, len(items), batch_size):
                self.task.validation_step(collate(items[start : start + batch_size]), start)
            self.task.on_validation_epoch_end()
        return dict(self.logged)


def _evaluated(tiny: PromptableSegmenter, samples: Sequence[Sample]) -> dict[str, float]:
    """The headline of an evaluation."""
    scores = score_samples(
        samples,
        {"base": tiny},
        protocols=["one_click", "box"],
        measures=Measures(clicks=1, tolerance=None),
        device=torch.device("cpu"),
    )
    results = summarise([score for of_sample in scores for score in of_sample], bootstrap_samples=100, seed=0)
    return {name: figures.base.miou for name, figures in results.protocols.items()}


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_validation_logs_the_headline_of_the_evaluation(
    tiny: PromptableSegmenter, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    expected, logged = _evaluated(tiny, SAMPLES), Validation(tiny, monkeypatch).epoch(SAMPLES, batch_size=batch_size)
    assert 0 < expected["one_click"] != expected["box"] > 0
    assert logged["val/miou_one_click"] == pytest.approx(expected["one_click"], abs=1e-6)
    assert logged["val/miou_box"] == pytest.approx(expected["box"], abs=1e-6)
    assert logged["val/miou"] == pytest.approx((expected["one_click"] + expected["box"]) / 2, abs=1e-6)


def test_whose_an_object_is_and_what_it_is_called_decides_what_it_weighs(
    tiny: PromptableSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    validation = Validation(tiny, monkeypatch)
    named = validation.epoch(SAMPLES, batch_size=2)
    alike = [replace(sample, group="a", categories=("x",) * len(sample.masks)) for sample in SAMPLES]
    over_objects = validation.epoch(alike, batch_size=2)
    assert abs(named["val/miou_box"] - over_objects["val/miou_box"]) > 1e-4
    assert over_objects["val/miou_box"] == pytest.approx(_evaluated(tiny, alike)["box"], abs=1e-6)


def test_an_epoch_forgets_the_one_before(tiny: PromptableSegmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    validation = Validation(tiny, monkeypatch)
    first, second, third = (validation.epoch(SAMPLES[i : i + 1], batch_size=1) for i in (0, 1, 0))
    assert first == third != second


def test_the_best_checkpoint_is_chosen_by_what_validation_logs(
    tiny: PromptableSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert VALIDATION in Validation(tiny, monkeypatch).epoch(SAMPLES[:1], batch_size=1)


def test_validation_runs_the_encoder_once_an_image(tiny: PromptableSegmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    handle = (
        tiny.stages[0].modules[0].register_forward_hook(lambda module, inputs, output: calls.append(len(inputs[0])))
    )
    Validation(tiny, monkeypatch).epoch(SAMPLES, batch_size=2)
    handle.remove()
    assert calls == [2, 2, 1]
