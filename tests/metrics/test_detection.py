"""COCO's AP and AR: as its own program reports them from files, and by hand."""

import io
import json
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from pycocotools import mask as coco
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from adapt.formats import encode_masks
from adapt.metrics import PredictedMasks, TrueMasks, average_recall, mask_ap

SIZE = 160


def _squares(random: np.random.Generator, count: int) -> npt.NDArray[np.bool_]:
    masks = np.zeros((count, SIZE, SIZE), dtype=bool)
    for mask in masks:
        top, left = random.integers(0, SIZE - 8, size=2)
        side = random.choice([7, 20, 50, 110])
        mask[top : top + side, left : left + side] = True
    return masks


def _scenes(seed: int) -> tuple[list[PredictedMasks], list[TrueMasks]]:
    """Moved, invented, missed and copied objects of two categories; crowds; an image of nothing."""
    random = np.random.default_rng(seed)
    predicted, truth = [], []
    for count in (0, 3, 8, 5):
        masks = _squares(random, count)
        names = random.choice(["nucleus", "cell"], size=count).tolist()
        crowds = (random.random(count) < 0.2).tolist()
        moved = np.roll(masks, random.integers(-3, 4), axis=1)
        found = np.concatenate([moved[: count - 1], moved[:1], _squares(random, 2)])
        kinds = [*names[: count - 1], *names[:1], "cell", "nucleus"]
        scores = random.random(len(found)).tolist()
        truth.append(TrueMasks(SIZE, SIZE, encode_masks(masks), names, crowds))
        predicted.append(PredictedMasks(encode_masks(found), kinds, scores))
    return predicted, truth


def _by_its_own_program(
    folder: Path, predicted: list[PredictedMasks], truth: list[TrueMasks], *, agnostic: bool
) -> npt.NDArray[np.float64]:
    """The twelve figures that COCO prints, from its file and its list of results."""
    numbers = {"cell": 4, "nucleus": 9}
    annotations, results = [], []
    for image, (found, true) in enumerate(zip(predicted, truth, strict=True), start=7):
        for mask, name, crowd in zip(true.masks, true.categories, true.crowds, strict=True):
            rle = {"size": [SIZE, SIZE], "counts": mask.decode()}
            annotations.append({"id": len(annotations) + 1, "image_id": image, "category_id": numbers[name]})
            annotations[-1] |= {"segmentation": rle, "iscrowd": int(crowd), "area": float(coco.area(rle))}
        for mask, name, score in zip(found.masks, found.categories, found.scores, strict=True):
            rle = {"size": [SIZE, SIZE], "counts": mask.decode()}
            results.append({"image_id": image, "category_id": numbers[name], "segmentation": rle, "score": score})
    images = [{"id": number, "height": SIZE, "width": SIZE} for number in range(7, 7 + len(truth))]
    categories = [{"id": number, "name": name} for name, number in numbers.items()]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "truth.json").write_text(json.dumps(content), encoding="utf-8")
    with redirect_stdout(io.StringIO()):
        loaded = COCO(str(folder / "truth.json"))
        evaluation = COCOeval(loaded, loaded.loadRes(results), "segm")
        evaluation.params.useCats = 0 if agnostic else 1
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return np.asarray(evaluation.stats)


def _none_as_minus_one(values: list[float | None]) -> list[float]:
    return [-1 if value is None else value for value in values]


@pytest.mark.parametrize("seed", range(4))
def test_equal_to_what_coco_prints_for_the_same_files(tmp_path: Path, seed: int) -> None:
    predicted, truth = _scenes(seed)
    stats = _by_its_own_program(tmp_path, predicted, truth, agnostic=False)
    found = mask_ap(predicted, truth)
    assert _none_as_minus_one([found.ap, found.ap50, found.ap75, *found.sizes.values()]) == pytest.approx(stats[:6])
    stats = _by_its_own_program(tmp_path, predicted, truth, agnostic=True)
    recall = average_recall(predicted, truth, proposals=(1, 10, 100))
    assert _none_as_minus_one([recall[count]["all"] for count in (1, 10, 100)]) == pytest.approx(stats[6:9])
    sizes = [recall[100][size] for size in ("small", "medium", "large")]
    assert _none_as_minus_one(sizes) == pytest.approx(stats[9:])


def _one(*scored: tuple[npt.NDArray[np.bool_], float], truth: npt.NDArray[np.bool_]) -> tuple[list, list]:
    masks = np.stack([mask for mask, _ in scored])
    found = PredictedMasks(encode_masks(masks), ["object"] * len(scored), [score for _, score in scored])
    return [found], [TrueMasks(SIZE, SIZE, encode_masks(truth), ["object"] * len(truth))]


def test_a_wrong_mask_in_front_of_the_right_one_halves_ap() -> None:
    right, wrong = (np.zeros((SIZE, SIZE), dtype=bool) for _ in range(2))
    right[:10, :10], wrong[50:60, 50:60] = True, True
    assert mask_ap(*_one((right, 0.3), (wrong, 0.2), truth=right[None])).ap == pytest.approx(1)
    assert mask_ap(*_one((right, 0.2), (wrong, 0.3), truth=right[None])).ap == pytest.approx(0.5)


def test_only_the_best_scored_proposals_count_and_sizes_are_pixels() -> None:
    masks = np.zeros((4, SIZE, SIZE), dtype=bool)
    for number, mask in enumerate(masks):
        mask[number * 20 : number * 20 + 10, : 10 + number] = True
    scene = _one(*zip(masks, (0.1, 0.9, 0.8, 0.7), strict=True), truth=masks)
    found = average_recall(*scene, sizes={"least": (0, 105), "rest": (105, 1000)}, proposals=(2, 4))
    assert found == {2: {"all": 0.5, "least": 0, "rest": pytest.approx(2 / 3)}, 4: {"all": 1, "least": 1, "rest": 1}}


def test_a_mask_of_iou_07_is_recalled_at_five_of_ten_thresholds() -> None:
    truth, found = (np.zeros((SIZE, SIZE), dtype=bool) for _ in range(2))
    truth[:10, :10], found[:7, :10] = True, True
    assert average_recall(*_one((found, 1.0), truth=truth[None]))[10]["all"] == pytest.approx(0.5)


def test_without_truth_there_is_no_score_and_without_prediction_it_is_zero() -> None:
    nothing = [PredictedMasks([], [], [])], [TrueMasks(SIZE, SIZE, [], [])]
    assert mask_ap(*nothing).ap is None
    assert average_recall(*nothing)[1000] == {"all": None, "small": None, "medium": None, "large": None}
    mask = np.ones((1, SIZE, SIZE), dtype=bool)
    missed = nothing[0], [TrueMasks(SIZE, SIZE, encode_masks(mask), ["object"])]
    assert mask_ap(*missed).ap == 0
    assert average_recall(*missed)[1000]["large"] == 0
    invented = [PredictedMasks(encode_masks(mask), ["object"], [1.0])], nothing[1]
    assert mask_ap(*invented).ap is None


def test_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    mask_ap(*_scenes(0))
    assert capsys.readouterr().out == ""
