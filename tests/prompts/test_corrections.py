"""Corrective clicks fall where the mask is wrong, with the label that mends it, for all objects at once."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adapt.prompts import Session, draw_corrections, draw_keys, idle_rounds, object_keys

SAM = Session(corrections=8, clicks_per_round=1, idle_rounds=2, truth_click_chance=0.0, mask_prompts=True)


def keys(images: int, objects: int) -> torch.Tensor:
    return object_keys(draw_keys(torch.arange(images), seed=0, epoch=0), objects)


def test_the_papers_session_has_eleven_rounds_two_of_them_idle() -> None:
    assert SAM.rounds == 11
    drawn = [idle_rounds(SAM, seed=0, epoch=0, step=step) for step in range(900)]
    assert all(len(idle) == 2 and 10 in idle and 0 not in idle for idle in drawn)
    places = Counter(min(idle) for idle in drawn)
    assert set(places) == set(range(1, 10))  # before, between and behind the eight clicks
    assert all(60 < count < 140 for count in places.values())  # each about 100 times


@given(corrections=st.integers(0, 9), idle=st.integers(0, 4), step=st.integers(0, 99), clicks=st.integers(1, 3))
def test_every_session_has_as_many_idle_rounds_as_it_asks_for(
    corrections: int, idle: int, step: int, clicks: int
) -> None:
    session = Session(corrections, clicks, idle, 0.0, True)
    drawn = idle_rounds(session, seed=1, epoch=2, step=step)
    assert len(drawn) == idle
    assert all(0 < turn < session.rounds for turn in drawn)


def test_a_missed_part_is_clicked_as_object_and_a_spilled_one_as_background() -> None:
    truth = torch.zeros(2, 3, 16, 16, dtype=torch.bool)
    truth[:, :, 4:8, 4:8] = True
    answer = truth.clone()
    answer[:, 0, 4:6, 4:8] = False  # missed
    answer[:, 1, 10:12, 10:12] = True  # spilled
    points, labels = draw_corrections(truth, answer, keys(2, 3), turn=1, session=SAM)
    assert points.shape == (2, 3, 1, 2) and labels.shape == (2, 3, 1)
    column, row = points.long().unbind(-1)
    image, index = torch.meshgrid(torch.arange(2), torch.arange(3), indexing="ij")
    here = (image, index, row[..., 0], column[..., 0])
    assert labels[..., 0].tolist() == [[1, 0, 1]] * 2
    assert (truth ^ answer)[here][:, :2].all()
    assert truth[here][:, 2].all()  # nothing is wrong: a click on the object


def test_every_wrong_pixel_has_the_same_chance() -> None:
    truth = torch.zeros(1, 2000, 8, 8, dtype=torch.bool)
    truth[..., 2, :4] = True
    answer = torch.zeros_like(truth)
    answer[..., 5, :4] = True
    points, labels = draw_corrections(truth, answer, keys(1, 2000), turn=3, session=SAM)
    counts = Counter(map(tuple, points[0, :, 0].long().tolist()))
    assert set(counts) == {(x, y) for x in range(4) for y in (2, 5)}
    assert all(190 < count < 310 for count in counts.values())  # 250 each
    assert (labels[0, :, 0] == (points[0, :, 0, 1] == 2)).all()


def test_a_share_of_clicks_comes_from_the_truth() -> None:
    truth = torch.zeros(1, 1000, 8, 8, dtype=torch.bool)
    truth[..., :4, :] = True
    answer = truth.clone()
    answer[..., 7, :] = True
    session = replace(SAM, truth_click_chance=0.1)
    _, labels = draw_corrections(truth, answer, keys(1, 1000), turn=1, session=session)
    assert 60 < int(labels.sum()) < 140


def test_rounds_and_clicks_of_a_round_are_drawn_anew() -> None:
    truth = torch.ones(1, 50, 32, 32, dtype=torch.bool)
    session = replace(SAM, clicks_per_round=3)
    drawn = [
        draw_corrections(truth, torch.zeros_like(truth), keys(1, 50), turn=turn, session=session)[0] for turn in (1, 2)
    ]
    assert drawn[0].shape == (1, 50, 3, 2)
    distinct = {tuple(map(tuple, clicks.tolist())) for clicks in torch.cat(drawn)[:, :].flatten(0, 1)}
    assert len(distinct) == 100
    places = torch.cat([clicks.flatten(0, 2) for clicks in drawn])
    assert len({tuple(place) for place in places.tolist()}) > 200  # of 300 draws from 1,024 pixels


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_an_image_is_corrected_the_same_way_in_any_batch(order: list[int]) -> None:
    generator = torch.Generator().manual_seed(0)
    truth, answer = (torch.rand(3, 2, 16, 16, generator=generator) > 0.5 for _ in range(2))
    own = keys(3, 2)
    points, labels = draw_corrections(truth, answer, own, turn=1, session=SAM)
    other = draw_corrections(truth[order], answer[order], own[order], turn=1, session=SAM)
    assert torch.equal(other[0], points[order]) and torch.equal(other[1], labels[order])
