"""A volume of any orientation, spacing and type keeps each value at its place in the patient, for other libraries too.

NIfTI is written by nibabel and looked at by SimpleITK, NRRD and MetaImage the other way round.
"""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from adapt.formats import Volume, read_itk, read_nifti, write_itk, write_nifti

Array = npt.NDArray[Any]

TYPES = (np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64)
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@st.composite
def stored_volumes(draw: st.DrawFn) -> tuple[Array, Array]:
    """Values (x, y, z), no two alike, and an affine: axes in any order and direction, turned a little, anywhere."""
    shape = draw(st.tuples(*[st.integers(1, 5)] * 3))
    values = np.arange(np.prod(shape)).reshape(shape).astype(draw(st.sampled_from(TYPES)))
    angles = [draw(st.floats(-0.6, 0.6)) for _ in range(3)]
    turn = np.eye(3)
    for axis, angle in enumerate(angles):
        one, other = (index for index in range(3) if index != axis)
        step = np.eye(3)
        step[one, one] = step[other, other] = np.cos(angle)
        step[one, other], step[other, one] = -np.sin(angle), np.sin(angle)
        turn = step @ turn
    signs = [draw(st.sampled_from([-1.0, 1.0])) for _ in range(3)]
    spacing = [draw(st.floats(0.2, 6)) for _ in range(3)]
    affine = np.eye(4)
    affine[:3, :3] = turn[:, draw(st.permutations(range(3)))] * signs * spacing
    affine[:3, 3] = [draw(st.floats(-500, 500)) for _ in range(3)]
    return values, affine


def _itk_image(values: Array, affine: Array) -> sitk.Image:
    """The same volume for ITK, whose world is LPS."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(values.T))
    moved = LPS @ affine
    spacing = np.linalg.norm(moved[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((moved[:3, :3] / spacing).flatten().tolist())
    image.SetOrigin(moved[:3, 3].tolist())
    return image


def _same_for_itk(volume: Volume, image: sitk.Image) -> None:
    """Each value of the volume lies where ITK finds it."""
    for z, y, x in np.ndindex(*volume.voxels.shape):
        place = LPS @ volume.affine @ [x, y, z, 1]
        index = image.TransformPhysicalPointToContinuousIndex(place[:3].tolist())
        np.testing.assert_allclose(index, np.rint(index), atol=0.01)  # NIfTI holds float32, 500 mm off the origin
        assert image[tuple(round(i) for i in index)] == volume.voxels[z, y, x]


def _same_for_nibabel(volume: Volume, path: Path) -> None:
    """Each value of the volume lies where nibabel finds it."""
    image = nibabel.load(path)
    stored, back = np.asarray(image.dataobj), np.linalg.inv(image.affine)
    for z, y, x in np.ndindex(*volume.voxels.shape):
        index = (back @ volume.affine @ [x, y, z, 1])[:3]
        np.testing.assert_allclose(index, np.rint(index), atol=0.01)
        assert stored[tuple(np.rint(index).astype(int))] == volume.voxels[z, y, x]


@settings(max_examples=40)
@given(stored=stored_volumes(), ending=st.sampled_from(["nii", "nii.gz"]))
def test_nifti_of_nibabel_is_what_itk_sees(
    tmp_path_factory: pytest.TempPathFactory, stored: tuple[Array, Array], ending: str
) -> None:
    folder = tmp_path_factory.mktemp("nifti")
    values, affine = stored
    nibabel.save(nibabel.Nifti1Image(values, affine), folder / f"a.{ending}")
    volume = read_nifti(folder / f"a.{ending}")
    _same_for_itk(volume, sitk.ReadImage(folder / f"a.{ending}"))
    write_nifti(folder / f"b.{ending}", volume.voxels, like=volume)
    _same_for_itk(volume, sitk.ReadImage(folder / f"b.{ending}"))
    written = nibabel.load(folder / f"b.{ending}")
    np.testing.assert_array_equal(np.asarray(written.dataobj), values)  # in the axes it came with
    assert written.get_data_dtype() == values.dtype


@settings(max_examples=40)
@given(stored=stored_volumes(), ending=st.sampled_from(["nrrd", "mha"]))
def test_nrrd_and_metaimage_of_itk_are_what_nibabel_sees(
    tmp_path_factory: pytest.TempPathFactory, stored: tuple[Array, Array], ending: str
) -> None:
    folder = tmp_path_factory.mktemp("itk")
    values, affine = stored
    sitk.WriteImage(_itk_image(values, affine), folder / f"a.{ending}")
    nibabel.save(nibabel.Nifti1Image(values, affine), folder / "same.nii")
    volume = read_itk(folder / f"a.{ending}")
    _same_for_nibabel(volume, folder / "same.nii")
    write_itk(folder / f"b.{ending}", volume.voxels, like=volume)
    written = sitk.ReadImage(folder / f"b.{ending}")
    _same_for_itk(volume, written)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(written), values.T)
    write_nifti(folder / "b.nii", volume.voxels, like=volume)
    _same_for_nibabel(volume, folder / "b.nii")
