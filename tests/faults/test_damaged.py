"""A damaged checkpoint is caught by its hash and named; the run goes on from the one before it, to the same weights."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from small_runs import STEPS, Fit, fingerprint, soaked

from adapt.cli import main
from adapt.jobs import fit
from adapt.task import AdaptTask

pytestmark = pytest.mark.slow

HOW = ("cut", "flipped", "empty")


@pytest.fixture(scope="module")
def stopped(place: Path) -> Path:
    """A run that ended in the last epoch, with several checkpoints."""

    class Stopped(BaseException):
        """Nothing that anybody catches."""

    real = AdaptTask.training_step

    def stopping(self: AdaptTask, *arguments: object) -> object:
        if self.global_step == 2 * STEPS - 1:
            raise Stopped
        return real(self, *arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(fit, "compare", lambda *arguments, **more: None)
        patch.setattr(AdaptTask, "training_step", stopping)
        main(["fit", "--recipe", str(place / "small.yaml"), f"output={place}/stopped"])
    (folder,) = (place / "stopped" / "small").iterdir()
    return folder


@pytest.mark.parametrize("seed", range(soaked(3, 20)))
def test_a_damaged_checkpoint_is_caught_and_the_one_before_it_used(
    stopped: Path,
    straight: Path,
    fit: Fit,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    measured: Callable[..., None],
    seed: int,
) -> None:
    chance, how = random.Random(seed), HOW[seed % len(HOW)]
    folder = tmp_path / "runs" / "small" / "again"
    shutil.copytree(stopped, folder)
    newest = max((folder / "checkpoints").glob("*.ckpt"))
    content = bytearray(newest.read_bytes())
    place = chance.randrange(len(content))
    content[place] ^= 1 << chance.randrange(8)
    newest.write_bytes({"cut": bytes(content[:place]), "flipped": bytes(content), "empty": b""}[how])
    code = fit(resume=folder)
    said = capsys.readouterr().err
    caught = f"{newest}: damaged" in said and "the one before it is used" in said
    identical = code == 0 and fingerprint(folder) == fingerprint(straight)
    measured("damaged", caught=caught, identical=identical)
    assert (code, caught, identical) == (0, True, True)
    assert f"going on after {2 * STEPS - 2} steps" in said
