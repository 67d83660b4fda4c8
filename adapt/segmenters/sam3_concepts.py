"""SAM 3's other half (Carion et al., 2025): a detector that is asked for concepts, over `transformers.Sam3Model`.

The image encoder is the tracker's; behind it a DETR reads features and phrase, and a mask decoder its queries.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import Sam3Model
from transformers.models.sam3.modeling_sam3 import inverse_sigmoid

from adapt.errors import CheckpointError
from adapt.segmenters import sam2
from adapt.segmenters.concepts import ConceptAnswers, Texts
from adapt.segmenters.family import Family, ObjectMasks, PromptedObjects
from adapt.segmenters.linears import DECODER_LINEARS
from adapt.segmenters.protocol import EncoderStage, Hidden, ImageFeatures, LinearSite, SegmenterSpec
from adapt.segmenters.sam3_tracker import HALF, backbone_linears, backbone_stages, blocks

ATTENTION_OF = ("detr_encoder.", "detr_decoder.", "mask_decoder.")
"""What the names of the detector's attention begin with."""


def spec(model: Sam3Model) -> SegmenterSpec:
    """See `Family.spec`; it has no candidates of a click."""
    vision = model.config.vision_config
    return SegmenterSpec(
        image_size=vision.backbone_config.image_size,
        mask_size=vision.backbone_feature_sizes[0][0],
        pixel_mean=HALF,
        pixel_std=HALF,
        candidates=1,
        fit="stretch",
    )


def stages(model: Sam3Model) -> Sequence[EncoderStage]:
    """As the tracker's; the neck hands on the map that phrases attend to, and the two finer ones of the masks."""
    neck, vision = model.vision_encoder.neck, model.config.vision_config

    def run_neck(hidden: Hidden) -> Hidden:
        (tokens,) = hidden
        (finest, finer, fine, _), _ = neck(tokens.permute(0, 3, 1, 2))  # the detector leaves out the coarsest one
        return fine, finest, finer

    finest, finer, fine = ((vision.fpn_hidden_size, *size) for size in vision.backbone_feature_sizes)
    return (*backbone_stages(model), EncoderStage(run_neck, (neck,), (fine, finest, finer)))


def linears(model: Sam3Model) -> Sequence[LinearSite]:
    """See `PromptableSegmenter.linears`; the detector's attention is the decoder's."""
    of_detector = [
        LinearSite(name, ("decoder_attention",), stage=None)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and name.startswith(ATTENTION_OF)
        and name.rpartition(".")[2] in DECODER_LINEARS
    ]
    return [*backbone_linears(model), *of_detector]


def decode(model: Sam3Model, features: ImageFeatures, objects: PromptedObjects, multimask: bool) -> ObjectMasks:
    """It takes no clicks and boxes."""
    raise CheckpointError(
        "this part of SAM 3 is asked by phrases alone; to prompt it by clicks and boxes, leave out concepts.learn"
    )


def at_input_size(model: Sam3Model, size: int) -> Sam3Model:
    """The same weights for inputs of another size; the model itself repeats its positions over the grid."""
    patch = model.config.vision_config.backbone_config.patch_size
    sam2.check_multiple(size, patch)
    config = copy.deepcopy(model.config)
    config.vision_config.backbone_config.image_size = size
    config.vision_config.backbone_feature_sizes = [[size // patch * factor] * 2 for factor in (4, 2, 1)]
    return sam2.with_weights_of(model, config)


def prompt_encoder(model: Sam3Model) -> nn.Module:
    """What reads phrases, and boxes, which nothing here asks with."""
    return nn.ModuleList([model.text_encoder, model.text_projection, model.geometry_encoder])


def mask_decoder(model: Sam3Model) -> nn.Module:
    """The detector with its heads, and of the mask decoder what masks are made by.

    Not the map of the whole concept, and no step of the pixel decoder beyond the finest map, which never runs.
    """
    masks, steps = model.mask_decoder, len(model.config.vision_config.backbone_feature_sizes) - 1
    return nn.ModuleList(
        [
            *(model.detr_encoder, model.detr_decoder, model.dot_product_scoring),
            *(masks.prompt_cross_attn, masks.prompt_cross_attn_norm, masks.prompt_cross_attn_dropout),
            *(*masks.pixel_decoder.conv_layers[:steps], *masks.pixel_decoder.norms[:steps]),
            *(masks.mask_embedder, masks.instance_projection),
        ]
    )


class Sam3Detector:
    """See `ConceptDetector`. Calls the parts as the stock model does, which hands out the last layer alone."""

    def __init__(self, model: Sam3Model) -> None:
        self._model = model

    @property
    def longest(self) -> int:
        """See `ConceptDetector.longest`."""
        longest: int = self._model.config.text_config.max_position_embeddings
        return longest

    @torch.no_grad()
    def read(self, input_ids: Tensor, attention_mask: Tensor) -> Texts:
        """See `ConceptDetector.read`; without a graph, since the text encoder is frozen."""
        read = self._model.get_text_features(input_ids=input_ids, attention_mask=attention_mask, return_dict=True)
        return Texts(read.pooler_output, attention_mask.bool())

    def find(self, features: ImageFeatures, texts: Texts) -> ConceptAnswers:
        """See `ConceptDetector.find`."""
        model, seen, phrase = self._model, features.embedding, {"text_mask": texts.mask}
        encoded = model.detr_encoder(
            vision_features=[seen],
            text_features=texts.features,
            vision_pos_embeds=[model.vision_encoder.neck.position_encoding(seen.shape, seen.device, seen.dtype)],
            **phrase,
        )
        decoded = model.detr_decoder(
            vision_features=encoded.last_hidden_state,
            text_features=texts.features,
            vision_pos_encoding=encoded.pos_embeds_flattened,
            spatial_shapes=encoded.spatial_shapes,
            **phrase,
        )
        queries = decoded.intermediate_hidden_states
        offsets = model.detr_decoder.box_head(queries)
        logits = model.dot_product_scoring(decoder_hidden_states=queries, text_features=texts.features, **phrase)
        masks = model.mask_decoder(
            decoder_queries=queries[-1],
            backbone_features=[*features.further, seen],
            encoder_hidden_states=encoded.last_hidden_state,
            prompt_features=texts.features,
            prompt_mask=texts.mask,
        )
        return ConceptAnswers(
            logits=logits.squeeze(-1),
            presence=decoded.presence_logits.squeeze(-1),
            boxes=(inverse_sigmoid(decoded.reference_boxes) + offsets).sigmoid(),
            masks=masks.pred_masks,
        )


FAMILY = Family(
    "SAM 3",
    Sam3Model,
    spec,
    stages,
    blocks,
    linears,
    decode,
    at_input_size,
    detector=Sam3Detector,
    prompt_encoder=prompt_encoder,
    mask_decoder=mask_decoder,
)
