"""Clips: slices in their order, objects that stay themselves, and what is drawn is drawn again."""

import io
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from rich.console import Console

from adapt.datamodules import Case, SegmentationDataModule, Source, Splits, Store
from adapt.datamodules.clips import ClipData, continued, runs_of
from adapt.datamodules.epoch_sampler import Key
from adapt.datamodules.store import open_or_make
from adapt.datamodules.transforms import Augmentation
from adapt.errors import DataError
from adapt.recipe import AugmentSettings, TrainerSettings
from adapt.samples import Batch, Sample
from adapt.segmenters import SegmenterSpec

SIDE = 64
SPEC = SegmenterSpec(SIDE, 16, (100.0,) * 3, (50.0,) * 3, candidates=3, fit="stretch")
TURNED = Augmentation(AugmentSettings(rotate=1.0, scale=1.0, horizontal_flip=0.5))


def square(left: int, *, side: int = 8) -> npt.NDArray[np.bool_]:
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[20 : 20 + side, left : left + side] = True
    return mask


def slice_at(index: int, objects: Sequence[tuple[str, int]], *, volume: str = "p0") -> Sample:
    """Squares, each with a name and a column; the slice's grey value is its index."""
    image = np.full((SIDE, SIDE, 3), index, dtype=np.uint8)
    masks = np.stack([square(left) for _, left in objects])
    names = tuple(name for name, _ in objects)
    return Sample(
        image, masks, names, volume, (1.0, 1.0), "mm", f"{volume}/{index:04d}", "p.nii", slice_of=(volume, index, 1.0)
    )


def store_of(folder: Path, samples: Sequence[Sample]) -> Store:
    source = Source(inputs=[], cases=[lambda: Case(samples=list(samples), empty_images=0, small_objects=0)])
    return open_or_make(source, settings={}, cache=folder, console=Console(file=io.StringIO()))


def volume(indices: Sequence[int], *, name: str = "p0") -> list[Sample]:
    """A rod that moves two columns a slice, and one that is there in the first two slices alone."""
    short = set(sorted(indices)[:2])
    return [
        slice_at(index, [("rod", 4 + 2 * index), *([("end", 48)] if index in short else [])], volume=name)
        for index in indices
    ]


def clips_of(store: Store, *, length: int = 4, by_category: bool = False) -> ClipData:
    return ClipData(store, SPEC, length=length, by_category=by_category, objects=4, seed=0)


def grey(frame: Batch) -> int:
    """The index of a frame's slice, from its pixels."""
    return round(float(frame.images[0, 0, 0, 0]) * 50 + 100)


def test_slices_follow_one_another_within_a_volume_and_up_to_a_gap(tmp_path: Path) -> None:
    store = store_of(tmp_path, [*volume([3, 0, 1, 2, 6, 7]), *volume([8, 9], name="p1")])
    greys = [[int(store.sample(row).image[0, 0, 0]) for row in run] for run in runs_of(store)]
    assert greys == [[0, 1, 2, 3], [6, 7], [8, 9]]


def test_an_epoch_has_a_clip_for_each_block_of_a_run(tmp_path: Path) -> None:
    store = store_of(tmp_path, volume([*range(10), 20]))
    assert clips_of(store).starts(list(range(11))) == [0, 4, 8]  # a single slice is no clip


def test_without_augmentation_a_clip_is_its_block_and_a_short_one_ends_with_frames_that_do_not_count(
    tmp_path: Path,
) -> None:
    samples = clips_of(store_of(tmp_path, volume(range(6)))).samples(augmentation=None, features=None)
    assert [grey(frame) for frame in samples[Key(0, 0)]] == [0, 1, 2, 3]
    short = samples[Key(3, 4)]
    assert [grey(frame) for frame in short] == [4, 5, 5, 5]
    assert [bool(frame.counted) for frame in short] == [True, True, False, False]


def test_the_objects_of_the_first_frame_are_the_same_in_all_and_may_be_empty(tmp_path: Path) -> None:
    samples = clips_of(store_of(tmp_path, volume(range(4)))).samples(augmentation=None, features=None)
    clip = samples[Key(0, 0)]
    assert clip[0].categories == (("rod", "end"),)
    assert [frame.object_valid.tolist() for frame in clip] == [[[True, True]]] * 4
    for index, frame in enumerate(clip):
        assert torch.equal(frame.masks[0, 0], torch.from_numpy(square(4 + 2 * index)))
        assert bool(frame.masks[0, 1].any()) is (index < 2)


def test_an_object_goes_on_as_what_touches_it_or_as_all_of_its_name() -> None:
    first = slice_at(0, [("a", 10), ("a", 40)])
    after = slice_at(1, [("a", 14), ("a", 30), ("b", 12)])
    touching = continued(first.masks, first, after, by_category=False)
    assert (touching[0] == square(14)).all() and not touching[1].any()
    by_name = continued(first.masks, first, after, by_category=True)
    assert (by_name == (square(14) | square(30))).all()


def test_regions_that_touch_by_a_corner_are_one() -> None:
    first, after = slice_at(0, [("a", 10)]), slice_at(1, [("a", 18), ("a", 40)])
    assert (continued(first.masks, first, after, by_category=False)[0] == square(18)).all()


def test_an_object_with_a_track_goes_on_as_its_track_wherever_that_lies_and_comes_back(tmp_path: Path) -> None:
    """Two cells change places; one leaves for a frame. Neither place nor name would tell them apart."""
    first = replace(slice_at(0, [("cell", 4), ("cell", 40)]), tracks=(7, 9))
    changed = replace(slice_at(1, [("cell", 4), ("cell", 40)]), tracks=(9, 7))
    left = replace(slice_at(2, [("cell", 30)]), tracks=(7,))
    samples = clips_of(
        store_of(tmp_path, [first, changed, left, replace(first, sample_id="3", slice_of=("p0", 3, None))])
    )
    clip = samples.samples(augmentation=None, features=None)[Key(0, 0)]
    places = [[mask.any(0).nonzero().flatten().tolist()[:1] for mask in frame.masks[0]] for frame in clip]
    assert places == [[[4], [40]], [[40], [4]], [[30], []], [[4], [40]]]


def test_all_frames_of_a_volume_are_turned_alike_and_otherwise_in_another_epoch(tmp_path: Path) -> None:
    rods = [slice_at(index, [("rod", 20)]) for index in range(8)]
    samples = clips_of(store_of(tmp_path, rods)).samples(augmentation=TURNED, features=None)
    clip, other, later = samples[Key(0, 0)], samples[Key(0, 4)], samples[Key(1, 0)]
    assert all(torch.equal(frame.masks, clip[0].masks) for frame in (*clip, *other))
    assert not torch.equal(clip[0].masks[0, 0], torch.from_numpy(square(20)))
    assert not torch.equal(later[0].masks, clip[0].masks)


def test_in_training_a_clip_lies_elsewhere_in_each_epoch_up_or_down_and_comes_again(tmp_path: Path) -> None:
    store = store_of(tmp_path, volume(range(12)))
    as_it_is = Augmentation(AugmentSettings())
    samples, again = (clips_of(store).samples(augmentation=as_it_is, features=None) for _ in range(2))
    seen = {tuple(grey(frame) for frame in samples[Key(epoch, 4)] if bool(frame.counted)) for epoch in range(12)}
    assert all(4 <= places[0] <= 7 for places in seen)
    steps = {later - earlier for places in seen for earlier, later in pairwise(places)}
    assert steps == {1, -1} and len({places[0] for places in seen}) > 2
    assert [grey(frame) for frame in samples[Key(5, 4)]] == [grey(frame) for frame in again[Key(5, 4)]]


def test_batches_of_clips_have_their_frames_one_behind_the_other(tmp_path: Path) -> None:
    store = store_of(tmp_path, [*volume(range(5)), *volume(range(5), name="p1"), *volume(range(5), name="p2")])
    data = SegmentationDataModule(
        store,
        Splits(train=("p0",), validation=("p1",), test=("p2",)),
        SPEC,
        augmentation=Augmentation(AugmentSettings()),
        settings=TrainerSettings(batch_size=2, workers=0),
        seed=0,
        pin_memory=False,
        clips=clips_of(store),
    )
    (batch,) = data.val_dataloader()
    assert batch.frames == 4 and batch.sample_ids == (*(f"p1/{i:04d}" for i in (0, 1, 2, 3)), *("p1/0004",) * 4)
    assert batch.counted.tolist() == [True] * 5 + [False] * 3
    (train,) = data.train_dataloader()
    assert train.frames == 4 and {name[:2] for name in train.sample_ids} == {"p0"}
    (test,) = [batch for batch in data.test_dataloader() if "p2/0004" in batch.sample_ids]
    assert test.frames == 1  # the evaluation prompts every slice


def test_images_that_are_no_slices_are_refused(tmp_path: Path) -> None:
    images = [replace(sample, slice_of=None) for sample in volume(range(3))]
    with pytest.raises(DataError, match="slices of volumes or frames of time series, in their order"):
        clips_of(store_of(tmp_path, images))


def test_slices_that_never_follow_one_another_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no two slices with an object follow one another"):
        clips_of(store_of(tmp_path, volume([0, 5, 9])))
    apart = store_of(tmp_path / "apart", [*volume([0, 5]), *volume([1, 2], name="p1")])
    with pytest.raises(DataError, match="a split has no two slices that follow one another"):
        clips_of(apart).starts([0, 1])


def test_a_batch_of_half_a_clip_is_refused(tmp_path: Path) -> None:
    samples = clips_of(store_of(tmp_path, volume(range(4)))).samples(augmentation=None, features=None)
    with pytest.raises(DataError, match="no whole clips of 4"):
        replace(samples[Key(0, 0)][0], frames=4)
