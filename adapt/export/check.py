"""Whether exported files answer as the model that they were made of, to random prompts of every kind."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from adapt.errors import RunError
from adapt.export.files import DECODER, ENCODER, PROGRAMS
from adapt.export.runtime import Decode, open_decoder, open_session, with_decoder
from adapt.prompts import Prompts
from adapt.segmenters import ImageFeatures, PromptableSegmenter

TOLERANCE = 1e-3
"""Of the largest difference, as a share of the largest value: what float32 in another order gives is far below."""
TRIALS = 12


@torch.no_grad()
def check_files(segmenter: PromptableSegmenter, folder: Path) -> dict[str, float]:
    """The largest difference of each file from torch, as a share of the largest value.

    Raises:
        RunError: one is above `TOLERANCE`; names it.
    """
    generator = torch.Generator().manual_seed(0)
    size = segmenter.spec.image_size
    images = torch.randn(1, 3, size, size, generator=generator)
    features = segmenter.encode(images)
    session = open_session(folder / ENCODER)
    programs = {name: torch.export.load(folder / file).module() for name, file in PROGRAMS.items()}
    embedding = torch.from_numpy(np.asarray(session.run(None, {"images": images.numpy()})[0]))
    found = {
        ENCODER: _apart(embedding, features.embedding),
        PROGRAMS["encoder"]: _apart(programs["encoder"](images), features.embedding),
        DECODER: _decoders_apart(segmenter, features, open_decoder(folder / DECODER), generator),
        PROGRAMS["decoder"]: _decoders_apart(segmenter, features, programs["decoder"], generator),
    }
    for name, apart in found.items():
        if not apart <= TOLERANCE:
            raise RunError(
                f"{name} does not answer as the model: off by {apart:.1e} of the largest value, more than "
                f"{TOLERANCE:.0e}; try other versions of torch and onnxscript (constraints.txt)"
            )
    return found


def random_prompts(size: int, mask_size: int, generator: torch.Generator) -> Prompts:
    """Prompts of one image: some objects, clicks with padding, a box, both, with or without a mask."""

    def drawn(least: int, most: int) -> int:
        return int(torch.randint(least, most + 1, (), generator=generator))

    objects, clicks, kind = drawn(1, 4), drawn(1, 6), drawn(0, 2)
    points = torch.rand(1, objects, clicks, 2, generator=generator) * size
    labels = torch.randint(0, 2, (1, objects, clicks), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 0.2] = -10
    corners = torch.rand(1, objects, 2, 2, generator=generator) * size
    boxes = torch.cat((corners.amin(2), corners.amax(2)), dim=-1)
    masks = 10 * torch.randn(1, objects, 1, mask_size, mask_size, generator=generator)
    return Prompts(
        object_valid=torch.ones(1, objects, dtype=torch.bool),
        points=None if kind == 1 else points,
        point_labels=None if kind == 1 else labels,
        boxes=None if kind == 0 else boxes,
        masks=masks if drawn(0, 1) else None,
    )


def _decoders_apart(
    segmenter: PromptableSegmenter, features: ImageFeatures, decode: Decode, generator: torch.Generator
) -> float:
    twin = with_decoder(segmenter, decode)
    worst = 0.0
    for trial in range(TRIALS):
        prompts = random_prompts(segmenter.spec.image_size, segmenter.spec.mask_size, generator)
        for multimask in (trial % 2 == 0, trial % 2 == 1):
            ours = twin.decode(features, prompts, multimask=multimask)
            theirs = segmenter.decode(features, prompts, multimask=multimask)
            worst = max(worst, _apart(ours.logits, theirs.logits), _apart(ours.iou, theirs.iou))
    return worst


def _apart(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).abs().max() / theirs.abs().max())
