"""Generated time series of cells that move, grow, divide, leave and come in, as OME-TIFF with label TIFFs over time.

Labels are exact and there twice: in `tracks`, a cell has one value in all frames, and its daughters have new ones, as
the Cell Tracking Challenge writes them; in `masks` each frame numbers its cells anew, as a program does that looks at
single frames.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

SERIES, FRAMES = 10, 12
SIDE = 128  # pixels
PIXEL = (0.65, 0.65)  # micrometres
CELLS = 12  # at the beginning; some of them outside, on their way in
MARGIN = 14  # pixels: farther outside a cell is lost
SPEED, TURNING = 2.2, 0.25  # pixels a frame, and how fast the direction changes (radians)
GROWTH, DIVIDES_AT = 1.025, 11.5  # of the radius in a frame, and pixels
OFFSET, NOISE = 400, 40  # of the camera, in its counts
Plane = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cell:
    """A cell in a frame.

    Attributes:
        track: its number, from 1.
        row, column: of its centre, pixels.
        heading: where it moves, radians.
        radius: pixels.
        stretch: long over short axis; the long one lies along the heading.
        counts: brightness.
        phase: of its texture.
    """

    track: int
    row: float
    column: float
    heading: float
    radius: float
    stretch: float
    counts: float
    phase: float


def write_dividing_cells(folder: Path) -> None:
    """`images/series_00.ome.tif`, `tracks/series_00.tif`, `masks/series_00.tif` and so on, all with the axes TYX."""
    from adapt.formats.tiff import write_label_tiff, write_ome_tiff

    for below in ("images", "tracks", "masks"):
        (folder / below).mkdir()
    for number in range(SERIES):
        name = f"series_{number:02d}"
        image, tracks = draw_series(np.random.default_rng([0, number]))
        path = folder / "images" / f"{name}.ome.tif"
        write_ome_tiff(path, image, axes="TYX", pixel_size=PIXEL, channel_names=("H2B",))
        anew = np.stack([_numbered_from_the_top(frame) for frame in tracks])
        for below, labels in (("tracks", tracks), ("masks", anew)):
            write_label_tiff(folder / below / f"{name}.tif", labels, pixel_size=PIXEL, stacked="T")


def _numbered_from_the_top(frame: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """(H, W) labels, numbered from 1 in the order in which they are met, row by row."""
    values, first, of_pixel = np.unique(frame, return_index=True, return_inverse=True)
    numbers = np.zeros(len(values), dtype=np.uint16)
    shown = np.argsort(first[values != 0]) + np.count_nonzero(values == 0)
    numbers[shown] = np.arange(1, len(shown) + 1)
    return numbers[of_pixel].reshape(frame.shape)


def draw_series(random: np.random.Generator) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16]]:
    """One series: (T, H, W) uint16 counts and (T, H, W) uint16 labels, each track a value of its own from 1."""
    images, labels = [], []
    for cells in live(random):
        image, tracks = draw_frame(cells, random)
        images.append(image)
        labels.append(tracks)
    return np.stack(images), np.stack(labels)


def live(random: np.random.Generator) -> Iterator[list[Cell]]:
    """The cells of each frame."""
    cells = [
        Cell(
            track=track,
            row=random.uniform(-MARGIN, SIDE + MARGIN),
            column=random.uniform(-MARGIN, SIDE + MARGIN),
            heading=random.uniform(0, 2 * np.pi),
            radius=random.uniform(7.5, DIVIDES_AT),
            stretch=random.uniform(1, 1.3),
            counts=random.uniform(1500, 4500),
            phase=random.uniform(0, 6),
        )
        for track in range(1, CELLS + 1)
    ]
    known = CELLS
    for _ in range(FRAMES):
        cells = [cell for cell in _apart(cells) if all(-MARGIN < at < SIDE + MARGIN for at in (cell.row, cell.column))]
        yield cells
        after: list[Cell] = []
        for cell in cells:
            if cell.radius < DIVIDES_AT:
                after.append(_moved(cell, random))
            else:
                after += _daughters(cell, known)
                known += 2
        cells = after


def _moved(cell: Cell, random: np.random.Generator) -> Cell:
    heading = cell.heading + random.normal(0, TURNING)
    return replace(
        cell,
        row=cell.row + SPEED * np.sin(heading),
        column=cell.column + SPEED * np.cos(heading),
        heading=heading,
        radius=cell.radius * GROWTH,
    )


def _daughters(cell: Cell, known: int) -> list[Cell]:
    """Two cells side by side, which share its area and move away from one another."""
    ways = (cell.heading + np.pi / 2, cell.heading - np.pi / 2)
    return [
        replace(
            cell,
            track=known + place,
            row=cell.row + 0.7 * cell.radius * np.sin(way),
            column=cell.column + 0.7 * cell.radius * np.cos(way),
            heading=way,
            radius=cell.radius / np.sqrt(2),
        )
        for place, way in enumerate(ways, start=1)
    ]


def _apart(cells: list[Cell]) -> list[Cell]:
    """Cells that lie on one another pushed apart, until they touch at most by a bit."""
    at = np.array([(cell.row, cell.column) for cell in cells])
    radii = np.array([cell.radius for cell in cells])
    for _ in range(20):
        away = at[:, None] - at[None]
        distance = np.linalg.norm(away, axis=2) + np.eye(len(cells))
        lacking = np.clip(radii[:, None] + radii[None] - distance, 0, None) * (1 - np.eye(len(cells)))
        at = at + 0.25 * (away / distance[..., None] * lacking[..., None]).sum(1)
    return [replace(cell, row=float(row), column=float(column)) for cell, (row, column) in zip(cells, at, strict=True)]


def draw_frame(cells: list[Cell], random: np.random.Generator) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16]]:
    """One frame: (H, W) uint16 counts and (H, W) uint16 labels; a pixel is of the cell that it lies deepest in."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(float)
    distances = np.stack([np.full((SIDE, SIDE), 1.0), *(_distance(cell, rows, columns) for cell in cells)])
    tracks = np.array([0, *(cell.track for cell in cells)], dtype=np.uint16)
    light = np.zeros((SIDE, SIDE))
    for cell, distance in zip(cells, distances[1:], strict=True):
        share = np.clip((1.08 - distance) / 0.16, 0, 1)  # soft edge
        texture = 1 + 0.15 * np.sin((rows - cell.row) / 2.3 + cell.phase) * np.sin((columns - cell.column) / 2.9)
        light = np.maximum(light, cell.counts * share * texture)
    counts = OFFSET + light + random.normal(0, NOISE, light.shape) + random.normal(0, 1, light.shape) * np.sqrt(light)
    return np.clip(np.rint(counts), 0, 65535).astype(np.uint16), tracks[distances.argmin(0)]


def _distance(cell: Cell, rows: Plane, columns: Plane) -> Plane:
    """Of each pixel from the centre, in radii: below 1 is inside."""
    dy, dx = rows - cell.row, columns - cell.column
    along = dx * np.cos(cell.heading) + dy * np.sin(cell.heading)
    across = dy * np.cos(cell.heading) - dx * np.sin(cell.heading)
    distance: Plane = np.hypot(along / cell.stretch, across) / cell.radius
    return distance
