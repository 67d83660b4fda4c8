"""What the browser draws over an image, read back by another library."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from adapt.demo.overlay import COLOURS, EDGE, EMPTY, INSIDE, LINE, Shown, mask_png, overlay, overlay_png, picture_uri
from adapt.frames import logits_to_image_frame
from adapt.segmenters import SegmenterSpec

SPEC = SegmenterSpec(64, 16, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), candidates=3, fit="pad")


def disc(side: int, radius: float) -> np.ndarray:
    rows, columns = np.ogrid[:side, :side]
    return (rows - side / 2) ** 2 + (columns - side / 2) ** 2 < radius**2


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(600, 1000, (600, 1000, 1)), (96, 112, (96, 112, 9)), (2000, 4000, (512, 1024, 1)), (1, 5000, (1, 1024, 1))],
)
def test_an_image_fills_the_picture_in_whole_pixels_or_is_made_smaller(
    height: int, width: int, expected: tuple[int, int, int]
) -> None:
    shown = Shown.of(height, width, longest=1024)
    assert (shown.height, shown.width, shown.times) == expected


def test_the_mask_that_is_seen_is_the_one_that_is_saved_pixel_by_pixel() -> None:
    logits = torch.randn(16, 16, generator=torch.Generator().manual_seed(0))
    saved = (logits_to_image_frame(logits, SPEC.frame(40, 50)) > 0).numpy()
    seen = Shown.of(40, 50, longest=200).mask(logits, SPEC)
    assert seen.shape == (160, 200)
    assert np.array_equal(seen.reshape(40, 4, 50, 4), np.broadcast_to(saved[:, None, :, None], (40, 4, 50, 4)))


def test_inside_outline_and_edge_lie_in_this_order() -> None:
    mask = disc(60, 20)
    drawn = overlay(mask, thickness=3)
    assert np.array_equal(mask, (drawn == INSIDE) | (drawn == LINE))
    assert drawn[30, 30] == INSIDE and drawn[30, 11] == LINE and drawn[30, 9] == EDGE and drawn[0, 0] == EMPTY


@pytest.mark.parametrize("value", [False, True])
def test_masks_of_nothing_and_of_everything_are_drawn(value: bool) -> None:
    drawn = overlay(np.full((8, 9), value), thickness=2)
    assert set(np.unique(drawn)) <= ({INSIDE, LINE} if value else {EMPTY})


def test_the_png_has_the_colours_and_is_transparent_beside_the_mask() -> None:
    drawn = overlay(disc(60, 20), thickness=3)
    content = overlay_png(drawn)
    read = np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))
    expected = np.array([COLOURS[value] for value in range(4)], dtype=np.uint8)[drawn]
    assert np.array_equal(read[drawn != EMPTY], expected[drawn != EMPTY]) and not read[drawn == EMPTY][:, 3].any()
    assert content[24] == 2  # bits a pixel, in the header


def test_a_small_picture_keeps_its_pixels_and_a_large_one_is_made_smaller() -> None:
    pixels = np.random.default_rng(0).integers(256, size=(20, 30, 3), dtype=np.uint8)
    for longest, size in ((90, (30, 20)), (15, (15, 10))):
        uri = picture_uri(pixels, Shown.of(20, 30, longest=longest))
        kind, content = uri.removeprefix("data:").split(";base64,")
        image = Image.open(io.BytesIO(base64.b64decode(content)))
        assert image.size == size and kind == f"image/{(image.format or '').lower()}"
        assert kind == "image/jpeg" or np.array_equal(np.asarray(image), pixels)


def test_a_saved_mask_is_0_and_255() -> None:
    mask = disc(30, 9)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(mask_png(mask)))), mask * np.uint8(255))
