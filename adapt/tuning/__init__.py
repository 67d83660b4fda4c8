"""Ways to tune: each sets which parameters train, and says so."""

from adapt.tuning.decoder import tune_decoder
from adapt.tuning.full import tune_fully
from adapt.tuning.interpolation import interpolate, mixed
from adapt.tuning.trainable import trainable_names, trainable_table

__all__ = ["interpolate", "mixed", "trainable_names", "trainable_table", "tune_decoder", "tune_fully"]
