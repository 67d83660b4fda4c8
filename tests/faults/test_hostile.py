"""What a stranger may send: nothing in it is executed, and nothing is written outside of our own folders."""

import hashlib
import io
import json
import os
import pickle
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pytest
import torch
import zarr
from rich.console import Console

from adapt.build.data import make_source
from adapt.callbacks.checkpoints import AtomicCheckpointIO
from adapt.callbacks.kept import Place, newest_good, path_of, tidy, write_manifest
from adapt.datamodules.prepare import SCHEMA
from adapt.datamodules.source import Case, Source, one_image
from adapt.datamodules.store import Facts, open_or_make, store_key
from adapt.errors import AdaptError
from adapt.features.entries import read_entry
from adapt.formats.ome_zarr import open_ome_zarr
from adapt.formats.yolo import read_yolo_names
from adapt.recipe import CocoData, FolderData, HubData, MicroscopyData, load_recipe
from adapt.runs import claimed
from adapt.segmenters import load_segmenter
from adapt.segmenters.tiny import tiny_folder

QUIET = Console(file=io.StringIO())
MARKER = "ADAPT_TEST_MARKER"
RUN = f"import os; os.mkdir(os.environ['{MARKER}'])"
Attack = Callable[[Path, Path], object]
"""Lays a trap into the first folder, and lets the product read it; may try to reach into the second one."""
ATTACKS: dict[str, Attack] = {}


class Payload:
    """Unpickling it makes a folder."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (os.environ[MARKER],)


def attack(function: Attack) -> Attack:
    ATTACKS[function.__name__] = function
    return function


@pytest.fixture(autouse=True)
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(MARKER, str(tmp_path / "executed"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "inside" / "hf")
    monkeypatch.setattr(datasets.config, "DOWNLOADED_DATASETS_PATH", tmp_path / "inside" / "hf" / "downloads")
    monkeypatch.setattr(datasets.config, "EXTRACTED_DATASETS_PATH", tmp_path / "inside" / "hf" / "extracted")
    return tmp_path / "executed"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def test_the_traps_would_catch_somebody(marker: Path) -> None:
    pickle.loads(pickle.dumps(Payload()))
    assert marker.is_dir()
    marker.rmdir()
    exec(RUN)
    assert marker.is_dir()


# Weights and checkpoints


def checkpoint(inside: Path, write: Callable[[Path], object]) -> None:
    """A checkpoint whose manifest and hash are as they should be."""
    place = Place(epochs=1, batches=0, batches_per_epoch=5, steps=5, score=0.5, data="x")
    path = path_of(inside, place)
    write(path)
    write_manifest(path, place, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    AtomicCheckpointIO().load_checkpoint(path)


@attack
def a_pickle_as_checkpoint(inside: Path, outside: Path) -> None:
    checkpoint(inside, lambda path: path.write_bytes(pickle.dumps(Payload())))


@attack
def a_checkpoint_of_torch(inside: Path, outside: Path) -> None:
    checkpoint(inside, lambda path: torch.save({"state_dict": Payload()}, path))


@attack
def an_old_checkpoint_of_torch(inside: Path, outside: Path) -> None:
    checkpoint(inside, lambda path: torch.save(Payload(), path, _use_new_zipfile_serialization=False))


@attack
def pth_files_as_weights(inside: Path, outside: Path) -> None:
    shutil.copy(tiny_folder() / "config.json", inside)
    for name in ("pytorch_model.bin", "model.pth", "model.safetensors"):
        torch.save(Payload(), inside / name)
    load_segmenter(str(inside))


@attack
def code_beside_weights(inside: Path, outside: Path) -> None:
    for path in tiny_folder().iterdir():
        shutil.copy(path, inside)
    config = json.loads((inside / "config.json").read_text(encoding="utf-8"))
    config["auto_map"] = {name: "evil.Model" for name in ("AutoConfig", "AutoModel", "AutoModelForMaskGeneration")}
    (inside / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for name in ("evil.py", "modeling.py", "__init__.py"):
        (inside / name).write_text(RUN, encoding="utf-8")
    load_segmenter(str(inside))


@attack
def a_pickle_as_cached_features(inside: Path, outside: Path) -> None:
    (inside / "entry.safetensors").write_bytes(pickle.dumps(Payload()))
    assert read_entry(inside / "entry.safetensors") is None


# Recipes and names


@attack
def a_recipe_with_python_tags(inside: Path, outside: Path) -> None:
    (inside / "recipe.yaml").write_text(f"data: !!python/object/apply:exec [{json.dumps(RUN)}]\n", encoding="utf-8")
    load_recipe(inside / "recipe.yaml")


@attack
def a_recipe_that_names_code(inside: Path, outside: Path) -> None:
    (inside / "evil.py").write_text(RUN, encoding="utf-8")
    text = (
        "data: {kind: folder, root: x}\nmodel: {_target_: evil.run, checkpoint: 'evil:run'}\ntuning: {mode: evil.run}\n"
    )
    (inside / "recipe.yaml").write_text(text, encoding="utf-8")
    load_recipe(inside / "recipe.yaml")


@attack
def names_of_yolo_with_python_tags(inside: Path, outside: Path) -> None:
    text = f"names: !!python/object/apply:exec [{json.dumps(RUN)}]\n"
    (inside / "data.yaml").write_text(text, encoding="utf-8")
    read_yolo_names(inside / "data.yaml")


# Data sets


def read_all(source: Source, inside: Path) -> None:
    open_or_make(source, settings={}, cache=inside / "cache", console=QUIET, on_error="skip")


def hub(folder: Path, inside: Path, **changes: str) -> None:
    settings = HubData(kind="hub", root=str(folder), **changes)  # type: ignore[arg-type]
    read_all(make_source(settings, inside / "cache"), inside)


@attack
def a_data_set_with_a_script(inside: Path, outside: Path) -> None:
    folder = inside / "evil"
    folder.mkdir()
    for name in ("evil.py", "dataset.py", "__init__.py"):
        (folder / name).write_text(RUN, encoding="utf-8")
    hub(folder, inside)


@attack
def a_card_with_python_tags(inside: Path, outside: Path) -> None:
    folder = inside / "card"
    folder.mkdir()
    tag = f"!!python/object/apply:exec [{json.dumps(RUN)}]"
    text = f"---\nconfigs:\n- config_name: default\n  data_files: {tag}\ndataset_info: {tag}\n---\n"
    (folder / "README.md").write_text(text, encoding="utf-8")
    (folder / "train.jsonl").write_text('{"image": 1, "mask": 2}\n', encoding="utf-8")
    hub(folder, inside)


@attack
def a_data_set_of_pickles(inside: Path, outside: Path) -> None:
    folder = inside / "pickles"
    folder.mkdir()
    for name in ("train.pkl", "train.pickle", "train.npy"):
        (folder / name).write_bytes(pickle.dumps(Payload()))
    hub(folder, inside)


@attack
def a_tar_of_pickles_and_object_arrays(inside: Path, outside: Path) -> None:
    folder = inside / "tar"
    folder.mkdir()
    weights = io.BytesIO()
    torch.save(Payload(), weights)
    array = io.BytesIO()
    np.save(array, np.array([Payload()], dtype=object), allow_pickle=True)
    with tarfile.open(folder / "train.tar", "w") as file:
        for ending, content in (
            ("pth", weights.getvalue()),
            ("npy", array.getvalue()),
            ("pkl", pickle.dumps(Payload())),
            ("pyd", pickle.dumps(Payload())),
        ):
            add(file, f"one.{ending}", content)
    hub(folder, inside, image_column="npy", mask_column="pth")


def add(file: tarfile.TarFile, name: str, content: bytes = b"x", *, link: str = "") -> None:
    member = tarfile.TarInfo(name)
    if link:
        member.type, member.linkname = tarfile.SYMTYPE, link
    else:
        member.size = len(content)
    file.addfile(member, io.BytesIO(content))


@attack
def a_tar_that_leads_outside(inside: Path, outside: Path) -> None:
    folder = inside / "images"
    (folder / "train").mkdir(parents=True)
    for name in ("train/data.tar", "train/data.tar.gz", "train.tar"):
        with tarfile.open(folder / name, "w:gz" if name.endswith("gz") else "w") as file:
            add(file, "a/0.png")
            add(file, "../" * 9 + str(outside)[1:] + "/evil.png")
            add(file, f"{outside}/absolute.png")
            add(file, "a/link", link=str(outside))
            add(file, "a/link/through.png")
            add(file, "a/precious.png", link=str(outside / "precious.txt"))
            add(file, "a/precious.png")
    hub(folder, inside)


@attack
def a_zip_that_leads_outside(inside: Path, outside: Path) -> None:
    folder = inside / "images"
    folder.mkdir()
    with zipfile.ZipFile(folder / "train.zip", "w") as file:
        file.writestr("a/0.png", "x")
        file.writestr("../" * 9 + str(outside)[1:] + "/evil.png", "x")
        file.writestr(f"{outside}/absolute.png", "x")
        link = zipfile.ZipInfo("a/link")
        link.external_attr = 0o120777 << 16
        file.writestr(link, str(outside))
        file.writestr("a/link/through.png", "x")
    hub(folder, inside)


def evil_table() -> pa.Table:
    """A column whose type older readers of Arrow unpickled."""
    facts = {b"ARROW:extension:name": b"arrow.py_extension_type"}
    facts[b"ARROW:extension:metadata"] = pickle.dumps(Payload())
    field = pa.field("image", pa.large_binary(), metadata=facts)
    return pa.table([pa.array([b"x"], pa.large_binary())], schema=pa.schema([field]))


@attack
def a_parquet_file_with_a_pickled_type(inside: Path, outside: Path) -> None:
    import pyarrow.parquet

    folder = inside / "parquet"
    folder.mkdir()
    pyarrow.parquet.write_table(evil_table(), folder / "train.parquet")
    hub(folder, inside, mask_column="image")


@attack
def a_prepared_store_with_a_pickled_type(inside: Path, outside: Path) -> None:
    source = Source(inputs=[], cases=[])
    folder = inside / "cache" / "stores" / store_key(source, {})
    folder.mkdir(parents=True)
    facts = {b"ARROW:extension:name": b"arrow.py_extension_type"}
    facts[b"ARROW:extension:metadata"] = pickle.dumps(Payload())
    schema = pa.schema([field.with_metadata(facts) for field in SCHEMA])
    with (folder / "data.arrow").open("wb") as file, pa.ipc.new_stream(file, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_pylist([], schema=schema))
    size = (folder / "data.arrow").stat().st_size
    told = Facts(0, 0, 0, 0, 0, 0, [], [], size)
    (folder / "facts.json").write_text(json.dumps(asdict(told)), encoding="utf-8")
    read_all(source, inside)


def one_case() -> Case:
    objects = (np.ones((1, 9, 9), dtype=bool), ("cell",), 0)
    return one_image(np.zeros((9, 9, 3), np.uint8), objects, group="a", sample_id="a", source=Path("a"))


@attack
def a_prepared_store_whose_folder_is_a_link(inside: Path, outside: Path) -> None:
    source = Source(inputs=[], cases=[one_case])
    stores = inside / "cache" / "stores"
    stores.mkdir(parents=True)
    (stores / store_key(source, {})).symlink_to(outside)
    (stores / f"{store_key(source, {})}.parts").symlink_to(outside)
    read_all(source, inside)


@attack
def object_arrays_as_labels(inside: Path, outside: Path) -> None:
    for name in ("images", "labels", "masks"):
        (inside / "data" / name).mkdir(parents=True)
        for file in ("a.npy", "a_seg.npy", "a.npz"):
            np.save(inside / "data" / name / file, np.array([Payload()], dtype=object), allow_pickle=True)
    root = str(inside / "data")
    with suppress(AdaptError):
        read_all(make_source(FolderData(kind="folder", root=root), inside / "cache"), inside)
    read_all(make_source(MicroscopyData(kind="microscopy", root=root), inside / "cache"), inside)


@attack
def names_of_coco_that_lead_outside(inside: Path, outside: Path) -> None:
    folder = inside / "coco"
    folder.mkdir()
    names = [f"../../{outside.name}/precious.txt", str(outside / "precious.txt")]
    images = [{"id": i, "file_name": name, "height": 9, "width": 9} for i, name in enumerate(names)]
    box = {"bbox": [0, 0, 9, 9], "segmentation": [[0, 0, 9, 0, 9, 9]], "category_id": 1, "iscrowd": 0, "area": 81}
    content = {
        "images": images,
        "annotations": [{"id": i, "image_id": i, **box} for i in range(2)],
        "categories": [{"id": 1, "name": "../../evil"}],
    }
    (folder / "annotations.json").write_text(json.dumps(content), encoding="utf-8")
    read_all(make_source(CocoData(kind="coco", root=str(folder)), inside / "cache"), inside)


def multiscale(folder: Path, path: str) -> None:
    """An OME-Zarr folder whose image lies at a path."""
    axes = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    scale = [{"type": "scale", "scale": [1.0, 1.0]}]
    about = {"version": "0.4", "axes": axes, "datasets": [{"path": path, "coordinateTransformations": scale}]}
    zarr.open_group(folder, mode="w", zarr_format=2).attrs["multiscales"] = [about]


@attack
def a_zarr_whose_image_lies_outside(inside: Path, outside: Path) -> None:
    folder = inside / "a.ome.zarr"
    multiscale(folder, f"../../{outside.name}/0")
    open_ome_zarr(folder, level=0, max_pixels=10**6).plane()


@attack
def a_zarr_of_pickled_objects(inside: Path, outside: Path) -> None:
    folder = inside / "a.ome.zarr"
    multiscale(folder, "0")
    (folder / "0").mkdir()
    about = {"zarr_format": 2, "shape": [1, 1], "chunks": [1, 1], "dtype": "|O", "fill_value": None, "order": "C"}
    about |= {"compressor": None, "filters": [{"id": "pickle", "protocol": 5}]}
    (folder / "0" / ".zarray").write_text(json.dumps(about), encoding="utf-8")
    (folder / "0" / "0.0").write_bytes(pickle.dumps(Payload()))
    open_ome_zarr(folder, level=0, max_pixels=10**6).plane()


# Folders of runs


@attack
def a_run_whose_checkpoints_are_a_link(inside: Path, outside: Path) -> None:
    (inside / "checkpoints").symlink_to(outside)
    tidy(inside / "checkpoints")
    newest_good(inside / "checkpoints", tell=lambda line: None)


@attack
def a_run_with_links_as_strays(inside: Path, outside: Path) -> None:
    (inside / ".model.abcd1234").symlink_to(outside)
    (inside / ".recipe.yaml.abcd1234").symlink_to(outside / "precious.txt")
    with claimed(inside):
        pass


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_is_executed_and_nothing_is_written_outside(
    tmp_path: Path, marker: Path, measured: Callable[..., None], name: str
) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "precious.txt").write_text("mine", encoding="utf-8")
    with suppress(AdaptError):
        ATTACKS[name](inside, outside)
    written = len(contents(outside).items() ^ {"precious.txt": b"mine"}.items())
    written += len({path.name for path in tmp_path.iterdir()} - {"inside", "outside", "executed"})
    measured("hostile", executed=marker.exists(), outside=written)
    assert not marker.exists() and not written
