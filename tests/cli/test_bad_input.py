"""Bad input through the command line: one clear error, the right exit code, no traceback, nothing lost."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adapt.cli import main
from adapt.datamodules.generated.ct import write_phantom


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans") / "ct"
    write_phantom(folder, patients=2, seed=3)
    return folder


def error_of(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    assert main(arguments) == code
    text = capsys.readouterr().err
    assert "Traceback" not in text
    return text.split("adapt: error: ", 1)[1]


def places(tmp_path: Path, scans: Path) -> list[str]:
    return [f"data.root={scans}", f"cache={tmp_path}/cache", f"output={tmp_path}/runs"]


def test_a_missing_data_folder_names_the_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = error_of(capsys, 1, "fit", "--recipe", "quickstart", *places(tmp_path, tmp_path / "nowhere"))
    assert "data.root" in text and "nowhere" in text
    assert not (tmp_path / "runs").exists()


def test_one_patient_cannot_be_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_phantom(tmp_path / "one", patients=1, seed=0)
    text = error_of(capsys, 1, "fit", "--recipe", "quickstart", *places(tmp_path, tmp_path / "one"))
    assert "cannot split" in text and "patient_00" in text
    assert not (tmp_path / "runs").exists()


def test_an_empty_test_split_is_refused(tmp_path: Path, scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = error_of(capsys, 1, "fit", "--recipe", "quickstart", *places(tmp_path, scans), "split.test=0.0")
    assert "test split is empty" in text and "split.test_groups" in text


def test_a_run_folder_that_cannot_be_written_is_found_before_the_data_is_read(
    tmp_path: Path, scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    more = [*places(tmp_path, scans), f"output={tmp_path}/file/runs"]
    text = error_of(capsys, 1, "fit", "--recipe", "quickstart", *more)
    assert "file/runs" in text and "output=" in text
    assert not (tmp_path / "cache").exists()


def test_an_accelerator_that_is_not_there_is_refused(
    tmp_path: Path, scans: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    more = [*places(tmp_path, scans), "trainer.accelerator=cuda"]
    text = error_of(capsys, 2, "fit", "--recipe", "quickstart", *more)
    assert "trainer.accelerator 'cuda'" in text and "cpu" in text


def test_a_checkpoint_that_is_nowhere_is_named_with_the_remedy(
    tmp_path: Path, scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = [*places(tmp_path, scans), "model.checkpoint=/models/none"]
    text = error_of(capsys, 1, "fit", "--recipe", "quickstart", *more)
    assert "/models/none" in text and "adapt:tiny" in text


def test_an_unknown_generated_data_set_names_the_known_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = ["data.root=adapt:mr_phantom", f"cache={tmp_path}/cache", f"output={tmp_path}/runs"]
    assert "adapt:ct_phantom" in error_of(capsys, 1, "fit", "--recipe", "quickstart", *more)


def test_a_folder_that_is_no_run_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = error_of(capsys, 1, "evaluate", str(tmp_path))
    assert str(tmp_path) in text and "recipe.yaml" in text


def test_label_values_outside_the_named_ones_are_listed(
    tmp_path: Path, scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = [*places(tmp_path, scans), "data.labels={liver: 1, spleen: 2}"]
    text = error_of(capsys, 1, "fit", "--recipe", "quickstart", *more)
    assert "3, 4" in text and "data.other_labels=ignore" in text
    assert "2 of 2 cases" in text


def test_a_folder_recipe_names_the_image_that_does_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("images", "labels"):
        (tmp_path / "pairs" / kind).mkdir(parents=True)
    for name, side in (("a", 32), ("b", 40)):
        Image.fromarray(np.zeros((32, 32), np.uint8)).save(tmp_path / "pairs" / "images" / f"{name}.png")
        Image.fromarray(np.ones((32, side), np.uint8)).save(tmp_path / "pairs" / "labels" / f"{name}.png")
    text = error_of(capsys, 1, "fit", "--recipe", "folder", *places(tmp_path, tmp_path / "pairs"))
    assert "b.png: shapes differ" in text and "(32, 40)" in text


@pytest.mark.parametrize("more", [["--dry-run"], []])
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("model.checkpoint=adapt:tinny", "'adapt:tinny' is unknown; embedded are adapt:tiny"),
        ("output=/proc/runs", "run folder /proc/runs cannot be written"),
    ],
)
def test_a_wrong_checkpoint_or_output_is_told_before_the_data_is_read(
    tmp_path: Path, scans: Path, capsys: pytest.CaptureFixture[str], wrong: str, told: str, more: list[str]
) -> None:
    assert told in error_of(capsys, 1, "fit", "--recipe", "quickstart", *places(tmp_path, scans), wrong, *more)
    assert not (tmp_path / "cache").exists()


def test_a_broken_volume_can_be_skipped_by_name(
    tmp_path: Path, scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in ("images", "labels"):
        shutil.copytree(scans / kind, tmp_path / "scans" / kind)
        (tmp_path / "scans" / kind / "broken [1].nii.gz").write_bytes(b"no volume")
    more = [*places(tmp_path, tmp_path / "scans"), "--dry-run"]
    assert "broken [1].nii.gz" in error_of(capsys, 1, "fit", "--recipe", "quickstart", *more)
    assert main(["fit", "--recipe", "quickstart", *more, "data.on_error=skip"]) == 0
    text = capsys.readouterr().err
    assert text.count("skipped: ") == 1 and "broken [1].nii.gz" in text
    assert "1 case that cannot be used" in text
