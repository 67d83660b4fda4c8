"""Four-dimensional NIfTI: every time is the volume that stands there alone, and nibabel reads what is written."""

import itertools
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest

from adapt.errors import DataError
from adapt.formats import read_nifti, write_nifti

TIMES = 3
CINE = np.arange(4 * 5 * 6 * TIMES, dtype=np.int16).reshape(4, 5, 6, TIMES, order="F")
OBLIQUE = np.array([[0.68, -0.2, 0.3, -31.7], [0.22, 1.27, -0.4, 12.9], [-0.05, 0.3, 9.9, 101.3], [0, 0, 0, 1.0]])


def stored(
    path: Path,
    values: npt.NDArray[Any] = CINE,
    *,
    affine: npt.NDArray[Any] = OBLIQUE,
    step: float = 0.0416,
    unit: str = "sec",
    slope: tuple[float, float] | None = None,
) -> Path:
    """As scanners' converters write it: millimetres, seconds, and the time between two frames."""
    image = nibabel.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm", unit)
    image.header["pixdim"][4] = step
    if slope is not None:
        image.header.set_slope_inter(*slope)
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_each_time_is_the_volume_that_the_channel_of_its_number_is(tmp_path: Path, name: str) -> None:
    path = stored(tmp_path / name)
    cine = read_nifti(path, time=True)
    assert cine.voxels.shape == (TIMES, 6, 5, 4) and cine.size == (6, 5, 4)
    for time, frame in enumerate(cine.frames):
        alone = read_nifti(path, channel=time)
        np.testing.assert_array_equal(frame, alone.voxels)
        np.testing.assert_array_equal(cine.affine, alone.affine)
        assert alone.clock is None and len(alone.frames) == 1


@pytest.mark.parametrize("codes", ["".join(axes) for axes in itertools.product("RL", "AP", "SI")] + ["SPL", "PIR"])
@pytest.mark.parametrize(("unit", "step"), [("sec", 0.0416), ("msec", 33.5), ("unknown", 0.0)])
def test_what_is_written_has_the_axes_the_affine_and_the_times_of_the_input(
    tmp_path: Path, codes: str, unit: str, step: float
) -> None:
    turned = nibabel.Nifti1Image(CINE, OBLIQUE).as_reoriented(
        nibabel.orientations.ornt_transform(
            nibabel.io_orientation(OBLIQUE), nibabel.orientations.axcodes2ornt(tuple(codes))
        )
    )
    path = stored(tmp_path / "a.nii.gz", np.asarray(turned.dataobj), affine=turned.affine, unit=unit, step=step)
    cine = read_nifti(path, time=True)
    write_nifti(tmp_path / "b.nii.gz", cine.voxels, like=cine)
    before, after = nibabel.load(path), nibabel.load(tmp_path / "b.nii.gz")
    np.testing.assert_array_equal(np.asarray(after.dataobj), np.asarray(before.dataobj))
    np.testing.assert_allclose(after.affine, before.affine, atol=1e-5)
    np.testing.assert_allclose(after.header["pixdim"], before.header["pixdim"], atol=1e-6)
    assert after.header.get_xyzt_units() == before.header.get_xyzt_units() == ("mm", unit)


def test_the_scaling_of_the_header_is_that_of_all_times(tmp_path: Path) -> None:
    whole = read_nifti(stored(tmp_path / "a.nii", slope=(2.0, -100.0)), time=True).voxels
    assert whole.dtype == np.int16  # 359 * 2 - 100 fits
    np.testing.assert_array_equal(np.sort(whole, axis=None), np.arange(CINE.size) * 2 - 100)
    parts = read_nifti(stored(tmp_path / "b.nii", slope=(0.5, 0.0)), time=True).voxels
    np.testing.assert_array_equal(np.sort(parts, axis=None), np.arange(CINE.size) / 2)


@pytest.mark.parametrize("values", [CINE[..., 0], CINE[..., :1], CINE[..., None, :]])
def test_what_has_no_time_has_no_clock(tmp_path: Path, values: npt.NDArray[np.int16]) -> None:
    """The fifth axis of NIfTI holds vectors."""
    channel = 1 if values.ndim == 5 else None
    assert read_nifti(stored(tmp_path / "a.nii", values, step=1.0), channel=channel, time=True).clock is None


def test_a_slice_of_one_position_through_time_is_a_series(tmp_path: Path) -> None:
    assert read_nifti(stored(tmp_path / "a.nii", CINE[:, :, :1]), time=True).voxels.shape == (TIMES, 1, 5, 4)


def test_all_times_count_for_the_limit_and_all_must_be_there(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.nii")
    with pytest.raises(DataError, match=r"4 x 5 x 6 x 3 voxels are more than data.max_voxels \(359\)"):
        read_nifti(path, time=True, max_voxels=CINE.size - 1)
    assert read_nifti(path, time=True, max_voxels=CINE.size).clock is not None
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="it ends in slice 18 of 18"):
        read_nifti(path, time=True)
