"""Things: objects of any shape, colour and texture, one over another, on a textured ground."""

import cv2
import numpy as np

from adapt.datamodules.synthetic.canvas import Canvas, Field, Patch, float32
from adapt.datamodules.synthetic.shapes import any_outline, anywhere, fill, placed, rectangle, stroke, wander
from adapt.datamodules.synthetic.textures import any_texture, colour_apart, coloured, octaves

SMALLEST_PARENT = 20.0  # pixels; smaller things have no parts


def draw_things(random: np.random.Generator, side: int) -> Canvas:
    """One to ten things with parts, at times thin ones."""
    canvas = Canvas(_ground(random, side))
    calm = random.uniform(0.1, 1)  # one picture's objects are alike in how much they stand out
    for _ in range(random.integers(0, 3)):
        _distract(random, canvas)
    shares = np.exp(random.uniform(np.log(10 / 256), np.log(0.8), random.integers(1, 11)))
    shares[0] = random.uniform(0.15, 0.8)  # no picture is all but empty
    for share in random.permutation(shares):
        _add_thing(random, canvas, size=float(share * side), calm=calm)
    if random.random() < 0.2:
        for _ in range(random.integers(1, 5)):
            _add_thread(random, canvas)
    return canvas


def _ground(random: np.random.Generator, side: int) -> Field:
    grey = random.uniform(0.1, 0.9)
    colour = np.clip(grey + random.random() * random.uniform(-0.4, 0.4, 3), 0.02, 0.98).astype(np.float32)
    strength = random.uniform(0, 0.25) * random.random()
    ground = coloured(colour, any_texture(random, (side, side)), strength=strength, tint=_tint(random))
    if random.random() < 0.5:
        clouds = octaves(random, (side, side), coarse=side * random.uniform(0.1, 0.6), fine=2)
        ground += coloured(np.zeros(3, np.float32), clouds, strength=random.uniform(0.02, 0.15), tint=_tint(random))
    return np.clip(ground, 0, 1)


def _distract(random: np.random.Generator, canvas: Canvas) -> None:
    """Paint a soft spot or another texture that is no object."""
    size = canvas.side * random.uniform(0.2, 0.9)
    outline = placed(any_outline(random), centre=anywhere(random, canvas.side), size=size, angle=_turn(random))
    patch = fill(outline, side=canvas.side, soft=size * random.uniform(0.05, 0.12))
    if patch is not None:
        field = any_texture(random, patch.alpha.shape)
        canvas.paint(patch, _surface(random, canvas.under(patch), patch, field, contrast=random.uniform(0, 0.15)))


def _add_thing(random: np.random.Generator, canvas: Canvas, *, size: float, calm: float) -> None:
    side = canvas.side
    outline = placed(any_outline(random), centre=anywhere(random, side), size=size, angle=_turn(random))
    patch = fill(outline, side=side, soft=random.choice([0, 0, 0, 0.7]))
    if patch is None:
        return
    if random.random() < 0.2:
        offset = float32(random.uniform(-0.08, 0.08, 2) * size)
        shadow = fill([contour + offset for contour in outline], side=side, soft=max(0.5, 0.03 * size))
        if shadow is not None:
            canvas.paint(_faint(shadow, random.uniform(0.3, 0.8)), np.zeros(1, np.float32))
    contrast = float(np.exp(random.uniform(np.log(0.08), np.log(0.6)))) * (0.5 + calm / 2)
    ground = canvas.under(patch)
    field = any_texture(random, patch.alpha.shape)
    thing = canvas.add(patch, _surface(random, ground, patch, field, contrast=contrast), category="thing")
    if random.random() < 0.2:
        _outline(random, canvas, patch)
    if size > SMALLEST_PARENT and random.random() < 0.45:
        for _ in range(random.integers(1, 5)):
            _add_part(random, canvas, patch, size=size, parent=thing)


def _add_part(random: np.random.Generator, canvas: Canvas, whole: Patch, *, size: float, parent: int) -> None:
    """Add a spot or a stripe to a thing, at times with a spot of its own."""
    rows, columns = np.nonzero(whole.inside)
    pixel = random.integers(len(rows))
    centre = (float(columns[pixel] + whole.window[1].start), float(rows[pixel] + whole.window[0].start))
    striped = random.random() < 0.25
    size *= random.uniform(0.15, 0.6)
    outline = [rectangle(6, random.uniform(0.1, 0.5))] if striped else any_outline(random)
    patch = fill(placed(outline, centre=centre, size=size, angle=_turn(random)), side=canvas.side)
    if patch is None:
        return
    field = any_texture(random, patch.alpha.shape)
    surface = _surface(random, canvas.under(patch), patch, field, contrast=random.uniform(0.08, 0.5))
    part = canvas.add(patch, surface, category="part", parent=parent)
    seen = canvas.seen(patch, part)
    if size > SMALLEST_PARENT and seen.inside.any() and random.random() < 0.35:
        _add_part(random, canvas, seen, size=size, parent=part)


def _add_thread(random: np.random.Generator, canvas: Canvas) -> None:
    """Add a thin curve: a vessel, a wire, a crack."""
    side = canvas.side
    path = wander(random, bends=random.uniform(0, 4))
    path = placed([path], centre=anywhere(random, side), size=side * random.uniform(0.3, 1.4), angle=_turn(random))[0]
    patch = stroke(path, side=side, width=max(2, round(random.uniform(2, 7) * side / 256)))
    if patch is not None:
        colour = colour_apart(random, canvas.under(patch), contrast=random.uniform(0.12, 0.6))
        canvas.add(patch, colour, category="thread")


def _outline(random: np.random.Generator, canvas: Canvas, patch: Patch) -> None:
    """Draw the border of an object, inside it."""
    width = int(random.integers(1, 3))
    inner = cv2.erode(patch.alpha, np.ones((3, 3), np.uint8), iterations=width)
    colour = float32([random.choice([0.05, 0.95])])
    canvas.paint(Patch(patch.window, (patch.alpha - inner) * np.float32(random.uniform(0.4, 1))), colour)


def _surface(random: np.random.Generator, ground: Field, patch: Patch, field: Field, *, contrast: float) -> Field:
    colour = colour_apart(random, ground, contrast=contrast)
    strength = random.uniform(0, 0.3) * random.random()
    return np.clip(coloured(colour, field, strength=strength, tint=_tint(random)), 0, 1)


def _tint(random: np.random.Generator) -> Field:
    return random.uniform(0.4, 1, 3).astype(np.float32)


def _faint(patch: Patch, share: float) -> Patch:
    return Patch(patch.window, patch.alpha * np.float32(share))


def _turn(random: np.random.Generator) -> float:
    return float(random.uniform(0, 2 * np.pi))
