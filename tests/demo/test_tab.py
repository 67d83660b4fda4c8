"""A tab from the first image to the saved mask, with a segmenter that makes no mistake."""

import base64
import io
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from exact_segmenter import SIDE, ExactSegmenter, discs
from PIL import Image
from pycocotools import mask as pycoco

from adapt.datamodules.generated.ct import write_phantom
from adapt.demo import Look, Models, Tab, Tabs
from adapt.errors import DataError
from adapt.formats import rasterise, read_coco
from adapt.recipe import find_recipe, load_recipe

PICTURE = discs(SIDE, SIDE, count=5, seed=3, largest=9)


def readers(*names: str) -> list:
    return [load_recipe(find_recipe(name)).data for name in names]


def make_tab(*names: str) -> Tab:
    models = Models({"untouched": ExactSegmenter(), "tuned": ExactSegmenter()}, torch.device("cpu"), kept=2)
    return Tab(models, Look(readers(*names or ("folder",)), 256), about={"model": "exact"})


def upload(folder: Path, name: str = "discs.png", pixels: np.ndarray = PICTURE) -> Path:
    folder.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(folder / name)
    return folder / name


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Tab]:
    tab = make_tab()
    tab.open_upload(upload(tmp_path / "sent"))
    yield tab
    tab.close()


def spot(value: int) -> tuple[float, float]:
    """A point in the middle of a disc, as shares of the picture."""
    rows, columns = np.nonzero(PICTURE == value)
    place = len(rows) // 2
    return (columns[place] + 0.5) / SIDE, (rows[place] + 0.5) / SIDE


def saved(tab: Tab, kind: str, model: str = "tuned") -> tuple[str, bytes]:
    file = tab.save(model, kind)["file"]
    return file["name"], base64.b64decode(file["uri"].split(",", 1)[1])


def test_a_click_answers_for_both_models_and_the_mask_is_saved_as_it_is(tab: Tab, tmp_path: Path) -> None:
    view = tab.click(*spot(4), 1)
    assert set(view["answers"]) == {"untouched", "tuned"} and len(view["answers"]["tuned"]["small"]) == 3
    assert (
        view["answers"]["tuned"]["ious"] == pytest.approx([0.1, 0.1, 0.97]) and view["answers"]["tuned"]["chosen"] == 2
    )
    assert view["answers"]["tuned"]["share"] == pytest.approx((PICTURE == 4).mean())
    name, content = saved(tab, "png")
    assert name == "discs_tuned.png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))) == 255, PICTURE == 4)

    name, content = saved(tab, "json", "untouched")
    (tmp_path / name).write_bytes(content)
    (image,) = read_coco(tmp_path / name)
    assert (image.file_name, image.height, image.width) == ("discs.png", SIDE, SIDE)
    (found,) = image.objects
    assert np.array_equal(rasterise(found.segmentation, height=SIDE, width=SIDE), PICTURE == 4)
    (entry,) = json.loads(content)["annotations"]
    assert entry["area"] == np.count_nonzero(PICTURE == 4) == pycoco.area(entry["segmentation"])
    assert entry["bbox"] == pycoco.toBbox(entry["segmentation"]).tolist() and entry["score"] == pytest.approx(0.97)
    ((x, y, label),) = entry["prompt"]["clicks"]
    assert PICTURE[round(y), round(x)] == 4 and label == 1
    assert json.loads(content)["info"] == {"model": "exact", "answered_by": "untouched"}


def test_prompts_come_back_where_they_were_put(tab: Tab) -> None:
    tab.click(*spot(2), 1)
    view = tab.box(0.9, 0.8, 0.25, 0.125)
    assert view["prompts"]["clicks"] == [pytest.approx((*spot(2), 1))]
    assert view["prompts"]["box"] == pytest.approx((0.25, 0.125, 0.9, 0.8))


def test_undo_shows_what_was_there_without_asking_again(tab: Tab) -> None:
    first = tab.click(*spot(1), 1)
    tab.click(*spot(2), 0)
    decoded = len(tab._models.segmenters["tuned"].decoded)
    view = tab.undo()
    assert view["answers"] == first["answers"] and view["prompts"] == first["prompts"] and view["steps"] == 1
    assert len(tab._models.segmenters["tuned"].decoded) == decoded == 2
    assert tab.undo()["answers"] == {}
    assert tab.clear()["steps"] == 0


def test_another_candidate_can_be_the_one_that_counts(tab: Tab) -> None:
    tab.click(*spot(1), 1)
    view = tab.choose("untouched", 0)
    assert view["answers"]["untouched"]["chosen"] == 0 and view["answers"]["tuned"]["chosen"] == 2


def test_the_encoder_runs_once_an_image_and_model_however_much_is_asked(tab: Tab) -> None:
    tab.encode()
    for value in (1, 2, 3):
        tab.click(*spot(value), 1)
    tab.box(0.1, 0.1, 0.5, 0.5)
    assert [segmenter.encoded for segmenter in tab._models.segmenters.values()] == [1, 1]


def test_what_was_sent_is_removed_with_the_next_image_and_at_the_end(tmp_path: Path) -> None:
    tab = make_tab()
    first, second = upload(tmp_path / "1"), upload(tmp_path / "2", "other.png")
    tab.open_upload(first)
    tab.click(*spot(1), 1)
    view = tab.open_upload(second)
    assert not first.exists() and second.exists()
    assert view["picture"]["name"] == "other.png" and view["answers"] == {}
    tab.close()
    assert not second.exists()


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("broken.png", b"\x89PNG\r\n\x1a\nno more", "broken.png"),
        ("notes.txt", b"hello", "reads pictures"),
        ("empty.jpg", b"", "empty.jpg"),
    ],
)
def test_an_image_that_cannot_be_read_leaves_the_one_before(
    tab: Tab, tmp_path: Path, name: str, content: bytes, fault: str
) -> None:
    before = tab.click(*spot(1), 1)
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=fault):
        tab.open_upload(path)
    assert not path.exists()
    tab.click(*spot(2), 0)
    assert tab.undo()["answers"] == before["answers"]


def test_a_header_that_claims_too_many_pixels_is_refused(tmp_path: Path) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    path = tmp_path / "huge.png"
    checksum = struct.pack(">I", zlib.crc32(header))
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + header + checksum + b"\0\0\0\0IDAT")
    with pytest.raises(DataError, match="20000 x 20000"):
        make_tab().open_upload(path)


def test_before_an_image_every_request_says_that_there_is_none() -> None:
    tab = make_tab()
    for call in (lambda: tab.click(0.5, 0.5, 1), lambda: tab.show(0), tab.encode, lambda: tab.save("tuned", "png")):
        with pytest.raises(DataError, match="there is no image yet"):
            call()
    assert tab.undo()["answers"] == {}


def test_without_a_mask_nothing_is_saved(tab: Tab) -> None:
    with pytest.raises(DataError, match="no mask to save yet"):
        tab.save("tuned", "png")


def test_of_a_volume_one_slice_is_seen_and_saved_at_a_time(tmp_path: Path) -> None:
    write_phantom(tmp_path, patients=1, seed=3)
    volume = tmp_path / "images" / "patient_00.nii.gz"
    tab = make_tab("quickstart", "folder")
    view = tab.open_upload(volume)
    parts = view["picture"]["parts"]
    assert parts > 5 and view["picture"]["part"] == parts // 2 and view["picture"]["called"] == "slice"
    tab.click(0.5, 0.5, 1)
    assert tab.show(3)["answers"] == {}
    tab.click(0.5, 0.5, 1)
    name, content = saved(tab, "json")
    assert name == "patient_00_slice003_tuned.json"
    assert json.loads(content)["images"][0]["slice"] == 3
    with pytest.raises(DataError, match=rf"slice {parts} is not there; the image has 0 to {parts - 1}"):
        tab.show(parts)
    tab.close()
    assert not volume.exists()


def test_a_run_on_volumes_is_shown_pictures_as_well(tmp_path: Path) -> None:
    view = make_tab("quickstart", "folder").open_upload(upload(tmp_path / "sent"))
    assert view["picture"]["size"] == [SIDE, SIDE] and view["picture"]["parts"] == 1


def test_of_a_large_scene_a_tile_is_seen_and_its_mask_lies_in_the_whole(tmp_path: Path) -> None:
    scene = tmp_path / "scene.tif"
    ground = {"crs": "EPSG:32633", "transform": rasterio.Affine(0.5, 0, 5e5, 0, -0.5, 5e6)}
    bands = np.random.default_rng(0).integers(1, 255, (3, 64, 150), dtype=np.uint8)
    with rasterio.open(scene, "w", driver="GTiff", height=64, width=150, count=3, dtype="uint8", **ground) as file:
        file.write(bands)
    settings = readers("satellite_buildings")[0].model_copy(update={"tile_size": 64, "tile_overlap": 8})
    models = Models({"tuned": ExactSegmenter()}, torch.device("cpu"), kept=1)
    tab = Tab(models, Look([settings], 128), about={})
    view = tab.open_upload(scene)
    assert view["picture"]["called"] == "tile" and view["picture"]["size"] == [64, 64]
    tab.show(1)
    tab.click(0.5, 0.5, 1)
    _, content = saved(tab, "json")
    entry, image = (json.loads(content)[key][0] for key in ("annotations", "images"))
    assert (image["width"], image["height"]) == (150, 64) and entry["area"] and entry["bbox"][0] >= 56
    ((x, y, _),) = entry["prompt"]["clicks"]
    assert x == 56 + 31.5 and y == 31.5


def test_tabs_do_not_mix_and_too_many_close_the_oldest(tmp_path: Path) -> None:
    tabs = Tabs(make_tab, most=2)
    for name in ("a", "b"):
        tabs.begin(name).open_upload(upload(tmp_path / name, f"{name}.png"))
    tabs.of("a").click(*spot(1), 1)
    assert tabs.of("b").undo()["steps"] == 0 and tabs.begin("a") is tabs.of("a")
    tabs.of("a")
    tabs.begin("c")
    with pytest.raises(DataError, match="reload the page"):
        tabs.of("b")
    assert not (tmp_path / "b" / "b.png").exists() and (tmp_path / "a" / "a.png").exists()
    tabs.end("a")
    tabs.end("a")
    assert not (tmp_path / "a" / "a.png").exists()
