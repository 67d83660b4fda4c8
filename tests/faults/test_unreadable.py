"""One file among 200 that cannot be read: it is named; the run ends, or goes on with the others, as asked."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_runs import Fit

from adapt.runs import TRAINING

FILES, BAD = 200, "images/image_137.png"
FEW = ("split.validation=0.02", "split.test=0.9", "trainer.epochs=1", "features.cache=false")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images with one square each; of one, half the file is left."""
    folder = tmp_path_factory.mktemp("squares")
    (folder / "images").mkdir()
    (folder / "labels").mkdir()
    for number in range(FILES):
        random = np.random.default_rng(number)
        label = np.zeros((32, 32), dtype=np.uint8)
        top, left = random.integers(0, 20, 2)
        label[top : top + 12, left : left + 12] = 1
        image = random.integers(0, 100, (32, 32), dtype=np.uint8) + 100 * label
        Image.fromarray(image).save(folder / "images" / f"image_{number:03d}.png")
        Image.fromarray(label).save(folder / "labels" / f"image_{number:03d}.png")
    content = (folder / BAD).read_bytes()
    (folder / BAD).write_bytes(content[: len(content) // 2])
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("choice", ["fail", "skip"])
def test_one_unreadable_file_of_200_is_named_and_ends_the_run_or_is_left_out(
    root: Path,
    fit: Fit,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    measured: Callable[..., None],
    choice: str,
) -> None:
    code = fit(f"data.root={root}", f"data.on_error={choice}", f"cache={tmp_path}/cache", *FEW)
    said = capsys.readouterr().err
    named, skips = said.count(str(root / BAD)) == 1, choice == "skip"
    images = 199 if f"data        {FILES - 1} images with {FILES - 1} objects" in said else 0
    measured("unreadable", named=named, failed=code == 1, images=images)
    assert named
    if skips:
        assert code == 0 and images == 199 and f"skipped: {root / BAD}: cannot be read as an image" in said
        (folder,) = (tmp_path / "runs" / "small").iterdir()
        assert (folder / TRAINING).is_file()
    else:
        assert code == 1 and f"1 of {FILES} cases cannot be used" in said
        assert not (tmp_path / "runs").exists()
