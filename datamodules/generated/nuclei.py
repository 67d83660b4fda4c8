"""Generated fields of nuclei under a fluorescence microscope, as OME-TIFF with label TIFFs, or as OME-Zarr.

Each field has soft-edged nuclei of different size and brightness, some touching, some with another one inside, in a
uint16 channel over a camera's offset; OME-Zarr has a second channel with the cells around them. Labels are exact.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

FIELDS = 12
SIDE = 256  # pixels
PIXEL = (0.65, 0.65)  # micrometres
CHANNELS = ("DAPI", "Actin")
NUCLEI = 26  # drawn one after the other; those that would cover another one are left out
TOUCHING, NESTED = 0.3, 0.15  # chance that a nucleus lies at another one, or inside it
OFFSET, NOISE = 400, 40  # of the camera, in its counts
LABELS = "nuclei"
"""Name of the labels in OME-Zarr."""


def write_nuclei(folder: Path) -> None:
    """`images/field_00.ome.tif` with the channel of nuclei, `masks/field_00.tif`, and so on."""
    from adapt.formats.tiff import write_label_tiff, write_ome_tiff

    for below in ("images", "masks"):
        (folder / below).mkdir()
    for number in range(FIELDS):
        image, labels = draw_field(np.random.default_rng([0, number]))
        path = folder / "images" / f"field_{number:02d}.ome.tif"
        write_ome_tiff(path, image[0], axes="YX", pixel_size=PIXEL, channel_names=CHANNELS[:1])
        write_label_tiff(folder / "masks" / f"field_{number:02d}.tif", labels, pixel_size=PIXEL)


def write_nuclei_zarr(folder: Path) -> None:
    """`images/field_00.ome.zarr` with the labels inside, and so on; OME-Zarr 0.4 and 0.5 in turn."""
    from adapt.formats.ome_zarr_writer import write_ome_zarr

    (folder / "images").mkdir()
    for number in range(FIELDS):
        image, labels = draw_field(np.random.default_rng([0, number]))
        write_ome_zarr(
            folder / "images" / f"field_{number:02d}.ome.zarr",
            image,
            axes="CYX",
            pixel_size=PIXEL,
            channel_names=CHANNELS,
            labels={LABELS: labels},
            version="0.5" if number % 2 else "0.4",
        )


def draw_field(random: np.random.Generator) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16]]:
    """One field: (2, H, W) uint16 counts and (H, W) uint16 labels, each nucleus a value of its own from 1."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(float)
    light = np.zeros((len(CHANNELS), SIDE, SIDE))
    labels = np.zeros((SIDE, SIDE), dtype=np.uint16)
    placed: list[tuple[float, float, float]] = []
    for _ in range(NUCLEI):
        row, column, radius = random.uniform(0, SIDE), random.uniform(0, SIDE), random.uniform(9, 19)
        kind = random.uniform() if placed else 1.0
        if kind < TOUCHING + NESTED:
            other_row, other_column, other_radius = placed[random.integers(len(placed))]
            turn = random.uniform(0, 2 * np.pi)
            if kind < NESTED:
                radius, away = 0.4 * other_radius, 0.3 * other_radius
            else:
                away = radius + other_radius
            row, column = other_row + away * np.sin(turn), other_column + away * np.cos(turn)
        distance = _distance(rows - row, columns - column, radius, random)
        inside = distance < 1
        if not inside.any() or (kind >= NESTED and (labels[inside] > 0).mean() > 0.1):
            continue
        free = inside if kind < NESTED else inside & (labels == 0)
        share = np.clip((1.08 - distance) / 0.16, 0, 1)
        texture = 1 + 0.15 * np.sin(rows / 2.3 + random.uniform(0, 6)) * np.sin(columns / 2.9 + random.uniform(0, 6))
        light[0] = np.maximum(light[0], random.uniform(1500, 5000) * share * texture) + (kind < NESTED) * 2500 * share
        light[1] += random.uniform(300, 900) * np.exp(-((distance / 1.7) ** 2))
        labels[free] = len(placed) + 1
        placed.append((row, column, radius))
    counts = OFFSET + light + random.normal(0, NOISE, light.shape) + random.normal(0, 1, light.shape) * np.sqrt(light)
    present, dense = np.unique(labels, return_inverse=True)  # a later one may have covered an earlier one
    assert present[0] == 0
    return np.clip(np.rint(counts), 0, 65535).astype(np.uint16), dense.reshape(labels.shape).astype(np.uint16)


def _distance(
    rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64], radius: float, random: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Of each pixel from the centre of a bean-shaped nucleus, in its radii: below 1 is inside."""
    turn, stretch = random.uniform(0, np.pi), random.uniform(1, 1.35)
    v, u = rows * np.cos(turn) - columns * np.sin(turn), rows * np.sin(turn) + columns * np.cos(turn)
    lobes = 1 + 0.08 * np.sin(2 * np.arctan2(v, u) + random.uniform(0, 2 * np.pi))
    distance: npt.NDArray[np.float64] = np.hypot(v * stretch, u / stretch) / (radius * lobes)
    return distance
