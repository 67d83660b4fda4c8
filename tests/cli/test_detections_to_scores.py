"""A detector's boxes become masks, and these are scored, with the two commands of the page."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from adapt.cli import main
from adapt.formats import encode_masks

BOXES = {"a": [(20, 20, 30, 30), (70, 40, 40, 24)], "b": [(30, 50, 36, 36)], "c": []}
SIDE = 128


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """Three pictures of bright ellipses, one of them without any, and their annotations."""
    rows, columns = np.ogrid[:SIDE, :SIDE]
    images, annotations = [], []
    (tmp_path / "images").mkdir()
    for number, (name, boxes) in enumerate(BOXES.items(), start=41):
        pixels = np.full((SIDE, SIDE, 3), 60, dtype=np.uint8)
        for left, top, wide, tall in boxes:
            mask = ((columns - left - wide / 2) / (wide / 2)) ** 2 + ((rows - top - tall / 2) / (tall / 2)) ** 2 < 1
            pixels[mask] = 210
            counts = encode_masks(mask[None])[0].decode("ascii")
            annotations.append({"image_id": number, "category_id": 5, "iscrowd": 0, "area": int(mask.sum())})
            annotations[-1] |= {"id": len(annotations), "bbox": [left, top, wide, tall]}
            annotations[-1] |= {"segmentation": {"size": [SIDE, SIDE], "counts": counts}}
        Image.fromarray(pixels).save(tmp_path / "images" / f"{name}.png")
        images.append({"id": number, "file_name": f"{name}.png", "height": SIDE, "width": SIDE})
    content = {"images": images, "categories": [{"id": 5, "name": "cell"}], "annotations": annotations}
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_detections_of_coco_become_masks_that_are_scored_in_the_order_of_the_detector(
    truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(truth.read_text())["annotations"]
    detections = [
        {"image_id": one["image_id"], "category_id": 5, "bbox": one["bbox"], "score": 0.5 + 0.1 * place}
        for place, one in enumerate(found)
    ]
    detections.append({"image_id": 42, "category_id": 5, "bbox": [90, 4, 30, 30], "score": 0.65})  # nothing is there
    (tmp_path / "detections.json").write_text(json.dumps(detections), encoding="utf-8")
    images, masks = str(tmp_path / "images"), tmp_path / "masks"
    prompts = ("--prompts", str(tmp_path / "detections.json"), "--names", str(truth))
    assert main(("predict", "adapt:tiny", images, "--output", str(masks), *prompts, "trainer.accelerator=cpu")) == 0
    scores = tmp_path / "scores.json"
    assert main(("score", str(masks / "coco.json"), str(truth), "--json", str(scores))) == 0
    written = json.loads((masks / "coco.json").read_text())
    assert [image["file_name"] for image in written["images"]] == ["a.png", "b.png", "c.png"]
    given = sorted(one["score"] for one in written["annotations"])
    assert given == pytest.approx([0.5, 0.6, 0.65, 0.7])
    assert all(0 < one["predicted_iou"] != one["score"] for one in written["annotations"])
    numbers = {image["file_name"]: image["id"] for image in json.loads(truth.read_text())["images"]}
    names = {image["id"]: image["file_name"] for image in written["images"]}
    results = [{**one, "image_id": numbers[names[one["image_id"]]], "category_id": 5} for one in written["annotations"]]
    coco = COCO(str(truth))
    evaluation = COCOeval(coco, coco.loadRes(results), "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    capsys.readouterr()
    ap = json.loads(scores.read_text())["coco"]["ap"]
    assert ap == pytest.approx(evaluation.stats[0], abs=1e-6) and 0.3 < ap < 1


def test_names_without_boxes_are_a_wrong_call(truth: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("predict", "adapt:tiny", str(truth.parent / "images"), "--output", "out", "--names", str(truth))
    assert main(given) == 2 and "--names says what a detector's boxes are of" in capsys.readouterr().err
