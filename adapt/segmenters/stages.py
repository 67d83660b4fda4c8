"""Stages of an encoder from its blocks, where the outputs of some are read again behind the last one."""

from collections.abc import Container, Sequence

from torch import nn

from adapt.segmenters.protocol import EncoderStage, Hidden


def block_stages(
    blocks: Sequence[nn.Module], shapes: Sequence[tuple[int, ...]], *, kept: Container[int] = ()
) -> list[EncoderStage]:
    """A stage a block; see `part_stages`."""
    return part_stages([(block,) for block in blocks], shapes, kept=kept)


def part_stages(
    parts: Sequence[tuple[nn.Module, ...]], shapes: Sequence[tuple[int, ...]], *, kept: Container[int] = ()
) -> list[EncoderStage]:
    """A stage a part; each hands on what it makes, behind the kept outputs of the parts before it.

    Args:
        parts: modules that run one after the other, from one tensor to the next.
        shapes: of what each part makes of one image.
        kept: the parts whose outputs are handed on to the end.
    """
    stages: list[EncoderStage] = []
    carried: tuple[tuple[int, ...], ...] = ()
    for place, (part, shape) in enumerate(zip(parts, shapes, strict=True)):
        stages.append(_stage(part, (*carried, shape), keeps_input=place > 0 and place - 1 in kept))
        if place in kept:
            carried = (*carried, shape)
    return stages


def _stage(part: tuple[nn.Module, ...], shapes: tuple[tuple[int, ...], ...], *, keeps_input: bool) -> EncoderStage:
    def run(hidden: Hidden) -> Hidden:
        *carried, value = hidden
        if keeps_input:
            carried.append(value)
        for module in part:
            value = module(value)
        return (*carried, value)

    return EncoderStage(run, part, shapes)
