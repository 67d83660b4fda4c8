"""SAM-HQ (Ke et al., 2023) over `transformers.SamHQModel`: SAM, whose masks are refined from an early block's output.

The decoder has one more token, whose mask is added to each of SAM's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import SamHQModel
from transformers.models.sam_hq.modeling_sam_hq import SamHQMaskDecoder

from adapt.segmenters.family import Family, ObjectMasks, PromptedObjects
from adapt.segmenters.input_size import at_input_size
from adapt.segmenters.protocol import EncoderStage, Hidden, ImageFeatures
from adapt.segmenters.sam import blocks, embedding_stage, linears, spec
from adapt.segmenters.stages import block_stages


def stages(model: SamHQModel) -> Sequence[EncoderStage]:
    """As SAM's; what the first block makes that attends globally is handed on beside the rest, to the end."""
    encoder, config = model.vision_encoder, model.config.vision_config
    side = config.image_size // config.patch_size
    tokens, embedding = (side, side, config.hidden_size), (config.output_channels, side, side)
    early = next(place for place, layer in enumerate(encoder.layers) if layer.window_size == 0)

    def neck(hidden: Hidden) -> Hidden:
        return encoder.neck(hidden[-1]), hidden[0]  # one and the same, if only the last block attends globally

    return (
        embedding_stage(model),
        *block_stages(encoder.layers, [tokens] * len(encoder.layers), kept={early}),
        EncoderStage(neck, (encoder.neck,), (embedding, tokens)),
    )


def decode(model: SamHQModel, features: ImageFeatures, objects: PromptedObjects, multimask: bool) -> ObjectMasks:
    """See `Family.decode`."""
    drawn = _drawn(model.mask_decoder, features, objects)
    masks = torch.einsum("kmc,kchw->kmhw", drawn.weights, drawn.fine)
    chosen = slice(1, None) if multimask else slice(0, 1)
    return ObjectMasks(masks[:, chosen] + drawn.added[:, None], drawn.iou[:, chosen])


def classify(model: SamHQModel, features: ImageFeatures, objects: PromptedObjects) -> Tensor:
    """See `Family.classify`: each class reads SAM's map and the refined one together.

    What SAM-HQ adds to a mask would be the same for all classes, and so decide between none. It stays in the answer,
    that each class begins as the single mask.
    """
    drawn = _drawn(model.mask_decoder, features, objects)
    own = drawn.weights[:, 1:] - drawn.weights[:, :1]
    single = torch.einsum("kmc,kchw->kmhw", drawn.weights[:, :1], drawn.fine) + drawn.added[:, None]
    return single + torch.einsum("kmc,kchw->kmhw", own, drawn.fine + drawn.refined)


@dataclass(frozen=True, eq=False)
class _Drawn:
    """What the decoder makes of K objects, from which masks are put together.

    Attributes:
        weights: (K, 1 + M, C / 8) of the single mask, and of the others, over the channels of a map.
        fine: (K, C / 8, 4 h, 4 w), the map of SAM.
        refined: (K, C / 8, 4 h, 4 w), the map of SAM-HQ.
        added: (K, 4 h, 4 w) logits of the HQ token.
        iou: (K, 1 + M).
    """

    weights: Tensor
    fine: Tensor
    refined: Tensor
    added: Tensor
    iou: Tensor


def _drawn(decoder: SamHQMaskDecoder, features: ImageFeatures, objects: PromptedObjects) -> _Drawn:
    """From the stock parts.

    The stock decoder itself (transformers 5.23) leaves out what its transformer makes of the image, and so gives other
    masks than the published one.
    """
    output_tokens = torch.cat((decoder.iou_token.weight, decoder.mask_tokens.weight, decoder.hq_token.weight))
    image = features.embedding[objects.images] + objects.dense
    tokens, pixels = decoder.transformer(
        point_embeddings=torch.cat((output_tokens.expand(len(image), 1, -1, -1), objects.sparse), dim=2),
        image_embeddings=image,
        image_positional_embeddings=objects.positions.expand(len(image), -1, -1, -1),
        attention_similarity=None,
    )
    iou_token, *mask_tokens, hq_token = tokens[:, 0, : len(output_tokens)].unbind(1)
    grid = pixels.transpose(2, 3).reshape(image.shape)
    grown = decoder.activation(decoder.upscale_layer_norm(decoder.upscale_conv1(grid)))
    fine = decoder.activation(decoder.upscale_conv2(grown))
    networks = zip(decoder.output_hypernetworks_mlps, mask_tokens, strict=True)
    weights = torch.stack([network(token) for network, token in networks], dim=1)
    refined = _refined(decoder, fine) + _fused(decoder, features)[objects.images]
    added = torch.einsum("kc,kchw->khw", decoder.hq_mask_mlp(hq_token), refined)
    return _Drawn(weights, fine, refined, added, decoder.iou_prediction_head(iou_token))


def _fused(decoder: SamHQMaskDecoder, features: ImageFeatures) -> Tensor:
    """(B, C / 8, 4 h, 4 w) of the image embedding and the early block; once an image."""
    (early,) = features.further
    late = decoder.encoder_conv2(decoder.activation(decoder.encoder_norm(decoder.encoder_conv1(features.embedding))))
    compressed = decoder.activation(decoder.compress_vit_norm(decoder.compress_vit_conv1(early.permute(0, 3, 1, 2))))
    fused: Tensor = late + decoder.compress_vit_conv2(compressed)
    return fused


def _refined(decoder: SamHQMaskDecoder, fine: Tensor) -> Tensor:
    """(K, C / 8, 4 h, 4 w) to the same."""
    refined: Tensor = decoder.mask_conv2(decoder.activation(decoder.mask_norm(decoder.mask_conv1(fine))))
    return refined


FAMILY = Family(
    "SAM-HQ", SamHQModel, spec, stages, blocks, linears, decode, at_input_size, empty_point=False, classify=classify
)
