"""`adapt convert`: a file of weights as its authors published it, as a folder that `model.checkpoint` names."""

import argparse
from pathlib import Path

from adapt.errors import RunError
from adapt.families import ORIGINALS
from adapt.files import make_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `adapt convert`."""
    parser.add_argument("file", metavar="FILE", help=f"of {ORIGINALS}: sam_vit_b_01ec64.pth, mobile_sam.pt, ...")
    parser.add_argument("--output", required=True, metavar="FOLDER", help="new folder, for the checkpoint")


def run(options: argparse.Namespace) -> None:
    """Read weights, and nothing else; write them as `config.json` and `model.safetensors`."""
    source, output = Path(options.file), Path(options.output)
    if output.exists():
        raise RunError(f"{output} is there already; give --output a new folder")
    from adapt.originals import published_model, read_weights
    from adapt.runs import check_writable, write_folder
    from adapt.segmenters.quiet import quiet_transformers

    check_writable(output)
    model = published_model(read_weights(source), source=str(source))
    make_folder(output.parent, then="or give --output another folder")
    with quiet_transformers():
        write_folder(output, model.save_pretrained)
    print(f"{output} ({model.config.model_type}, {model.num_parameters():,} parameters)")
