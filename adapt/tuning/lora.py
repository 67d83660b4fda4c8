"""LoRA beside the Linear layers, by peft; of a fused layer, beside the parts that are named.

Sources: LoRA (Hu et al., 2021), rsLoRA (Kalajdzievski, 2023), DoRA (Liu et al., 2024).

A LoRA of rank r beside each of n parts of a fused layer is one LoRA of rank n r beside the whole: its down-projections
stacked, its up-projections on the diagonal of blocks, zero elsewhere. In this form it is trained and saved, so that
peft loads it on the stock model; only the blocks are parameters. The frozen layer is computed as it always was.
"""

import math
import re
from collections.abc import Sequence

from peft import LoraConfig
from peft.tuners.lora import LoraLayer
from torch import nn

from adapt.errors import RecipeError
from adapt.recipe import LoraTuning
from adapt.segmenters import LinearSite, PromptableSegmenter
from adapt.tuning.inserted import ADAPTER, insert_by_peft
from adapt.tuning.parts import PartsMagnitude, PartsUp
from adapt.tuning.placement import chosen_sites, freeze, linear_of
from adapt.tuning.quantised import quantise


def tune_lora(segmenter: PromptableSegmenter, settings: LoraTuning) -> None:
    """Freeze the model, and put a LoRA beside each chosen layer; the decoder trains if asked.

    Raises:
        RecipeError: no such layers, a rank larger than a layer, or an encoder that cannot be quantised here.
    """
    sites = chosen_sites(segmenter, settings.targets, settings.blocks)
    parts = {site.name: [role for role in site.roles if role in settings.targets] for site in sites}
    for site in sites:
        _check_rank(segmenter, site, settings.rank)
    if settings.encoder_bits is not None:
        quantise(segmenter, bits=settings.encoder_bits)
    freeze(segmenter, decoder=settings.decoder)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]  # peft only divides it
        lora_dropout=settings.dropout,
        use_dora=settings.dora,
        use_rslora=settings.rslora,
        target_modules=[site.name for site in sites],
        rank_pattern={re.escape(name): settings.rank * len(of) for name, of in parts.items() if len(of) > 1},
        alpha_pattern={
            re.escape(name): settings.alpha * (math.sqrt(len(of)) if settings.rslora else len(of))
            for name, of in parts.items()
            if len(of) > 1
        },
    )
    insert_by_peft(segmenter, config)
    for site in sites:
        if len(site.roles) > 1:
            _keep_to_parts(segmenter.model.get_submodule(site.name), site.roles, parts[site.name])


def _check_rank(segmenter: PromptableSegmenter, site: LinearSite, rank: int) -> None:
    layer = linear_of(segmenter, site)
    rows = layer.out_features // len(site.roles)
    if rank > min(rows, layer.in_features):
        raise RecipeError(
            f"tuning.rank {rank} is larger than the layer {site.name} (from {layer.in_features} to {rows} channels): "
            f"set {min(rows, layer.in_features)} or less"
        )


def _keep_to_parts(layer: nn.Module, roles: Sequence[str], of: Sequence[str]) -> None:
    """Leave only the up-projections, and the magnitudes, of some parts of a fused layer as parameters."""
    assert isinstance(layer, LoraLayer)
    layer.lora_B[ADAPTER] = PartsUp(layer.lora_B[ADAPTER].get_parameter("weight"), roles, of)
    if ADAPTER in layer.lora_magnitude_vector:
        magnitude = layer.lora_magnitude_vector[ADAPTER].get_parameter("weight")
        layer.lora_magnitude_vector[ADAPTER] = PartsMagnitude(magnitude, roles, of)
