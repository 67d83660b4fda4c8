"""Outdoors from above: ground, roads, trees and what lies about."""

import numpy as np

from adapt.datamodules.synthetic.canvas import Canvas, Field, Patch, float32
from adapt.datamodules.synthetic.shapes import anywhere, blob, fill, placed, rectangle, stroke, wander
from adapt.datamodules.synthetic.textures import coloured, noise, octaves, speckle

SOILS = float32([[0.55, 0.42, 0.32], [0.62, 0.55, 0.45], [0.45, 0.36, 0.3], [0.7, 0.66, 0.6]])
GRASSES = float32([[0.28, 0.36, 0.2], [0.38, 0.45, 0.28], [0.45, 0.46, 0.3], [0.2, 0.28, 0.16]])
ASPHALTS = float32([[0.4, 0.4, 0.42], [0.55, 0.54, 0.53], [0.3, 0.3, 0.32], [0.66, 0.64, 0.6]])


def ground(random: np.random.Generator, side: int) -> Field:
    """(S, S, 3) soil, grass or asphalt, two of them in patches."""
    shape = (side, side)
    first, second = (kind[random.integers(len(kind))] for kind in random.permutation([SOILS, GRASSES, ASPHALTS])[:2])
    mix = octaves(random, shape, coarse=side * random.uniform(0.1, 0.5), fine=4) * np.float32(random.uniform(0.3, 3))
    share = np.clip(mix + np.float32(random.uniform(-0.5, 1)), 0, 1)
    surface: Field = first + (second - first) * share[..., None]
    grain = noise(random, shape, scale=random.uniform(1.5, 4)) + speckle(random, shape)
    surface += (grain * np.float32(random.uniform(0.01, 0.1)))[..., None]
    surface += np.float32(random.uniform(-0.1, 0.1))
    return np.clip(surface, 0, 1)


def paint_road(random: np.random.Generator, canvas: Canvas) -> None:
    """Paint a road, at times with cars; neither is an object."""
    side = canvas.side
    path = wander(random, bends=random.uniform(0, 1.2))
    angle = random.uniform(0, 2 * np.pi)
    path = placed([path], centre=anywhere(random, side), size=2 * side, angle=angle)[0]
    patch = stroke(path, side=side, width=int(random.uniform(8, 36) * side / 256), soft=random.uniform(0.3, 2))
    if patch is None:
        return
    kind = ASPHALTS if random.random() < 0.6 else SOILS
    colour = kind[random.integers(len(kind))] * np.float32(random.uniform(0.8, 1.2))
    grain = noise(random, patch.alpha.shape, scale=3)
    canvas.paint(patch, coloured(colour, grain, strength=random.uniform(0, 0.05)))
    for _ in range(random.choice([0, 2, 5])):
        size = random.uniform(6, 11) * side / 256
        at = path[random.integers(len(path))]
        turned = angle + random.normal(0, 0.2)
        car = fill(placed([rectangle(1, 0.45)], centre=(at[0], at[1]), size=size, angle=turned), side=side)
        if car is not None:
            canvas.paint(car, random.uniform(0, 1, 3).astype(np.float32))


def paint_clutter(random: np.random.Generator, canvas: Canvas) -> None:
    """Paint something small that lies about."""
    size = random.uniform(2, 7) * canvas.side / 256
    outline = placed(
        [rectangle(1, random.uniform(0.2, 1))],
        centre=anywhere(random, canvas.side),
        size=size,
        angle=random.uniform(0, 3),
    )
    patch = fill(outline, side=canvas.side)
    if patch is not None:
        canvas.paint(patch, np.float32(random.uniform(0, 0.9)) + float32(random.uniform(-0.1, 0.1, 3)))


def plant_tree(random: np.random.Generator, canvas: Canvas, *, sun: Field, named: bool) -> None:
    """Paint a tree over all that it hides, with its shadow; `named` makes it an object."""
    side = canvas.side
    size = float(np.exp(random.uniform(np.log(6), np.log(50)))) * side / 256
    outline = placed([blob(random, roughness=0.15)], centre=anywhere(random, side), size=size, angle=0)
    shadow = fill([contour + sun * np.float32(0.2 * size) for contour in outline], side=side, soft=1)
    patch = fill(outline, side=side, soft=0.8)
    if patch is None or shadow is None:
        return
    canvas.paint(Patch(shadow.window, shadow.alpha * np.float32(0.6)), np.zeros(1, np.float32))
    colour = GRASSES[random.integers(len(GRASSES))] * np.float32(random.uniform(0.5, 1))
    leaves = noise(random, patch.alpha.shape, scale=2.5) + noise(random, patch.alpha.shape, scale=6)
    surface = np.clip(coloured(colour, leaves, strength=0.13), 0, 1)
    if named:
        canvas.add(patch, surface, category="tree")
    else:
        canvas.cover(patch, surface)
