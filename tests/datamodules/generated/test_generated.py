"""Generated data sets are written once, whole or not at all."""

from pathlib import Path

import pytest

from adapt.datamodules import generated
from adapt.datamodules.generated import Generated, generated_folder
from adapt.errors import DataError


def _register(monkeypatch: pytest.MonkeyPatch, data: Generated) -> None:
    monkeypatch.setitem(generated.GENERATED, "adapt:dots", data)


def test_the_second_call_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def write(folder: Path) -> None:
        calls.append(folder)
        (folder / "dot.txt").write_text(".")

    _register(monkeypatch, Generated("folder", 1, write))
    folders = {generated_folder("adapt:dots", kind="folder", cache=tmp_path) for _ in range(2)}
    assert len(calls) == len(folders) == 1
    assert [path.name for path in (tmp_path / "generated").rglob("*")] == ["dots_v1", "dot.txt"]


def test_another_version_is_written_beside_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in (1, 2):
        _register(monkeypatch, Generated("folder", version, lambda folder: None))
        generated_folder("adapt:dots", kind="folder", cache=tmp_path)
    assert sorted(path.name for path in (tmp_path / "generated").iterdir()) == ["dots_v1", "dots_v2"]


def test_an_interrupted_call_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(folder: Path) -> None:
        (folder / "images").mkdir()
        raise KeyboardInterrupt

    _register(monkeypatch, Generated("folder", 1, stop))
    with pytest.raises(KeyboardInterrupt):
        generated_folder("adapt:dots", kind="folder", cache=tmp_path)
    assert list((tmp_path / "generated").iterdir()) == []


def test_an_unknown_name_or_another_kind_is_told_with_the_known_ones(tmp_path: Path) -> None:
    for kind, name in (("medical", "adapt:mr_phantom"), ("folder", "adapt:ct_phantom")):
        with pytest.raises(DataError) as caught:
            generated_folder(name, kind=kind, cache=tmp_path)
        assert f"data.root {name!r}: generated data of kind {kind}: " in str(caught.value)


def test_a_cache_that_cannot_be_written_is_told_with_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cache=/another/folder"):
        generated_folder("adapt:ct_phantom", kind="medical", cache=tmp_path / "file")
