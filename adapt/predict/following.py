"""Objects of a volume or time series from prompts on single slices: each is followed, asked by mask and box."""

from collections.abc import Callable, Mapping, Sequence

import torch

from adapt.errors import DataError
from adapt.generate import GeneratedMask
from adapt.predict.asking import Answer, ask, encode
from adapt.predict.opened import Opened
from adapt.predict.prompted import PromptedObject
from adapt.predict.remembering import segment_remembering
from adapt.predict.segmenting import Found, Model, Segmentation, as_mask, described, strips_of
from adapt.prompts import LARGEST_LOGIT
from adapt.propagation import Step, StopRules, next_box, propagate
from adapt.segmenters import Segmenter, memory_of


def segment_following(
    model: Model, opened: Opened, wanted: Sequence[PromptedObject], *, advance: Callable[[], None]
) -> Segmentation:
    """Objects of a volume or stack, each prompted on one slice; by the model's memory, if it has one to be used.

    Args:
        model: see `Model`.
        opened: the input, of several slices.
        wanted: its prompts, each with a slice.
        advance: called after each slice that is looked at.
    """
    memory, segmenter = memory_of(model.segmenter), model.segmenter
    if model.predict.propagate.memory and memory is not None and isinstance(segmenter, Segmenter):
        return segment_remembering(model, segmenter, memory, opened, wanted, advance=advance)
    starts = _starts(model, opened, wanted)

    def beside(index: int, before: Mapping[int, Answer]) -> Mapping[int, Answer]:
        answers = ask_beside(model, opened, index, before)
        advance()
        return answers

    settings = model.predict.propagate
    rules = StopRules(min_iou=settings.min_iou, area_jump=settings.area_jump)
    masks: dict[int, list[tuple[int, GeneratedMask]]] = {}
    ended: dict[int, list[str]] = {}
    for step in propagate(starts, beside, slices=opened.slices, length=opened.length, rules=rules):
        _keep(step, masks, ended, opened)
    objects = [
        Found(place + 1, starts[place][1].predicted_iou, one.category, described(one), one.slice)
        for place, one in enumerate(wanted)
    ]
    return Segmentation(objects, strips_of(masks, opened, model.generate, prompted=True), masks, ended)


def check_followed(opened: Opened) -> None:
    """Check that objects can be followed through an input.

    Raises:
        DataError: it is one image, or its slices or frames are cut into tiles.
    """
    if opened.slices == 1:
        raise DataError("--propagate follows objects through slices or frames, and this input has one; leave it out")
    if opened.tile_size is not None and max(opened.height, opened.width) > opened.tile_size:
        raise DataError(
            f"--propagate looks at {opened.slice_name}s whole, and these of {opened.width} x {opened.height} pixels "
            "are cut into tiles; raise data.tile_size, or leave it out"
        )


def _keep(
    step: Step[Answer], masks: dict[int, list[tuple[int, GeneratedMask]]], ended: dict[int, list[str]], opened: Opened
) -> None:
    number = step.thing + 1
    if step.ended:
        ended.setdefault(number, []).append(f"{opened.called(step.index)}: {step.ended}")
    else:
        masks.setdefault(step.index, []).append((number, as_mask(step.answer)))


def _starts(model: Model, opened: Opened, wanted: Sequence[PromptedObject]) -> dict[int, tuple[int, Answer]]:
    """The answers to the prompts themselves; each slice that has some is encoded once."""
    starts: dict[int, tuple[int, Answer]] = {}
    for index in sorted({one.slice or 0 for one in wanted}):
        own = [place for place, one in enumerate(wanted) if (one.slice or 0) == index]
        features = encode(model.segmenter, opened.picture(index, opened.whole), model.device)
        asked = [wanted[place] for place in own]
        for place, answer in ask(model.segmenter, features, asked, height=opened.height, width=opened.width):
            starts[own[place]] = (index, answer)
    return dict(sorted(starts.items()))


@torch.inference_mode()
def ask_beside(model: Model, opened: Opened, index: int, before: Mapping[int, Answer]) -> Mapping[int, Answer]:
    """Ask a slice for objects by their answers in the slice beside it: box, and the logits as a mask prompt.

    All slices have one size, so what lies where in the model frame is the same.
    """
    margin = model.predict.propagate.box_margin
    things = list(before)
    asked = [PromptedObject(box=next_box(before[thing].mask, margin=margin)) for thing in things]
    logits = [before[thing].logits.clamp(-LARGEST_LOGIT, LARGEST_LOGIT) for thing in things]
    features = encode(model.segmenter, opened.picture(index, opened.whole), model.device)
    answers = ask(model.segmenter, features, asked, height=opened.height, width=opened.width, masks=logits)
    return {things[place]: answer for place, answer in answers}
