"""A tuned model for programs that know neither this package nor transformers: ONNX, and programs of torch.export."""

from adapt.export.check import check_files
from adapt.export.files import (
    DECODER,
    DECODER_INT8,
    ENCODER,
    OPSET,
    check_extra,
    write_decoder,
    write_encoder,
    write_quantised,
)
from adapt.export.modules import LABELS
from adapt.export.runtime import open_decoder, with_decoder

__all__ = [
    "DECODER",
    "DECODER_INT8",
    "ENCODER",
    "LABELS",
    "OPSET",
    "check_extra",
    "check_files",
    "open_decoder",
    "with_decoder",
    "write_decoder",
    "write_encoder",
    "write_quantised",
]
