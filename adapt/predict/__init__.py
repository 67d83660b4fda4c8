"""Masks for images that nobody has labelled: prompts or none in, the format of the domain out."""

from adapt.predict.inputs import usual_recipe
from adapt.predict.job import predict
from adapt.predict.naming import NamingModel, TextMasks
from adapt.predict.records import weights_key
from adapt.predict.request import Request
from adapt.predict.segmenting import Model
from adapt.predict.tally import Tally
from adapt.predict.text_boxes import TextBoxes

__all__ = [
    "Model",
    "NamingModel",
    "Request",
    "Tally",
    "TextBoxes",
    "TextMasks",
    "predict",
    "usual_recipe",
    "weights_key",
]
