"""Weights as the authors of a segmenter published them (.pth), as models that `save_pretrained` writes."""

from adapt.originals.published import published_model
from adapt.originals.reading import read_weights
from adapt.originals.sam import stock_name

__all__ = ["published_model", "read_weights", "stock_name"]
