"""Objects of a volume or time series from prompts on some slices, followed by what a video model remembers of them.

As SAM 2 follows objects through a video (Ravi et al., 2024, section 4): a prompted slice is answered as an image; from
an object's first prompted slice the others are answered by memory, upwards and then downwards.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from adapt.generate import GeneratedMask
from adapt.predict.asking import Answer, answers_of, ask, encode
from adapt.predict.opened import Opened
from adapt.predict.prompted import PromptedObject
from adapt.predict.segmenting import Found, Model, Segmentation, as_mask, described, strips_of
from adapt.prompts import no_prompts
from adapt.propagation import ways
from adapt.segmenters import Bank, ImageFeatures, Memory, ObjectMemory, Recalled, Segmenter, together

TOGETHER = 16
"""Objects that are followed at once; bounds the memory."""
HELD_BYTES = 2_000_000_000
"""Of features of slices that are held, so that those near by are not encoded again."""


@dataclass(eq=False)
class Thing:
    """An object that is followed.

    Attributes:
        prompts: of each slice that has one.
        bank: what is remembered.
        iou: that the model expected of its first answer.
        going: whether it is there in the slice beside.
        absent: slices in a row in which it was not seen, and the first of them.
    """

    prompts: dict[int, PromptedObject]
    bank: Bank = field(default_factory=Bank)
    iou: float = 0.0
    going: bool = False
    absent: list[int] = field(default_factory=list)

    @property
    def start(self) -> int:
        """The first prompted slice that shows it."""
        return min(self.bank.prompted)


def segment_remembering(
    model: Model,
    segmenter: Segmenter,
    memory: ObjectMemory,
    opened: Opened,
    wanted: Sequence[PromptedObject],
    *,
    advance: Callable[[], None],
) -> Segmentation:
    """Objects of a volume or stack, each prompted on one slice or on several.

    Args:
        model: see `Model`.
        segmenter: of the model.
        memory: of the segmenter.
        opened: the input, of several slices.
        wanted: its prompts, each with a slice; those with the same `name` are one object.
        advance: called after each slice that is looked at.
    """
    things = grouped(wanted, length=opened.length)
    masks: dict[int, list[tuple[int, GeneratedMask]]] = {}
    ended: dict[int, list[str]] = {}
    for number, index, answer in followed(model, segmenter, memory, opened, things, advance=advance):
        if isinstance(answer, str):
            ended.setdefault(number, []).append(f"{opened.called(index)}: {answer}")
        else:
            masks.setdefault(index, []).append((number, as_mask(answer)))
    objects = [
        Found(number, thing.iou, next(iter(thing.prompts.values())).category, _told(thing), min(thing.prompts))
        for number, thing in enumerate(things, start=1)
    ]
    return Segmentation(objects, strips_of(masks, opened, model.generate, prompted=True), masks, ended)


def grouped(wanted: Sequence[PromptedObject], *, length: int) -> list[Thing]:
    """Prompts of one name on several slices of a series as one object; what has no name is an object of its own.

    Args:
        wanted: each with its slice.
        length: slices of a series; an object does not leave its own.
    """
    named: dict[object, Thing] = {}
    for place, one in enumerate(wanted):
        index = one.slice or 0
        key: object = (index // length, one.name) if one.name else place
        if key in named and index in named[key].prompts:
            key = place  # a second prompt of the name on this slice
        named.setdefault(key, Thing({})).prompts[index] = one
    return list(named.values())


def _told(thing: Thing) -> dict[str, object]:
    if len(thing.prompts) == 1:
        return described(next(iter(thing.prompts.values())))
    return {"slices": {str(index): described(one) for index, one in sorted(thing.prompts.items())}}


@torch.inference_mode()
def followed(
    model: Model,
    segmenter: Segmenter,
    memory: ObjectMemory,
    opened: Opened,
    things: Sequence[Thing],
    *,
    advance: Callable[[], None],
) -> Iterator[tuple[int, int, Answer | str]]:
    """Number of an object, slice, and its answer there, or why it ends in front of that slice.

    A slice that the model sees no object in has no answer.
    """
    features_of = held(model, opened)
    numbers = {id(thing): number for number, thing in enumerate(things, start=1)}
    for index in sorted({index for thing in things for index in thing.prompts}):
        own = [thing for thing in things if index in thing.prompts]
        asked, features = [thing.prompts[index] for thing in own], features_of(index)
        for place, answer in ask(segmenter, features, asked, height=opened.height, width=opened.width):
            thing = own[place]
            if not thing.bank.prompted:
                thing.iou = answer.predicted_iou
            if answer.mask.any():
                present = torch.ones(1, dtype=torch.bool, device=features.embedding.device)  # somebody said so
                (thing.bank.prompted[index],) = _remembered(memory, features, [answer], present, prompted=True)
                yield numbers[id(thing)], index, answer
            else:
                yield numbers[id(thing)], index, "nothing was found"
    begun = [thing for thing in things if thing.bank.prompted]
    for step, way in ways(opened.slices, opened.length):
        for thing in begun:
            thing.going = False
        for index in way:
            going = [thing for thing in begun if thing.going and index not in thing.bank.prompted]
            for thing, answer in _answered(segmenter, memory, features_of, going, index, step=step, opened=opened):
                if answer.mask.any():
                    thing.absent = []
                    yield numbers[id(thing)], index, answer
                else:
                    thing.absent.append(index)
                if len(thing.absent) >= model.predict.propagate.absent_slices:
                    thing.going = False
                    yield numbers[id(thing)], thing.absent[0], "the model sees no object"
            if going:
                advance()
            for thing in begun:
                if index == thing.start or (step > 0 and index in thing.bank.prompted):
                    thing.going, thing.absent = True, []
                thing.bank.forget(index, start=thing.start, maps=memory.maps, reach=memory.pointers)


def held(model: Model, opened: Opened) -> Callable[[int], ImageFeatures]:
    """From a slice to its features; those asked for last are held, as many as `HELD_BYTES` allow, and one at least."""
    known: OrderedDict[int, ImageFeatures] = OrderedDict()

    def features_of(index: int) -> ImageFeatures:
        if index not in known:
            picture = np.ascontiguousarray(opened.picture(index, opened.whole))
            known[index] = encode(model.segmenter, picture, model.device)
            bytes_of_one = sum(value.nbytes for value in (known[index].embedding, *known[index].further))
            while len(known) > max(HELD_BYTES // bytes_of_one, 1):
                known.popitem(last=False)
        known.move_to_end(index)
        return known[index]

    return features_of


def _answered(
    segmenter: Segmenter,
    memory: ObjectMemory,
    features_of: Callable[[int], ImageFeatures],
    things: Sequence[Thing],
    index: int,
    *,
    step: int,
    opened: Opened,
) -> Iterator[tuple[Thing, Answer]]:
    """What each object is in a slice, by memory; it is remembered. Objects that recall alike are asked together."""
    alike: dict[tuple[tuple[bool, int], ...], list[tuple[Thing, list[Recalled]]]] = {}
    for thing in things:
        recalled = thing.bank.seen_from(index, step=step, reach=memory.pointers)
        alike.setdefault(tuple((one.prompted, one.distance) for one in recalled), []).append((thing, recalled))
    for same in alike.values():
        for first in range(0, len(same), TOGETHER):
            part, features = same[first : first + TOGETHER], features_of(index)
            recalled = together([of_thing for _, of_thing in part])
            images = torch.zeros(len(part), dtype=torch.int64, device=features.embedding.device)
            predictions = segmenter.decode(
                features,
                no_prompts(torch.ones(1, len(part), dtype=torch.bool, device=images.device)),
                multimask=memory.candidates,
                conditioned=memory.condition(features, images, recalled, frames=opened.length),
            )
            answers = answers_of(predictions, segmenter.spec.frame(opened.height, opened.width))
            assert predictions.presence is not None  # of every family with a memory
            present = predictions.presence[0] > 0
            remembered = _remembered(memory, features, answers, present, prompted=False)
            for (thing, _), answer, kept, there in zip(part, answers, remembered, present.tolist(), strict=True):
                thing.bank.followed[index] = kept
                yield thing, answer if there else answer.blank()


def _remembered(
    memory: ObjectMemory, features: ImageFeatures, answers: Sequence[Answer], present: Tensor, *, prompted: bool
) -> list[Memory]:
    """The memory of each object by itself."""
    device = features.embedding.device
    found = memory.remember(
        features,
        torch.zeros(len(answers), dtype=torch.int64, device=device),
        logits=torch.stack([answer.logits for answer in answers]).to(device),
        tokens=torch.stack([answer.token for answer in answers if answer.token is not None]).to(device),
        present=present,
        prompted=prompted,
        training=False,
    )
    assert found.map is not None
    return [Memory(found.pointer[k : k + 1], found.map[k : k + 1]) for k in range(len(answers))]
