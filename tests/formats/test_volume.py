"""Image and label must cover the same voxels of the patient; the message says what differs."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from adapt.formats import Volume, normalise_orientation, same_geometry

SHAPE = (6, 5, 4)
SPACING = (0.5, 0.8, 3.0)


def _volume(
    name: str = "image.nii",
    *,
    shape: tuple[int, int, int] = SHAPE,
    spacing: tuple[float, float, float] = SPACING,
    origin: tuple[float, float, float] = (10.0, -20.0, 30.0),
) -> Volume:
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    return normalise_orientation(np.zeros(shape), affine, source=Path(name))


def test_a_volume_matches_itself() -> None:
    assert same_geometry(_volume(), _volume()) is None


def test_the_order_of_the_stored_axes_does_not_matter() -> None:
    straight = _volume()
    # The same patient with y stored the other way round: the origin moves to the other end.
    affine = np.diag([SPACING[0], -SPACING[1], SPACING[2], 1.0])
    affine[:3, 3] = 10.0, -20.0 + SPACING[1] * (SHAPE[1] - 1), 30.0
    assert same_geometry(straight, normalise_orientation(np.zeros(SHAPE), affine, source=Path("label.nii"))) is None


def test_different_shapes_are_told_in_slices_rows_columns() -> None:
    message = same_geometry(_volume("ct.nii"), _volume("seg.nii", shape=(6, 5, 3)))
    assert message == "shapes differ: (4, 5, 6) in ct.nii, (3, 5, 6) in seg.nii (slices, rows, columns)"


def test_a_shift_is_told_in_millimetres_with_both_origins() -> None:
    message = same_geometry(_volume(), _volume(origin=(10.0, -20.0, 33.0)))
    assert message is not None
    assert "affines differ by up to 3 mm" in message
    # Of the first voxel in the reading order: x and y start at the far end, 10 + 0.5 * 5 and -20 + 0.8 * 4.
    assert "origin (12.5, -16.8, 30) and (12.5, -16.8, 33)" in message


def test_another_spacing_is_told() -> None:
    message = same_geometry(_volume(), _volume(spacing=(0.5, 0.8, 2.0)))
    assert message is not None
    assert "spacing (z, y, x) (3, 0.8, 0.5) and (2, 0.8, 0.5) mm" in message


# A tenth of the smallest voxel side, 0.5 mm.
@pytest.mark.parametrize(("shift", "same"), [(0.049, True), (0.051, False)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_tenth_of_a_voxel_is_tolerated(axis: int, shift: float, same: bool) -> None:
    origin = [10.0, -20.0, 30.0]
    origin[axis] += shift
    assert (same_geometry(_volume(), _volume(origin=(origin[0], origin[1], origin[2]))) is None) == same


def test_an_error_of_spacing_counts_at_the_far_corner() -> None:
    # 1 % of 0.5 mm over 5 voxels is 0.025 mm and passes; over 99 voxels it is 0.5 mm, a whole voxel.
    near, far = (6, 5, 4), (100, 5, 4)
    wider = (0.505, 0.8, 3.0)
    assert same_geometry(_volume(shape=near), _volume(shape=near, spacing=wider)) is None
    assert same_geometry(_volume(shape=far), _volume(shape=far, spacing=wider)) is not None


def test_a_float32_affine_matches_its_float64() -> None:
    affine = np.array([[0.9765625, 0.01, 0, -249.51172], [-0.01, 0.97, 0, -431.5], [0, 0, 2, -1033.1], [0, 0, 0, 1]])
    exact = normalise_orientation(np.zeros(SHAPE), affine, source=Path("a"))
    rounded = normalise_orientation(np.zeros(SHAPE), affine.astype(np.float32).astype(float), source=Path("b"))
    assert same_geometry(exact, rounded) is None


def test_reorienting_copies_nothing() -> None:
    stored = np.zeros(SHAPE, dtype=np.int16)
    volume = normalise_orientation(stored, np.diag([0.5, 0.8, 3.0, 1.0]), source=Path("a"))
    assert np.shares_memory(volume.voxels, stored)


def test_voxel_indices_map_to_nibabels_millimetres() -> None:
    values = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    affine = np.array([[0.0, 0.8, 0, 10], [0.5, 0, 0, -20], [0, 0, -3, 30], [0, 0, 0, 1]])  # axes anterior, right, down
    volume = normalise_orientation(values, affine, source=Path("a"))
    z, y, x = (int(index[0]) for index in np.nonzero(volume.voxels == values[1, 2, 3]))
    expected = nibabel.affines.apply_affine(affine, [1, 2, 3])
    np.testing.assert_allclose(nibabel.affines.apply_affine(volume.affine, [x, y, z]), expected)
