"""Pictures of test images: the image, the true label map, the one that was answered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from adapt.class_maps import label_map
from adapt.drawing import distinct_colours
from adapt.evaluate.semantic.scoring import ClassScore
from adapt.files import write_file
from adapt.formats import decode_masks
from adapt.samples import Sample

PANEL, MARGIN, TITLE, LEGEND = 256, 6, 20, 18
TINT = 0.5
INK, PAPER = (30, 30, 30), (255, 255, 255)
RANKS = ("worst", "middle", "best")


@dataclass(frozen=True)
class ClassPicture:
    """A written picture: worst, middle or best, and what it shows."""

    path: Path
    rank: str
    text: str


def draw_label_maps(
    scores: Sequence[ClassScore],
    classes: Sequence[str],
    *,
    count: int,
    sample_of: Callable[[str], Sample],
    folder: Path,
) -> list[ClassPicture]:
    """Write PNGs of the worst, middle and best `count` images, ranked by their mean IoU.

    Args:
        scores: of all images.
        classes: their names.
        count: pictures.
        sample_of: sample id to sample.
        folder: receives the PNGs.
    """
    ranked = sorted(scores, key=lambda score: (score.miou, score.sample_id))
    pictures = []
    for number, (rank, score) in enumerate(_chosen(ranked, count), start=1):
        path = folder / f"classes_{number:02d}_{rank}.png"
        sheet = _draw(sample_of(score.sample_id), score, classes)
        write_file(path, lambda file, sheet=sheet: sheet.save(file, format="PNG"))  # type: ignore[misc]
        pictures.append(ClassPicture(path, rank, f"{score.sample_id}: mean IoU {score.miou:.2f}"))
    return pictures


def _chosen(ranked: list[ClassScore], count: int) -> list[tuple[str, ClassScore]]:
    """The worst, middle and best third of `count` from a ranked list, without repeats."""
    count = min(count, len(ranked))
    worst, best = (count + 2) // 3, (count + 1) // 3
    middle = count - worst - best
    first = worst + (len(ranked) - count) // 2
    places = [*range(worst), *range(first, first + middle), *range(len(ranked) - best, len(ranked))]
    ranks = [*(["worst"] * worst), *(["middle"] * middle), *(["best"] * best)]
    return [(rank, ranked[place]) for rank, place in zip(ranks, places, strict=True)]


def _draw(sample: Sample, score: ClassScore, classes: Sequence[str]) -> Image.Image:
    height, width = sample.image.shape[:2]
    masks = decode_masks(list(score.answer), height=height, width=width)
    answer = (masks * np.arange(1, len(classes) + 1)[:, None, None]).sum(0)
    truth = label_map(sample, classes)
    colours = distinct_colours(len(classes) + 1)
    panels = [_panel(sample.image), *(_panel(_tinted(sample.image, labels, colours)) for labels in (truth, answer))]
    titles = [f"image: {width} x {height}", "truth", f"answer: mean IoU {score.miou:.2f}"]
    shown = [value for value in range(1, len(classes) + 1) if (truth == value).any() or (answer == value).any()]
    wide, high = panels[0].size
    top = TITLE + high + MARGIN
    sheet = Image.new("RGB", (3 * (wide + MARGIN) + MARGIN, top + LEGEND * len(shown) + MARGIN), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for index, (panel, title) in enumerate(zip(panels, titles, strict=True)):
        left = MARGIN + index * (wide + MARGIN)
        draw.text((left, 3), title, fill=INK, font=font)
        sheet.paste(panel, (left, TITLE))
    for index, value in enumerate(shown):
        row = top + index * LEGEND
        draw.rectangle((MARGIN, row, MARGIN + 12, row + 12), fill=tuple(colours[value].tolist()))
        draw.text((MARGIN + 20, row - 2), f"{value} {classes[value - 1]}", fill=INK, font=font)
    return sheet


def _panel(picture: npt.NDArray[np.uint8]) -> Image.Image:
    """The whole picture, its longer side `PANEL` pixels."""
    height, width = picture.shape[:2]
    scale = PANEL / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)


def _tinted(
    picture: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], colours: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    share = np.where(labels > 0, TINT, 0.0)[..., None]
    mixed = (1 - share) * picture + share * colours[labels]
    return np.rint(mixed).astype(np.uint8)
