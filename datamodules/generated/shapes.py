"""Generated 2D images of discs and boxes with exact outlines, written in each general format.

Shapes are polygons, so every format holds them exactly: each image is drawn from the same masks that its
annotation gives back. Shapes lie inside one another, touch and overlap; a later one covers an earlier one. A label
map holds what is seen, the other formats hold the whole shapes.
"""

import json
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import datasets
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

from adapt.formats import encode_masks, outline_polygons, rasterise

IMAGES = 24
SIDE = 96
CATEGORIES = ("disc", "box")
COLOURS = {"disc": (205, 120, 70), "box": (70, 120, 205)}
CORNERS = 24
"""Of the polygon that stands for a disc."""
Corners = npt.NDArray[np.float64]
"""(N, 2) x, y in pixels."""


@dataclass(frozen=True, eq=False)
class Shape:
    """A category, its outline x1, y1, x2, y2, ... as shares of the image's side, and its mask (H, W) bool."""

    category: str
    outline: tuple[float, ...]
    mask: npt.NDArray[np.bool_]


def write_shapes_folder(folder: Path) -> None:
    """Label maps in `labels/`; and in `masks/`, a folder an image and category, with a mask for each whole shape."""
    (folder / "labels").mkdir()
    for name, image, shapes in _drawn():
        _save(image, folder / "images" / f"{name}.png")
        labels = np.zeros((SIDE, SIDE), dtype=np.uint8)
        for number, shape in enumerate(shapes, 1):
            labels[shape.mask] = number
            _save(shape.mask, folder / "masks" / name / shape.category / f"{number}.png")
        _save(labels, folder / "labels" / f"{name}.png")


def write_shapes_coco(folder: Path) -> None:
    """`images/` and `annotations.json`: boxes as polygons, discs as compressed RLE."""
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, (name, image, shapes) in enumerate(_drawn(), 1):
        _save(image, folder / "images" / f"{name}.png")
        images.append({"id": number, "file_name": f"{name}.png", "height": SIDE, "width": SIDE})
        for shape in shapes:
            polygon = [[SIDE * value for value in shape.outline]]
            rle = {"size": [SIDE, SIDE], "counts": encode_masks(shape.mask[None])[0].decode()}
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": CATEGORIES.index(shape.category) + 1,
                    "segmentation": polygon if shape.category == "box" else rle,
                    "iscrowd": 0,
                }
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(CATEGORIES, 1)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(content), encoding="utf-8")


def write_shapes_yolo(folder: Path) -> None:
    """`images/train`, `images/val`, the same of `labels`, and `data.yaml`."""
    for number, (name, image, shapes) in enumerate(_drawn()):
        part = "val" if number % 4 == 3 else "train"
        _save(image, folder / "images" / part / f"{name}.png")
        lines = [" ".join(map(str, [CATEGORIES.index(shape.category), *shape.outline])) for shape in shapes]
        (folder / "labels" / part).mkdir(parents=True, exist_ok=True)
        (folder / "labels" / part / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    names = {"train": "images/train", "val": "images/val", "names": dict(enumerate(CATEGORIES))}
    (folder / "data.yaml").write_text(yaml.safe_dump(names, sort_keys=False), encoding="utf-8")


def write_shapes_hub(folder: Path) -> None:
    """`data/train-00000-of-00001.parquet`: image, a list of masks, a list of categories, and an id."""
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "masks": datasets.List(datasets.Image()),
            "categories": datasets.List(datasets.ClassLabel(names=list(CATEGORIES))),
            "id": datasets.Value("string"),
        }
    )
    rows = [
        {
            "image": {"bytes": _png(image), "path": None},
            "masks": [{"bytes": _png(shape.mask), "path": None} for shape in shapes],
            "categories": [CATEGORIES.index(shape.category) for shape in shapes],
            "id": name,
        }
        for name, image, shapes in _drawn()
    ]
    (folder / "data").mkdir()
    table = pa.Table.from_pylist(rows, schema=features.arrow_schema)
    pq.write_table(table, folder / "data" / "train-00000-of-00001.parquet")


def _drawn() -> list[tuple[str, npt.NDArray[np.uint8], list[Shape]]]:
    return [(f"shapes_{index:02d}", *draw_image(np.random.default_rng([0, index]))) for index in range(IMAGES)]


def draw_image(random: np.random.Generator) -> tuple[npt.NDArray[np.uint8], list[Shape]]:
    """An image (SIDE, SIDE, 3) uint8 on textured ground, and its shapes from the back to the front."""
    shapes = draw_shapes(random)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    wave = np.sin(rows / random.uniform(4, 9) + columns / random.uniform(4, 9) + random.uniform(0, 6))
    image = 110 + 12 * wave[..., None] + random.normal(0, 6, 3)
    for shape in shapes:
        image[shape.mask] = np.array(COLOURS[shape.category]) + random.normal(0, 12, 3)
    image += random.normal(0, 8, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8), shapes


def draw_shapes(random: np.random.Generator) -> list[Shape]:
    """A box with a disc inside it, a disc across its edge, a second box that touches it, and a disc by itself."""
    left, top = random.integers(6, 12, 2).tolist()
    width, height = random.integers(32, 40, 2).tolist()
    right, bottom = left + width, top + height
    drawn = [
        ("box", _box(left, top, right, bottom)),
        ("disc", _disc(left + width * random.uniform(0.3, 0.5), top + 15, random.uniform(6, 9))),
        ("disc", _disc(left + width * random.uniform(0.3, 0.7), bottom, random.uniform(8, 11))),
        ("box", _box(right, top + random.integers(0, 8), right + random.integers(14, 22), bottom)),
        ("disc", _disc(random.uniform(68, 80), random.uniform(68, 80), random.uniform(9, 14))),
    ]
    turns = int(random.integers(4))
    return [_shape(category, corners, turns) for category, corners in drawn]


def _box(left: float, top: float, right: float, bottom: float) -> Corners:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], dtype=float)


def _disc(x: float, y: float, radius: float) -> Corners:
    angles = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    return np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)


def _shape(category: str, corners: Corners, turns: int) -> Shape:
    """A shape whose place in the image is turned by quarters; six decimals are what label files have."""
    for _ in range(turns):
        corners = np.stack([SIDE - corners[:, 1], corners[:, 0]], axis=1)
    outline = tuple(np.round(corners / SIDE, 6).flatten().tolist())
    polygons = outline_polygons(outline, height=SIDE, width=SIDE)
    return Shape(category, outline, rasterise(polygons, height=SIDE, width=SIDE))


def _save(values: npt.NDArray[np.uint8] | npt.NDArray[np.bool_], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_png(values))


def _png(values: npt.NDArray[np.uint8] | npt.NDArray[np.bool_]) -> bytes:
    file = BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()
