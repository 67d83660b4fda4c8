"""Boxes of phrases, by Grounding DINO (Liu et al., 2023).

The phrases are one caption, with full stops between them. The model gives each of its boxes a score for each word piece
of the caption. The words of a box above `text_threshold` say which phrase it is of; the score of the box is that of the
phrase's most certain word.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import (
    BertTokenizer,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessorPil,
)

from adapt.errors import DataError
from adapt.recipe import TextSettings
from adapt.text.loading import find_text_model, load_part, load_tokenizer, load_weights

SEPARATORS = ".?"
"""Marks at which the model parts a caption; a phrase has none."""
ATTENTION = {"": "eager", "text_config": "sdpa", "backbone_config": "sdpa"}
"""Eager, BERT of transformers 5.23 adds the mask that keeps phrases apart as if it were numbers: they mix."""


@dataclass(frozen=True)
class TextBox:
    """An object that a phrase names.

    Attributes:
        phrase: as it was given.
        score: 0 to 1, of the detector.
        box: XYXY, centres of the first and the last pixel, image frame.
    """

    phrase: str
    score: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Caption:
    """Phrases as the model reads them.

    Attributes:
        phrases: as they were given.
        ids: numbers of the word pieces of the caption.
        spans: where in it each phrase begins, and where it has ended.
    """

    phrases: tuple[str, ...]
    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]


class GroundingDetector:
    """A Grounding DINO on its device, with what reads texts and images for it."""

    def __init__(self, settings: TextSettings, *, device: torch.device) -> None:
        """Load the model that the recipe names.

        Raises:
            CheckpointError: it is not there, or is none.
        """
        place = find_text_model(
            settings.detector, revision=settings.revision, key="text.detector", kinds=["grounding-dino"]
        )
        self.settings, self.version = settings, place.version
        self._tokenizer = load_tokenizer(BertTokenizer, place)
        self.processor = load_part(GroundingDinoImageProcessorPil, place, what="the image processor")
        self.model = load_weights(GroundingDinoForObjectDetection, place, attention=ATTENTION).to(device)

    def caption(self, phrases: Sequence[str]) -> Caption:
        """Phrases as the model reads them; see `caption_of`."""
        config = self.model.config
        longest = min(config.max_text_len, config.text_config.max_position_embeddings)
        return caption_of(phrases, self._tokenizer, longest=longest)

    @torch.inference_mode()
    def boxes(self, image: npt.NDArray[np.uint8], caption: Caption) -> list[TextBox]:
        """The boxes of an image (H, W, 3) uint8, best first."""
        device = self.model.device
        pixels = self.processor(images=np.ascontiguousarray(image), return_tensors="pt")
        ids = torch.tensor([caption.ids], device=device)
        found = self.model(
            pixel_values=pixels["pixel_values"].to(device),
            pixel_mask=pixels["pixel_mask"].to(device),
            input_ids=ids,
            token_type_ids=torch.zeros_like(ids),
            attention_mask=torch.ones_like(ids),
        )
        return named_boxes(
            found.logits[0].float().sigmoid().cpu(),
            found.pred_boxes[0].float().cpu(),
            caption=caption,
            size=(image.shape[0], image.shape[1]),
            box_threshold=self.settings.box_threshold,
            text_threshold=self.settings.text_threshold,
        )


def caption_of(phrases: Sequence[str], tokenizer: BertTokenizer, *, longest: int) -> Caption:
    """One caption of some phrases, with a full stop behind each.

    Raises:
        DataError: a phrase has a mark that parts phrases, no word that the model knows, or all are too long together.
    """
    stop = tokenizer.convert_tokens_to_ids(".")
    ids: list[int] = [tokenizer.cls_token_id]
    spans: list[tuple[int, int]] = []
    for phrase in phrases:
        if any(mark in phrase for mark in SEPARATORS):
            raise DataError(f"--text {phrase!r}: a full stop or question mark ends a phrase; give --text for each")
        own = tokenizer(phrase.lower(), add_special_tokens=False)["input_ids"]
        if not own or all(number == tokenizer.unk_token_id for number in own):
            raise DataError(f"--text {phrase!r}: the text model knows no word of it; say it in plain English words")
        spans.append((len(ids), len(ids) + len(own)))
        ids += [*own, stop]
    ids.append(tokenizer.sep_token_id)
    if len(ids) > longest:
        raise DataError(
            f"--text: {len(phrases)} phrases have {len(ids)} word pieces with the marks between them, and the text "
            f"model takes {longest}; ask for fewer or shorter ones at a time"
        )
    return Caption(tuple(phrases), tuple(ids), tuple(spans))


def named_boxes(
    scores: Tensor,
    boxes: Tensor,
    *,
    caption: Caption,
    size: tuple[int, int],
    box_threshold: float,
    text_threshold: float,
) -> list[TextBox]:
    """Boxes with the phrase that each is of, best first.

    Args:
        scores: (Q, T) float, 0 to 1, of each box and word piece.
        boxes: (Q, 4) float, centre x and y, width and height, as shares of the image.
        caption: of T word pieces.
        size: height and width of the image, pixels.
        box_threshold: see `TextSettings`.
        text_threshold: see `TextSettings`.
    """
    certain = torch.where(scores > text_threshold, scores, 0)
    fits = torch.stack([certain[:, begin:end].mean(1) for begin, end in caption.spans], dim=1)
    best = torch.stack([scores[:, begin:end].amax(1) for begin, end in caption.spans], dim=1)
    chosen = torch.where(fits.amax(1) > 0, fits.argmax(1), best.argmax(1))
    score = best.gather(1, chosen[:, None])[:, 0]
    height, width = size
    centre, half = boxes[:, :2], boxes[:, 2:] / 2
    sides = torch.tensor([width, height], dtype=boxes.dtype)
    first = ((centre - half) * sides).clamp(min=0)
    last = torch.minimum((centre + half) * sides, sides) - 1  # the side of a pixel; ours is its centre
    corners = torch.cat((torch.minimum(first, sides - 1), torch.maximum(first.minimum(sides - 1), last)), dim=1)
    order = score.argsort(descending=True, stable=True)
    return [
        TextBox(caption.phrases[int(chosen[place])], float(score[place]), tuple(corners[place].tolist()))
        for place in order.tolist()
        if score[place] > box_threshold
    ]
