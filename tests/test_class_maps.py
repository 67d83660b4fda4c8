"""From objects to classes: who owns a pixel, and what of it reaches a batch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adapt.class_maps import IGNORED, batch_label_maps, by_class, label_map
from adapt.datamodules.batches import collate, to_batch
from adapt.datamodules.transforms import Augmentation
from adapt.recipe import AugmentSettings
from adapt.samples import Sample
from adapt.segmenters import SegmenterSpec

CLASSES = ("organ", "tumour", "vessel")
SPEC = SegmenterSpec(32, 8, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), candidates=3, fit="pad")


def sample(*objects: tuple[str, slice, slice], height: int = 16, width: int = 32, name: str = "s") -> Sample:
    masks = np.zeros((len(objects), height, width), dtype=bool)
    for mask, (_, rows, columns) in zip(masks, objects, strict=True):
        mask[rows, columns] = True
    return Sample(
        image=np.zeros((height, width, 3), dtype=np.uint8),
        masks=masks,
        categories=tuple(category for category, _, _ in objects),
        group="g",
        spacing=(1.0, 1.0),
        spacing_unit="px",
        sample_id=name,
        source="",
    )


def test_a_pixel_of_several_objects_is_the_smallest_ones() -> None:
    tumour, organ = ("tumour", slice(4, 8), slice(4, 8)), ("organ", slice(2, 12), slice(2, 20))
    for objects in ((tumour, organ), (organ, tumour)):
        labels = label_map(sample(*objects), CLASSES)
        assert (labels[4:8, 4:8] == 2).all()
        assert np.bincount(labels.ravel()).tolist() == [16 * 32 - 180, 180 - 16, 16]


def test_of_two_objects_of_one_size_the_later_one_has_the_pixel() -> None:
    labels = label_map(sample(("organ", slice(0, 4), slice(0, 4)), ("vessel", slice(0, 4), slice(2, 6))), CLASSES)
    assert labels[0, :7].tolist() == [1, 1, 3, 3, 3, 3, 0]


def test_objects_of_a_class_are_one_mask_and_a_class_that_is_hidden_has_none() -> None:
    merged = by_class(
        sample(
            ("vessel", slice(0, 2), slice(0, 2)),
            ("organ", slice(8, 12), slice(0, 8)),
            ("vessel", slice(8, 12), slice(20, 24)),
            ("tumour", slice(9, 10), slice(2, 4)),
            ("tumour", slice(9, 10), slice(2, 4)),
        ),
        CLASSES,
    )
    assert merged.categories == CLASSES
    assert merged.masks.sum((1, 2)).tolist() == [30, 2, 20]
    hidden = by_class(sample(("organ", slice(0, 2), slice(0, 2)), ("tumour", slice(0, 2), slice(0, 2))), CLASSES)
    assert hidden.categories == ("tumour",)


@given(
    boxes=st.lists(
        st.tuples(st.sampled_from(CLASSES), *(st.integers(0, 11), st.integers(1, 5)) * 2), min_size=1, max_size=6
    )
)
def test_the_masks_of_classes_share_no_pixel_and_cover_what_the_objects_do(boxes: list[tuple[str, int, ...]]) -> None:
    objects = [(name, slice(top, top + high), slice(left, left + wide)) for name, top, high, left, wide in boxes]
    one = sample(*objects)
    merged = by_class(one, CLASSES)
    assert merged.masks.sum(0).max() == 1
    assert (merged.masks.any(0) == one.masks.any(0)).all()
    assert (label_map(merged, CLASSES) == label_map(one, CLASSES)).all()


def test_a_batch_gives_the_label_maps_back_and_ignores_the_padding_of_the_frame() -> None:
    wide = by_class(sample(("tumour", slice(0, 8), slice(0, 8)), name="wide"), CLASSES)
    high = by_class(
        sample(("vessel", slice(0, 4), slice(0, 4)), ("organ", slice(8, 32), slice(0, 16)), height=32, width=16),
        CLASSES,
    )
    labels = batch_label_maps(collate([to_batch(wide, SPEC), to_batch(high, SPEC)]), CLASSES)
    assert labels.shape == (2, 32, 32)
    assert labels.dtype == torch.int64
    assert (labels[0, :16].numpy() == label_map(wide, CLASSES)).all()
    assert (labels[1, :, :16].numpy() == label_map(high, CLASSES)).all()
    assert (labels[0, 16:] == IGNORED).all()
    assert (labels[1, :, 16:] == IGNORED).all()


@pytest.mark.parametrize("keep_cut", [True, False])
def test_what_geometry_leaves_of_a_class_is_kept_however_little(keep_cut: bool) -> None:
    """Scaled and shifted, an object at the border is cut."""
    edge = sample(("organ", slice(20, 40), slice(20, 40)), ("vessel", slice(0, 64), slice(0, 8)), height=64, width=64)
    augmentation = Augmentation(AugmentSettings(scale=1.0), keep_cut=keep_cut)
    seen = [augmentation(edge, seed=seed) for seed in range(40)]
    after = [one.masks[one.categories.index("vessel")].sum() for one in seen if "vessel" in one.categories]
    assert (min(after) < 0.25 * 64 * 8) == keep_cut
