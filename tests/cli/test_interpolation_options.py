"""`--interpolate` and `--write-mix`: which shares they name, and what is refused, without torch."""

from pathlib import Path

import pytest

from adapt.cli import main
from adapt.cli.interpolation import parse_range, parse_share
from adapt.errors import RecipeError


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("0:1:0.25", (0.0, 0.25, 0.5, 0.75, 1.0)),
        ("0:1:1", (0.0, 1.0)),
        ("0:1:0.1", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)),  # each as it is written
        ("0.2:0.9:0.3", (0.2, 0.5, 0.8)),
        ("0.5:0.5:1", (0.5,)),
        ("0:1:0.01", tuple(number / 100 for number in range(101))),
    ],
)
def test_a_range_names_its_shares(text: str, shares: tuple[float, ...]) -> None:
    assert parse_range(text) == shares


@pytest.mark.parametrize("steps", [1, 2, 4, 5, 8, 10, 16, 20, 25, 40, 50, 80, 100])
def test_both_ends_are_exact_where_a_step_falls_on_them(steps: int) -> None:
    shares = parse_range(f"0:1:{1 / steps:.4f}")
    assert (shares[0], shares[-1], len(shares)) == (0.0, 1.0, steps + 1)


@pytest.mark.parametrize("text", ["", "0", "0:1", "0:1:0.25:2", "a:b:c", "0:1:", "0,1,0.5"])
def test_another_text_is_no_range(text: str) -> None:
    with pytest.raises(RecipeError, match=r"is not first:last:step, as in 0:1:0\.25"):
        parse_range(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0:2:0.5", "0 <= first <= last <= 1 is needed"),
        ("-1:1:0.5", "0 <= first <= last <= 1 is needed"),
        ("1:0:0.5", "0 <= first <= last <= 1 is needed"),
        ("nan:1:0.5", "0 <= first <= last <= 1 is needed"),
        ("0:inf:0.5", "0 <= first <= last <= 1 is needed"),
        ("0:1:0", "the step must be above 0"),
        ("0:1:-0.5", "the step must be above 0"),
        ("0:1:nan", "the step must be above 0"),
        ("0:1:0.000001", "1,000,001 mixes; take a step that makes 101 at most"),
    ],
)
def test_a_bad_range_is_told(text: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_range(text)
    assert str(caught.value).startswith(f"--interpolate {text!r}")
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["", "half", "1.5", "-0.1", "nan", "inf"])
def test_a_bad_share_is_told(text: str) -> None:
    with pytest.raises(RecipeError, match="is no number from 0"):
        parse_share(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["runs/x", "--write-mix", "0.5"], "--write-mix goes with --interpolate"),
        (["--recipe", "folder", "--interpolate", "0:1:0.5"], "--interpolate needs the folder of a run"),
        (["runs/x", "--interpolate", "0:3:1"], "0 <= first <= last <= 1 is needed"),
        (["runs/x", "--interpolate", "0:1:1", "--write-mix", "2"], "--write-mix '2' is no number"),
    ],
)
def test_a_wrong_call_is_answered_before_anything_is_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
