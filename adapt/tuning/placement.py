"""Where in the model a tuning mode takes hold: which blocks of the encoder, which Linear layers."""

from collections.abc import Sequence
from typing import Literal

from torch import nn

from adapt.errors import RecipeError
from adapt.segmenters import EncoderBlock, LinearSite, PromptableSegmenter


def freeze(segmenter: PromptableSegmenter, *, decoder: bool) -> None:
    """Nothing trains any more, but the mask decoder if asked."""
    for _, parameter in segmenter.named_parameters():
        parameter.requires_grad_(False)
    if decoder:
        for parameter in segmenter.mask_decoder.parameters():
            parameter.requires_grad_(True)


def last_blocks(segmenter: PromptableSegmenter, blocks: int | Literal["all", "half"]) -> Sequence[EncoderBlock]:
    """The last blocks of the encoder: all, half (rounded down, one at least), or a number.

    Raises:
        RecipeError: the encoder has fewer, or none at all.
    """
    every = segmenter.blocks
    if not every:
        raise RecipeError(
            f"tuning.mode: the encoder of {segmenter.family} is built of convolutions, and has no blocks that this "
            "mode could act on; set tuning.mode to decoder or full, or lora with tuning.targets=[decoder_attention] "
            "and tuning.decoder=false"
        )
    count = {"all": len(every), "half": max(1, len(every) // 2)}.get(str(blocks), blocks)
    assert isinstance(count, int)
    if count > len(every):
        raise RecipeError(f"tuning.blocks {count} is more than the {len(every)} blocks of this encoder; or set all")
    return every[len(every) - count :]


def chosen_sites(
    segmenter: PromptableSegmenter, targets: Sequence[str], blocks: int | Literal["all", "half"]
) -> list[LinearSite]:
    """The Linear layers that have one of the roles, those of the encoder in its last blocks.

    Raises:
        RecipeError: the model has none of a role, or fewer blocks.
    """
    known = {role for site in segmenter.linears for role in site.roles}
    if set(targets) == {"decoder_attention"} and not segmenter.blocks:
        return list(segmenter.linears)
    last = {block.stage for block in last_blocks(segmenter, blocks)}
    unknown = [target for target in targets if target not in known]
    if unknown:
        raise RecipeError(
            f"tuning.targets: this model has no {', '.join(unknown)}; what it has: {', '.join(sorted(known))}"
        )
    stages = {None, *last}
    return [site for site in segmenter.linears if site.stage in stages and set(site.roles) & set(targets)]


def linear_of(segmenter: PromptableSegmenter, site: LinearSite) -> nn.Linear:
    """The layer itself."""
    layer = segmenter.model.get_submodule(site.name)
    assert isinstance(layer, nn.Linear)
    return layer
