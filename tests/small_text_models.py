"""Text models of a few thousand random weights, with tokenizers of a tiny vocabulary; nothing is downloaded."""

from pathlib import Path

import torch
from transformers import (
    BertTokenizer,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTokenizer,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessorPil,
    PreTrainedModel,
    Sam3Config,
    Sam3Model,
)

WORDS = ("cell", "dark", "disc", "nucleus", "of", "red", "the", "tumour", "white", "##s")
BERT_SPECIALS = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 1012: ".", 1029: "?"}
"""Where BERT has them: Grounding DINO knows these places by heart."""


def _shaken(model: PreTrainedModel) -> PreTrainedModel:
    """No parameter is zero or one, as some of a fresh model are."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
    return model.eval()


def bert_tokenizer(folder: Path) -> BertTokenizer:
    folder.mkdir(parents=True, exist_ok=True)
    words = [f"[unused{place}]" for place in range(1030)] + list(WORDS)
    for place, token in BERT_SPECIALS.items():
        words[place] = token
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    tokenizer = BertTokenizer(vocab=str(folder / "vocab.txt"))
    tokenizer.save_pretrained(folder)
    return tokenizer


def write_grounding_dino(folder: Path) -> Path:
    """A Grounding DINO with a Swin of two stages and a BERT of one layer."""
    bert_tokenizer(folder)
    swin = {
        "model_type": "swin",
        "image_size": 64,
        "patch_size": 4,
        "embed_dim": 8,
        "depths": [1, 1],
        "num_heads": [1, 2],
        "window_size": 4,
        "out_indices": [1, 2],
    }
    bert = {
        "model_type": "bert",
        "vocab_size": 1030 + len(WORDS),
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 32,
    }
    config = GroundingDinoConfig(
        backbone_config=swin,
        text_config=bert,
        d_model=32,
        num_queries=12,
        encoder_layers=1,
        encoder_ffn_dim=32,
        encoder_attention_heads=4,
        decoder_layers=2,
        decoder_ffn_dim=32,
        decoder_attention_heads=4,
        num_feature_levels=2,
        max_text_len=16,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _shaken(GroundingDinoForObjectDetection(config)).save_pretrained(folder)
    GroundingDinoImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 96}).save_pretrained(folder)
    return folder


def clip_tokenizer(folder: Path) -> CLIPTokenizer:
    """A word is a few letters; those of the tiny vocabulary are one each."""
    folder.mkdir(parents=True, exist_ok=True)
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=[])
    tokenizer.save_pretrained(folder)
    return tokenizer


CLIP_TEXT = {
    "vocab_size": 54,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 12,
    "projection_dim": 8,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}


def sam3_config(longest: int) -> Sam3Config:
    backbone = {
        "model_type": "sam3_vit_model",
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 56,
        "patch_size": 14,
        "window_size": 2,
        "global_attn_indexes": [1],
        "pretrain_image_size": 28,
    }
    vision = {
        "model_type": "sam3_vision_model",
        "backbone_config": backbone,
        "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        "fpn_hidden_size": 32,
    }
    part = {"hidden_size": 32, "num_attention_heads": 2}
    layers = {**part, "intermediate_size": 32, "num_layers": 1}
    return Sam3Config(
        vision_config=vision,
        text_config={"model_type": "clip_text_model", **CLIP_TEXT, "max_position_embeddings": longest},
        geometry_encoder_config=layers,
        detr_encoder_config=layers,
        detr_decoder_config={**layers, "num_queries": 6},
        mask_decoder_config=part,
    )


def write_sam3(folder: Path, *, longest: int = 12) -> Path:
    """A SAM 3 without a tracker, which takes phrases of so many word pieces."""
    clip_tokenizer(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _shaken(Sam3Model(sam3_config(longest))).save_pretrained(folder)
    return folder


def write_clip(folder: Path) -> Path:
    """A CLIP of one layer for images, and one for texts."""
    clip_tokenizer(folder)
    vision = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
        "projection_dim": 8,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = CLIPConfig(text_config=CLIP_TEXT, vision_config=vision, projection_dim=8)
        _shaken(CLIPModel(config)).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder
