"""Pictures: which objects are drawn, and that outlines and prompts lie where the object is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from adapt.evaluate import ObjectScore, draw_gallery
from adapt.evaluate.gallery import MARGIN, PANEL, PREDICTION, PROMPT, TITLE, TRUTH, Picture
from adapt.formats import encode_masks
from adapt.prompts import center_points, tight_boxes
from adapt.samples import Sample

Mask = npt.NDArray[np.bool_]
GREY = 128


def _rectangle(shape: tuple[int, int], top: int, left: int, bottom: int, right: int) -> Mask:
    mask = np.zeros(shape, dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


def _sample(mask: Mask, name: str = "p1/s1") -> Sample:
    return Sample(
        image=np.full((*mask.shape, 3), GREY, dtype=np.uint8),
        masks=mask[None],
        categories=("liver",),
        group="p1",
        spacing=(1.0, 1.0),
        spacing_unit="px",
        sample_id=name,
        source="",
    )


def _score(answer: Mask, *, model: str, protocol: str, iou: float = 0.5, name: str = "p1/s1") -> ObjectScore:
    return ObjectScore(
        model=model,
        protocol=protocol,
        sample_id=name,
        index=0,
        category="liver",
        group="p1",
        pixels=1,
        answer_pixels=1,
        iou=iou,
        oracle_iou=iou,
        dice=iou,
        predicted_iou=iou,
        box_iou=iou,
        curve=(),
        nsd=0.5,
        hd95=3.0,
        unit="mm",
        mask=encode_masks(answer[None])[0],
    )


# --------------------------------------------------------------------------------------- which are drawn

SMALL = _rectangle((30, 40), 5, 5, 20, 25)


def _ranked(objects: int, count: int, folder: Path) -> list[Picture]:
    """Object n has a tuned IoU of n / 100 and, so that the order differs, an untouched one of 1 - n / 100."""
    scores = [
        _score(
            SMALL, model=model, protocol="one_click", name=f"s{n:02d}", iou=n / 100 if model == "tuned" else 1 - n / 100
        )
        for model in ("base", "tuned")
        for n in reversed(range(objects))
    ]
    return draw_gallery(scores, count=count, sample_of=lambda name: _sample(SMALL, name), folder=folder)


def _names(pictures: list[Picture], rank: str) -> list[str]:
    return [picture.text.split(" in ")[1].split(":")[0] for picture in pictures if picture.rank == rank]


@pytest.mark.parametrize(
    ("objects", "count", "expected"),
    [(20, 0, 0), (20, 1, 1), (20, 2, 2), (20, 3, 3), (20, 5, 5), (20, 12, 12), (12, 12, 12), (4, 12, 4), (1, 3, 1)],
)
def test_as_many_pictures_as_asked_or_as_there_are_objects(
    tmp_path: Path, objects: int, count: int, expected: int
) -> None:
    pictures = _ranked(objects, count, tmp_path)
    names = [picture.text for picture in pictures]
    assert len(names) == len(set(names)) == expected  # no object twice
    assert sorted(tmp_path.iterdir()) == sorted(picture.path for picture in pictures)


def test_the_worst_middle_and_best_objects_of_the_tuned_model_are_drawn(tmp_path: Path) -> None:
    pictures = _ranked(20, 6, tmp_path)
    assert _names(pictures, "worst") == ["s00", "s01"]
    assert _names(pictures, "middle") == ["s09", "s10"]
    assert _names(pictures, "best") == ["s18", "s19"]


def test_all_objects_are_drawn_in_order_where_there_are_no_more(tmp_path: Path) -> None:
    pictures = _ranked(5, 12, tmp_path)
    drawn = [name for rank in ("worst", "middle", "best") for name in _names(pictures, rank)]
    assert drawn == ["s00", "s01", "s02", "s03", "s04"]


def test_the_untouched_model_ranks_where_there_is_no_other(tmp_path: Path) -> None:
    scores = [_score(SMALL, model="base", protocol="box", name=f"s{n}", iou=n / 10) for n in (2, 0, 1)]
    pictures = draw_gallery(scores, count=3, sample_of=lambda name: _sample(SMALL, name), folder=tmp_path)
    assert [(picture.rank, picture.text) for picture in pictures] == [
        ("worst", "liver in s0: IoU untouched 0.00"),
        ("middle", "liver in s1: IoU untouched 0.10"),
        ("best", "liver in s2: IoU untouched 0.20"),
    ]


def test_each_protocol_has_its_own_pictures(tmp_path: Path) -> None:
    scores = [_score(SMALL, model="base", protocol=protocol) for protocol in ("one_click", "box")]
    pictures = draw_gallery(scores, count=3, sample_of=lambda name: _sample(SMALL, name), folder=tmp_path)
    assert [picture.protocol for picture in pictures] == ["one_click", "box"]
    assert len({picture.path for picture in pictures}) == 2


def test_only_samples_that_are_drawn_are_read(tmp_path: Path) -> None:
    """A test split can be thousands of images."""
    read: list[str] = []

    def sample_of(name: str) -> Sample:
        read.append(name)
        return _sample(SMALL, name)

    scores = [_score(SMALL, model="base", protocol="box", name=f"s{n:02d}", iou=n / 100) for n in range(40)]
    draw_gallery(scores, count=3, sample_of=sample_of, folder=tmp_path)
    assert len(read) == 3


# ---------------------------------------------------------------------------------------- what is drawn

# A square of 40 pixels in an image of 200 is cropped to 64 pixels from (68, 68), at 3.5 panel pixels a pixel: it
# lies at 42 to 182 in the panel. The prediction is its left half, 42 to 112.
SHAPE = (200, 200)
OBJECT = _rectangle(SHAPE, 80, 80, 120, 120)
ANSWER = _rectangle(SHAPE, 80, 80, 120, 100)
FIRST, LAST, HALF = 42, 181, 111


def _panels(
    folder: Path, truth: Mask = OBJECT, answer: Mask = ANSWER, *, models: tuple[str, ...], protocol: str = "one_click"
) -> list[npt.NDArray[np.uint8]]:
    """The panels of the one picture that is drawn."""
    box: tuple[float, float, float, float] | None = None
    clicks: tuple[tuple[float, float, int], ...] = ()
    if protocol == "box":
        x0, y0, x1, y1 = tight_boxes(torch.from_numpy(truth)).tolist()
        box = (x0, y0, x1, y1)
    else:
        ((x, y),) = center_points(truth[None]).tolist()
        clicks = ((x, y, 1),)
    scores = [replace(_score(answer, model=model, protocol=protocol), box=box, clicks=clicks) for model in models]
    (picture,) = draw_gallery(scores, count=1, sample_of=lambda name: _sample(truth, name), folder=folder)
    with Image.open(picture.path) as image:
        assert image.format == "PNG"
        sheet = np.asarray(image.convert("RGB"))
    count = (sheet.shape[1] - MARGIN) // (PANEL + MARGIN)
    assert sheet.shape == (TITLE + PANEL + MARGIN, count * (PANEL + MARGIN) + MARGIN, 3)
    lefts = [MARGIN + index * (PANEL + MARGIN) for index in range(count)]
    return [sheet[TITLE : TITLE + PANEL, left : left + PANEL] for left in lefts]


def _is(panel: npt.NDArray[np.uint8], colour: tuple[int, int, int]) -> Mask:
    return np.asarray((panel == colour).all(axis=-1))


@pytest.mark.parametrize(("models", "panels"), [(("base",), 4), (("base", "tuned"), 5)])
def test_there_is_a_panel_for_image_prompt_truth_and_each_model(
    tmp_path: Path, models: tuple[str, ...], panels: int
) -> None:
    assert len(_panels(tmp_path, models=models)) == panels


def _check_outline(panel: npt.NDArray[np.uint8], colour: tuple[int, int, int], last_column: int) -> None:
    outline = _is(panel, colour)
    rows, columns = np.nonzero(outline)
    assert (rows.min(), rows.max()) == pytest.approx((FIRST, LAST), abs=1)  # the line is 2 to 3 pixels wide
    assert (columns.min(), columns.max()) == pytest.approx((FIRST, last_column), abs=1)
    for row, column in ((FIRST, 77), (LAST, 77), (112, FIRST), (112, last_column)):
        assert outline[row, column]
    inside, outside = panel[112, (FIRST + last_column) // 2], panel[112, 20]
    assert inside.tolist() == [int(0.75 * GREY + 0.25 * channel) for channel in colour]  # tinted, not covered
    assert outside.tolist() == [GREY] * 3


def test_the_green_outline_is_the_truth(tmp_path: Path) -> None:
    _check_outline(_panels(tmp_path, models=("base", "tuned"))[2], TRUTH, LAST)


@pytest.mark.parametrize("panel", [3, 4])
def test_the_red_outline_is_the_prediction(tmp_path: Path, panel: int) -> None:
    _check_outline(_panels(tmp_path, models=("base", "tuned"))[panel], PREDICTION, HALF)


def test_each_model_shows_its_own_prediction(tmp_path: Path) -> None:
    scores = [
        _score(ANSWER, model="base", protocol="box"),
        _score(np.zeros(SHAPE, dtype=bool), model="tuned", protocol="box"),
    ]
    (picture,) = draw_gallery(scores, count=1, sample_of=lambda name: _sample(OBJECT, name), folder=tmp_path)
    with Image.open(picture.path) as image:
        sheet = np.asarray(image.convert("RGB"))
    red = np.nonzero(_is(sheet, PREDICTION))[1]
    assert red.size > 0
    assert red.max() < MARGIN + 4 * (PANEL + MARGIN)  # nothing in the fifth panel


def test_the_click_marker_lies_inside_the_object(tmp_path: Path) -> None:
    """Of the four middle pixels of the square the first, (99, 99), is clicked: at (99.5 - 68) * 3.5 in the panel."""
    rows, columns = np.nonzero(_is(_panels(tmp_path, models=("base",))[1], PROMPT))
    assert (rows.mean(), columns.mean()) == pytest.approx((110.25, 110.25), abs=1)
    assert np.ptp(rows) < 16 and np.ptp(columns) < 16


def test_the_box_is_drawn_around_the_object(tmp_path: Path) -> None:
    drawn = _is(_panels(tmp_path, models=("base",), protocol="box")[1], PROMPT)
    rows, columns = np.nonzero(drawn)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == pytest.approx((FIRST, 182, FIRST, 182), abs=1)
    assert not drawn[60:160, 60:160].any()


def test_clicks_are_drawn_on_the_answer_of_the_model_that_was_given_them(tmp_path: Path) -> None:
    """A click on pixel (99, 99) of the object is a disc; one on the background at (74, 74) is a cross."""
    base = replace(_score(ANSWER, model="base", protocol="clicks"), clicks=((99.0, 99.0, 1), (99.0, 110.0, 1)))
    tuned = replace(_score(ANSWER, model="tuned", protocol="clicks"), clicks=((99.0, 99.0, 1), (74.0, 74.0, 0)))
    (picture,) = draw_gallery([base, tuned], count=1, sample_of=lambda name: _sample(OBJECT, name), folder=tmp_path)
    with Image.open(picture.path) as image:
        sheet = np.asarray(image.convert("RGB"))
    lefts = [MARGIN + index * (PANEL + MARGIN) for index in range(5)]
    first, base_panel, tuned_panel = (
        _is(sheet[TITLE : TITLE + PANEL, lefts[n] : lefts[n] + PANEL], PROMPT) for n in (1, 3, 4)
    )
    rows, columns = np.nonzero(first)
    assert (rows.mean(), columns.mean()) == pytest.approx((110.25, 110.25), abs=1)  # of the first click alone
    click, below, background = 110, int((110.5 - 68) * 3.5), int((74.5 - 68) * 3.5)
    assert base_panel[click, click] and base_panel[below, click] and not base_panel[background, background]
    assert tuned_panel[click, click] and tuned_panel[background, background] and not tuned_panel[below, click]
    assert not tuned_panel[background, background + 3]  # a cross, no disc


def test_the_first_panel_is_the_whole_image_with_the_place_of_the_crop(tmp_path: Path) -> None:
    """The crop, 68 to 132 of 200 pixels, is 76 to 148 of 224; a wide image lies in the middle."""
    wide = _rectangle((100, 200), 30, 80, 70, 120)
    panel = _panels(tmp_path, wide, wide, models=("base",))[0]
    assert panel[112, 10].tolist() == [GREY] * 3
    assert panel[30, 10].tolist() == panel[200, 10].tolist() == [0] * 3
    rows, columns = np.nonzero(_is(panel, PROMPT))
    assert (columns.min(), columns.max()) == pytest.approx((68 * 1.12, 132 * 1.12), abs=1)
    assert (rows.min(), rows.max()) == pytest.approx((68 * 1.12, 132 * 1.12), abs=1)


def test_a_long_category_does_not_run_into_the_next_title(tmp_path: Path) -> None:
    score = replace(_score(ANSWER, model="base", protocol="box"), category="left kidney with a complicated cyst")
    (picture,) = draw_gallery([score], count=1, sample_of=lambda name: _sample(OBJECT, name), folder=tmp_path)
    with Image.open(picture.path) as image:
        sheet = np.asarray(image.convert("RGB"))
    gap = sheet[:TITLE, MARGIN + PANEL : 2 * MARGIN + PANEL]
    assert (gap == 255).all()


# ----------------------------------------------------------------------------------------- awkward objects

AWKWARD = {
    "top left": _rectangle((60, 100), 0, 0, 8, 9),
    "bottom right": _rectangle((60, 100), 50, 90, 60, 100),
    "whole image": np.ones((60, 100), dtype=bool),
    "one pixel": _rectangle((60, 100), 30, 50, 31, 51),
    "one pixel in the corner": _rectangle((60, 100), 59, 99, 60, 100),
    "one pixel of a large image": _rectangle((1200, 900), 1199, 899, 1200, 900),
    "image of one pixel": np.ones((1, 1), dtype=bool),
    "a line": _rectangle((60, 100), 12, 0, 13, 100),
}


@pytest.mark.parametrize("protocol", ["one_click", "box"])
@pytest.mark.parametrize("truth", AWKWARD.values(), ids=AWKWARD.keys())
def test_awkward_objects_are_drawn_with_prompt_and_outline(tmp_path: Path, truth: Mask, protocol: str) -> None:
    panels = _panels(tmp_path, truth, truth, models=("base", "tuned"), protocol=protocol)
    assert _is(panels[0], PROMPT).any()
    assert _is(panels[1], PROMPT).any()
    assert _is(panels[2], TRUTH).any()
    assert _is(panels[3], PREDICTION).any()


def test_a_click_at_the_border_of_the_image_is_marked_inside_the_object(tmp_path: Path) -> None:
    truth = AWKWARD["one pixel in the corner"]  # the crop is 48 pixels around it
    rows, columns = np.nonzero(_is(_panels(tmp_path, truth, truth, models=("base",))[1], PROMPT))
    assert (rows.mean(), columns.mean()) == pytest.approx((24.5 * PANEL / 48, 24.5 * PANEL / 48), abs=3)


def test_each_patient_and_organ_comes_once_before_any_comes_twice(tmp_path: Path) -> None:
    """The six worst are slices of one patient's liver; the second worst third shows other organs as well."""
    scores = []
    for n in range(24):
        category = "liver" if n < 6 else f"organ {n % 4}"
        score = _score(SMALL, model="base", protocol="one_click", name=f"s{n:02d}", iou=n / 100)
        scores.append(replace(score, category=category, group="a"))
    pictures = draw_gallery(scores, count=6, sample_of=lambda name: _sample(SMALL, name), folder=tmp_path)
    worst = [picture.text.split(" in ")[0] for picture in pictures if picture.rank == "worst"]
    assert len(worst) == len(set(worst)) == 2
