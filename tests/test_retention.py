"""The general images: opened before training, chosen by the seed, off when asked, never the run's own data."""

from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console

from adapt.errors import DataError, RecipeError
from adapt.evaluate import mious
from adapt.jobs.retention import GeneralScore, general_scores, open_general_images, retention_of
from adapt.recipe import Recipe, find_recipe, load_recipe
from adapt.segmenters import load_segmenter


def _recipe(tmp_path: Path, *overrides: str) -> Recipe:
    return load_recipe(find_recipe("quickstart"), [f"cache={tmp_path / 'cache'}", "trainer.workers=0", *overrides])


def _console() -> Console:
    return Console(file=StringIO(), width=200)


def test_by_default_generated_shapes_are_the_general_images(tmp_path: Path) -> None:
    general = open_general_images(_recipe(tmp_path), _console())
    assert general is not None
    assert general.name == "adapt:shapes_folder"
    assert len(general.rows) == len(general.store.rows) == 24
    assert general.protocols == ("one_click", "box")


def test_both_models_are_scored_by_the_same_protocols(tmp_path: Path) -> None:
    general = open_general_images(_recipe(tmp_path, "evaluation.retention.images=2"), _console())
    assert general is not None
    tiny = load_segmenter("adapt:tiny")
    scores = [
        s for of in general_scores(general, {"base": tiny, "tuned": tiny}, device=torch.device("cpu")) for s in of
    ]
    assert {(score.model, score.protocol) for score in scores} == {
        (model, protocol) for model in ("base", "tuned") for protocol in ("one_click", "box")
    }
    retention = retention_of(general, scores, bootstrap_samples=100, seed=0)
    assert retention.results.images == 2
    gain = retention.results.protocols["box"].difference
    assert gain is not None and gain.miou == 0.0  # one model twice forgets nothing


def test_some_images_are_drawn_by_the_seed(tmp_path: Path) -> None:
    chosen = []
    for seed in (0, 0, 1):
        general = open_general_images(_recipe(tmp_path, "evaluation.retention.images=5", f"seed={seed}"), _console())
        assert general is not None and len(general.rows) == 5
        assert len(list(general.samples())) == 5
        chosen.append(general.rows)
    assert chosen[0] == chosen[1] != chosen[2]


def test_it_can_be_off(tmp_path: Path) -> None:
    assert open_general_images(_recipe(tmp_path, "evaluation.retention.images=0"), _console()) is None
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "own", [["data={kind: folder, root: adapt:shapes_folder}"], ["data={kind: coco, root: adapt:shapes_coco}"]]
)
def test_the_images_that_are_trained_on_say_nothing_of_forgetting(tmp_path: Path, own: list[str]) -> None:
    console = _console()
    assert open_general_images(_recipe(tmp_path, *own), console) is None
    assert isinstance(console.file, StringIO)
    assert "notice: what was forgotten is not measured" in console.file.getvalue()


def test_own_general_images_are_read_like_any_data(tmp_path: Path) -> None:
    data = "evaluation.retention.data={kind: coco, root: adapt:shapes_coco}"
    general = open_general_images(_recipe(tmp_path, data), _console())
    assert general is not None and len(general.rows) == 24


def test_general_images_that_are_not_there_are_told_with_their_key(tmp_path: Path) -> None:
    data = f"evaluation.retention.data={{kind: folder, root: {tmp_path / 'none'}}}"
    with pytest.raises(DataError, match=r"(?s)evaluation\.retention: .*none.*evaluation\.retention\.images=0"):
        open_general_images(_recipe(tmp_path, data), _console())


def test_a_wrong_key_is_named_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"evaluation\.retention\.data\.rot"):
        _recipe(tmp_path, "evaluation.retention.data={kind: folder, rot: x}")
    with pytest.raises(RecipeError, match="a protocol is named twice"):
        _recipe(tmp_path, "evaluation.retention.protocols=[box, box]")


@pytest.mark.parametrize(("frozen", "runs"), [(True, 2), (False, 4)])
def test_the_score_while_training_is_that_of_the_protocols_and_runs_a_frozen_encoder_once(
    tmp_path: Path, frozen: bool, runs: int
) -> None:
    general = open_general_images(_recipe(tmp_path, "evaluation.retention.images=2"), _console())
    assert general is not None
    tiny, device = load_segmenter("adapt:tiny"), torch.device("cpu")
    found = mious([s for of_image in general_scores(general, {"base": tiny}, device=device) for s in of_image])
    assert set(found) == {"one_click", "box"}
    encoded = []
    tiny.stages[0].modules[0].register_forward_hook(lambda module, inputs, output: encoded.append(1))
    measure = GeneralScore(general, tiny, device=device, frozen=frozen)
    assert measure() == measure() == sum(found.values()) / 2
    assert len(encoded) == runs
    for parameter in tiny.mask_decoder.parameters():
        torch.nn.init.zeros_(parameter)
    assert measure() != sum(found.values()) / 2  # features are kept, answers are not
