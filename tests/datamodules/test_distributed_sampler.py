"""Samples dealt out to processes: each counts once an epoch, and all have as many."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapt.datamodules import epoch_sampler
from adapt.datamodules.epoch_sampler import EpochSampler, Key, Limit, dealt


@given(order=st.lists(st.integers(0, 10**6), min_size=1, max_size=40, unique=True), processes=st.integers(1, 3))
def test_each_sample_is_dealt_out_and_all_processes_take_as_many(order: list[int], processes: int) -> None:
    shares = [dealt(order, process=process, processes=processes) for process in range(processes)]
    assert len({len(share) for share in shares}) == 1
    together = [taken for turn in zip(*shares, strict=True) for taken in turn]
    assert [row for row, counted in together if counted] == order  # each once, in the order of one process
    again = [row for row, counted in together if not counted]
    assert len(again) < processes
    assert set(again) <= set(order)


def test_one_process_takes_everything() -> None:
    assert dealt([4, 2, 9], process=0, processes=1) == [(4, True), (2, True), (9, True)]


def test_fewer_samples_than_processes_are_taken_by_all() -> None:
    assert [dealt([7], process=process, processes=3) for process in range(3)] == [
        [(7, True)],
        [(7, False)],
        [(7, False)],
    ]


def test_nothing_is_dealt_out_of_nothing() -> None:
    assert dealt([], process=1, processes=2) == []


@given(
    rows=st.lists(st.integers(0, 99), min_size=1, max_size=20, unique=True),
    epoch=st.integers(0, 3),
    done=st.integers(0, 20),
)
def test_a_sampler_that_goes_on_gives_what_is_left_of_its_epoch_and_then_whole_ones(
    rows: list[int], epoch: int, done: int
) -> None:
    whole, resumed = (EpochSampler(rows, seed=5, shuffle=True, start=at) for at in ((0, 0), (epoch, done)))
    whole.set_epoch(epoch)
    assert list(resumed) == list(whole)[done:]  # workers ask before the epoch is set
    for later in (epoch, epoch + 1):
        for sampler in (whole, resumed):
            sampler.set_epoch(later)
        assert list(resumed) == list(whole)[done if later == epoch else 0 :]
    assert len(resumed) == len(rows)


@given(
    rows=st.integers(1, 40),
    processes=st.integers(1, 3),
    batch=st.integers(1, 5),
    accumulate=st.integers(1, 3),
    most=st.integers(1, 30),
)
def test_a_limit_ends_after_so_many_steps_in_all_processes_and_changes_none_of_them(
    rows: int, processes: int, batch: int, accumulate: int, most: int
) -> None:
    """Steps are counted as a trainer does: batch by batch, and a step for what is left at an epoch's end."""
    limit = Limit(most, batch * accumulate)
    with pytest.MonkeyPatch.context() as patch:
        taken = []
        for process in range(processes):
            patch.setattr(epoch_sampler, "this_process", lambda process=process: (process, processes))
            free, limited = (EpochSampler(range(rows), seed=3, shuffle=True, limit=one) for one in (None, limit))
            counts, epoch = [], 0
            while sum(counts) < most:
                free.set_epoch(epoch)
                limited.set_epoch(epoch)
                whole, own = list(free), list(limited)
                assert len(own) == len(limited) and own == whole[: len(own)]
                counts.append(math.ceil(math.ceil(len(own) / batch) / accumulate))
                assert own == whole or sum(counts) == most
                later = EpochSampler(range(rows), seed=3, shuffle=True, start=(epoch, 1), limit=limit)
                assert list(later) == own[1:] and len(later) == len(own)  # resumed after a row
                epoch += 1
            assert sum(counts) == most
            taken.append(counts)
    assert all(counts == taken[0] for counts in taken)


def test_work_that_waits_for_nobody_gets_each_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Key] = []
    for process in range(2):
        monkeypatch.setattr(epoch_sampler, "this_process", lambda process=process: (process, 2))
        sampler = EpochSampler(range(5), seed=0, shuffle=True)
        assert len(list(sampler)) == len(sampler) == 3
        sampler.each_once()
        assert len(list(sampler)) == len(sampler) == 3 - process
        found += list(sampler)
    assert sorted(key.row for key in found) == list(range(5)) and all(key.counted for key in found)
