"""Small data sets of PNG pairs, and summaries made by hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from adapt.datacheck.walk import ObjectSummary, SampleSummary

Array = npt.NDArray[np.uint8]


@pytest.fixture
def summary() -> Callable[..., SampleSummary]:
    """A sample of 256 x 256 px with one object of 100 px, but for what a test changes."""

    def make(name: str = "a", *objects: ObjectSummary, **changes: object) -> SampleSummary:
        values: dict[str, object] = {
            "sample_id": name,
            "group": name,
            "height": 256,
            "width": 256,
            "digest": name,
            "mean": 100.0,
            "std": 30.0,
            "white": 0.0,
            "clipped": 0.1,
            "objects": objects or (thing(),),
        }
        return SampleSummary(**values | changes)

    return make


def thing(**changes: object) -> ObjectSummary:
    values: dict[str, object] = {
        "category": "cell",
        "area": 100,
        "height": 10,
        "width": 10,
        "pieces": 1,
        "cut": False,
        "overlaps": False,
        "seen": True,
    }
    return ObjectSummary(**values | changes)


@pytest.fixture
def an_object() -> Callable[..., ObjectSummary]:
    """An object of 10 x 10 px, but for what a test changes."""
    return thing


@pytest.fixture
def pairs(tmp_path: Path) -> Callable[..., Path]:
    """Writes image and label map of a name; the folder of all."""
    root = tmp_path / "pairs"

    def write(name: str, *, image: Array | None = None, labels: Array | None = None) -> Path:
        random = np.random.default_rng(list(name.encode()))
        values = {
            "images": random.integers(60, 180, (64, 64), dtype=np.uint8) if image is None else image,
            "labels": square_labels() if labels is None else labels,
        }
        for folder, array in values.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(root / folder / f"{name}.png")
        return root

    return write


def square_labels() -> Array:
    """Two instances, of 20 x 20 and 12 x 30 px."""
    labels = np.zeros((64, 64), dtype=np.uint8)
    labels[4:24, 6:26] = 1
    labels[40:52, 20:50] = 2
    return labels


@pytest.fixture
def clean(pairs: Callable[..., Path]) -> Path:
    """Twenty images that nothing can be said against."""
    for number in range(20):
        root = pairs(f"cell_{number:03d}")
    return root
