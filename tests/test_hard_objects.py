"""Objects and answers at the limits of what there is: a training session, a validation and an evaluation of each.

Nothing of it may be NaN or infinite: no loss, no gradient, no figure of the files that a run leaves.
"""

import copy
import csv
import json
import math
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from test_session import SAM
from test_task import PLAIN, losses_with_graph, plan, simulation

from adapt.datamodules.batches import collate, to_batch
from adapt.evaluate import (
    Measures,
    ObjectScore,
    ReportFacts,
    Results,
    Retention,
    encode_samples,
    score_encoded,
    summarise,
    volume_scores,
    write_report,
    write_tables,
)
from adapt.evaluate.prompt_check import check_following
from adapt.losses import mean_over_objects
from adapt.prompts import Prompts
from adapt.samples import Sample
from adapt.segmenters import ImageFeatures, MaskPredictions, PromptableSegmenter, load_segmenter
from adapt.task import AdaptTask
from adapt.tuning import tune_decoder

HEIGHT, WIDTH = 120, 160
SHORT = replace(SAM, corrections=1, idle_rounds=1)
CPU = torch.device("cpu")
Masks = npt.NDArray[np.bool_]


def _empty(count: int, height: int = HEIGHT, width: int = WIDTH) -> Masks:
    return np.zeros((count, height, width), dtype=bool)


def _one_pixel() -> Masks:
    masks = _empty(2)
    masks[0, 60, 80] = True
    masks[1, 119, 159] = True  # and in the corner
    return masks


def _at_the_border() -> Masks:
    masks = _empty(4)
    masks[0, :, :3] = True
    masks[1, :2, :] = True
    masks[2, 100:, 150:] = True
    masks[3, 119, :] = True
    return masks


def _full_image() -> Masks:
    return ~_empty(1)


def _equal() -> Masks:
    masks = _empty(2)
    masks[:, 30:70, 40:90] = True
    return masks


def _vanishing() -> Masks:
    """Of an image of 4 x 2048 pixels, 256 of the model: rows and columns that no pixel of the model shows."""
    masks = _empty(2, 4, 2048)
    masks[0, 0, 5] = True
    masks[1, :, 1000] = True
    return masks


def _nothing_left_at_mask_size() -> Masks:
    """A diagonal one pixel wide: at a quarter of the size no pixel is covered by half."""
    masks = _empty(1)
    masks[0][np.eye(HEIGHT, WIDTH, dtype=bool)] = True
    return masks


def _one_inside_another() -> Masks:
    masks = _empty(2)
    masks[0, 20:100, 20:140] = True
    masks[1, 50:60, 70:80] = True
    return masks


HARD = {
    "one pixel": _one_pixel,
    "at the border": _at_the_border,
    "full image": _full_image,
    "equal masks": _equal,
    "vanishing in the model frame": _vanishing,
    "vanishing at mask size": _nothing_left_at_mask_size,
    "one inside another": _one_inside_another,
}
LOGITS = {"as they come": 0.0, "empty": -1e4, "full": 1e4}
"""What is added to the logits of an answer."""


def _sample(name: str) -> Sample:
    masks = HARD[name]()
    image = np.random.default_rng(0).integers(256, size=(*masks.shape[1:], 3), dtype=np.uint8)
    return Sample(
        image=image,
        masks=masks,
        categories=tuple(("liver", "spleen")[index % 2] for index in range(len(masks))),
        group=f"patient {name}",
        spacing=(0.7, 1.3),
        spacing_unit="mm",
        sample_id=f"{name}/0",
        source="",
        slice_of=(name, 0, 2.5),
    )


@pytest.fixture(scope="module")
def tiny() -> PromptableSegmenter:
    segmenter = load_segmenter("adapt:tiny")
    tune_decoder(segmenter, prompt_encoder=False)
    return segmenter


@pytest.fixture(params=LOGITS)
def answering(request: pytest.FixtureRequest, tiny: PromptableSegmenter) -> PromptableSegmenter:
    """The segmenter, with answers as they come, empty ones, or such as fill the image."""
    segmenter = copy.deepcopy(tiny)
    decode = segmenter.decode

    def shifted(features: ImageFeatures, prompts: Prompts, *, multimask: bool) -> MaskPredictions:
        found = decode(features, prompts, multimask=multimask)
        return replace(found, logits=found.logits + LOGITS[request.param])

    segmenter.decode = shifted  # type: ignore[method-assign]
    return segmenter


# ------------------------------------------------------------------------------------------------ training


@pytest.mark.parametrize("at", ["mask", "image", "points"])
@pytest.mark.parametrize("first", ["click", "box"])
def test_a_session_on_all_of_them_has_finite_losses_and_gradients(
    answering: PromptableSegmenter, first: str, at: str
) -> None:
    batch = collate([to_batch(_sample(name), answering.spec) for name in HARD])
    assert batch.object_valid.any(1).all()
    losses, valid = losses_with_graph(
        answering,
        batch,
        box_chance=float(first == "box"),
        session=SHORT,
        objective=replace(PLAIN, at=at, points=256),
    )
    for field in fields(losses):
        assert getattr(losses, field.name).isfinite().all(), field.name
    mean_over_objects(losses.total, valid).backward()
    gradients = [parameter.grad for parameter in answering.mask_decoder.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("name", HARD)
def test_each_of_them_alone_trains(tiny: PromptableSegmenter, name: str) -> None:
    """Whatever the object, something is learnt from it: the loss is above 0 and has a gradient."""
    segmenter = copy.deepcopy(tiny)
    losses, valid = losses_with_graph(segmenter, to_batch(_sample(name), segmenter.spec), session=SHORT)
    loss = mean_over_objects(losses.total, valid)
    loss.backward()
    moved = sum(float(p.grad.abs().sum()) for p in segmenter.mask_decoder.parameters() if p.grad is not None)
    assert loss.isfinite() and loss > 0
    assert math.isfinite(moved) and moved > 0


def test_equal_masks_are_objects_of_their_own(tiny: PromptableSegmenter) -> None:
    """Their clicks differ, so neither is a copy of the other."""
    batch = to_batch(_sample("equal masks"), tiny.spec)
    assert batch.object_valid.tolist() == [[True, True]]
    with torch.no_grad():
        losses, _ = losses_with_graph(tiny, batch, box_chance=0.0, session=SHORT)
    assert losses.total[0] != losses.total[1]


# ---------------------------------------------------------------------------------------------- validation


def test_validation_of_all_of_them_is_a_number(answering: PromptableSegmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    task = AdaptTask(answering, simulation=simulation(0.5), session=SHORT, objective=PLAIN, plan=plan())
    logged: dict[str, torch.Tensor] = {}
    monkeypatch.setattr(task, "log_dict", logged.update)
    with torch.inference_mode():
        task.validation_step(collate([to_batch(_sample(name), answering.spec) for name in HARD]), 0)
        task.on_validation_epoch_end()
    assert logged.keys() == {"val/miou", "val/miou_one_click", "val/miou_box"}
    assert all(0 <= float(value) <= 1 for value in logged.values())


# ---------------------------------------------------------------------------------------------- evaluation


ALL = ("one_click", "box", "jittered_box", "clicks")


def _evaluated(
    models: dict[str, PromptableSegmenter], protocols: tuple[str, ...] = ALL
) -> tuple[list[ObjectScore], Results]:
    """Protocols, volumes and retention, as `compare` does."""
    samples = [_sample(name) for name in HARD]
    measures = Measures(clicks=3, tolerance=None)
    scores: list[ObjectScore] = []
    for encoded in encode_samples(samples, models, device=CPU):
        scores += score_encoded(encoded, models, protocols=protocols, measures=measures)
        if len(encoded.sample.masks) > 1:
            for finding in check_following(encoded, models):
                figures = [value for clicks in finding.clicks for value in (clicks.inside, clicks.outside)]
                figures += [pair.overlap for pairs in finding.pairs.values() for pair in pairs]
                assert all(0 <= value <= 1 for value in figures)
    volumes = list(volume_scores(samples, scores, tolerance=None))
    results = summarise(scores, volumes=volumes, bootstrap_samples=100, seed=0)
    return scores, replace(results, retention=Retention("the same", results))


def _refuse(value: str) -> None:
    raise AssertionError(f"{value} in results.json")


def test_no_figure_of_an_evaluation_is_nan(
    answering: PromptableSegmenter, tiny: PromptableSegmenter, tmp_path: Path
) -> None:
    scores, results = _evaluated({"base": tiny, "tuned": answering})
    write_tables(results, scores, tmp_path, facts={})
    json.loads((tmp_path / "results.json").read_bytes(), parse_constant=_refuse)
    for name in ("results.csv", "objects.csv"):
        with (tmp_path / name).open(encoding="utf-8", newline="") as file:
            cells = [cell for row in csv.reader(file) for value in row for cell in value.split()]
        assert len(cells) > 100 and not {"nan", "inf", "-inf"} & set(cells), name
    facts = ReportFacts(title="hard", description="", cost="", lines=[], curves={}, recipe="")
    write_report(tmp_path / "report.html", results=results, pictures=[], facts=facts)
    words = (tmp_path / "report.html").read_text(encoding="utf-8").replace('"', " ").replace(",", " ").split()
    assert not {"nan", "inf", "-inf"} & set(words)


@pytest.mark.parametrize("name", HARD)
def test_a_perfect_answer_is_perfect_and_an_empty_one_is_missed(
    tiny: PromptableSegmenter, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Scored at the resolution of the image, where every object has its pixels, whatever the model can see of it."""
    sample = _sample(name)
    answers = {"base": np.zeros_like(sample.masks), "tuned": sample.masks}
    for model, masks in answers.items():
        predicted = torch.from_numpy(masks).float()[None, :, None] * 20 - 10

        def decode(
            features: ImageFeatures, prompts: Prompts, *, multimask: bool, logits: torch.Tensor = predicted
        ) -> MaskPredictions:
            return MaskPredictions(logits=logits, iou=torch.ones(logits.shape[:3]))

        monkeypatch.setattr(tiny, "decode", decode)
        monkeypatch.setattr("adapt.protocols.logits_to_image_frame", lambda logits, frame: logits)
        for encoded in encode_samples([sample], {model: tiny}, device=CPU):
            scores = score_encoded(encoded, {model: tiny}, protocols=["box", "clicks"], measures=Measures(2, None))
        found = {(score.iou, score.dice, score.nsd) for score in scores}
        assert found == ({(1.0, 1.0, 1.0)} if model == "tuned" else {(0.0, 0.0, 0.0)})
        assert {score.hd95 == 0 for score in scores} == {model == "tuned"}
        assert all((score.answer_pixels == 0) == (model == "base") for score in scores)


def test_a_class_that_the_test_split_lacks_has_no_figure(tiny: PromptableSegmenter, tmp_path: Path) -> None:
    """Nor does a group that lacks one of the classes lose by it."""
    scores, results = _evaluated({"base": tiny}, ("box",))
    livers = [score for score in scores if score.category == "liver"]
    lacking = summarise(livers, bootstrap_samples=100, seed=0)
    for figures in lacking.protocols.values():
        assert set(figures.base.categories) == {"liver"}
    alone = [score for score in scores if score.group == "patient full image"]
    assert {score.category for score in alone} == {"liver"}  # this group has no spleen
    for name, figures in results.protocols.items():
        (own,) = {score.iou for score in alone if score.protocol == name}
        assert figures.base.groups["patient full image"] == own
    write_tables(lacking, livers, tmp_path, facts={})
    json.loads((tmp_path / "results.json").read_bytes(), parse_constant=_refuse)
