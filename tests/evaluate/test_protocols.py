"""Protocols with a segmenter whose answers are known: what is prompted, and what is scored at which resolution.

The image is 60 x 100 and the model frame 64 pixels, so a model pixel is 1.5625 image pixels wide. Objects are
stripes of columns. The stub answers with logits that are linear across each edge; interpolation keeps such
an edge in its place, so that the scores at image resolution follow by counting columns.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from adapt import protocols
from adapt.evaluate import Measures, ObjectScore, score_samples
from adapt.formats import decode_masks
from adapt.prompts import Prompts
from adapt.samples import Sample
from adapt.segmenters import EncoderStage, Hidden, ImageFeatures, MaskPredictions, SegmenterSpec, load_segmenter

CPU = torch.device("cpu")
GIVEN = {"measures": Measures(clicks=4, tolerance=None), "device": CPU}
HEIGHT, WIDTH, SIZE = 60, 100, 64
X_SCALE, Y_SCALE = 64 / 100, 38 / 60  # 60 rows become 38.4, rounded
Answer = tuple[int, int, float]
"""First and last column of an answer, image frame, and the IoU that the stub predicts for it."""


class Stub(nn.Module):
    """Finds the stripe that is prompted, by the prompt's x, and gives the answers listed for it."""

    def __init__(self, answers: Mapping[tuple[int, int], Sequence[Answer]], *, weight: float = 1.0) -> None:
        super().__init__()
        self.answers = dict(answers)
        self.spec = SegmenterSpec(
            image_size=SIZE,
            mask_size=SIZE,
            pixel_mean=(10.0, 20.0, 30.0),
            pixel_std=(2.0, 4.0, 5.0),
            candidates=3,
            fit="pad",
        )
        self.encoder = nn.Conv2d(3, 1, 1, bias=False)
        nn.init.constant_(self.encoder.weight, weight)
        self.prompt_encoder, self.mask_decoder = nn.Identity(), nn.Identity()
        self.encoded: list[Tensor] = []
        self.decoded: list[tuple[ImageFeatures, Prompts, bool]] = []

    def encode(self, images: Tensor) -> ImageFeatures:
        self.encoded.append(images)
        return ImageFeatures(embedding=self.encoder(images))

    @property
    def stages(self) -> tuple[EncoderStage, ...]:
        return (EncoderStage(lambda hidden: (self.encode(*hidden).embedding,), (self.encoder,), ((3, SIZE, SIZE),)),)

    def encode_prefix(self, images: Tensor, *, boundary: int) -> Hidden:
        return self.stages[0].run((images,))

    def encode_suffix(self, hidden: Hidden, *, boundary: int) -> ImageFeatures:
        return ImageFeatures(embedding=hidden[0])

    def decode(self, features: ImageFeatures, prompts: Prompts, *, multimask: bool) -> MaskPredictions:
        self.decoded.append((features, prompts, multimask))
        if prompts.points is not None:
            places = prompts.points[0, :, 0, 0]
        else:
            assert prompts.boxes is not None
            places = prompts.boxes[0, :, 0::2].mean(dim=1)
        chosen = [self._answers((x + 0.5) / X_SCALE - 0.5)[: 3 if multimask else 1] for x in places.tolist()]
        logits = torch.stack([torch.stack([_stripe(first, last) for first, last, _ in of]) for of in chosen])
        return MaskPredictions(logits=logits[None], iou=torch.tensor([[[iou for *_, iou in of] for of in chosen]]))

    def save(self, folder: Path) -> None:
        raise AssertionError("an evaluation saves no model")

    def _answers(self, x: float) -> Sequence[Answer]:
        return next(answers for (first, last), answers in self.answers.items() if first - 0.5 <= x <= last + 0.5)


def _stripe(first: int, last: int) -> Tensor:
    """(SIZE, SIZE) logits that are 0 exactly at the outer borders of two image columns."""
    x = torch.arange(SIZE, dtype=torch.float32)
    left, right = first * X_SCALE - 0.5, (last + 1) * X_SCALE - 0.5
    return torch.minimum(x - left, right - x).expand(SIZE, SIZE)


def _columns(first: int, last: int) -> npt.NDArray[np.bool_]:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[:, first : last + 1] = True
    return mask


def _sample(*masks: npt.NDArray[np.bool_], name: str = "patient7/slice3") -> Sample:
    return Sample(
        image=np.full((*masks[0].shape, 3), 100, dtype=np.uint8),
        masks=np.stack(masks),
        categories=tuple(f"organ{index}" for index in range(len(masks))),
        group="patient7",
        spacing=(1.0, 1.0),
        spacing_unit="px",
        sample_id=name,
        source="",
    )


OBJECT = (20, 69)
"""50 columns. The first answer is right but not trusted; the second has 40 of them, the third 25."""
ANSWERS: dict[tuple[int, int], list[Answer]] = {OBJECT: [(20, 69, 0.25), (20, 59, 0.75), (45, 69, 0.5)]}


def _score(model: Stub, protocol: str, *masks: npt.NDArray[np.bool_]) -> list[ObjectScore]:
    (scores,) = score_samples([_sample(*masks)], {"base": model}, protocols=[protocol], **GIVEN)
    return scores


def test_the_most_confident_candidate_is_the_answer_and_the_best_one_the_oracle() -> None:
    (score,) = _score(Stub(ANSWERS), "one_click", _columns(*OBJECT))
    assert score.predicted_iou == 0.75
    assert score.iou == pytest.approx(40 / 50)
    assert score.dice == pytest.approx(2 * 40 / (40 + 50))
    assert score.oracle_iou == 1.0


def test_the_written_mask_is_the_answer_in_the_image_frame() -> None:
    (score,) = _score(Stub(ANSWERS), "one_click", _columns(*OBJECT))
    (mask,) = decode_masks([score.mask], height=HEIGHT, width=WIDTH)
    np.testing.assert_array_equal(mask, _columns(20, 59))


@pytest.mark.parametrize("wrong", range(4))
def test_one_image_column_is_counted_though_a_model_pixel_is_wider(wrong: int) -> None:
    """Four neighbouring columns lie in three model pixels; at that resolution two of these would be equal."""
    stub = Stub({OBJECT: [(20 + wrong, 69, 0.9)] * 3})
    (score,) = _score(stub, "one_click", _columns(*OBJECT))
    assert score.iou == (50 - wrong) / 50
    assert score.pixels == 50 * HEIGHT


def test_the_box_protocol_takes_the_single_mask() -> None:
    stub = Stub({OBJECT: [(20, 59, 0.1), (20, 69, 0.9), (20, 69, 0.9)]})
    (score,) = _score(stub, "box", _columns(*OBJECT))
    assert score.iou == score.oracle_iou == pytest.approx(40 / 50)
    assert score.predicted_iou == pytest.approx(0.1)


def test_only_a_click_asks_for_several_candidates() -> None:
    stub = Stub(ANSWERS)
    list(score_samples([_sample(_columns(*OBJECT))], {"base": stub}, protocols=["box", "one_click"], **GIVEN))
    asked = [
        (prompts.boxes is not None, prompts.points is not None, multimask) for _, prompts, multimask in stub.decoded
    ]
    assert asked == [(True, False, False), (False, True, True)]


def test_box_iou_is_that_of_the_filled_box() -> None:
    mask = _columns(*OBJECT)
    mask[10:, 40:] = False  # an L: 20 columns of 60 rows and 30 of 10
    (score,) = _score(Stub(ANSWERS), "one_click", mask)
    assert score.pixels == 20 * 60 + 30 * 10
    assert score.box_iou == pytest.approx((20 * 60 + 30 * 10) / (50 * 60))


def test_an_empty_answer_scores_zero() -> None:
    stub = Stub({OBJECT: [(120, 130, 0.9)] * 3})  # beyond the image
    (score,) = _score(stub, "one_click", _columns(*OBJECT))
    assert (score.iou, score.oracle_iou, score.dice) == (0.0, 0.0, 0.0)
    assert not decode_masks([score.mask], height=HEIGHT, width=WIDTH).any()


def test_a_box_prompt_is_the_tight_box_in_the_model_frame() -> None:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[10:30, 20:70] = True
    mask[10:12, 20:22] = False  # a missing corner does not move the box
    stub = Stub(ANSWERS)
    _score(stub, "box", mask)
    ((_, prompts, _),) = stub.decoded
    assert prompts.boxes is not None
    expected = [20.5 * X_SCALE - 0.5, 10.5 * Y_SCALE - 0.5, 69.5 * X_SCALE - 0.5, 29.5 * Y_SCALE - 0.5]
    assert prompts.boxes[0, 0].tolist() == pytest.approx(expected, abs=1e-5)
    assert prompts.object_valid.tolist() == [[True]]


def test_a_click_lies_inside_its_object() -> None:
    """A thin ring, whose centre of mass is outside, low and right in the image, where a wrong scale would miss."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    radius = np.hypot(rows - 40, columns - 80)
    ring = (radius > 12) & (radius < 17)
    stub = Stub({(60, 99): [(60, 99, 0.5)] * 3})
    _score(stub, "one_click", ring)
    ((_, prompts, _),) = stub.decoded
    assert prompts.points is not None and prompts.point_labels is not None
    x, y = prompts.points[0, 0, 0].tolist()
    assert ring[round((y + 0.5) / Y_SCALE - 0.5), round((x + 0.5) / X_SCALE - 0.5)]
    assert prompts.point_labels.tolist() == [[[1]]]


def test_the_encoder_gets_the_normalised_image_of_the_model_frame() -> None:
    stub = Stub(ANSWERS)
    _score(stub, "box", _columns(*OBJECT))
    (image,) = stub.encoded
    assert image.shape == (1, 3, SIZE, SIZE)
    assert image[0, :, :38].unique(dim=1).shape[1] == 1
    assert image[0, :, 0, 0].tolist() == pytest.approx([(100 - 10) / 2, (100 - 20) / 4, (100 - 30) / 5])
    assert not image[0, :, 38:].any()  # padding below


# ------------------------------------------------------------------------------------------- two models


@pytest.mark.parametrize("names", [["base"], ["base", "tuned"]])
def test_equal_encoders_run_once_an_image_whatever_the_protocols(names: list[str]) -> None:
    stubs = {name: Stub(ANSWERS) for name in names}
    samples = [_sample(_columns(*OBJECT), name=str(index)) for index in range(3)]
    list(score_samples(samples, stubs, protocols=["one_click", "box"], **GIVEN))
    assert sum(len(stub.encoded) for stub in stubs.values()) == 3


def test_different_encoders_run_once_each_and_feed_their_own_decoder() -> None:
    stubs = {"base": Stub(ANSWERS, weight=1.0), "tuned": Stub(ANSWERS, weight=2.0)}
    samples = [_sample(_columns(*OBJECT), name=str(index)) for index in range(3)]
    list(score_samples(samples, stubs, protocols=["one_click", "box"], **GIVEN))
    assert [len(stub.encoded) for stub in stubs.values()] == [3, 3]
    for stub, weight in zip(stubs.values(), (1.0, 2.0), strict=True):
        for features, _, _ in stub.decoded:
            assert features.embedding[0, 0, 0, 0].item() == pytest.approx(weight * (45 + 20 + 14))


def test_models_of_different_normalisation_share_no_encoder_run() -> None:
    stubs = {"base": Stub(ANSWERS), "tuned": Stub(ANSWERS)}
    stubs["tuned"].spec = replace(stubs["tuned"].spec, pixel_mean=(0.0, 0.0, 0.0))
    list(score_samples([_sample(_columns(*OBJECT))], stubs, protocols=["box"], **GIVEN))
    assert [len(stub.encoded) for stub in stubs.values()] == [1, 1]


def test_encoders_of_another_shape_are_not_compared() -> None:
    stubs = {"base": Stub(ANSWERS), "tuned": Stub(ANSWERS)}
    stubs["tuned"].encoder = nn.Conv2d(3, 2, 1, bias=False)
    list(score_samples([_sample(_columns(*OBJECT))], stubs, protocols=["box"], **GIVEN))
    assert [len(stub.encoded) for stub in stubs.values()] == [1, 1]


def test_each_model_and_protocol_has_its_own_score() -> None:
    models = {"base": Stub({OBJECT: [(20, 44, 0.5)] * 3}), "tuned": Stub({OBJECT: [(20, 68, 0.5)] * 3})}
    (scores,) = score_samples([_sample(_columns(*OBJECT))], models, protocols=["one_click", "box"], **GIVEN)
    found = {(score.model, score.protocol): score.iou for score in scores}
    assert found == {
        ("base", "one_click"): 0.5,
        ("base", "box"): 0.5,
        ("tuned", "one_click"): pytest.approx(0.98),
        ("tuned", "box"): pytest.approx(0.98),
    }


# ----------------------------------------------------------------------------------------- many objects

STRIPES = [(6 * index + 1, 6 * index + 4) for index in range(16)]
"""16 objects of 4 columns; object 3 is found whole, object 4 without one column, and so on."""


def _many() -> tuple[Stub, Sample]:
    answers: dict[tuple[int, int], list[Answer]] = {}
    for index, (first, last) in enumerate(STRIPES):
        answers[first, last] = [(first, last + index % 3, 0.5), (first, last + 2, 0.25), (first, last, 0.125)]
    return Stub(answers), _sample(*(_columns(first, last) for first, last in STRIPES))


def test_every_object_of_an_image_gets_its_own_score() -> None:
    stub, sample = _many()
    (scores,) = score_samples([sample], {"base": stub}, protocols=["one_click"], **GIVEN)
    assert [score.index for score in scores] == list(range(16))
    assert [score.category for score in scores] == list(sample.categories)
    assert [score.iou for score in scores] == [4 / (4 + index % 3) for index in range(16)]
    assert {score.oracle_iou for score in scores} == {1.0}
    assert {(score.sample_id, score.group, score.model) for score in scores} == {
        ("patient7/slice3", "patient7", "base")
    }
    assert len(stub.decoded) == 1  # a usual image is decoded at once


@pytest.mark.parametrize(("pixels", "calls"), [(1, 16), (5 * 3 * 6000, 4)])
@pytest.mark.parametrize("protocol", ["one_click", "box"])
def test_decoding_in_chunks_gives_the_same_scores(
    monkeypatch: pytest.MonkeyPatch, pixels: int, calls: int, protocol: str
) -> None:
    stub, sample = _many()
    (whole,) = score_samples([sample], {"base": stub}, protocols=[protocol], **GIVEN)
    stub.decoded.clear()
    monkeypatch.setattr(protocols, "CHUNK_PIXELS", pixels)
    (scores,) = score_samples([sample], {"base": stub}, protocols=[protocol], **GIVEN)
    assert scores == whole
    if protocol == "one_click" or pixels == 1:
        assert len(stub.decoded) == calls
    assert len(stub.encoded) == 2  # one a call of score_samples: chunks share it


def test_a_large_model_frame_bounds_the_chunk_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small image is decoded through masks of the model frame, which are what takes the memory."""
    stub, sample = _many()
    stub.spec = replace(stub.spec, image_size=1024)
    decoded: list[int] = []

    def decode(features: ImageFeatures, prompts: Prompts, *, multimask: bool) -> MaskPredictions:
        count = prompts.object_valid.shape[1]
        decoded.append(count)
        return MaskPredictions(logits=torch.zeros(1, count, 3, 64, 64), iou=torch.zeros(1, count, 3))

    monkeypatch.setattr(stub, "decode", decode)
    list(score_samples([sample], {"base": stub}, protocols=["one_click"], **GIVEN))
    assert sum(decoded) == 16
    assert max(decoded) * 3 * 1024 * 1024 <= protocols.CHUNK_PIXELS


# ----------------------------------------------------------------------------------------- as it streams


def test_samples_are_read_one_at_a_time() -> None:
    """A test split need not fit into memory."""
    read: list[int] = []

    def samples() -> Iterator[Sample]:
        for index in range(3):
            read.append(index)
            yield _sample(_columns(*OBJECT), name=str(index))

    scores = score_samples(samples(), {"base": Stub(ANSWERS)}, protocols=["box"], **GIVEN)
    next(scores)
    assert read == [0]


def test_the_caller_is_not_left_in_inference_mode() -> None:
    scores = score_samples([_sample(_columns(*OBJECT))] * 2, {"base": Stub(ANSWERS)}, protocols=["box"], **GIVEN)
    next(scores)
    leaked = torch.is_inference_mode_enabled()
    scores.close()  # type: ignore[attr-defined]  # a generator; leave no state to the next test
    assert not leaked


# -------------------------------------------------------------------------------------------- adapt:tiny


def test_tiny_is_scored_alike_every_time() -> None:
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    sample = replace(
        _sample(np.hypot(rows - 30, columns - 40) < 15, (rows > 50) & (columns > 80)),
        image=random.integers(256, size=(HEIGHT, WIDTH, 3), dtype=np.uint8),
    )

    def scores() -> list[ObjectScore]:
        tiny = load_segmenter("adapt:tiny")
        (found,) = score_samples([sample], {"base": tiny}, protocols=["one_click", "box"], **GIVEN)
        return found

    first = scores()
    assert [(score.protocol, score.index) for score in first] == [
        ("one_click", 0), ("one_click", 1), ("box", 0), ("box", 1),
    ]  # fmt: skip
    assert all(0 <= score.iou <= score.oracle_iou <= 1 for score in first)
    assert scores() == first


def test_clicks_follow_where_the_answer_is_wrong_with_its_own_logits() -> None:
    stub = Stub({OBJECT: [(20, 44, 0.9), (20, 60, 0.5), (20, 68, 0.4)]})
    (score,) = next(iter(score_samples([_sample(_columns(*OBJECT))], {"base": stub}, protocols=["clicks"], **GIVEN)))
    assert [multimask for *_, multimask in stub.decoded] == [True, False, False, False]
    assert len(score.curve) == 4 and score.curve[-1] == score.iou
    for turn, (_, prompts, _) in enumerate(stub.decoded):
        assert prompts.points is not None and prompts.point_labels is not None
        assert prompts.points.shape[2] == turn + 1
        assert (prompts.masks is None) == (turn == 0)
    points, labels = (stub.decoded[1][1].points, stub.decoded[1][1].point_labels)
    assert points is not None and labels is not None
    x = (points[0, 0, 1, 0].item() + 0.5) / X_SCALE - 0.5
    assert 44 < x <= OBJECT[1] and labels[0, 0, 1].item() == 1  # the part that the answer missed


def test_a_jittered_box_is_near_the_tight_one_and_always_the_same() -> None:
    stubs = [Stub(ANSWERS) for _ in range(2)]
    for stub in stubs:
        list(score_samples([_sample(_columns(*OBJECT))], {"base": stub}, protocols=["box", "jittered_box"], **GIVEN))
    tight, loose = (prompts.boxes for _, prompts, _ in stubs[0].decoded)
    assert tight is not None and loose is not None
    assert not torch.equal(tight, loose)
    assert (tight - loose).abs().max() <= 20 * SIZE / 1024 + 1e-4
    again = stubs[1].decoded[1][1].boxes
    assert again is not None and torch.equal(loose, again)


def test_borders_are_scored_in_the_unit_of_the_sample() -> None:
    sample = replace(_sample(_columns(*OBJECT)), spacing=(2.0, 0.5), spacing_unit="mm")
    stub = Stub({OBJECT: [(OBJECT[0], OBJECT[1] - 4, 0.9)] * 3})
    (score,) = next(iter(score_samples([sample], {"base": stub}, protocols=["box"], **GIVEN)))
    assert score.unit == "mm"
    assert score.hd95 == pytest.approx(4 * 0.5)
    assert score.nsd == 1.0  # two pixels are 4 mm
    strict = {"measures": Measures(clicks=1, tolerance=0.1), "device": CPU}
    (score,) = next(iter(score_samples([sample], {"base": stub}, protocols=["box"], **strict)))
    assert 0 < score.nsd < 1
