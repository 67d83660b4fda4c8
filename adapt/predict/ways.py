"""Which way of segmenting fits an input."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from adapt.errors import DataError
from adapt.predict.classified import segment_classes
from adapt.predict.following import check_followed, segment_following
from adapt.predict.naming import NamingModel, segment_named
from adapt.predict.opened import Opened
from adapt.predict.prompted import PromptedObject
from adapt.predict.segmenting import Model, Segmentation, segment_in_tiles, segment_whole, tiles_of
from adapt.predict.stack import segment_stack_in_tiles


def segment_input(
    model: Model | NamingModel,
    opened: Opened,
    wanted: Sequence[PromptedObject] | None,
    *,
    follow: bool,
    work: Path,
    advance: Callable[[str | None], None],
) -> Segmentation:
    """The way that fits the input: followed through slices, whole, or in tiles; of classes, their label map.

    Args:
        model: see `Model`, `NamingModel`.
        opened: the input.
        wanted: its prompts; None for automatic masks.
        follow: objects that are prompted on one slice are followed through the others.
        work: folder that keeps the tiles that are done.
        advance: called after each tile or slice, with how far it is.

    Raises:
        DataError: no way fits what is asked.
    """
    tiled = opened.tile_size is not None and max(opened.height, opened.width) > opened.tile_size
    done = 0

    def step(total: int | None) -> None:
        nonlocal done
        done += 1
        advance(f"{done:,}" + (f" of {total:,}" if total else ""))

    if isinstance(model, NamingModel):
        if tiled:
            raise DataError(
                f"objects of a text are looked for in the whole of an image here, and this one of {opened.width} x "
                f"{opened.height} pixels is cut into tiles; raise data.tile_size, or take a model that is prompted by "
                "boxes: those of --text are found in tiles"
            )
        return segment_named(model, opened, advance=partial(step, opened.slices))
    if model.segmenter.classes:
        return segment_classes(model, opened, work=work, advance=partial(step, None))
    if follow and wanted:
        check_followed(opened)
        return segment_following(model, opened, wanted, advance=partial(step, None))
    if not tiled:
        return segment_whole(model, opened, wanted, advance=partial(step, opened.slices))
    if opened.slices > 1:
        return segment_stack_in_tiles(model, opened, wanted, work=work, advance=partial(step, None))
    tiles = len(tiles_of(opened, wanted)[0])
    return segment_in_tiles(model, opened, wanted, index=0, work=work, advance=partial(step, tiles))
