"""Exported decoders in ONNX Runtime: with tensors, and in the place of a segmenter's own."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adapt.export.files import DECODER_INPUTS
from adapt.export.modules import LABELS
from adapt.prompts import Prompts
from adapt.segmenters import ImageFeatures, MaskPredictions, PromptableSegmenter

Decode = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def open_session(path: Path, *, threads: int = 0) -> Any:  # noqa: ANN401 - of an optional library
    """An ONNX Runtime session on the CPU; 0 threads: as many as there are cores."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def open_decoder(path: Path, *, threads: int = 0) -> Decode:
    """An exported decoder as a function of tensors; see `Decoder.forward`."""
    session = open_session(path, threads=threads)

    def decode(*inputs: Tensor) -> tuple[Tensor, Tensor]:
        given = {name: value.numpy() for name, value in zip(DECODER_INPUTS, inputs, strict=True)}
        logits, iou = session.run(None, given)
        return torch.from_numpy(np.asarray(logits)), torch.from_numpy(np.asarray(iou))

    return decode


def with_decoder(segmenter: PromptableSegmenter, decode: Decode) -> PromptableSegmenter:
    """A copy that shares everything with a segmenter but the decoder; for one image at a time, on the CPU."""

    def decoded(features: ImageFeatures, prompts: Prompts, *, multimask: bool) -> MaskPredictions:
        points, labels = as_points(prompts)
        side = segmenter.spec.mask_size
        masks = prompts.masks
        given = torch.zeros(len(points), 1, side, side) if masks is None else masks[0].float()
        has_mask = torch.full((len(points),), float(masks is not None))
        logits, iou = decode(features.embedding.contiguous(), points, labels, given.contiguous(), has_mask)
        chosen = slice(1, None) if multimask else slice(0, 1)
        return MaskPredictions(logits=logits[None, :, chosen], iou=iou[None, :, chosen])

    twin = copy.copy(segmenter)
    twin.decode = decoded  # type: ignore[method-assign]
    return twin


def as_points(prompts: Prompts) -> tuple[Tensor, Tensor]:
    """Prompts of one image as points (N, P, 2) and labels (N, P), in the words of `LABELS`."""
    count = prompts.object_valid.shape[1]
    points, labels = torch.zeros(count, 0, 2), torch.zeros(count, 0, dtype=torch.int64)
    if prompts.points is not None and prompts.point_labels is not None:
        points, labels = prompts.points[0].float(), prompts.point_labels[0].long()
    if prompts.boxes is None:
        more, kinds = torch.zeros(count, 1, 2), [LABELS["no_more"]]
    else:
        more = prompts.boxes[0].float().reshape(count, 2, 2)
        kinds = [LABELS["box_top_left"], LABELS["box_bottom_right"]]
    return torch.cat((points, more), dim=1), torch.cat((labels, torch.tensor([kinds] * count)), dim=1)
