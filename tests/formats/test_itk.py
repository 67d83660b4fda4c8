"""NRRD and MetaImage volumes: the same voxels at the same place as NIfTI, and back as they were stored."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from adapt.errors import DataError
from adapt.formats import read_itk, read_nifti, same_geometry, write_itk

VALUES = np.arange(4 * 5 * 6, dtype=np.int16).reshape(6, 5, 4)  # (z, y, x): no two voxels, no two sides are equal
SPACING, ORIGIN = (0.7, 1.3, 2.5), (-31.7, 12.9, 101.3)
STRAIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
FLIPPED = (-1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0)  # x to the right, y upwards, z to the back
FORMATS = ("nrrd", "mha")


def _image(direction: tuple[float, ...] = STRAIGHT) -> sitk.Image:
    image = sitk.GetImageFromArray(VALUES)
    image.SetSpacing(SPACING)
    image.SetOrigin(ORIGIN)
    image.SetDirection(direction)
    return image


@pytest.mark.parametrize("direction", [STRAIGHT, FLIPPED])
@pytest.mark.parametrize("ending", FORMATS)
def test_voxels_lie_where_nifti_puts_them(tmp_path: Path, ending: str, direction: tuple[float, ...]) -> None:
    sitk.WriteImage(_image(direction), tmp_path / f"a.{ending}")
    sitk.WriteImage(_image(direction), tmp_path / "a.nii.gz")  # ITK's own idea of the same place
    volume, nifti = read_itk(tmp_path / f"a.{ending}"), read_nifti(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(volume.voxels, nifti.voxels)
    assert same_geometry(volume, nifti) is None
    np.testing.assert_allclose(volume.affine, nifti.affine, atol=1e-4)


@pytest.mark.parametrize("direction", [STRAIGHT, FLIPPED])
@pytest.mark.parametrize("ending", FORMATS)
def test_what_is_written_lands_on_the_stored_voxels(tmp_path: Path, ending: str, direction: tuple[float, ...]) -> None:
    sitk.WriteImage(_image(direction), tmp_path / f"a.{ending}")
    volume = read_itk(tmp_path / f"a.{ending}")
    mask = (volume.voxels % 7 == 0).astype(np.uint8)
    write_itk(tmp_path / f"mask.{ending}", mask, like=volume)
    written = sitk.ReadImage(str(tmp_path / f"mask.{ending}"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(written), VALUES % 7 == 0)
    np.testing.assert_allclose(written.GetOrigin(), ORIGIN, atol=1e-9)
    np.testing.assert_allclose(written.GetSpacing(), SPACING, atol=1e-9)
    np.testing.assert_allclose(written.GetDirection(), direction, atol=1e-9)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([f"a.{ending}", f"mask.{ending}"])


def test_nifti_and_nrrd_of_one_patient_go_together(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(VALUES.transpose(2, 1, 0), np.diag([0.7, 1.3, 2.5, 1.0])), tmp_path / "a.nii")
    nifti = read_nifti(tmp_path / "a.nii")
    write_itk(tmp_path / "a.nrrd", nifti.voxels, like=nifti)
    volume = read_itk(tmp_path / "a.nrrd")
    np.testing.assert_array_equal(volume.voxels, nifti.voxels)
    assert same_geometry(volume, nifti) is None


def test_of_several_components_one_is_chosen(tmp_path: Path) -> None:
    both = sitk.Compose(_image(), _image() + 500)
    sitk.WriteImage(both, tmp_path / "a.nrrd")
    sitk.WriteImage(_image() + 500, tmp_path / "b.nrrd")
    chosen = read_itk(tmp_path / "a.nrrd", channel=1)
    np.testing.assert_array_equal(chosen.voxels, read_itk(tmp_path / "b.nrrd").voxels)
    with pytest.raises(DataError, match=r"a\.nrrd: holds 2 channels; choose one: data\.channel=0 to 1"):
        read_itk(tmp_path / "a.nrrd")


@pytest.mark.parametrize("ending", FORMATS)
def test_a_flat_image_is_one_slice(tmp_path: Path, ending: str) -> None:
    flat = sitk.GetImageFromArray(VALUES[0])
    flat.SetSpacing((0.5, 0.25))
    flat.SetOrigin((7.0, -3.0))
    sitk.WriteImage(flat, tmp_path / f"a.{ending}")
    volume = read_itk(tmp_path / f"a.{ending}")
    np.testing.assert_array_equal(volume.voxels, VALUES[:1])
    assert volume.spacing == (1.0, 0.25, 0.5)  # between slices there is nothing to know
    np.testing.assert_allclose(volume.affine[:3, 3], (-7, 3, 0))  # in RAS+


@pytest.mark.parametrize("ending", FORMATS)
def test_an_image_of_four_dimensions_is_refused(tmp_path: Path, ending: str) -> None:
    sitk.WriteImage(sitk.JoinSeries([_image(), _image()]), tmp_path / f"a.{ending}")
    with pytest.raises(DataError, match=rf"a\.{ending}: is 4-dimensional .* a 2D image or 3D volume is needed"):
        read_itk(tmp_path / f"a.{ending}")


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("content", [b"", b"not a volume", b"NRRD0004\ntype: short\n"])
def test_a_damaged_file_is_named(tmp_path: Path, ending: str, content: bytes) -> None:
    (tmp_path / f"a.{ending}").write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.{ending}: cannot be read as a volume"):
        read_itk(tmp_path / f"a.{ending}")


@pytest.mark.parametrize("ending", FORMATS)
def test_a_file_cut_short_is_named(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    sitk.WriteImage(_image(), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=rf"a\.{ending}: cannot be read as a volume"):
        read_itk(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.nrrd: no such file"):
        read_itk(tmp_path / "none.nrrd")


CLAIMS = {
    "nrrd": "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 100000 100000 100000\n"
    "space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nendian: little\nencoding: gzip\n\n",
    "mha": "ObjectType = Image\nNDims = 3\nBinaryData = True\nCompressedData = True\nDimSize = 100000 100000 100000\n"
    "ElementType = MET_SHORT\nElementDataFile = LOCAL\n",
}


@pytest.mark.parametrize("ending", FORMATS)
def test_what_claims_too_many_voxels_is_refused_by_its_header(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"a.{ending}").write_bytes(CLAIMS[ending].encode() + bytes(64))
    with pytest.raises(DataError, match=r"100000 x 100000 x 100000 voxels are more than data\.max_voxels"):
        read_itk(tmp_path / f"a.{ending}", max_voxels=2_000_000_000)


@pytest.mark.parametrize("ending", FORMATS)
def test_all_components_count(tmp_path: Path, ending: str) -> None:
    sitk.WriteImage(sitk.Compose(_image(), _image()), tmp_path / f"a.{ending}")
    assert read_itk(tmp_path / f"a.{ending}", channel=0, max_voxels=VALUES.size * 2).voxels.size == VALUES.size
    with pytest.raises(DataError, match="4 x 5 x 6 x 2 voxels are more"):
        read_itk(tmp_path / f"a.{ending}", channel=0, max_voxels=VALUES.size * 2 - 1)
