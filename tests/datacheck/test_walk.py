"""Summaries of rows against numpy, scipy and the conversion to the model frame itself."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from adapt.datacheck.walk import Row, crops_of, digest, image_of, summarise
from adapt.datamodules.prepare import _row
from adapt.frames import masks_to_model_frame
from adapt.samples import Sample
from adapt.segmenters import SegmenterSpec


def _spec(size: int) -> SegmenterSpec:
    return SegmenterSpec(size, size // 4, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 3, "pad")


def _sample(masks: npt.NDArray[np.bool_], *, seed: int = 0, cut: tuple[bool, ...] = ()) -> Sample:
    return Sample(
        image=np.random.default_rng(seed).integers(0, 256, (*masks.shape[1:], 3), dtype=np.uint8),
        masks=masks,
        categories=tuple(f"c{index}" for index in range(len(masks))),
        group="g",
        spacing=(1.0, 1.0),
        spacing_unit="px",
        sample_id="s",
        source="none",
        cut=cut,
    )


def _rows(seed: int = 0, cut: tuple[bool, ...] = ()) -> tuple[Sample, Row]:
    random = np.random.default_rng(seed)
    masks = random.random((4, 33, 47)) > np.array([0.5, 0.9, 0.98, 0.3])[:, None, None]
    masks[:, 5, 5] = True
    sample = _sample(masks, seed=seed, cut=cut)
    return sample, _row(sample)


@pytest.mark.parametrize("seed", range(5))
def test_objects_are_measured_as_scipy_and_numpy_do(seed: int) -> None:
    sample, row = _rows(seed)
    found = summarise(row, spec=None)
    depth = sample.masks.sum(0)
    for item, mask in zip(found.objects, sample.masks, strict=True):
        assert item.area == mask.sum()
        assert item.pieces == ndimage.label(mask, structure=np.ones((3, 3)))[1]
        [(rows, columns)] = ndimage.find_objects(mask.astype(int))
        assert (item.height, item.width) == (rows.stop - rows.start, columns.stop - columns.start)
        assert item.overlaps == (depth[mask] > 1).any()
        assert item.seen
    assert [item.category for item in found.objects] == ["c0", "c1", "c2", "c3"]


def test_intensities_are_those_of_all_channels() -> None:
    sample, row = _rows()
    found = summarise(row, spec=None)
    assert found.mean == pytest.approx(sample.image.mean())
    assert found.std == pytest.approx(sample.image.std())
    assert found.white == pytest.approx((sample.image == 255).mean())
    assert found.clipped == pytest.approx(np.isin(sample.image, (0, 255)).mean())
    assert (found.height, found.width, found.sample_id, found.group) == (33, 47, "s", "g")


def test_apart_objects_do_not_overlap() -> None:
    masks = np.zeros((2, 8, 8), dtype=bool)
    masks[0, :4], masks[1, 4:] = True, True
    assert [item.overlaps for item in summarise(_row(_sample(masks)), spec=None).objects] == [False, False]


def test_cut_objects_are_marked() -> None:
    _, row = _rows(cut=(True, False, False, True))
    assert [item.cut for item in summarise(row, spec=None).objects] == [True, False, False, True]


@given(
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    size=st.sampled_from([4, 16, 64]),
    seed=st.integers(0, 2**20),
)
def test_an_object_is_seen_if_the_model_frame_has_a_pixel_of_it(shape: tuple[int, int], size: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    masks = np.zeros((3, *shape), dtype=bool)
    for mask in masks:
        mask[random.integers(shape[0]), random.integers(shape[1])] = True
    masks[0] |= random.random(shape) > 0.95
    seen = [item.seen for item in summarise(_row(_sample(masks)), spec=_spec(size)).objects]
    assert seen == masks_to_model_frame(masks, size=size, fit="pad").any((1, 2)).tolist()


def test_the_digest_is_that_of_size_and_pixels() -> None:
    _, row = _rows(1)
    assert digest(row) == digest(_rows(1)[1])
    assert digest(row) != digest(_rows(2)[1])
    turned = {**row, "height": row["width"], "width": row["height"]}
    assert digest(turned) != digest(row)


def test_masks_come_as_their_bounding_boxes() -> None:
    mask = np.zeros((1, 9, 12), dtype=bool)
    mask[0, 2:4, 5:11] = True
    [(corner, box)] = crops_of(_row(_sample(mask)))
    assert corner == (2, 5) and box.shape == (2, 6) and box.all()


def test_a_grey_image_keeps_its_one_channel() -> None:
    grey = np.repeat(np.arange(6, dtype=np.uint8).reshape(2, 3, 1), 3, axis=2)
    sample = Sample(grey, np.ones((1, 2, 3), dtype=bool), ("c",), "g", (1.0, 1.0), "px", "s", "none")
    assert image_of(_row(sample)).tolist() == grey[..., :1].tolist()
