"""Objects scored in three dimensions after one prompt: exact answers give a Dice of 1, and what is missed counts."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from exact_segmenter import ExactSegmenter

from adapt.datamodules.volume_reading import Labels
from adapt.formats import Volume, normalise_orientation
from adapt.predict import Model
from adapt.predict.opened import Scan
from adapt.predict.opening import open_volume
from adapt.predict.volume_dice import VolumeDice, mean_dice, volume_dice, volume_targets
from adapt.recipe import GenerateSettings, HuWindow, MedicalData, PredictSettings

DATA = MedicalData(
    kind="medical", root="-", labels={"rod": 1}, intensity=HuWindow(kind="hu_window", windows=[[0, 255]])
)


def volume(voxels: npt.NDArray[np.uint8]) -> Volume:
    return normalise_orientation(voxels.transpose(2, 1, 0), np.diag([-1.0, -1.0, 1.0, 1.0]), source=Path("p.nii"))


def scored(
    voxels: npt.NDArray[np.uint8], truth: npt.NDArray[np.uint8], *, data: MedicalData = DATA, area_jump: float = 3.0
) -> list[VolumeDice]:
    settings = PredictSettings.model_validate({"propagate": {"area_jump": area_jump}})
    model = Model(ExactSegmenter(), torch.device("cpu"), GenerateSettings(), settings)
    labels = Labels([truth], list(data.labels.items()))
    opened = open_volume(volume(voxels), data)
    assert isinstance(opened.like, Scan)
    return list(volume_dice("p", opened, volume_targets(labels, opened.like, data), {"base": model}))


def rods() -> npt.NDArray[np.uint8]:
    """(11, 64, 64): one rod in slices 1 to 9, one in slices 4 to 6."""
    voxels = np.zeros((11, 64, 64), dtype=np.uint8)
    voxels[1:10, 10:20, 10:20], voxels[4:7, 40:50, 40:50] = 100, 200
    return voxels


def test_exact_answers_score_one_by_click_and_by_box() -> None:
    found = scored(rods(), (rods() > 0).astype(np.uint8))
    assert [(one.prompt, one.slice, one.slices) for one in found] == [
        ("one_click", 5, 9),
        ("one_click", 5, 3),
        ("box", 5, 9),
        ("box", 5, 3),
    ]
    assert all(one.dice == one.slice_dice == 1 for one in found)


@pytest.mark.parametrize("plane", ["coronal", "sagittal"])
def test_any_plane_scores_the_same(plane: str) -> None:
    voxels = np.zeros((64, 64, 64), dtype=np.uint8)
    voxels[10:20, 30:45, 5:40] = 100
    data = DATA.model_copy(update={"plane": plane})
    assert all(one.dice == 1 for one in scored(voxels, (voxels > 0).astype(np.uint8), data=data))


def test_slices_in_which_the_object_is_missed_count() -> None:
    """The image shows slices 1 to 5 of the truth's 1 to 9: 5 of 9 found, nothing spilled, so 2 * 5 / (5 + 9)."""
    shown, truth = np.zeros((11, 64, 64), dtype=np.uint8), np.zeros((11, 64, 64), dtype=np.uint8)
    shown[1:6, 10:20, 10:20], truth[1:10, 10:20, 10:20] = 100, 1
    assert {round(one.dice, 9) for one in scored(shown, truth)} == {round(10 / 14, 9)}
    assert {one.slice_dice for one in scored(shown, truth)} == {1.0}


def test_slices_into_which_an_object_is_carried_too_far_count() -> None:
    shown, truth = np.zeros((11, 64, 64), dtype=np.uint8), np.zeros((11, 64, 64), dtype=np.uint8)
    shown[:, 10:20, 10:20], truth[4:7, 10:20, 10:20] = 100, 1
    assert {round(one.dice, 9) for one in scored(shown, truth)} == {round(6 / 14, 9)}


def test_a_label_as_a_whole_is_one_object() -> None:
    """The exact segmenter finds the rod that is prompted, 900 of the label's 1,200 voxels."""
    found = scored(rods(), (rods() > 0).astype(np.uint8), data=DATA.model_copy(update={"objects": "label"}))
    assert [one.slices for one in found] == [9, 9]
    assert found[0].dice == pytest.approx(2 * 900 / (900 + 1200))


def test_means_are_of_each_structure_prompt_and_model() -> None:
    def one(dice: float, *, prompt: str) -> VolumeDice:
        return VolumeDice("base", prompt, "p", "rod", 3, 5, dice=dice, slice_dice=1.0)

    means = mean_dice([one(0.2, prompt="box"), one(0.6, prompt="box"), one(1.0, prompt="one_click")])
    assert means == {("rod", "box", "base"): (pytest.approx(0.4), 1.0, 2), ("rod", "one_click", "base"): (1.0, 1.0, 1)}


def test_a_volume_without_an_object_gives_nothing() -> None:
    assert scored(rods(), np.zeros((11, 64, 64), dtype=np.uint8)) == []
