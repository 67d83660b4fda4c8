"""EfficientSAM (Xiong et al., 2024): SAM's plain ViT without relative positions, and a decoder of its own.

Prompt encoder and mask decoder differ from SAM's in what they compute, though hardly in their weights:

- Every object comes with six tokens: those of its points, and for the rest one that says "no point".
- A layer of the decoder adds positions to what its self-attention reads as value, too, and to what it hands on.
- GELU throughout, and the finer map is normalised as a whole instead of pixel by pixel.

It has no mask prompts: SAM's part for them is here with a last layer of zeros, so that a mask changes nothing before it
is trained to.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from transformers import SamConfig, SamMaskDecoderConfig
from transformers.activations import ACT2FN
from transformers.models.sam.modeling_sam import (
    SamAttention,
    SamFeedForward,
    SamMLPBlock,
    SamPromptEncoder,
    SamVisionEncoder,
)

from adapt.architectures.promptable import PromptableModel
from adapt.prompts import PADDING

TOKENS = 6
"""Of points and corners of a box, for each object; more, if it has more."""
NOT_A_POINT = -1


class EfficientSamConfig(SamConfig):  # type: ignore[misc]  # transformers is not annotated
    """As SAM's."""

    model_type = "adapt_efficient_sam"


class EfficientSamPromptEncoder(SamPromptEncoder):  # type: ignore[misc]
    """As SAM's, but for the tokens that stand for no point; its points of the background have no embedding (zeros)."""

    def _embed_points(self, points: Tensor, labels: Tensor, pad: bool) -> Tensor:
        """(B, N, P, 2) and (B, N, P) to (B, N, P, C): the stock token behind points is among those of `forward`."""
        labels = labels.masked_fill(labels == PADDING, NOT_A_POINT)
        embedded: Tensor = super()._embed_points(points, labels, pad=False)
        return embedded

    def forward(
        self,
        input_points: Tensor | None,
        input_labels: Tensor | None,
        input_boxes: Tensor | None,
        input_masks: Tensor | None,
    ) -> tuple[Tensor | None, Tensor]:
        """Prompts of N objects in each of B images to (B, N, T, C) and (B, C, h, w); shapes as of the stock one."""
        sparse, dense = super().forward(input_points, input_labels, input_boxes, input_masks)
        if sparse is None:  # neither points nor boxes: nobody has said how many objects there are
            return None, dense
        missing = max(0, TOKENS - sparse.shape[2])
        none = self.not_a_point_embed.weight.expand(*sparse.shape[:2], missing, -1)
        return torch.cat((sparse, none), dim=2), dense


class TwoWayLayer(nn.Module):
    """Tokens attend to one another and to the image, and the image to them."""

    def __init__(self, config: SamMaskDecoderConfig, *, first: bool) -> None:
        super().__init__()
        self.first = first
        width, eps = config.hidden_size, config.layer_norm_eps
        self.self_attn = SamAttention(config, downsample_rate=1)
        self.layer_norm1 = nn.LayerNorm(width, eps=eps)
        self.cross_attn_token_to_image = SamAttention(config)
        self.layer_norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp = SamMLPBlock(config)
        self.layer_norm3 = nn.LayerNorm(width, eps=eps)
        self.cross_attn_image_to_token = SamAttention(config)
        self.layer_norm4 = nn.LayerNorm(width, eps=eps)

    def forward(self, tokens: Tensor, image: Tensor, of_tokens: Tensor, of_image: Tensor) -> tuple[Tensor, Tensor]:
        """(K, 1, T, C) tokens and (K, 1, h w, C) pixels to the same; `of_...` are their positions."""
        if not self.first:
            tokens = tokens + of_tokens
        tokens = self.layer_norm1(tokens + self.self_attn(query=tokens, key=tokens, value=tokens)[0])
        read, _ = self.cross_attn_token_to_image(query=tokens + of_tokens, key=image + of_image, value=image)
        tokens = self.layer_norm2(tokens + read)
        tokens = self.layer_norm3(tokens + self.mlp(tokens))
        read, _ = self.cross_attn_image_to_token(query=image + of_image, key=tokens + of_tokens, value=tokens)
        return tokens, self.layer_norm4(image + read)


class TwoWayTransformer(nn.Module):
    """The layers, and a last look of the tokens at the image."""

    def __init__(self, config: SamMaskDecoderConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayLayer(config, first=place == 0) for place in range(config.num_hidden_layers))
        self.final_attn_token_to_image = SamAttention(config)
        self.layer_norm_final_attn = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, tokens: Tensor, image: Tensor, of_image: Tensor) -> tuple[Tensor, Tensor]:
        """See `TwoWayLayer`; the positions of tokens are the tokens themselves, as they come in."""
        of_tokens = tokens
        for layer in self.layers:
            tokens, image = layer(tokens, image, of_tokens, of_image)
        read, _ = self.final_attn_token_to_image(query=tokens + of_tokens, key=image + of_image, value=image)
        return self.layer_norm_final_attn(tokens + read), image


class EfficientSamMaskDecoder(nn.Module):
    """Parts have the names of `SamMaskDecoder`'s."""

    def __init__(self, config: SamMaskDecoderConfig) -> None:
        super().__init__()
        width, masks = config.hidden_size, config.num_multimask_outputs + 1
        self.iou_token = nn.Embedding(1, width)
        self.mask_tokens = nn.Embedding(masks, width)
        self.transformer = TwoWayTransformer(config)
        self.upscale_conv1 = nn.ConvTranspose2d(width, width // 4, kernel_size=2, stride=2)
        self.upscale_norm = nn.GroupNorm(1, width // 4)
        self.upscale_conv2 = nn.ConvTranspose2d(width // 4, width // 8, kernel_size=2, stride=2)
        self.activation = ACT2FN[config.hidden_act]
        self.output_hypernetworks_mlps = nn.ModuleList(_mlp(config, width, width // 8) for _ in range(masks))
        self.iou_prediction_head = _mlp(config, config.iou_head_hidden_dim, masks)

    def forward(
        self,
        image_embeddings: Tensor,
        image_positional_embeddings: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
        multimask_output: bool,
    ) -> tuple[Tensor, Tensor]:
        """Masks (B, N, M, 4 h, 4 w) and their IoUs (B, N, M) of N objects in each of B images.

        Args:
            image_embeddings: (B, C, h, w).
            image_positional_embeddings: (B, C, h, w).
            sparse_prompt_embeddings: (B, N, T, C).
            dense_prompt_embeddings: (B, C, h, w).
            multimask_output: the candidates, or the single mask.
        """
        images, objects = sparse_prompt_embeddings.shape[:2]
        own = torch.cat((self.iou_token.weight, self.mask_tokens.weight))
        sparse = sparse_prompt_embeddings.flatten(0, 1)[:, None]
        tokens = torch.cat((own.expand(len(sparse), 1, -1, -1), sparse), dim=2)
        grid = (image_embeddings + dense_prompt_embeddings).repeat_interleave(objects, dim=0)
        of_image = image_positional_embeddings.repeat_interleave(objects, dim=0)
        tokens, pixels = self.transformer(tokens, _as_tokens(grid), _as_tokens(of_image))
        iou_token, *mask_tokens = tokens[:, 0, : len(own)].unbind(1)
        coarse = pixels[:, 0].transpose(1, 2).reshape(grid.shape)
        fine = self.activation(self.upscale_norm(self.upscale_conv1(coarse)))
        fine = self.activation(self.upscale_conv2(fine))
        networks = zip(self.output_hypernetworks_mlps, mask_tokens, strict=True)
        weights = torch.stack([network(token) for network, token in networks], dim=1)
        masks = torch.einsum("kmc,kchw->kmhw", weights, fine)
        iou = self.iou_prediction_head(iou_token)
        chosen = slice(1, None) if multimask_output else slice(0, 1)
        return (
            masks[:, chosen].unflatten(0, (images, objects)),
            iou[:, chosen].unflatten(0, (images, objects)),
        )


def _mlp(config: SamMaskDecoderConfig, hidden: int, outputs: int) -> SamFeedForward:
    """Three layers from a token, with the decoder's activation instead of SAM's."""
    network = SamFeedForward(config.hidden_size, hidden, outputs, 3)
    network.activation = ACT2FN[config.hidden_act]
    return network


def _as_tokens(grid: Tensor) -> Tensor:
    """(K, C, h, w) to (K, 1, h w, C)."""
    return grid.flatten(2).transpose(1, 2)[:, None]


class EfficientSamModel(PromptableModel):
    """See the module."""

    config_class = EfficientSamConfig
    encoder_class: ClassVar = SamVisionEncoder
    prompt_encoder_class: ClassVar = EfficientSamPromptEncoder
    mask_decoder_class: ClassVar = EfficientSamMaskDecoder
