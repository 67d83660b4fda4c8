"""Local data sets in every format of the Hub; rows become samples, and what is wrong is named by column or row."""

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value
from PIL import Image
from pydantic import ValidationError
from rich.console import Console

from adapt.datamodules import Case, Source
from adapt.datamodules.hub import ROWS_PER_CASE, hub_source
from adapt.datamodules.store import open_or_make
from adapt.errors import DataError
from adapt.formats import encode_masks
from adapt.recipe import FolderData, HubData, SatelliteData, group_rule
from adapt.samples import Sample

HEIGHT, WIDTH = 20, 30


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")


def _png(values: npt.NDArray[Any]) -> dict[str, object]:
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


def _pixels(seed: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def _masks() -> npt.NDArray[np.bool_]:
    """Two that overlap, and one of 4 pixels."""
    masks = np.zeros((3, HEIGHT, WIDTH), dtype=bool)
    masks[0, 2:12, 3:13] = masks[1, 8:18, 9:25] = masks[2, 18:20, 0:2] = True
    return masks


def _label_map() -> npt.NDArray[np.uint8]:
    labels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    for value, mask in enumerate(_masks(), 1):
        labels[mask] = value
    return labels


FEATURES = Features(
    {
        "image": datasets.Image(),
        "mask": datasets.Image(),
        "masks": List(datasets.Image()),
        "kinds": List(ClassLabel(names=["cell", "dust"])),
        "kind": Value("string"),
        "slide": Value("int64"),
        "name": Value("string"),
        "polygons": List(List(List(Value("float64")))),
        "rle": List({"size": List(Value("int64")), "counts": Value("string")}),
        "objects": List({"shape": datasets.Image(), "what": Value("string")}),
    }
)


def _row(number: int) -> dict[str, Any]:
    masks = _masks()
    return {
        "image": _png(_pixels(number)),
        "mask": _png(_label_map()),
        "masks": [_png(mask) for mask in masks],
        "kinds": [0, 1, 1],
        "kind": "cell",
        "slide": number // 2,
        "name": f"näme {number}",
        "polygons": [[[3, 2, 13, 2, 13, 12, 3, 12]], [[9, 8, 25, 8, 25, 18, 9, 18]], [[0, 18, 2, 18, 2, 20, 0, 20]]],
        "rle": [{"size": [HEIGHT, WIDTH], "counts": counts.decode()} for counts in encode_masks(masks)],
        "objects": [{"shape": _png(mask), "what": what} for mask, what in zip(masks, "abc", strict=True)],
    }


def _data(rows: list[dict[str, Any]]) -> Dataset:
    return Dataset.from_list(rows, features=FEATURES)


def _parquet(root: Path, rows: list[dict[str, Any]], *, split: str = "train") -> Path:
    root.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=FEATURES.arrow_schema), root / f"{split}.parquet")
    return root


def _source(root: Path, **changes: object) -> Source:
    return hub_source(HubData(kind="hub", root=str(root), **changes), root)


def _cases(root: Path, **changes: object) -> list[Case]:
    """The cases as another process would read them."""
    return [pickle.loads(pickle.dumps(case))() for case in _source(root, **changes).cases]


def _samples(root: Path, **changes: object) -> list[Sample]:
    return [sample for case in _cases(root, **changes) for sample in case.samples]


def _errors(root: Path, **changes: object) -> list[str]:
    found = []
    for case in _cases(root, **changes):
        list(case.samples)
        found += case.errors
    return found


def _refused(root: Path, **changes: object) -> str:
    with pytest.raises(DataError) as caught:
        _samples(root, **changes)
    return str(caught.value)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("column", ["masks", "polygons", "rle", "objects.shape"])
def test_a_list_of_masks_polygons_or_rle_gives_whole_objects(tmp_path: Path, column: str, streaming: bool) -> None:
    root = _parquet(tmp_path / "data", [_row(0), _row(1)])
    samples = _samples(root, mask_column=column, streaming=streaming, min_object_pixels=1)
    assert len(samples) == 2
    for number, sample in enumerate(samples):
        np.testing.assert_array_equal(sample.image, _pixels(number))
        np.testing.assert_array_equal(sample.masks, _masks())
        assert sample.categories == ("object",) * 3
        assert sample.sample_id == sample.group == f"train/{number:08d}"
        assert sample.source == f"{root} train row {number}"


@pytest.mark.parametrize("streaming", [False, True])
def test_a_label_map_gives_what_is_seen(tmp_path: Path, streaming: bool) -> None:
    root = _parquet(tmp_path / "data", [_row(0)])
    [sample] = _samples(root, streaming=streaming, category_column="kind", min_object_pixels=1)
    for value, mask in enumerate(sample.masks, 1):
        np.testing.assert_array_equal(mask, _label_map() == value)
    assert sample.categories == ("cell",) * 3
    classes = {"label_kind": "classes", "labels": {"roof": 1, "tree": 2}}
    [sample] = _samples(root, streaming=streaming, **classes, other_labels="ignore")
    assert sample.categories == ("roof", "tree")
    assert "label values 3 are not named in data.labels" in _errors(root, streaming=streaming, **classes)[0]


@pytest.mark.parametrize("column", ["kinds", "objects.what"])
def test_each_object_has_its_category_even_if_small_ones_are_left_out(tmp_path: Path, column: str) -> None:
    root = _parquet(tmp_path / "data", [_row(0)])
    [case] = _cases(root, mask_column="masks", category_column=column)
    [sample] = case.samples
    assert sample.categories == (("cell", "dust") if column == "kinds" else ("a", "b"))
    assert case.small_objects == 1


def test_groups_and_names_come_from_columns(tmp_path: Path) -> None:
    root = _parquet(tmp_path / "data", [_row(number) for number in range(3)])
    samples = _samples(root, group_column="slide", id_column="name")
    assert [sample.group for sample in samples] == ["0", "0", "1"]
    assert [sample.sample_id for sample in samples] == ["train/näme 0", "train/näme 1", "train/näme 2"]


def test_rows_are_cut_into_cases_and_a_stream_is_one(tmp_path: Path) -> None:
    count = ROWS_PER_CASE + 3
    row = _row(0)
    root = _parquet(tmp_path / "data", [row] * count)
    assert [len(list(case.samples)) for case in _cases(root)] == [ROWS_PER_CASE, 3]
    assert [len(list(case.samples)) for case in _cases(root, streaming=True)] == [count]
    assert [sample.sample_id for sample in _samples(root)] == [f"train/{n:08d}" for n in range(count)]


@pytest.mark.parametrize("streaming", [False, True])
def test_splits_are_used_together_and_the_first_rows_only(tmp_path: Path, streaming: bool) -> None:
    root = _parquet(tmp_path / "data", [_row(0), _row(1)])
    _parquet(root, [_row(2), _row(3)], split="test")
    samples = _samples(root, splits=["test", "train"], max_images=1, streaming=streaming)
    assert [sample.sample_id for sample in samples] == ["test/00000000", "train/00000000"]
    np.testing.assert_array_equal(samples[0].image, _pixels(2))


def test_a_stream_is_read_as_it_is_asked_for(tmp_path: Path) -> None:
    root = _parquet(tmp_path / "data", [_row(0), _row(1) | {"image": {"bytes": b"no image", "path": None}}])
    [case] = _cases(root, streaming=True)
    iterator = iter(case.samples)
    assert next(iterator).sample_id == "train/00000000"
    assert case.errors == []  # the second row has not been looked at
    assert list(iterator) == []
    assert len(case.errors) == 1


@pytest.mark.parametrize("streaming", [False, True])
def test_images_in_folders_with_metadata(tmp_path: Path, streaming: bool) -> None:
    root = tmp_path / "my ïmages"
    for number in range(2):
        for folder, values in (("pictures", _pixels(number)), ("masks", _label_map())):
            (root / "train" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(root / "train" / folder / f"{number}.png")
    lines = [{"file_name": f"pictures/{n}.png", "mask_file_name": f"masks/{n}.png", "slide": "s"} for n in range(2)]
    text = "\n".join(json.dumps(line) for line in lines)
    (root / "train" / "metadata.jsonl").write_text(text, encoding="utf-8")
    samples = _samples(root, group_column="slide", streaming=streaming)
    assert [sample.group for sample in samples] == ["s", "s"]
    for number, sample in enumerate(samples):
        np.testing.assert_array_equal(sample.image, _pixels(number))
        np.testing.assert_array_equal(sample.masks.any(0), (_label_map() == 1) | (_label_map() == 2))


@pytest.mark.parametrize("streaming", [False, True])
def test_images_in_a_zip_file(tmp_path: Path, streaming: bool) -> None:
    (tmp_path / "data").mkdir()
    with zipfile.ZipFile(tmp_path / "data" / "train.zip", "w") as archive:
        archive.writestr("pictures/0.png", _png(_pixels(0))["bytes"])
        archive.writestr("masks/0.png", _png(_label_map())["bytes"])
        line = {"file_name": "pictures/0.png", "mask_file_name": "masks/0.png"}
        archive.writestr("metadata.jsonl", json.dumps(line))
    [sample] = _samples(tmp_path / "data", streaming=streaming)
    np.testing.assert_array_equal(sample.image, _pixels(0))


@pytest.mark.parametrize("streaming", [False, True])
def test_json_lines_with_paths_and_polygons(tmp_path: Path, streaming: bool) -> None:
    root = tmp_path / "data"
    root.mkdir()
    Image.fromarray(_pixels(0)).save(root / "a.dat", "PNG")
    line = {"image": "a.dat", "objects": [{"outline": [3, 2, 13, 2, 13, 12, 3, 12], "what": "cell"}]}
    (root / "train.jsonl").write_text(json.dumps(line), encoding="utf-8")
    columns = {"mask_column": "objects.outline", "category_column": "objects.what"}
    [sample] = _samples(root, **columns, streaming=streaming)
    np.testing.assert_array_equal(sample.masks, _masks()[:1])
    assert sample.categories == ("cell",)


def test_what_save_to_disk_wrote(tmp_path: Path) -> None:
    _data([_row(0)]).save_to_disk(tmp_path / "one")
    DatasetDict({"train": _data([_row(0)]), "test": _data([_row(1)])}).save_to_disk(tmp_path / "two")
    assert len(_samples(tmp_path / "one")) == 1
    [sample] = _samples(tmp_path / "two", splits=["test"])
    np.testing.assert_array_equal(sample.image, _pixels(1))
    assert "data.splits: no 'tset' (did you mean test?) in" in _refused(tmp_path / "two", splits=["tset"])


def test_every_file_of_a_local_data_set_is_an_input(tmp_path: Path) -> None:
    root = _parquet(tmp_path / "data", [_row(0)])
    source = _source(root)
    assert list(source.inputs) == [root / "train.parquet"]
    assert source.version == ""


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"image_column": "imge"}, "data.image_column: no column 'imge' (did you mean image?) in"),
        ({"mask_column": "msk"}, "data.mask_column: no column 'msk' (did you mean mask?) in"),
        ({"mask_column": "objects.form"}, "data.mask_column: no column 'objects.form'"),
        ({"category_column": "zzz"}, "train; it has image, mask, masks, kinds, kind, slide, name"),
        ({"splits": ["train", "tets"]}, "data.splits: no 'tets' in"),
        ({"config": "other"}, "data.config: no 'other' in"),
        ({"id_column": "kind"}, "data.id_column kind gives 1 id to several rows: cell; choose another column"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    assert told in _refused(_parquet(tmp_path / "data", [_row(0), _row(1)]), **changes)


def test_one_of_several_configurations_is_asked_for(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for name in ("small", "large"):
        _parquet(root, [_row(len(name))], split=name)
    configs = [f"- config_name: {name}\n  data_files: {name}.parquet\n" for name in ("small", "large")]
    (root / "README.md").write_text(f"---\nconfigs:\n{''.join(configs)}---\n", encoding="utf-8")
    message = _refused(root)
    assert "has several configurations; set data.config to one of " in message and "small" in message
    assert "no 'smal' (did you mean small?)" in _refused(root, config="smal")
    [sample] = _samples(root, config="large")
    np.testing.assert_array_equal(sample.image, _pixels(5))


def _broken(key: str, value: object) -> list[dict[str, Any]]:
    return [_row(0), _row(1) | {key: value}, _row(2)]


@pytest.mark.parametrize(
    ("key", "value", "changes", "told"),
    [
        ("image", None, {}, "row 1, image: holds no image"),
        ("image", {"bytes": b"GIF89a", "path": None}, {}, "row 1: cannot be read as an image"),
        ("mask", _png(_pixels(0)), {}, "row 1, mask: a label map has one channel"),
        ("mask", _png(_label_map().T), {}, "row 1, mask: shapes differ: image (20, 30), label (30, 20)"),
        ("masks", [None], {"mask_column": "masks"}, "row 1, masks[0]: "),
        ("masks", [_png(_label_map())], {"mask_column": "masks", "category_column": "kinds"}, "1 masks but 3 values"),
        ("kinds", [-1, 0, 0], {"mask_column": "masks", "category_column": "kinds"}, "row 1: kinds has -1, no category"),
        ("kind", None, {"category_column": "kind"}, "row 1: kind has None, no category"),
        ("polygons", [[[1, 2, 3]]], {"mask_column": "polygons"}, "row 1, polygons[0]: cannot be drawn: a polygon"),
        ("rle", [{"size": [1, 1], "counts": "0"}], {"mask_column": "rle"}, "row 1, rle[0]: cannot be drawn: neither"),
        ("slide", None, {"group_column": "slide"}, "row 1: slide is None, no name"),
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
def test_a_row_that_cannot_be_used_is_named_and_the_others_are_kept(
    tmp_path: Path, key: str, value: object, changes: dict[str, Any], told: str, streaming: bool
) -> None:
    [case] = _cases(_parquet(tmp_path / "data", _broken(key, value)), **changes, streaming=streaming)
    assert [sample.sample_id for sample in case.samples] == ["train/00000000", "train/00000002"]
    [error] = case.errors
    assert told in error


def test_too_large_an_image_is_refused_by_its_header(tmp_path: Path) -> None:
    root = _parquet(tmp_path / "data", [_row(0)])
    [error] = _errors(root, max_image_pixels=HEIGHT * WIDTH - 1)
    assert "row 0: 30 x 20 pixels are more than data.max_image_pixels (599)" in error


def test_a_list_of_objects_is_no_label_map_of_classes(tmp_path: Path) -> None:
    root = _parquet(tmp_path / "data", [_row(0)])
    [error] = _errors(root, mask_column="masks", label_kind="classes", labels={"a": 1})
    assert "holds a list of objects; data.label_kind=classes reads a label map" in error


def test_an_id_that_comes_twice_in_a_stream_is_an_error_of_its_row(tmp_path: Path) -> None:
    root = _parquet(tmp_path / "data", [_row(0), _row(1)])
    [error] = _errors(root, id_column="kind", streaming=True)
    assert "row 1: data.id_column gives 'train/cell' a second time" in error


def test_a_stream_that_begins_with_unusable_rows_only_is_not_read_on(tmp_path: Path) -> None:
    row = _row(0) | {"mask": _png(_pixels(0))}
    root = _parquet(tmp_path / "data", [row] * 25)
    assert "none of the first 20 rows can be used; the rest is not read: " in _refused(root, streaming=True)
    assert len(_errors(root)) == 25


@pytest.mark.parametrize("path", ["../secret.png", "{folder}/secret.png", "http://127.0.0.1:9/a.png", "gone.png"])
def test_a_row_cannot_have_other_files_read(tmp_path: Path, path: str) -> None:
    Image.fromarray(_pixels(0)).save(tmp_path / "secret.png")
    row = _row(0) | {"image": {"bytes": None, "path": path.format(folder=tmp_path)}}
    [error] = _errors(_parquet(tmp_path / "data", [row]))
    assert "cannot be read" in error if path == "gone.png" else "not of the data set, so it is not read" in error


def test_unusable_rows_fail_the_run_or_are_skipped_by_name(tmp_path: Path) -> None:
    source = _source(_parquet(tmp_path / "data", _broken("image", None)))
    made = {"settings": {}, "cache": tmp_path / "cache", "console": Console(quiet=True)}
    with pytest.raises(DataError, match=r"1 image cannot be used:\n .* train row 1, image: holds no image"):
        open_or_make(source, **made)
    store = open_or_make(source, **made, on_error="skip")
    assert (store.facts.samples, len(store.facts.skipped)) == (2, 1)
    with pytest.raises(DataError, match="1 image cannot be used"):
        open_or_make(source, **made)


def test_the_hub_out_of_reach_is_one_clear_error(tmp_path: Path) -> None:
    message = _refused(Path("owner/name"))
    assert "data.root 'owner/name': is no folder here (looked from " in message
    assert "the Hub cannot be reached" in message and "set data.root to a local copy" in message
    assert "and no Hub id (owner/name)" in _refused(tmp_path / "gone")


def test_a_folder_without_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "data.py").write_text("raise SystemExit", encoding="utf-8")
    assert "cannot be read by datasets" in _refused(tmp_path / "data")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    root = _parquet(tmp_path / "data", [_row(0)])
    content = (root / "train.parquet").read_bytes()
    (root / "train.parquet").write_bytes(content[: len(content) // 2])
    for streaming in (False, True):
        assert "cannot be read" in _refused(root, streaming=streaming)


def test_the_id_may_be_a_field_of_a_column(tmp_path: Path) -> None:
    features = Features({"image": datasets.Image(), "mask": datasets.Image(), "about": {"id": Value("string")}})
    rows = [{"image": _png(_pixels(0)), "mask": _png(_label_map()), "about": {"id": name}} for name in "ab"]
    (tmp_path / "data").mkdir()
    pq.write_table(pa.Table.from_pylist(rows, schema=features.arrow_schema), tmp_path / "data" / "train.parquet")
    assert [sample.sample_id for sample in _samples(tmp_path / "data", id_column="about.id")] == ["train/a", "train/b"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"label_kind": "classes"}, "label_kind classes needs labels"),
        ({"labels": {"a": 1}}, "labels is read with label_kind classes only"),
        ({"label_kind": "classes", "labels": {"a": 1}, "category_column": "kind"}, "label_kind instances only"),
        ({"splits": ["train", "train"]}, "splits names one twice: train, train"),
        ({"splits": []}, "at least 1 item"),
        ({"trust_remote_code": True}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        HubData(kind="hub", root="owner/name", **changes)


def test_what_groups_rows_is_known_by_its_keys() -> None:
    settings = HubData(kind="hub", root="owner/name", group_column="slide")
    assert group_rule(settings) == {"data.group_column": "slide", "data.id_column": None}
    assert group_rule(FolderData(kind="folder", root="x", group_pattern="(a)")) == {"data.group_pattern": "(a)"}


def test_blocks_of_another_size_are_another_rule() -> None:
    """The name of a block says nothing of its size: it would be taken for the place that a run was trained on."""
    first, second = (SatelliteData(kind="satellite", root="x", split_by="block", block_size=s) for s in (1024, 2048))
    assert group_rule(first) != group_rule(second)
    unread = [SatelliteData(kind="satellite", root="x", block_size=size) for size in (1024, 2048)]
    assert group_rule(unread[0]) == group_rule(unread[1])
