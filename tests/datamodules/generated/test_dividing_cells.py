"""Generated time series: the same at every call, with exact tracks of cells that move, divide, leave and come in."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from scipy import ndimage

from adapt.datamodules.generated import dividing_cells


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cells")
    dividing_cells.write_dividing_cells(path)
    return path


@pytest.fixture(scope="module")
def tracks(folder: Path) -> list[npt.NDArray[np.integer]]:
    return [tifffile.imread(path) for path in sorted((folder / "tracks").iterdir())]


def test_files_hold_what_was_drawn_with_a_time_axis(folder: Path) -> None:
    names = [f"series_{number:02d}" for number in range(dividing_cells.SERIES)]
    for below, ending in (("images", ".ome.tif"), ("tracks", ".tif"), ("masks", ".tif")):
        assert [path.name for path in sorted((folder / below).iterdir())] == [f"{name}{ending}" for name in names]
        with tifffile.TiffFile(folder / below / f"series_03{ending}") as file:
            assert file.series[0].axes == "TYX"
    image, labels = dividing_cells.draw_series(np.random.default_rng([0, 3]))
    np.testing.assert_array_equal(tifffile.imread(folder / "images" / "series_03.ome.tif"), image)
    np.testing.assert_array_equal(tifffile.imread(folder / "tracks" / "series_03.tif"), labels)


def test_masks_show_the_same_cells_numbered_anew(folder: Path, tracks: list[npt.NDArray[np.integer]]) -> None:
    moved = 0
    for number, series in enumerate(tracks):
        masks = tifffile.imread(folder / "masks" / f"series_{number:02d}.tif")
        for frame, labels in zip(masks, series, strict=True):
            numbers, values = np.divmod(np.unique(frame.astype(np.int64) * 1000 + labels), 1000)
            assert len(set(values.tolist())) == len(values)
            assert numbers.tolist() == list(range(len(numbers)))
            moved += int((np.diff(values) < 0).any())
    assert moved > 60  # of 120 frames: the order from the top is not that of the tracks


def test_a_track_is_there_from_its_first_frame_to_its_last_and_moves_by_less_than_a_cell(
    tracks: list[npt.NDArray[np.integer]],
) -> None:
    for series in tracks:
        for track in np.unique(series[series > 0]):
            present = np.flatnonzero((series == track).any((1, 2)))
            if (ndimage.sum_labels(series == track, series, track)) < 400 * len(present) / 4:
                continue  # at the border it may be out for a moment
            assert (np.diff(present) == 1).all()
            centres = np.array([ndimage.center_of_mass(series[time] == track) for time in present])
            assert (np.linalg.norm(np.diff(centres, axis=0), axis=1) < 9).all()


def test_cells_divide_leave_and_come_in(tracks: list[npt.NDArray[np.integer]]) -> None:
    ended = begun = 0
    for series in tracks:
        first, last = set(np.unique(series[0])), set(np.unique(series[-1]))
        every = set(np.unique(series))
        ended += len(first - last)
        begun += len(every - first)
    assert ended > 20 and begun > 40
