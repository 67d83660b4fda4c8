"""Masks on pictures: tinted and outlined. For the gallery of a run and the contact sheet of a check."""

import cv2
import numpy as np
import numpy.typing as npt

Colour = tuple[int, int, int]

MANY_CONTOURS = 20
"""A mask in more pieces gets thin outlines, or they would hide the image."""


def distinct_colours(count: int) -> npt.NDArray[np.uint8]:
    """(count, 3) RGB: neighbouring numbers lie far apart on the colour circle (golden angle)."""
    hues = (np.arange(count) * 180 * 0.618) % 180
    circle = np.stack((hues, np.full_like(hues, 200), np.full_like(hues, 255)), axis=-1).astype(np.uint8)
    colours: npt.NDArray[np.uint8] = cv2.cvtColor(circle[None], cv2.COLOR_HSV2RGB)[0]
    return colours


def draw_mask(
    picture: npt.NDArray[np.uint8],
    mask: npt.NDArray[np.bool_],
    *,
    colour: Colour,
    thickness: int,
    tint: float = 0.25,
    corner: tuple[int, int] = (0, 0),
    dash: int = 0,
) -> None:
    """Tint and outline a mask on a picture, in place.

    Args:
        picture: (H, W, 3) uint8.
        mask: (h, w) bool, at the scale of the picture and wholly inside it.
        colour: RGB.
        thickness: of the outline, pixels; 1 for a mask in many pieces.
        tint: share of the colour inside the mask.
        corner: row and column of the picture where the mask begins.
        dash: length of a dash and of a gap, pixels; 0 draws the outline through.
    """
    top, left = corner
    under = picture[top : top + mask.shape[0], left : left + mask.shape[1]]
    under[mask] = ((1 - tint) * under[mask] + tint * np.array(colour)).astype(np.uint8)
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE, offset=(left, top))
    width = thickness if len(contours) <= MANY_CONTOURS else 1
    if not dash:
        cv2.drawContours(picture, contours, -1, colour, width)
        return
    for contour in contours:
        dashes = [contour[start : start + dash] for start in range(0, len(contour), 2 * dash)]
        cv2.polylines(picture, dashes, isClosed=False, color=colour, thickness=width)
