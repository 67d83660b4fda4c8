"""`adapt predict` as people call it: with the embedded model, and what they get wrong."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adapt.cli import main
from adapt.datamodules.generated.ct import write_phantom
from adapt.formats import read_nifti
from adapt.recipe import as_yaml, find_recipe, load_recipe

QUICK = ("trainer.accelerator=cpu", "generate.points_per_side=4")


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans") / "ct"
    write_phantom(folder, patients=2, seed=3)
    return folder


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    rows, columns = np.ogrid[:80, :100]
    pixels = np.full((80, 100, 3), 40, dtype=np.uint8)
    pixels[(rows - 40) ** 2 + (columns - 50) ** 2 < 400] = 200
    path = tmp_path / "disc.png"
    Image.fromarray(pixels).save(path)
    return path


def run_folder(tmp_path: Path, scans: Path) -> Path:
    """A run as it is when its training has begun."""
    folder = tmp_path / "runs" / "quickstart" / "2026-01-31_09-30-00"
    folder.mkdir(parents=True)
    recipe = load_recipe(find_recipe("quickstart"), [f"data.root={scans}", *QUICK])
    (folder / "recipe.yaml").write_text(as_yaml(recipe), encoding="utf-8")
    return folder


def error_of(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    assert main(("predict", *arguments)) == code
    text = capsys.readouterr().err
    assert "Traceback" not in text
    return text.split("adapt: error: ", 1)[1]


def test_a_click_finds_the_object_under_it(picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "clicks.csv").write_text("image,x,y\ndisc.png,50,40\n", encoding="utf-8")
    given = ("--output", str(tmp_path / "out"), "--prompts", str(tmp_path / "clicks.csv"), *QUICK)
    assert main(("predict", "adapt:tiny", str(picture), *given)) == 0
    assert "1 input segmented, 1 object" in capsys.readouterr().out
    (row,) = json.loads((tmp_path / "out" / "records" / "disc.json").read_text())["objects"]
    assert 1000 < row["pixels"] < 1600  # the disc has 1,245
    assert main(("predict", "adapt:tiny", str(picture), *given)) == 0
    assert "1 done before" in capsys.readouterr().out


def test_generated_images_are_an_input_to_try(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "clicks.csv").write_text("image,x,y\nfield_00,120,90\n", encoding="utf-8")
    given = ("--output", str(tmp_path / "out"), "--prompts", str(tmp_path / "clicks.csv"), f"cache={tmp_path}/cache")
    assert main(("predict", "adapt:tiny", "adapt:nuclei", *given, QUICK[0])) == 0
    assert "1 input segmented" in capsys.readouterr().out and (tmp_path / "out" / "field_00.tif").is_file()
    assert "generated data of kind" in error_of(capsys, 1, "adapt:tiny", "adapt:nothing", *given)


def test_a_run_reads_volumes_as_its_recipe_says(scans: Path, tmp_path: Path) -> None:
    from adapt.segmenters import load_segmenter

    folder = run_folder(tmp_path, scans)
    load_segmenter("adapt:tiny").save(folder / "model")
    prompts = [{"image": "patient_00", "box": [48, 62, 66, 80], "slice": 10, "category": "vertebra"}]
    (tmp_path / "boxes.json").write_text(json.dumps(prompts), encoding="utf-8")
    given = ("--output", str(tmp_path / "out"), "--prompts", str(tmp_path / "boxes.json"), "--propagate")
    assert main(("predict", str(folder), str(scans / "images"), *given)) == 0
    labels = read_nifti(tmp_path / "out" / "patient_00.nii.gz").voxels
    truth = read_nifti(scans / "labels" / "patient_00.nii.gz").voxels
    assert set(np.unique(labels)) == {0, 4} and labels.any((1, 2)).sum() > 1  # the recipe's value, in several slices
    prompted = labels[10] == 4
    assert np.count_nonzero(prompted & (truth[10] == 4)) > 0.5 * np.count_nonzero(prompted)


def test_no_object_found_is_said_with_what_can_be_done(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("adapt:tiny", str(picture), "--output", str(tmp_path / "out"), *QUICK, "generate.predicted_iou=1.5")
    assert main(("predict", *arguments)) == 0
    told = capsys.readouterr()
    assert "1 without an object" in told.out and "not above generate.predicted_iou=1.5; lower it" in told.err


@pytest.mark.parametrize(
    ("model", "fault"),
    [
        ("adapt:huge", "'adapt:huge' is unknown"),
        ("empty", "neither the folder of a run (it has no recipe.yaml) nor of a checkpoint"),
    ],
)
def test_what_is_no_model_is_refused(
    model: str, fault: str, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    model = str(tmp_path / "empty") if model == "empty" else model
    assert fault in error_of(capsys, 1, model, str(picture), "--output", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_run_without_a_model_says_how_to_go_on(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_folder(tmp_path, scans)
    text = error_of(capsys, 1, str(folder), str(scans / "images"), "--output", str(tmp_path / "out"))
    assert "has not finished its training" in text and "fit --resume" in text


def test_a_picture_is_no_input_of_a_run_on_volumes(
    scans: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from adapt.segmenters import load_segmenter

    folder = run_folder(tmp_path, scans)
    load_segmenter("adapt:tiny").save(folder / "model")
    text = error_of(capsys, 1, str(folder), str(picture), "--output", str(tmp_path / "out"))
    assert "the recipe is of kind medical and reads volumes" in text and "--recipe NAME" in text


def test_a_checkpoint_needs_a_recipe_to_read_a_volume(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = error_of(capsys, 1, "adapt:tiny", str(scans / "images"), "--output", str(tmp_path / "out"))
    assert "--recipe medical_ct or medical_mr" in text


def test_a_wrong_override_or_format_ends_with_2(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("adapt:tiny", str(picture), "--output", str(tmp_path / "out"))
    assert "generate.points" in error_of(capsys, 2, *given, "generate.points=4")
    with pytest.raises(SystemExit) as stopped:
        main(("predict", *given, "--format", "bmp"))
    assert stopped.value.code == 2


def test_evaluate_propagate_is_refused_for_what_is_no_volume(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(("evaluate", "--recipe", "folder", "--propagate", f"output={tmp_path}")) == 2
    assert "data.kind is folder" in capsys.readouterr().err


@pytest.mark.slow
def test_evaluate_propagate_scores_each_structure_in_three_dimensions(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = (
        f"data.root={scans}",
        f"cache={tmp_path}/cache",
        f"output={tmp_path}/runs",
        "split.test_groups=[patient_01]",
    )
    assert main(("evaluate", "--recipe", "quickstart", "--propagate", *places, "trainer.workers=0", QUICK[0])) == 0
    assert "liver" in capsys.readouterr().out
    (path,) = tmp_path.glob("runs/quickstart/untouched/*/propagation.csv")
    lines = path.read_text().splitlines()
    assert lines[0].startswith("model,prompt,volume,structure,slice,slices,dice,slice_dice")
    assert all("patient_01" in line for line in lines[1:]) and len(lines) > 8

    from adapt.segmenters import load_segmenter

    load_segmenter("adapt:tiny").save(path.parent / "model")  # a run whose tuning has changed nothing
    assert main(("evaluate", str(path.parent), "--propagate")) == 0
    assert "tuned, 3D" in capsys.readouterr().out
    (again,) = path.parent.glob("evaluations/*/propagation.csv")
    rows = again.read_text().splitlines()[1:]
    base, tuned = ([row.split(",", 1)[1] for row in rows if row.startswith(name)] for name in ("base", "tuned"))
    assert base == tuned == [line.split(",", 1)[1] for line in lines[1:]]
