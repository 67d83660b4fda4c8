"""Generated aerial scenes with exact footprints, as GeoTIFF and a GeoPackage in another CRS.

Each scene is a settlement of detached houses, terraces that share walls and buildings around a courtyard with a
smaller one inside, on grass and soil with paths that carry no label. Some cross the border of the scene.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # the extra "satellite" is imported only where scenes are written
    import shapely

SCENES = 6
SIDE = 640  # pixels
PIXEL = 0.5  # metres
CELL = 80  # pixels: each has one building or group of buildings
WEST, NORTH, GAP = 454_000.0, 38_000.0, 1_000.0  # of the first scene in EPSG:32636; the next ones lie to the east
DEEP = 4  # of this scene the pixels are uint16, with a band of near infrared
KINDS = ("house", "house", "terrace", "courtyard", "none")
ROOFS = ((176, 92, 74), (150, 156, 164), (206, 198, 182), (120, 74, 62))


def write_satellite_scenes(folder: Path) -> None:
    """`SCENES` scenes and the footprints of all."""
    write_scenes(folder, scenes=SCENES, seed=0)


def write_scenes(folder: Path, *, scenes: int, seed: int) -> None:
    """Write `images/scene_0.tif` and so on, in EPSG:32636, and `labels/footprints.gpkg` in EPSG:4326.

    Raises:
        DataError: the extra "satellite" is not installed.
    """
    from adapt.formats.georeference import LONGITUDE_LATITUDE, reproject, to_ground
    from adapt.formats.geotiff import read_scene
    from adapt.formats.vectors import write_polygons

    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    placed: list[shapely.Polygon] = []
    for number in range(scenes):
        path = folder / "images" / f"scene_{number}.tif"
        pixels, footprints = draw_scene(np.random.default_rng([seed, number]))
        _write_image(path, pixels if number == DEEP else pixels[:3], number)
        scene = read_scene(path)
        placed += list(reproject(to_ground(footprints, scene), scene.crs, LONGITUDE_LATITUDE))
    write_polygons(
        folder / "labels" / "footprints.gpkg",
        np.array(placed, dtype=object),
        ids=range(1, len(placed) + 1),
        categories=["building"] * len(placed),
        crs=LONGITUDE_LATITUDE,
    )


def _write_image(path: Path, pixels: npt.NDArray[np.uint8], number: int) -> None:
    import rasterio
    from rasterio.enums import ColorInterp

    deep = number == DEEP
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=SIDE,
        width=SIDE,
        count=len(pixels),
        dtype="uint16" if deep else "uint8",
        crs="EPSG:32636",
        transform=rasterio.Affine(PIXEL, 0, WEST + number * GAP, 0, -PIXEL, NORTH),
        tiled=True,
        blockxsize=256,
        blockysize=256,
        compress="deflate",
        photometric="RGB",
    ) as dataset:
        dataset.write(pixels.astype(np.uint16) * 40 + 300 if deep else pixels)  # as 14 bits of a sensor would look
        dataset.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.nir][: len(pixels)]


def draw_scene(random: np.random.Generator) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.object_]]:
    """One scene.

    Returns:
        (4, SIDE, SIDE) uint8 red, green, blue and near infrared, and the (N,) footprints in pixels, (column, row).
        A footprint holds a pixel where the pixel's centre is inside; some lie partly outside the scene.
    """
    from adapt.formats.polygons import draw_polygons
    from adapt.tiles import Tile

    whole = Tile(0, 0, SIDE, SIDE)
    pixels = _ground(random)
    footprints: list[shapely.Polygon] = []
    for row in range(SIDE // CELL + 1):
        for column in range(SIDE // CELL + 1):  # cells of the border are half outside
            footprints += _buildings(random, column * CELL, row * CELL)
    found = np.array(footprints, dtype=object)
    for mask in draw_polygons(found, whole):
        roof = np.array([*ROOFS[random.integers(len(ROOFS))], 90]) + random.normal(0, 10)
        pixels[:, mask] = roof[:, None]
    pixels += random.normal(0, 6, pixels.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8), found


def _ground(random: np.random.Generator) -> npt.NDArray[np.float64]:
    """(4, SIDE, SIDE) grass and soil in soft patches, with paths."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    share = np.zeros((SIDE, SIDE))
    for _ in range(6):
        fx, fy, phase = random.uniform(1, 6), random.uniform(1, 6), random.uniform(0, 2 * np.pi)
        share += np.sin(2 * np.pi * (fx * x + fy * y) + phase) / 6
    share = np.clip(share + 0.5, 0, 1)
    grass, soil, path = np.array([62, 92, 48, 170]), np.array([128, 104, 76, 120]), np.array([140, 132, 120, 110])
    ground: npt.NDArray[Any] = grass[:, None, None] * (1 - share) + soil[:, None, None] * share
    across = np.abs(y - 0.5 - 0.1 * np.sin(2 * np.pi * x + random.uniform(0, 6)))
    ground[:, across < 0.008] = path[:, None]
    return ground


def _buildings(random: np.random.Generator, x: float, y: float) -> "list[shapely.Polygon]":
    """The footprints of a cell whose centre is given; none reaches the next cell."""
    from shapely import Polygon, affinity, box

    kind = KINDS[random.integers(len(KINDS))]
    width, depth = random.uniform(22, 44), random.uniform(22, 36)
    if kind == "house":
        shapes = [box(-width / 2, -depth / 2, width / 2, depth / 2)]
    elif kind == "terrace":  # neighbours share a wall
        shapes = [box(-width / 2 + i * width / 3, -12, -width / 2 + (i + 1) * width / 3, 12) for i in range(3)]
    elif kind == "courtyard":
        court = [(-12, -12), (-12, 12), (12, 12), (12, -12)]
        shapes = [Polygon(box(-22, -22, 22, 22).exterior, [court]), box(-6, -6, 6, 6)]
    else:
        shapes = []
    turn, dx, dy = random.uniform(0, 90), *random.uniform(-5, 5, 2)
    return [affinity.translate(affinity.rotate(s, turn, origin=(0, 0)), x + dx, y + dy) for s in shapes]
