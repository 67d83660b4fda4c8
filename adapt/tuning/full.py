"""Full tuning: encoder, prompt encoder and decoder train; for pretraining, and for domains far from photographs."""

from adapt.segmenters import PromptableSegmenter
from adapt.tuning.decoder import FREQUENCIES
from adapt.tuning.drop_path import set_drop_path
from adapt.tuning.placement import freeze


def tune_fully(segmenter: PromptableSegmenter, *, drop_path: float) -> None:
    """Train everything but the Fourier frequencies, which place both points and pixels (see `tune_decoder`).

    Nor does what is in none of the three parts: SAM 2's embedding of no memory, which acts as a bias of the neck's.

    Args:
        segmenter: any.
        drop_path: see `set_drop_path`.
    """
    freeze(segmenter, decoder=True)
    for parameter in segmenter.encoder.parameters():
        parameter.requires_grad_(True)
    for name, parameter in segmenter.prompt_encoder.named_parameters():
        parameter.requires_grad_(not name.startswith(FREQUENCIES))
    set_drop_path(segmenter, drop_path)
