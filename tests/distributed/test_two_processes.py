"""Two processes do what one does with all their images, whatever trains, and decide everything together."""

import json
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from working_together import (
    CASES,
    FAMILIES,
    MODES,
    SAMPLES,
    average_and_go_on,
    guard_against_nan,
    in_two,
    stop_by_signal,
    stop_forgetting,
    train_each_family,
    train_each_mode,
    train_each_mode_divided,
)

from adapt.callbacks.averaging import RAW
from adapt.callbacks.kept import newest_good
from adapt.callbacks.state_file import read_state

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each mode, trained by one process and by two."""
    folder = tmp_path_factory.mktemp("together")
    in_two(train_each_mode, folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice
        train_each_mode(folder)
    return folder


@pytest.mark.parametrize(("mode", "box_chance"), CASES)
def test_two_processes_end_with_the_weights_and_figures_of_one(trainings: Path, mode: str, box_chance: float) -> None:
    one, *both = (torch.load(trainings / f"{mode}_{box_chance}_{rank}.pt") for rank in ("alone", 0, 1))
    for name, values in one["weights"].items():
        assert torch.equal(both[0]["weights"][name], both[1]["weights"][name])
        torch.testing.assert_close(both[0]["weights"][name], values, rtol=0, atol=1e-6)
    for found in both:
        assert found["metrics"].keys() == one["metrics"].keys()
        for name in ("val/miou", "val/miou_one_click", "val/miou_box"):
            assert found["metrics"][name] == one["metrics"][name]
        torch.testing.assert_close(found["metrics"]["train/loss_epoch"], one["metrics"]["train/loss_epoch"])


def test_two_processes_that_divide_the_model_end_with_the_weights_and_figures_of_one(
    trainings: Path, tmp_path: Path
) -> None:
    in_two(train_each_mode_divided, tmp_path)
    for mode in MODES:
        one = torch.load(trainings / f"{mode}_0.5_alone.pt")
        both = [torch.load(tmp_path / f"divided_{mode}_{rank}.pt") for rank in (0, 1)]
        for name, values in one["weights"].items():
            assert torch.equal(both[0]["weights"][name], both[1]["weights"][name])
            torch.testing.assert_close(both[0]["weights"][name], values, rtol=0, atol=1e-6)
        for found in both:
            for name in ("val/miou", "val/miou_one_click", "val/miou_box"):
                assert found["metrics"][name] == one["metrics"][name]
        assert 0.45 < both[1]["held"] < 0.5 <= both[0]["held"] < 0.55  # the first has the larger half
        assert both[0]["held"] + both[1]["held"] == pytest.approx(1)


def test_each_family_can_be_divided_and_ends_with_the_same_weights(tmp_path: Path) -> None:
    in_two(train_each_family, tmp_path)
    for family in FAMILIES:
        plain, divided = (torch.load(tmp_path / f"{family}_{sharded}_0.pt") for sharded in (False, True))
        assert plain.keys() == divided.keys()
        for name, values in plain.items():
            torch.testing.assert_close(divided[name], values, rtol=0, atol=1e-6, msg=f"{family}: {name}")


def test_a_checkpoint_of_a_divided_model_is_whole_and_goes_on_to_the_same_bits_or_in_one_process(
    tmp_path: Path,
) -> None:
    in_two(average_and_go_on, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        average_and_go_on(tmp_path)
    straight, again, alone = (
        read_state(kept.path)
        for name in ("straight", "again", "alone")
        if (kept := newest_good(tmp_path / name, tell=pytest.fail)) is not None
    )
    for section in ("state_dict", RAW):
        assert straight[section].keys() == alone[section].keys()
        for name, values in straight[section].items():
            assert torch.equal(values, again[section][name])
            torch.testing.assert_close(values, alone[section][name], rtol=0, atol=1e-6)
    assert any(not torch.equal(values, straight[RAW][name]) for name, values in straight["state_dict"].items())
    (moments,), (of_one,) = straight["optimizer_states"], alone["optimizer_states"]
    assert moments["param_groups"] == of_one["param_groups"]
    for number, state in of_one["state"].items():
        for name, values in state.items():
            torch.testing.assert_close(moments["state"][number][name], values, rtol=1e-5, atol=1e-9)


def test_each_sample_counts_once_in_an_epoch_and_both_have_as_many_batches(
    trainings: Path, record_property: Callable[[str, object], None]
) -> None:
    one, *both = (torch.load(trainings / f"decoder_0.5_{rank}.pt") for rank in ("alone", 0, 1))
    often = Counter(both[0]["counted"] + both[1]["counted"])
    once = sum(count == 1 for count in often.values())
    record_property("uneven", {"samples": SAMPLES, "once": once, "more": len(often) - once})  # for docs/faults.md
    assert sorted(both[0]["counted"] + both[1]["counted"]) == sorted(one["counted"])
    assert len(set(one["counted"])) == SAMPLES
    assert both[0]["batches"] == both[1]["batches"] == [2, 2, 2, 2, 1]
    assert len(both[1]["counted"]) == 8  # the last of its nine images is the first one's


def test_a_loss_that_is_no_number_in_one_process_is_skipped_or_stops_in_both(tmp_path: Path) -> None:
    in_two(guard_against_nan, tmp_path)
    for choice in ("skip", "stop"):
        first, second = (torch.load(tmp_path / f"nan_{choice}_{rank}.pt") for rank in (0, 1))
        assert first["skipped"] == second["skipped"] == (1 if choice == "skip" else 0)
        assert all(torch.equal(values, second["weights"][name]) for name, values in first["weights"].items())
        assert all(values.isfinite().all() for values in first["weights"].values())
        (line,) = (tmp_path / choice / "bad_batches.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(set(json.loads(line)["samples"])) == 4  # of both
        for found in (first, second):
            assert ("step 2: the loss is nan" in found["error"]) == (choice == "stop")


def test_a_signal_that_one_process_receives_stops_both_with_one_checkpoint(tmp_path: Path) -> None:
    in_two(stop_by_signal, tmp_path)
    found = [torch.load(tmp_path / f"signal_{rank}.pt") for rank in (0, 1)]
    assert found == [{"received": "SIGTERM", "steps": 2}] * 2
    kept = newest_good(tmp_path / "checkpoints", tell=pytest.fail)
    assert kept is not None and kept.place.batches == 2


def test_a_rule_that_looks_at_a_measure_stops_all_or_none(tmp_path: Path) -> None:
    in_two(stop_forgetting, tmp_path)
    assert [torch.load(tmp_path / f"forgetting_{rank}.pt") for rank in (0, 1)] == [{"epochs": 2, "stop": False}] * 2
