"""Decoder tuning: exactly which parameters train, and that the encoder never moves."""

import pytest
import torch

from adapt.losses import LossWeights, object_losses
from adapt.prompts import box_prompts
from adapt.segmenters import PromptableSegmenter, load_segmenter
from adapt.tuning import trainable_names, trainable_table, tune_decoder

ATTENTIONS = [
    f"transformer.layers.{layer}.{kind}"
    for layer in (0, 1)
    for kind in ("self_attn", "cross_attn_token_to_image", "cross_attn_image_to_token")
]
ATTENTIONS.append("transformer.final_attn_token_to_image")

WITH_BIAS = [
    *[f"{attention}.{part}" for attention in ATTENTIONS for part in ("q_proj", "k_proj", "v_proj", "out_proj")],
    *[f"transformer.layers.{layer}.mlp.{part}" for layer in (0, 1) for part in ("lin1", "lin2")],
    *[f"transformer.layers.{layer}.layer_norm{norm}" for layer in (0, 1) for norm in (1, 2, 3, 4)],
    "transformer.layer_norm_final_attn",
    "upscale_conv1",
    "upscale_conv2",
    "upscale_layer_norm",
    *[f"output_hypernetworks_mlps.{mask}.{part}" for mask in range(4) for part in ("proj_in", "layers.0", "proj_out")],
    *[f"iou_prediction_head.{part}" for part in ("proj_in", "layers.0", "proj_out")],
]

MASK_DECODER = {
    "model.mask_decoder.iou_token.weight",
    "model.mask_decoder.mask_tokens.weight",
    *[f"model.mask_decoder.{module}.{kind}" for module in WITH_BIAS for kind in ("weight", "bias")],
}

PROMPT_ENCODER = {
    "model.prompt_encoder.no_mask_embed.weight",
    "model.prompt_encoder.not_a_point_embed.weight",
    *[f"model.prompt_encoder.point_embed.{kind}.weight" for kind in range(4)],
    *[
        f"model.prompt_encoder.mask_embed.{module}.{kind}"
        for module in ("conv1", "conv2", "conv3", "layer_norm1", "layer_norm2")
        for kind in ("weight", "bias")
    ],
}


@pytest.fixture
def segmenter() -> PromptableSegmenter:
    return load_segmenter("adapt:tiny")


def test_the_mask_decoder_trains_and_nothing_else(segmenter: PromptableSegmenter) -> None:
    tune_decoder(segmenter, prompt_encoder=False)
    names = trainable_names(segmenter)
    assert len(names) == len(set(names))
    assert set(names) == MASK_DECODER


def test_with_the_prompt_encoder_its_embeddings_train_too(segmenter: PromptableSegmenter) -> None:
    tune_decoder(segmenter, prompt_encoder=True)
    assert set(trainable_names(segmenter)) == MASK_DECODER | PROMPT_ENCODER


def test_the_frequencies_that_place_points_never_train(segmenter: PromptableSegmenter) -> None:
    """The image's own positions come from the same tensor, under either name."""
    tune_decoder(segmenter, prompt_encoder=True)
    every = [p for _, p in segmenter.named_parameters()]
    frozen = dict(segmenter.prompt_encoder.named_parameters())["shared_embedding.positional_embedding"]
    assert any(frozen is parameter for parameter in every)
    assert not frozen.requires_grad


def test_tuning_again_with_less_freezes_again(segmenter: PromptableSegmenter) -> None:
    tune_decoder(segmenter, prompt_encoder=True)
    tune_decoder(segmenter, prompt_encoder=False)
    assert set(trainable_names(segmenter)) == MASK_DECODER


def test_a_step_moves_the_decoder_and_leaves_the_rest_bit_identical(segmenter: PromptableSegmenter) -> None:
    tune_decoder(segmenter, prompt_encoder=False)
    before = {name: parameter.detach().clone() for name, parameter in segmenter.named_parameters()}
    trained = [parameter for _, parameter in segmenter.named_parameters() if parameter.requires_grad]
    # Weight decay would move a parameter that got no gradient, were it given to the optimiser.
    optimizer = torch.optim.AdamW(trained, lr=1e-2, weight_decay=0.1)
    valid = torch.ones(1, 1, dtype=torch.bool)
    images = torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    predictions = segmenter.decode(
        segmenter.encode(images), box_prompts(torch.tensor([[[40.0, 40.0, 160.0, 160.0]]]), valid), multimask=True
    )
    targets = torch.zeros(1, 1, 64, 64, dtype=torch.bool)
    targets[..., 10:40, 10:40] = True
    weights = LossWeights(focal=20.0, dice=1.0, iou=1.0, alpha=0.25, gamma=2.0)
    object_losses(predictions.logits, predictions.iou, targets, valid, weights=weights).total.sum().backward()
    optimizer.step()
    after = dict(segmenter.named_parameters())
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert moved <= MASK_DECODER
    assert any(name.startswith("model.mask_decoder.transformer.") for name in moved)
    assert any(name.startswith("model.mask_decoder.iou_prediction_head.") for name in moved)


@pytest.mark.parametrize("prompt_encoder", [False, True])
def test_the_table_adds_up(segmenter: PromptableSegmenter, prompt_encoder: bool) -> None:
    tune_decoder(segmenter, prompt_encoder=prompt_encoder)
    table = trainable_table(segmenter)
    assert [name for name, _, _ in table] == ["image encoder", "prompt encoder", "mask decoder"]
    parameters = dict(segmenter.named_parameters())
    assert sum(trains for _, trains, _ in table) == sum(parameters[name].numel() for name in trainable_names(segmenter))
    assert sum(count for _, _, count in table) == sum(parameter.numel() for parameter in parameters.values())
    trains = {name: (count, of) for name, count, of in table}
    assert trains["image encoder"][0] == 0
    assert trains["mask decoder"][0] == trains["mask decoder"][1] > 0
    frequencies = 2 * 64  # xy times half of the 128 channels
    expected = trains["prompt encoder"][1] - frequencies if prompt_encoder else 0
    assert trains["prompt encoder"][0] == expected
