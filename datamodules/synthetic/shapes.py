"""Outlines of objects, and how they are filled.

An outline is a list of closed contours of (K, 2) float32 points (x, y), about 1 wide around the origin; what lies in
two contours is a hole. A path is one open contour.
"""

import cv2
import numpy as np
import numpy.typing as npt

from adapt.datamodules.synthetic.canvas import Field, Patch, float32

Points = npt.NDArray[np.float32]
Outline = list[Points]
SHIFT = 4  # binary digits of a pixel's fraction that OpenCV is given
FINER = 4  # an outline is filled on so many times finer a grid: OpenCV's own smooth borders make a shape larger


def blob(random: np.random.Generator, *, roughness: float, points: int = 40) -> Points:
    """A smooth closed curve: a circle with a few waves around it, of which the slow ones are the largest."""
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
    waves = np.arange(2, 7)
    heights = random.normal(0, roughness, len(waves)) / (waves - 1)
    radii = np.exp(heights @ np.cos(np.outer(waves, angles) + random.uniform(0, 2 * np.pi, (len(waves), 1))))
    return _polar(radii / (2 * radii.mean()), angles)


def bent(random: np.random.Generator, *, points: int = 40) -> Points:
    """A bean or a banana: an ellipse along an arc."""
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
    along, across = 0.5 * np.cos(angles), random.uniform(0.1, 0.22) * np.sin(angles)
    curve = random.uniform(0.5, 2.6)
    radius = 1 / curve + across
    contour = np.stack([radius * np.sin(along * curve), radius * np.cos(along * curve) - 1 / curve], axis=1)
    return contour.astype(np.float32)


def polygon(random: np.random.Generator) -> Points:
    """Three to eight corners around the origin."""
    corners = random.integers(3, 9)
    angles = (np.arange(corners) + random.uniform(-0.35, 0.35, corners)) * (2 * np.pi / corners)
    return _polar(random.uniform(0.32, 0.6, corners), angles)


def star(random: np.random.Generator) -> Points:
    """Four to nine rays."""
    rays = int(random.integers(4, 10))
    radii = np.tile([0.55, 0.55 * random.uniform(0.3, 0.75)], rays)
    return _polar(radii, np.arange(2 * rays) * np.pi / rays)


def rectangle(width: float, height: float) -> Points:
    """A rectangle around the origin."""
    return np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=np.float32) * float32([width / 2, height / 2])


def floor_plan(random: np.random.Generator) -> Points:
    """The outline of a house: a rectangle, or the shape of an L, a T or a U; longest along x."""
    height = random.uniform(0.35, 1)
    kind = random.choice(["rectangle", "L", "T", "U"], p=[0.6, 0.2, 0.1, 0.1])
    if kind == "rectangle":
        return rectangle(1, height)
    left, right = random.uniform(-0.3, -0.05), random.uniform(0.05, 0.3)
    notch = random.uniform(-0.2, 0.2)  # from here on up, a part of the rectangle is missing
    match kind:
        case "L":
            corners = [(-0.5, -0.5), (0.5, -0.5), (0.5, notch), (left, notch), (left, 0.5), (-0.5, 0.5)]
        case "T":
            corners = [(-0.5, -0.5), (0.5, -0.5), (0.5, notch), (right, notch)]
            corners += [(right, 0.5), (left, 0.5), (left, notch), (-0.5, notch)]
        case _:
            corners = [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (right, 0.5)]
            corners += [(right, notch), (left, notch), (left, 0.5), (-0.5, 0.5)]
    flip = random.choice([-1, 1], 2)
    return np.array(corners, dtype=np.float32) * float32([flip[0], flip[1] * max(height, 0.6)])


def wander(random: np.random.Generator, *, bends: float, points: int = 32) -> Points:
    """A smooth open path of length one, from near the origin: a vessel, a fibre, a road.

    Args:
        random: draws it.
        bends: how much the direction changes along the path, radians.
        points: of the path.
    """
    turns = np.cumsum(np.convolve(random.normal(0, 1, points), np.ones(8) / 8, mode="same"))
    angles = bends * turns / max(np.abs(turns).max(), 1e-6)
    steps = np.stack([np.cos(angles), np.sin(angles)], axis=1) / points
    path: Points = np.cumsum(steps, axis=0).astype(np.float32)
    path -= path.mean(axis=0)
    return path


def any_outline(random: np.random.Generator) -> Outline:
    """An outline of any kind, at times with a hole or flattened."""
    kind = random.choice(7, p=[0.3, 0.18, 0.1, 0.14, 0.14, 0.06, 0.08])
    match kind:
        case 0:
            contour = blob(random, roughness=random.uniform(0.05, 0.5))
        case 1:
            contour = blob(random, roughness=0.0)  # an ellipse, once it is flattened
        case 2:
            contour = bent(random)
        case 3:
            contour = polygon(random)
        case 4:
            contour = floor_plan(random)
        case 5:
            contour = star(random)
        case _:
            inner = random.uniform(0.35, 0.8)
            contour = blob(random, roughness=random.uniform(0, 0.15))
            return flattened([contour, contour * np.float32(inner)], random.uniform(0.5, 1))
    return flattened([contour], random.uniform(0.35, 1))


def flattened(outline: Outline, ratio: float) -> Outline:
    """The outline, less high."""
    return [contour * float32([1, ratio]) for contour in outline]


def placed(outline: Outline, *, centre: tuple[float, float], size: float, angle: float) -> Outline:
    """The outline on the canvas: scaled, then turned (radians), then moved to its centre (x, y)."""
    cosine, sine = size * np.cos(angle), size * np.sin(angle)
    turn = np.array([[cosine, sine], [-sine, cosine]], dtype=np.float32)
    return [contour @ turn + float32(centre) for contour in outline]


def anywhere(random: np.random.Generator, side: int) -> tuple[float, float]:
    """A point (x, y) of a canvas."""
    return float(random.uniform(0, side)), float(random.uniform(0, side))


def fill(outline: Outline, *, side: int, soft: float = 0.0) -> Patch | None:
    """What an outline covers of a canvas; None where it lies outside or covers nothing.

    Args:
        outline: in pixels; (0, 0) is the centre of the first pixel.
        side: of the canvas, pixels.
        soft: standard deviation of the blur of its border, pixels.
    """
    window = _window(outline, side=side, margin=1 + 3 * soft)
    if window is None:
        return None
    height, width = window[0].stop - window[0].start, window[1].stop - window[1].start
    fine = np.zeros((FINER * height, FINER * width), dtype=np.uint8)
    cv2.fillPoly(fine, _fixed_point(outline, window, finer=FINER), 255, shift=SHIFT)
    return _patch(cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA), window, soft=soft)


def stroke(path: Points, *, side: int, width: int, soft: float = 0.0) -> Patch | None:
    """What a line of some width (pixels) along a path covers of a canvas; None where it lies outside."""
    window = _window([path], side=side, margin=1 + width / 2 + 3 * soft)
    if window is None:
        return None
    alpha = np.zeros((window[0].stop - window[0].start, window[1].stop - window[1].start), dtype=np.uint8)
    cv2.polylines(alpha, _fixed_point([path], window, finer=1), False, 255, width, cv2.LINE_AA, SHIFT)
    return _patch(alpha, window, soft=soft)


def _polar(radii: npt.NDArray[np.float64], angles: npt.NDArray[np.float64]) -> Points:
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1).astype(np.float32)


def _window(outline: Outline, *, side: int, margin: float) -> tuple[slice, slice] | None:
    points = np.concatenate(outline)
    x0, y0 = np.clip(np.floor(points.min(axis=0) - margin), 0, side).astype(int)
    x1, y1 = np.clip(np.ceil(points.max(axis=0) + margin) + 1, 0, side).astype(int)
    return (slice(int(y0), int(y1)), slice(int(x0), int(x1))) if x1 > x0 and y1 > y0 else None


def _fixed_point(outline: Outline, window: tuple[slice, slice], *, finer: int) -> list[npt.NDArray[np.int32]]:
    origin = float32([window[1].start, window[0].start])
    half = np.float32(0.5)  # a pixel's centre has whole coordinates on either grid
    return [np.rint(((contour - origin + half) * finer - half) * 2**SHIFT).astype(np.int32) for contour in outline]


def _patch(filled: npt.NDArray[np.uint8], window: tuple[slice, slice], *, soft: float) -> Patch | None:
    alpha: Field = filled.astype(np.float32)
    alpha *= np.float32(1 / 255)
    if soft > 0:
        alpha = cv2.GaussianBlur(alpha, (0, 0), soft)
    return Patch(window, alpha) if alpha.max() >= 0.5 else None
