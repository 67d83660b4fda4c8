"""Which samples are on the sheet, and that outlines lie where the objects are."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console

from adapt.datacheck.balance import class_balance
from adapt.datacheck.contact_sheet import (
    CATEGORIES,
    FLAGGED,
    GAP,
    HEADER,
    MARKS,
    SAMPLES,
    TILE,
    WIDTH,
    choose_samples,
    draw_contact_sheet,
    draw_tile,
    shortened,
)
from adapt.datacheck.findings import Finding
from adapt.datacheck.report import CheckReport
from adapt.datacheck.walk import SampleSummary, summarise_store
from adapt.datamodules import Case, Source, Store
from adapt.datamodules.prepare import _row
from adapt.datamodules.store import open_or_make
from adapt.samples import Sample

Samples = Callable[..., SampleSummary]
Array = npt.NDArray[np.uint8]

QUIET = Console(file=io.StringIO())
GREEN = CATEGORIES[0]


def _sample(name: str, masks: npt.NDArray[np.bool_], *, cut: tuple[bool, ...] = ()) -> Sample:
    return Sample(
        image=np.full((*masks.shape[1:], 3), 60, dtype=np.uint8),
        masks=masks,
        categories=("cell",) * len(masks),
        group=name,
        spacing=(1.0, 1.0),
        spacing_unit="px",
        sample_id=name,
        source="none",
        cut=cut,
    )


def _square(shape: tuple[int, int], top: int, left: int, bottom: int, right: int) -> npt.NDArray[np.bool_]:
    mask = np.zeros((1, *shape), dtype=bool)
    mask[0, top:bottom, left:right] = True
    return mask


def _is_green(picture: Array) -> npt.NDArray[np.bool_]:
    """Near the colour of the outline: smoothing mixes it with what is beside."""
    return np.abs(picture.astype(int) - GREEN).sum(-1) < 120


def _tile(masks: npt.NDArray[np.bool_], *, cut: tuple[bool, ...] = ()) -> Array:
    return np.asarray(draw_tile(_row(_sample("a", masks, cut=cut)), {"cell": GREEN}))


# ----------------------------------------------------------------------------------------------- outlines


@pytest.mark.parametrize("side", [37, 296, 2000])
def test_the_outline_lies_on_the_border_of_the_object(side: int) -> None:
    """An object of the middle half of an image, small or large, is outlined from a quarter to three quarters."""
    quarter = side // 4
    green = _is_green(_tile(_square((side, side), quarter, quarter, 3 * quarter, 3 * quarter)))
    rows, columns = np.nonzero(green)
    first, last = quarter / side * TILE, 3 * quarter / side * TILE
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == pytest.approx((first, last, first, last), abs=3)
    assert not green[int(first) + 6 : int(last) - 6, int(first) + 6 : int(last) - 6].any()


def test_a_wide_image_lies_in_the_middle_of_its_tile() -> None:
    tile = _tile(_square((50, 100), 0, 0, 50, 100))
    rows, columns = np.nonzero(_is_green(tile))
    assert (rows.min(), rows.max()) == pytest.approx((TILE / 4, 3 * TILE / 4), abs=3)
    assert (columns.min(), columns.max()) == pytest.approx((0, TILE - 1), abs=3)
    assert (tile[: TILE // 4 - 4] > 200).all()


def test_a_pixel_of_a_large_image_is_still_marked() -> None:
    rows, columns = np.nonzero(_is_green(_tile(_square((3000, 3000), 1500, 750, 1501, 751))))
    assert (rows.mean(), columns.mean()) == pytest.approx((TILE / 2, TILE / 4), abs=2)


def test_a_cut_object_is_dashed() -> None:
    mask = _square((100, 100), 20, 20, 80, 80)
    through, dashed = _is_green(_tile(mask)).sum(), _is_green(_tile(mask, cut=(True,))).sum()
    assert 0.3 * through < dashed < 0.75 * through


# ------------------------------------------------------------------------------------------------- choice


def _report(samples: list[SampleSummary], *findings: Finding, split_of: dict[str, str] | None = None) -> CheckReport:
    balance = class_balance([(s.group, [o.category for o in s.objects]) for s in samples], {}, named=[])
    return CheckReport("nuclei", findings, samples=samples, split_of=split_of or {}, balance=balance)


def test_flagged_samples_come_first_with_their_reasons(summary: Samples) -> None:
    samples = [summary(f"s{n:02d}") for n in range(60)]
    findings = [
        Finding("copies", "error", "", ("s50", "s40"), "copy"),
        Finding("dim", "warning", "", ("s40", "s41"), "too dark"),
        Finding("silent", "warning", "", ("s01",)),
    ]
    chosen = choose_samples(_report(samples, *findings), seed=0)
    assert len(chosen) == SAMPLES
    assert [(c.sample.sample_id, c.reasons, c.severity) for c in chosen[:3]] == [
        ("s50", ("copy",), "error"),
        ("s40", ("copy", "too dark"), "error"),
        ("s41", ("too dark",), "warning"),
    ]
    assert all(c.severity is None for c in chosen[3:])


def test_a_finding_about_many_leaves_room_for_others_and_for_the_usual(summary: Samples) -> None:
    samples = [summary(f"s{n:02d}") for n in range(60)]
    many = Finding("many", "warning", "", tuple(f"s{n:02d}" for n in range(50)), "many")
    one = Finding("one", "warning", "", ("s55",), "one")
    chosen = choose_samples(_report(samples, many, one), seed=0)
    assert sum(c.severity is not None for c in chosen[:FLAGGED]) <= FLAGGED
    assert "s55" in [c.sample.sample_id for c in chosen[:FLAGGED]]
    assert {f"s{n:02d}" for n in (*range(50, 55), *range(56, 60))} <= {c.sample.sample_id for c in chosen}


def test_of_a_flagged_group_the_middle_slice_is_shown(summary: Samples) -> None:
    samples = [summary(f"p{p}/{n}", group=f"p{p}") for p in range(3) for n in range(9)]
    odd = Finding("odd", "warning", "", ("p1", "p2"), "odd")
    chosen = choose_samples(_report(samples, odd), seed=0)
    assert [c.sample.sample_id for c in chosen[:2]] == ["p1/4", "p2/4"]


def test_each_split_category_and_group_is_shown_before_any_comes_twice(
    summary: Samples, an_object: Callable[..., object]
) -> None:
    samples = [summary(f"p0/{n}", group="p0") for n in range(300)]
    samples += [summary(f"p{n}/0", group=f"p{n}") for n in range(1, 12)]
    samples += [summary("p0/rare", an_object(category="rare"), group="p0")]
    split_of = {f"p{n}": "train" for n in range(11)} | {"p11": "test"}
    chosen = choose_samples(_report(samples, split_of=split_of), seed=3)
    assert len(chosen) == SAMPLES
    assert {c.sample.group for c in chosen} == set(split_of)
    assert "p0/rare" in {c.sample.sample_id for c in chosen}


def test_the_choice_is_that_of_the_seed(summary: Samples) -> None:
    report = _report([summary(f"s{n:03d}", group="g") for n in range(200)])
    names = [[c.sample.sample_id for c in choose_samples(report, seed=seed)] for seed in (0, 0, 1)]
    assert names[0] == names[1] != names[2]


def test_few_samples_are_all_shown_once(summary: Samples) -> None:
    found = Finding("odd", "warning", "", ("a", "b"), "odd")
    chosen = choose_samples(_report([summary("a"), summary("b"), summary("c")], found, found), seed=0)
    assert sorted(c.sample.sample_id for c in chosen) == ["a", "b", "c"]


# -------------------------------------------------------------------------------------------------- sheet


def _store(folder: Path, samples: list[Sample]) -> Store:
    source = Source(inputs=[], cases=[lambda: Case(samples=samples)])
    return open_or_make(source, settings={}, cache=folder, console=QUIET)


def test_the_sheet_shows_each_sample_at_its_place_and_frames_the_flagged(tmp_path: Path) -> None:
    masks = _square((100, 100), 30, 30, 70, 70)
    store = _store(tmp_path, [_sample(f"s{n}", masks) for n in range(7)])
    summaries = summarise_store(store, spec=None, console=QUIET)
    report = _report(summaries, Finding("odd", "warning", "", ("s6",), "odd"))
    sheet = np.asarray(draw_contact_sheet(store, report, seed=0))
    assert sheet.shape[1] == WIDTH
    for place in range(7):
        left, top = GAP + place % 5 * (TILE + GAP), HEADER + place // 5 * ((sheet.shape[0] - HEADER - GAP) // 2)
        rows, columns = np.nonzero(_is_green(sheet[top : top + TILE, left : left + TILE]))
        assert (rows.min(), columns.min()) == pytest.approx((0.3 * TILE, 0.3 * TILE), abs=3)
        framed = (sheet[top : top + TILE, left - 2] == MARKS["warning"]).all()
        assert framed == (place == 0)
    assert (sheet[-TILE:, GAP + 2 * (TILE + GAP) :] == 255).all()  # nothing behind the last


def test_a_long_name_loses_its_middle() -> None:
    draw = ImageDraw.Draw(Image.new("RGB", (10, 10)))
    font = ImageFont.load_default(15)
    assert isinstance(font, ImageFont.FreeTypeFont)
    text = shortened(draw, "hospital_of_the_north/patient_0123456789/series_4/slice_0042", font, 200)
    assert text.startswith("hospital") and text.endswith("0042") and "…" in text
    assert draw.textlength(text, font=font) <= 200
    assert shortened(draw, "short", font, 200) == "short"
