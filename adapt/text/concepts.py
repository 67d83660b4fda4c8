"""All objects of a phrase, by SAM 3 (Carion et al., 2025) without a detector of another kind, untouched or tuned.

Each phrase is asked for by itself. The score of an object is that of its query times that of the phrase being in the
image at all.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import CLIPTokenizer, Sam3Model

from adapt.errors import CheckpointError, DataError
from adapt.families import CONCEPTS
from adapt.segmenters import ImageFeatures, PromptableSegmenter, Segmenter, Texts, detector_of
from adapt.segmenters.sam3_concepts import FAMILY
from adapt.text.loading import Place, find_text_model, load_tokenizer, load_weights
from adapt.text.masks import TextMask

Tokens = Mapping[str, dict[str, Tensor]]
"""From a phrase to what the text encoder reads of it."""
KEY = "model.checkpoint"
NEEDED = "concepts.learn tunes a SAM 3: set model.checkpoint to facebook/sam3, or to a folder of one"


def has_concepts(checkpoint: str, *, revision: str | None) -> bool:
    """Whether a checkpoint is a SAM 3 that finds objects by text; False too if it cannot be reached."""
    try:
        find_text_model(checkpoint, revision=revision, key=KEY, kinds=CONCEPTS)
    except CheckpointError:
        return False
    return True


def find_concepts(checkpoint: str, *, revision: str | None) -> Place:
    """Where a SAM 3 lies that finds objects by text.

    Raises:
        CheckpointError: it is not there, or has no part that finds objects by text.
    """
    if checkpoint.startswith("adapt:"):
        raise CheckpointError(f"{KEY} {checkpoint!r} knows no phrases; {NEEDED}")
    try:
        return find_text_model(checkpoint, revision=revision, key=KEY, kinds=CONCEPTS)
    except CheckpointError as error:
        raise CheckpointError(f"{error}. {NEEDED}") from None


def load_concepts(checkpoint: str, *, revision: str | None) -> Segmenter:
    """The part of a SAM 3 that is asked by phrases, in float32 on the CPU, in eval mode.

    Raises:
        CheckpointError: see `find_concepts`, or its weights cannot be read.
    """
    place = find_concepts(checkpoint, revision=revision)
    model = load_weights(Sam3Model, place)
    model.config._commit_hash = place.revision
    return Segmenter(model, FAMILY).eval()


class PhraseReader:
    """The tokenizer of a SAM 3."""

    def __init__(self, checkpoint: str, *, revision: str | None) -> None:
        """Load it.

        Raises:
            CheckpointError: it is not there, or is of no SAM 3.
        """
        place = find_text_model(checkpoint, revision=revision, key=KEY, kinds=CONCEPTS)
        self.version = place.version
        self._tokenizer = load_tokenizer(CLIPTokenizer, place)

    def tokens(self, phrases: Sequence[str], *, longest: int) -> Tokens:
        """Phrases as a text encoder reads them that takes so many word pieces.

        Raises:
            DataError: one is too long.
        """
        return {phrase: clip_tokens(phrase, self._tokenizer, longest=longest) for phrase in phrases}

    def save(self, folder: Path) -> None:
        """Put the tokenizer beside a model."""
        self._tokenizer.save_pretrained(folder)


def read_phrases(segmenter: PromptableSegmenter, reader: PhraseReader, phrases: Sequence[str]) -> Texts:
    """What the text encoder makes of P phrases, one by one, on its device.

    Raises:
        DataError: one is too long.
    """
    detector = detector_of(segmenter)
    assert detector is not None  # whoever asks by phrases has loaded one
    device = next(segmenter.encoder.parameters()).device
    tokens = reader.tokens(list(phrases), longest=detector.longest)
    read = [detector.read(**{name: values.to(device) for name, values in tokens[phrase].items()}) for phrase in phrases]
    return Texts(torch.cat([one.features for one in read]), torch.cat([one.mask for one in read]))


@torch.inference_mode()
def masks_of_concepts(
    segmenter: PromptableSegmenter,
    features: ImageFeatures,
    *,
    height: int,
    width: int,
    phrases: Sequence[str],
    texts: Texts,
    threshold: float,
) -> list[TextMask]:
    """The objects of an image; of each phrase the best first.

    Args:
        segmenter: on its device, in eval mode.
        features: of the image.
        height: of the image.
        width: of the image.
        phrases: P names for what is found.
        texts: see `read_phrases`, of the same phrases.
        threshold: score above which an object is kept.
    """
    detector = detector_of(segmenter)
    assert detector is not None
    frame = segmenter.spec.frame(height, width)
    found = []
    for place, phrase in enumerate(phrases):
        answers = detector.find(features, texts.select([place], texts.features.device))
        scores, masks = answers.objects(0, frame=frame, threshold=threshold)
        found += [
            TextMask(phrase, score, mask) for score, mask in zip(scores.tolist(), masks.cpu().numpy(), strict=True)
        ]
    return found


def clip_tokens(phrase: str, tokenizer: CLIPTokenizer, *, longest: int) -> dict[str, Tensor]:
    """What CLIP's text encoder reads of a phrase, padded to its length: (1, longest) int64 each.

    Raises:
        DataError: the phrase is too long.
    """
    read = tokenizer(phrase, padding="max_length", max_length=longest, return_tensors="pt")
    count = int(read["attention_mask"].sum())
    if count > longest:
        raise DataError(
            f"--text {phrase[:80]!r} has {count} word pieces with the marks around them, and the text model takes "
            f"{longest}; say it in fewer words"
        )
    return {"input_ids": read["input_ids"], "attention_mask": read["attention_mask"]}
