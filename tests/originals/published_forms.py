"""What the published modules of the small families compute, as functions of weights by their original names.

A second formulation, written from the published definitions and apart from the models here: a loop over windows instead
of a reshaped tensor, biases looked up by the order in which distances first occur, every product written out.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

Weights = Mapping[str, Tensor]
ENCODER = "image_encoder"


def _conv_norm(w: Weights, name: str, grid: Tensor, *, stride: int = 1) -> Tensor:
    """Groups are read off the shape: a convolution within channels has one input a filter."""
    kernel = w[f"{name}.c.weight"]
    groups = grid.shape[1] // kernel.shape[1]
    made = functional.conv2d(grid, kernel, stride=stride, padding=kernel.shape[-1] // 2, groups=groups)
    return _batch_norm(w, f"{name}.bn", made)


def _batch_norm(w: Weights, name: str, grid: Tensor) -> Tensor:
    def column(key: str) -> Tensor:
        return w[f"{name}.{key}"][:, None, None]

    normed = (grid - column("running_mean")) / torch.sqrt(column("running_var") + 1e-5)
    return normed * column("weight") + column("bias")


def _norm(w: Weights, name: str, tokens: Tensor, eps: float) -> Tensor:
    """Of the last axis."""
    mean = tokens.mean(-1, keepdim=True)
    variance = (tokens - mean).square().mean(-1, keepdim=True)
    return (tokens - mean) / torch.sqrt(variance + eps) * w[f"{name}.weight"] + w[f"{name}.bias"]


def _linear(w: Weights, name: str, tokens: Tensor) -> Tensor:
    return tokens @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def _neck(w: Weights, grid: Tensor) -> Tensor:
    grid = functional.conv2d(grid, w[f"{ENCODER}.neck.0.weight"])
    grid = _norm(w, f"{ENCODER}.neck.1", grid.movedim(1, -1), 1e-6).movedim(-1, 1)
    grid = functional.conv2d(grid, w[f"{ENCODER}.neck.2.weight"], padding=1)
    return _norm(w, f"{ENCODER}.neck.3", grid.movedim(1, -1), 1e-6).movedim(-1, 1)


def _count(w: Weights, start: str) -> int:
    return len({name[len(start) :].split(".")[0] for name in w if name.startswith(start)})


# ------------------------------------------------------------------------------------------------- TinyViT


def tiny_vit(w: Weights, images: Tensor) -> Tensor:
    """Image embeddings of MobileSAM and TinySAM."""
    gelu = functional.gelu
    grid = gelu(_conv_norm(w, f"{ENCODER}.patch_embed.seq.0", images, stride=2))
    grid = _conv_norm(w, f"{ENCODER}.patch_embed.seq.2", grid, stride=2)
    layers = _count(w, f"{ENCODER}.layers.")
    for layer in range(layers):
        for block in range(_count(w, f"{ENCODER}.layers.{layer}.blocks.")):
            name = f"{ENCODER}.layers.{layer}.blocks.{block}"
            if layer == 0:
                mixed = gelu(_conv_norm(w, f"{name}.conv2", gelu(_conv_norm(w, f"{name}.conv1", grid))))
                grid = gelu(_conv_norm(w, f"{name}.conv3", mixed) + grid)
            else:
                grid = _window_block(w, name, grid)
        if layer < layers - 1:
            name = f"{ENCODER}.layers.{layer}.downsample"
            grid = gelu(_conv_norm(w, f"{name}.conv1", grid))
            grid = gelu(_conv_norm(w, f"{name}.conv2", grid, stride=1 if layer == layers - 2 else 2))
            grid = _conv_norm(w, f"{name}.conv3", grid)
    return _neck(w, grid)


def _window_block(w: Weights, name: str, grid: Tensor) -> Tensor:
    side = math.isqrt(w[f"{name}.attn.attention_biases"].shape[1])
    batch, channels, height, width = grid.shape
    full = torch.zeros(batch, channels, -(-height // side) * side, -(-width // side) * side)
    full[:, :, :height, :width] = grid
    attended = torch.zeros_like(full)
    for top in range(0, full.shape[2], side):
        for left in range(0, full.shape[3], side):
            place = (slice(None), slice(None), slice(top, top + side), slice(left, left + side))
            tokens = full[place].flatten(2).transpose(1, 2)
            attended[place] = _attend(w, name, tokens, side).transpose(1, 2).reshape(full[place].shape)
    grid = grid + attended[:, :, :height, :width]
    grid = _conv_norm(w, f"{name}.local_conv", grid)
    tokens = grid.movedim(1, -1)
    hidden = functional.gelu(_linear(w, f"{name}.mlp.fc1", _norm(w, f"{name}.mlp.norm", tokens, 1e-5)))
    return (tokens + _linear(w, f"{name}.mlp.fc2", hidden)).movedim(-1, 1)


def _attend(w: Weights, name: str, tokens: Tensor, side: int) -> Tensor:
    biases = w[f"{name}.attn.attention_biases"]
    places = [(row, column) for row in range(side) for column in range(side)]
    known: dict[tuple[int, int], int] = {}
    index = [
        [known.setdefault((abs(a - c), abs(b - d)), len(known)) for c, d in places] for a, b in places
    ]  # a distance is numbered when it first occurs
    made = _linear(w, f"{name}.attn.qkv", _norm(w, f"{name}.attn.norm", tokens, 1e-5))
    of_head = tokens.shape[-1] // len(biases)
    heads = []
    for head, bias in enumerate(biases):
        query, key, value = made[..., 3 * of_head * head : 3 * of_head * (head + 1)].split(of_head, dim=-1)
        scores = query @ key.transpose(1, 2) / math.sqrt(of_head) + bias[torch.tensor(index)]
        heads.append(scores.softmax(-1) @ value)
    return _linear(w, f"{name}.attn.proj", torch.cat(heads, dim=-1))


# -------------------------------------------------------------------------------------------------- RepViT


def repvit(w: Weights, images: Tensor) -> Tensor:
    """Image embeddings of EdgeSAM and RepViT-SAM."""
    grid = functional.gelu(_conv_norm(w, f"{ENCODER}.features.0.0", images, stride=2))
    grid = _conv_norm(w, f"{ENCODER}.features.0.2", grid, stride=2)
    blocks = [f"{ENCODER}.features.{place}" for place in range(1, _count(w, f"{ENCODER}.features."))]
    widening = [name for name in blocks if f"{name}.token_mixer.2.c.weight" in w]
    fused, before_last = f"{ENCODER}.fuse_stage2.weight" in w, torch.empty(0)
    for name in blocks:
        mixer = f"{name}.token_mixer"
        if name == widening[-1]:
            before_last = grid
        if name in widening:
            grid = _conv_norm(w, f"{mixer}.0", grid, stride=2 if fused or name != widening[-1] else 1)
        elif f"{mixer}.0.bn.weight" in w:
            narrow = functional.conv2d(
                grid, w[f"{mixer}.0.conv1.weight"], w[f"{mixer}.0.conv1.bias"], groups=grid.shape[1]
            )
            grid = _batch_norm(w, f"{mixer}.0.bn", _conv_norm(w, f"{mixer}.0.conv", grid) + narrow + grid)
        else:
            grid = _conv_norm(w, f"{mixer}.0.conv", grid) + _conv_norm(w, f"{mixer}.0.conv1", grid) + grid
        if f"{mixer}.1.fc1.weight" in w:
            mean = grid.mean((2, 3))
            hidden = (mean @ w[f"{mixer}.1.fc1.weight"][..., 0, 0].T + w[f"{mixer}.1.fc1.bias"]).relu()
            gate = (hidden @ w[f"{mixer}.1.fc2.weight"][..., 0, 0].T + w[f"{mixer}.1.fc2.bias"]).sigmoid()
            grid = grid * gate[..., None, None]
        if name in widening:
            grid = _conv_norm(w, f"{mixer}.2", grid)
        channel = f"{name}.channel_mixer.m"
        grid = grid + _conv_norm(w, f"{channel}.2", functional.gelu(_conv_norm(w, f"{channel}.0", grid)))
    if fused:
        coarse = functional.conv2d(grid, w[f"{ENCODER}.fuse_stage3.op_list.0.weight"])
        coarse = functional.interpolate(coarse, before_last.shape[-2:], mode="bicubic", align_corners=False)
        grid = functional.conv2d(before_last, w[f"{ENCODER}.fuse_stage2.weight"]) + coarse
    return _neck(w, grid)


# -------------------------------------------------------------------------------------------- EfficientSAM


def efficient_sam_embedding(w: Weights, images: Tensor) -> Tensor:
    """Image embeddings of EfficientSAM."""
    kernel = w[f"{ENCODER}.patch_embed.proj.weight"]
    patches = functional.conv2d(images, kernel, w[f"{ENCODER}.patch_embed.proj.bias"], stride=kernel.shape[-1])
    positions = w[f"{ENCODER}.pos_embed"][:, 1:]  # the first is the class token's
    side = math.isqrt(positions.shape[1])
    positions = positions.transpose(1, 2).reshape(1, -1, side, side)
    grid = patches + functional.interpolate(positions, patches.shape[-2:], mode="bicubic", align_corners=False)
    tokens = grid.flatten(2).transpose(1, 2)
    for place in range(_count(w, f"{ENCODER}.blocks.")):
        name = f"{ENCODER}.blocks.{place}"
        made = _linear(w, f"{name}.attn.qkv", _norm(w, f"{name}.norm1", tokens, 1e-6))
        query, key, value = (_heads(part, 64) for part in made.chunk(3, dim=-1))
        tokens = tokens + _linear(w, f"{name}.attn.proj", _attention(query, key, value))
        hidden = functional.gelu(_linear(w, f"{name}.mlp.fc1", _norm(w, f"{name}.norm2", tokens, 1e-6)))
        tokens = tokens + _linear(w, f"{name}.mlp.fc2", hidden)
    return _neck(w, tokens.transpose(1, 2).reshape(grid.shape))


def _heads(tokens: Tensor, of_head: int) -> Tensor:
    return tokens.reshape(*tokens.shape[:2], -1, of_head).transpose(1, 2)


def _attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    seen = scores.softmax(-1) @ value
    return seen.transpose(1, 2).flatten(2)


def efficient_sam_masks(
    w: Weights, embedding: Tensor, points: Tensor, labels: Tensor, *, image_size: int
) -> tuple[Tensor, Tensor]:
    """All masks and IoUs of K prompts on one image embedding (1, C, h, w).

    Points are (K, P, 2) in pixels of the model frame, at most six; labels (K, P): 1 the object, 0 the background, 2
    and 3 the corners of a box, -1 none.
    """
    missing = 6 - points.shape[1]
    points = functional.pad(points, (0, 0, 0, missing), value=-1.0)
    labels = functional.pad(labels, (0, missing), value=-1)
    points = torch.where((labels == -1)[..., None], torch.tensor(-1.0), points)
    sparse = _encoded(w, (points + 0.5) / image_size)
    for label, kind in (
        (-1, "invalid_points"),
        (1, "point_embeddings"),
        (2, "bbox_top_left_embeddings"),
        (3, "bbox_bottom_right_embeddings"),
    ):
        sparse = sparse + (labels == label)[..., None] * w[f"prompt_encoder.{kind}.weight"]
    decoder, side = "mask_decoder", embedding.shape[-1]
    own = torch.cat((w[f"{decoder}.iou_token.weight"], w[f"{decoder}.mask_tokens.weight"]))
    tokens = torch.cat((own.expand(len(points), -1, -1), sparse), dim=1)
    centres = (torch.arange(side) + 0.5) / side
    of_image = _encoded(w, torch.stack(torch.meshgrid(centres, centres, indexing="xy"), dim=-1)).flatten(0, 1)
    image = embedding.flatten(2).transpose(1, 2).expand(len(points), -1, -1)
    of_tokens, transformer = tokens, f"{decoder}.transformer"
    for place in range(_count(w, f"{transformer}.layers.")):
        name = f"{transformer}.layers.{place}"
        if place > 0:
            tokens = tokens + of_tokens
        tokens = _norm(w, f"{name}.norm1", tokens + _across(w, f"{name}.self_attn", tokens, tokens, tokens), 1e-5)
        read = _across(w, f"{name}.cross_attn_token_to_image", tokens + of_tokens, image + of_image, image)
        tokens = _norm(w, f"{name}.norm2", tokens + read, 1e-5)
        tokens = _norm(w, f"{name}.norm3", tokens + _network(w, f"{name}.mlp", tokens), 1e-5)
        read = _across(w, f"{name}.cross_attn_image_to_token", image + of_image, tokens + of_tokens, tokens)
        image = _norm(w, f"{name}.norm4", image + read, 1e-5)
    read = _across(w, f"{transformer}.final_attn_token_to_image", tokens + of_tokens, image + of_image, image)
    tokens = _norm(w, f"{transformer}.norm_final_attn", tokens + read, 1e-5)
    grid = image.transpose(1, 2).reshape(len(points), -1, side, side)
    upscaling = f"{decoder}.final_output_upscaling_layers"
    grid = functional.conv_transpose2d(grid, w[f"{upscaling}.0.0.weight"], w[f"{upscaling}.0.0.bias"], stride=2)
    spread = (grid - grid.mean((1, 2, 3), keepdim=True)).square().mean((1, 2, 3), keepdim=True)
    grid = (grid - grid.mean((1, 2, 3), keepdim=True)) / torch.sqrt(spread + 1e-5)
    grid = grid * w[f"{upscaling}.0.1.weight"][:, None, None] + w[f"{upscaling}.0.1.bias"][:, None, None]
    grid = functional.gelu(grid)
    grid = functional.conv_transpose2d(grid, w[f"{upscaling}.1.0.weight"], w[f"{upscaling}.1.0.bias"], stride=2)
    grid = functional.gelu(grid)
    masks = [
        torch.einsum("kc,kchw->khw", _network(w, f"{decoder}.output_hypernetworks_mlps.{place}", token), grid)
        for place, token in enumerate(tokens[:, 1 : len(own)].unbind(1))
    ]
    return torch.stack(masks, dim=1), _network(w, f"{decoder}.iou_prediction_head", tokens[:, 0])


def _encoded(w: Weights, places: Tensor) -> Tensor:
    """(..., 2) in 0 to 1, to (..., C)."""
    angles = 2 * math.pi * ((2 * places - 1) @ w["prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"])
    return torch.cat((angles.sin(), angles.cos()), dim=-1)


def _across(w: Weights, name: str, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Eight heads."""
    made = (_linear(w, f"{name}.{part}_proj", tokens) for part, tokens in zip("qkv", (query, key, value), strict=True))
    return _linear(w, f"{name}.out_proj", _attention(*(_heads(part, part.shape[-1] // 8) for part in made)))


def _network(w: Weights, name: str, tokens: Tensor) -> Tensor:
    for place in range(_count(w, f"{name}.layers.")):
        tokens = functional.gelu(_linear(w, f"{name}.layers.{place}.0", tokens))
    return _linear(w, f"{name}.fc", tokens)
