"""Cells and nuclei: many alike, apart, touching or crowded; fluorescent, stained, or seen in bright field."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from adapt.datamodules.synthetic.canvas import Canvas, Field, Patch, float32
from adapt.datamodules.synthetic.shapes import anywhere, bent, blob, fill, flattened, placed, stroke, wander
from adapt.datamodules.synthetic.textures import any_texture, coloured, noise, octaves, streaks

MOST_CELLS = 60


@dataclass(frozen=True, eq=False)
class Look:
    """What the cells of one image have in common.

    Attributes:
        colours: (2, C), the palest and the strongest cell.
        grain: (S, S) field, the texture that each cell shows its own piece of.
        strength: of the grain.
        rim: (C,), colour of a cell's border.
        rim_strength: 0 is no visible border.
        parting: the least strength of the rim of a cell that lies on another.
        domed: whether the middle of a cell is stronger than its border.
        parts: chance that a cell has parts.
    """

    colours: Field
    grain: Field
    strength: float
    rim: Field
    rim_strength: float
    parting: float
    domed: float
    parts: float


def draw_fluorescence(random: np.random.Generator, side: int) -> Canvas:
    """Bright cells on dark, grey."""
    dark = random.uniform(0.0, 0.2)
    ground = np.full((side, side, 1), dark, np.float32)
    haze = noise(random, (side, side), scale=side * random.uniform(0.15, 0.6))
    ground += np.maximum(haze, 0)[..., None] ** 2 * np.float32(random.uniform(0, 0.2))
    if random.random() < 0.25:
        fibres = streaks(random, (side, side), scale=random.uniform(3, 8), stretch=random.uniform(5, 20))
        ground += np.maximum(fibres, 0)[..., None] * np.float32(random.uniform(0.02, 0.15))
    dimmest = dark + random.uniform(0.12, 0.5)
    look = Look(
        colours=float32([[dimmest], [random.uniform(dimmest + 0.05, 1.0)]]),
        grain=octaves(random, (side, side), coarse=random.uniform(4, 12), fine=2),
        strength=random.uniform(0, 0.2),
        rim=float32([random.choice([dark, 0.5 * dark, 1.0])]),
        rim_strength=random.choice([0, random.uniform(0, 0.7)]),
        parting=random.uniform(0, 0.7),
        domed=random.choice([0, random.uniform(0, 0.8)]),
        parts=random.choice([0, 0, 0.5]),
    )
    return _populated(random, Canvas(ground), look)


def draw_stained(random: np.random.Generator, side: int) -> Canvas:
    """Dark nuclei in pink and purple tissue with pale gaps."""
    pale = float32([0.93, 0.9, 0.92]) + float32(random.uniform(-0.06, 0.06, 3))
    pink = float32([0.85, 0.55, 0.75]) + float32(random.uniform(-0.12, 0.12, 3))
    purple = float32([0.62, 0.4, 0.68]) + float32(random.uniform(-0.12, 0.12, 3))
    shape = (side, side)
    tissue = octaves(random, shape, coarse=side * random.uniform(0.1, 0.4), fine=4)
    fibres = streaks(random, shape, scale=random.uniform(2, 6), stretch=random.uniform(3, 10))
    mixed = np.clip(0.5 + 0.5 * tissue + np.float32(random.uniform(0, 0.5)) * fibres, 0, 1)[..., None]
    ground = pink + (purple - pink) * mixed * np.float32(random.uniform(0.2, 1))
    gaps = octaves(random, shape, coarse=side * random.uniform(0.08, 0.5), fine=6) + random.uniform(-1.6, 1.2)
    ground += (pale - ground) * np.clip(gaps * np.float32(random.uniform(1, 6)), 0, 1)[..., None].astype(np.float32)
    ground += coloured(np.zeros(3, np.float32), noise(random, shape, scale=2), strength=random.uniform(0, 0.08))
    strong = float32([0.27, 0.15, 0.42]) + float32(random.uniform(-0.1, 0.15, 3))
    look = Look(
        colours=np.stack([strong + np.float32(random.uniform(0.05, 0.25)), strong]),
        grain=octaves(random, shape, coarse=random.uniform(3, 8), fine=1.5),
        strength=random.uniform(0.02, 0.15),
        rim=strong * np.float32(0.6) if random.random() < 0.5 else pink,
        rim_strength=random.choice([0, random.uniform(0, 0.8)]),
        parting=random.uniform(0.2, 0.8),
        domed=random.uniform(-0.3, 0.2),
        parts=random.choice([0, 0, 0.4]),
    )
    return _populated(random, Canvas(np.clip(ground, 0, 1)), look)


def draw_bright_field(random: np.random.Generator, side: int) -> Canvas:
    """Cells a little darker or brighter than a bright ground, with clear rims, at times in colour."""
    colour = np.float32(random.uniform(0.5, 0.95)) + float32(random.uniform(-0.08, 0.08, 3))
    texture = any_texture(random, (side, side))
    ground = coloured(colour, texture, strength=random.uniform(0, 0.06))
    hue = float32(random.uniform(0.1, 1, 3))
    depth = np.float32(random.uniform(0.15, 0.6))
    strong = np.clip(colour - depth * hue, 0, 1)
    look = Look(
        colours=np.stack([colour + (strong - colour) * np.float32(random.uniform(0.3, 0.9)), strong]),
        grain=octaves(random, (side, side), coarse=random.uniform(3, 15), fine=2),
        strength=random.uniform(0.0, 0.15),
        rim=np.float32(random.choice([0.1, 1.0])) * np.ones(3, np.float32),
        rim_strength=random.uniform(0.2, 1),
        parting=0.3,
        domed=random.uniform(-0.4, 0.4),
        parts=random.choice([0, 0.7]),
    )
    return _populated(random, Canvas(np.clip(ground, 0, 1)), look)


def _populated(random: np.random.Generator, canvas: Canvas, look: Look) -> Canvas:
    """Add the cells: sizes alike within an image, places drawn so that they crowd or keep apart."""
    side = canvas.side
    typical = float(np.exp(random.uniform(np.log(8), np.log(70)))) * side / 256
    spread = random.uniform(0.05, 0.4)
    densest = MOST_CELLS if typical < 0.1 * side else 1 + int(0.9 * (side / typical) ** 2)
    most = max(4, min(MOST_CELLS, densest))
    fewest = min(most, max(3, int(0.5 * side / typical)))
    wanted = most if random.random() < 0.25 else int(np.exp(random.uniform(np.log(fewest), np.log(most + 1))))
    sizes = typical * np.exp(random.normal(0, spread, wanted))
    ratio, roughness = random.uniform(0.35, 1), random.choice([0.03, random.uniform(0.03, 0.25)])
    direction = random.uniform(0, np.pi)
    aligned = random.choice([0.15, 2.0])  # radians of spread: fibres of a tissue, or no order
    for centre, size in _places(random, sizes, side=side, flat=ratio):
        shape = bent(random) if random.random() < 0.06 else blob(random, roughness=roughness, points=28)
        outline = flattened([shape], np.clip(ratio * np.exp(random.normal(0, 0.15)), 0.25, 1))
        turned = placed(outline, centre=centre, size=size, angle=direction + random.normal(0, aligned))
        patch = fill(turned, side=side, soft=0.0)
        if patch is not None:
            _add_cell(random, canvas, patch, look=look, size=size)
    for _ in range(random.choice([0, 0, 0, 1, 3])):
        _smear(random, canvas, look)
    return canvas


def _places(
    random: np.random.Generator, sizes: npt.NDArray[np.float64], *, side: int, flat: float
) -> list[tuple[tuple[float, float], float]]:
    """Centre and size of each cell that finds a place; neighbours are at least a share of their radii apart."""
    room = random.uniform(0.75, 1.0) * (0.5 + 0.5 * flat)
    clustered = random.choice([0.0, random.uniform(0.3, 0.95)])
    centres = np.empty((len(sizes), 2))
    radii = np.empty(len(sizes))
    found = 0
    for size in sizes:
        for _ in range(6):
            if found and random.random() < clustered:
                neighbour = random.integers(found)
                angle = random.uniform(0, 2 * np.pi)
                reach = (radii[neighbour] + size / 2) * room * random.uniform(1, 1.25)
                centre = centres[neighbour] + reach * np.array([np.cos(angle), np.sin(angle)])
            else:
                centre = random.uniform(0, side, 2)
            apart = np.hypot(*(centres[:found] - centre).T)
            if (centre > 0).all() and (centre < side).all() and (apart > room * (radii[:found] + size / 2)).all():
                centres[found], radii[found] = centre, size / 2
                found += 1
                break
    return [((float(x), float(y)), float(2 * radius)) for (x, y), radius in zip(centres, radii[:found], strict=False)]


def _add_cell(random: np.random.Generator, canvas: Canvas, patch: Patch, *, look: Look, size: float) -> None:
    weak, strong = look.colours
    colour = weak + (strong - weak) * np.float32(random.random())
    ground = canvas.image[patch.window]
    surface = coloured(colour, look.grain[patch.window], strength=look.strength * float(abs(colour - 0.5).mean() + 0.5))
    if look.domed:
        dome = cv2.blur(patch.alpha, (1 + 2 * int(size / 5),) * 2, borderType=cv2.BORDER_CONSTANT)
        surface += (ground - surface) * (1 - dome)[..., None] * np.float32(look.domed)
    rim = max(look.rim_strength, look.parting) if canvas.taken(patch) > 0.01 else look.rim_strength
    if rim:
        width = 1 + int(size > 40)
        inner = cv2.erode(patch.alpha, np.ones((3, 3), np.uint8), iterations=width)
        surface += (look.rim - surface) * ((patch.alpha - inner) * np.float32(rim))[..., None]
    cell = canvas.add(patch, np.clip(surface, 0, 1), category="cell")
    if size < 16 or random.random() >= look.parts:
        return
    x = (patch.window[1].start + patch.window[1].stop) / 2
    y = (patch.window[0].start + patch.window[0].stop) / 2
    darker = np.clip(colour + (strong - weak) * 0.5 + random.choice([-1, 1]) * random.uniform(0.12, 0.3), 0, 1)
    for _ in range(random.choice([1, 1, 2, 4])):
        centre = (x + random.normal(0, 0.1 * size), y + random.normal(0, 0.1 * size))
        outline = placed(
            [blob(random, roughness=0.1, points=20)], centre=centre, size=size * random.uniform(0.15, 0.5), angle=0
        )
        part = fill(outline, side=canvas.side)
        if part is not None:
            canvas.add(part, darker.astype(np.float32), category="nucleus", parent=cell)


def _smear(random: np.random.Generator, canvas: Canvas, look: Look) -> None:
    """Paint debris or a fibre that is no cell."""
    side = canvas.side
    size, angle = side * random.uniform(0.1, 0.9), random.uniform(0, 6)
    path = placed([wander(random, bends=2.0)], centre=anywhere(random, side), size=size, angle=angle)
    patch = stroke(path[0], side=side, width=int(random.integers(2, 12)), soft=random.uniform(1, 4))
    if patch is not None:
        canvas.paint(Patch(patch.window, patch.alpha * np.float32(random.uniform(0.1, 0.5))), look.colours[0])
