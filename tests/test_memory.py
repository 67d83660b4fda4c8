"""When memory is not enough: one error that says what to lower."""

import pytest
import torch

from adapt.errors import RunError
from adapt.memory import free_bytes, is_out_of_memory, memory_errors_explained, peak_bytes, reset_peak, what_to_lower
from adapt.recipe import Recipe, find_recipe, load_recipe

CPU = torch.device("cpu")


def recipe(*overrides: str) -> Recipe:
    return load_recipe(find_recipe("quickstart"), list(overrides))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has a total capacity of"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: not enough memory: you tried to allocate"
        ),
        RuntimeError("MPS backend out of memory (MPS allocated: 17 GB)"),
        MemoryError(),
    ],
    ids=["cuda", "cpu", "mps", "python"],
)
def test_an_allocators_error_becomes_one_that_names_keys_and_their_values(error: Exception) -> None:
    small = recipe("trainer.batch_size=4", "trainer.objects_per_image=8")
    with (
        pytest.raises(RunError) as raised,
        memory_errors_explained(small, image_size=256, encoder_trains=False),
    ):
        raise error
    said = str(raised.value)
    assert "\n" not in said
    order = ["trainer.batch_size=2 (now 4) with trainer.accumulate=2", "trainer.objects_per_image=4 (now 8)"]
    places = [said.index(text) for text in [*order, "trainer.precision=bf16-mixed", "model.input_size (now 256)"]]
    assert places == sorted(places)
    assert "recompute" not in said and "tuning.mode" not in said  # nothing of the encoder is kept for the backward pass


def test_the_real_allocator_of_the_cpu_is_understood() -> None:
    with pytest.raises(RunError), memory_errors_explained(recipe(), image_size=256, encoder_trains=False):
        torch.empty(2**60, dtype=torch.uint8)


def test_other_errors_pass_unchanged() -> None:
    error = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    assert not is_out_of_memory(error)
    with pytest.raises(RuntimeError) as raised, memory_errors_explained(recipe(), image_size=256, encoder_trains=False):
        raise error
    assert raised.value is error


def test_an_encoder_that_trains_is_advised_to_recompute_and_to_train_less() -> None:
    advice = what_to_lower(recipe("tuning.mode=full", "model.attention=stock"), image_size=1024, encoder_trains=True)
    assert advice[0] == "model.attention=folded"
    assert advice[1].startswith("trainer.recompute=true")
    assert any("tuning.mode=decoder (now full)" in text for text in advice)
    done = ["trainer.batch_size=1", "trainer.objects_per_image=1", "trainer.precision=bf16-mixed"]
    done += ["trainer.recompute=true", "tuning.mode=full"]
    rest = what_to_lower(recipe(*done), image_size=1024, encoder_trains=True)
    assert not [text for text in rest if text.split("=")[0] in {value.split("=")[0] for value in done[:-1]}]


def test_the_peak_is_that_of_what_was_held_since_the_reset() -> None:
    before = free_bytes(CPU)
    assert before > 0
    reset_peak(CPU)
    start = peak_bytes(CPU)
    values = torch.ones(2**24)  # 64 MiB
    del values
    assert 60 * 2**20 < peak_bytes(CPU) - start < 80 * 2**20
    reset_peak(CPU)
    assert peak_bytes(CPU) - start < 20 * 2**20
