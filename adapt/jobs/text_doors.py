"""Which way a phrase finds its objects, and with which models."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from adapt.frames import logits_to_image_frame
from adapt.predict import TextBoxes, TextMasks
from adapt.prompts import Prompts
from adapt.recipe import TextSettings, TextTokenTuning
from adapt.segmenters import ImageFeatures, PromptableSegmenter
from adapt.text import (
    ClipEmbedder,
    GroundingDetector,
    PhraseReader,
    TextMask,
    find_clip,
    masks_of_concepts,
    read_phrases,
)

BoxDoor = Callable[[Sequence[str]], TextBoxes]
"""From phrases to what finds their boxes."""
MaskDoor = Callable[[Sequence[str]], TextMasks]
"""From phrases to what finds their masks."""


def box_door(settings: TextSettings, *, device: torch.device) -> BoxDoor:
    """The detector of a recipe; its boxes prompt the segmenter.

    Raises:
        CheckpointError: it is not there, or is none. When it is called, a DataError: it cannot read the phrases.
    """
    detector = GroundingDetector(settings, device=device)
    keys = {"detector", "revision", "box_threshold", "text_threshold", "nms"}
    about = {**settings.model_dump(mode="json", include=keys), "version": detector.version}
    advice = (
        f"lower text.box_threshold ({settings.box_threshold:g}) and text.text_threshold "
        f"({settings.text_threshold:g}), or say --text in other words"
    )

    def asked(phrases: Sequence[str]) -> TextBoxes:
        find = partial(detector.boxes, caption=detector.caption(phrases))
        return TextBoxes(find=find, nms=settings.nms, about={"phrases": list(phrases), **about}, advice=advice)

    return asked


def token_door(segmenter: PromptableSegmenter, tuning: TextTokenTuning, *, device: torch.device) -> MaskDoor:
    """A segmenter that has learnt to read CLIP's embeddings; each phrase gets one mask.

    Args:
        segmenter: on its device, in eval mode.
        tuning: of its run.
        device: where it is.

    Raises:
        CheckpointError: the CLIP is not there. When it is called, a DataError: a phrase is too long for it.
    """
    embedder = ClipEmbedder(find_clip(tuning.clip, revision=tuning.revision), device=device)
    about = {"clip": tuning.clip, "version": embedder.version}
    advice = "say --text in words that are nearer to the names of the run's categories"

    def asked(phrases: Sequence[str]) -> TextMasks:
        embeddings = embedder.phrases(phrases)
        find = partial(masks_of_phrases, segmenter, phrases=tuple(phrases), embeddings=embeddings)
        return TextMasks(find=find, about={"phrases": list(phrases), **about}, advice=advice)

    return asked


@torch.inference_mode()
def masks_of_phrases(
    segmenter: PromptableSegmenter,
    features: ImageFeatures,
    *,
    height: int,
    width: int,
    phrases: Sequence[str],
    embeddings: Tensor,
) -> list[TextMask]:
    """A mask of an image for each phrase, of which (P, D) embeddings are given; empty ones left out."""
    valid = torch.ones(1, len(phrases), dtype=torch.bool)
    prompts = Prompts(object_valid=valid, embeddings=embeddings[None]).to(features.embedding.device)
    answer = segmenter.decode(features, prompts, multimask=False)
    frame = segmenter.spec.frame(height, width)
    masks = (logits_to_image_frame(answer.logits[0, :, 0], frame) > 0).cpu().numpy()
    scores = answer.iou[0, :, 0].float().tolist()
    return [
        TextMask(phrase, score, mask) for phrase, score, mask in zip(phrases, scores, masks, strict=True) if mask.any()
    ]


def concept_door(
    segmenter: PromptableSegmenter, reader: PhraseReader, settings: TextSettings, *, version: str
) -> MaskDoor:
    """A SAM 3 that is asked by phrases, untouched or tuned; it needs no detector.

    Args:
        segmenter: on its device, in eval mode.
        reader: of the phrases.
        settings: what counts as found.
        version: of the weights.

    Raises:
        DataError: when it is called; a phrase is too long.
    """
    threshold = settings.concept_threshold
    about = {"concept_threshold": threshold, "version": version}
    advice = f"lower text.concept_threshold ({threshold:g}), or say --text in other words"

    def asked(phrases: Sequence[str]) -> TextMasks:
        find = partial(
            masks_of_concepts,
            segmenter,
            phrases=tuple(phrases),
            texts=read_phrases(segmenter, reader, phrases),
            threshold=threshold,
        )
        return TextMasks(find=find, about={"phrases": list(phrases), **about}, advice=advice)

    return asked
