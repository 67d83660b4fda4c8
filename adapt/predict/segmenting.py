"""From an open input to its objects: whole or in tiles, prompted or automatic, slice by slice."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from adapt.files import make_folder
from adapt.formats import encode_masks
from adapt.generate import Funnel, GeneratedMask, Rle, generate, label_map
from adapt.predict.asking import Answer, ask, encode
from adapt.predict.mosaic import Part, compose, read_facts, read_labels, write_spool
from adapt.predict.opened import Image, Opened
from adapt.predict.prompted import PromptedObject
from adapt.predict.stitching import cores, stitch
from adapt.predict.text_boxes import TextBoxes
from adapt.predict.windows import windows_of_prompts
from adapt.propagation import next_box
from adapt.recipe import GenerateSettings, PredictSettings
from adapt.segmenters import PromptableSegmenter
from adapt.tiles import Tile, tile_image


@dataclass(frozen=True, eq=False)
class Model:
    """What segments: a segmenter in eval mode on its device, and the recipe's settings of how it is asked.

    With `text`, the boxes that it finds are the prompts.
    """

    segmenter: PromptableSegmenter
    device: torch.device
    generate: GenerateSettings
    predict: PredictSettings
    text: TextBoxes | None = None


@dataclass(frozen=True)
class Found:
    """One object of an input.

    Attributes:
        number: from 1, and its value in a label map.
        predicted_iou: what the segmenter expects of its mask; NaN of a class, of which it expects nothing.
        category: of its prompt; empty if it has none.
        prompt: what it answers, for people and for the record.
        slice: where it was prompted or found; None in an image of one slice.
    """

    number: int
    predicted_iou: float
    category: str
    prompt: Mapping[str, Any]
    slice: int | None


Strips = Iterator[tuple[int, npt.NDArray[np.int32]]]
"""First row and (h, W) labels of each strip, from top to bottom."""
Masks = Mapping[int, Sequence[tuple[int, GeneratedMask]]]
"""Of each slice, number and mask of its objects, which may overlap."""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """All objects of an input.

    Attributes:
        objects: in the order of their numbers.
        strips: from a slice to its label map, in strips from top to bottom; can be called again.
        masks: of each slice, number and mask of its objects, which may overlap; None if it was cut into tiles.
        ended: of objects that were followed through slices, why they ended where they did.
        funnel: how many automatic candidates each filter has left; of tiles that were done before, none.
    """

    objects: list[Found]
    strips: Callable[[int], Strips]
    masks: Masks | None
    ended: Mapping[int, Sequence[str]] = field(default_factory=dict)
    funnel: Funnel = field(default_factory=Funnel)

    def labels(self, index: int) -> npt.NDArray[np.int32]:
        """(H, W) labels of a slice."""
        return np.concatenate([labels for _, labels in self.strips(index)])


def segment_whole(
    model: Model, opened: Opened, wanted: Sequence[PromptedObject] | None, *, advance: Callable[[], None]
) -> Segmentation:
    """Objects of an input that is looked at slice by slice, each slice whole.

    Args:
        model: see `Model`.
        opened: the input.
        wanted: its prompts; None for automatic masks. Slices without a prompt are not looked at.
        advance: called after each slice.
    """
    objects: list[Found] = []
    masks: dict[int, list[tuple[int, GeneratedMask]]] = {}
    funnel = Funnel()
    for index in range(opened.slices):
        of_slice = None if wanted is None else [one for one in wanted if (one.slice or 0) == index]
        if of_slice != []:
            found, passed = _masks_of(model, opened.picture(index, opened.whole), of_slice)
            funnel += passed
            first = len(objects) + 1
            place = index if opened.slices > 1 else None
            objects += [
                _found(number, mask, one, place)
                for number, (mask, one) in enumerate(zip(found, asked_of(of_slice, found), strict=True), first)
            ]
            masks[index] = list(enumerate(found, first))
        advance()
    strips = strips_of(masks, opened, model.generate, prompted=wanted is not None)
    return Segmentation(objects, strips, masks, funnel=funnel)


def strips_of(
    masks: Masks,
    opened: Opened,
    settings: GenerateSettings,
    *,
    prompted: bool,
) -> Callable[[int], Strips]:
    """From a slice to its label map as one strip; what was asked for is there if a single pixel of it is left."""

    def strips(index: int) -> Strips:
        of_slice = masks.get(index, ())
        numbers = np.array([0, *(number for number, _ in of_slice)], dtype=np.int32)
        least = 0.0 if prompted else settings.least_visible
        size = (opened.height, opened.width)
        yield 0, numbers[label_map([mask for _, mask in of_slice], size, first=settings.overlap, least_visible=least)]

    return strips


def segment_in_tiles(
    model: Model,
    opened: Opened,
    wanted: Sequence[PromptedObject] | None,
    *,
    index: int,
    work: Path,
    advance: Callable[[], None],
) -> Segmentation:
    """Objects of one slice that is larger than a tile; memory is that of a row of tiles.

    Without prompts, tiles of a grid are stitched; with prompts, each is asked for in a window around it.
    Tiles that are done lie in `work`, and are not done again.

    Args:
        model: see `Model`.
        opened: the input, with a tile size.
        wanted: prompts of this slice; None for automatic masks.
        index: the slice.
        work: folder that keeps the tiles.
        advance: called after each tile.
    """
    make_folder(work, then="or give --output another folder")
    tiles, given = tiles_of(opened, wanted)
    spools = [work / f"{index:04d}_{place:06d}.npz" for place in range(len(tiles))]
    funnel = Funnel()
    for tile, spool, own in zip(tiles, spools, given, strict=True):
        if not spool.exists():
            local = None if own is None or wanted is None else [wanted[one].moved(tile.left, tile.top) for one in own]
            masks, passed = _masks_of(model, opened.picture(index, tile), local)
            funnel += passed
            settings = model.generate
            least = settings.least_visible if local is None else 0.0
            size = (tile.height, tile.width)
            labels = label_map(masks, size, first=settings.overlap, least_visible=least)
            write_spool(spool, labels, [{"predicted_iou": mask.predicted_iou} for mask in masks])
        advance()
    place_of = index if opened.slices > 1 else None
    if wanted is None:
        stitched = stitch(tiles, lambda place: read_labels(spools[place]), min_iou=model.predict.join_iou)
        scores = _scores(spools, stitched.best)
        objects = [
            Found(number, score, "", {"automatic": True}, place_of) for number, score in enumerate(scores, start=1)
        ]
        numbers, inside = stitched.numbers, cores(tiles)
    else:
        expected = dict(
            pair
            for spool, own in zip(spools, given, strict=True)
            for pair in zip(own or (), (fact["predicted_iou"] for fact in read_facts(spool)), strict=True)
        )
        objects = [
            Found(place + 1, expected[place], one.category, described(one), place_of)
            for place, one in enumerate(wanted)
        ]
        numbers = [np.array([0, *(place + 1 for place in own or ())], dtype=np.int64) for own in given]
        inside = tiles
    parts = [
        Part(tile, core, _reader(spool), numbering)
        for tile, core, spool, numbering in zip(tiles, inside, spools, numbers, strict=True)
    ]
    return Segmentation(
        objects, lambda _: compose(parts, height=opened.height, width=opened.width), None, funnel=funnel
    )


def tiles_of(opened: Opened, wanted: Sequence[PromptedObject] | None) -> tuple[list[Tile], list[list[int] | None]]:
    """The tiles of a slice, and the places of the prompts of each; None where everything is looked for."""
    assert opened.tile_size is not None  # else the input is not cut
    if wanted is not None:
        windows = windows_of_prompts(wanted, height=opened.height, width=opened.width, size=opened.tile_size)
        return list(windows), list(windows.values())
    tiles = tile_image(opened.height, opened.width, size=opened.tile_size, overlap=opened.tile_overlap)
    return tiles, [None] * len(tiles)


def _reader(spool: Path) -> Callable[[], npt.NDArray[np.integer]]:
    return lambda: read_labels(spool)


def _scores(spools: Sequence[Path], best: Sequence[tuple[int, int]]) -> list[float]:
    """Predicted IoU of each object, of the piece with most of its pixels; each tile is opened once."""
    of_tile: dict[int, list[int]] = {}
    for number, (place, _) in enumerate(best):
        of_tile.setdefault(place, []).append(number)
    scores = [0.0] * len(best)
    for place, own in of_tile.items():
        facts = read_facts(spools[place])
        for number in own:
            scores[number] = float(facts[best[number][1] - 1]["predicted_iou"])
    return scores


def _masks_of(
    model: Model, image: Image, wanted: Sequence[PromptedObject] | None
) -> tuple[list[GeneratedMask], Funnel]:
    """Masks of an image: one for each prompt, in their order, or everything in it, and what was left of candidates."""
    if wanted is None:
        made = generate(model.segmenter, np.ascontiguousarray(image), model.generate)
        return made.masks, made.funnel
    height, width = image.shape[:2]
    features = encode(model.segmenter, np.ascontiguousarray(image), model.device)
    found: dict[int, GeneratedMask] = {}
    for place, answer in ask(model.segmenter, features, wanted, height=height, width=width):
        found[place] = as_mask(answer)
    return [found[place] for place in range(len(wanted))], Funnel()


def as_mask(answer: Answer) -> GeneratedMask:
    """An answer as masks are kept: encoded. Its stability is not asked for, so it counts as 1."""
    height, width = answer.mask.shape
    area = int(np.count_nonzero(answer.mask))
    box = next_box(answer.mask, margin=0) if area else (0.0, 0.0, 0.0, 0.0)
    return GeneratedMask(
        rle=Rle(size=(height, width), counts=encode_masks(answer.mask[None])[0]),
        box=box,
        area=area,
        predicted_iou=answer.predicted_iou,
        stability=1.0,
        point=((box[0] + box[2]) / 2, (box[1] + box[3]) / 2),
        crop=(0, 0, width, height),
    )


def described(wanted: PromptedObject) -> dict[str, Any]:
    """A prompt as the record keeps it."""
    facts: dict[str, Any] = {"clicks": [list(click) for click in wanted.clicks]} if wanted.clicks else {}
    if wanted.box is not None:
        facts["box"] = list(wanted.box)
    if wanted.score is not None:
        facts["detector_score"] = wanted.score
    return facts


def asked_of(wanted: Sequence[PromptedObject] | None, masks: Sequence[object]) -> Sequence[PromptedObject | None]:
    """The prompt of each mask; None for automatic ones."""
    return [None] * len(masks) if wanted is None else wanted


def _found(number: int, mask: GeneratedMask, wanted: PromptedObject | None, place: int | None) -> Found:
    if wanted is None:
        prompt = {"automatic": True, "click": list(mask.point), "stability": mask.stability}
        return Found(number, mask.predicted_iou, "", prompt, place)
    return Found(number, mask.predicted_iou, wanted.category, described(wanted), place)
