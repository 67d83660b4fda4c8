"""One space for regions of images and for texts: CLIP (Radford et al., 2021), frozen.

An object's embedding is that of the square crop around its mask, with all else taken away, and with what is around it
(Segment Anything, appendix D.5). All embeddings have the length of the root of their dimension, so that each number is
about 1.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from adapt.errors import CheckpointError
from adapt.text.concepts import clip_tokens
from adapt.text.loading import Place, find_text_model, load_tokenizer, load_weights

KEY = "tuning.clip"
CROPS = 32
"""That are looked at together."""


def find_clip(name: str, *, revision: str | None) -> Place:
    """Where a CLIP lies.

    Raises:
        CheckpointError: see `find_text_model`.
    """
    return find_text_model(name, revision=revision, key=KEY, kinds=["clip"])


def clip_width(place: Place) -> int:
    """D, numbers of an embedding; no weights are read.

    Raises:
        CheckpointError: its configuration does not say.
    """
    width = place.config.get("projection_dim", CLIPConfig().projection_dim)
    if not isinstance(width, int) or width < 1:
        raise CheckpointError(
            f"{KEY} {place.name}: its config.json has a projection_dim of {width!r}; download it again"
        )
    return width


class ClipEmbedder:
    """A CLIP on its device."""

    def __init__(self, place: Place, *, device: torch.device) -> None:
        """Load it.

        Raises:
            CheckpointError: it cannot be read.
        """
        self.version = place.version
        self._tokenizer = load_tokenizer(CLIPTokenizer, place)
        self.model = load_weights(CLIPModel, place).to(device)

    @torch.inference_mode()
    def regions(self, image: npt.NDArray[np.uint8], masks: npt.NDArray[np.bool_], *, context: float) -> Tensor:
        """(N, 2, D) float32 embeddings of objects, each alone and with what is around it.

        Args:
            image: (H, W, 3) uint8.
            masks: (N, H, W) bool, none empty.
            context: side of the crop, as a multiple of the longer side of the object's box.
        """
        size = self.model.config.vision_config.image_size
        crops = [crop for mask in masks for crop in region_crops(image, mask, size=size, context=context)]
        found = [
            self.model.get_image_features(torch.stack(part).to(self.model.device)).pooler_output
            for part in _parts(crops)
        ]
        both: Tensor = _at_length(torch.cat(found)).unflatten(0, (len(masks), 2))
        return both

    @torch.inference_mode()
    def phrases(self, phrases: Sequence[str]) -> Tensor:
        """(P, D) float32 embeddings of texts.

        Raises:
            DataError: one is too long.
        """
        longest = self.model.config.text_config.max_position_embeddings
        read = [clip_tokens(phrase, self._tokenizer, longest=longest) for phrase in phrases]
        ids, seen = (torch.cat([one[name] for one in read]) for name in ("input_ids", "attention_mask"))
        found = self.model.get_text_features(ids.to(self.model.device), seen.to(self.model.device))
        return _at_length(found.pooler_output)


def _parts(crops: Sequence[Tensor]) -> list[list[Tensor]]:
    return [list(crops[start : start + CROPS]) for start in range(0, len(crops), CROPS)]


def _at_length(embeddings: Tensor) -> Tensor:
    scaled: Tensor = functional.normalize(embeddings.float().cpu(), dim=-1) * embeddings.shape[-1] ** 0.5
    return scaled


def region_crops(
    image: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_], *, size: int, context: float
) -> tuple[Tensor, Tensor]:
    """The square around an object without and with what is around it, (3, size, size) float32 each, as CLIP reads it.

    Outside of the image, and of the object where it is alone, pixels have CLIP's mean.

    Args:
        image: (H, W, 3) uint8.
        mask: (H, W) bool, not empty.
        size: of CLIP's images.
        context: see `ClipEmbedder.regions`.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    tall, wide = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    side = max(1, round(context * max(tall, wide)))
    top, left = (int(first + length / 2 - side / 2) for first, length in ((rows[0], tall), (columns[0], wide)))
    mean = np.array(OPENAI_CLIP_MEAN) * 255
    around = np.empty((side, side, 3), dtype=np.uint8)
    around[:] = mean.round()
    alone = around.copy()
    height, width = mask.shape
    inside = slice(max(top, 0), min(top + side, height)), slice(max(left, 0), min(left + side, width))
    placed = slice(inside[0].start - top, inside[0].stop - top), slice(inside[1].start - left, inside[1].stop - left)
    around[placed] = image[inside]
    alone[placed][mask[inside]] = image[inside][mask[inside]]
    deviation = np.array(OPENAI_CLIP_STD) * 255

    def read(pixels: npt.NDArray[np.uint8]) -> Tensor:
        resized = np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC))
        return torch.from_numpy(((resized - mean) / deviation).astype(np.float32)).permute(2, 0, 1)

    return read(alone), read(around)
