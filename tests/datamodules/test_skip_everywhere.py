"""In every domain, one bad input ends a run with its name and a remedy; or it alone is left out, and named once."""

import gzip
import io
import json
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pyarrow.parquet as pq
import pytest
import tifffile
from PIL import Image
from rich.console import Console

from adapt import build
from adapt.datamodules import Store
from adapt.datamodules.generated import generated_folder
from adapt.errors import DataError
from adapt.recipe import find_recipe, load_recipe

QUIET = Console(file=io.StringIO())
DOMAINS = {
    "volumes": ("quickstart", "adapt:ct_phantom", []),
    "series": ("quickstart", "adapt:ct_phantom_dicom", ["data.other_labels=ignore"]),
    "pictures of classes": (
        "medical_2d",
        "adapt:shapes_folder",
        ["data.labels={a: 1, b: 2, c: 3, d: 4, e: 5}", "data.group_pattern=null"],
    ),
    "pictures": ("folder", "adapt:shapes_folder", []),
    "masks": ("folder", "adapt:shapes_folder", ["data.label_kind=masks", "data.label_folder=masks"]),
    "coco": ("coco", "adapt:shapes_coco", []),
    "yolo": ("yolo", "adapt:shapes_yolo", []),
    "hub": ("hub_dataset", "adapt:shapes_hub", []),
    "scenes": ("satellite_buildings", "adapt:satellite_scenes", ["data.split_by=scene"]),
    "stacks": ("microscopy_nuclei", "adapt:nuclei", []),
    "zarr": (
        "microscopy_nuclei",
        "adapt:nuclei_zarr",
        ["data.label_name=nuclei", "data.channels=[DAPI]"],
    ),
}
"""Recipe, generated data, and values that make it read them; each image is a group of its own."""
KEPT = 3
"""Cases of a data set that are read; the one named 00 or 0 is damaged."""


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The first cases of a domain's generated data, in a folder that is not to be changed."""
    cache = tmp_path_factory.mktemp("few")

    def made(domain: str) -> Path:
        recipe, name, _ = DOMAINS[domain]
        folder = cache / domain
        if not folder.is_dir():
            kind = load_recipe(find_recipe(recipe), [f"data.root={name}"]).data.kind
            shutil.copytree(generated_folder(name, kind=kind, cache=cache), folder)
            for path in sorted(folder.rglob("*_[0-9]*"), reverse=True):
                if int(path.name.split("_")[1].split(".")[0]) >= KEPT:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        if domain == "coco":
            file = folder / "annotations.json"
            content = json.loads(file.read_bytes())
            content["images"] = content["images"][:KEPT]
            content["annotations"] = [one for one in content["annotations"] if one["image_id"] <= KEPT]
            file.write_text(json.dumps(content), encoding="utf-8")
        return folder

    return made


def _store(domain: str, root: Path, cache: Path, *, on_error: str) -> Store:
    recipe, _, values = DOMAINS[domain]
    loaded = load_recipe(find_recipe(recipe), [*values, f"data.root={root}", f"cache={cache}", "trainer.workers=0"])
    return build.open_store(loaded.data, loaded, QUIET, on_error=on_error)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def _unmount(path: Path) -> None:
    path.unlink()
    path.symlink_to("/unmounted/disk/" + path.name)


def _link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _claim_volume(path: Path) -> None:
    """A gzip whose header says 3,000 x 3,000 x 3,000 voxels."""
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[42:48] = struct.pack("<3h", 3000, 3000, 3000)
    path.write_bytes(gzip.compress(bytes(content)))


def _claim_png(path: Path) -> None:
    """A PNG whose header says 50,000 x 50,000 pixels."""
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">2I", 50_000, 50_000)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    path.write_bytes(bytes(content))


def _claim_tiff(path: Path) -> None:
    """A TIFF whose header says 50,000 x 50,000 pixels."""
    tifffile.imwrite(path, tifffile.imread(path), ome=False, metadata=None)
    with tifffile.TiffFile(path, mode="r+") as file:
        for tag in ("ImageWidth", "ImageLength"):
            file.pages[0].tags[tag].overwrite(50_000)


def _other_shape(path: Path) -> None:
    image = nibabel.load(path)
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj)[:-1], image.affine), path)


def _half_labels(path: Path) -> None:
    image = nibabel.load(path)
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj) * np.float32(0.5), image.affine), path)


def _not_finite(path: Path) -> None:
    image = nibabel.load(path)
    values = np.asarray(image.dataobj, np.float32)
    values[0, 0, 0] = np.nan
    nibabel.save(nibabel.Nifti1Image(values, image.affine), path)


def _without_a_slice(folder: Path) -> None:
    (folder / "005.dcm").unlink()


def _with_a_slice_twice(folder: Path) -> None:
    shutil.copy(folder / "005.dcm", folder / "copy of 005.dcm")


def _with_a_slice_unmounted(folder: Path) -> None:
    _unmount(folder / "005.dcm")


def _rgb(path: Path) -> None:
    Image.fromarray(np.arange(96 * 96 * 3, dtype=np.uint8).reshape(96, 96, 3)).save(path)


def _smaller(path: Path) -> None:
    Image.open(path).crop((0, 0, 90, 90)).save(path)


def _smaller_tiff(path: Path) -> None:
    tifffile.imwrite(path, tifffile.imread(path)[:-1])


def _as_a_mask(path: Path) -> None:
    tifffile.imwrite(path, np.where(tifffile.imread(path), np.uint8(255), np.uint8(0)))


def _as_floats(path: Path) -> None:
    tifffile.imwrite(path, tifffile.imread(path) * np.float32(0.5))


def _latin(path: Path) -> None:
    path.write_bytes("0 0.1 0.1 0.2 0.1 0.2 0.2 caf\u00e9".encode("latin-1"))


def _boxes(path: Path) -> None:
    path.write_text("0 0.5 0.5 0.1 0.1\n", encoding="utf-8")


def _of_row(column: str, value: object) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        table = pq.read_table(path)
        rows = table.to_pylist()
        rows[0][column] = value
        pq.write_table(type(table).from_pylist(rows, schema=table.schema), path)

    return damage


def _without_a_place(path: Path) -> None:
    tifffile.imwrite(path, tifffile.imread(path))


def _without_a_chunk(folder: Path) -> None:
    """Of the finest level, in the layout of version 0.4."""
    (folder / "0" / "0" / "0" / "0").unlink()


def _garble(path: Path) -> None:
    path.write_text("{", encoding="utf-8")


IMAGE, LABEL = "images/patient_00.nii.gz", "labels/patient_00.nii.gz"
SERIES = "images/patient_00"
PICTURE, MAP, MASK = "images/shapes_00.png", "labels/shapes_00.png", "masks/shapes_00/box/1.png"
YOLO_IMAGE, YOLO_LABEL = "images/train/shapes_00.png", "labels/train/shapes_00.txt"
ROWS, ROW = "data/train-00000-of-00001.parquet", "train row 0"
STACK, STACK_LABEL = "images/field_00.ome.tif", "masks/field_00.tif"
ZARR = "images/field_00.ome.zarr"
SCENE = "images/scene_0.tif"


@pytest.mark.parametrize(
    ("domain", "file", "damage", "named", "told"),
    [
        ("volumes", IMAGE, _cut, IMAGE, "copy or convert the file again"),
        ("volumes", IMAGE, _claim_volume, IMAGE, "more than data.max_voxels"),
        ("volumes", IMAGE, _unmount, IMAGE, "no such file; if it is a link, mount the disk"),
        ("volumes", IMAGE, _link_to_itself, IMAGE, "copy or convert the file again"),
        ("volumes", IMAGE, _not_finite, IMAGE, "NaN or infinite; replace them"),
        ("volumes", LABEL, _cut, LABEL, "copy or convert the file again"),
        ("volumes", LABEL, _other_shape, "patient_00", "Resample the label to the image"),
        ("volumes", LABEL, _half_labels, LABEL, "not whole numbers"),
        ("volumes", LABEL, _unmount, LABEL, "no such file; if it is a link, mount the disk"),
        ("volumes", LABEL, Path.unlink, "patient_00", "without a label of the same name"),
        ("series", SERIES, _without_a_slice, SERIES, "a slice is missing"),
        ("series", SERIES, _with_a_slice_twice, SERIES, "a file copied twice"),
        ("series", SERIES, _with_a_slice_unmounted, f"{SERIES}/005.dcm", "copy it again, or remove it"),
        ("series", "labels/patient_00.dcm", _cut, "labels/patient_00.dcm", "export it again"),
        ("pictures of classes", PICTURE, _cut, PICTURE, "copy it again, or convert it to PNG"),
        ("pictures of classes", PICTURE, _claim_png, PICTURE, "more than data.max_image_pixels"),
        ("pictures of classes", PICTURE, _unmount, PICTURE, "no such file; if it is a link, mount the disk"),
        ("pictures of classes", MAP, _smaller, MAP, "both must show the same pixels"),
        ("pictures of classes", MAP, _rgb, MAP, "store label values, not 256 colours"),
        ("pictures", PICTURE, _cut, PICTURE, "copy it again, or convert it to PNG"),
        ("pictures", PICTURE, _claim_png, PICTURE, "more than data.max_image_pixels"),
        ("pictures", PICTURE, _link_to_itself, PICTURE, "copy it again, or convert it to PNG"),
        ("pictures", MAP, _unmount, MAP, "no such file; if it is a link, mount the disk"),
        ("pictures", MAP, Path.unlink, "shapes_00", "without a label of the same name"),
        ("masks", MASK, _cut, MASK, "copy it again, or convert it to PNG"),
        ("masks", MASK, _unmount, MASK, "no such file; if it is a link, mount the disk"),
        ("coco", PICTURE, Path.unlink, "shapes_00.png", "is missing (set data.image_folder, or remove it"),
        ("coco", PICTURE, _unmount, "shapes_00.png", "is missing (set data.image_folder, or remove it"),
        ("coco", PICTURE, _cut, PICTURE, "copy it again, or convert it to PNG"),
        ("coco", PICTURE, _smaller, PICTURE, "export both again"),
        ("yolo", YOLO_IMAGE, _unmount, YOLO_IMAGE, "no such file; if it is a link, mount the disk"),
        ("yolo", YOLO_IMAGE, _cut, YOLO_IMAGE, "copy it again, or convert it to PNG"),
        ("yolo", YOLO_IMAGE, Path.unlink, "train/shapes_00", "without an image of the same name"),
        ("yolo", YOLO_LABEL, _unmount, YOLO_LABEL, "no such file; if it is a link, mount the disk"),
        ("yolo", YOLO_LABEL, _latin, YOLO_LABEL, "UTF-8"),
        ("yolo", YOLO_LABEL, _boxes, YOLO_LABEL, "export the labels as segmentation polygons"),
        ("hub", ROWS, _of_row("image", {"bytes": b"no picture", "path": None}), ROW, "copy it again, or convert it"),
        ("hub", ROWS, _of_row("image", None), ROW, "choose another column, or remove the row"),
        ("hub", ROWS, _of_row("masks", [{"bytes": None, "path": "/etc/hostname"}]), ROW, "it is not read"),
        ("scenes", SCENE, _cut, SCENE, "copy"),
        ("scenes", SCENE, _unmount, SCENE, "no such file; if it is a link, mount the disk"),
        ("scenes", SCENE, _without_a_place, SCENE, "set them with gdal_edit.py"),
        ("stacks", STACK, _cut, STACK, "copy it again"),
        ("stacks", STACK, _claim_tiff, STACK, "more than data.max_image_pixels"),
        ("stacks", STACK, _unmount, STACK, "no such file; if it is a link, mount the disk"),
        ("stacks", STACK_LABEL, _smaller_tiff, STACK_LABEL, "both must show the same pixels"),
        ("stacks", STACK_LABEL, _as_a_mask, STACK_LABEL, "give each region one"),
        ("stacks", STACK_LABEL, _as_floats, STACK_LABEL, "store integers"),
        ("zarr", ZARR, _without_a_chunk, ZARR, "data.missing_chunks"),
        ("zarr", f"{ZARR}/.zattrs", _garble, ZARR, "copy it again, or save it anew"),
        ("zarr", f"{ZARR}/labels/nuclei", shutil.rmtree, ZARR, "Set data.label_name"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_bad_input_ends_the_run_or_is_left_out_and_named_once(
    few: Callable[[str], Path],
    tmp_path: Path,
    domain: str,
    file: str,
    damage: Callable[[Path], object],
    named: str,
    told: str,
) -> None:
    cache = tmp_path / "cache"
    good = _store(domain, few(domain), cache, on_error="fail")
    root = tmp_path / "some data"
    shutil.copytree(few(domain), root)
    damage(root / file)
    with pytest.raises(DataError) as caught:
        _store(domain, root, cache, on_error="fail")
    assert named in str(caught.value) and told in str(caught.value)
    for _ in range(2):  # made, then opened
        store = _store(domain, root, cache, on_error="skip")
        (error,) = store.facts.skipped
        assert named in error and told in error
        lost = set(good.groups) - set(store.groups)
        assert len(lost) == 1 and next(iter(lost)).endswith("0")
        assert [group for group in good.groups if group not in lost] == list(store.groups)


def test_a_damaged_scene_of_several_cases_is_named_once(few: Callable[[str], Path], tmp_path: Path) -> None:
    root = tmp_path / "scenes"
    shutil.copytree(few("scenes"), root)
    _cut(root / SCENE)
    recipe = load_recipe(
        find_recipe("satellite_buildings"),
        [f"data.root={root}", f"cache={tmp_path}", "data.tile_size=32", "data.tile_overlap=0", "data.block_size=320"],
    )
    assert len(build.make_source(recipe.data, tmp_path).cases) > 2 * KEPT
    (error,) = build.open_store(recipe.data, recipe, QUIET, on_error="skip").facts.skipped
    assert SCENE in error


def test_a_picture_of_a_folder_for_the_hub_that_is_not_mounted_is_left_out(tmp_path: Path) -> None:
    root = tmp_path / "data"
    (root / "train").mkdir(parents=True)
    lines = []
    for number in range(3):
        Image.fromarray(np.full((20, 20), number, np.uint8)).save(root / "train" / f"{number}.png")
        lines.append({"file_name": f"{number}.png", "outlines": [[1, 1, 9, 1, 9, 9, 1, 9]]})
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (root / "train" / "metadata.jsonl").write_text(text, encoding="utf-8")
    _unmount(root / "train" / "0.png")
    values = [f"data.root={root}", f"cache={tmp_path}", "data.mask_column=outlines", "data.category_column=null"]
    recipe = load_recipe(find_recipe("hub_dataset"), values)
    with pytest.raises(DataError, match=r"train row 0, image: .*0\.png cannot be read"):
        build.open_store(recipe.data, recipe, QUIET, on_error="fail")
    store = build.open_store(recipe.data, recipe, QUIET, on_error="skip")
    assert (store.facts.samples, len(store.facts.skipped)) == (2, 1)
