"""For `make families`: PyPI's torchvision, which is built for CUDA, imported beside a torch that is not.

Without CUDA its own operators are not there, and its import asks for two of them. They are named here, so that the
import goes on; nothing that a test calls uses one. A torchvision that fits is left alone.
"""

from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from pathlib import Path

import torch


def _built_for_cuda() -> bool:
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None:
        raise PackageNotFoundError("torchvision")
    return "+cu" in (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8")


if _built_for_cuda() and torch.version.cuda is None:
    NAMES = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        NAMES.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
