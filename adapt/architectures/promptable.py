"""An image encoder of any kind, and SAM's way from there to masks, as one model of `transformers`' making.

`save_pretrained` and `from_pretrained` work as for `SamModel`, and every part that is SAM's has the name it has there.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, SamConfig
from transformers import initialization as init
from transformers.models.sam.modeling_sam import (
    SamImageSegmentationOutput,
    SamMaskDecoder,
    SamPositionalEmbedding,
    SamPromptEncoder,
)


class PromptableModel(PreTrainedModel):  # type: ignore[misc]  # transformers is not annotated
    """See `SamModel`; a subclass names its configuration and the classes of those of its parts that are not SAM's."""

    main_input_name = "pixel_values"
    _supports_sdpa = True
    _tied_weights_keys: ClassVar = {
        "prompt_encoder.shared_embedding.positional_embedding": "shared_image_embedding.positional_embedding"
    }
    encoder_class: ClassVar[type[nn.Module]]
    prompt_encoder_class: ClassVar[type[nn.Module]] = SamPromptEncoder
    mask_decoder_class: ClassVar[type[nn.Module]] = SamMaskDecoder

    def __init__(self, config: SamConfig) -> None:
        super().__init__(config)
        config.mask_decoder_config._attn_implementation = config._attn_implementation  # as SamModel does
        self.shared_image_embedding = SamPositionalEmbedding(config.vision_config)
        self.vision_encoder = self.encoder_class(config.vision_config)
        self.prompt_encoder = self.prompt_encoder_class(config)
        self.mask_decoder = self.mask_decoder_class(config.mask_decoder_config)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, SamPositionalEmbedding):
            init.normal_(module.positional_embedding, std=module.scale)

    def get_input_embeddings(self) -> nn.Module:
        """What reads the pixels, the first part of every encoder; peft asks for it."""
        return next(self.vision_encoder.children())

    def get_image_wide_positional_embeddings(self) -> Tensor:
        """(1, C, h, w) of the centres of the pixels of the image embedding."""
        side = self.config.prompt_encoder_config.image_embedding_size
        frequencies = self.shared_image_embedding.positional_embedding
        centres = (torch.arange(side, device=frequencies.device, dtype=frequencies.dtype) + 0.5) / side
        rows, columns = torch.meshgrid(centres, centres, indexing="ij")
        positions: Tensor = self.shared_image_embedding(torch.stack((columns, rows), dim=-1))
        return positions.permute(2, 0, 1)[None]

    def forward(
        self,
        pixel_values: Tensor,
        input_points: Tensor | None = None,
        input_labels: Tensor | None = None,
        input_boxes: Tensor | None = None,
        input_masks: Tensor | None = None,
        multimask_output: bool = True,
    ) -> SamImageSegmentationOutput:
        """From images and prompts to masks; shapes as `SamModel` takes and gives them.

        Args:
            pixel_values: (B, 3, S, S).
            input_points: (B, N, P, 2), for N objects an image.
            input_labels: (B, N, P); without them every point is of the object.
            input_boxes: (B, N, 4).
            input_masks: (B, 1, 4 h, 4 w), one an image.
            multimask_output: the candidates, or the single mask.
        """
        if input_points is not None and input_labels is None:
            input_labels = torch.ones_like(input_points[..., 0], dtype=torch.int64)
        sparse, dense = self.prompt_encoder(
            input_points=input_points, input_labels=input_labels, input_boxes=input_boxes, input_masks=input_masks
        )
        embedding = self.vision_encoder(pixel_values)[0]
        masks, iou = self.mask_decoder(
            image_embeddings=embedding,
            image_positional_embeddings=self.get_image_wide_positional_embeddings().expand(len(embedding), -1, -1, -1),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask_output,
        )
        return SamImageSegmentationOutput(iou_scores=iou, pred_masks=masks)
