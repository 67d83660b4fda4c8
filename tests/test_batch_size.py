"""The largest batch that fits: the search, the trial steps, and that they leave no trace."""

import io
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from transformers.models.sam.modeling_sam import SamPatchEmbeddings

from adapt.errors import RunError
from adapt.jobs import batch_size
from adapt.jobs.batch_size import Trial, crowded_batch, expected_peak, find_batch_size, largest_that_fits
from adapt.recipe import DecoderTuning, FullTuning, LoraTuning, Recipe, TuningSettings, find_recipe, load_recipe
from adapt.segmenters import PromptableSegmenter, load_segmenter
from adapt.tuning import choose, tune_decoder

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe(find_recipe("quickstart"), ["prompts.corrections=0", "prompts.idle_rounds=0"])


@pytest.fixture(scope="module")
def tiny() -> PromptableSegmenter:
    segmenter = load_segmenter("adapt:tiny")
    tune_decoder(segmenter, prompt_encoder=False)
    return segmenter


@given(room=st.integers(0, 300), most=st.integers(1, 300))
def test_the_search_finds_the_largest_in_few_trials_and_goes_little_beyond(room: int, most: int) -> None:
    tried: list[int] = []

    def fits(size: int) -> bool:
        assert 1 <= size <= most
        tried.append(size)
        return size <= room

    assert largest_that_fits(fits, most=most) == min(room, most)
    assert len(tried) == len(set(tried)) <= 2 * most.bit_length() + 1
    assert max(tried) <= max(1, 2 * room)


def test_what_is_expected_lies_on_the_line_through_the_last_two() -> None:
    assert expected_peak({}, 1) == expected_peak({1: 10}, 2) == 0
    assert expected_peak({1: 10, 2: 16, 8: 99}, 4) == 16 + 2 * 6


def search(
    recipe: Recipe, tiny: PromptableSegmenter, monkeypatch: pytest.MonkeyPatch, *, room: int, images: int = 100
) -> tuple[int, list[int], str]:
    """Found size, sizes that were tried, and what was printed, where an image takes 10 bytes and `room` fit."""
    tried: list[int] = []

    def peak(self: Trial, size: int) -> int:
        tried.append(size)
        return 10 * size

    monkeypatch.setattr(Trial, "peak", peak)
    monkeypatch.setattr(batch_size, "held_bytes", lambda device: 0)
    monkeypatch.setattr(batch_size, "free_bytes", lambda device: int(10 * room / batch_size.USED_SHARE) + 1)
    printed = io.StringIO()
    console = Console(file=printed, width=200)
    found = find_batch_size(recipe, tiny, images=images, objects=3, device=CPU, cached=True, console=console)
    return found, tried, printed.getvalue()


def test_on_a_cpu_no_size_is_tried_that_would_not_fit(
    recipe: Recipe, tiny: PromptableSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, tried, printed = search(recipe, tiny, monkeypatch, room=11)
    assert found == 11
    assert max(tried) == 11
    assert "auto-batch: trainer.batch_size=11 (the recipe says" in printed


def test_a_batch_is_not_larger_than_the_training_split(
    recipe: Recipe, tiny: PromptableSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _, printed = search(recipe, tiny, monkeypatch, room=50, images=6)
    assert found == 6
    assert "the whole training split" in printed


def test_if_one_image_does_not_fit_the_error_says_what_to_lower(
    recipe: Recipe, tiny: PromptableSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RunError, match=r"not even a batch of one image.*trainer\.objects_per_image"):
        search(recipe, tiny, monkeypatch, room=0)


def test_an_allocators_error_is_a_size_that_does_not_fit(
    recipe: Recipe, tiny: PromptableSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def peak(self: Trial, size: int) -> int:
        if size > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 1

    monkeypatch.setattr(Trial, "peak", peak)
    quiet = Console(file=io.StringIO())
    assert find_batch_size(recipe, tiny, images=100, objects=3, device=CPU, cached=False, console=quiet) == 5


def test_a_fault_that_is_none_of_memory_is_not_hidden(
    recipe: Recipe, tiny: PromptableSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def peak(self: Trial, size: int) -> int:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(Trial, "peak", peak)
    quiet = Console(file=io.StringIO())
    with pytest.raises(RuntimeError, match="shapes differ"):
        find_batch_size(recipe, tiny, images=9, objects=3, device=CPU, cached=False, console=quiet)


def test_a_trial_is_a_real_step_that_leaves_weights_gradients_and_random_numbers_as_they_were(
    recipe: Recipe, tiny: PromptableSegmenter
) -> None:
    before = {name: parameter.detach().clone() for name, parameter in tiny.named_parameters()}
    torch.manual_seed(7)
    expected = torch.rand(4)
    torch.manual_seed(7)
    quiet = Console(file=io.StringIO())
    assert find_batch_size(recipe, tiny, images=2, objects=2, device=CPU, cached=False, console=quiet) == 2
    assert torch.equal(torch.rand(4), expected)
    assert all(torch.equal(before[name], parameter) for name, parameter in tiny.named_parameters())
    assert all(parameter.grad is None for _, parameter in tiny.named_parameters())
    trial = Trial(recipe, tiny, objects=2, device=CPU, cached=False)
    trial.peak(1)
    moved = [
        not torch.equal(before[name], parameter)
        for name, parameter in trial.segmenter.named_parameters()
        if parameter.requires_grad
    ]
    assert sum(moved) > len(moved) / 2
    assert trial._optimizer.state


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("tuning", [DecoderTuning(), LoraTuning(rank=2, blocks=1), FullTuning()])
def test_a_trial_takes_cached_features_where_the_fit_will_and_encodes_what_fills_the_cache_one_by_one(
    recipe: Recipe, tuning: TuningSettings, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter = load_segmenter("adapt:tiny").at_input_size(64)
    choose(segmenter, tuning)
    recipe = recipe.model_copy(update={"trainer": recipe.trainer.model_copy(update={"precision": precision})})
    encoded: list[int] = []
    forward = SamPatchEmbeddings.forward

    def counted(module: SamPatchEmbeddings, pixel_values: torch.Tensor) -> torch.Tensor:
        encoded.append(len(pixel_values))
        return forward(module, pixel_values)

    monkeypatch.setattr(SamPatchEmbeddings, "forward", counted)
    for cached in (False, True):
        encoded.clear()
        trial = Trial(recipe, segmenter, objects=1, device=CPU, cached=cached)
        trial.peak(3)
        assert encoded == ([1] if cached and not isinstance(tuning, FullTuning) else [3])
        assert trial._optimizer.state


def test_a_crowded_batch_has_as_many_objects_as_may_be() -> None:
    batch = crowded_batch(64, images=3, objects=5)
    assert batch.object_valid.shape == (3, 5) and bool(batch.object_valid.all())
    assert bool(batch.masks.flatten(2).any(2).all())


@pytest.mark.slow
def test_fit_trains_with_the_batch_that_was_found_and_keeps_it_in_the_recipe_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from adapt.cli import main

    monkeypatch.setattr(Trial, "peak", lambda self, size: 0 if size <= 3 else 2**60)
    places = [f"cache={tmp_path}/cache", f"output={tmp_path}/runs", "trainer.epochs=1", "trainer.min_steps=0"]
    small = ["prompts.corrections=0", "prompts.idle_rounds=0", "evaluation.gallery=0", "evaluation.following_images=0"]
    rest = [
        "evaluation.retention.images=0",
        "evaluation.automatic.images=0",
        "evaluation.bootstrap_samples=100",
        "trainer.workers=0",
    ]
    assert main(["fit", "--recipe", "quickstart", "--auto-batch", *places, *small, *rest]) == 0
    assert "auto-batch: trainer.batch_size=3" in capsys.readouterr().err
    (folder,) = (tmp_path / "runs" / "quickstart").iterdir()
    assert load_recipe(folder / "recipe.yaml").trainer.batch_size == 3
