"""Checkpoints as files: what goes in comes out, another library reads the tensors, and nothing is ever executed."""

import io
import math
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from adapt.callbacks.state_file import DTYPES, read_state, write_state
from adapt.errors import CheckpointError


def tensors() -> st.SearchStrategy[torch.Tensor]:
    shapes = st.lists(st.integers(0, 3), max_size=3)
    return st.builds(
        lambda shape, kind: torch.arange(math.prod(shape)).reshape(shape).to(kind),
        shapes,
        st.sampled_from(list(DTYPES)),
    )


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
STATES = st.dictionaries(
    st.text(),
    st.recursive(
        PLAIN | tensors(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.lists(inner, max_size=3).map(tuple)
            | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
        ),
        max_leaves=8,
    ),
    max_size=4,
)


def same(one: Any, two: Any) -> bool:  # noqa: ANN401 - whatever a state holds
    if isinstance(one, torch.Tensor):
        return one.dtype == two.dtype and one.shape == two.shape and torch.equal(one, two)
    if isinstance(one, dict):
        return list(one) == list(two) and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple):
        return type(one) is type(two) and len(one) == len(two) and all(map(same, one, two))
    return type(one) is type(two) and one == two


@given(state=STATES)
def test_what_is_written_is_read_back_of_the_same_types(
    tmp_path_factory: pytest.TempPathFactory, state: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("state") / "a.ckpt"
    with path.open("wb") as file:
        write_state(state, file)
    assert same(read_state(path), state)


def test_the_library_of_the_format_reads_the_tensors(tmp_path: Path) -> None:
    state = {"a": torch.tensor([True, False, True]), "b": torch.randn(3, 2).T, "c": [torch.tensor(7)]}
    with (tmp_path / "a.ckpt").open("wb") as file:
        write_state(state, file)
    loaded = load_file(tmp_path / "a.ckpt")
    assert torch.equal(loaded["0"], state["a"]) and torch.equal(loaded["1"], state["b"])  # type: ignore[arg-type]
    assert loaded["2"].item() == 7


def test_the_state_of_an_optimiser_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    def steps(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.ones(2, 4)).square().sum().backward()
            optimizer.step()

    torch.manual_seed(0)
    model, again = torch.nn.Linear(4, 2), torch.nn.Linear(4, 2)
    optimizer, resumed = (torch.optim.AdamW(one.parameters(), lr=0.1) for one in (model, again))
    steps(model, optimizer)
    with (tmp_path / "a.ckpt").open("wb") as file:
        write_state({"model": dict(model.state_dict()), "optimizer": optimizer.state_dict()}, file)
    state = read_state(tmp_path / "a.ckpt")
    again.load_state_dict(state["model"])
    resumed.load_state_dict(state["optimizer"])
    steps(model, optimizer)
    steps(again, resumed)
    assert all(torch.equal(one, two) for one, two in zip(model.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize("value", [Path("a"), object(), {1.5: 2}, torch.zeros(1, dtype=torch.complex64)])
def test_what_a_checkpoint_cannot_hold_is_named_with_its_place(value: object) -> None:
    with pytest.raises(CheckpointError, match=r"checkpoint\.callbacks\.1 is a"):
        write_state({"callbacks": [0, value]}, io.BytesIO())


def test_a_pickle_is_never_executed(tmp_path: Path) -> None:
    marker, path = tmp_path / "executed", tmp_path / "evil.ckpt"

    class Payload:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {marker}",)

    path.write_bytes(pickle.dumps(Payload()))
    with pytest.raises(CheckpointError, match=r"evil\.ckpt: not a readable checkpoint"):
        read_state(path)
    torch.save({"payload": Payload()}, path)
    with pytest.raises(CheckpointError, match=r"evil\.ckpt: not a readable checkpoint"):
        read_state(path)
    assert not marker.exists()


@pytest.mark.parametrize("tree", ["", "[", '{"tensor": 5}', '{"call": 1}', '{"dict": [[1]]}', '{"a": 1, "b": 2}'])
def test_a_header_that_says_something_else_is_refused(tmp_path: Path, tree: str) -> None:
    save_file({"0": torch.zeros(1)}, tmp_path / "a.ckpt", metadata={"state": tree})
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        read_state(tmp_path / "a.ckpt")
