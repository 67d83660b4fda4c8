"""From a stock model to files: ONNX for ONNX Runtime, `torch.export` programs for PyTorch."""

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from transformers import SamModel

from adapt.errors import RunError
from adapt.export.modules import Decoder, Encoder

OPSET = 18
NEEDED = ("onnx", "onnxruntime", "onnxscript")
ENCODER, DECODER, DECODER_INT8 = "encoder.onnx", "decoder.onnx", "decoder_int8.onnx"
PROGRAMS = {"encoder": "encoder.pt2", "decoder": "decoder.pt2"}
DECODER_INPUTS = ("embedding", "points", "labels", "masks", "has_mask")


def check_extra() -> None:
    """Fail early if the libraries are not there.

    Raises:
        RunError: names what to install.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise RunError(f"adapt export needs {', '.join(missing)}; install it: pip install 'adapt-sam[export]'")


def write_encoder(model: SamModel, folder: Path) -> None:
    """Write the encoder as ONNX, and as a program of `torch.export`.

    Args:
        model: stock, in eval mode, float32, on the CPU.
        folder: receives the files.
    """
    size: int = model.config.vision_config.image_size
    program = _traced(Encoder(model), (torch.zeros(1, 3, size, size),), None)
    _write(program, folder / ENCODER, inputs=("images",), outputs=("embedding",))
    _save(program, folder / PROGRAMS["encoder"])


def write_decoder(model: SamModel, folder: Path) -> None:
    """Write the decoder likewise; objects and points may be as many as they like."""
    embedding: Tensor = model.get_image_wide_positional_embeddings()
    channels, side = embedding.shape[1], embedding.shape[-1]
    objects, points = Dim("objects", min=1, max=4096), Dim("points", min=1, max=1024)
    prompts = (
        torch.zeros(1, channels, side, side),
        torch.zeros(3, 2, 2),
        torch.ones(3, 2, dtype=torch.int64),
        torch.zeros(3, 1, 4 * side, 4 * side),
        torch.zeros(3),
    )
    shapes = (None, {0: objects, 1: points}, {0: objects, 1: points}, {0: objects}, {0: objects})
    program = _traced(Decoder(model), prompts, shapes)
    _write(program, folder / DECODER, inputs=DECODER_INPUTS, outputs=("logits", "iou"))
    _save(program, folder / PROGRAMS["decoder"])


def write_quantised(folder: Path) -> Path:
    """Write the decoder a second time, its weights in 8 bits and its activations quantised as they come."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    decoder = onnx.load(folder / DECODER)
    del decoder.graph.value_info[:]  # the quantiser infers shapes again, and stumbles over those of the exporter
    with _quiet():
        quantize_dynamic(decoder, folder / DECODER_INT8, weight_type=QuantType.QInt8, per_channel=True)
    return folder / DECODER_INT8


@torch.no_grad()
def _traced(module: nn.Module, example: tuple[Tensor, ...], shapes: object) -> ExportedProgram:
    with _quiet():
        return torch.export.export(module.eval(), example, dynamic_shapes=shapes)  # type: ignore[arg-type]


def _write(program: ExportedProgram, path: Path, *, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
    with _quiet():
        torch.onnx.export(
            program,
            (),
            path,
            dynamo=True,
            opset_version=OPSET,
            input_names=inputs,
            output_names=outputs,
            external_data=False,
            verbose=False,
        )


def _save(program: ExportedProgram, path: Path) -> None:
    with _quiet():
        torch.export.save(program, path)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing that exporters print or warn of; what they make is checked."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
