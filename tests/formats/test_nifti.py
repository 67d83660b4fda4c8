"""NIfTI volumes read the same whatever the order of their axes, and go back as they were stored."""

import contextlib
import gzip
import itertools
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk

from adapt.errors import DataError
from adapt.formats import read_nifti, write_nifti

Array = npt.NDArray[Any]

# No two voxels and no two sides are equal, so nothing can be swapped unseen.
BASE = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
"""Axes to the patient's right, anterior and superior (RAS+)."""
SPACING = (0.7, 1.3, 2.5)
ORIENTATIONS = [
    (order, flips) for order in itertools.permutations(range(3)) for flips in itertools.product((False, True), repeat=3)
]
DATATYPE, DIM, VOX_OFFSET, SROW = 70, 40, 108, 280  # bytes of the NIfTI-1 header


def _straight() -> Array:
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = -31.7, 12.9, 101.3
    return affine


def _oblique() -> Array:
    """Turned by 11, 6 and 9 degrees about x, y and z: far enough from the axes to be seen, near enough to be RAS."""
    affine = _straight()
    for axis, angle in enumerate(np.deg2rad([11, 6, 9])):
        turn = np.eye(4)
        one, other = [index for index in range(3) if index != axis]
        turn[one, one] = turn[other, other] = np.cos(angle)
        turn[one, other], turn[other, one] = -np.sin(angle), np.sin(angle)
        affine = turn @ affine
    return affine


def _stored(order: tuple[int, ...], flips: tuple[bool, ...], affine: Array) -> tuple[Array, Array]:
    """`BASE` with other axes, by hand: its array and the affine that leaves each voxel where it is."""
    values, moved = BASE.transpose(order), np.eye(4)
    moved[:3, 3] = affine[:3, 3]
    for axis, flipped in enumerate(flips):
        step = affine[:3, order[axis]]
        moved[:3, axis] = -step if flipped else step
        if flipped:
            moved[:3, 3] += step * (BASE.shape[order[axis]] - 1)
            values = np.flip(values, axis)
    return values, moved


def _save(path: Path, values: Array, affine: Array) -> Path:
    nibabel.save(nibabel.Nifti1Image(values, affine), path)
    return path


@pytest.mark.parametrize("affine", [_straight(), _oblique()], ids=["straight", "oblique"])
@pytest.mark.parametrize(("order", "flips"), ORIENTATIONS)
def test_every_orientation_reads_alike_and_goes_back_bit_for_bit(
    tmp_path: Path, order: tuple[int, ...], flips: tuple[bool, ...], affine: Array
) -> None:
    values, stored_affine = _stored(order, flips, affine)
    path = _save(tmp_path / "a.nii.gz", values, stored_affine)
    volume = read_nifti(path)

    # Superior, posterior, left: x and y of RAS turned round, and the axes in the order z, y, x.
    np.testing.assert_array_equal(volume.voxels, BASE[::-1, ::-1, :].transpose(2, 1, 0))
    assert volume.spacing == pytest.approx(SPACING[::-1], rel=1e-6)
    # Each value is found at the millimetres where the base put it.
    for x, y, z in itertools.product(*(range(size) for size in BASE.shape)):
        here = volume.affine @ [BASE.shape[0] - 1 - x, BASE.shape[1] - 1 - y, z, 1]
        np.testing.assert_allclose(here, affine @ [x, y, z, 1], atol=2e-5)  # the file holds float32

    write_nifti(tmp_path / "b.nii.gz", volume.voxels, like=volume)
    first, second = nibabel.load(path), nibabel.load(tmp_path / "b.nii.gz")
    assert second.get_data_dtype() == BASE.dtype
    np.testing.assert_array_equal(np.asarray(second.dataobj), values)
    np.testing.assert_array_equal(second.affine, first.affine)


def test_the_scaling_of_the_header_is_applied(tmp_path: Path) -> None:
    content = bytearray(nibabel.Nifti1Image(BASE, np.eye(4)).to_bytes())
    content[112:120] = struct.pack("<ff", 2.0, -1000.0)  # scl_slope, scl_inter
    (tmp_path / "a.nii").write_bytes(content)
    expected = BASE[::-1, ::-1, :].transpose(2, 1, 0) * 2.0 - 1000
    np.testing.assert_array_equal(read_nifti(tmp_path / "a.nii").voxels, expected)


@pytest.mark.parametrize(
    ("stored", "slope", "intercept", "kind"),
    [
        (np.int16, 1.0, -1024.0, np.int16),  # -1024..-905: as most tools write a CT
        (np.uint16, 1.0, -1024.0, np.int16),
        (np.uint8, 2.0, 0.0, np.uint8),  # 0..238
        (np.uint8, 1000.0, -7.0, np.int32),
        (np.int16, -1.0, 0.0, np.int16),
        (np.int16, 0.5, 0.0, np.float32),
        (np.float32, 2.0, 1.0, np.float32),
        (np.int32, 0.5, 0.0, np.float64),  # more digits than float32 has
    ],
)
def test_scaled_values_take_no_more_memory_than_they_need(
    tmp_path: Path, stored: type, slope: float, intercept: float, kind: type
) -> None:
    content = bytearray(nibabel.Nifti1Image(BASE.astype(stored), np.eye(4)).to_bytes())
    content[112:120] = struct.pack("<ff", slope, intercept)
    (tmp_path / "a.nii").write_bytes(content)
    voxels = read_nifti(tmp_path / "a.nii").voxels
    assert voxels.dtype == kind
    expected = np.asarray(nibabel.load(tmp_path / "a.nii").dataobj)  # float64
    np.testing.assert_array_equal(voxels, expected[::-1, ::-1, :].transpose(2, 1, 0))


def test_other_byte_order_is_read_alike(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(BASE, np.eye(4))
    for name, order in (("little.nii", "<"), ("big.nii.gz", ">")):
        nibabel.save(nibabel.Nifti1Image(BASE, np.eye(4), image.header.as_byteswapped(order)), tmp_path / name)
    little, big = read_nifti(tmp_path / "little.nii").voxels, read_nifti(tmp_path / "big.nii.gz").voxels
    np.testing.assert_array_equal(little, big)
    assert big.dtype.isnative


def test_nifti_2_is_read_alike(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti2Image(BASE, np.eye(4)), tmp_path / "a.nii.gz")
    expected = read_nifti(_save(tmp_path / "b.nii", BASE, np.eye(4))).voxels
    np.testing.assert_array_equal(read_nifti(tmp_path / "a.nii.gz").voxels, expected)


def test_a_changed_byte_of_a_gzip_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(nibabel.Nifti1Image(BASE, np.eye(4)).to_bytes(), compresslevel=0))
    content = bytearray(path.read_bytes())
    content[-20] ^= 1  # the length stays right, the checksum does not
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.nii\.gz: cannot be read as NIfTI \(CRC check failed"):
        read_nifti(path)


def test_integers_without_scaling_stay_integers(tmp_path: Path) -> None:
    voxels = read_nifti(_save(tmp_path / "a.nii", BASE, np.eye(4))).voxels
    assert np.issubdtype(voxels.dtype, np.integer)


@pytest.mark.parametrize("shape", [(4, 5, 6, 1), (4, 5, 6, 1, 1)])
def test_trailing_single_axes_are_no_hindrance(tmp_path: Path, shape: tuple[int, ...]) -> None:
    volume = read_nifti(_save(tmp_path / "a.nii", BASE.reshape(shape), np.eye(4)))
    assert volume.voxels.shape == (6, 5, 4)


@pytest.mark.parametrize("shape", [(4, 5, 6, 3), (4, 5, 6, 1, 3)])
def test_of_several_volumes_one_is_chosen(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = np.stack([BASE, BASE + 500, BASE + 900], axis=-1).reshape(shape)
    path = _save(tmp_path / "a.nii", values, np.eye(4))
    alone = read_nifti(_save(tmp_path / "b.nii", BASE + 900, np.eye(4)))
    np.testing.assert_array_equal(read_nifti(path, channel=2).voxels, alone.voxels)
    with pytest.raises(DataError, match=r"a\.nii: holds 3 channels; choose one: data\.channel=0 to 2"):
        read_nifti(path)
    with pytest.raises(DataError, match=r"a\.nii: has no channel 3, it holds 3; set data\.channel=0 to 2"):
        read_nifti(path, channel=3)


@pytest.mark.parametrize("shape", [(12,), (4, 5, 6, 2, 3)])
def test_other_than_two_or_three_dimensions_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = _save(tmp_path / "a.nii", np.zeros(shape, dtype=np.int16), np.eye(4))
    with pytest.raises(DataError, match=rf"a\.nii: is {len(shape)}-dimensional .*a 2D image or 3D volume is needed"):
        read_nifti(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.nii\.gz: no such file"):
        read_nifti(tmp_path / "gone.nii.gz")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, name: str, share: float) -> None:
    path = _save(tmp_path / name, BASE, np.eye(4))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r"(?s)a\.nii(\.gz)?: cannot be read as NIfTI .*copy or convert the file again"):
        read_nifti(path)


@pytest.mark.parametrize(
    "content", [b"this is a letter, not a volume" * 50, gzip.compress(b"neither is this" * 50)], ids=["text", "gzip"]
)
def test_what_is_not_nifti_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.nii\.gz: cannot be read as NIfTI"):
        read_nifti(path)


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (DATATYPE, struct.pack("<h", 9999)),
        (VOX_OFFSET, struct.pack("<f", 7.0)),
        (VOX_OFFSET, struct.pack("<f", 1e30)),
        (DIM, struct.pack("<h", 9)),
        (DIM + 2, struct.pack("<h", 0)),
        (DIM + 2, struct.pack("<hhh", 32000, 32000, 32000)),
        (DIM + 2, struct.pack("<h", -4)),
    ],
    ids=["data type", "offset low", "offset high", "dimensions", "no column", "too large", "negative"],
)
def test_a_damaged_header_is_refused(tmp_path: Path, offset: int, value: bytes) -> None:
    content = bytearray(nibabel.Nifti1Image(BASE, np.eye(4)).to_bytes())
    content[offset : offset + len(value)] = value
    (tmp_path / "a.nii").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.nii"):
        read_nifti(tmp_path / "a.nii")


@pytest.mark.parametrize(
    "values", [np.zeros(BASE.shape, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")]), BASE.astype(np.complex64)]
)
def test_voxels_that_are_not_one_real_number_are_refused(tmp_path: Path, values: Array) -> None:
    path = _save(tmp_path / "a.nii", values, np.eye(4))
    with pytest.raises(DataError, match=r"a\.nii"):
        read_nifti(path)


@pytest.mark.parametrize(
    "rows",
    [
        [[1, 0, 0], [0, 0, 0], [0, 0, 1]],
        [[1, 0, 0], [0, np.nan, 0], [0, 0, 1]],
        [[1, 1, 0], [1, 1, 0], [0, 0, 1]],
        # Its determinant is 1, yet the first axis points along the second, within rounding.
        [[1, 0, 0], [1e20, 1, 0], [0, 0, 1]],
    ],
    ids=["flat", "nan", "two axes alike", "nearly alike"],
)
def test_an_affine_without_volume_is_refused(tmp_path: Path, rows: list[list[float]]) -> None:
    content = bytearray(nibabel.Nifti1Image(BASE, np.eye(4)).to_bytes())
    for index, row in enumerate(rows):
        content[SROW + 16 * index : SROW + 16 * index + 12] = struct.pack("<fff", *row)
    (tmp_path / "a.nii").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.nii: its affine has no volume: .*set a valid sform or qform"):
        read_nifti(tmp_path / "a.nii")


@pytest.mark.parametrize("name", ["b.nii", "b.nii.gz"])
def test_writing_leaves_one_file(tmp_path: Path, name: str) -> None:
    volume = read_nifti(_save(tmp_path / "a.nii", BASE, np.eye(4)))
    (tmp_path / name).write_bytes(b"old")
    write_nifti(tmp_path / name, volume.voxels, like=volume)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nii", name]
    np.testing.assert_array_equal(read_nifti(tmp_path / name).voxels, volume.voxels)


def test_the_same_volume_is_the_same_bytes(tmp_path: Path) -> None:
    # gzip would otherwise store the time of writing, and a hash of the file would differ at every run.
    volume = read_nifti(_save(tmp_path / "a.nii", BASE, np.eye(4)))
    for name in ("b.nii.gz", "c.nii.gz"):
        write_nifti(tmp_path / name, volume.voxels, like=volume)
    content = (tmp_path / "b.nii.gz").read_bytes()
    assert content == (tmp_path / "c.nii.gz").read_bytes()
    assert content[4:8] == bytes(4)  # gzip's time stamp


CLAIMED = r"32000 x 32000 x 32000 voxels are more than data\.max_voxels \(1,000,000\); raise it, or crop"


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_what_claims_too_many_voxels_is_refused_by_its_header(tmp_path: Path, name: str) -> None:
    content = bytearray(nibabel.Nifti1Image(BASE, np.eye(4)).to_bytes())
    content[DIM + 2 : DIM + 8] = struct.pack("<hhh", 32000, 32000, 32000)  # the most that NIfTI-1 can say
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    with pytest.raises(DataError, match=CLAIMED):
        read_nifti(tmp_path / name, max_voxels=1_000_000)


def test_a_nifti_2_file_can_claim_more_still(tmp_path: Path) -> None:
    content = bytearray(nibabel.Nifti2Image(BASE, np.eye(4)).to_bytes())
    content[24:48] = struct.pack("<qqq", *(100_000,) * 3)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(content))
    with pytest.raises(DataError, match=r"100000 x 100000 x 100000 voxels are more than data\.max_voxels"):
        read_nifti(tmp_path / "a.nii.gz", max_voxels=2_000_000_000)


def test_a_volume_as_large_as_the_limit_is_read(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.nii", BASE, np.eye(4))
    assert read_nifti(path, max_voxels=BASE.size).voxels.size == BASE.size
    with pytest.raises(DataError, match="4 x 5 x 6 voxels are more"):
        read_nifti(path, max_voxels=BASE.size - 1)


BOMB = 100 * 2**20
"""Bytes that a file of 100 KB inflates to."""


def _bomb(header: bytes) -> bytes:
    return gzip.compress(header + bytes(BOMB))


def _memory_of_reading(path: Path) -> int:
    tracemalloc.start()
    try:
        with contextlib.suppress(DataError):
            read_nifti(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_more_than_the_header_claims_is_not_inflated(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(_bomb(nibabel.Nifti1Image(BASE, np.eye(4)).to_bytes()))
    assert _memory_of_reading(tmp_path / "a.nii.gz") < 2**20
    np.testing.assert_array_equal(read_nifti(tmp_path / "a.nii.gz").voxels, BASE[::-1, ::-1, :].transpose(2, 1, 0))


@pytest.mark.parametrize("offset", [60 * 2**20, 90 * 2**20])
def test_a_header_that_claims_to_be_long_is_not_held(tmp_path: Path, offset: int) -> None:
    content = bytearray(nibabel.Nifti1Image(BASE, np.eye(4)).to_bytes()[:352])
    content[VOX_OFFSET : VOX_OFFSET + 4] = struct.pack("<f", offset)
    content[348] = 1  # an extension follows, which says how long it is and is longer
    (tmp_path / "a.nii.gz").write_bytes(_bomb(bytes(content) + struct.pack("<ii", offset - 352, 6)))
    assert _memory_of_reading(tmp_path / "a.nii.gz") < 2**20


def test_a_2d_image_is_a_volume_of_one_slice(tmp_path: Path) -> None:
    flat = sitk.GetImageFromArray(BASE[..., 0].T)  # rows, columns
    flat.SetSpacing((0.5, 0.8))
    sitk.WriteImage(flat, tmp_path / "a.nii.gz")
    volume = read_nifti(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(volume.voxels, BASE[..., 0].T[None])
    assert volume.spacing[1:] == pytest.approx((0.8, 0.5))
