"""Label maps of a model with classes: whole, in tiles, through a volume, and in the files that are written."""

import json
from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
import torch
from exact_segmenter import SIDE, ExactSegmenter, discs
from PIL import Image
from rich.console import Console
from torch import Tensor

from adapt.errors import DataError
from adapt.predict import Model, Request, predict
from adapt.predict.classified import segment_classes
from adapt.predict.opened import Opened, Plain
from adapt.recipe import DataSettings, FolderData, GenerateSettings, HuWindow, MedicalData, PredictSettings
from adapt.segmenters import ImageFeatures

Labels = npt.NDArray[np.integer]


class Shades(ExactSegmenter):
    """Three classes: dark, grey and light pixels; black is background."""

    classes = ("dark", "grey", "light")

    def classify(self, features: ImageFeatures) -> Tensor:
        image = features.embedding[:, 0]
        return torch.stack([10 - (image - centre).abs() for centre in (0, 60, 120, 180)], dim=1)


def model(segmenter: Shades) -> Model:
    return Model(segmenter, torch.device("cpu"), GenerateSettings(), PredictSettings())


def shaded(height: int, width: int) -> npt.NDArray[np.uint8]:
    """Discs of the three shades."""
    numbers = discs(height, width, count=9, seed=3, largest=14)
    return np.array([0, *(60 * (1 + number % 3) for number in range(9))], dtype=np.uint8)[numbers]


def opened(pictures: npt.NDArray[np.uint8], *, tile_size: int | None) -> Opened:
    coloured = np.repeat(pictures[..., None], 3, axis=3)
    height, width = pictures.shape[1:]
    return Opened(
        height, width, len(pictures), lambda index, tile: coloured[index][tile.slices], tile_size, 16, Plain()
    )


@pytest.mark.parametrize(("size", "tile_size"), [((SIDE, SIDE), None), ((150, 201), SIDE)])
def test_each_pixel_has_its_class_and_a_large_image_is_cut_into_tiles(
    tmp_path: Path, size: tuple[int, int], tile_size: int | None
) -> None:
    pictures = np.stack([shaded(*size), shaded(*size)[::-1]])
    steps: list[None] = []
    found = segment_classes(
        model(Shades()), opened(pictures, tile_size=tile_size), work=tmp_path, advance=lambda: steps.append(None)
    )
    assert [one.category for one in found.objects] == ["dark", "grey", "light"]
    assert len(steps) == (2 if tile_size is None else 2 * 3 * 4)
    for index, picture in enumerate(pictures):
        assert (found.labels(index) == picture // 60).all()


def test_what_was_done_before_a_stop_is_not_done_again(tmp_path: Path) -> None:
    pictures = shaded(150, 201)[None]
    stopped = Shades(fails_at=6)
    with pytest.raises(KeyboardInterrupt):
        segment_classes(model(stopped), opened(pictures, tile_size=SIDE), work=tmp_path, advance=lambda: None)
    goes_on = Shades()
    found = segment_classes(model(goes_on), opened(pictures, tile_size=SIDE), work=tmp_path, advance=lambda: None)
    assert goes_on.encoded == 3 * 4 - 5
    assert (found.labels(0) == pictures[0] // 60).all()


def run(source: Path, output: Path, data: DataSettings, **wish: object) -> None:
    request = {"prompts": None, "formats": (), "follow": False, "overview": True, **wish}
    predict(
        Request(source=source, output=output, **request),  # type: ignore[arg-type]
        model(Shades()),
        data,
        about={},
        console=Console(quiet=True),
    )


def test_a_picture_becomes_a_label_map_whose_values_are_the_places_of_the_classes(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    picture = shaded(SIDE, SIDE)
    picture[picture == 120] = 0  # grey is nowhere
    (tmp_path / "images").mkdir()
    Image.fromarray(picture).save(tmp_path / "images" / "one.png")
    run(tmp_path / "images", tmp_path / "out", FolderData(kind="folder", root="x"))
    assert (tifffile.imread(tmp_path / "out" / "one.tif") == picture // 60).all()
    rows = json.loads((tmp_path / "out" / "records" / "one.json").read_bytes())["objects"]
    assert [(row["category"], row["pixels"], row["predicted_iou"]) for row in rows] == [
        ("dark", int((picture == 60).sum()), None),
        ("grey", 0, None),
        ("light", int((picture == 180).sum()), None),
    ]
    assert (tmp_path / "out" / "overview" / "one.png").is_file()


def test_a_volume_becomes_one_of_the_same_kind_with_the_values_of_its_structures(tmp_path: Path) -> None:
    slices = np.stack([shaded(SIDE, SIDE), shaded(SIDE, SIDE).T])
    affine = np.diag([-2.0, -3.0, 5.0, 1.0])
    (tmp_path / "images").mkdir()
    nibabel.save(
        nibabel.Nifti1Image(slices.transpose(2, 1, 0).astype(np.int16), affine), tmp_path / "images" / "one.nii.gz"
    )
    data = MedicalData(
        kind="medical",
        root="x",
        labels={"light": 7, "dark": 3, "grey": 5},
        intensity=HuWindow(kind="hu_window", windows=[[0.0, 255.0]]),
    )
    run(tmp_path / "images", tmp_path / "out", data)
    written = nibabel.load(tmp_path / "out" / "one.nii.gz")
    assert np.allclose(written.affine, affine)
    expected: Labels = np.array([0, 3, 5, 7])[slices // 60]
    assert (np.asarray(written.dataobj).transpose(2, 1, 0) == expected).all()


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"prompts": Path("clicks.json")}, "takes no prompts"),
        ({"text": ("liver",)}, "takes no prompts"),
        ({"follow": True}, "leave out --prompts, --propagate and --text"),
        ({"formats": ("coco",)}, "has no objects for COCO"),
    ],
)
def test_what_is_of_objects_is_refused(tmp_path: Path, wish: dict[str, object], message: str) -> None:
    Image.fromarray(shaded(SIDE, SIDE)).save(tmp_path / "one.png")
    with pytest.raises(DataError, match=message):
        run(tmp_path / "one.png", tmp_path / "out", FolderData(kind="folder", root="x"), **wish)
