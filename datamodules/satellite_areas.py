"""Which parts of scenes belong together: the groups of a split, so that no place is in training and test.

Scenes that touch or overlap make up a mosaic. A mosaic is one group; or it is cut into blocks, one group each.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from adapt.errors import DataError
from adapt.formats.extras import extra
from adapt.formats.georeference import LONGITUDE_LATITUDE, Geometries, outline, to_pixels
from adapt.formats.geotiff import Scene
from adapt.tiles import Tile
from adapt.wording import counted

with extra("satellite", reads="GeoTIFF"):
    import shapely

TOUCH = 0.5
"""Scenes with a gap below this, in pixels, touch; with a common strip above it they overlap."""
SAME_SIZE = 1e-5
"""Pixel sizes that differ by a smaller part are rounding."""


@dataclass(frozen=True)
class Area:
    """A part of a scene that belongs to one group; no pixel is in two areas."""

    scene: Scene
    part: Tile
    group: str


def scene_areas(scenes: Sequence[Scene]) -> list[Area]:
    """Each scene whole; those that touch or overlap are a group, named after the first of them."""
    firsts = _firsts(len(scenes), _neighbours(scenes, *_outlines(scenes)))
    return [Area(scene, _whole(scene), scenes[first].path.stem) for scene, first in zip(scenes, firsts, strict=True)]


def block_areas(scenes: Sequence[Scene], *, size: int) -> list[Area]:
    """Scenes cut into blocks of `size` pixels, counted from the upper left corner of their mosaic.

    Scenes of one pixel grid that touch share the blocks, so a block may have parts of several. The last block of a
    row or column is up to half a block longer, or starts at half a block.

    Raises:
        DataError: two scenes overlap.
    """
    outlines, pixels = _outlines(scenes)
    _refuse_overlap(scenes, outlines, pixels)
    touching = [(a, b) for a, b in _neighbours(scenes, outlines, pixels) if _same_grid(scenes[a], scenes[b])]
    firsts = _firsts(len(scenes), touching)
    areas: list[Area] = []
    for first in sorted(set(firsts)):
        areas += _blocks([scene for scene, mosaic in zip(scenes, firsts, strict=True) if mosaic == first], size)
    return areas


def _whole(scene: Scene) -> Tile:
    return Tile(0, 0, scene.height, scene.width)


def _outlines(scenes: Sequence[Scene]) -> tuple[Geometries, npt.NDArray[np.float64]]:
    """(N,) outlines in one CRS, None where a scene has none, and the (N,) sides of a pixel in its unit."""
    placed = [scene for scene in scenes if scene.georeferenced]
    common = placed[0].crs if len({scene.crs for scene in placed}) == 1 else LONGITUDE_LATITUDE
    outlines = np.array([outline(scene, common) if scene.georeferenced else None for scene in scenes], dtype=object)
    counts = np.array([scene.height * scene.width for scene in scenes])
    return outlines, np.sqrt(np.nan_to_num(shapely.area(outlines)) / counts)


def _neighbours(
    scenes: Sequence[Scene], outlines: Geometries, pixels: npt.NDArray[np.float64]
) -> list[tuple[int, int]]:
    tree = shapely.STRtree(outlines)
    return _pairs(tree.query(outlines, predicate="dwithin", distance=pixels * TOUCH))


def _pairs(found: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Each pair of a tree's answer once, in order."""
    return sorted({(int(min(a, b)), int(max(a, b))) for a, b in found.T if a != b})


def _firsts(count: int, pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Of each of `count` things, the first one that it is connected with, itself perhaps."""
    firsts = np.arange(count)
    for pair in pairs:
        low, high = sorted(firsts[list(pair)])
        firsts[firsts == high] = low
    return [int(first) for first in firsts]


def _refuse_overlap(scenes: Sequence[Scene], outlines: Geometries, pixels: npt.NDArray[np.float64]) -> None:
    shrunk = shapely.buffer(outlines, -pixels * TOUCH / 2, join_style="mitre")
    pairs = _pairs(shapely.STRtree(shrunk).query(shrunk, predicate="intersects"))
    if pairs:
        a, b = (scenes[number].path.name for number in pairs[0])
        more = f", and {counted(len(pairs) - 1, 'more pair')}" if len(pairs) > 1 else ""
        raise DataError(
            f"data.split_by=block: scenes overlap ({a} and {b}{more}), so a place would be in two groups; "
            "set data.split_by=scene, or remove one of them"
        )


def _same_grid(first: Scene, second: Scene) -> bool:
    size = np.array(tuple(first.transform)[:6])[[0, 1, 3, 4]]
    other = np.array(tuple(second.transform)[:6])[[0, 1, 3, 4]]
    return first.crs == second.crs and bool(np.abs(size - other).max() <= SAME_SIZE * np.abs(size).max())


def _blocks(scenes: Sequence[Scene], size: int) -> list[Area]:
    """The blocks of a mosaic, named after its first scene."""
    points = np.array([shapely.Point(scene.transform.c, scene.transform.f) for scene in scenes], dtype=object)
    corners = np.rint(shapely.get_coordinates(to_pixels(points, scenes[0]))[:, ::-1]).astype(int)  # (row, column)
    corners -= corners.min(0)
    lengths = np.array([(scene.height, scene.width) for scene in scenes])
    counts = np.maximum(np.rint((corners + lengths).max(0) / size), 1).astype(int)
    areas = []
    for scene, corner in zip(scenes, corners.tolist(), strict=True):
        rows, columns = (
            _cuts(start, length, size, count)
            for start, length, count in zip(corner, (scene.height, scene.width), counts.tolist(), strict=True)
        )
        for row, top, bottom in rows:
            for column, left, right in columns:
                group = f"{scenes[0].path.stem}/{row}_{column}"
                areas.append(Area(scene, Tile(top, left, bottom - top, right - left), group))
    return areas


def _cuts(start: int, length: int, size: int, count: int) -> list[tuple[int, int, int]]:
    """(block, first pixel, end) along a side of a scene that begins at pixel `start` of its mosaic."""
    ends = [size * (block + 1) - start for block in range(count - 1)] + [length]
    cuts, begin = [], 0
    for block, end in enumerate(min(end, length) for end in ends):
        if end > begin:
            cuts.append((block, begin, end))
            begin = end
    return cuts
