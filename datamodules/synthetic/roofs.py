"""Roofs: an aerial image of houses with shadows, on ground with roads, trees, cars and clutter."""

from dataclasses import dataclass

import cv2
import numpy as np

from adapt.datamodules.synthetic.canvas import Canvas, Field, Patch, float32
from adapt.datamodules.synthetic.outdoors import ground, paint_clutter, paint_road, plant_tree
from adapt.datamodules.synthetic.shapes import Outline, anywhere, fill, floor_plan, placed, rectangle
from adapt.datamodules.synthetic.textures import octaves

ROOFS = float32(
    [
        [0.5, 0.3, 0.22],  # rust
        [0.66, 0.4, 0.32],  # clay
        [0.62, 0.28, 0.26],  # red tiles
        [0.72, 0.7, 0.66],  # sheet metal
        [0.88, 0.88, 0.87],  # white
        [0.55, 0.55, 0.56],  # concrete
        [0.3, 0.31, 0.34],  # slate
        [0.62, 0.55, 0.45],  # weathered
        [0.4, 0.5, 0.62],  # blue
        [0.36, 0.45, 0.4],  # green
    ]
)


@dataclass(frozen=True, eq=False)
class House:
    """One building on the canvas: its outline as placed, centre, half sizes along its axes and angle."""

    outline: Outline
    centre: tuple[float, float]
    half: tuple[float, float]
    angle: float


@dataclass(frozen=True, eq=False)
class Quarter:
    """What the roofs of one picture have in common.

    Attributes:
        sun: (x, y) direction that shadows fall in, length one.
        stains: (S, S) field, of which each roof shows its own piece.
        palette: (K, 3) colours.
        stained: how strong the stains are.
        ribbed: chance that a roof has ribs.
        pitched: chance that it has a ridge or hips.
        edged: chance that its border is drawn.
        parts: chance that it carries chimneys, dormers or skylights.
    """

    sun: Field
    stains: Field
    palette: Field
    stained: float
    ribbed: float
    pitched: float
    edged: float
    parts: float


def draw_roofs(random: np.random.Generator, side: int) -> Canvas:
    """Houses in rows or scattered, all with shadows on the same side."""
    canvas = Canvas(ground(random, side))
    for _ in range(random.choice([0, 1, 1, 2])):
        paint_road(random, canvas)
    for _ in range(random.choice([0, 0, 15, 30])):
        paint_clutter(random, canvas)
    direction = random.uniform(0, np.pi)
    houses = _rows(random, side, direction) if random.random() < 0.55 else _scattered(random, side, direction)
    turn = random.uniform(0, 2 * np.pi)
    quarter = Quarter(
        sun=float32([np.cos(turn), np.sin(turn)]),
        stains=octaves(random, (side, side), coarse=random.uniform(6, 40), fine=2),
        palette=random.permutation(ROOFS)[: random.integers(1, 6)] + float32(random.normal(0, 0.05, 3)),
        stained=random.uniform(0, 0.1),
        ribbed=random.choice([0, random.random()]),
        pitched=random.random(),
        edged=random.random(),
        parts=random.choice([0, 0, 0.4]),
    )
    height = random.uniform(0, 0.2)
    for house in houses:
        _paint_shadow(canvas, house, sun=quarter.sun, height=height)
    for house in houses:
        _add_roof(random, canvas, house, quarter)
    named = random.random() < 0.3  # trees are objects in some pictures
    for _ in range(random.choice([0, 0, 2, 6, 12])):
        plant_tree(random, canvas, sun=quarter.sun, named=named)
    return canvas


def _rows(random: np.random.Generator, side: int, direction: float) -> list[House]:
    """Fill the picture with rows of houses that touch or nearly do."""
    depth = random.uniform(18, 64) * side / 256
    gap, lane = random.choice([0.0, 1.0, random.uniform(1, 8)]), random.choice([1.0, random.uniform(2, 20)])
    untidy = random.choice([0.01, 0.08])
    houses = []
    reach = 0.75 * side
    v = -reach
    while v < reach:
        deep = depth * random.uniform(0.7, 1.3)
        u = -reach - random.uniform(0, depth)
        while u < reach:
            wide = depth * float(np.exp(random.uniform(-0.6, 0.7)))
            if random.random() < 0.9:  # else a free plot
                high = deep * random.uniform(0.75, 1)
                x, y = u + wide / 2, v + high / 2
                centre = (
                    side / 2 + x * np.cos(direction) - y * np.sin(direction),
                    side / 2 + x * np.sin(direction) + y * np.cos(direction),
                )
                angle = direction + random.normal(0, untidy)
                if -wide < centre[0] < side + wide and -high < centre[1] < side + high:
                    houses.append(_house([rectangle(1, high / wide)], centre, wide, angle, high / 2))
            u += wide + gap
        v += deep + lane
    return houses


def _scattered(random: np.random.Generator, side: int, direction: float) -> list[House]:
    """Houses of any plan that keep apart, mostly along one direction."""
    typical = float(np.exp(random.uniform(np.log(14), np.log(130)))) * side / 256
    tidy = random.choice([0.02, 0.1, 2.0])
    houses: list[House] = []
    for _ in range(int(random.integers(2, 10 + int(side / typical) * 4))):
        size = typical * float(np.exp(random.normal(0, 0.35)))
        plan = floor_plan(random)
        centre = anywhere(random, side)
        angle = direction + random.choice([0, np.pi / 2]) + random.normal(0, tidy)
        tall = size * float(np.ptp(plan[:, 1])) / 2
        apart = [np.hypot(centre[0] - other.centre[0], centre[1] - other.centre[1]) for other in houses]
        room = [0.9 * np.hypot(*other.half) + 0.9 * np.hypot(size / 2, tall) for other in houses]
        if all(distance > least for distance, least in zip(apart, room, strict=True)):
            houses.append(_house([plan], centre, size, angle, tall))
    return houses


def _house(plan: Outline, centre: tuple[float, float], size: float, angle: float, tall: float) -> House:
    return House(placed(plan, centre=centre, size=size, angle=angle), centre, (size / 2, tall), angle)


def _paint_shadow(canvas: Canvas, house: House, *, sun: Field, height: float) -> None:
    offset = sun * np.float32(height * min(house.half) * 2)
    shadow = fill([contour + offset for contour in house.outline], side=canvas.side, soft=0.5)
    if shadow is not None:
        canvas.paint(Patch(shadow.window, shadow.alpha * np.float32(0.65)), float32([0.03, 0.03, 0.06]))


def _add_roof(random: np.random.Generator, canvas: Canvas, house: House, quarter: Quarter) -> None:
    patch = fill(house.outline, side=canvas.side)
    if patch is None:
        return
    colour = quarter.palette[random.integers(len(quarter.palette))] * np.float32(random.uniform(0.8, 1.2))
    colour = colour + float32(random.normal(0, 0.02, 3))
    if np.abs(colour - canvas.under(patch)).max() < 0.08:
        colour = colour * np.float32(1.35 if colour.mean() < 0.6 else 0.7)
    u, v = _axes(patch, house)
    light = np.ones(patch.alpha.shape, np.float32)
    if random.random() < quarter.pitched:
        light = _pitched(u, v, house, sun=quarter.sun, steep=random.uniform(0.1, 0.4), hipped=random.random() < 0.3)
    if random.random() < quarter.ribbed and min(house.half) > 6:
        period = random.uniform(3, 8)
        ribs = np.sin((v if random.random() < 0.2 else u) * np.float32(2 * np.pi / period))
        light = light * (1 + ribs * np.float32(random.uniform(0.02, 0.12)))
    stains = quarter.stains[patch.window] * np.float32(quarter.stained)
    surface = colour * (light + stains)[..., None]
    if random.random() < 0.25:  # rust, or sheets of another kind
        worn = np.clip(quarter.stains[patch.window] * 3 - random.uniform(-1, 2), 0, 1)[..., None]
        surface += (ROOFS[random.integers(3)] - surface) * worn * np.float32(random.uniform(0.2, 0.9))
    roof = canvas.add(patch, np.clip(surface, 0, 1), category="roof")
    if random.random() < quarter.edged:
        inner = cv2.erode(patch.alpha, np.ones((3, 3), np.uint8), iterations=1)
        edge = Patch(patch.window, (patch.alpha - inner) * np.float32(random.uniform(0.2, 0.7)))
        canvas.paint(edge, float32([random.choice([0.1, 0.9])]))
    if min(house.half) > 10 and random.random() < quarter.parts:
        for _ in range(random.integers(1, 4)):
            _add_part_of_roof(random, canvas, house, quarter, parent=roof)


def _axes(patch: Patch, house: House) -> tuple[Field, Field]:
    """Distance of each pixel from the middle of the house along and across it, pixels."""
    x = np.arange(patch.window[1].start, patch.window[1].stop, dtype=np.float32) - np.float32(house.centre[0])
    y = np.arange(patch.window[0].start, patch.window[0].stop, dtype=np.float32)[:, None] - np.float32(house.centre[1])
    cosine, sine = np.float32(np.cos(house.angle)), np.float32(np.sin(house.angle))
    return x * cosine + y * sine, y * cosine - x * sine


def _pitched(u: Field, v: Field, house: House, *, sun: Field, steep: float, hipped: bool) -> Field:
    """How bright each pixel of a roof with a ridge along it is: the sides that face the sun are brighter."""
    across = float32([-np.sin(house.angle), np.cos(house.angle)])
    along = float32([np.cos(house.angle), np.sin(house.angle)])
    if house.half[0] < house.half[1]:  # the ridge runs along the longer side
        u, v, along, across = v, u, across, along
    long, short = max(house.half), min(house.half)
    facing = np.sign(v) * np.float32(-(sun @ across))
    if hipped:
        ends = np.abs(u) - np.float32(long - short) > np.abs(v)
        facing = np.where(ends, np.sign(u) * np.float32(-(sun @ along)), facing)
    light: Field = 1 + np.float32(steep) * facing
    light += np.float32(0.12) * (np.abs(v) < 1)  # the ridge itself
    return light


def _add_part_of_roof(
    random: np.random.Generator, canvas: Canvas, house: House, quarter: Quarter, *, parent: int
) -> None:
    """Add a chimney, a dormer or a skylight."""
    u, v = (random.uniform(-0.75, 0.75) * half for half in house.half)
    cosine, sine = np.cos(house.angle), np.sin(house.angle)
    centre = (house.centre[0] + u * cosine - v * sine, house.centre[1] + u * sine + v * cosine)
    size = min(house.half) * random.uniform(0.15, 0.5)
    outline = placed([rectangle(1, random.uniform(0.5, 1))], centre=centre, size=size, angle=house.angle)
    shadow = fill([contour + quarter.sun * np.float32(0.25 * size) for contour in outline], side=canvas.side, soft=0.4)
    patch = fill(outline, side=canvas.side)
    if patch is None or shadow is None:
        return
    canvas.paint(Patch(shadow.window, shadow.alpha * np.float32(0.5)), np.zeros(1, np.float32))
    colour = np.float32(random.choice([0.15, 0.85])) + float32(random.uniform(-0.1, 0.1, 3))
    canvas.add(patch, colour, category="part", parent=parent)
