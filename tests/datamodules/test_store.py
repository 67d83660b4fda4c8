"""A store is made once, whole or not at all, and gives back every bit."""

import io
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from rich.console import Console
from torch.utils.data import DataLoader, Dataset

from adapt.datamodules import Case, Source, Store
from adapt.datamodules import store as store_module
from adapt.datamodules.store import open_or_make
from adapt.errors import DataError
from adapt.samples import Sample

SETTINGS: dict[str, object] = {"plane": "axial"}
QUIET = Console(file=io.StringIO())


def _sample(name: str, *, grey: bool, seed: int = 0, shape: tuple[int, int] = (13, 17)) -> Sample:
    random = np.random.default_rng(seed)
    image = random.integers(0, 256, (*shape, 3), dtype=np.uint8)
    if grey:
        image = np.repeat(image[..., :1], 3, axis=2)
    masks = random.random((2, *shape)) > 0.5
    masks[:, 0, 0] = True  # never empty
    return Sample(
        image=image,
        masks=masks,
        categories=("liver", "spleen"),
        group=name[:2],
        spacing=(2.5, 0.1 + 0.2),
        spacing_unit="mm",
        sample_id=name,
        source=f"/scans/{name}.nii.gz",
        cut=(True, False) if grey else (),
        slice_of=(name[:2], seed, 0.1 + 0.7 if seed else None) if grey else None,
        tracks=(300, 2**40) if grey else (),
    )


def _assert_same(one: Sample, other: Sample) -> None:
    np.testing.assert_array_equal(one.image, other.image)
    np.testing.assert_array_equal(one.masks, other.masks)
    assert one.image.dtype == other.image.dtype
    assert one.masks.dtype == other.masks.dtype
    for name in ("categories", "group", "spacing", "spacing_unit", "sample_id", "source", "cut", "slice_of", "tracks"):
        assert getattr(one, name) == getattr(other, name), name


class Counted:
    """Cases, and how often they were read."""

    def __init__(self, folder: Path, samples: list[Sample]) -> None:
        self.reads = 0
        self.file = folder / "input.bin"
        self.file.write_bytes(b"scan")
        self._samples = samples

    def _read(self, sample: Sample) -> Case:
        self.reads += 1
        return Case(samples=[sample], empty_images=2, small_objects=3)

    @property
    def source(self) -> Source:
        return Source(inputs=[self.file], cases=[partial(self._read, sample) for sample in self._samples])


def _open(source: Source, cache: Path, settings: dict[str, object] = SETTINGS) -> Store:
    return open_or_make(source, settings=settings, cache=cache, console=QUIET)


@pytest.fixture
def counted(tmp_path: Path) -> Counted:
    return Counted(tmp_path, [_sample("p1/0", grey=True), _sample("p2/0", grey=False, seed=1)])


def _refuse(message: str) -> Case:
    raise DataError(message)


def _interrupt() -> Case:
    raise KeyboardInterrupt


def _left_in(cache: Path) -> list[str]:
    """Of stores; the files that are locked stay, and are empty."""
    return [str(path.relative_to(cache)) for path in (cache / "stores").rglob("*")]


@pytest.mark.parametrize("grey", [True, False])
@pytest.mark.parametrize("shape", [(13, 17), (1, 1), (300, 2)])
def test_samples_come_back_bit_for_bit(tmp_path: Path, grey: bool, shape: tuple[int, int]) -> None:
    samples = [_sample(f"p{index}/0", grey=grey, seed=index, shape=shape) for index in range(3)]
    store = _open(Counted(tmp_path, samples).source, tmp_path / "cache")
    for index, sample in enumerate(samples):
        _assert_same(store.sample(index), sample)


def test_grey_is_stored_as_one_channel(tmp_path: Path, counted: Counted) -> None:
    store = _open(counted.source, tmp_path / "cache")
    assert store.rows["channels"][:] == [1, 3]
    assert [len(image) for image in store.rows["image"][:]] == [13 * 17, 13 * 17 * 3]


def test_facts_count_what_is_there_and_what_was_left_out(tmp_path: Path, counted: Counted) -> None:
    store = _open(counted.source, tmp_path / "cache")
    facts = store.facts
    assert (facts.samples, facts.objects, facts.empty_images, facts.small_objects) == (2, 4, 4, 6)
    assert facts.cut_objects == 1
    assert store.groups == ("p1", "p2")


def test_the_second_opening_reads_no_case(tmp_path: Path, counted: Counted) -> None:
    first = _open(counted.source, tmp_path / "cache")
    second = _open(counted.source, tmp_path / "cache")
    assert counted.reads == 2
    assert second.folder == first.folder
    assert second.facts == first.facts
    _assert_same(second.sample(1), first.sample(1))


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.write_bytes(b"longer"),
        lambda file: os.utime(file, ns=(0, file.stat().st_mtime_ns + 1_000_000)),
    ],
    ids=["size", "time"],
)
def test_a_changed_input_makes_a_new_store(tmp_path: Path, counted: Counted, change: Callable[[Path], object]) -> None:
    first = _open(counted.source, tmp_path / "cache")
    change(counted.file)
    second = _open(counted.source, tmp_path / "cache")
    assert counted.reads == 4
    assert second.folder != first.folder


def test_other_settings_make_another_store_and_leave_the_first(tmp_path: Path, counted: Counted) -> None:
    first = _open(counted.source, tmp_path / "cache")
    assert _open(counted.source, tmp_path / "cache", {"plane": "coronal"}).folder != first.folder
    _open(counted.source, tmp_path / "cache")
    assert counted.reads == 4


def test_another_version_makes_a_new_store(tmp_path: Path, counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _open(counted.source, tmp_path / "cache")
    monkeypatch.setattr(store_module, "VERSION", store_module.VERSION + 1)
    assert _open(counted.source, tmp_path / "cache").folder != first.folder


def _truncate(folder: Path) -> None:
    os.truncate(folder / "data.arrow", 40)


def _forget_facts(folder: Path) -> None:
    (folder / "facts.json").unlink()


def _garble_facts(folder: Path) -> None:
    (folder / "facts.json").write_text('{"samples": 2}')


def _lose_data(folder: Path) -> None:
    (folder / "data.arrow").unlink()


def _garble_data(folder: Path) -> None:
    data = folder / "data.arrow"
    data.write_bytes(b"\xff" * data.stat().st_size)


@pytest.mark.parametrize("damage", [_truncate, _forget_facts, _garble_facts, _lose_data, _garble_data])
def test_a_damaged_store_is_made_again(tmp_path: Path, counted: Counted, damage: Callable[[Path], None]) -> None:
    first = _open(counted.source, tmp_path / "cache")
    expected, folder = first.sample(1), first.folder
    del first  # it maps the file
    damage(folder)
    again = _open(counted.source, tmp_path / "cache")
    assert counted.reads == 4
    _assert_same(again.sample(1), expected)
    _open(counted.source, tmp_path / "cache")
    assert counted.reads == 4  # mended, not made anew each time


def test_every_bad_case_is_told_at_once(tmp_path: Path) -> None:
    good = Case(samples=[_sample("p1/0", grey=True)], empty_images=0, small_objects=0)
    cases = [partial(_refuse, "a.nii: NaN"), lambda: good, partial(_refuse, "b.nii: no label")]
    with pytest.raises(DataError) as caught:
        _open(Source(inputs=[], cases=cases), tmp_path / "cache")
    assert str(caught.value) == "2 of 3 cases cannot be used:\n  a.nii: NaN\n  b.nii: no label"


def test_bad_cases_can_be_skipped_and_are_remembered(tmp_path: Path) -> None:
    good = Case(samples=[_sample("p1/0", grey=True)], empty_images=0, small_objects=0)
    cases = [partial(_refuse, "a.nii: NaN"), lambda: good, partial(_refuse, "b.nii: no label")]
    for _ in range(2):  # made, then opened
        store = open_or_make(
            Source(inputs=[], cases=cases), settings=SETTINGS, cache=tmp_path / "cache", console=QUIET, on_error="skip"
        )
        assert store.facts.skipped == ["a.nii: NaN", "b.nii: no label"]
        assert len(store.rows) == 1


def test_skipping_everything_leaves_no_data(tmp_path: Path) -> None:
    source = Source(inputs=[], cases=[partial(_refuse, "a.nii: NaN")])
    with pytest.raises(DataError, match="no image with an object was found"):
        open_or_make(source, settings={}, cache=tmp_path / "cache", console=QUIET, on_error="skip")


def test_many_cases_of_one_reason_are_told_once(tmp_path: Path) -> None:
    cases = [partial(_refuse, f"/masks/{index}.png: {index + 2} colours; export indices") for index in range(30)]
    with pytest.raises(DataError) as caught:
        _open(Source(inputs=[], cases=[*cases, partial(_refuse, "/masks/z.png: no such file")]), tmp_path / "cache")
    names = ", ".join(f"/masks/{index}.png" for index in range(1, 6))
    assert str(caught.value) == (
        "31 of 31 cases cannot be used:\n"
        f"  /masks/0.png: 2 colours; export indices (likewise 29 others: {names} and 24 more)\n"
        "  /masks/z.png: no such file"
    )


def test_a_long_list_of_bad_cases_is_shortened(tmp_path: Path) -> None:
    cases = [partial(_refuse, f"case {index}") for index in range(25)]
    with pytest.raises(DataError) as caught:
        _open(Source(inputs=[], cases=cases), tmp_path / "cache")
    assert "  case 19\n  and 5 more" in str(caught.value)
    assert "case 20" not in str(caught.value)


@pytest.mark.parametrize(
    ("small", "hint"),
    [(0, " All were read, but no label has an object"), (7, " 7 objects smaller than data.min_object_pixels")],
)
def test_data_without_an_object_is_refused(tmp_path: Path, small: int, hint: str) -> None:
    source = Source(inputs=[], cases=[lambda: Case(samples=[], empty_images=4, small_objects=small)])
    with pytest.raises(DataError, match=rf"no image with an object was found in 1 case\.{hint}"):
        _open(source, tmp_path / "cache")


@pytest.mark.parametrize(
    ("case", "error"), [(partial(_refuse, "bad"), DataError), (_interrupt, KeyboardInterrupt)], ids=["error", "ctrl-c"]
)
def test_what_is_prepared_is_kept_when_making_stops(
    tmp_path: Path, counted: Counted, case: Callable[[], Case], error: type[BaseException]
) -> None:
    cases = counted.source.cases
    for _ in range(2):
        with pytest.raises(error):
            _open(Source(inputs=[], cases=[*cases, case]), tmp_path / "cache")
        assert counted.reads == 2
        assert not list((tmp_path / "cache").rglob("*/.*"))  # nothing half written
    mended = _open(Source(inputs=[], cases=[*cases, cases[0]]), tmp_path / "cache")
    assert (counted.reads, len(mended.rows)) == (3, 3)
    assert [path.name for path in (tmp_path / "cache" / "stores").iterdir()] == [mended.folder.name]


def test_a_store_made_without_some_cases_is_no_store_for_who_wants_all(tmp_path: Path) -> None:
    good = Case(samples=[_sample("p1/0", grey=True)])
    source = Source(inputs=[], cases=[partial(_refuse, "a.nii: NaN"), lambda: good])
    open_or_make(source, settings={}, cache=tmp_path, console=QUIET, on_error="skip")
    with pytest.raises(DataError, match=r"a\.nii: NaN"):
        open_or_make(source, settings={}, cache=tmp_path, console=QUIET)
    mended = Source(inputs=[], cases=[lambda: good, lambda: good])
    assert len(open_or_make(mended, settings={}, cache=tmp_path, console=QUIET).rows) == 2


def test_another_version_of_the_data_makes_a_new_store(tmp_path: Path, counted: Counted) -> None:
    first = _open(counted.source, tmp_path / "cache")
    assert _open(replace(counted.source, version="abc"), tmp_path / "cache").folder != first.folder


def test_nothing_but_the_store_is_left_when_making_succeeds(tmp_path: Path, counted: Counted) -> None:
    folder = _open(counted.source, tmp_path / "cache").folder.relative_to(tmp_path / "cache")
    assert sorted(_left_in(tmp_path / "cache")) == [str(folder), f"{folder}/data.arrow", f"{folder}/facts.json"]


def test_a_cache_that_cannot_be_written_is_told_with_the_setting(tmp_path: Path, counted: Counted) -> None:
    (tmp_path / "file").write_text("in the way")  # a missing right would not stop root, a file does
    with pytest.raises(DataError, match=r"cache folder .*file/cache cannot be written .*set cache=/another/folder"):
        _open(counted.source, tmp_path / "file" / "cache")
    assert counted.reads == 0  # told before an hour of reading


def test_an_input_that_comes_back_makes_a_new_store(tmp_path: Path, counted: Counted) -> None:
    # A link to a disk that is not mounted is listed in the folder, and cannot be read: its case says so.
    (tmp_path / "link.nii").symlink_to(tmp_path / "unmounted.nii")
    source = Source(inputs=[counted.file, tmp_path / "link.nii"], cases=counted.source.cases)
    first = _open(source, tmp_path / "cache")
    (tmp_path / "unmounted.nii").write_bytes(b"scan")
    assert _open(source, tmp_path / "cache").folder != first.folder


def test_an_error_of_several_cases_is_told_once(tmp_path: Path) -> None:
    cases = [partial(_refuse, "scene.tif: cut short"), partial(_refuse, "scene.tif: cut short")]
    with pytest.raises(DataError) as caught:
        _open(Source(inputs=[], cases=cases), tmp_path / "cache")
    assert str(caught.value).count("scene.tif") == 1


def test_colleagues_can_read_a_shared_cache(tmp_path: Path, counted: Counted) -> None:
    mask = os.umask(0o022)
    try:
        folder = _open(counted.source, tmp_path / "cache").folder
    finally:
        os.umask(mask)
    assert folder.stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}


def test_any_row_can_be_read_at_any_time(tmp_path: Path) -> None:
    samples = [_sample(f"p{index}/0", grey=index % 2 == 0, seed=index, shape=(5, 6 + index)) for index in range(4)]
    store = _open(Counted(tmp_path, samples).source, tmp_path / "cache")
    for index in (3, 0, 3, 1, 2, 0):
        _assert_same(store.sample(index), samples[index])


def test_a_pickled_store_is_its_folder(tmp_path: Path, counted: Counted) -> None:
    store = _open(counted.source, tmp_path / "cache")
    pickled = pickle.dumps(store)
    assert len(pickled) < 1000  # no row goes through the pipe to a worker
    again = pickle.loads(pickled)
    assert (again.facts, again.groups, again.folder) == (store.facts, store.groups, store.folder)
    _assert_same(again.sample(1), store.sample(1))


def test_only_the_chosen_objects_are_read(tmp_path: Path, counted: Counted) -> None:
    store = _open(counted.source, tmp_path / "cache")
    whole = store.sample(0)
    asked: list[tuple[str, int]] = []

    def choose(sample_id: str, count: int) -> npt.NDArray[np.int64]:
        asked.append((sample_id, count))
        return np.array([1])

    part = store.sample(0, choose=choose)
    assert asked == [("p1/0", 2)]
    np.testing.assert_array_equal(part.masks, whole.masks[1:])
    assert (part.categories, part.cut) == (("spleen",), (False,))


class Rows(Dataset[torch.Tensor]):
    def __init__(self, store: Store) -> None:
        self._store = store

    def __len__(self) -> int:
        return len(self._store.rows)

    def __getitem__(self, index: int) -> torch.Tensor:
        sample = self._store.sample(index)
        return torch.from_numpy(np.concatenate([sample.image.reshape(-1), sample.masks.reshape(-1).astype(np.uint8)]))


def test_workers_read_the_same_mapped_rows(tmp_path: Path) -> None:
    samples = [_sample(f"p{index}/0", grey=False, seed=index) for index in range(8)]
    rows = Rows(_open(Counted(tmp_path, samples).source, tmp_path / "cache"))
    here = [rows[index] for index in range(len(rows))]
    there = [batch[0] for batch in DataLoader(rows, num_workers=2)]
    assert all(torch.equal(one, other) for one, other in zip(here, there, strict=True))
