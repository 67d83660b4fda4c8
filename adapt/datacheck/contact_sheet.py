"""One picture of the data as the training will see it: a choice of samples with their outlines."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from adapt.datacheck.findings import Finding, Severity
from adapt.datacheck.report import CheckReport
from adapt.datacheck.walk import Row, SampleSummary, crops_of, image_of
from adapt.datamodules import Store
from adapt.drawing import Colour, draw_mask
from adapt.wording import counted, one_line

WIDTH, COLUMNS, GAP = 1600, 5, 20
TILE = (WIDTH - (COLUMNS + 1) * GAP) // COLUMNS
CAPTION, HEADER, LINE = 88, 96, 19
FINE = 2
"""Tiles are drawn this much larger and then reduced, which smooths the outlines."""
SAMPLES = 5 * COLUMNS
FLAGGED = 2 * COLUMNS
"""Of these, at most so many that a finding is about: the others show what is usual."""
PAPER, BED, INK, SOFT = (255, 255, 255), (238, 238, 240), (32, 32, 36), (110, 110, 118)
MARKS: dict[Severity, Colour] = {"error": (200, 30, 40), "warning": (190, 95, 0), "note": SOFT}
CATEGORIES: tuple[Colour, ...] = (
    (46, 204, 113),
    (255, 176, 0),
    (64, 156, 255),
    (255, 92, 138),
    (0, 214, 214),
    (178, 120, 255),
    (255, 120, 40),
    (200, 220, 40),
)
"""Outlines; bright enough for a dark slice and deep enough for a stained one. They repeat after eight categories."""
DASH = 6
"""Length of a dash and of a gap, pixels of the sheet."""
MANY_OBJECTS = 40
"""An image with more of them gets thin outlines."""


@dataclass(frozen=True)
class Chosen:
    """A sample of the sheet.

    Attributes:
        row: of the store.
        sample: its summary.
        reasons: captions of the findings about it, and the gravest severity of these.
    """

    row: int
    sample: SampleSummary
    reasons: tuple[str, ...]
    severity: Severity | None


def choose_samples(report: CheckReport, *, seed: int) -> list[Chosen]:
    """Samples for a sheet: those that findings are about, then what shows all splits, categories and groups.

    Args:
        report: see there.
        seed: of the choice.
    """
    about = defaultdict[int, list[Finding]](list)
    rows_of = defaultdict[str, list[int]](list)
    for row, sample in enumerate(report.samples):
        for name in {sample.sample_id, sample.group}:
            rows_of[name].append(row)
    queues = []
    for finding in report.findings:
        if finding.caption:
            queues.append([rows_of[name][len(rows_of[name]) // 2] for name in finding.where])  # of a group, the middle
            for row in dict.fromkeys(row for name in finding.where for row in rows_of[name]):
                about[row].append(finding)
    share = max(2, FLAGGED // max(1, len(queues)))  # two at least: a copy stands beside what it is a copy of
    flagged = list(dict.fromkeys(row for rows in queues for row in rows[:share]))[:FLAGGED]
    order = np.random.default_rng(seed).permutation(len(report.samples)).tolist()
    usual = [row for row in order if row not in about] + [row for row in order if row in about and row not in flagged]
    covered = {thing for row in flagged for thing in _shows(report.samples[row], report.split_of)}
    chosen = [*flagged, *_covering(usual, report, covered, count=SAMPLES - len(flagged))]
    return [
        Chosen(
            row=row,
            sample=report.samples[row],
            reasons=tuple(dict.fromkeys(finding.caption for finding in about[row])),
            severity=about[row][0].severity if about[row] else None,  # the findings come gravest first
        )
        for row in chosen
    ]


def _shows(sample: SampleSummary, split_of: Mapping[str, str]) -> set[tuple[str, ...]]:
    """What a picture of a sample would be an example of."""
    split = split_of.get(sample.group, "")
    return {("split", split), ("group", sample.group), *(("category", split, item.category) for item in sample.objects)}


def _covering(rows: Sequence[int], report: CheckReport, covered: set[tuple[str, ...]], *, count: int) -> list[int]:
    """The `count` rows that one by one add most to what is covered; of equals the first."""
    left = {row: _shows(report.samples[row], report.split_of) for row in rows}
    covered, chosen = set(covered), list[int]()
    while left and len(chosen) < count:
        best = max(left, key=lambda row: len(left[row] - covered))
        covered |= left.pop(best)
        chosen.append(best)
    return sorted(chosen, key=lambda row: (_split_order(report, row), report.samples[row].sample_id))


def _split_order(report: CheckReport, row: int) -> int:
    return ["train", "validation", "test", ""].index(report.split_of.get(report.samples[row].group, ""))


def draw_contact_sheet(store: Store, report: CheckReport, *, seed: int) -> Image.Image:
    """A sheet, `WIDTH` pixels wide, of up to `SAMPLES` samples with the outlines of their objects.

    Args:
        store: of the samples.
        report: see there.
        seed: of the choice.
    """
    chosen = choose_samples(report, seed=seed)
    colours = {name: CATEGORIES[index % len(CATEGORIES)] for index, name in enumerate(report.balance)}
    lines = -(-len(chosen) // COLUMNS)
    sheet = Image.new("RGB", (WIDTH, HEADER + lines * (TILE + CAPTION) + GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    _draw_header(draw, report, chosen, colours)
    for place, entry in enumerate(chosen):
        left, top = GAP + place % COLUMNS * (TILE + GAP), HEADER + place // COLUMNS * (TILE + CAPTION)
        sheet.paste(draw_tile(store.rows[entry.row], colours), (left, top))
        if entry.severity is not None:
            draw.rectangle((left - 4, top - 4, left + TILE + 3, top + TILE + 3), outline=MARKS[entry.severity], width=4)
        _draw_caption(draw, entry, report.split_of, left, top + TILE + 6)
    return sheet


def draw_tile(row: Row, colours: Mapping[str, Colour]) -> Image.Image:
    """A square of `TILE` pixels with the image in its middle and the outline of each object, dashed if it is cut."""
    image = np.broadcast_to(image_of(row), (row["height"], row["width"], 3))
    side = TILE * FINE
    scale = side / max(image.shape[:2])
    height, width = (max(1, round(length * scale)) for length in image.shape[:2])
    picture = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)).copy()
    cut = row["cut"] or [False] * len(row["masks"])
    for (corner, crop), category, is_cut in zip(crops_of(row), row["categories"], cut, strict=True):
        corner, placed = _placed(corner, crop, of=(row["height"], row["width"]), size=(height, width))
        draw_mask(
            picture,
            placed,
            colour=colours[category],
            thickness=2 * FINE if len(cut) <= MANY_OBJECTS else FINE,
            tint=0.15,
            corner=corner,
            dash=DASH * FINE if is_cut else 0,
        )
    tile = Image.new("RGB", (side, side), BED)
    tile.paste(Image.fromarray(picture), ((side - width) // 2, (side - height) // 2))
    return tile.resize((TILE, TILE), Image.Resampling.LANCZOS)


def _placed(
    corner: tuple[int, int], crop: npt.NDArray[np.bool_], *, of: tuple[int, int], size: tuple[int, int]
) -> tuple[tuple[int, int], npt.NDArray[np.bool_]]:
    """A mask of an image of size `of` on a picture of another size: where its box begins, and the box, never empty."""
    begins, ends = [], []
    for start, length, image, picture in zip(corner, crop.shape, of, size, strict=True):
        begins.append(min(int(start * picture / image), picture - 1))
        ends.append(max(begins[-1] + 1, min(round((start + length) * picture / image), picture)))
    tall, wide = ends[0] - begins[0], ends[1] - begins[1]
    grown = wide >= crop.shape[1] and tall >= crop.shape[0]
    method = cv2.INTER_NEAREST if grown else cv2.INTER_AREA  # the area keeps what is thinner than a pixel
    resized = cv2.resize(crop.astype(np.float32), (wide, tall), interpolation=method)
    return (begins[0], begins[1]), resized > (0.5 if grown else 0.0)


def _draw_header(
    draw: ImageDraw.ImageDraw, report: CheckReport, chosen: Sequence[Chosen], colours: Mapping[str, Colour]
) -> None:
    total, groups = len(report.samples), len({sample.group for sample in report.samples})
    draw.text((GAP, 14), report.recipe, fill=INK, font=_font(28))
    title = f"{len(chosen)} of {counted(total, 'image')} of {counted(groups, 'group')}"
    flagged = sum(entry.severity is not None for entry in chosen)
    if flagged:
        title += f"; framed: {flagged} that a finding is about"
    draw.text((GAP + draw.textlength(report.recipe, font=_font(28)) + 18, 23), title, fill=SOFT, font=_font(18))
    x, font = float(GAP), _font(17)
    shown = [name for name in colours if any(item.category == name for c in chosen for item in c.sample.objects)]
    for name in shown:
        shown_name = one_line(name)
        length = draw.textlength(shown_name, font=font)
        if x + length + 200 > WIDTH:
            draw.text((x, 58), "and more", fill=SOFT, font=font)
            break
        draw.rounded_rectangle((x, 61, x + 16, 77), radius=3, fill=colours[name])
        draw.text((x + 23, 58), shown_name, fill=INK, font=font)
        x += length + 48
    if any(item.cut for entry in chosen for item in entry.sample.objects):
        draw.text((WIDTH - GAP, 58), "dashed: cut by a tile's border", fill=SOFT, font=font, anchor="ra")


def _draw_caption(draw: ImageDraw.ImageDraw, entry: Chosen, split_of: Mapping[str, str], left: int, top: int) -> None:
    sample = entry.sample
    split = split_of.get(sample.group)
    facts = f"{counted(len(sample.objects), 'object')}, {sample.width} x {sample.height} px"
    lines: list[tuple[str, Colour]] = [
        (sample.sample_id, INK),
        (facts if split is None else f"{split}, {facts}", SOFT),
    ]
    if entry.severity is not None:
        lines.insert(0, (", ".join(entry.reasons), MARKS[entry.severity]))
    for number, (text, colour) in enumerate(lines):
        font = _font(15)
        draw.text((left, top + number * LINE), shortened(draw, text, font, TILE), fill=colour, font=font)


def shortened(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """A text on one line, its middle left out if it is wider than `width` pixels; the ends of a name say most."""
    text = one_line(text)
    if draw.textlength(text, font=font) <= width:
        return text
    kept = len(text) - 1
    while kept > 2 and draw.textlength(_middle_out(text, kept), font=font) > width:
        kept -= 1
    return _middle_out(text, kept)


def _middle_out(text: str, kept: int) -> str:
    return f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow's wheels carry FreeType
    return font
