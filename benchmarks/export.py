"""How long a click takes: one prompt through the exported decoder in ONNX Runtime, float32 and int8, beside PyTorch.

    python benchmarks/export.py [--model vit-b|tiny] [--threads 2] [--clicks 50]

One object, one click, the single mask and three candidates, on the CPU; the embedding is there already. Milliseconds
are the median and the 95th percentile of `--clicks` calls, after five that do not count; the three take turns, so that
all see the same machine. The weights of `vit-b` (Segment Anything's decoder at 1024 px) are random: speed does not
depend on them.
Needs the extra: pip install 'adapt-sam[export]'.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from transformers import SamConfig, SamVisionConfig

from adapt.export import DECODER, DECODER_INT8, check_extra, open_decoder, write_decoder, write_quantised
from adapt.export.modules import Decoder
from adapt.export.runtime import Decode
from adapt.segmenters.initial import initialised
from adapt.segmenters.tiny import tiny_config

WARM_UP = 5


def click(size: int, channels: int) -> tuple[Tensor, ...]:
    """The decoder's inputs for one click."""
    side = size // 16
    points = torch.tensor([[[size / 2, size / 2], [0.0, 0.0]]])
    embedding = torch.randn(1, channels, side, side)
    return embedding, points, torch.tensor([[1, -1]]), torch.zeros(1, 1, 4 * side, 4 * side), torch.zeros(1)


@torch.inference_mode()
def milliseconds(decoders: dict[str, Decode], inputs: tuple[Tensor, ...], *, clicks: int) -> dict[str, list[float]]:
    """Of each call, by decoder, in turn."""
    taken: dict[str, list[float]] = {name: [] for name in decoders}
    for _ in range(WARM_UP + clicks):
        for name, decode in decoders.items():
            begun = time.perf_counter()
            decode(*inputs)
            taken[name].append(1000 * (time.perf_counter() - begun))
    return {name: values[WARM_UP:] for name, values in taken.items()}


def main() -> None:
    """Export, time, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=["vit-b", "tiny"], default="vit-b")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clicks", type=int, default=50)
    options = parser.parse_args()
    check_extra()
    torch.set_num_threads(options.threads)
    # the encoder is not timed, so one layer of it does
    large = SamConfig(vision_config=SamVisionConfig(num_hidden_layers=1))
    config = tiny_config() if options.model == "tiny" else large
    model = initialised(config, seed=0)
    size, channels = config.vision_config.image_size, config.vision_config.output_channels
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_decoder(model, folder)
        write_quantised(folder)
        decoders: dict[str, Decode] = {
            "PyTorch": Decoder(model).eval(),
            "ONNX Runtime": open_decoder(folder / DECODER, threads=options.threads),
            "ONNX Runtime, int8": open_decoder(folder / DECODER_INT8, threads=options.threads),
        }
        sizes = {"ONNX Runtime": DECODER, "ONNX Runtime, int8": DECODER_INT8}
        megabytes = {name: (folder / file).stat().st_size / 1e6 for name, file in sizes.items()}
        taken = milliseconds(decoders, click(size, channels), clicks=options.clicks)
    table = Table(title=f"One click, {options.model} at {size} px, {options.threads} threads")
    for column in ("decoder", "median ms", "95 % ms", "MB"):
        table.add_column(column, justify="left" if column == "decoder" else "right")
    for name, values in taken.items():
        late = statistics.quantiles(values, n=20)[-1]
        held = f"{megabytes[name]:.1f}" if name in megabytes else ""
        table.add_row(name, f"{statistics.median(values):.1f}", f"{late:.1f}", held)
    Console().print(table)


if __name__ == "__main__":
    main()
