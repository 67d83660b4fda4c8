"""What is asked next, and what undo goes back to."""

import pytest
import torch

from adapt.demo.history import Candidates, History
from adapt.errors import DataError


def answer(value: float, *, count: int = 1) -> dict[str, Candidates]:
    logits = torch.stack([torch.full((4, 4), value + place) for place in range(count)])
    return {"tuned": Candidates(logits, tuple(0.1 * place for place in range(count)), count - 1)}


def after(history: History, question: object, answers: dict[str, Candidates]) -> History:
    return history.answered(question.wanted, answers)


def test_a_click_corrects_the_candidate_that_was_chosen() -> None:
    history = History()
    first = history.clicked(3.0, 5.0, 1)
    assert first.wanted.clicks == ((3.0, 5.0, 1),) and not first.seen
    history = after(history, first, answer(7.0, count=3)).choosing("tuned", 1)
    second = history.clicked(1.0, 2.0, 0)
    assert second.wanted.clicks == ((3.0, 5.0, 1), (1.0, 2.0, 0))
    assert torch.equal(second.seen["tuned"], torch.full((4, 4), 8.0))


def test_logits_that_are_fed_back_are_bounded_as_in_training() -> None:
    history = History()
    history = after(history, history.clicked(0, 0, 1), answer(100.0))
    assert history.clicked(1, 1, 1).seen["tuned"].max() == 32


def test_a_box_keeps_the_clicks_and_takes_the_place_of_the_box_before() -> None:
    history = History()
    history = after(history, history.clicked(3, 5, 1), answer(1.0))
    history = after(history, history.boxed((0, 0, 4, 6)), answer(1.0))
    question = history.boxed((1, 1, 9, 9))
    assert question.wanted.box == (1, 1, 9, 9) and question.wanted.clicks == ((3, 5, 1),)
    assert not question.seen


def test_undo_goes_back_step_by_step_to_the_same_answers() -> None:
    history = History()
    states = [history]
    for place in range(3):
        states.append(after(states[-1], states[-1].clicked(place, place, 1), answer(float(place))))
    for before, now in zip(reversed(states[:-1]), reversed(states), strict=False):
        assert now.undone().steps == before.steps
    assert History().undone().last is None


def test_a_right_click_cannot_come_first() -> None:
    with pytest.raises(DataError, match="begin with a left click, or with a box"):
        History().clicked(1, 1, 0)


@pytest.mark.parametrize(("model", "place"), [("tuned", 3), ("tuned", -1), ("other", 0)])
def test_a_candidate_that_is_not_there_cannot_be_chosen(model: str, place: int) -> None:
    history = after(History(), History().clicked(1, 1, 1), answer(1.0, count=3))
    with pytest.raises(DataError, match="no such candidate"):
        history.choosing(model, place)
