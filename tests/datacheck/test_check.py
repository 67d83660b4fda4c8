"""The check from the command line: each fault of a small data set is found, and a clean one has none."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from adapt.cli import main
from adapt.datamodules.generated.ct import write_phantom

Array = npt.NDArray[np.uint8]
Pairs = Callable[..., Path]


@pytest.fixture
def check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict[str, Any], str]]:
    """Checks a data set: exit code, JSON, and what was printed."""

    def run(root: Path, *more: str, recipe: str = "folder") -> tuple[int, dict[str, Any], str]:
        folder = tmp_path / "check"
        shutil.rmtree(folder, ignore_errors=True)
        places = [f"data.root={root}", f"cache={tmp_path}/cache", f"output={tmp_path}/runs"]
        code = main(["data", "check", "--recipe", recipe, *places, "--output", str(folder), *more])
        printed = capsys.readouterr().out
        return code, json.loads((folder / "check.json").read_text(encoding="utf-8")), printed

    return run


def codes(report: dict[str, Any]) -> dict[str, str]:
    return {finding["code"]: finding["severity"] for finding in report["findings"]}


def test_clean_data_has_no_finding(clean: Path, tmp_path: Path, check: Callable[..., Any]) -> None:
    code, report, printed = check(clean, "--strict")
    assert (code, report["findings"], report["errors"], report["warnings"], report["notes"]) == (0, [], 0, 0, 0)
    assert "nothing found" in printed
    with Image.open(tmp_path / "check" / "contact_sheet.png") as sheet:
        assert (sheet.format, sheet.width) == ("PNG", 1600)
    assert not (tmp_path / "runs").exists()


def test_the_json_says_what_the_data_holds(clean: Path, check: Callable[..., Any]) -> None:
    _, report, printed = check(clean)
    data = report["data"]
    assert (data["samples"], data["objects"], data["groups"]) == (20, 40, 20)
    assert {name: len(groups) for name, groups in data["splits"].items()} == {"train": 12, "validation": 3, "test": 5}
    assert report["balance"]["object"]["test"] == {"objects": 10, "images": 5, "groups": 5}
    assert data["image_width"] == {"least": 64, "median": 64, "percentile_95": 64, "greatest": 64}
    assert (data["object_area"]["least"], data["object_area"]["greatest"]) == (360, 400)
    assert "20 images with 40 objects of 20 groups" in printed and "24 / 12 / 12" in printed


def _shifted(pairs: Pairs) -> None:
    pairs("bad", labels=np.ones((64, 60), np.uint8))


def _unreadable(pairs: Pairs) -> None:
    (pairs("bad") / "images" / "bad.png").write_bytes(b"no image")


def _empty(pairs: Pairs) -> None:
    pairs("bad", labels=np.zeros((64, 64), np.uint8))


def _specks(pairs: Pairs) -> None:
    labels = np.zeros((64, 64), np.uint8)
    labels[4:24, 6:26], labels[50:52, 50:52] = 1, 2
    pairs("bad", labels=labels)


def _tiny(pairs: Pairs) -> None:
    labels = np.zeros((1280, 1280), np.uint8)
    labels[100:500, 100:500], labels[700:715, 700:715] = 1, 2  # 15 px of 1280 are 3 of the model's 256
    image = np.random.default_rng(0).integers(60, 180, labels.shape, dtype=np.uint8)
    pairs("bad", image=image, labels=labels)


def _pieces(pairs: Pairs) -> None:
    labels = np.zeros((64, 64), np.uint8)
    labels[4:24, 6:26] = labels[40:52, 20:50] = 1
    pairs("bad", labels=labels)


def _flat(pairs: Pairs) -> None:
    pairs("bad", image=np.full((64, 64), 7, np.uint8))


def _burnt(pairs: Pairs) -> None:
    image = np.full((64, 64), 255, np.uint8)
    image[:20] = 100
    pairs("bad", image=image)


def _slices(pairs: Pairs) -> None:
    for name in ("P01_a", "P01_b", "P02_a"):
        pairs(name)


def _twins(pairs: Pairs) -> None:
    pairs("Cell-003")


FAULTS = {
    "shapes that differ": (_shifted, "unusable_case", "error"),
    "an unreadable file": (_unreadable, "unusable_case", "error"),
    "no object": (_empty, "empty_cases", "warning"),
    "small objects": (_specks, "small_objects", "note"),
    "objects that the model cannot resolve": (_tiny, "tiny_objects", "warning"),
    "an id of several things": (_pieces, "several_pieces", "warning"),
    "a constant image": (_flat, "constant_images", "warning"),
    "a burnt image": (_burnt, "clipped_images", "warning"),
    "another stain": (_burnt, "intensity_outliers", "warning"),
    "slices as groups": (_slices, "shared_stems", "warning"),
    "one name in two ways": (_twins, "names_alike", "warning"),
}


@pytest.mark.parametrize(("spoil", "code", "severity"), FAULTS.values(), ids=FAULTS.keys())
def test_each_fault_is_found_with_its_exit_code(
    clean: Path, pairs: Pairs, check: Callable[..., Any], spoil: Callable[[Pairs], None], code: str, severity: str
) -> None:
    spoil(pairs)
    exit_code, report, printed = check(clean)
    assert codes(report)[code] == severity
    assert code in printed
    assert exit_code == (2 if severity == "error" else 0)
    assert check(clean, "--strict")[0] == (
        2 if severity == "error" else 1 if "warning" in codes(report).values() else 0
    )


def test_an_unusable_case_does_not_hide_the_others(clean: Path, pairs: Pairs, check: Callable[..., Any]) -> None:
    _shifted(pairs)
    (clean / "labels" / "cell_004.png").write_bytes(b"no image")
    code, report, _ = check(clean)
    texts = [finding["text"] for finding in report["findings"]]
    assert code == 2 and len(texts) == 2
    assert "bad.png: shapes differ" in texts[0] and "cell_004.png: cannot be read" in texts[1]
    assert report["data"]["samples"] == 19


def test_cases_that_the_recipe_skips_are_warnings(clean: Path, pairs: Pairs, check: Callable[..., Any]) -> None:
    _shifted(pairs)
    code, report, _ = check(clean, "data.on_error=skip")
    assert code == 0 and codes(report) == {"unusable_case": "warning"}


def test_copies_are_as_bad_as_what_they_cross(clean: Path, pairs: Pairs, check: Callable[..., Any]) -> None:
    splits = check(clean)[1]["data"]["splits"]
    image = np.asarray(Image.open(clean / "images" / f"{splits['train'][0]}.png"))
    for name in (splits["test"][0], splits["train"][1]):
        pairs(name, image=image)
    code, report, printed = check(clean)
    [finding] = report["findings"]
    assert code == 2 and finding["code"] == "duplicate_across_splits"
    assert sorted(finding["where"]) == sorted([*splits["train"][:2], splits["test"][0]])
    assert "(train)" in printed and "(test)" in printed


def test_two_groups_are_too_few_and_one_cannot_be_split(pairs: Pairs, check: Callable[..., Any]) -> None:
    root = pairs("one")
    code, report, _ = check(root)
    assert code == 2 and codes(report)["cannot_split"] == "error"
    assert report["data"]["splits"] is None and list(report["balance"]["object"]) == ["all"]
    pairs("two")
    code, report, _ = check(root)
    assert code == 0 and codes(report) == {"few_test_groups": "warning"}


def test_a_missing_folder_is_an_error_with_a_report(tmp_path: Path, check: Callable[..., Any]) -> None:
    code, report, printed = check(tmp_path / "nowhere")
    assert code == 2 and codes(report) == {"unreadable_data": "error"}
    assert "data.root: no folder" in report["findings"][0]["text"]
    assert "contact_sheet" not in printed


def test_when_no_case_can_be_used_the_reasons_are_told(pairs: Pairs, check: Callable[..., Any]) -> None:
    root = pairs("bad", labels=np.ones((64, 60), np.uint8))
    code, report, _ = check(root)
    assert code == 2
    assert "bad.png: shapes differ" in report["findings"][0]["text"]


def test_without_the_model_all_else_is_checked(clean: Path, pairs: Pairs, check: Callable[..., Any]) -> None:
    _pieces(pairs)
    code, report, _ = check(clean, "model.checkpoint=/models/none")
    assert code == 0 and codes(report) == {"model_unread": "warning", "several_pieces": "warning"}
    assert "/models/none" in report["findings"][0]["text"]


def test_regions_of_a_label_that_is_one_object_are_no_pieces(
    clean: Path, pairs: Pairs, check: Callable[..., Any]
) -> None:
    _pieces(pairs)
    classes = ["data.label_kind=classes", "data.labels={roof: 1, yard: 2}", "data.objects=label"]
    assert check(clean, *classes, "--strict")[0] == 0


def test_a_thing_that_another_one_covers_in_part_is_one_object_of_coco(
    tmp_path: Path, check: Callable[..., Any]
) -> None:
    (tmp_path / "coco" / "images").mkdir(parents=True)
    halves = [[10, 10, 20, 10, 20, 40, 10, 40], [30, 10, 40, 10, 40, 40, 30, 40]]  # of a thing behind a post
    content: dict[str, list[Any]] = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "car"}]}
    for number in range(8):
        image = np.random.default_rng(number).integers(60, 180, (64, 64), dtype=np.uint8)
        Image.fromarray(image).save(tmp_path / "coco" / "images" / f"{number}.png")
        content["images"].append({"id": number, "file_name": f"{number}.png", "height": 64, "width": 64})
        content["annotations"].append({"id": number, "image_id": number, "category_id": 1, "segmentation": halves})
    (tmp_path / "coco" / "annotations.json").write_text(json.dumps(content), encoding="utf-8")
    _, report, _ = check(tmp_path / "coco", recipe="coco")
    assert report["data"]["objects"] == 8 and "several_pieces" not in codes(report)


def test_scans_are_checked_with_their_labels(tmp_path: Path, check: Callable[..., Any]) -> None:
    write_phantom(tmp_path / "scans", patients=4, seed=1)
    shutil.copy(tmp_path / "scans" / "images" / "patient_00.nii.gz", tmp_path / "scans" / "images" / "copy.nii.gz")
    shutil.copy(tmp_path / "scans" / "labels" / "patient_00.nii.gz", tmp_path / "scans" / "labels" / "copy.nii.gz")
    labels = "data.labels={liver: 1, spleen: 2, kidney: 3, vertebra: 4, gallbladder: 9}"
    code, report, _ = check(tmp_path / "scans", labels, "split.test_groups=[copy]", recipe="quickstart")
    found = codes(report)
    assert code == 2
    assert found["duplicate_across_splits"] == "error"
    assert found["unused_label"] == found["few_test_groups"] == "warning"
    assert list(report["balance"]) == ["liver", "spleen", "kidney", "vertebra", "gallbladder"]


def test_a_check_gets_a_folder_of_its_own(clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = [f"data.root={clean}", f"cache={tmp_path}/cache", f"output={tmp_path}/runs"]
    for _ in range(2):
        assert main(["data", "check", "--recipe", "folder", *places]) == 0
    folders = sorted((tmp_path / "runs" / "folder" / "checks").iterdir())
    assert len(folders) == 2
    for folder in folders:
        assert sorted(path.name for path in folder.iterdir()) == ["check.json", "contact_sheet.png"]
    assert f"wrote {folders[1]}/contact_sheet.png" in capsys.readouterr().out


def test_a_folder_that_cannot_be_made_is_told(clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    places = [f"data.root={clean}", f"cache={tmp_path}/cache", "--output", str(tmp_path / "file" / "below")]
    assert main(["data", "check", "--recipe", "folder", *places]) == 1
    assert "file/below" in capsys.readouterr().err


# ------------------------------------------------------------------------------------ the start of a training


def _plan(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    places = [f"data.root={root}", f"cache={tmp_path}/cache", f"output={tmp_path}/runs", "trainer.workers=0"]
    assert main(["fit", "--recipe", "folder", *places, "--dry-run"]) == 0
    return capsys.readouterr().err.splitlines()


def test_a_training_on_clean_data_only_names_the_check(
    clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = _plan(clean, tmp_path, capsys)
    assert not [line for line in lines if line.startswith("data:")]
    [hint] = [line for line in lines if "the whole check" in line]
    assert "python -m adapt data check" in hint


def test_a_training_on_masks_of_a_class_is_warned(
    clean: Path, pairs: Pairs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mask of 0 and 1 may be a map of one instance, so it is read; several regions in it are told."""
    _pieces(pairs)
    [line] = [line for line in _plan(clean, tmp_path, capsys) if line.startswith("data:")]
    assert "in pieces that do not touch" in line and "data.label_kind=classes" in line


def test_a_training_begins_with_a_few_lines_of_warnings(
    clean: Path, pairs: Pairs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _twins(pairs)
    _slices(pairs)
    _empty(pairs)
    for name in ("cell_000", "cell_001", "cell_002", "cell_003", "cell_005", "cell_006", "cell_007"):
        pairs(name, image=np.asarray(Image.open(clean / "images" / "cell_004.png")))
    lines = [line for line in _plan(clean, tmp_path, capsys) if line.startswith("data:")]
    assert 3 <= len(lines) <= 5
    assert "in more than one split" in lines[0]  # the gravest first
    assert any("written in several ways" in line for line in lines)
