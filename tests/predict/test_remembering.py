"""Objects followed by memory, held against the stock video session of transformers: same frames, same prompts."""

import copy
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pytest
import torch
from small_families import small_segmenter
from torch import Tensor, nn
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

from adapt.predict import Model
from adapt.predict.asking import Answer
from adapt.predict.following import segment_following
from adapt.predict.opened import Opened, Plain
from adapt.predict.prompted import PromptedObject
from adapt.predict.remembering import followed, grouped
from adapt.recipe import GenerateSettings, PredictSettings
from adapt.segmenters import Segmenter

SLICES, SIDE = 12, 64
CLICK, BOX = (20.0, 30.0), (5.0, 6.0, 40.0, 50.0)
CPU = torch.device("cpu")
Masks = dict[int, Tensor]
"""Slice to (h, w) logits."""


def pictures() -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (SLICES, SIDE, SIDE, 3), dtype=np.uint8)


def volume() -> Opened:
    images = pictures()
    return Opened(SIDE, SIDE, SLICES, lambda index, tile: images[index][tile.slices], None, 0, Plain())


def that_scores(shift: float) -> Segmenter:
    """The small model with object scores that spread more widely, around another middle; without it all are below 0."""
    segmenter = copy.deepcopy(small_segmenter("SAM 2 video"))
    last = segmenter.mask_decoder.pred_obj_score_head.proj_out
    with torch.no_grad():
        last.weight.mul_(5)
        last.bias.add_(shift)
    return segmenter


def model_around(segmenter: Segmenter, *, absent_slices: int = 100, memory: bool = True) -> Model:
    settings = PredictSettings.model_validate({"propagate": {"absent_slices": absent_slices, "memory": memory}})
    return Model(segmenter, CPU, GenerateSettings(), settings)


def ours(segmenter: Segmenter, wanted: Sequence[PromptedObject], *, absent_slices: int = 100) -> list[Masks]:
    """Of each object, the logits of the slices that show it."""
    things, model = grouped(wanted, length=SLICES), model_around(segmenter, absent_slices=absent_slices)
    found: list[Masks] = [{} for _ in things]
    assert segmenter.memory is not None
    for number, index, answer in followed(model, segmenter, segmenter.memory, volume(), things, advance=lambda: None):
        if isinstance(answer, Answer):
            assert index not in found[number - 1]
            found[number - 1][index] = answer.logits
    return found


def stock(segmenter: Segmenter, objects: Sequence[Mapping[int, PromptedObject]]) -> list[Masks]:
    """The same by the stock session; objects of one session must begin in the same slice."""
    video = torch.stack([segmenter.spec.to_model_frame(picture) for picture in pictures()])
    session = Sam2VideoInferenceSession(video=video, video_height=SIDE, video_width=SIDE, dtype=torch.float32)
    for number, prompts in enumerate(objects):
        place = session.obj_id_to_idx(number)
        for index, one in prompts.items():
            corners = [] if one.box is None else [one.box[:2], one.box[2:]]
            points = [*corners, *(click[:2] for click in one.clicks)]
            labels = [2, 3][: len(corners)] + [label for *_, label in one.clicks]
            given = {"point_coords": torch.tensor([[points]]), "point_labels": torch.tensor([[labels]])}
            session.add_point_inputs(place, index, given)
    found: list[Masks] = [{} for _ in objects]
    for index in sorted({index for prompts in objects for index in prompts}):
        session.obj_with_new_inputs = list(range(len(objects)))
        segmenter.model(session, frame_idx=index)
    start = min(index for prompts in objects for index in prompts)
    for reverse in (False, True):
        for answer in segmenter.model.propagate_in_video_iterator(session, start, reverse=reverse):
            for masks, logits in zip(found, answer.pred_masks, strict=True):
                masks[answer.frame_idx] = logits[0]
    return found


def assert_equal(ours: Masks, stock: Masks) -> None:
    """A slice that the stock session blanks is one without an answer."""
    shown = {index: logits for index, logits in stock.items() if (logits > 0).any()}
    assert ours.keys() == shown.keys()
    for index, logits in shown.items():
        torch.testing.assert_close(ours[index], logits, rtol=0, atol=1e-4)


def test_several_objects_are_what_the_stock_session_makes_of_them_up_and_down() -> None:
    segmenter = that_scores(2.0)
    click, box = PromptedObject(clicks=((*CLICK, 1),), slice=4), PromptedObject(box=BOX, slice=4)
    found = ours(segmenter, [click, box])
    for masks, expected in zip(found, stock(segmenter, [{4: click}, {4: box}]), strict=True):
        assert len(expected) == SLICES
        assert_equal(masks, expected)
    assert not torch.equal(found[0][6], found[1][6])


def test_an_object_that_is_prompted_on_several_slices_is_what_the_stock_session_makes_of_it() -> None:
    segmenter = that_scores(2.0)
    low = PromptedObject(clicks=((*CLICK, 1), (50.0, 9.0, 0)), slice=3, name="one")
    high = PromptedObject(box=BOX, clicks=((*CLICK, 1),), slice=8, name="one")
    (found,) = ours(segmenter, [low, high])
    (alone,) = ours(segmenter, [low])
    (expected,) = stock(segmenter, [{3: low, 8: high}])
    assert_equal(found, expected)
    assert not torch.allclose(found[5], alone[5], atol=1e-3)  # what was said of slice 8 is known there


def test_objects_that_begin_elsewhere_are_what_each_is_alone() -> None:
    segmenter = that_scores(2.0)
    wanted = [PromptedObject(clicks=((*CLICK, 1),), slice=2), PromptedObject(box=BOX, slice=9)]
    for masks, one in zip(ours(segmenter, wanted), wanted, strict=True):
        assert_equal(masks, stock(segmenter, [{one.slice or 0: one}])[0])


class Scripted(nn.Module):
    """An object score of so much at each call, whatever it is asked about."""

    def __init__(self, *scores: float) -> None:
        super().__init__()
        self.scores = iter(scores)

    def forward(self, tokens: Tensor) -> Tensor:
        return torch.full((*tokens.shape[:-1], 1), next(self.scores))


COMES_AND_GOES = (1, 1, 1, -1, 1, 1, -1, -1, 1, -1, -1, -1)
"""Of the slices, in this order: the stock session and ours ask them alike."""


def that_loses_it() -> Segmenter:
    segmenter = copy.deepcopy(small_segmenter("SAM 2 video"))
    segmenter.mask_decoder.pred_obj_score_head = Scripted(*COMES_AND_GOES)
    return segmenter


def test_an_object_that_goes_and_comes_back_is_blank_where_the_stock_session_sees_none() -> None:
    one = PromptedObject(clicks=((*CLICK, 1),), slice=0)
    (found,), (expected,) = ours(that_loses_it(), [one]), stock(that_loses_it(), [{0: one}])
    assert_equal(found, expected)
    assert sorted(found) == [index for index, score in enumerate(COMES_AND_GOES) if score > 0]


@pytest.mark.parametrize(("limit", "shown"), [(1, [0, 1, 2]), (2, [0, 1, 2, 4, 5]), (3, [0, 1, 2, 4, 5, 8])])
def test_an_object_ends_in_front_of_so_many_slices_without_it(limit: int, shown: list[int]) -> None:
    one, seen = PromptedObject(clicks=((*CLICK, 1),), slice=0), []
    model = model_around(that_loses_it(), absent_slices=limit)
    result = segment_following(model, volume(), [one], advance=lambda: seen.append(1))
    assert result.ended == {1: [f"slice {max(shown) + 1}: the model sees no object"]}
    assert sorted(result.masks or {}) == shown
    assert len(seen) == max(shown) + limit  # what lies behind is not looked at


def test_slices_are_encoded_once_where_all_objects_begin_on_one() -> None:
    segmenter = that_scores(2.0)
    seen: list[int] = []
    segmenter.stages[0].modules[0].register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    wanted = [PromptedObject(box=BOX, slice=5), PromptedObject(clicks=((*CLICK, 1),), slice=5)]
    ours(segmenter, wanted)
    assert seen == [1] * SLICES


def test_only_the_latest_memories_are_kept() -> None:
    segmenter = that_scores(2.0)
    things = grouped([PromptedObject(box=BOX, slice=0)], length=SLICES)
    memory = segmenter.memory
    assert memory is not None
    segmenter.model.config.max_object_pointers_in_encoder, segmenter.model.config.num_maskmem = 5, 3
    held: list[tuple[int, int]] = []
    model = model_around(segmenter)
    for _, index, _ in followed(model, segmenter, memory, volume(), things, advance=lambda: None):
        maps = sum(one.map is not None for one in things[0].bank.followed.values())
        if index > 8:
            held.append((len(things[0].bank.followed), maps))
    assert held and all(kept <= 2 * (4 + 1) and maps <= 2 * (2 + 1) for kept, maps in held)


def test_without_memory_the_mask_and_the_box_of_a_slice_prompt_the_next() -> None:
    segmenter = that_scores(2.0)
    wanted = [PromptedObject(box=BOX, slice=4)]
    by_memory, simple = (
        segment_following(model_around(segmenter, memory=memory), volume(), wanted, advance=lambda: None)
        for memory in (True, False)
    )
    assert by_memory.masks is not None and simple.masks is not None
    assert by_memory.masks[4][0][1].pixels.tolist() == simple.masks[4][0][1].pixels.tolist()
    assert set(simple.ended) == {1} and not by_memory.ended


@pytest.mark.parametrize("name", ["", "one"])
def test_prompts_of_one_name_are_one_object(name: str) -> None:
    wanted = [PromptedObject(box=BOX, slice=index, name=name) for index in (3, 8)]
    assert [sorted(thing.prompts) for thing in grouped(wanted, length=SLICES)] == ([[3, 8]] if name else [[3], [8]])
