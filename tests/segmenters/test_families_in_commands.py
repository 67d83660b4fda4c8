"""What the commands do with each family, held against the same answer put together by hand in the family's own frame.

Images are wider than high: a point that is placed as if a stretched image were padded lies elsewhere.
"""

import copy
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from small_families import SMALL, small_segmenter
from torch import Tensor
from torch.nn import functional

from adapt.cli import main
from adapt.evaluate import Measures, score_samples
from adapt.formats import decode_masks
from adapt.generate import generate_masks
from adapt.predict.asking import ask, encode
from adapt.predict.prompted import PromptedObject
from adapt.prompts import Prompts
from adapt.recipe import GenerateSettings
from adapt.samples import Sample
from adapt.segmenters.segmenter import Segmenter

HEIGHT, WIDTH = 40, 100
STRETCHED = {"SAM 2", "SAM 2 video", "SAM 3 tracker", "EdgeTAM", "EfficientSAM"}
SCORED = STRETCHED - {"EfficientSAM"}
"""Families that say whether there is an object at all."""
EVERYTHING = GenerateSettings(points_per_side=3, points_per_batch=4, predicted_iou=0, stability=0, nms=1.0)
CLICK, BOX = (70.0, 12.0), (55.0, 4.0, 90.0, 31.0)
CPU = torch.device("cpu")
families = pytest.mark.parametrize("family", SMALL)
Answers = tuple[npt.NDArray[np.bool_], list[float]]
"""(M, H, W) masks of M candidates in the image, and the IoU that is expected of each."""


def picture() -> npt.NDArray[np.uint8]:
    """Discs of several colours on a gradient."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    image = np.stack([columns * 2, rows * 5, 255 - columns], axis=-1).astype(np.uint8)
    for row, column, colour in ((12, 70, (250, 30, 30)), (28, 22, (20, 240, 60))):
        image[(rows - row) ** 2 + (columns - column) ** 2 < 64] = colour
    return image


def by_hand(family: str, *, click: tuple[float, ...] | None = None, box: tuple[float, ...] | None = None) -> Answers:
    """Every candidate of the picture's object at a prompt, in the frame that the family's authors use."""
    segmenter = small_segmenter(family)
    size, image = segmenter.spec.image_size, picture()
    wide, tall = (size, size) if family in STRETCHED else (size, round(HEIGHT * size / WIDTH))
    resized = np.asarray(Image.fromarray(image).resize((wide, tall), Image.Resampling.BILINEAR)).astype(np.float32)
    half = family == "SAM 3 tracker"
    mean, std = ([0.5] * 3, [0.5] * 3) if half else ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    pixels = torch.zeros(1, 3, size, size)
    pixels[0, :, :tall, :wide] = torch.from_numpy((resized / 255 - np.float32(mean)) / np.float32(std)).permute(2, 0, 1)

    def placed(values: tuple[float, ...]) -> Tensor:
        scale = torch.tensor([wide / WIDTH, tall / HEIGHT])
        return (torch.tensor(values).reshape(-1, 2) + 0.5) * scale - 0.5

    prompts = Prompts(
        object_valid=torch.ones(1, 1, dtype=torch.bool),
        points=None if click is None else placed(click)[None, None],
        point_labels=None if click is None else torch.ones(1, 1, 1, dtype=torch.int64),
        boxes=None if box is None else placed(box).reshape(1, 1, 4),
    )
    with torch.no_grad():
        found = segmenter.decode(segmenter.encode(pixels), prompts, multimask=box is None)
    logits = found.logits[0]
    if family not in STRETCHED:
        logits = functional.interpolate(logits, (size, size), mode="bilinear", align_corners=False)[..., :tall, :wide]
    logits = functional.interpolate(logits, (HEIGHT, WIDTH), mode="bilinear", align_corners=False)
    return (logits[0] > 0).numpy(), found.iou[0, 0].tolist()


def best(answers: Answers) -> npt.NDArray[np.bool_]:
    masks, expected = answers
    return masks[int(np.argmax(expected))]


def alike(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> bool:
    """But for pixels whose logit is a rounding error from zero."""
    return float((one != other).mean()) <= 0.001


@families
def test_generate_places_the_grid_and_the_masks_in_the_image(family: str) -> None:
    masks = generate_masks(small_segmenter(family), picture(), EVERYTHING)
    grid = np.array([(x, y) for x in (16.2, 49.5, 82.8) for y in (6.2, 19.5, 32.8)])
    assert len({mask.point for mask in masks}) == 9
    assert all(np.abs(grid - mask.point).max(axis=1).min() < 1 for mask in masks)
    assert any(0.02 < mask.area / (HEIGHT * WIDTH) < 0.98 for mask in masks)
    for mask in masks:
        of_click, expected = by_hand(family, click=mask.point)
        at = int(np.abs(np.array(expected) - mask.predicted_iou).argmin())
        assert expected[at] == pytest.approx(mask.predicted_iou, abs=1e-5)
        assert alike(mask.pixels, of_click[at])


@families
def test_predict_answers_a_click_and_a_box_where_they_are(family: str, tmp_path: Path) -> None:
    small_segmenter(family).save(tmp_path / "checkpoint")
    Image.fromarray(picture()).save(tmp_path / "wide.png")
    prompts = [{"clicks": [[*CLICK, 1]]}, {"box": list(BOX)}]
    (tmp_path / "prompts.json").write_text(json.dumps(prompts), encoding="utf-8")
    asked = ["--prompts", str(tmp_path / "prompts.json"), "--output", str(tmp_path / "out"), "--format", "coco"]
    assert main(["predict", str(tmp_path / "checkpoint"), str(tmp_path / "wide.png"), *asked]) == 0
    written = json.loads((tmp_path / "out" / "wide.json").read_bytes())["annotations"]
    written = sorted(written, key=lambda annotation: annotation["id"])
    expected = [best(by_hand(family, click=CLICK)), best(by_hand(family, box=BOX))]
    wanted = [mask for mask in expected if mask.any()]  # COCO has no empty masks
    assert wanted and len(written) == len(wanted)
    for annotation, mask in zip(written, wanted, strict=True):
        (pixels,) = decode_masks([annotation["segmentation"]["counts"].encode()], height=HEIGHT, width=WIDTH)
        assert alike(pixels, mask)


@families
def test_evaluate_scores_the_masks_of_the_image(family: str) -> None:
    boxes = [(55, 4, 90, 31), (5, 3, 20, 36), (30, 20, 70, 39), (80, 2, 97, 12)]
    truths = np.zeros((len(boxes), HEIGHT, WIDTH), dtype=bool)
    for truth, (x0, y0, x1, y1) in zip(truths, boxes, strict=True):
        truth[y0 : y1 + 1, x0 : x1 + 1] = True
    sample = Sample(picture(), truths, ("thing",) * len(boxes), "g", (1.0, 1.0), "px", "wide", "wide.png")
    (scores,) = score_samples(
        [sample],
        {"base": small_segmenter(family)},
        protocols=["box"],
        measures=Measures(clicks=1, tolerance=None),
        device=CPU,
    )
    for score, truth, box in zip(scores, truths, boxes, strict=True):
        answer = best(by_hand(family, box=box))
        assert score.iou == pytest.approx((answer & truth).sum() / (answer | truth).sum(), abs=0.002)


@pytest.mark.slow
@families
def test_evaluate_writes_the_table_of_an_untouched_model(family: str, tmp_path: Path) -> None:
    small_segmenter(family).save(tmp_path / "checkpoint")
    settings = [
        "data.root=adapt:shapes_folder",
        "split.test=0.1",
        "evaluation.protocols=[one_click, box]",
        "evaluation.gallery=0",
        "evaluation.following_images=0",
        "evaluation.bootstrap_samples=100",
        "evaluation.automatic.images=1",
        "evaluation.automatic.points_per_side=4",
        f"model.checkpoint={tmp_path / 'checkpoint'}",
        f"cache={tmp_path / 'cache'}",
        f"output={tmp_path / 'runs'}",
    ]
    assert main(["evaluate", "--recipe", "folder", *settings]) == 0
    (results,) = (tmp_path / "runs").rglob("results.json")
    found = json.loads(results.read_bytes())
    assert set(found["protocols"]) == {"one_click", "box"}
    assert found["automatic"]["images"] == 1


# --------------------------------------------------------------------------------------------- object score


def that_sees_nothing(family: str) -> Segmenter:
    """The small model, sure that there is no object at any prompt."""
    segmenter = copy.deepcopy(small_segmenter(family))
    last = segmenter.mask_decoder.pred_obj_score_head.proj_out
    with torch.no_grad():
        last.weight.zero_()
        last.bias.fill_(-1000.0)
    return segmenter


@pytest.mark.parametrize("family", sorted(SCORED & SMALL.keys()))
def test_an_object_score_blanks_and_drops_no_mask(family: str) -> None:
    segmenters = small_segmenter(family), that_sees_nothing(family)
    wanted = [PromptedObject(clicks=((*CLICK, 1),)), PromptedObject(box=BOX)]
    asked, generated = [], []
    for segmenter in segmenters:
        features = encode(segmenter, picture(), CPU)
        asked.append([answer for _, answer in sorted(ask(segmenter, features, wanted, height=HEIGHT, width=WIDTH))])
        generated.append(generate_masks(segmenter, picture(), EVERYTHING))
    assert any(answer.mask.any() for answer in asked[0])
    for one, other in zip(*asked, strict=True):
        assert (one.mask == other.mask).all() and one.predicted_iou == other.predicted_iou
    assert generated[0] == generated[1]


@pytest.mark.parametrize("family", sorted(SCORED & SMALL.keys()))
def test_an_object_score_is_there_for_who_calls_the_segmenter(family: str) -> None:
    segmenter = that_sees_nothing(family)
    size = segmenter.spec.image_size
    prompts = Prompts(object_valid=torch.ones(1, 1, dtype=torch.bool), boxes=torch.tensor([[[4.0, 4.0, 30.0, 20.0]]]))
    with torch.no_grad():
        found = segmenter.decode(segmenter.encode(torch.zeros(1, 3, size, size)), prompts, multimask=False)
    assert found.presence is not None and found.presence.tolist() == [[-1000.0]]
