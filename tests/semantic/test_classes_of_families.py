"""Classes on every family's own decoder: what they begin as, what learns, what is kept, and whole runs of them."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_families import SMALL, small_segmenter
from torch import Tensor

from adapt.build import make_segmenter, make_task, tune
from adapt.cli import main
from adapt.datamodules.batches import collate, to_batch
from adapt.features import About, FeatureCache
from adapt.hub.stock import STOCK
from adapt.jobs.tuned import load_tuned
from adapt.losses import mean_over_objects
from adapt.prompts import no_prompts
from adapt.recipe import DecoderTuning, FolderData, ModelSettings, Recipe, SemanticSettings, load_recipe
from adapt.samples import Batch, Sample
from adapt.segmenters import PromptableSegmenter, freeze_boundary, load_segmenter
from adapt.segmenters.segmenter import Segmenter
from adapt.semantic import answered
from adapt.task import AdaptTask

CLASSES = ["square", "disc"]
UNASKED = (
    "iou_prediction_head.",
    "output_hypernetworks_mlps.0.",
    "pred_obj_score_head.",
    "obj_score_token.",
    "hq_token.",
    "hq_mask_mlp.",
)
"""Of a mask decoder, what answers no class."""
HEIGHT, WIDTH = 48, 64


@pytest.fixture(params=SMALL)
def family(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def recipe(family: str, tmp_path: Path) -> Recipe:
    """Of a small model of the family, which lies in a folder."""
    small_segmenter(family).save(tmp_path / "checkpoint")
    return Recipe(
        data=FolderData(kind="folder", root="x"),
        model=ModelSettings(checkpoint=str(tmp_path / "checkpoint")),
        tuning=DecoderTuning(prompt_encoder=True),
        semantic=SemanticSettings(classes=CLASSES),
    )


@pytest.fixture
def segmenter(recipe: Recipe) -> PromptableSegmenter:
    """With classes that have learnt nothing yet."""
    return make_segmenter(recipe)


def moved(segmenter: PromptableSegmenter) -> PromptableSegmenter:
    """Its classes have learnt something: each its own."""
    tokens = segmenter.mask_decoder.mask_tokens.weight
    with torch.no_grad():
        tokens.add_(torch.randn(tokens.shape, generator=torch.Generator().manual_seed(1)))
    return segmenter


def images_for(segmenter: PromptableSegmenter) -> Tensor:
    size = segmenter.spec.image_size
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def answer(segmenter: PromptableSegmenter, images: Tensor) -> Tensor:
    return segmenter.classify(segmenter.encode(images))


def sample(number: int) -> Sample:
    """A bright square and a dark disc in noise, which do not touch."""
    random = np.random.default_rng(number)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    top, left = random.integers(2, 20, size=2)
    square = (rows >= top) & (rows < top + 16) & (columns >= left) & (columns < left + 16)
    masks = np.stack((square, np.hypot(rows - random.integers(14, 34), columns - 52) < 9))
    grey = random.normal(128, 15, (HEIGHT, WIDTH)) + 90 * masks[0] - 90 * masks[1]
    picture = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    return Sample(picture, masks, ("square", "disc"), f"g{number % 2}", (1.0, 1.0), "px", str(number), "")


def task_of(recipe: Recipe) -> AdaptTask:
    torch.manual_seed(0)
    segmenter = make_segmenter(recipe)
    tune(recipe, segmenter)
    return make_task(recipe, segmenter, steps_per_epoch=10)


def batch_of(task: AdaptTask, numbers: range) -> Batch:
    return collate([to_batch(sample(number), task.segmenter.spec) for number in numbers])


def test_each_class_begins_as_the_single_mask(segmenter: PromptableSegmenter) -> None:
    images = images_for(segmenter)
    assert isinstance(segmenter, Segmenter) and not any(part.training for part in segmenter.modules())
    maps = answer(segmenter, images)
    segmenter.mask_decoder.train()  # else SAM 2 gives a candidate for a single mask that is not stable
    with torch.no_grad():
        single = segmenter.decode(
            segmenter.encode(images), no_prompts(torch.ones(2, 1, dtype=torch.bool)), multimask=False
        ).logits[:, 0]
    assert maps.shape == (2, 3, segmenter.spec.mask_size, segmenter.spec.mask_size)
    torch.testing.assert_close(maps, single.expand_as(maps), atol=1e-6, rtol=1e-5)
    assert (answer(moved(segmenter), images) - maps).abs().amax((0, 2, 3)).min() > 1e-3  # and then goes its own way


def test_what_is_saved_loads_bit_for_bit_and_the_stock_model_gives_the_same_maps(
    segmenter: PromptableSegmenter, family: str, tmp_path: Path
) -> None:
    images = images_for(segmenter)
    maps = answer(moved(segmenter), images)
    segmenter.save(tmp_path / "saved")
    again = load_segmenter(str(tmp_path / "saved"))
    assert again.classes == tuple(CLASSES)
    for (name, one), (_, other) in zip(segmenter.named_parameters(), again.named_parameters(), strict=True):
        assert torch.equal(one, other), name
    torch.testing.assert_close(answer(again, images), maps, atol=1e-6, rtol=1e-4)  # read, weights lie elsewhere
    assert again.at_input_size(2 * again.spec.image_size).classes == again.classes
    if family == "SAM-HQ":  # whose stock decoder is another one
        return
    stock = STOCK[family].model.from_pretrained(tmp_path / "saved", dtype=torch.float32).eval()
    assert stock.config.id2label == {0: "background", 1: "square", 2: "disc"}
    said = {}  # EfficientSAM has a point always
    if family == "EfficientSAM":
        said = {"input_points": torch.zeros(2, 1, 1, 2), "input_labels": torch.full((2, 1, 1), -1)}
    with torch.no_grad():
        found = stock(pixel_values=images, **said).pred_masks[:, 0]
    torch.testing.assert_close(found, maps, atol=1e-5, rtol=1e-4)


def test_gradients_reach_what_trains_and_nothing_else(recipe: Recipe, family: str) -> None:
    task = task_of(recipe)
    moved(task.segmenter)
    losses, counted = task.losses(batch_of(task, range(2)), step=0)
    mean_over_objects(losses.total, counted).backward()
    own = {f"mask_decoder.{name}" for name, _ in task.segmenter.mask_decoder.named_parameters()}
    unasked = {name for name in own if name.removeprefix("mask_decoder.").startswith(UNASKED)}
    reached = {
        name.removeprefix("model."): value.grad
        for name, value in task.segmenter.named_parameters()
        if value.grad is not None
    }
    assert reached.keys() == own - unasked | {"prompt_encoder.no_mask_embed.weight"}
    assert not [name for name, found in reached.items() if not found.any() and not name.endswith("k_proj.bias")]
    assert any("conv_s0" in name for name in reached) is hasattr(task.segmenter.mask_decoder, "conv_s0")
    assert any("compress_vit" in name for name in reached) is (family == "SAM-HQ")


def test_steps_learn_and_a_checkpoint_brings_them_back_bit_for_bit(recipe: Recipe) -> None:
    task = task_of(recipe)
    batch = batch_of(task, range(2))
    optimizer = torch.optim.AdamW([value for value in task.parameters() if value.requires_grad], lr=2e-3)
    task.on_fit_start()
    totals = []
    for step in range(4):
        losses, counted = task.losses(batch, step=step)
        totals.append(mean_over_objects(losses.total, counted))
        optimizer.zero_grad()
        totals[-1].backward()
        optimizer.step()
    assert totals[-1] < totals[0] - 0.005
    kept = {"state_dict": task.state_dict()}
    task.on_save_checkpoint(kept)
    assert not any(part in name for name in kept["state_dict"] for part in UNASKED)
    again = task_of(recipe)
    again.load_tuned(kept["state_dict"])
    for (name, one), (_, other) in zip(task.named_parameters(), again.named_parameters(), strict=True):
        assert torch.equal(one, other), name


@torch.no_grad()
def test_cached_features_give_the_same_losses_to_the_bit(recipe: Recipe, tmp_path: Path) -> None:
    segmenter = task_of(recipe).segmenter
    boundary = freeze_boundary(segmenter.stages)
    about = About("small", boundary, len(segmenter.stages), segmenter.spec.image_size, "float32")
    cache = FeatureCache(tmp_path / "features", about=about, views=1, limit=10**9, notice=pytest.fail)
    task = make_task(recipe, segmenter, steps_per_epoch=10, features=cache)
    totals = []
    for found in (0, 2):  # the first time nothing is there, and all is kept
        parts = [to_batch(one, segmenter.spec, cached=cache.reader.look_up(one.image)) for one in map(sample, range(2))]
        batch = collate(parts)
        assert batch.cached is not None and int(batch.cached.found.sum()) == found
        totals.append(task.losses(batch, step=0)[0].total)
        cache.flush()
    assert torch.equal(totals[1], totals[0])


def test_the_refined_map_of_sam_hq_tells_classes_apart(tmp_path: Path) -> None:
    """What its own token adds to a mask is the same for all classes; so they must read its map themselves."""
    segmenter = copy.deepcopy(small_segmenter("SAM-HQ")).with_classes(CLASSES)
    moved(segmenter)
    with torch.no_grad():
        features = segmenter.encode(images_for(segmenter))
        maps = segmenter.classify(features)
        without = segmenter.classify(type(features)(features.embedding, (0 * features.further[0],)))
    apart, apart_without = (found[:, 1:] - found[:, :1] for found in (maps, without))
    assert (apart - apart_without).abs().max() > 0.01 * apart.abs().max()


# ------------------------------------------------------------------------------------------------ whole runs

QUICK = [
    "data.label_kind=classes",
    "data.labels={square: 1, disc: 2}",
    "semantic.classes=[square,disc]",
    "tuning.mode=decoder",
    "trainer.epochs=1",
    "trainer.min_steps=0",
    "trainer.batch_size=3",
    "trainer.workers=0",
    "optimizer.warmup_steps=0",
    "evaluation.bootstrap_samples=100",
    "evaluation.gallery=0",
]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for name in ("images", "labels"):
        (folder / name).mkdir()
    for number in range(8):
        one = sample(number)
        Image.fromarray(one.image).save(folder / "images" / f"{number}.png")
        values = (one.masks[0] + 2 * one.masks[1]).astype(np.uint8)
        Image.fromarray(values).save(folder / "labels" / f"{number}.png")
    return folder


@pytest.mark.slow
def test_fit_evaluate_and_predict_through_the_command_line(family: str, pictures: Path, tmp_path: Path) -> None:
    small_segmenter(family).save(tmp_path / "checkpoint")
    places = [f"model.checkpoint={tmp_path}/checkpoint", f"data.root={pictures}", f"cache={pictures}/cache"]
    assert main(["fit", "--recipe", "folder", *QUICK, *places, f"output={tmp_path}/runs"]) == 0
    (run,) = (tmp_path / "runs" / "folder").iterdir()
    figures = json.loads((run / "results.json").read_bytes())["semantic"]
    assert list(figures["classes"]) == CLASSES
    assert main(["evaluate", str(run)]) == 0
    assert json.loads(next((run / "evaluations").glob("*/results.json")).read_bytes())["semantic"] == figures
    assert main(["predict", str(run), str(pictures / "images" / "0.png"), "--output", str(tmp_path / "out")]) == 0
    tuned = load_tuned(load_recipe(run / "recipe.yaml"), run)
    assert isinstance(tuned, Segmenter) and (tuned.family, tuned.classes) == (family, tuple(CLASSES))
    logits = answer(tuned, tuned.spec.to_model_frame(sample(0).image)[None])[0]
    (written,) = (tmp_path / "out").glob("0.tif*")
    assert np.array_equal(np.asarray(Image.open(written)), answered(logits, tuned.spec.frame(HEIGHT, WIDTH)))
