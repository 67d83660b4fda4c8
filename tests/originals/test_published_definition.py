"""A converted model gives what the authors' own code gives; where that is installed, which needs torchvision."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from adapt.originals import published_model
from adapt.prompts import Prompts
from adapt.segmenters.checkpoint import BY_NAME
from adapt.segmenters.segmenter import Segmenter

POINTS = torch.tensor([[[[20.0, 25.0], [50.0, 8.0]]]])
LABELS = torch.tensor([[[1, 0]]])
BOXES = torch.tensor([[[5.0, 8.0, 30.0, 40.0]]])


def _encoder(module: object) -> nn.Module:
    encoder: nn.Module = module.ImageEncoderViT(  # type: ignore[attr-defined]
        img_size=64,
        patch_size=16,
        embed_dim=24,
        depth=3,
        num_heads=3,
        mlp_ratio=4,
        out_chans=32,
        qkv_bias=True,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=2,
        global_attn_indexes=(1,),
    )
    return encoder


def _parts(package: str) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Image encoder, prompt encoder and mask decoder with weights of which none is zero."""
    module = pytest.importorskip(f"{package}.modeling", exc_type=ImportError)
    transformer = module.TwoWayTransformer(depth=2, embedding_dim=32, mlp_dim=40, num_heads=8)
    sizes = {"transformer_dim": 32, "transformer": transformer, "num_multimask_outputs": 3, "iou_head_hidden_dim": 48}
    decoder = module.MaskDecoderHQ(**sizes, vit_dim=24) if package.endswith("_hq") else module.MaskDecoder(**sizes)
    prompts = module.PromptEncoder(
        embed_dim=32, image_embedding_size=(4, 4), input_image_size=(64, 64), mask_in_chans=8
    )
    torch.manual_seed(0)
    parts = (_encoder(module), prompts, decoder)
    with torch.no_grad():
        for part in parts:
            for parameter in part.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.05)
            part.eval()
    return parts


@torch.no_grad()
def _ours(parts: tuple[nn.Module, nn.Module, nn.Module], prompts: Prompts, images: Tensor) -> tuple[Tensor, Tensor]:
    names = ("image_encoder", "prompt_encoder", "mask_decoder")
    weights = {
        f"{name}.{key}": v for name, part in zip(names, parts, strict=True) for key, v in part.state_dict().items()
    }
    model = published_model(weights, source="original")
    segmenter = Segmenter(model, BY_NAME["SAM-HQ" if "hq" in type(parts[2]).__name__.lower() else "SAM"])
    found = segmenter.decode(segmenter.encode(images), prompts, multimask=False)
    return found.logits[0, 0], found.iou[0, 0]


@pytest.mark.parametrize("kind", ["clicks", "box", "clicks and box", "box and mask"])
@pytest.mark.parametrize("package", ["segment_anything", "segment_anything_hq"])
def test_masks_and_iou_are_those_of_the_published_code(package: str, kind: str) -> None:
    parts = _parts(package)
    encoder, prompt_encoder, decoder = parts
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    masks = torch.randn(1, 1, 1, 16, 16, generator=torch.Generator().manual_seed(2)) if "mask" in kind else None
    prompts = Prompts(
        object_valid=torch.ones(1, 1, dtype=torch.bool),
        points=POINTS if "clicks" in kind else None,
        point_labels=LABELS if "clicks" in kind else None,
        boxes=BOXES if "box" in kind else None,
        masks=masks,
    )
    with torch.no_grad():
        sparse, dense = prompt_encoder(
            points=(POINTS[0], LABELS[0]) if "clicks" in kind else None,
            boxes=BOXES[0] if "box" in kind else None,
            masks=None if masks is None else masks[0],
        )
        made = encoder(images)
        features, more = made if isinstance(made, tuple) else (made, None)
        expected, iou = decoder(
            image_embeddings=features,
            image_pe=prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
            **({} if more is None else {"hq_token_only": False, "interm_embeddings": more}),
        )
    logits, expected_iou = _ours(parts, prompts, images)
    torch.testing.assert_close(logits, expected[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(expected_iou, iou[0], rtol=1e-4, atol=1e-4)
