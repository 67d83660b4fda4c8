"""Other methods of peft for Linear layers, through the door of LoRA; a fused layer is adapted whole.

Sources: IA3 (Liu et al., 2022), LoHa (FedPara: Hyeon-Woo et al., 2022; LyCORIS: Yeh et al., 2023), OFT (Qiu et al.,
2023), VeRA (Kopiczko et al., 2024).
"""

from collections.abc import Sequence

from peft import IA3Config, LoHaConfig, OFTConfig, PeftConfig, VeraConfig

from adapt.errors import RecipeError
from adapt.recipe import Ia3Tuning, LohaTuning, OftTuning, VeraTuning
from adapt.segmenters import LinearSite, PromptableSegmenter
from adapt.tuning.inserted import insert_by_peft
from adapt.tuning.placement import chosen_sites, freeze, linear_of


def tune_by_peft(segmenter: PromptableSegmenter, settings: Ia3Tuning | LohaTuning | OftTuning | VeraTuning) -> None:
    """Freeze the model, and adapt the chosen layers; the decoder trains if asked.

    Raises:
        RecipeError: no such layers, only parts of a fused one, or sizes that do not fit.
    """
    sites = chosen_sites(segmenter, settings.targets, settings.blocks)
    for site in sites:
        _check_whole(site, settings.targets, mode=settings.mode)
    config = _config(segmenter, sites, settings)
    freeze(segmenter, decoder=settings.decoder)
    insert_by_peft(segmenter, config)


def _check_whole(site: LinearSite, targets: Sequence[str], *, mode: str) -> None:
    missing = [role for role in site.roles if role not in targets]
    if missing:
        raise RecipeError(
            f"tuning.targets: mode {mode} adapts {site.name} as a whole, which computes {', '.join(site.roles)}; name "
            f"{', '.join(missing)} too, or none of them. Mode lora adapts parts"
        )


def _config(
    segmenter: PromptableSegmenter,
    sites: Sequence[LinearSite],
    settings: Ia3Tuning | LohaTuning | OftTuning | VeraTuning,
) -> PeftConfig:
    names = [site.name for site in sites]
    match settings:
        case Ia3Tuning():
            inputs = [site.name for site in sites if site.roles == ("mlp",)]
            return IA3Config(target_modules=names, feedforward_modules=inputs)
        case LohaTuning():
            for site in sites:
                _check_rank(segmenter, site, settings.rank)
            return LoHaConfig(r=settings.rank, alpha=settings.alpha, target_modules=names)  # type: ignore[arg-type]
        case OftTuning():
            for site in sites:
                _check_block_size(segmenter, site, settings.block_size)
            return OFTConfig(oft_block_size=settings.block_size, target_modules=names)
        case VeraTuning():
            return VeraConfig(r=settings.rank, target_modules=names)


def _check_rank(segmenter: PromptableSegmenter, site: LinearSite, rank: int) -> None:
    layer = linear_of(segmenter, site)
    most = min(layer.in_features, layer.out_features)
    if rank > most:
        raise RecipeError(
            f"tuning.rank {rank} is larger than the layer {site.name} (from {layer.in_features} to "
            f"{layer.out_features} channels): set {most} or less"
        )


def _check_block_size(segmenter: PromptableSegmenter, site: LinearSite, size: int) -> None:
    channels = linear_of(segmenter, site).in_features
    if channels % size:
        raise RecipeError(
            f"tuning.block_size {size} does not divide the {channels} channels that {site.name} reads; take one that "
            "does, as 16"
        )
