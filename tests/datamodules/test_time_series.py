"""Time series become frames that know their series, their place in it and their objects' tracks."""

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from rich.console import Console

from adapt.datamodules import split_groups
from adapt.datamodules.clips import ClipData
from adapt.datamodules.epoch_sampler import Key
from adapt.datamodules.microscopy import microscopy_source, read_label_maps
from adapt.datamodules.store import open_or_make
from adapt.errors import DataError, RecipeError
from adapt.formats.ome_zarr_writer import Version, write_ome_zarr
from adapt.frames import masks_to_model_frame
from adapt.recipe import MicroscopyData, SplitSettings, find_recipe, load_recipe
from adapt.samples import Batch, Sample
from adapt.segmenters import SegmenterSpec

FRAMES, HEIGHT, WIDTH = 5, 40, 60
SERIES = np.random.default_rng(0).integers(100, 4000, (FRAMES, HEIGHT, WIDTH), dtype=np.uint16)


def tracks() -> npt.NDArray[np.uint16]:
    """(T, H, W): 3 moves right, 8 is gone in the last two frames, 300 comes in the third."""
    labels = np.zeros(SERIES.shape, dtype=np.uint16)
    for time in range(FRAMES):
        labels[time, 5:15, 4 + 3 * time : 16 + 3 * time] = 3
        if time < 3:
            labels[time, 25:35, 10:20] = 8
        if time >= 2:
            labels[time, 25:35, 40:50] = 300
    return labels


def write(path: Path, values: npt.NDArray[Any], *, axes: str = "TYX", **how: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, values, **({"photometric": "minisblack", "metadata": {"axes": axes}} | how))
    return path


def pair(root: Path, *, name: str = "a", labels: npt.NDArray[Any] | None = None, **how: object) -> None:
    write(root / "images" / f"{name}.tif", SERIES, **how)
    write(root / "labels" / f"{name}.tif", tracks() if labels is None else labels)


def settings(root: Path, **changes: object) -> MicroscopyData:
    return MicroscopyData(kind="microscopy", root=str(root), **({"min_object_pixels": 1, "time": "all"} | changes))


def read(root: Path, **changes: object) -> list[Sample]:
    return [s for case in microscopy_source(settings(root, **changes), root).cases for s in case().samples]


def refused(root: Path, **changes: object) -> str:
    with pytest.raises(DataError) as caught:
        read(root, **changes)
    return str(caught.value)


def places(samples: list[Sample]) -> list[tuple[str, int]]:
    assert all(sample.slice_of is not None and sample.slice_of[2] is None for sample in samples)
    return [sample.slice_of[:2] for sample in samples if sample.slice_of is not None]


@pytest.mark.parametrize("how", [{}, {"ome": True}, {"imagej": True}])
def test_each_frame_of_a_tiff_knows_its_place_and_its_tracks(tmp_path: Path, how: dict[str, Any]) -> None:
    pair(tmp_path, **how)
    samples = read(tmp_path)
    assert [sample.sample_id for sample in samples] == [f"a/t{time:04d}" for time in range(FRAMES)]
    assert places(samples) == [("a", time) for time in range(FRAMES)]
    assert {sample.group for sample in samples} == {"a"}
    assert [sample.tracks for sample in samples] == [(3, 8), (3, 8), (3, 8, 300), (3, 300), (3, 300)]
    low, high = np.percentile(SERIES, [0.5, 99.5])
    for time, sample in enumerate(samples):
        for mask, track in zip(sample.masks, sample.tracks, strict=True):
            np.testing.assert_array_equal(mask, tracks()[time] == track)
        expected = np.clip((SERIES[time] - low) / (high - low) * 255, 0, 255)  # one range for the whole series
        np.testing.assert_allclose(sample.image[..., 0], expected, atol=0.51)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_frames_of_ome_zarr_are_read_with_the_labels_inside(tmp_path: Path, version: Version) -> None:
    (tmp_path / "images").mkdir()
    write_ome_zarr(
        tmp_path / "images" / "a.ome.zarr",
        np.stack([SERIES, SERIES[::-1]], axis=1)[:, :, None],
        axes="TCZYX",
        pixel_size=(0.7, 0.65),
        channel_names=("H2B", "GFP"),
        labels={"cells": tracks()[:, None]},
        version=version,
    )
    samples = read(tmp_path, label_name="cells", channels=["H2B"])
    assert places(samples) == [("a", time) for time in range(FRAMES)]
    assert [sample.tracks for sample in samples] == [(3, 8), (3, 8), (3, 8, 300), (3, 300), (3, 300)]


def test_of_volumes_over_time_a_plane_or_the_projection_is_followed(tmp_path: Path) -> None:
    deep = np.stack([SERIES, SERIES[:, ::-1]], axis=1)
    write(tmp_path / "images" / "a.tif", deep, axes="TZYX")
    write(tmp_path / "labels" / "a.tif", np.stack([tracks(), tracks()[:, ::-1]], axis=1), axes="TZYX")
    samples = read(tmp_path, z=1)
    np.testing.assert_array_equal(samples[3].masks[1], tracks()[3, ::-1] == 300)
    assert "data.z=0 to 1, or data.z=all" in refused(tmp_path)
    assert "has labels of 2 planes, but data.z=max" in refused(tmp_path, z="max")
    write(tmp_path / "labels" / "a.tif", tracks())
    greatest, wide = read(tmp_path, z="max"), {"kind": "percentile", "low": 0, "high": 100}
    assert places(greatest) == [("a", time) for time in range(FRAMES)]
    whole = read(tmp_path, z="max", intensity=wide)[2].image[..., 0]
    low, high = deep.max(1).min(), deep.max(1).max()
    np.testing.assert_allclose(whole, (deep.max(1)[2] - float(low)) / (high - low) * 255, atol=0.51)


def test_planes_of_a_stack_have_an_order_and_tracks_as_well(tmp_path: Path) -> None:
    write(tmp_path / "images" / "a.tif", SERIES, axes="ZYX")
    write(tmp_path / "labels" / "a.tif", tracks(), axes="ZYX")
    samples = read(tmp_path, time=None, z="all")
    assert places(samples) == [("a", place) for place in range(FRAMES)]
    assert samples[4].tracks == (3, 300)
    [alone] = read(tmp_path, time=None, z=2)
    assert alone.slice_of is None and alone.tracks == ()


def test_labels_numbered_anew_in_each_frame_are_linked_by_overlap(tmp_path: Path) -> None:
    anew = tracks()
    for time in range(FRAMES):
        values = np.unique(anew[time])
        anew[time] = np.searchsorted(values, anew[time]) if time % 2 else (5 - np.searchsorted(values, anew[time])) % 5
    pair(tmp_path, labels=anew)
    by_value, by_overlap = read(tmp_path), read(tmp_path, tracks="overlap")
    moving = [
        [sample.tracks[int(sample.masks[:, 10, :].any(1).argmax())] for sample in of] for of in (by_value, by_overlap)
    ]
    assert len(set(moving[0])) > 1 and len(set(moving[1])) == 1
    assert [len(set(sample.tracks)) for sample in by_overlap] == [2, 2, 3, 2, 2]
    maps = read_label_maps(
        tmp_path / "images" / "a.tif", tmp_path / "labels" / "a.tif", settings(tmp_path, tracks="overlap")
    )
    for time, sample in enumerate(by_overlap):
        for mask, track in zip(sample.masks, sample.tracks, strict=True):
            np.testing.assert_array_equal(maps[time] == track, mask)


def test_an_object_below_the_least_size_in_one_frame_is_the_same_again_in_the_next(tmp_path: Path) -> None:
    labels = tracks()
    labels[2][labels[2] == 3] = 0
    labels[2, 5:7, 13:15] = 3
    pair(tmp_path, labels=labels)
    samples = read(tmp_path, min_object_pixels=10, tracks="overlap")
    (before,), (after,) = ({s.tracks[0]} for s in (samples[1], samples[3]))
    assert before == after and before not in samples[2].tracks


def test_each_tile_of_a_series_is_a_series_with_the_same_tracks(tmp_path: Path) -> None:
    pair(tmp_path)
    samples = read(tmp_path, tile_size=40, tile_overlap=10)
    assert {sample.group for sample in samples} == {"a"}
    left = [sample for sample in samples if sample.sample_id.endswith("x00000")]
    assert places(left) == [("a/y00000_x00000", time) for time in range(FRAMES)]
    assert [sample.tracks for sample in left] == [(3, 8), (3, 8), (3, 8), (3,), (3,)]  # 300 is in the other tile alone
    assert left[2].sample_id == "a/t0002/y00000_x00000"


def test_a_series_is_never_split_but_by_blocks_if_asked(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        pair(tmp_path, name=name)
    splits = split_groups([sample.group for sample in read(tmp_path)], SplitSettings(), seed=0)
    assert sorted((*splits.train, *splits.validation, *splits.test)) == ["a", "b", "c"]
    blocks = {s.sample_id: s.group for s in read(tmp_path, split_by="block", block_planes=2) if s.group[0] == "a"}
    assert blocks == {f"a/t000{time}": f"a/block_00{time // 3}" for time in (0, 1, 3, 4)}


def test_an_image_without_time_is_refused_with_the_remedy(tmp_path: Path) -> None:
    write(tmp_path / "images" / "a.tif", SERIES, axes="ZYX")
    write(tmp_path / "labels" / "a.tif", tracks(), axes="ZYX")
    told = refused(tmp_path)
    assert "has no time axis (its axes are ZYX (5, 40, 60)), but data.time=all reads frames" in told
    assert "such as data.axes=TYX" in told
    assert len(read(tmp_path, axes="TYX")) == FRAMES


def test_missing_frames_are_refused(tmp_path: Path) -> None:
    pair(tmp_path, labels=tracks()[:4])
    assert "lengths along T differ: image 5, label 4" in refused(tmp_path)
    pair(tmp_path, labels=tracks()[0])
    write(tmp_path / "labels" / "a.tif", tracks()[0], axes="YX")
    assert "has labels of one frame, but data.time=all reads 5; label all, or set data.time" in refused(tmp_path)
    pair(tmp_path)
    path = tmp_path / "images" / "a.tif"
    path.write_bytes(path.read_bytes()[:-3000])
    assert "a.tif" in refused(tmp_path)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (["data.time=all", "data.z=all"], "with time all, z is a plane or max"),
        (["data.tracks=overlap"], "tracks overlap links frames or planes, so time or z must be all"),
        (["data.time=each"], "data.time"),
    ],
)
def test_a_recipe_that_means_nothing_is_refused(changes: list[str], fault: str) -> None:
    with pytest.raises(RecipeError, match=fault):
        load_recipe(find_recipe("microscopy_nuclei"), changes)


def clip(root: Path, cache: Path, **changes: object) -> list[Batch]:
    """The frames of the only clip, with all objects of its first one."""
    source = microscopy_source(settings(root, **changes), root)
    store = open_or_make(source, settings={}, cache=cache, console=Console(file=io.StringIO()))
    spec = SegmenterSpec(64, 16, (100.0,) * 3, (50.0,) * 3, candidates=3, fit="pad")
    clips = ClipData(store, spec, length=FRAMES, by_category=False, objects=9, seed=0)
    assert clips.starts(range(FRAMES)) == [0]
    return clips.samples(augmentation=None, features=None)[Key(0, 0)]


def test_a_clip_follows_tracks_by_value_or_by_overlap(tmp_path: Path) -> None:
    pair(tmp_path / "tracks")
    renumbered = np.stack([np.where(labels > 0, labels + 7 * time, 0) for time, labels in enumerate(tracks())])
    pair(tmp_path / "anew", labels=renumbered)
    by_value = clip(tmp_path / "tracks", tmp_path / "cache")
    by_overlap = clip(tmp_path / "anew", tmp_path / "cache", tracks="overlap")
    for time, (one, other) in enumerate(zip(by_value, by_overlap, strict=True)):
        for place, track in enumerate((3, 8)):
            shown = masks_to_model_frame((tracks()[time] == track)[None], size=64, fit="pad")[0]
            np.testing.assert_array_equal(one.masks[0, place].numpy(), shown)
        assert bool((one.masks == other.masks).all()) and bool(one.object_valid.all())


def test_what_the_page_says_makes_series_of_the_cell_tracking_challenge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for series in ("01", "02"):
        for time in range(FRAMES):
            write(tmp_path / series / f"t{time:03d}.tif", SERIES[time], axes="YX")
            write(tmp_path / f"{series}_GT" / "TRA" / f"man_track{time:03d}.tif", tracks()[time], axes="YX")
    page = Path(__file__).parents[2] / "docs" / "volumes-as-video.md"
    (program,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(program, {})
    samples = read(tmp_path / "films", label_folder="tracks")
    assert places(samples) == [(series, time) for series in ("01", "02") for time in range(FRAMES)]
    np.testing.assert_array_equal(samples[2].masks[2], tracks()[2] == 300)
