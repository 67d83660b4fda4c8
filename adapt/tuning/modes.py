"""`tuning.mode`: each mode sets which parameters train; some put parts into the model first."""

from adapt.errors import RecipeError
from adapt.recipe import (
    AdapterTuning,
    DecoderTuning,
    FullTuning,
    Ia3Tuning,
    LohaTuning,
    LoraTuning,
    NormTuning,
    OftTuning,
    ScaleShiftTuning,
    TextTokenTuning,
    TuningSettings,
    VeraTuning,
)
from adapt.segmenters import PromptableSegmenter
from adapt.tuning.adapter import tune_adapter
from adapt.tuning.decoder import tune_decoder
from adapt.tuning.full import tune_fully
from adapt.tuning.inserted import has_inserted
from adapt.tuning.lora import tune_lora
from adapt.tuning.norm import tune_norms
from adapt.tuning.peft_methods import tune_by_peft
from adapt.tuning.scale_shift import tune_scale_shift
from adapt.tuning.text_token import tune_text_token
from adapt.tuning.trainable import trainable_names


def choose(segmenter: PromptableSegmenter, settings: TuningSettings) -> None:
    """Set what trains.

    Raises:
        RecipeError: a key does not fit the model, or nothing would train.
    """
    assert not has_inserted(segmenter), "parts are put into a stock model, once"
    match settings:
        case DecoderTuning():
            tune_decoder(segmenter, prompt_encoder=settings.prompt_encoder, layers=settings.layers)
        case NormTuning():
            tune_norms(segmenter, settings)
        case LoraTuning():
            tune_lora(segmenter, settings)
        case Ia3Tuning() | LohaTuning() | OftTuning() | VeraTuning():
            tune_by_peft(segmenter, settings)
        case AdapterTuning():
            tune_adapter(segmenter, settings)
        case ScaleShiftTuning():
            tune_scale_shift(segmenter, settings)
        case TextTokenTuning():
            tune_text_token(segmenter, settings)
        case FullTuning():
            tune_fully(segmenter, drop_path=settings.drop_path)
    if not trainable_names(segmenter):
        raise RecipeError(f"tuning.mode {settings.mode} with these keys would train nothing; set tuning.decoder=true")
