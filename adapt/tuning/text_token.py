"""A prompt token from CLIP's embeddings: one Linear layer, trained on objects and asked by texts.

Source: Segment Anything, appendix D.5, "zero-shot text-to-mask". CLIP has one space for images and texts, so what is
learnt from the embedding of a masked region is asked by the embedding of a phrase. Here the segmenter itself is frozen.
"""

from typing import cast

from torch import nn

from adapt.recipe import TextTokenTuning
from adapt.segmenters import PromptableSegmenter
from adapt.segmenters.segmenter import TEXT_TOKEN
from adapt.text import clip_width, find_clip
from adapt.tuning.placement import freeze


def tune_text_token(segmenter: PromptableSegmenter, settings: TextTokenTuning) -> None:
    """Freeze the segmenter, and put in the projection, which trains.

    Raises:
        CheckpointError: the CLIP that it projects from is not there.
    """
    freeze(segmenter, decoder=settings.decoder)
    insert_text_token(segmenter, width=clip_width(find_clip(settings.clip, revision=settings.revision)))


def insert_text_token(segmenter: PromptableSegmenter, *, width: int) -> None:
    """A fresh projection from embeddings of `width` numbers, as a module of the prompt encoder."""
    no_mask = cast(nn.Embedding, segmenter.prompt_encoder.no_mask_embed)
    projection = nn.Linear(width, no_mask.embedding_dim)
    segmenter.prompt_encoder.add_module(TEXT_TOKEN, projection.to(no_mask.weight.device))


def takes_text(segmenter: PromptableSegmenter) -> bool:
    """Whether a segmenter can be prompted by embeddings of texts."""
    return hasattr(segmenter.prompt_encoder, TEXT_TOKEN)
