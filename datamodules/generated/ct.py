"""Generated CT volumes with exact labels, written as NIfTI: what the quickstart and tests run on.

Each patient is an abdomen of soft-edged ellipsoids in Hounsfield units (body, fat, liver, spleen, kidneys,
vertebrae with bowel and vessels that carry no label), with noise and a place, size and contrast of its own.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from adapt.formats import normalise_orientation, write_nifti

PATIENTS = 16
SHAPE = (20, 96, 112)  # slices, rows, columns
SPACING = (6.0, 3.0, 3.0)  # mm
LABELS = {"liver": 1, "spleen": 2, "kidney": 3, "vertebra": 4}
# Centre (z, y, x), half axes (z, y, x) in fractions of the body's half axes, Hounsfield units, label.
ORGANS = (
    ("bowel", (-0.5, -0.35, 0.25), (0.5, 0.22, 0.2), 25, 0),
    ("bowel", (-0.7, -0.3, -0.15), (0.5, 0.2, 0.22), 15, 0),
    ("stomach", (0.4, -0.35, 0.35), (0.35, 0.25, 0.22), 20, 0),
    ("liver", (0.35, -0.1, -0.45), (0.65, 0.5, 0.4), 105, LABELS["liver"]),
    ("spleen", (0.4, 0.2, 0.66), (0.4, 0.32, 0.17), 115, LABELS["spleen"]),
    ("right kidney", (-0.3, 0.35, -0.42), (0.5, 0.22, 0.15), 150, LABELS["kidney"]),
    ("left kidney", (-0.15, 0.38, 0.42), (0.5, 0.22, 0.15), 150, LABELS["kidney"]),
    ("aorta", (0.0, 0.22, 0.06), (3.0, 0.09, 0.07), 170, 0),
    ("vertebra", (0.0, 0.52, 0.0), (3.0, 0.2, 0.15), 320, LABELS["vertebra"]),
)


def write_ct_phantom(folder: Path) -> None:
    """`PATIENTS` patients as NIfTI."""
    write_phantom(folder, patients=PATIENTS, seed=0)


def write_phantom(folder: Path, *, patients: int, seed: int) -> None:
    """Write `images/patient_00.nii.gz` and `labels/patient_00.nii.gz`, and so on."""
    x, y, z = SPACING[::-1]
    affine = np.diag([-x, -y, z, 1.0])  # the axes point left, posterior and superior; NIfTI's world is RAS+
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for patient in range(patients):
        voxels, labels = draw_patient(np.random.default_rng([seed, patient]))
        for name, values in (("images", voxels), ("labels", labels)):
            stored = normalise_orientation(values.transpose(2, 1, 0), affine, source=folder)
            write_nifti(folder / name / f"patient_{patient:02d}.nii.gz", stored.voxels, like=stored)


def draw_patient(random: np.random.Generator) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8]]:
    """One patient: (Z, Y, X) int16 Hounsfield units and (Z, Y, X) uint8 labels."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, size) for size in SHAPE), indexing="ij")
    body_y, body_x = random.uniform(0.72, 0.88), random.uniform(0.8, 0.94)
    y, x = y / body_y + random.uniform(-0.04, 0.04), x / body_x + random.uniform(-0.04, 0.04)
    wall = y**2 + x**2
    volume = np.full(SHAPE, -1000.0)
    volume[wall < 1] = random.normal(-100, 8)  # fat
    volume[(wall < 0.92) & (wall > 0.8)] = random.normal(50, 8)  # muscle
    volume[wall < 0.72] = random.normal(-60, 15)
    labels = np.zeros(SHAPE, dtype=np.uint8)
    for _, centre, axes, hounsfield, label in ORGANS:
        moved = np.array(centre) + random.normal(0, 0.035, 3)
        half = np.array(axes) * random.uniform(0.8, 1.2, 3)
        lobes = 1 + 0.1 * np.sin(3 * np.arctan2(y - moved[1], x - moved[2]) + random.uniform(0, 2 * np.pi))
        turn = random.uniform(-0.4, 0.4)
        dy, dx = y - moved[1], x - moved[2]
        v, u = (dy * np.cos(turn) - dx * np.sin(turn)) / half[1], (dy * np.sin(turn) + dx * np.cos(turn)) / half[2]
        distance = np.sqrt(((z - moved[0]) / half[0]) ** 2 + (v**2 + u**2) / lobes**2)
        share = np.clip((1.06 - distance) / 0.12, 0, 1) * (wall < 0.8)  # soft edge: partial volume
        volume = volume * (1 - share) + share * random.normal(hounsfield, 12)
        labels[share >= 0.5] = label
    volume += random.normal(0, 15, SHAPE)
    return np.clip(volume, -1024, 3071).astype(np.int16), labels
