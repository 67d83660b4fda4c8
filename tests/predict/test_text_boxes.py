"""Boxes that a text finds: in tiles as in the whole, and from the command line to a file that is scored."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from exact_segmenter import discs
from PIL import Image
from small_text_models import write_grounding_dino

from adapt.cli import main
from adapt.predict.opened import Image as Pixels
from adapt.predict.opened import Opened, Plain
from adapt.predict.text_boxes import TextBoxes, boxes_in
from adapt.text import TextBox


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_grounding_dino(tmp_path_factory.mktemp("detector"))


def discs_of(image: Pixels) -> list[TextBox]:
    """A detector without a fault: every disc, or what is to be seen of it."""
    found = []
    for value in np.unique(image[..., 0])[1:]:
        rows, columns = np.nonzero(image[..., 0] == value)
        box = (float(columns.min()), float(rows.min()), float(columns.max()), float(rows.max()))
        found.append(TextBox("disc", float(np.float32(0.5 + 0.4 * len(rows) / image[..., 0].size)), box))
    return found


def opened(pixels: Pixels, *, tile_size: int | None) -> Opened:
    height, width = pixels.shape[:2]
    return Opened(height, width, 1, lambda _, tile: pixels[tile.slices], tile_size, 24, Plain())


def test_in_tiles_the_same_objects_are_found_as_in_the_whole() -> None:
    grey = discs(150, 200, count=25, seed=1, largest=11)
    pixels = np.repeat(grey[..., None], 3, axis=2)
    text = TextBoxes(find=discs_of, nms=0.8, about={}, advice="")
    whole = boxes_in(opened(pixels, tile_size=None), text)
    tiled = boxes_in(opened(pixels, tile_size=64), text)
    assert {one.box for one in tiled} == {one.box for one in whole} and len(tiled) == len(whole) == 25
    assert all(one.category == "disc" and one.score is not None for one in tiled)


def test_of_two_boxes_that_nearly_coincide_the_better_one_stays_but_not_across_phrases() -> None:
    boxes = [
        TextBox("disc", 0.6, (10, 10, 30, 30)),
        TextBox("disc", 0.9, (10, 11, 30, 30)),
        TextBox("cell", 0.5, (10, 10, 30, 30)),
        TextBox("disc", 0.4, (12, 12, 20, 20)),
    ]
    pixels = np.zeros((40, 40, 3), dtype=np.uint8)
    text = TextBoxes(find=lambda _: boxes, nms=0.8, about={}, advice="")
    found = boxes_in(opened(pixels, tile_size=None), text)
    assert [(one.category, one.score) for one in found] == [("disc", 0.9), ("cell", 0.5), ("disc", 0.4)]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    grey = discs(64, 64, count=5, seed=0, largest=9)
    path = tmp_path / "discs.png"
    Image.fromarray(np.repeat(grey[..., None] * 40, 3, axis=2)).save(path)
    return path


def test_a_text_becomes_masks_with_phrase_and_score_of_the_detector(
    picture: Path, detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("predict", "adapt:tiny", str(picture), "--output", str(tmp_path / "out"), "--text", "disc", "--text")
    keys = (f"text.detector={detector}", "text.box_threshold=0.5", "trainer.accelerator=cpu")
    assert main((*given, "red  cells", *keys)) == 0
    objects = json.loads((tmp_path / "out" / "records" / "discs.json").read_text())["objects"]
    assert objects and {row["category"] for row in objects} <= {"disc", "red cells"}
    assert all(row["prompt"]["detector_score"] > 0.5 for row in objects)
    annotations = json.loads((tmp_path / "out" / "discs.json").read_text())["annotations"]
    assert annotations and all(one["score"] == one["prompt"]["detector_score"] for one in annotations)
    assert all(one["predicted_iou"] != one["score"] for one in annotations)
    capsys.readouterr()
    assert main((*given, "red cells", *keys)) == 0  # the same phrase, and nothing is done twice
    assert "1 done before" in capsys.readouterr().out
    assert main((*given, "tumour", *keys)) == 0
    assert "1 input segmented" in capsys.readouterr().out


def test_where_no_box_is_found_the_thresholds_are_named(
    picture: Path, detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--output", str(tmp_path / "out"), "--text", "disc", f"text.detector={detector}", "text.box_threshold=1.0")
    assert main(("predict", "adapt:tiny", str(picture), *given, "trainer.accelerator=cpu")) == 0
    told = capsys.readouterr()
    assert "1 input segmented, 0 objects; 1 without an object" in told.out
    assert "lower text.box_threshold (1) and text.text_threshold (0.25)" in told.err.replace("\n", " ")
    assert json.loads((tmp_path / "out" / "discs.json").read_text())["annotations"] == []


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (("--text", "disc", "--prompts", "boxes.csv"), "--text looks for objects itself"),
        (("--text", "disc", "--propagate"), "--text looks at each slice by itself"),
        (("--text", "  "), "--text is empty"),
    ],
)
def test_a_text_that_cannot_be_followed_is_a_wrong_call(
    options: tuple[str, ...], fault: str, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(("predict", "adapt:tiny", str(picture), "--output", str(tmp_path / "out"), *options)) == 2
    assert fault in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_detector_that_is_not_here_is_one_clear_error(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--output", str(tmp_path / "out"), "--text", "disc", "trainer.accelerator=cpu")
    assert main(("predict", "adapt:tiny", str(picture), *given)) == 1
    text = capsys.readouterr().err
    assert "'IDEA-Research/grounding-dino-tiny' could not be fetched" in text and "Traceback" not in text
    assert "hf download IDEA-Research/grounding-dino-tiny --local-dir" in text and not (tmp_path / "out").exists()


@pytest.mark.slow
def test_evaluate_text_prompts_test_images_with_the_names_of_their_categories(
    detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = (
        *("data.root=adapt:nuclei", f"cache={tmp_path / 'cache'}", f"output={tmp_path / 'runs'}"),
        *(f"text.detector={detector}", "text.box_threshold=0.5", "text.phrases={nucleus: dark cells}"),
        *("split.test=0.1", "trainer.accelerator=cpu"),
    )
    assert main(("evaluate", "--recipe", "microscopy_nuclei", "--text", *keys)) == 0
    (table,) = (tmp_path / "runs").glob("**/text.csv")
    rows = list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8"))))
    assert [(row["model"], row["prompts"]) for row in rows] == [("untouched", "text"), ("untouched", "true box")]
    by_text, by_box = rows
    assert float(by_text["masks"]) > 0 and float(by_box["found"]) > 0.5 > float(by_text["found"])
    assert float(by_box["region_iou"]) > float(by_text["region_iou"])
    assert "Masks of a text, and of the true boxes" in capsys.readouterr().out
    assert main(("evaluate", "--recipe", "microscopy_nuclei", "--text", "--propagate", *keys)) == 2
