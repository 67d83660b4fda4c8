"""CLIP's embeddings: of the crop that is meant, as the stock model gives them, and the projection that reads them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_text_models import write_clip
from torch.nn import functional
from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

from adapt.errors import CheckpointError, DataError
from adapt.text import ClipEmbedder, find_clip
from adapt.text.clip import clip_width, region_crops

CPU = torch.device("cpu")
PICTURE = np.random.default_rng(0).integers(0, 256, (60, 90, 3)).astype(np.uint8)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip"))


def embedder(folder: Path) -> ClipEmbedder:
    return ClipEmbedder(find_clip(str(folder), revision=None), device=CPU)


def mask_of(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((60, 90), dtype=bool)
    mask[rows, columns] = True
    return mask


def test_an_embedding_is_that_of_the_stock_model_and_processor(clip: Path) -> None:
    found = embedder(clip).regions(PICTURE, mask_of(slice(20, 40), slice(30, 46))[None], context=1.5)
    assert found.shape == (1, 2, 8)
    stock = CLIPModel.from_pretrained(clip).eval()
    crop = PICTURE[15:45, 23:53]
    pixels = CLIPImageProcessorPil.from_pretrained(clip)(images=crop, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        expected = functional.normalize(stock.get_image_features(pixels).pooler_output, dim=-1)[0]
        read = CLIPTokenizer.from_pretrained(clip)(["a disc", "cell"], padding=True, return_tensors="pt")
        texts = functional.normalize(stock.get_text_features(**read).pooler_output, dim=-1)
    assert torch.allclose(found[0, 1] / 8**0.5, expected, atol=1e-4)
    assert torch.allclose(embedder(clip).phrases(["a disc", "cell"]) / 8**0.5, texts, atol=1e-5)


def test_the_object_alone_has_nothing_of_what_is_around_it() -> None:
    mask = mask_of(slice(0, 10), slice(0, 20))
    alone, around = region_crops(PICTURE, mask, size=40, context=2.0)
    changed = np.where(mask[..., None], PICTURE, 255 - PICTURE)
    again, other = region_crops(changed, mask, size=40, context=2.0)
    assert torch.equal(alone, again) and not torch.equal(around, other)
    assert alone.abs().amax() > 0.5 and alone[:, 0, 0].abs().amax() < 0.02  # outside of the image: CLIP's mean
    square, _ = region_crops(PICTURE, mask_of(slice(10, 30), slice(10, 30)), size=20, context=1.0)
    image = square.permute(1, 2, 0) * torch.tensor([0.26862954, 0.26130258, 0.27577711])
    image = (image + torch.tensor([0.48145466, 0.4578275, 0.40821073])) * 255
    assert np.array_equal(image.round().numpy(), PICTURE[10:30, 10:30])


def test_a_crop_of_an_object_at_the_border_is_as_large_as_any() -> None:
    single = mask_of(slice(59, 60), slice(89, 90))
    for context in (1.0, 1.5, 4.0):
        alone, around = region_crops(PICTURE, single, size=16, context=context)
        assert alone.shape == around.shape == (3, 16, 16)


def test_the_width_is_known_without_weights_and_a_phrase_may_be_too_long(clip: Path, tmp_path: Path) -> None:
    assert clip_width(find_clip(str(clip), revision=None)) == 8
    with pytest.raises(DataError, match="the text model takes 12"):
        embedder(clip).phrases(["cell", "abcdefghijklmnop"])
    with pytest.raises(CheckpointError, match=r"'openai/clip-vit' could not be fetched .*set tuning.clip to"):
        find_clip("openai/clip-vit", revision=None)
