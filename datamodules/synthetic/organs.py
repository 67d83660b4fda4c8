"""Organs: slices of a body as a CT or MR scanner shows them, grey, with soft borders."""

import cv2
import numpy as np

from adapt.datamodules.synthetic.canvas import Canvas, Field, Patch, float32
from adapt.datamodules.synthetic.shapes import Points, bent, blob, fill, flattened, placed
from adapt.datamodules.synthetic.textures import coloured, noise, octaves


def draw_organs(random: np.random.Generator, side: int) -> Canvas:
    """A body on a dark ground, or a piece of one that fills the picture, with organs and what is in them."""
    canvas = Canvas(np.full((side, side, 1), random.uniform(0, 0.1), np.float32))
    flesh = random.uniform(0.2, 0.6)
    texture = octaves(random, (side, side), coarse=side * random.uniform(0.05, 0.3), fine=random.uniform(2, 5))
    for _ in range(random.choice([0, 0, 1, 2])):  # tissues side by side that are no organs
        tissue = noise(random, (side, side), scale=side * random.uniform(0.08, 0.4))
        texture += np.float32(random.uniform(1, 2)) * np.tanh(np.float32(8) * (tissue - np.float32(0.2)))
    strength = random.uniform(0.0, 0.07)
    close_up = random.random() < 0.35
    body = -1
    if close_up:
        canvas.image[:] = coloured(float32([flesh]), texture, strength=max(strength, 0.03))
        centre, size = (side / 2, side / 2), 1.2 * side
    else:
        centre = (side * random.uniform(0.35, 0.65), side * random.uniform(0.35, 0.65))
        size = side * random.uniform(0.65, 1.3)
        body = _add_body(random, canvas, texture, centre=centre, size=size, flesh=flesh, strength=strength)
    if random.random() < 0.6 and not close_up:
        _add_bones(random, canvas, centre=centre, size=size, parent=body)
    overlap = random.choice([0.02, 0.3])  # the share of an organ that may hide others
    shares = np.exp(random.uniform(np.log(random.choice([0.05, 0.15])), np.log(0.5), random.integers(3, 25)))
    for share in -np.sort(-shares):  # small ones find a place among the large
        _add_organ(
            random,
            canvas,
            texture,
            centre=centre,
            reach=0.42 * size,
            size=share * size,
            parent=body,
            strength=strength,
            overlap=overlap,
        )
    return canvas


def _add_body(
    random: np.random.Generator,
    canvas: Canvas,
    texture: Field,
    *,
    centre: tuple[float, float],
    size: float,
    flesh: float,
    strength: float,
) -> int:
    """Add the outline of a body: skin, fat and wall from the outside in."""
    ratio, angle = random.uniform(0.55, 1), random.normal(0, 0.2)
    contour = flattened([blob(random, roughness=random.uniform(0.01, 0.07))], ratio)
    soft = random.uniform(0.4, 1.5)
    whole = fill(placed(contour, centre=centre, size=size, angle=angle), side=canvas.side, soft=soft)
    if whole is None:
        raise ValueError("a body lies in the picture: its centre does")
    layers = np.clip(flesh + random.uniform(-0.3, 0.4, 3), 0.1, 0.95)
    grain = texture[whole.window]
    body = canvas.add(whole, coloured(float32([layers[0]]), grain, strength=strength), category="body")
    inner = 1.0
    for value in (*layers[1 : random.integers(1, 4)], flesh):
        inner -= random.uniform(0.02, 0.12)
        layer = fill(placed(contour, centre=centre, size=size * inner, angle=angle), side=canvas.side, soft=soft)
        if layer is not None:
            surface = coloured(float32([value]), texture[layer.window], strength=strength)
            canvas.paint(layer, surface)
    return body


def _add_organ(
    random: np.random.Generator,
    canvas: Canvas,
    texture: Field,
    *,
    centre: tuple[float, float],
    reach: float,
    size: float,
    parent: int,
    strength: float,
    overlap: float,
) -> None:
    """Add a soft-bordered blob with an intensity of its own, at times with a wall and lesions or chambers."""
    side = canvas.side
    shape = bent(random) if random.random() < 0.2 else blob(random, roughness=random.uniform(0.03, 0.3))
    outline = flattened([shape], random.uniform(0.4, 1))
    away = (reach - size / 3) * random.random() ** 0.7
    turn = random.uniform(0, 2 * np.pi)
    place = (centre[0] + away * np.cos(turn), centre[1] + 0.75 * away * np.sin(turn))
    angle = random.uniform(0, 2 * np.pi)
    soft = random.uniform(0.3, 1.8) * side / 256
    patch = fill(placed(outline, centre=place, size=size, angle=angle), side=side, soft=soft)
    if patch is None or (canvas.owner[patch.window][patch.inside] > parent).mean() > overlap:
        return
    under = float(canvas.under(patch)[0])
    kind = random.choice(["soft", "air", "bright"], p=[0.8, 0.1, 0.1])
    step = float(np.exp(random.uniform(np.log(0.08), np.log(0.35))))
    match kind:
        case "soft":
            value = _apart(random, under, step)
        case "air":
            value = random.uniform(0, 0.08)
        case _:
            value = random.uniform(0.8, 1)
    grain = texture[patch.window]
    if random.random() < 0.5:  # else that of the body
        grain = noise(random, patch.alpha.shape, scale=random.uniform(2, 8))
    surface = coloured(float32([value]), grain, strength=strength * random.uniform(0.2, 1.3))
    organ = canvas.add(patch, np.clip(surface, 0, 1), category="organ", parent=parent)
    patch = canvas.seen(patch, organ)
    if not patch.inside.any():
        return
    if random.random() < 0.3:
        _wall(random, canvas, patch, value=value)
    if size < 0.1 * side or random.random() > 0.45:
        return
    for _ in range(random.integers(1, 4)):
        _add_lesion(random, canvas, patch, size=size, parent=organ, value=value)


def _add_lesion(
    random: np.random.Generator, canvas: Canvas, whole: Patch, *, size: float, parent: int, value: float
) -> None:
    rows, columns = np.nonzero(whole.inside)
    pixel = random.integers(len(rows))
    centre = (float(columns[pixel] + whole.window[1].start), float(rows[pixel] + whole.window[0].start))
    outline = flattened([blob(random, roughness=random.uniform(0.02, 0.25))], random.uniform(0.5, 1))
    placing = placed(outline, centre=centre, size=size * random.uniform(0.1, 0.5), angle=random.uniform(0, 6))
    patch = fill(placing, side=canvas.side, soft=random.uniform(0.3, 1.5) * canvas.side / 256)
    if patch is not None:
        own = float32([_apart(random, value, random.uniform(0.08, 0.35))])
        canvas.add(patch, own, category="lesion", parent=parent)


def _add_bones(
    random: np.random.Generator, canvas: Canvas, *, centre: tuple[float, float], size: float, parent: int
) -> None:
    """Add a ring of ribs or a few bones with bright shells around darker marrow."""
    count = int(random.integers(1, 9))
    turn = random.uniform(0, 2 * np.pi)
    shell, marrow = random.uniform(0.75, 1), random.uniform(0.4, 0.75)
    for number in range(count):
        angle = turn + number * 2 * np.pi / count + random.normal(0, 0.1)
        away = size * random.uniform(0.3, 0.4)
        place = (centre[0] + away * np.cos(angle), centre[1] + 0.75 * away * np.sin(angle))
        own = size * random.uniform(0.03, 0.13)
        outline: list[Points] = flattened([blob(random, roughness=0.08)], random.uniform(0.4, 1))
        patch = fill(placed(outline, centre=place, size=own, angle=angle + np.pi / 2), side=canvas.side, soft=0.5)
        if patch is None:
            continue
        bone = canvas.add(patch, float32([shell]), category="bone", parent=parent)
        inner = fill(placed(outline, centre=place, size=0.6 * own, angle=angle + np.pi / 2), side=canvas.side, soft=0.7)
        if inner is not None:
            canvas.paint(canvas.seen(inner, bone), float32([marrow]))


def _wall(random: np.random.Generator, canvas: Canvas, patch: Patch, *, value: float) -> None:
    inner = cv2.erode(patch.alpha, np.ones((3, 3), np.uint8), iterations=int(random.integers(1, 4)))
    colour = float32([_apart(random, value, random.uniform(0.1, 0.4))])
    canvas.paint(Patch(patch.window, patch.alpha - inner), colour)


def _apart(random: np.random.Generator, value: float, step: float) -> float:
    """A value at some distance from another, 0 to 1."""
    signed = step if random.random() < 0.5 else -step
    return value + signed if 0.02 < value + signed < 0.98 else value - signed
