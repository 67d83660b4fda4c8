"""Ways to tune: each sets which parameters train, and says so; some put parts into the model first."""

from adapt.tuning.adapter import neutral
from adapt.tuning.adapter_folder import base_weights, load_adapter, save_adapter
from adapt.tuning.decoder import tune_decoder
from adapt.tuning.full import tune_fully
from adapt.tuning.inserted import has_inserted
from adapt.tuning.interpolation import interpolate, mixed
from adapt.tuning.merging import merge
from adapt.tuning.modes import choose
from adapt.tuning.text_token import takes_text
from adapt.tuning.trainable import trainable_names, trainable_table
from adapt.tuning.unasked import freeze_unasked

__all__ = [
    "base_weights",
    "choose",
    "freeze_unasked",
    "has_inserted",
    "interpolate",
    "load_adapter",
    "merge",
    "mixed",
    "neutral",
    "save_adapter",
    "takes_text",
    "trainable_names",
    "trainable_table",
    "tune_decoder",
    "tune_fully",
]
