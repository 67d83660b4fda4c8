"""Fields of values and colours that surfaces are made of.

A field is (h, w) float32 with a mean near zero and values mostly between -1 and 1.
"""

import cv2
import numpy as np

from adapt.datamodules.synthetic.canvas import Field


def noise(random: np.random.Generator, shape: tuple[int, int], *, scale: float) -> Field:
    """Smooth noise whose spots are about `scale` pixels wide."""
    rows, columns = (max(2, round(length / scale) + 2) for length in shape)
    small = random.uniform(-1, 1, (rows, columns)).astype(np.float32)
    field: Field = cv2.resize(small, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return field


def streaks(random: np.random.Generator, shape: tuple[int, int], *, scale: float, stretch: float) -> Field:
    """Smooth noise, longer than wide in any direction: fibres."""
    diagonal = int(np.hypot(*shape)) + 2
    rows, columns = max(2, round(diagonal / scale)), max(2, round(diagonal / (scale * stretch)))
    small = random.uniform(-1, 1, (rows, columns)).astype(np.float32)
    angle = random.uniform(0, np.pi)
    cosine, sine = np.cos(angle), np.sin(angle)
    # From the canvas to the small field: turn about the middle, then shrink each axis by its own scale.
    shrink = np.diag([columns / diagonal, rows / diagonal])
    matrix = shrink @ np.array([[cosine, sine], [-sine, cosine]])
    offset = np.array([columns / 2, rows / 2]) - matrix @ np.array([shape[1] / 2, shape[0] / 2])
    field: Field = cv2.warpAffine(
        small,
        np.hstack([matrix, offset[:, None]]),
        (shape[1], shape[0]),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )
    return field


def octaves(random: np.random.Generator, shape: tuple[int, int], *, coarse: float, fine: float) -> Field:
    """Noise of three scales between two (pixels), the coarsest the strongest: clouds, soil, tissue."""
    scales = np.geomspace(coarse, max(fine, 1.5), 3)
    field = noise(random, shape, scale=scales[0])
    for scale, strength in zip(scales[1:], (0.6, 0.4), strict=True):
        field += np.float32(strength) * noise(random, shape, scale=scale)
    return field


def grating(random: np.random.Generator, shape: tuple[int, int], *, period: float, angle: float) -> Field:
    """Parallel waves, soft or hard; `angle` (radians) is the direction across them."""
    hard = np.float32(random.choice([1, 4]))
    field: Field = np.tanh(hard * np.sin(ramp(shape, angle=angle) * np.float32(2 * np.pi / period)))
    return field


def ramp(shape: tuple[int, int], *, angle: float) -> Field:
    """Distance in pixels from the middle along a direction (radians)."""
    rows = np.arange(shape[0], dtype=np.float32) - np.float32(shape[0] / 2)
    columns = np.arange(shape[1], dtype=np.float32) - np.float32(shape[1] / 2)
    field: Field = rows[:, None] * np.float32(np.sin(angle)) + columns * np.float32(np.cos(angle))
    return field


def speckle(random: np.random.Generator, shape: tuple[int, int]) -> Field:
    """Another value at each pixel."""
    return random.standard_normal(shape, dtype=np.float32) * np.float32(0.5)


def any_texture(random: np.random.Generator, shape: tuple[int, int]) -> Field:
    """A field of any kind, flat at times."""
    span = max(shape)
    kind = random.choice(8, p=[0.16, 0.2, 0.12, 0.12, 0.12, 0.08, 0.1, 0.1])
    match kind:
        case 0:
            return np.zeros(shape, dtype=np.float32)
        case 1:
            return octaves(random, shape, coarse=random.uniform(0.1, 0.5) * span, fine=2)
        case 2:
            return noise(random, shape, scale=random.uniform(2, 8))
        case 3:
            period = max(3.0, float(np.exp(random.uniform(np.log(3), np.log(max(span / 2, 4))))))
            return grating(random, shape, period=period, angle=random.uniform(0, np.pi))
        case 4:
            return ramp(shape, angle=random.uniform(0, 2 * np.pi)) * np.float32(1.6 / span)
        case 5:
            return speckle(random, shape)
        case 6:
            return streaks(random, shape, scale=random.uniform(2, 6), stretch=random.uniform(3, 12))
        case _:
            field = noise(random, shape, scale=random.uniform(4, 0.2 * span + 5))
            return np.where(field > random.uniform(-0.4, 0.4), np.float32(0.7), np.float32(-0.5))  # spots


def coloured(colour: Field, field: Field, *, strength: float, tint: Field | None = None) -> Field:
    """(h, w, C) float32: a colour, brighter and darker by a field.

    Args:
        colour: (C,).
        field: (h, w).
        strength: what the field is multiplied by.
        tint: (C,), how much each channel follows; None is each the same.
    """
    scaled = field[..., None] * np.float32(strength)
    surface: Field = colour + (scaled if tint is None else scaled * tint)
    return surface


def colour_apart(random: np.random.Generator, ground: Field, *, contrast: float) -> Field:
    """(C,) float32: a colour at some distance from another, mostly brighter or darker, at times of another hue."""
    direction = random.normal(0, 1, len(ground)) * random.uniform(0, 0.8) + random.choice([-1, 1])
    step = contrast * direction / np.abs(direction).mean()
    outside = np.abs(np.clip(ground + step, 0, 1) - ground).sum() < np.abs(np.clip(ground - step, 0, 1) - ground).sum()
    colour: Field = np.clip(ground + (-step if outside else step), 0, 1).astype(np.float32)
    return colour
