"""Prompts matter: segmenters that ignore them are caught, one that follows them passes.

The image is the model frame, 64 pixels, with a large block, a small one and a thin one; what a segmenter answers is
written in its script, a function of where it is prompted.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from adapt.evaluate import check_following, choose_images, encode_samples, summarise_following
from adapt.evaluate.following import Following, Pair, following_warnings, moved_clicks, pairs_of
from adapt.evaluate.prompt_check import OBJECTS
from adapt.prompts import Prompts
from adapt.samples import Sample
from adapt.segmenters import EncoderStage, Hidden, ImageFeatures, MaskPredictions, SegmenterSpec

Mask = npt.NDArray[np.bool_]
SIZE = 64


def _block(top: int, left: int, height: int, width: int) -> Mask:
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    mask[top : top + height, left : left + width] = True
    return mask


LARGE, SMALL, THIN = _block(4, 4, 30, 30), _block(44, 44, 12, 12), _block(50, 4, 4, 30)
BLOCKS = np.stack([LARGE, SMALL, THIN])


def _sample(*masks: Mask, name: str = "s") -> Sample:
    return Sample(
        image=np.zeros((*masks[0].shape, 3), dtype=np.uint8),
        masks=np.stack(masks),
        categories=("block",) * len(masks),
        group="g",
        spacing=(1.0, 1.0),
        spacing_unit="px",
        sample_id=name,
        source="",
    )


Script = Callable[[int, int], Mask]
"""x, y of a click, or of the centre of a box, to the answer."""


class Scripted(nn.Module):
    """Answers by its script; remembers what it was asked."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self.script = script
        self.spec = SegmenterSpec(
            image_size=SIZE, mask_size=SIZE, pixel_mean=(0.0,) * 3, pixel_std=(1.0,) * 3, candidates=3, fit="pad"
        )
        self.encoder = self.prompt_encoder = self.mask_decoder = nn.Identity()
        self.commit = None
        self.encoded = 0
        self.clicked: list[tuple[int, int]] = []

    def encode(self, images: Tensor) -> ImageFeatures:
        self.encoded += 1
        return ImageFeatures(embedding=images)

    @property
    def stages(self) -> tuple[EncoderStage, ...]:
        return (EncoderStage(lambda hidden: (self.encode(*hidden).embedding,), (self.encoder,), ((3, SIZE, SIZE),)),)

    def encode_prefix(self, images: Tensor, *, boundary: int) -> Hidden:
        return self.stages[0].run((images,))

    def encode_suffix(self, hidden: Hidden, *, boundary: int) -> ImageFeatures:
        return ImageFeatures(embedding=hidden[0])

    def decode(self, features: ImageFeatures, prompts: Prompts, *, multimask: bool) -> MaskPredictions:
        if prompts.points is not None:
            places = prompts.points[0, :, 0].round().int().tolist()
            self.clicked += [(x, y) for x, y in places]
        else:
            assert prompts.boxes is not None
            places = prompts.boxes[0].unflatten(-1, (2, 2)).mean(1).round().int().tolist()
        masks = torch.from_numpy(np.stack([self.script(x, y) for x, y in places]))
        logits = torch.where(masks, 10.0, -10.0)[None, :, None].expand(-1, -1, 3 if multimask else 1, -1, -1)
        return MaskPredictions(logits=logits, iou=torch.full(logits.shape[:3], 0.5))

    def save(self, folder: Path) -> None:
        raise AssertionError("a check saves no model")


def _follower(x: int, y: int) -> Mask:
    """The object at the place, or a speck of ground around it."""
    hit = [mask for mask in BLOCKS if mask[y, x]]
    return hit[0] if hit else _block(max(y - 1, 0), max(x - 1, 0), 3, 3)


SCRIPTS: dict[str, Script] = {
    "union": lambda x, y: BLOCKS.any(axis=0),
    "largest": lambda x, y: LARGE,
    "empty": lambda x, y: np.zeros((SIZE, SIZE), dtype=bool),
}


def _checked(base: Script, tuned: Script | None = None, *masks: Mask) -> Following:
    models = {"base": Scripted(base)} if tuned is None else {"base": Scripted(base), "tuned": Scripted(tuned)}
    samples = [_sample(*(masks or BLOCKS), name=str(number)) for number in range(2)]
    findings = [
        finding
        for encoded in encode_samples(samples, models, device=torch.device("cpu"))
        for finding in check_following(encoded, models)
    ]
    following = summarise_following(findings)
    assert following is not None
    return following


# ------------------------------------------------------------------------------------------------ segmenters


def test_a_segmenter_that_follows_passes() -> None:
    following = _checked(_follower, _follower)
    assert following.tuned is not None and following.tuned.clicks is not None
    for figures in following.tuned.prompts.values():
        assert (figures.rate, figures.overlap, figures.excess) == (1.0, 0.0, 0.0)
    assert following.tuned.clicks.inside == 1.0
    assert following.tuned.clicks.outside < 0.3
    assert (following.images, following.pairs) == (2, 6)
    assert following_warnings(following) == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_segmenter_that_ignores_prompts_is_caught(name: str) -> None:
    following = _checked(_follower, SCRIPTS[name])
    assert following.tuned is not None and following.tuned.clicks is not None
    for figures in following.tuned.prompts.values():
        assert (figures.rate, figures.overlap, figures.excess) == (0.0, 1.0, 1.0)
    assert (following.tuned.clicks.inside, following.tuned.clicks.outside) == (1.0, 1.0)
    found = following_warnings(following)
    assert sum("heeds its prompts too little" in text for text in found) == 2  # a click, a box
    assert sum("one mask to several prompts" in text for text in found) == 2
    assert sum("does not look where it is clicked" in text for text in found) == 1


def test_a_tuned_model_that_follows_less_than_the_untouched_one_is_warned_of_above_the_threshold() -> None:
    following = _checked(_follower, _follower)
    assert following.tuned is not None
    less = {name: replace(figures, rate=0.85) for name, figures in following.tuned.prompts.items()}
    found = following_warnings(replace(following, tuned=replace(following.tuned, prompts=less)))
    assert len(found) == 2 and all("85 % of the pairs (untouched: 100 %)" in text for text in found)
    nearly = {name: replace(figures, rate=0.95) for name, figures in following.tuned.prompts.items()}
    assert following_warnings(replace(following, tuned=replace(following.tuned, prompts=nearly))) == []


def test_the_untouched_model_is_not_warned_of() -> None:
    assert following_warnings(_checked(SCRIPTS["union"])) == []


def test_clicks_lie_inside_and_outside_their_object_at_different_places() -> None:
    model = Scripted(_follower)
    (encoded,) = encode_samples([_sample(LARGE, SMALL)], {"base": model}, device=torch.device("cpu"))
    check_following(encoded, {"base": model})
    inside, outside = model.clicked[:6], model.clicked[6:12]
    for number, (x, y) in enumerate(inside):
        assert (LARGE, SMALL)[number % 2][y, x]
    for number, (x, y) in enumerate(outside):
        assert not (LARGE, SMALL)[number % 2][y, x]
    assert len(set(inside)) > 4 and len(set(outside)) > 4


def test_the_encoder_runs_once_an_image_for_models_that_share_it() -> None:
    models = {"base": Scripted(_follower), "tuned": Scripted(_follower)}
    for encoded in encode_samples([_sample(*BLOCKS)] * 3, models, device=torch.device("cpu")):
        check_following(encoded, models)
    assert sum(model.encoded for model in models.values()) == 3


def test_an_image_with_many_objects_costs_no_more_than_eight() -> None:
    model = Scripted(_follower)
    many = [_block(4 * n, 4 * m, 3, 3) for n in range(5) for m in range(5)]
    (encoded,) = encode_samples([_sample(*many)], {"base": model}, device=torch.device("cpu"))
    (found,) = check_following(encoded, {"base": model})
    assert len(found.pairs["box"]) == OBJECTS * (OBJECTS - 1) // 2
    assert len(found.clicks) == OBJECTS
    assert len(model.clicked) == 7 * OBJECTS  # three inside, three outside, the centre


def test_an_object_that_fills_the_image_has_no_outside() -> None:
    whole = np.ones((SIZE, SIZE), dtype=bool)
    following = _checked(lambda x, y: SMALL if SMALL[y, x] else whole, None, whole, SMALL)
    assert following.base.clicks is not None
    assert following.base.clicks.outside == pytest.approx(SMALL.sum() / whole.sum(), abs=0.4)
    alone = _checked(lambda x, y: whole, None, whole, whole & ~_block(0, 0, 40, 40))
    assert alone.base.clicks is not None  # of the second object


def test_one_object_or_two_at_one_place_cannot_be_checked() -> None:
    models = {"base": Scripted(_follower)}
    for masks in ((LARGE,), (LARGE, LARGE)):
        (encoded,) = encode_samples([_sample(*masks)], models, device=torch.device("cpu"))
        assert summarise_following(check_following(encoded, models)) is None


def test_the_figures_are_plain_data() -> None:
    content = json.loads(json.dumps(_checked(_follower, _follower).as_dict()))
    assert content["base"]["prompts"]["box"] == {"rate": 1.0, "overlap": 0.0, "truth_overlap": 0.0}
    assert "tuned" not in _checked(_follower).as_dict()


# ----------------------------------------------------------------------------------------------------- masks


def test_a_pair_follows_only_if_both_answers_do() -> None:
    assert pairs_of(BLOCKS[:2], BLOCKS[:2]) == [Pair(True, 0.0, 0.0)]
    assert pairs_of(BLOCKS[:2], BLOCKS[[1, 0]]) == [Pair(False, 0.0, 0.0)]
    assert pairs_of(BLOCKS[:2], BLOCKS[[0, 0]]) == [Pair(False, 1.0, 0.0)]


def test_nested_objects_overlap_in_truth() -> None:
    outer, inner = _block(0, 0, 20, 20), _block(5, 5, 10, 10)
    (pair,) = pairs_of(np.stack([outer, inner]), np.stack([outer, inner]))
    assert pair == Pair(True, 0.25, 0.25)


def test_two_clicks_of_half_the_mask_are_counted_by_hand() -> None:
    left, right, whole = _block(0, 0, 10, 5), _block(0, 5, 10, 5), _block(0, 0, 10, 10)
    inside, outside = np.stack([[whole], [left]]), np.stack([[right], [right]])
    (found,) = moved_clicks(inside, outside)
    assert found.inside == 0.5
    assert found.outside == pytest.approx((0.5 + 0.0) / 2)


# ---------------------------------------------------------------------------------------------------- images


def test_images_are_chosen_by_the_seed_among_those_with_two_objects() -> None:
    objects = [1, 2, 3, 1, 5, 2, 2]
    assert choose_images(objects, count=10, seed=0) == [1, 2, 4, 5, 6]
    some = [choose_images(objects, count=2, seed=seed) for seed in range(20)]
    assert all(len(chosen) == 2 and set(chosen) <= {1, 2, 4, 5, 6} for chosen in some)
    assert some[0] == choose_images(objects, count=2, seed=0)
    assert len({tuple(chosen) for chosen in some}) > 3
    assert choose_images(objects, count=0, seed=0) == choose_images([], count=5, seed=0) == []
