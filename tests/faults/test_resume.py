"""A run that is stopped anywhere, and resumed, ends with the weights of one that was never stopped."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from small_runs import STEPS, Fit, fingerprint, soaked, steps_logged, strays

from adapt.callbacks.kept import kept_checkpoints
from adapt.cli import main
from adapt.jobs import fit
from adapt.runs import claimed
from adapt.task import AdaptTask

pytestmark = pytest.mark.slow


class CrashError(BaseException):
    """Nothing that anybody catches."""


@pytest.fixture
def crash(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Let a hook of the task crash, once, after so many optimiser steps."""

    def arm(hook: str, steps: int) -> None:
        real, armed = getattr(AdaptTask, hook), [True]

        def crashing(self: AdaptTask, *arguments: object) -> object:
            if armed and self.global_step == steps:
                armed.clear()
                raise CrashError
            return real(self, *arguments)

        monkeypatch.setattr(AdaptTask, hook, crashing)

    return arm


EVERYWHERE = [
    *(("training_step", step) for step in range(2 * STEPS)),
    *(("validation_step", step) for step in (STEPS, 2 * STEPS)),
]
SOME = [("training_step", 3), ("training_step", STEPS), ("training_step", 2 * STEPS - 1), ("validation_step", STEPS)]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("hook", "steps"), EVERYWHERE if soaked(0, 1) else SOME)
def test_a_run_that_crashed_anywhere_ends_with_the_same_weights(
    straight: Path,
    fit: Fit,
    the_run: Callable[[], Path],
    crash: Callable[[str, int], None],
    hook: str,
    steps: int,
    workers: int,
) -> None:
    crash(hook, steps)
    with pytest.raises(CrashError):
        fit(f"trainer.workers={workers}")
    assert fit(resume=the_run()) == 0
    assert fingerprint(the_run()) == fingerprint(straight)
    assert strays(the_run()) == []
    logged = steps_logged(the_run())
    assert len(set(logged)) == len(logged)
    assert set(logged) <= set(steps_logged(straight))


def test_a_run_that_crashed_before_its_first_checkpoint_begins_anew_in_its_folder(
    straight: Path, fit: Fit, the_run: Callable[[], Path], crash: Callable[[str, int], None]
) -> None:
    crash("training_step", 0)
    with pytest.raises(CrashError):
        fit()
    assert not (the_run() / "checkpoints").exists()
    assert fit(resume=the_run()) == 0
    assert fingerprint(the_run()) == fingerprint(straight)


def test_what_was_logged_before_the_first_checkpoint_is_not_there_twice(
    fit: Fit, the_run: Callable[[], Path], crash: Callable[[str, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapt.build.training.LOG_EVERY", 1)
    crash("training_step", 3)
    with pytest.raises(CrashError):
        fit("trainer.checkpoint_minutes=60", "trainer.epochs=1")
    with (the_run() / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 3, "tr')  # killed in the middle of a line
    assert fit(resume=the_run()) == 0
    logged = steps_logged(the_run())
    assert len(set(logged)) == len(logged) and {step for step, _ in logged} >= set(range(STEPS))


def test_without_validation_a_run_goes_on_to_the_same_weights(
    fit: Fit, tmp_path: Path, the_run: Callable[[], Path], crash: Callable[[str, int], None]
) -> None:
    assert fit("split.validation=0.0", "trainer.epochs=1") == 0
    whole = tmp_path / "whole"
    the_run().rename(whole)
    crash("training_step", STEPS)  # the last step of the epoch, which has one more
    with pytest.raises(CrashError):
        fit("split.validation=0.0", "trainer.epochs=1")
    assert fit(resume=the_run()) == 0
    assert fingerprint(the_run()) == fingerprint(whole)


@pytest.mark.parametrize(
    ("most", "epochs", "accumulate"),
    [(3, 1, 1), (STEPS + 2, 2, 1), (4, 2, 2)],
    ids=["in the first epoch", "in the second", "steps of two batches"],
)
def test_a_run_of_at_most_so_many_steps_is_validated_at_its_end_and_goes_on_to_the_same_weights(
    fit: Fit,
    tmp_path: Path,
    the_run: Callable[[], Path],
    crash: Callable[[str, int], None],
    most: int,
    epochs: int,
    accumulate: int,
) -> None:
    """Stopped inside its last epoch, which is shorter than the others, and in the validation after it."""
    limited = (f"trainer.max_steps={most}", "trainer.min_steps=1000", f"trainer.accumulate={accumulate}")
    assert fit(*limited) == 0
    whole = tmp_path / "whole"
    the_run().rename(whole)
    last = kept_checkpoints(whole / "checkpoints", tell=pytest.fail)[-1].place
    assert (last.epochs, last.batches, last.steps) == (epochs, 0, most)
    assert last.score is not None
    assert [step for step, name in steps_logged(whole) if name.startswith("val/")][-1] == most - 1
    for number, (hook, steps) in enumerate([("training_step", most - 1), ("validation_step", most)]):
        crash(hook, steps)
        with pytest.raises(CrashError):
            fit(*limited)
        assert fit(resume=the_run()) == 0
        assert fingerprint(the_run()) == fingerprint(whole)
        again = kept_checkpoints(the_run() / "checkpoints", tell=pytest.fail)[-1].place
        assert again == last
        the_run().rename(tmp_path / f"again_{number}")


def test_the_steps_before_the_end_are_those_of_any_run(fit: Fit, the_run: Callable[[], Path], straight: Path) -> None:
    """All but the schedule, which falls to zero at the end: a run whose end is that of its epochs is the same run."""
    assert fit(f"trainer.max_steps={2 * STEPS}", "trainer.epochs=7") == 0
    assert fingerprint(the_run()) == fingerprint(straight)


def test_inside_an_epoch_a_checkpoint_is_written_when_its_time_has_come(
    fit: Fit, the_run: Callable[[], Path], crash: Callable[[str, int], None]
) -> None:
    crash("training_step", STEPS + 3)
    with pytest.raises(CrashError):
        fit("trainer.checkpoint_minutes=60")
    assert [path.stem for path in (the_run() / "checkpoints").glob("*.ckpt")] == ["epoch_00001_batch_000000"]


def test_auto_goes_on_with_the_unfinished_run_of_the_recipe_or_begins_one(
    straight: Path, fit: Fit, tmp_path: Path, the_run: Callable[[], Path], crash: Callable[[str, int], None]
) -> None:
    crash("training_step", 3)
    with pytest.raises(CrashError):
        fit(resume="auto")  # there is nothing to resume
    assert fit("trainer.epochs=1", resume="auto") == 0  # another recipe, so another run
    assert len(list((tmp_path / "runs" / "small").iterdir())) == 2
    first, second = sorted((tmp_path / "runs" / "small").iterdir())
    assert fit("trainer.workers=2", "evaluation.clicks=3", resume="auto") == 0  # these train the same
    assert fingerprint(first) == fingerprint(straight) != fingerprint(second)
    for folder in (first, second):
        (folder / "report.html").touch()  # that is what a finished run has
    assert fit(resume="auto") == 0
    assert len(list((tmp_path / "runs" / "small").iterdir())) == 3


def test_a_training_that_is_done_is_only_evaluated(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def crashing(*arguments: object, **more: object) -> None:
        raise CrashError

    arguments = ["--recipe", str(place / "small.yaml"), f"output={tmp_path}/runs", "trainer.epochs=1"]
    with monkeypatch.context() as patch, pytest.raises(CrashError):
        patch.setattr(fit, "compare", crashing)
        main(["fit", *arguments])
    (folder,) = (tmp_path / "runs" / "small").iterdir()
    weights = fingerprint(folder)
    shutil.rmtree(folder / "checkpoints")  # nothing could be trained from here
    capsys.readouterr()
    assert main(["fit", "--resume", str(folder), "evaluation.gallery=1"]) == 0
    printed = capsys.readouterr()
    assert "epoch 1/1" not in printed.err and "trained in" in printed.err
    assert "Domain mIoU" in printed.out
    assert (folder / "report.html").is_file() and fingerprint(folder) == weights
    assert main(["fit", "--resume", str(folder)]) == 1
    assert "has finished" in capsys.readouterr().err


def test_a_run_goes_on_inside_a_stage_and_then_with_the_run_proper(
    fit: Fit, tmp_path: Path, the_run: Callable[[], Path], crash: Callable[[str, int], None]
) -> None:
    staged = (
        "curriculum=[{name: one, change: {trainer.epochs: 1}}, {name: two, change: {prompts.box_chance: 1.0}}]",
        "trainer.epochs=1",
    )
    assert fit(*staged) == 0
    whole = tmp_path / "whole"
    the_run().rename(whole)
    crash("training_step", 2)
    with pytest.raises(CrashError):
        fit(*staged)
    crash("training_step", 3)  # of the next part that has so many steps to go: the second stage
    with pytest.raises(CrashError):
        fit(resume=the_run())
    crash("training_step", 4)
    with pytest.raises(CrashError):
        fit(resume=the_run())
    assert fit(resume=the_run()) == 0
    for part in (".", "stages/one", "stages/two"):
        assert fingerprint(the_run() / part) == fingerprint(whole / part)


def test_what_would_change_the_training_is_refused_by_name(
    fit: Fit, the_run: Callable[[], Path], crash: Callable[[str, int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    crash("training_step", 2)
    with pytest.raises(CrashError):
        fit()
    assert fit("optimizer.learning_rate=1e-5", "trainer.workers=1", "seed=7", resume=the_run()) == 2
    said = capsys.readouterr().err
    assert "optimizer.learning_rate, seed would change" in said


def test_data_that_are_split_otherwise_are_refused(
    fit: Fit, the_run: Callable[[], Path], crash: Callable[[str, int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    crash("training_step", 2)
    with pytest.raises(CrashError):
        fit()
    splits = the_run() / "splits.json"
    splits.write_text(splits.read_text(encoding="utf-8").replace("shapes_00", "others_00", 1), encoding="utf-8")
    assert fit(resume=the_run()) == 1
    assert "the data have changed since this run began" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--resume", "auto"], ["--recipe", "folder", "--resume", "runs/x"]])
def test_fit_takes_a_recipe_or_a_run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", *arguments]) == 2
    assert "fit takes --recipe NAME, or --resume RUN" in capsys.readouterr().err


def test_a_run_that_goes_on_keeps_its_batch_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--resume", str(tmp_path), "--auto-batch"]) == 2
    assert "one that goes on keeps its own" in capsys.readouterr().err


def test_a_folder_that_is_no_run_cannot_be_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--resume", str(tmp_path)]) == 1
    assert "it has no recipe.yaml" in capsys.readouterr().err


def test_a_run_that_another_process_works_on_is_left_to_it(
    fit: Fit, the_run: Callable[[], Path], crash: Callable[[str, int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    crash("training_step", 2)
    with pytest.raises(CrashError):
        fit()
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        with claimed(the_run()):
            os.write(tell, b"x")
            signal.pause()
    os.read(told, 1)
    try:
        assert fit(resume=the_run()) == 1
        assert f"is being worked on by process {child} on " in capsys.readouterr().err
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert fit(resume=the_run()) == 0
