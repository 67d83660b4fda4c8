"""The part of a mask in full resolution, against the conversion of the frames."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adapt.frames import Fit, Frame, logits_to_image_frame
from adapt.generate.upsampling import upsampling

LENGTH = st.integers(1, 150)
FIT = st.sampled_from(["pad", "stretch"])


def blob(seed: int, size: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    near = -np.hypot(rows - random.uniform(-4, size), columns - random.uniform(-4, size))
    return (near + random.uniform(-2, size / 2) + random.normal(0, 0.5, near.shape)).astype(np.float32)


@settings(max_examples=80)
@given(LENGTH, LENGTH, st.sampled_from([(8, 32), (16, 64), (16, 16)]), st.integers(0, 1000), st.floats(-2, 2), FIT)
def test_nothing_is_missed_and_every_logit_is_that_of_the_frames(
    height: int, width: int, sizes: tuple[int, int], seed: int, least: float, fit: Fit
) -> None:
    low, model = sizes
    frame, logits = Frame(height, width, model, fit), blob(seed, low)
    whole = logits_to_image_frame(torch.from_numpy(logits), frame).numpy()
    found = upsampling(frame, low).part_above(logits, least)
    outside = np.ones((height, width), dtype=bool)
    if found is not None:
        part, top, left = found
        inside = np.s_[top : top + part.shape[0], left : left + part.shape[1]]
        outside[inside] = False
        np.testing.assert_allclose(part, whole[inside], atol=1e-4)
    assert (whole[outside] <= least + 1e-4).all()


def test_of_a_small_mask_little_is_computed() -> None:
    logits = np.full((64, 64), -9, dtype=np.float32)
    logits[20:24, 30:34] = 9
    found = upsampling(Frame(1000, 1000, 256, "pad"), 64).part_above(logits, -1.0)
    assert found is not None and found[0].size < 130**2


def test_a_mask_that_is_nowhere_is_none() -> None:
    assert upsampling(Frame(100, 50, 256, "pad"), 64).part_above(np.full((64, 64), -9, dtype=np.float32), -1.0) is None


def test_a_mask_in_the_padding_is_none() -> None:
    logits = np.full((64, 64), -9, dtype=np.float32)
    logits[:, 50:] = 9  # the image is half as wide as the model's input
    assert upsampling(Frame(100, 50, 256, "pad"), 64).part_above(logits, -1.0) is None
