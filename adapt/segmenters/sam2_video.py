"""SAM 2 and 2.1 (Ravi et al., 2024) with their memory, over `transformers.Sam2VideoModel`.

On single images it is what `sam2` is. The memory is computed from the stock parts, for many objects at once and with
gradients; the stock model's own session follows one object after the other, and lets none through.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Sam2VideoModel
from transformers.models.sam2_video.modeling_sam2_video import NO_OBJ_SCORE, get_1d_sine_pe

from adapt.segmenters import sam2
from adapt.segmenters.family import Family
from adapt.segmenters.memory import Memory, Recalled
from adapt.segmenters.protocol import ImageFeatures

MODULES = ("memory_attention", "memory_encoder", "object_pointer_proj", "temporal_positional_encoding_projection_layer")
OWN = ("memory_temporal_positional_encoding", "no_object_pointer", "occlusion_spatial_embedding_parameter")
"""What the memory is made of: modules, and parameters that are none of a module's. The published models have all."""


class Sam2Memory:
    """See `ObjectMemory`."""

    def __init__(self, model: Sam2VideoModel) -> None:
        self._model = model

    @property
    def maps(self) -> int:
        """See `ObjectMemory.maps`."""
        return int(self._model.config.num_maskmem) - 1

    @property
    def pointers(self) -> int:
        """See `ObjectMemory.pointers`."""
        return int(self._model.config.max_object_pointers_in_encoder) - 1

    @property
    def candidates(self) -> bool:
        """See `ObjectMemory.candidates`."""
        config = self._model.config
        wanted = config.multimask_output_in_sam and config.multimask_output_for_tracking
        return bool(wanted and config.multimask_min_pt_num == 0)

    @property
    def modules(self) -> Sequence[nn.Module]:
        """See `ObjectMemory.modules`."""
        return [getattr(self._model, name) for name in MODULES]

    @property
    def parameters(self) -> Sequence[nn.Parameter]:
        """See `ObjectMemory.parameters`."""
        own = [getattr(self._model, name) for name in OWN]
        inside = [value for module in self.modules for value in module.parameters()]
        return [*inside, *(value for value in own if value is not None)]

    def condition(
        self, features: ImageFeatures, images: Tensor, recalled: Sequence[Recalled], *, frames: int
    ) -> Tensor:
        """See `ObjectMemory.condition`."""
        model = self._model
        maps, of_maps = self._maps(recalled)
        pointers, of_pointers = self._pointers(recalled, frames=frames)
        current = self._without_memory(features)
        positions = model.vision_encoder.neck.position_encoding(current[:1].shape, current.device, current.dtype)
        seen = model.memory_attention(
            current_vision_features=_rows(current[images]),
            current_vision_position_embeddings=_rows(positions),
            memory=torch.cat((*maps, pointers)).to(current.dtype),
            memory_posision_embeddings=torch.cat((*of_maps, of_pointers)),
            num_object_pointer_tokens=len(pointers),
        )
        conditioned: Tensor = seen[0].transpose(1, 2).reshape(len(images), *current.shape[1:])
        return conditioned

    def _without_memory(self, features: ImageFeatures) -> Tensor:
        """(B, C, h, w) maps of the neck: features hold them as images have them, with the embedding of no memory."""
        maps: Tensor = features.embedding - self._model.no_memory_embedding.reshape(1, -1, 1, 1)
        return maps

    def _maps(self, recalled: Sequence[Recalled]) -> tuple[list[Tensor], list[Tensor]]:
        """Of each memory with a map, its (h w, K, c) values, and where and when they are."""
        model, values, positions = self._model, [], []
        for one in recalled:
            spatial = one.memory.map
            if spatial is None or not (one.prompted or 1 <= one.distance <= self.maps):
                continue
            places = model.memory_encoder.position_encoding(spatial.shape, spatial.device, model.dtype)
            ago = 0 if one.prompted else one.distance  # the place of a prompted frame is the last one, wherever it is
            values.append(_rows(spatial))
            positions.append(_rows(places) + model.memory_temporal_positional_encoding[ago - 1])
        return values, positions

    def _pointers(self, recalled: Sequence[Recalled], *, frames: int) -> tuple[Tensor, Tensor]:
        """(S, K, c) values of all pointers in the past, cut to the width of a map, and when they are."""
        model, reach = self._model, min(frames - 1, self.pointers)
        past = [one for one in recalled if 0 <= one.distance and (one.prompted or one.distance <= reach)]
        if not past:
            objects, like = len(recalled[0].memory.pointer), recalled[0].memory.pointer
            return like.new_zeros(0, objects, model.mem_dim), like.new_zeros(0, objects, model.mem_dim)
        pointers = torch.stack([one.memory.pointer for one in past])  # (P, K, C)
        count, objects, width = pointers.shape
        if model.config.enable_temporal_pos_encoding_for_object_pointers:
            ago = torch.tensor([one.distance for one in past], dtype=torch.float32, device=pointers.device) / reach
            when = model.temporal_positional_encoding_projection_layer(get_1d_sine_pe(ago, width).to(pointers.dtype))
        else:
            when = pointers.new_zeros(count, model.mem_dim)
        parts = max(width // model.mem_dim, 1)
        cut = pointers.reshape(count, objects, parts, -1).transpose(1, 2).flatten(0, 1)
        return cut, when[:, None].expand(-1, objects, -1).repeat_interleave(parts, dim=0)

    def remember(
        self,
        features: ImageFeatures,
        images: Tensor,
        *,
        logits: Tensor,
        tokens: Tensor,
        present: Tensor,
        prompted: bool,
        training: bool,
    ) -> Memory:
        """See `ObjectMemory.remember`."""
        model, config = self._model, self._model.config
        blanked = torch.where(present[:, None, None], logits.float(), NO_OBJ_SCORE)[:, None]
        masks = functional.interpolate(blanked, (model.image_size,) * 2, mode="bilinear", align_corners=False)
        side = 4 * model.prompt_encoder.mask_input_size[0]
        if side != model.image_size:
            masks = functional.interpolate(masks, (side, side), mode="bilinear", align_corners=False, antialias=True)
        share = (masks > 0).float() if prompted and not training else masks.sigmoid()
        share = share * config.sigmoid_scale_for_mem_enc + config.sigmoid_bias_for_mem_enc
        spatial, _ = model.memory_encoder(self._without_memory(features)[images], share)
        there = present.to(spatial.dtype)[:, None]
        if model.occlusion_spatial_embedding_parameter is not None:
            spatial = spatial + ((1 - there) * model.occlusion_spatial_embedding_parameter)[..., None, None]
        pointer = there * model.object_pointer_proj(tokens) + (1 - there) * model.no_object_pointer
        return Memory(pointer, spatial if training else spatial.to(torch.bfloat16))


def _rows(maps: Tensor) -> Tensor:
    """(K, C, h, w) as (h w, K, C), as the stock attention over memories takes it."""
    return maps.flatten(2).permute(2, 0, 1)


def at_input_size(model: Sam2VideoModel, size: int) -> Sam2VideoModel:
    """As `sam2.at_input_size`; positions inside the memory have no weights, and are computed for the size."""
    resized = sam2.resized_config(model, size)
    resized.image_size = size
    grid = size // resized.prompt_encoder_config.patch_size
    resized.memory_attention_rope_feat_sizes = [grid, grid]
    return sam2.with_weights_of(model, resized)


FAMILY = Family(
    "SAM 2 video",
    Sam2VideoModel,
    sam2.spec,
    sam2.stages,
    sam2.blocks,
    sam2.linears,
    sam2.decode,
    at_input_size,
    memory=Sam2Memory,
)
