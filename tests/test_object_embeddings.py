"""Embeddings of objects, from the store to the first prompt of a session: each object has its own, made once."""

import io
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from small_text_models import write_clip
from test_task import SINGLE, losses_with_graph, make_batch

from adapt.build import make_store
from adapt.datamodules import Splits
from adapt.datamodules.batches import collate
from adapt.datamodules.embeddings import ObjectEmbeddings
from adapt.datamodules.epoch_sampler import Key
from adapt.datamodules.prepared_samples import PreparedSamples
from adapt.errors import RecipeError
from adapt.jobs.embedding import object_embeddings
from adapt.prompts import Prompts
from adapt.recipe import Recipe, load_recipe
from adapt.segmenters import ImageFeatures, MaskPredictions, load_segmenter
from adapt.text import ClipEmbedder, find_clip
from adapt.tuning.text_token import insert_text_token

QUIET = Console(file=io.StringIO())
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    folder = tmp_path_factory.mktemp("embeddings")
    (folder / "small.yaml").write_text(
        f"cache: {folder / 'cache'}\n"
        f"tuning: {{mode: text_token, clip: {write_clip(folder / 'clip')}}}\n"
        "data: {kind: folder, root: adapt:shapes_folder}\n"
        "text: {phrases: {disc: round}}\n",
        encoding="utf-8",
    )
    return load_recipe(folder / "small.yaml")


def test_every_object_of_a_batch_comes_with_its_own_embeddings_made_once(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(recipe, QUIET)
    splits = Splits(store.groups[:2], store.groups[2:3], store.groups[3:4])
    kept = object_embeddings(recipe, store, splits, device=CPU, console=QUIET)
    assert kept is not None
    monkeypatch.setattr(ClipEmbedder, "__init__", None)  # a second run asks no CLIP
    again = object_embeddings(recipe, store, splits, device=CPU, console=QUIET)
    assert again == kept
    monkeypatch.undo()
    spec = load_segmenter("adapt:tiny").spec
    rows = [row for row, group in enumerate(store.groups) if group in splits.train][:2]
    for objects in (2, 100):
        items = PreparedSamples(
            store, spec, augmentation=None, objects=objects, seed=0, embeddings=pickle.loads(pickle.dumps(kept))
        )
        batch = collate([items[Key(3, row)] for row in rows])
        assert batch.embeddings is not None and batch.embeddings.shape[:3] == (*batch.object_valid.shape, 3)
        embedder = ClipEmbedder(find_clip(recipe.tuning.clip, revision=None), device=CPU)  # type: ignore[union-attr]
        for place, row in enumerate(rows):
            sample = store.sample(row)
            seen = embedder.regions(sample.image, sample.masks, context=1.5)
            names = [recipe.text.phrases.get(name, name) for name in sample.categories]
            expected = torch.cat((seen, embedder.phrases(names)[:, None]), dim=1)
            own = batch.embeddings[place, : len(batch.categories[place])]
            nearest = [int((expected - one).abs().amax((1, 2)).argmin()) for one in own]
            assert len(set(nearest)) == len(own) == min(objects, len(expected))
            assert torch.allclose(own, expected[nearest], atol=5e-3)  # kept as float16
            assert [sample.categories[one] for one in nearest] == list(batch.categories[place])


def test_a_damaged_file_is_made_anew(recipe: Recipe) -> None:
    store = make_store(recipe, QUIET)
    splits = Splits(store.groups[:1], (), store.groups[3:4])
    kept = object_embeddings(recipe, store, splits, device=CPU, console=QUIET)
    assert kept is not None
    whole = kept.path.read_bytes()
    kept.path.write_bytes(whole[: len(whole) // 2])
    object_embeddings(recipe, store, splits, device=CPU, console=QUIET)
    assert kept.path.read_bytes() == whole


def test_images_that_are_drawn_anew_have_no_embeddings_to_keep(recipe: Recipe, tmp_path: Path) -> None:
    path = tmp_path / "drawn.yaml"
    path.write_text("tuning: {mode: text_token}\ndata: {kind: synthetic, fresh: true}\n", encoding="utf-8")
    store = make_store(recipe, QUIET)
    splits = Splits(store.groups[:1], (), ())
    with pytest.raises(RecipeError, match=r"data\.fresh cannot be true"):
        object_embeddings(load_recipe(path), store, splits, device=CPU, console=QUIET)


def test_a_session_begins_with_the_embedding_and_teaches_the_projection_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    segmenter = load_segmenter("adapt:tiny")
    for parameter in segmenter.model.parameters():
        parameter.requires_grad_(False)
    insert_text_token(segmenter, width=8)
    batch = make_batch()
    seen: list[tuple[Prompts, bool]] = []
    decode = segmenter.decode

    def watched(features: ImageFeatures, prompts: Prompts, *, multimask: bool) -> MaskPredictions:
        seen.append((prompts, multimask))
        return decode(features, prompts, multimask=multimask)

    monkeypatch.setattr(segmenter, "decode", watched)
    batch = replace(batch, embeddings=torch.randn(*batch.object_valid.shape, 3, 8))
    losses, valid = losses_with_graph(segmenter, batch, session=SINGLE)
    losses.total[valid].sum().backward()
    ((prompts, multimask),) = seen
    assert prompts.points is None and prompts.boxes is None and prompts.embeddings is not None
    assert not multimask and len(prompts.object_valid) == len(batch.images)
    moved = {name for name, parameter in segmenter.named_parameters() if parameter.grad is not None}
    assert moved == {f"model.prompt_encoder.text_token.{name}" for name in ("weight", "bias")}


def test_what_is_pickled_of_embeddings_is_their_path(tmp_path: Path) -> None:
    assert pickle.loads(pickle.dumps(ObjectEmbeddings(tmp_path))) == ObjectEmbeddings(tmp_path)
