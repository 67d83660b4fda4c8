"""Pictures of test objects: image, prompt, truth, untouched prediction, tuned prediction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from adapt.drawing import draw_mask
from adapt.evaluate.scoring import ObjectScore
from adapt.evaluate.tables import MODELS, TITLES
from adapt.files import write_file
from adapt.formats import decode_masks
from adapt.samples import Sample

PANEL, MARGIN, TITLE = 224, 6, 20
CONTEXT = 1.6
"""Side of the crop around an object, as a multiple of the object's longer side."""
SMALLEST_CROP = 48
TRUTH, PREDICTION, PROMPT, INK, PAPER = (46, 204, 113), (255, 99, 71), (255, 214, 10), (30, 30, 30), (255, 255, 255)
RANKS = ("worst", "middle", "best")


@dataclass(frozen=True, eq=False)
class Picture:
    """A written picture and what it shows."""

    path: Path
    protocol: str
    rank: str
    text: str


def draw_gallery(
    scores: Sequence[ObjectScore], *, count: int, sample_of: Callable[[str], Sample], folder: Path
) -> list[Picture]:
    """Write PNGs of the worst, middle and best `count` objects of each protocol.

    Objects are ranked by the IoU of the tuned model; by the untouched one's where there is no other.

    Args:
        scores: of all objects.
        count: pictures a protocol.
        sample_of: sample id to sample.
        folder: receives the PNGs.
    """
    pictures = []
    for protocol in dict.fromkeys(score.protocol for score in scores):
        of = {
            key: {(s.sample_id, s.index): s for s in scores if (s.protocol, s.model) == (protocol, key)}
            for key in MODELS
        }
        ranked = sorted(
            (of["tuned"] or of["base"]).values(), key=lambda score: (score.iou, score.sample_id, score.index)
        )
        for number, (rank, score) in enumerate(_chosen(ranked, count), start=1):
            shown = {key: of[key][score.sample_id, score.index] for key in MODELS if of[key]}
            path = folder / f"{protocol}_{number:02d}_{rank}.png"
            picture = _draw(sample_of(score.sample_id), shown, protocol)
            write_file(path, lambda file, picture=picture: picture.save(file, format="PNG"))  # type: ignore[misc]
            ious = ", ".join(f"{MODELS[key]} {shown[key].iou:.2f}" for key in shown)
            text = f"{score.category} in {score.sample_id}: IoU {ious}"
            pictures.append(Picture(path=path, protocol=protocol, rank=rank, text=text))
    return pictures


def _chosen(ranked: list[ObjectScore], count: int) -> list[tuple[str, ObjectScore]]:
    """The worst, middle and best third of `count` from a ranked list, without repeats.

    Neighbouring slices show the same organ of the same patient: within a third, each category of a group comes
    once before any comes twice.
    """
    count = min(count, len(ranked))
    shares = [count // 3 + (count % 3 > place) for place in (0, 2, 1)]  # of two, the worst and the best
    last, middle = len(ranked) - 1, (len(ranked) - 1) / 2
    nearest = {"worst": lambda i: i, "best": lambda i: last - i, "middle": lambda i: abs(i - middle)}
    chosen: dict[int, str] = {}
    for rank in ("worst", "best", "middle"):
        free = sorted((i for i in range(len(ranked)) if i not in chosen), key=nearest[rank])
        seen: dict[tuple[str, str], int] = {}
        turns = []
        for i in free:
            pair = (ranked[i].group, ranked[i].category)
            seen[pair] = seen.get(pair, 0) + 1
            turns.append((seen[pair], i))
        order = sorted(range(len(free)), key=lambda n: turns[n][0])[: shares[RANKS.index(rank)]]
        chosen |= dict.fromkeys((free[n] for n in order), rank)
    return [(rank, ranked[i]) for rank in RANKS for i in sorted(chosen) if chosen[i] == rank]


def _draw(sample: Sample, shown: dict[str, ObjectScore], protocol: str) -> Image.Image:
    height, width = sample.image.shape[:2]
    any_score = next(iter(shown.values()))
    truth = sample.masks[any_score.index]
    predictions = {key: decode_masks([score.mask], height=height, width=width)[0] for key, score in shown.items()}
    crop = _crop(truth)
    side = max(height, width)
    whole = ((height - side) // 2, (width - side) // 2, side)
    first = replace(any_score, clicks=any_score.clicks[:1])
    titles = [
        f"image: {width} x {height}",
        f"prompt: {TITLES[protocol]}",
        "truth",
    ]
    panels = [
        _marked(_panel(sample.image, whole), crop, whole),
        _prompted(_panel(sample.image, crop), first, crop, size=6),
        _outlined(sample.image, truth, TRUTH, crop),
    ]
    for key, mask in predictions.items():
        titles.append(f"{MODELS[key]}: IoU {shown[key].iou:.2f}")
        panel = _outlined(sample.image, mask, PREDICTION, crop)
        corrected = len(shown[key].clicks) > 1  # each model was clicked where it was wrong itself
        panels.append(_prompted(panel, shown[key], crop, size=3.5) if corrected else panel)
    sheet = Image.new("RGB", (len(panels) * (PANEL + MARGIN) + MARGIN, PANEL + TITLE + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, (panel, title) in enumerate(zip(panels, titles, strict=True)):
        left = MARGIN + index * (PANEL + MARGIN)
        draw.text((left, 3), title, fill=INK, font=ImageFont.load_default(13))
        sheet.paste(panel, (left, TITLE))
    return sheet


def _crop(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int]:
    """Top, left and side of a square around a mask, image frame; it may reach beyond the image."""
    rows, columns = np.nonzero(mask)
    side = max(SMALLEST_CROP, int(CONTEXT * (max(np.ptp(rows), np.ptp(columns)) + 1)))
    return int(rows.min() + rows.max() + 1 - side) // 2, int(columns.min() + columns.max() + 1 - side) // 2, side


def _cut(values: npt.NDArray[np.uint8], crop: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """A square of an image (H, W, ...); grey or zero beyond its border."""
    top, left, side = crop
    out = np.zeros((side, side, *values.shape[2:]), dtype=np.uint8)
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + side, values.shape[0]), min(left + side, values.shape[1])
    out[y0 - top : y1 - top, x0 - left : x1 - left] = values[y0:y1, x0:x1]
    return out


def _panel(image: npt.NDArray[np.uint8], crop: tuple[int, int, int]) -> Image.Image:
    return Image.fromarray(_cut(image, crop)).resize((PANEL, PANEL), Image.Resampling.BICUBIC)


def _outlined(
    image: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_], colour: tuple[int, int, int], crop: tuple[int, int, int]
) -> Image.Image:
    """A crop with the mask tinted and outlined."""
    panel = np.asarray(_panel(image, crop)).copy()
    cut = _cut(mask.astype(np.uint8), crop)
    large = np.asarray(Image.fromarray(cut).resize((PANEL, PANEL), Image.Resampling.NEAREST)) > 0
    draw_mask(panel, large, colour=colour, thickness=2)
    return Image.fromarray(panel)


def _prompted(panel: Image.Image, score: ObjectScore, crop: tuple[int, int, int], *, size: float) -> Image.Image:
    """A panel with the box, or the clicks: a disc on the object, a cross on the background."""
    top, left, side = crop
    scale = PANEL / side
    draw = ImageDraw.Draw(panel)
    if score.box is not None:
        x0, y0, x1, y1 = score.box  # centres of the corner pixels
        corners = (x0 - left, y0 - top, x1 + 1 - left, y1 + 1 - top)
        draw.rectangle([value * scale for value in corners], outline=PROMPT, width=2)
    for x, y, label in score.clicks:
        column, row = (x + 0.5 - left) * scale, (y + 0.5 - top) * scale
        if label:
            draw.circle((column, row), size, fill=PROMPT, outline=INK, width=2 if size > 5 else 1)
            continue
        for colour, width in ((INK, 4), (PROMPT, 2)):
            draw.line((column - size, row - size, column + size, row + size), fill=colour, width=width)
            draw.line((column - size, row + size, column + size, row - size), fill=colour, width=width)
    return panel


def _marked(panel: Image.Image, crop: tuple[int, int, int], whole: tuple[int, int, int]) -> Image.Image:
    """The whole image with the place of the crop."""
    top, left, side = crop[0] - whole[0], crop[1] - whole[1], crop[2]
    scale = PANEL / whole[2]
    box = [max(0.0, left * scale), max(0.0, top * scale), (left + side) * scale, (top + side) * scale]
    ImageDraw.Draw(panel).rectangle([min(value, PANEL - 1.0) for value in box], outline=PROMPT, width=1)
    return panel
