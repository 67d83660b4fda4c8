"""Generated nuclei are images like any others: the same in both formats and at every call, with exact labels."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
import zarr

from adapt.datamodules.generated import nuclei


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nuclei")
    nuclei.write_nuclei(path)
    return path


def test_files_hold_what_was_drawn(folder: Path) -> None:
    images = sorted((folder / "images").iterdir())
    assert [path.name for path in images] == [f"field_{number:02d}.ome.tif" for number in range(nuclei.FIELDS)]
    for number, path in enumerate(images):
        image, labels = nuclei.draw_field(np.random.default_rng([0, number]))
        np.testing.assert_array_equal(tifffile.imread(path), image[0])
        np.testing.assert_array_equal(tifffile.imread(folder / "masks" / f"field_{number:02d}.tif"), labels)
        assert sorted(np.unique(labels)) == list(range(labels.max() + 1))


def test_ome_zarr_holds_the_same_fields_with_a_second_channel(tmp_path: Path) -> None:
    nuclei.write_nuclei_zarr(tmp_path)
    formats = set()
    for number in range(nuclei.FIELDS):
        image, labels = nuclei.draw_field(np.random.default_rng([0, number]))
        group = zarr.open_group(tmp_path / "images" / f"field_{number:02d}.ome.zarr", mode="r")
        np.testing.assert_array_equal(group["0"][...], image)
        np.testing.assert_array_equal(group["labels/nuclei/0"][...], labels)
        formats.add(group.metadata.zarr_format)
    assert formats == {2, 3}


def test_files_are_the_same_bytes_again(folder: Path, tmp_path: Path) -> None:
    nuclei.write_nuclei(tmp_path)
    for path in sorted(folder.rglob("*.tif")):
        assert (tmp_path / path.relative_to(folder)).read_bytes() == path.read_bytes()


def test_nuclei_are_bright_and_some_touch_or_lie_in_others() -> None:
    touching = nested = 0
    for number in range(nuclei.FIELDS):
        image, labels = nuclei.draw_field(np.random.default_rng([0, number]))
        assert labels.max() >= 10
        assert image[0][labels > 0].mean() > 3 * image[0][labels == 0].mean()
        for value in range(1, int(labels.max()) + 1):
            mask = (labels == value).astype(np.uint8)
            ring = labels[(cv2.dilate(mask, np.ones((3, 3), np.uint8)) > 0) & (mask == 0)]
            touching += bool((ring > 0).any())
            nested += len(ring) > 0 and len(set(ring.tolist())) == 1 and ring[0] > 0
    assert touching > nuclei.FIELDS
    assert nested >= 5
