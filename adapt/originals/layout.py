"""What the original files of all families share: the names of SAM's prompt encoder and mask decoder.

And how weights are put into a model: all of them, or none.
"""

import re
from collections.abc import Mapping, Sequence

from torch import Tensor
from transformers import PreTrainedModel

from adapt.errors import CheckpointError
from adapt.wording import listed

Rules = Sequence[tuple[str, str]]
"""Pattern and replacement, applied one after the other."""
NECK: Rules = (
    (r"\.neck\.0\.", ".neck.conv1."),
    (r"\.neck\.1\.", ".neck.layer_norm1."),
    (r"\.neck\.2\.", ".neck.conv2."),
    (r"\.neck\.3\.", ".neck.layer_norm2."),
)
PROMPTS: Rules = (
    (r"^prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix$", "shared_image_embedding.positional_embedding"),
    (r"^prompt_encoder\.point_embeddings\.", "prompt_encoder.point_embed."),
    (r"\.mask_downscaling\.0\.", ".mask_embed.conv1."),
    (r"\.mask_downscaling\.1\.", ".mask_embed.layer_norm1."),
    (r"\.mask_downscaling\.3\.", ".mask_embed.conv2."),
    (r"\.mask_downscaling\.4\.", ".mask_embed.layer_norm2."),
    (r"\.mask_downscaling\.6\.", ".mask_embed.conv3."),
)
TRANSFORMER: Rules = (
    (r"\.norm_final_attn\.", ".layer_norm_final_attn."),
    (r"\.norm(\d)\.", r".layer_norm\1."),
)
_NETWORK = r"\.(iou_prediction_head|hq_mask_mlp|output_hypernetworks_mlps\.\d+)"
DECODER: Rules = (
    *TRANSFORMER,
    (r"\.output_upscaling\.0\.", ".upscale_conv1."),
    (r"\.output_upscaling\.1\.", ".upscale_layer_norm."),
    (r"\.output_upscaling\.3\.", ".upscale_conv2."),
    (rf"{_NETWORK}\.layers\.0\.", r".\1.proj_in."),
    (rf"{_NETWORK}\.layers\.1\.", r".\1.layers.0."),
    (rf"{_NETWORK}\.layers\.2\.", r".\1.proj_out."),
)
FREQUENCIES = "shared_image_embedding.positional_embedding"
SHARED_FREQUENCIES = "prompt_encoder.shared_embedding.positional_embedding"
DECODER_HEADS = 8
"""Of the mask decoder's attention, which no weight tells; all published models have as many."""
IMAGE_SIZE, PATCH_SIZE = 1024, 16
"""Of the published models whose weights do not tell the size of the input; pixels."""


def renamed(name: str, rules: Rules) -> str:
    """A name by the rules."""
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def count(weights: Mapping[str, Tensor], pattern: str) -> int:
    """One more than the largest number that the pattern's group finds in a name."""
    found = (re.match(pattern, name) for name in weights)
    return 1 + max((int(match[1]) for match in found if match), default=-1)


def of_prompts(weights: Mapping[str, Tensor], *, image_size: int, patch_size: int) -> dict[str, object]:
    """Facts of SAM's prompt encoder."""
    return {
        "hidden_size": weights["prompt_encoder.no_mask_embed.weight"].shape[1],
        "image_size": image_size,
        "patch_size": patch_size,
        "mask_input_channels": weights["prompt_encoder.mask_embed.conv2.weight"].shape[0],
    }


def of_decoder(weights: Mapping[str, Tensor]) -> dict[str, object]:
    """Facts of SAM's mask decoder."""
    tokens, layer = weights["mask_decoder.mask_tokens.weight"], "mask_decoder.transformer.layers.0"
    return {
        "hidden_size": tokens.shape[1],
        "mlp_dim": weights[f"{layer}.mlp.lin1.weight"].shape[0],
        "num_hidden_layers": count(weights, r"mask_decoder\.transformer\.layers\.(\d+)\."),
        "num_attention_heads": DECODER_HEADS,
        "attention_downsample_rate": tokens.shape[1]
        // len(weights[f"{layer}.cross_attn_token_to_image.q_proj.weight"]),
        "num_multimask_outputs": tokens.shape[0] - 1,
        "iou_head_hidden_dim": weights["mask_decoder.iou_prediction_head.proj_in.weight"].shape[0],
    }


def filled(model: PreTrainedModel, weights: Mapping[str, Tensor], *, source: str) -> PreTrainedModel:
    """The model with all the weights, in eval mode.

    Args:
        model: of the architecture that the weights tell.
        weights: by the names of the model; the frequencies of positions once.
        source: the file, for messages.

    Raises:
        CheckpointError: a weight has no place, or a place no weight.
    """
    complete = dict(weights)
    if FREQUENCIES in complete:
        complete[SHARED_FREQUENCIES] = complete[FREQUENCIES]
    _check(complete, model.state_dict(), source)
    model.load_state_dict(complete)
    return model.eval()


def _check(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], source: str) -> None:
    faults = {
        "missing": sorted(expected.keys() - weights.keys()),
        "unexpected": sorted(weights.keys() - expected.keys()),
        "of another shape": sorted(
            name for name in expected.keys() & weights.keys() if expected[name].shape != weights[name].shape
        ),
    }
    told = [f"{len(names)} {fault}: {listed(names)}" for fault, names in faults.items() if names]
    if told:
        raise CheckpointError(
            f"{source}: the weights are not those of this architecture as it was published, and nothing is converted "
            f"partly. By the names of the converted model, {'; '.join(told)}"
        )
