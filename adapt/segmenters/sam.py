"""Segment Anything (Kirillov et al., 2023) over `transformers.SamModel`: ViT-B, L, H, MedSAM, SlimSAM, adapt:tiny."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import SamModel
from transformers.models.sam.modeling_sam import SamAttention

from adapt.prompts import Prompts
from adapt.segmenters.attention import fold_positions, is_folded
from adapt.segmenters.input_size import at_input_size
from adapt.segmenters.protocol import (
    EncoderBlock,
    EncoderStage,
    Hidden,
    ImageFeatures,
    LinearSite,
    MaskPredictions,
    SegmenterSpec,
)
from adapt.segmenters.quiet import quiet_transformers

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
ENCODER_LINEARS = {
    "attn.qkv": ("query", "key", "value"),
    "attn.proj": ("proj",),
    "mlp.lin1": ("mlp",),
    "mlp.lin2": ("mlp",),
}
"""Linear layers of a block, and what they compute."""


class SamSegmenter(nn.Module):
    """The `sam` family. Calls the stock parts directly, since `SamModel.get_image_embeddings` stops gradients."""

    def __init__(self, model: SamModel) -> None:
        super().__init__()
        self.model = model
        config = model.config
        self.spec = SegmenterSpec(
            image_size=config.vision_config.image_size,
            mask_size=4 * config.prompt_encoder_config.image_embedding_size,  # the decoder upscales twice by 2
            pixel_mean=IMAGENET_MEAN,
            pixel_std=IMAGENET_STD,
            candidates=config.mask_decoder_config.num_multimask_outputs,
        )

    @property
    def commit(self) -> str | None:
        """The Hub commit that the weights came from; None for local ones."""
        commit: str | None = getattr(self.model.config, "_commit_hash", None)
        return commit

    @property
    def encoder(self) -> nn.Module:
        """The ViT with its neck."""
        module: nn.Module = self.model.vision_encoder
        return module

    @property
    def prompt_encoder(self) -> nn.Module:
        """Embeds points, boxes and masks."""
        module: nn.Module = self.model.prompt_encoder
        return module

    @property
    def mask_decoder(self) -> nn.Module:
        """Two-way transformer, upscaling, hypernetworks and IoU head."""
        module: nn.Module = self.model.mask_decoder
        return module

    @property
    def stages(self) -> Sequence[EncoderStage]:
        """Patch embedding with positions; blocks; the neck."""
        encoder, config = self.model.vision_encoder, self.model.config.vision_config
        side = config.image_size // config.patch_size
        tokens, embedding = (side, side, config.hidden_size), (config.output_channels, side, side)
        positions = () if encoder.pos_embed is None else (encoder.pos_embed,)

        def embed(hidden: Hidden) -> Hidden:
            (images,) = hidden
            patches = encoder.patch_embed(images)
            return (patches if encoder.pos_embed is None else patches + encoder.pos_embed,)

        return (
            EncoderStage(embed, (encoder.patch_embed,), (tokens,), own=positions),
            *(_stage(block, tokens) for block in encoder.layers),
            _stage(encoder.neck, embedding),
        )

    @property
    def blocks(self) -> Sequence[EncoderBlock]:
        """See `PromptableSegmenter.blocks`; attention gives a tuple, most blocks attend in windows."""
        channels = self.model.config.vision_config.hidden_size
        return [
            EncoderBlock(stage=1 + place, module=layer, attention=layer.attn, mlp=layer.mlp, channels=channels)
            for place, layer in enumerate(self.model.vision_encoder.layers)
        ]

    @property
    def linears(self) -> Sequence[LinearSite]:
        """See `PromptableSegmenter.linears`; in the encoder, query, key and value are one layer."""
        sites = []
        for place in range(len(self.model.vision_encoder.layers)):
            for name, roles in ENCODER_LINEARS.items():
                sites.append(LinearSite(f"vision_encoder.layers.{place}.{name}", roles, stage=1 + place))
        for name, module in self.model.mask_decoder.named_modules():
            if isinstance(module, SamAttention):
                sites += [
                    LinearSite(f"mask_decoder.{name}.{part}", ("decoder_attention",), stage=None)
                    for part in ("q_proj", "k_proj", "v_proj", "out_proj")
                ]
        return sites

    def encode(self, images: Tensor) -> ImageFeatures:
        """(B, 3, S, S) float32 normalised images to (B, C, S/16, S/16) features."""
        return self.encode_suffix(self.encode_prefix(images, boundary=0), boundary=0)

    def encode_prefix(self, images: Tensor, *, boundary: int) -> Hidden:
        """See `PromptableSegmenter.encode_prefix`."""
        hidden: Hidden = (images,)
        for stage in self.stages[:boundary]:
            hidden = stage.run(hidden)
        return hidden

    def encode_suffix(self, hidden: Hidden, *, boundary: int, recompute: bool = False) -> ImageFeatures:
        """See `PromptableSegmenter.encode_suffix`."""
        for stage in self.stages[boundary:]:
            hidden = checkpoint(stage.run, hidden, use_reentrant=False) if recompute else stage.run(hidden)
        (embedding,) = hidden
        return ImageFeatures(embedding=embedding)

    def decode(self, features: ImageFeatures, prompts: Prompts, *, multimask: bool) -> MaskPredictions:
        """See `PromptableSegmenter.decode`.

        Objects become the batch of the decoder, each with its image's features: so a mask prompt can differ
        from object to object, which the stock call (one mask prompt an image) does not allow, and padding
        objects cost nothing.
        """
        images, objects = prompts.object_valid.shape
        chosen = prompts.object_valid.flatten().nonzero().squeeze(1)

        def of_chosen(values: Tensor | None) -> Tensor | None:
            return None if values is None else values.flatten(0, 1)[chosen]

        points, labels, boxes = (of_chosen(v) for v in (prompts.points, prompts.point_labels, prompts.boxes))
        masks = of_chosen(None if prompts.masks is None else prompts.masks.float())  # those fed back may be bfloat16
        # in bfloat16 a third of the columns of 1024 would share their position's embedding with a neighbour
        with torch.autocast(features.embedding.device.type, enabled=False):
            sparse, dense = self.model.prompt_encoder(
                input_points=None if points is None else points[:, None],
                input_labels=None if labels is None else labels[:, None],
                input_boxes=None if boxes is None else boxes[:, None],
                input_masks=masks,
            )
            positions = self.model.get_image_wide_positional_embeddings()
        logits, iou = self.model.mask_decoder(
            image_embeddings=features.embedding[chosen // objects],
            image_positional_embeddings=positions.expand(len(chosen), -1, -1, -1),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask,
        )
        return MaskPredictions(
            logits=_scatter(logits[:, 0], chosen, images, objects), iou=_scatter(iou[:, 0], chosen, images, objects)
        )

    def at_input_size(self, size: int) -> "SamSegmenter":
        """See `PromptableSegmenter.at_input_size`."""
        model = at_input_size(self.model, size)
        if is_folded(self.encoder):
            fold_positions(model.vision_encoder)
        return SamSegmenter(model).train(self.training)

    def save(self, folder: Path) -> None:
        """Write `config.json` and `model.safetensors`; `SamModel.from_pretrained(folder)` reads them."""
        with quiet_transformers():
            self.model.save_pretrained(folder)


def _stage(module: nn.Module, shape: tuple[int, ...]) -> EncoderStage:
    """A block, or the neck: one tensor in, one out, of this shape for an image."""

    def run(hidden: Hidden) -> Hidden:
        (value,) = hidden
        return (module(value),)

    return EncoderStage(run, (module,), (shape,))


def _scatter(values: Tensor, chosen: Tensor, images: int, objects: int) -> Tensor:
    """(K, ...) values of the chosen objects as (images, objects, ...), zero elsewhere."""
    full = torch.zeros(images * objects, *values.shape[1:], dtype=values.dtype, device=values.device)
    return full.index_copy(0, chosen, values).reshape(images, objects, *values.shape[1:])
