"""The two halves of a Segment Anything model as modules of plain tensors, which exporters can trace.

A box is two points here, as in Segment Anything's own export: its corners, labelled 2 and 3.
"""

from typing import cast

import torch
from torch import Tensor, nn
from transformers import SamModel

LABELS = {"background": 0, "object": 1, "box_top_left": 2, "box_bottom_right": 3, "no_more": -1, "padding": -10}
"""What a point may be. Clicks without a box end with one point `no_more`; `padding` fills rows of fewer points."""


class Encoder(nn.Module):
    """Images to embeddings."""

    def __init__(self, model: SamModel) -> None:
        super().__init__()
        # what the fused attention is taken apart into by exporters cannot be reshaped as it is
        plain = SamModel._from_config(model.config, attn_implementation="eager")
        plain.load_state_dict(model.state_dict())
        self.vision_encoder = plain.vision_encoder

    def forward(self, images: Tensor) -> Tensor:
        """(1, 3, S, S) float32, normalised, model frame, to (1, C, h, w)."""
        return cast(Tensor, self.vision_encoder(images).last_hidden_state)


class Decoder(nn.Module):
    """The embedding of one image and the prompts of N objects to masks.

    The stock decoder throws away either the single mask or the candidates, and to call it twice would take twice the
    time; so its parts are put together here once more, without that choice.
    """

    def __init__(self, model: SamModel) -> None:
        super().__init__()
        self.prompt_encoder = model.prompt_encoder
        self.mask_decoder = model.mask_decoder
        self.image_size: int = model.config.vision_config.image_size
        self.register_buffer("positions", model.get_image_wide_positional_embeddings().detach().clone())

    def forward(
        self, embedding: Tensor, points: Tensor, labels: Tensor, masks: Tensor, has_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Answers of the single-mask token, then of the candidates.

        Args:
            embedding: (1, C, h, w) float32.
            points: (N, P, 2) float32 xy, model frame.
            labels: (N, P) int64, see `LABELS`.
            masks: (N, 1, 4h, 4w) float32 logits of the answer before; anything where there is none.
            has_mask: (N,) float32, 1 where `masks` counts, else 0.

        Returns:
            (N, 1 + M, 4h, 4w) logits and (N, 1 + M) predicted IoUs. The first is the answer to several prompts (a box
            counts as two), the others are candidates for a single click.
        """
        sparse, dense = self._sparse(points, labels), self._dense(masks, has_mask)
        decoder, count = self.mask_decoder, points.shape[0]
        own = torch.cat((decoder.iou_token.weight, decoder.mask_tokens.weight))
        answered, seen = decoder.transformer(
            point_embeddings=torch.cat((own.expand(count, -1, -1), sparse), dim=1)[:, None],
            image_embeddings=embedding + dense,
            image_positional_embeddings=cast(Tensor, self.positions).expand(count, -1, -1, -1),
            attention_similarity=None,
            target_embedding=None,
        )
        seen = seen.transpose(2, 3).reshape(count, *embedding.shape[1:])
        fine = decoder.activation(decoder.upscale_layer_norm(decoder.upscale_conv1(seen)))
        fine = decoder.activation(decoder.upscale_conv2(fine))
        kernels = [mlp(answered[:, 0, 1 + place]) for place, mlp in enumerate(decoder.output_hypernetworks_mlps)]
        logits = torch.stack(kernels, dim=1) @ fine.flatten(2)
        return logits.unflatten(2, fine.shape[-2:]), decoder.iou_prediction_head(answered[:, 0, 0])

    def _sparse(self, points: Tensor, labels: Tensor) -> Tensor:
        """(N, P, C): what the stock encoder makes of clicks and of corners, chosen by label."""
        encoder = self.prompt_encoder
        size = (self.image_size, self.image_size)
        kinds = labels[..., None]
        embedded: Tensor = encoder.shared_embedding(points[:, None] + 0.5, size)[:, 0]
        embedded = torch.where(kinds == LABELS["no_more"], encoder.not_a_point_embed.weight, embedded)
        embedded = torch.where(kinds == LABELS["padding"], torch.zeros_like(embedded), embedded)
        for kind, embedding in enumerate(encoder.point_embed):
            embedded = torch.where(kinds == kind, embedded + embedding.weight, embedded)
        return embedded

    def _dense(self, masks: Tensor, has_mask: Tensor) -> Tensor:
        """(N, C, h, w)."""
        none = self.prompt_encoder.no_mask_embed.weight[:, :, None, None]
        given = self.prompt_encoder.mask_embed(masks)
        return torch.where(has_mask[:, None, None, None] > 0, given, none)
