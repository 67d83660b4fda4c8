"""A token from an embedding: what trains, what the decoder sees, what is kept, and that it learns to point."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_families import OF_BLOCKS, small_model, small_segmenter
from small_text_models import write_clip

from adapt.errors import CheckpointError, HubError
from adapt.hub.package import check_adapter
from adapt.prompts import Prompts, box_prompts, draw_embeddings, point_prompts
from adapt.recipe import TextTokenTuning
from adapt.segmenters import PromptableSegmenter, load_segmenter
from adapt.tuning import (
    base_weights,
    choose,
    has_inserted,
    load_adapter,
    merge,
    save_adapter,
    takes_text,
    trainable_names,
    trainable_table,
)
from adapt.tuning.text_token import insert_text_token


@pytest.fixture(scope="module")
def tuning(tmp_path_factory: pytest.TempPathFactory) -> TextTokenTuning:
    return TextTokenTuning(clip=str(write_clip(tmp_path_factory.mktemp("clip"))))


def own_segmenter(family: str) -> PromptableSegmenter:
    segmenter = small_segmenter(family)
    segmenter.model = type(segmenter.model)(segmenter.model.config).eval()
    segmenter.model.load_state_dict(small_model(family).state_dict())
    return segmenter


def by_text(embeddings: torch.Tensor) -> Prompts:
    return Prompts(object_valid=torch.ones(embeddings.shape[:2], dtype=torch.bool), embeddings=embeddings)


def test_only_the_projection_trains(tuning: TextTokenTuning) -> None:
    segmenter = load_segmenter("adapt:tiny")
    assert not takes_text(segmenter)
    choose(segmenter, tuning)
    assert trainable_names(segmenter) == [f"model.prompt_encoder.text_token.{name}" for name in ("weight", "bias")]
    assert takes_text(segmenter) and has_inserted(segmenter)
    width = segmenter.prompt_encoder.no_mask_embed.embedding_dim
    assert ("inserted in prompt encoder", width * 9, width * 9) in trainable_table(segmenter)


@pytest.mark.parametrize("family", OF_BLOCKS)
def test_a_token_alone_and_beside_clicks_prompts_every_family(family: str) -> None:
    segmenter = own_segmenter(family)
    torch.manual_seed(0)
    insert_text_token(segmenter, width=8)
    size = segmenter.spec.image_size
    features = segmenter.encode(torch.randn(1, 3, size, size))
    embeddings = 5 * torch.randn(1, 3, 8)
    found = segmenter.decode(features, by_text(embeddings), multimask=False)
    side = segmenter.spec.mask_size
    assert found.logits.shape == (1, 3, 1, side, side) and found.iou.shape == (1, 3, 1)
    assert not torch.allclose(found.logits[0, 0], found.logits[0, 1], atol=1e-4)
    alone = segmenter.decode(features, by_text(embeddings[:, 1:2]), multimask=False)
    assert torch.allclose(alone.logits[0, 0], found.logits[0, 1], atol=1e-4)
    clicked = by_text(embeddings).add_clicks(torch.full((1, 3, 1, 2), size / 2), torch.ones(1, 3, 1, dtype=torch.int64))
    both = segmenter.decode(features, clicked, multimask=False)
    assert not torch.allclose(both.logits, found.logits, atol=1e-4)


def test_a_token_is_seen_by_the_decoder_as_one_more_prompt() -> None:
    segmenter = own_segmenter("SAM")
    insert_text_token(segmenter, width=8)
    features = segmenter.encode(torch.randn(1, 3, 64, 64))
    embeddings = torch.randn(1, 1, 8)
    found = segmenter.decode(features, by_text(embeddings), multimask=False)
    model = segmenter.model
    dense = model.prompt_encoder.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(-1, -1, 4, 4)
    logits, _ = model.mask_decoder(
        image_embeddings=features.embedding,
        image_positional_embeddings=model.get_image_wide_positional_embeddings(),
        sparse_prompt_embeddings=model.prompt_encoder.text_token(embeddings)[:, None],
        dense_prompt_embeddings=dense,
        multimask_output=False,
    )
    assert torch.allclose(found.logits[0], logits[0], atol=1e-5)


def test_padding_objects_have_no_token() -> None:
    segmenter = own_segmenter("SAM")
    insert_text_token(segmenter, width=8)
    features = segmenter.encode(torch.randn(1, 3, 64, 64))
    valid = torch.tensor([[True, False]])
    found = segmenter.decode(features, Prompts(valid, embeddings=torch.randn(1, 2, 8)), multimask=False)
    assert found.logits[0, 0].any() and not found.logits[0, 1].any()


def test_what_is_kept_comes_back_to_the_bit_and_needs_no_clip(tuning: TextTokenTuning, tmp_path: Path) -> None:
    segmenter = own_segmenter("SAM")
    base = base_weights(segmenter, "checkpoint")
    choose(segmenter, tuning)
    save_adapter(segmenter, tmp_path, tuning=tuning.model_copy(update={"clip": "owner/unreachable"}), base=base)
    again = own_segmenter("SAM")
    load_adapter(again, tmp_path)
    features = again.encode(torch.randn(1, 3, 64, 64))
    prompts = by_text(torch.randn(1, 2, 8))
    answers = [one.decode(features, prompts, multimask=False).logits for one in (segmenter, again)]
    assert torch.equal(*answers)
    with pytest.raises(CheckpointError, match="that of text_token reads texts"):
        merge(again)
    with pytest.raises(HubError, match=r"tuning\.mode text_token"):
        check_adapter(tuning, "facebook/sam-vit-base", resized=False)
    (tmp_path / "adapter.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_adapter(own_segmenter("SAM"), tmp_path)


def test_an_object_is_drawn_alone_half_of_the_time() -> None:
    keys = torch.arange(2000).reshape(2, 1000)
    embeddings = torch.arange(3.0).reshape(1, 1, 3, 1).expand(2, 1000, 3, 4)
    drawn = draw_embeddings(embeddings, torch.ones(2, 1000, dtype=torch.bool), keys).embeddings
    assert drawn is not None and set(drawn.unique().tolist()) == {0.0, 1.0}  # never the name
    assert drawn.mean() == pytest.approx(0.5, abs=0.05)


def test_prompts_of_clicks_and_boxes_are_as_they_were_before(tuning: TextTokenTuning) -> None:
    stock, tuned = load_segmenter("adapt:tiny"), load_segmenter("adapt:tiny")
    choose(tuned, tuning)
    features = stock.encode(torch.randn(1, 3, 256, 256))
    valid = torch.ones(1, 1, dtype=torch.bool)
    for prompts in (point_prompts(torch.tensor([[[40.0, 50]]]), valid), box_prompts(torch.ones(1, 1, 4) * 9, valid)):
        answers = [one.decode(features, prompts, multimask=False).logits for one in (stock, tuned)]
        assert torch.equal(*answers)


def test_the_projection_learns_which_object_an_embedding_means() -> None:
    torch.manual_seed(0)
    segmenter = load_segmenter("adapt:tiny")
    for parameter in segmenter.model.parameters():
        parameter.requires_grad_(False)
    insert_text_token(segmenter, width=8)
    rows, columns = np.ogrid[:256, :256]
    disc = (rows - 80) ** 2 + (columns - 70) ** 2 < 40**2
    square = (abs(rows - 170) < 40) & (abs(columns - 180) < 40)
    image = np.full((256, 256, 3), 110, dtype=np.uint8)
    image[disc], image[square] = (220, 200, 60), (30, 40, 160)
    with torch.no_grad():
        features = segmenter.encode(segmenter.spec.to_model_frame(image)[None])
    side = segmenter.spec.mask_size
    step = 256 // side
    truth = torch.from_numpy(np.stack([disc, square])[:, step // 2 :: step, step // 2 :: step])
    embeddings = torch.randn(1, 2, 8)
    optimizer = torch.optim.AdamW(segmenter.prompt_encoder.text_token.parameters(), lr=0.03)
    for _ in range(40):
        logits = segmenter.decode(features, by_text(embeddings), multimask=False).logits[0, :, 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth.float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        masks = segmenter.decode(features, by_text(embeddings), multimask=False).logits[0, :, 0] > 0
    shared = (masks[:, None] & truth[None]).sum((2, 3)) / (masks[:, None] | truth[None]).sum((2, 3))
    assert shared.diagonal().min() > 0.6 and max(shared[0, 1], shared[1, 0]) < 0.2
