"""Samples and batches refuse what is malformed, and say which sample it was."""

import hashlib
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from adapt.errors import DataError
from adapt.samples import Batch, Cached, Sample, sample_key


def _sample() -> Sample:
    masks = np.zeros((2, 4, 6), dtype=bool)
    masks[:, 1:3, 2:4] = True
    return Sample(
        image=np.zeros((4, 6, 3), dtype=np.uint8),
        masks=masks,
        categories=("liver", "spleen"),
        group="patient7",
        spacing=(0.8, 0.8),
        spacing_unit="mm",
        sample_id="patient7/slice3",
        source="patient7.nii.gz",
    )


def _batch() -> Batch:
    return Batch(
        images=torch.zeros(2, 3, 8, 8),
        extents=torch.tensor([[8.0, 6.0], [5.0, 8.0]]),
        masks=torch.ones(2, 3, 8, 8, dtype=torch.bool),
        object_valid=torch.tensor([[True, True, False], [True, False, False]]),
        sample_keys=torch.tensor([sample_key("a"), sample_key("b")]),
        categories=(("liver", "spleen"), ("liver",)),
        groups=("p1", "p2"),
        sample_ids=("a", "b"),
        spacings=torch.ones(2, 2),
    )


EMPTY_SECOND = _sample().masks & np.array([True, False])[:, None, None]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"image": np.zeros((4, 6), dtype=np.uint8)}, r"image must be \(H, W, 3\) uint8, is \(4, 6\)"),
        ({"image": np.zeros((4, 6, 4), dtype=np.uint8)}, r"is \(4, 6, 4\)"),
        ({"image": np.zeros((4, 6, 3), dtype=np.float32)}, "float32"),
        ({"masks": np.ones((2, 6, 4), dtype=bool)}, r"masks must be \(N, 4, 6\) bool, are \(2, 6, 4\)"),
        ({"masks": np.ones((4, 6), dtype=bool)}, r"are \(4, 6\)"),
        ({"masks": np.ones((2, 4, 6), dtype=np.uint8)}, "uint8"),
        ({"categories": ("liver",)}, "2 masks but 1 categories"),
        ({"cut": (True,)}, "2 masks but 1 marks of cut objects"),
        ({"masks": np.ones((0, 4, 6), dtype=bool), "categories": ()}, "has no object"),
        ({"masks": EMPTY_SECOND}, "an object without a pixel"),
    ],
)
def test_malformed_sample_is_refused_by_name(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(DataError, match=complaint) as caught:
        replace(_sample(), **changes)
    assert str(caught.value).startswith("patient7/slice3: ")


def test_overlapping_masks_are_allowed() -> None:
    sample = _sample()
    assert (sample.masks[0] & sample.masks[1]).any()


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"images": torch.zeros(2, 3, 8, 6)}, "images"),
        ({"images": torch.zeros(2, 3, 8, 8, dtype=torch.float64)}, "images"),
        ({"images": torch.zeros(1, 3, 8, 8)}, "images"),
        ({"extents": torch.zeros(2, 4)}, "extents"),
        ({"masks": torch.zeros(2, 3, 8, 8)}, "masks"),
        ({"masks": torch.zeros(2, 2, 8, 8, dtype=torch.bool)}, "masks"),
        ({"object_valid": torch.ones(2, 3)}, "object_valid"),
        ({"sample_keys": torch.zeros(2)}, "sample_keys"),
        ({"spacings": torch.zeros(2)}, "spacings"),
    ],
)
def test_malformed_batch_is_refused_with_its_samples(changes: dict[str, torch.Tensor], name: str) -> None:
    with pytest.raises(DataError, match=f"batch {name} must be .* is ") as caught:
        replace(_batch(), **changes)
    assert "(samples a, b)" in str(caught.value)


@pytest.mark.parametrize("sample_id", ["", "a", "patient7/slice3", "Zürich/東京"])
def test_sample_key_is_the_top_63_bits_of_sha256(sample_id: str) -> None:
    assert sample_key(sample_id) == int(hashlib.sha256(sample_id.encode("utf-8")).hexdigest()[:16], 16) // 2


def test_sample_key_never_changes() -> None:
    """A run that is resumed under a later version must draw the same prompts; the number was computed once."""
    assert sample_key("patient7/slice3") == 7443341932952418433


def test_sample_key_fits_a_signed_64_bit_tensor() -> None:
    keys = [sample_key(str(number)) for number in range(200)]
    assert all(0 <= key < 2**63 for key in keys)
    assert len(set(keys)) == 200
    assert torch.tensor(keys).tolist() == keys


def test_batch_to_keeps_every_field() -> None:
    batch = _batch()
    moved = batch.to("meta")  # a device that every machine has, and is not the CPU
    for field in fields(Batch):
        before, after = getattr(batch, field.name), getattr(moved, field.name)
        if isinstance(before, torch.Tensor):
            assert (after.shape, after.dtype) == (before.shape, before.dtype), field.name
        else:
            assert after == before, field.name
    on_device = ("images", "extents", "masks", "object_valid", "sample_keys")
    assert {getattr(moved, name).device.type for name in on_device} == {"meta"}


def test_batch_to_keeps_the_values() -> None:
    batch = _batch()
    moved = batch.to(torch.device("cpu"), non_blocking=True)
    for name in ("images", "extents", "masks", "object_valid", "sample_keys", "spacings"):
        torch.testing.assert_close(getattr(moved, name), getattr(batch, name), rtol=0, atol=0)


def test_every_tensor_of_a_batch_is_shared() -> None:
    cached = Cached(("one",), torch.tensor([True, False]), (torch.zeros(1, 4),))
    drawn = replace(_batch(), images=torch.zeros(1, 3, 8, 8), cached=cached, embeddings=torch.zeros(2, 3, 3, 5))
    batch = drawn.share_memory()
    found = [getattr(batch, field.name) for field in fields(Batch)] + [cached.found, *cached.hidden]
    tensors = [value for value in found if isinstance(value, torch.Tensor)]
    assert len(tensors) == 11 and all(tensor.is_shared() for tensor in tensors)
