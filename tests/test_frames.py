"""Points, images and masks land on the same pixels in both frames, and come back."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from adapt.errors import DataError
from adapt.frames import (
    Fit,
    Frame,
    image_to_model_frame,
    logits_to_image_frame,
    masks_to_model_frame,
    to_image_frame,
    to_model_frame,
)

SIDES = st.integers(1, 5000)
SIZES = st.sampled_from([256, 1008, 1024])
FITS: st.SearchStrategy[Fit] = st.sampled_from(["pad", "stretch"])
SHARE = st.floats(0, 1)

# (height, width) of the image: larger and smaller than a model frame of 64, lying and standing.
SHAPES = [(200, 320), (320, 200), (21, 40), (40, 21), (64, 64), (150, 150)]
SIZE = 64
PLAIN_MEAN, PLAIN_STD = (0.0, 0.0, 0.0), (255.0, 255.0, 255.0)


def _rectangle(height: int, width: int) -> npt.NDArray[np.bool_]:
    mask = np.zeros((height, width), dtype=bool)
    mask[height // 4 : height * 3 // 4, width // 3 : width * 5 // 6] = True
    return mask


def _painted(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    return np.repeat(mask[..., None], 3, axis=2).astype(np.uint8) * 255


def _iou(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


@given(height=SIDES, width=SIDES, size=SIZES, fit=FITS, across=SHARE, down=SHARE)
def test_a_point_comes_back(height: int, width: int, size: int, fit: Fit, across: float, down: float) -> None:
    frame = Frame(height, width, size, fit)
    point = torch.tensor([[across * (width - 1), down * (height - 1)]])
    back = to_image_frame(to_model_frame(point, frame), frame)
    torch.testing.assert_close(back, point, rtol=0, atol=5e-3)  # float32 at 5000; half a pixel would be the limit


@given(height=SIDES, width=SIDES, size=SIZES)
def test_the_longer_side_fills_the_square(height: int, width: int, size: int) -> None:
    resized = Frame(height, width, size, "pad").resized
    assert max(resized) == size
    assert min(resized) >= 1
    shorter = min(height, width) * size / max(height, width)
    assert abs(min(resized) - shorter) <= 0.5 or min(resized) == 1


@given(height=SIDES, width=SIDES, size=SIZES)
def test_a_stretched_image_fills_the_square(height: int, width: int, size: int) -> None:
    assert Frame(height, width, size, "stretch").resized == (size, size)


@given(height=SIDES, width=SIDES, size=SIZES, fit=FITS)
def test_the_edges_of_the_image_are_the_edges_of_the_resized_image(
    height: int, width: int, size: int, fit: Fit
) -> None:
    frame = Frame(height, width, size, fit)
    corners = torch.tensor([[-0.5, -0.5], [width - 0.5, height - 0.5]], dtype=torch.float64)
    resized_height, resized_width = frame.resized
    expected = torch.tensor([[-0.5, -0.5], [resized_width - 0.5, resized_height - 0.5]], dtype=torch.float64)
    torch.testing.assert_close(to_model_frame(corners, frame), expected, rtol=0, atol=1e-6)


def test_points_by_hand() -> None:
    frame = Frame(height=2, width=4, size=8, fit="pad")  # every image pixel becomes 2 x 2 model pixels
    points = torch.tensor([[0.0, 0.0], [3.0, 1.0]])
    torch.testing.assert_close(to_model_frame(points, frame), torch.tensor([[0.5, 0.5], [6.5, 2.5]]))


def test_a_box_is_two_points() -> None:
    frame = Frame(height=2, width=4, size=8, fit="pad")
    box = torch.tensor([[0.0, 0.0, 3.0, 1.0]])
    moved = to_model_frame(box.unflatten(-1, (2, 2)), frame).flatten(-2)
    torch.testing.assert_close(moved, torch.tensor([[0.5, 0.5, 6.5, 2.5]]))


@pytest.mark.parametrize("sides", [(0, 5, 8), (5, 0, 8), (5, 5, 0)])
def test_an_image_without_pixels_is_refused(sides: tuple[int, int, int]) -> None:
    with pytest.raises(DataError, match="cannot be placed in a model frame"):
        Frame(*sides, "pad")


@pytest.mark.parametrize("shape", SHAPES)
def test_padding_is_zero_at_the_bottom_and_right(shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), 200, dtype=np.uint8)
    placed = image_to_model_frame(image, size=SIZE, mean=(100.0, 110.0, 120.0), std=(50.0, 45.0, 40.0), fit="pad")
    height, width = Frame(*shape, size=SIZE, fit="pad").resized
    assert placed.shape == (3, SIZE, SIZE)
    assert placed.dtype == torch.float32
    assert (placed[:, height:] == 0).all()
    assert (placed[:, :, width:] == 0).all()
    for channel, expected in enumerate((2.0, 2.0, 2.0)):  # (200 - 100) / 50 = (200 - 110) / 45 = (200 - 120) / 40
        inside = placed[channel, :height, :width]
        torch.testing.assert_close(inside, torch.full_like(inside, expected))


@pytest.mark.parametrize("fit", ["pad", "stretch"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_image_is_resized_as_pil_does(shape: tuple[int, int], fit: Fit) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    placed = image_to_model_frame(image, size=SIZE, mean=PLAIN_MEAN, std=PLAIN_STD, fit=fit)
    height, width = Frame(*shape, size=SIZE, fit=fit).resized
    by_pil = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR), dtype=np.float32)
    np.testing.assert_allclose(placed[:, :height, :width].permute(1, 2, 0).numpy(), by_pil / 255, atol=1e-6)


def test_a_picture_of_the_right_size_is_not_resampled() -> None:
    image = np.random.default_rng(1).integers(0, 256, (SIZE, 40, 3), dtype=np.uint8)
    placed = image_to_model_frame(image, size=SIZE, mean=PLAIN_MEAN, std=PLAIN_STD, fit="pad")
    np.testing.assert_allclose(placed[:, :, :40].permute(1, 2, 0).numpy() * 255, image, atol=1e-4)


def test_a_view_into_an_array_is_read_right() -> None:
    """Flipped or cropped images are NumPy views with odd strides."""
    image = np.random.default_rng(2).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    view = image[::-1, ::-1]
    placed = image_to_model_frame(view, size=SIZE, mean=PLAIN_MEAN, std=PLAIN_STD, fit="pad")
    copied = image_to_model_frame(np.ascontiguousarray(view), size=SIZE, mean=PLAIN_MEAN, std=PLAIN_STD, fit="pad")
    assert torch.equal(placed, copied)


@pytest.mark.parametrize("fit", ["pad", "stretch"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_mask_lies_where_its_white_rectangle_lies(shape: tuple[int, int], fit: Fit) -> None:
    mask = _rectangle(*shape)
    image = image_to_model_frame(_painted(mask), size=SIZE, mean=PLAIN_MEAN, std=PLAIN_STD, fit=fit)[0].numpy()
    placed = masks_to_model_frame(mask[None], size=SIZE, fit=fit)[0]
    # Interpolation leaves grey on the border alone; what is clearly white or black must agree to the pixel.
    assert placed[image > 0.75].all()
    assert not placed[image < 0.25].any()
    assert ((image > 0.75) | (image < 0.25)).mean() > 0.9


def test_masks_by_hand() -> None:
    masks = np.array([[[True, False, False], [False, False, True]]])
    placed = masks_to_model_frame(masks, size=6, fit="pad")  # every pixel becomes 2 x 2, and two rows are padding
    expected = np.array(
        [
            [1, 1, 0, 0, 0, 0],
            [1, 1, 0, 0, 0, 0],
            [0, 0, 0, 0, 1, 1],
            [0, 0, 0, 0, 1, 1],
            [0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0],
        ],
        dtype=bool,
    )
    np.testing.assert_array_equal(placed, expected[None])


def test_a_smaller_mask_takes_the_middle_pixels() -> None:
    masks = np.zeros((1, 6, 6), dtype=bool)
    masks[0, 1, 4] = True  # the middle of the upper right 3 x 3 pixels
    assert masks_to_model_frame(masks, size=2, fit="pad").tolist() == [[[False, True], [False, False]]]


def test_no_mask_is_no_mask() -> None:
    assert masks_to_model_frame(np.zeros((0, 5, 7), dtype=bool), size=8, fit="pad").shape == (0, 8, 8)


@pytest.mark.parametrize("fit", ["pad", "stretch"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_rectangle_comes_back_from_the_model_frame(shape: tuple[int, int], fit: Fit) -> None:
    masks = np.stack([_rectangle(*shape), ~_rectangle(*shape)])
    logits = torch.from_numpy(masks_to_model_frame(masks, size=256, fit=fit)).float() * 20 - 10
    back = logits_to_image_frame(logits, Frame(*shape, size=256, fit=fit))
    assert back.shape == (2, *shape)
    assert back.dtype == torch.float32
    assert _iou((back[0] > 0).numpy(), masks[0]) > 0.9
    assert _iou((back[1] > 0).numpy(), masks[1]) > 0.9


@pytest.mark.parametrize("shape", SHAPES)
def test_logits_may_be_smaller_than_the_model_frame(shape: tuple[int, int]) -> None:
    """The decoder predicts at a quarter of the model frame's side; padding included."""
    mask = _rectangle(*shape)
    placed = torch.from_numpy(masks_to_model_frame(mask[None], size=256, fit="pad")).float()
    small = torch.nn.functional.avg_pool2d(placed, 4) * 20 - 10
    back = logits_to_image_frame(small, Frame(*shape, size=256, fit="pad"))
    assert _iou((back[0] > 0).numpy(), mask) > 0.9


def test_leading_dimensions_of_logits_are_kept() -> None:
    logits = torch.randn(2, 3, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    back = logits_to_image_frame(logits, Frame(20, 30, 64, "pad"))
    assert back.shape == (2, 3, 4, 20, 30)
    torch.testing.assert_close(back[1, 2], logits_to_image_frame(logits[1, 2], Frame(20, 30, 64, "pad")))


@pytest.mark.parametrize("fit", ["pad", "stretch"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_click_at_a_pixel_hits_the_mask_of_that_pixel(shape: tuple[int, int], fit: Fit) -> None:
    """A 9 x 9 object anywhere: its centre, moved to the model frame, must lie on the moved object."""
    for top, left in ((0, 0), (shape[0] - 9, shape[1] - 9), (shape[0] // 2 - 4, 2)):
        mask = np.zeros(shape, dtype=bool)
        mask[top : top + 9, left : left + 9] = True
        frame = Frame(*shape, size=SIZE, fit=fit)
        x, y = to_model_frame(torch.tensor([left + 4.0, top + 4.0]), frame).round().long().tolist()
        assert masks_to_model_frame(mask[None], size=SIZE, fit=fit)[0, y, x]
        back = to_image_frame(torch.tensor([float(x), float(y)]), frame).round().long().tolist()
        assert mask[back[1], back[0]]
