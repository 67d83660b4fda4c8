"""The Linear layers of a stock model that can be adapted, by their names and what they compute."""

from collections.abc import Mapping, Sequence

from torch import nn

from adapt.segmenters.protocol import LinearSite

DECODER_LINEARS = ("q_proj", "k_proj", "v_proj", "out_proj", "o_proj")
"""Of an attention of the mask decoder; the output's name differs between families."""


def encoder_linears(blocks: str, count: int, roles: Mapping[str, tuple[str, ...]]) -> list[LinearSite]:
    """Of `count` blocks below the name `blocks`, each with the layers of `roles`; the first one is stage 1."""
    return [
        LinearSite(f"{blocks}.{place}.{name}", of, stage=1 + place)
        for place in range(count)
        for name, of in roles.items()
    ]


def decoder_linears(mask_decoder: nn.Module) -> Sequence[LinearSite]:
    """All of the mask decoder's attention."""
    return [
        LinearSite(f"mask_decoder.{name}", ("decoder_attention",), stage=None)
        for name, module in mask_decoder.named_modules()
        if isinstance(module, nn.Linear) and name.rpartition(".")[2] in DECODER_LINEARS
    ]
