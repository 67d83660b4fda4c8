"""Synthetic images with exact masks, drawn at random: what a model can be pretrained on without anyone's data."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from adapt.datamodules.synthetic.canvas import Canvas
from adapt.datamodules.synthetic.cells import draw_bright_field, draw_fluorescence, draw_stained
from adapt.datamodules.synthetic.organs import draw_organs
from adapt.datamodules.synthetic.photometry import Camera, photograph
from adapt.datamodules.synthetic.roofs import draw_roofs
from adapt.datamodules.synthetic.things import draw_things

MOST_OBJECTS = 48
LEAST_SEEN = 0.25  # of an object; what is left of one that is hidden further says little about its shape
TRIES = 8  # pictures that are drawn before one whose objects are all too small is taken


@dataclass(frozen=True)
class Family:
    """A kind of scene.

    Attributes:
        weight: share of the images.
        draw: paints one, of (generator, side).
        camera: how it is taken.
    """

    weight: float
    draw: Callable[[np.random.Generator, int], Canvas]
    camera: Camera


MICROSCOPE = Camera(grey=0.1, inverted=0.05, blur=1.5, coarse=0.1, uneven=0.3, dim=0.5, noise=0.08, compressed=0.4)
FAMILIES = {
    "things": Family(
        0.28,
        draw_things,
        Camera(grey=0.25, inverted=0.1, blur=1.5, coarse=0.15, uneven=0.5, dim=0.5, noise=0.08, compressed=0.5),
    ),
    "fluorescence": Family(
        0.15,
        draw_fluorescence,
        Camera(grey=1.0, inverted=0.05, blur=2.0, coarse=0.15, uneven=0.5, dim=0.12, noise=0.1, compressed=0.2),
    ),
    "stained": Family(0.1, draw_stained, MICROSCOPE),
    "bright_field": Family(0.07, draw_bright_field, MICROSCOPE),
    "roofs": Family(
        0.2,
        draw_roofs,
        Camera(grey=0.15, inverted=0.0, blur=1.2, coarse=0.1, uneven=0.15, dim=0.6, noise=0.06, compressed=0.6),
    ),
    "organs": Family(
        0.2,
        draw_organs,
        Camera(grey=1.0, inverted=0.1, blur=1.8, coarse=0.4, uneven=0.5, dim=0.5, noise=0.1, compressed=0.1),
    ),
}


@dataclass(frozen=True, eq=False)
class Scene:
    """One picture and all that is an object in it.

    Attributes:
        image: (S, S, 3) uint8.
        masks: (N, S, S) bool, what is seen of each object, its parts included; 1 <= N <= 48 and none empty.
        categories: N names.
        family: key of `FAMILIES`.
    """

    image: npt.NDArray[np.uint8]
    masks: npt.NDArray[np.bool_]
    categories: tuple[str, ...]
    family: str


def draw_scene(random: np.random.Generator, *, side: int, smallest: float) -> Scene:
    """Draw a picture of any family; the same state of the generator gives the same picture.

    Args:
        random: all that is random is drawn from it.
        side: of the image, pixels.
        smallest: objects that cover less than this share of the image have no mask, as those that others hide
            nearly; where no object of several pictures is left, the largest one of the last has a mask.
    """
    names = list(FAMILIES)
    weights = np.array([family.weight for family in FAMILIES.values()])
    name = names[random.choice(len(names), p=weights / weights.sum())]
    return draw_family(random, name, side=side, smallest=smallest)


def draw_family(random: np.random.Generator, name: str, *, side: int, smallest: float) -> Scene:
    """Draw a picture of one family, a key of `FAMILIES`; the rest as `draw_scene`."""
    family = FAMILIES[name]
    for _ in range(TRIES):
        canvas = family.draw(random, side)
        numbers = _chosen(random, canvas, least=max(1.0, smallest * side**2))
        if len(numbers):
            break
    else:
        numbers = _largest(canvas)
    image = photograph(random, canvas.image, camera=family.camera)
    categories = tuple(canvas.categories[number] for number in numbers)
    return Scene(image, canvas.masks(numbers), categories, name)


def _chosen(random: np.random.Generator, canvas: Canvas, *, least: float) -> npt.NDArray[np.int64]:
    """Numbers of the objects that get a mask: those seen well enough, or as many of them as there may be."""
    numbers = np.nonzero((canvas.areas() >= least) & (canvas.shares() >= LEAST_SEEN))[0]
    if len(numbers) > MOST_OBJECTS:
        numbers = np.sort(random.choice(numbers, MOST_OBJECTS, replace=False))
    return numbers


def _largest(canvas: Canvas) -> npt.NDArray[np.int64]:
    areas = canvas.areas()
    if not areas.any():
        raise ValueError("none of several pictures shows an object")
    return np.array([areas.argmax()])
