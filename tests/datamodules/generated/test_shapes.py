"""The generated shapes say the same in every general format, and each reader gives them back exactly."""

import json
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import pytest
from small_evaluation import SMALL_EVALUATION

from adapt.cli import main
from adapt.datamodules import Source
from adapt.datamodules.coco import coco_source
from adapt.datamodules.folder import folder_source
from adapt.datamodules.generated.shapes import (
    IMAGES,
    draw_image,
    write_shapes_coco,
    write_shapes_folder,
    write_shapes_hub,
    write_shapes_yolo,
)
from adapt.datamodules.hub import hub_source
from adapt.datamodules.yolo import yolo_source
from adapt.recipe import CocoData, FolderData, HubData, YoloData
from adapt.samples import Sample


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")


def _folder(root: Path) -> Source:
    settings = FolderData(kind="folder", root=str(root), label_kind="masks", label_folder="masks")
    return folder_source(settings, root)


def _coco(root: Path) -> Source:
    return coco_source(CocoData(kind="coco", root=str(root)), root)


def _yolo(root: Path) -> Source:
    return yolo_source(YoloData(kind="yolo", root=str(root)), root)


def _hub(root: Path) -> Source:
    settings = HubData(kind="hub", root=str(root), mask_column="masks", category_column="categories")
    return hub_source(settings, root)


def _samples(source: Source) -> list[Sample]:
    return [sample for case in source.cases for sample in case().samples]


@pytest.mark.parametrize(
    ("write", "open_source"),
    [
        (write_shapes_folder, _folder),
        (write_shapes_coco, _coco),
        (write_shapes_yolo, _yolo),
        (write_shapes_hub, _hub),
    ],
)
def test_each_format_gives_the_drawn_shapes_back(
    tmp_path: Path, write: Callable[[Path], None], open_source: Callable[[Path], Source]
) -> None:
    root = tmp_path / "data"
    root.mkdir()
    write(root)
    samples = _samples(open_source(root))
    assert len(samples) == IMAGES
    by_image = {sample.image.tobytes(): sample for sample in samples}
    for index in range(IMAGES):
        image, shapes = draw_image(np.random.default_rng([0, index]))
        sample = by_image[image.tobytes()]
        found = sorted((name, mask.tobytes()) for name, mask in zip(sample.categories, sample.masks, strict=True))
        assert found == sorted((shape.category, shape.mask.tobytes()) for shape in shapes)


def test_shapes_are_nested_overlap_and_touch() -> None:
    _, (box, inside, across, beside, apart) = draw_image(np.random.default_rng(0))
    assert (inside.mask <= box.mask).all()
    assert (across.mask & box.mask).any() and (across.mask & ~box.mask).any()
    assert not (beside.mask & box.mask).any()
    near = np.pad(box.mask, 1)
    touched = near[2:, 1:-1] | near[:-2, 1:-1] | near[1:-1, 2:] | near[1:-1, :-2]
    assert (touched & beside.mask).any()
    assert not any((apart.mask & other.mask).any() for other in (box, inside, across, beside))


def test_a_label_map_holds_what_is_seen(tmp_path: Path) -> None:
    write_shapes_folder(tmp_path)
    source = folder_source(FolderData(kind="folder", root=str(tmp_path)), tmp_path)
    [sample] = source.cases[0]().samples
    _, shapes = draw_image(np.random.default_rng([0, 0]))
    np.testing.assert_array_equal(sample.masks.any(0), np.any([shape.mask for shape in shapes], axis=0))
    assert (sample.masks.sum(0) <= 1).all()
    np.testing.assert_array_equal(sample.masks[-1], shapes[-1].mask)  # nothing covers the last


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "root", "categories"),
    [
        ("folder", "shapes_folder", {"object"}),
        ("coco", "shapes_coco", {"disc", "box"}),
        ("yolo", "shapes_yolo", {"disc", "box"}),
        ("hub_dataset", "shapes_hub", {"disc", "box"}),
    ],
)
def test_each_general_recipe_fits_from_one_command(
    tmp_path: Path, recipe: str, root: str, categories: set[str]
) -> None:

    places = [f"data.root=adapt:{root}", f"cache={tmp_path}/cache", f"output={tmp_path}/runs"]
    short = ["trainer.epochs=1", "trainer.min_steps=0", "evaluation.gallery=2", *SMALL_EVALUATION]
    assert main(["fit", "--recipe", recipe, *places, *short]) == 0
    (folder,) = (tmp_path / "runs" / recipe).iterdir()
    found = json.loads((folder / "results.json").read_bytes())["protocols"]["box"]["base"]["categories"]
    assert set(found) == categories
