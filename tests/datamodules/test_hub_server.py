"""Data sets are downloaded and streamed from a server that answers as the Hub does; nothing but it is reached."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from local_hub import COMMIT, LocalHub, local_hub
from PIL import Image

from adapt.datamodules.generated.shapes import IMAGES, draw_image, write_shapes_hub

pytestmark = pytest.mark.slow  # each test starts processes that import everything

PARQUET = {"root": "team/shapes", "mask_column": "masks", "category_column": "categories", "id_column": "id"}
PICTURES = {"root": "team/pictures"}
NAMES = ("team/shapes", "team/pictures")
READ = """
import json
import sys
from pathlib import Path

from adapt.datamodules.hub import hub_source
from adapt.errors import DataError
from adapt.recipe import HubData

found = []
for wanted in json.loads(sys.argv[1]):
    settings = HubData(kind="hub", **wanted)
    try:
        source = hub_source(settings, Path(settings.root))
        cases = [case() for case in source.cases]
        samples = [sample for case in cases for sample in case.samples]
        errors = [error for case in cases for error in case.errors]
        facts = sorted([int(sample.image.sum()), int(sample.masks.sum())] for sample in samples)
        found.append([source.version, errors, facts])
    except DataError as error:
        found.append(str(error))
print(json.dumps(found))
"""


def _write_pictures(folder: Path) -> None:
    """Three images with label maps, as files."""
    lines = []
    for index in range(3):
        image, shapes = draw_image(np.random.default_rng(index))
        labels = np.sum([number * shape.mask for number, shape in enumerate(shapes, 1)], axis=0, dtype=np.uint8)
        for kind, values in (("images", image), ("labels", labels)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(folder / kind / f"{index}.png")
        lines.append({"file_name": f"images/{index}.png", "mask_file_name": f"labels/{index}.png"})
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    (tmp_path / "shapes").mkdir()
    write_shapes_hub(tmp_path / "shapes")
    _write_pictures(tmp_path / "pictures" / "train")
    with local_hub() as server:
        for name in ("shapes", "pictures"):
            server.add_folder(f"datasets/team/{name}", tmp_path / name)
        yield server


def _read(hub: LocalHub, home: Path, *wanted: dict[str, object], offline: bool = False) -> list[Any]:
    """What a process of its own has read; the libraries look at these variables when they are imported."""
    environment = os.environ | {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HUB_OFFLINE": "1" if offline else "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HOME": str(home),
    }
    command = [sys.executable, "-c", READ, json.dumps(wanted)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


def _drawn() -> tuple[list[list[int]], list[list[int]]]:
    """Sums of the pixels of each image and its masks: of the parquet data set, and of the pictures."""
    parquet, pictures = [], []
    for index in range(IMAGES):
        image, shapes = draw_image(np.random.default_rng([0, index]))
        parquet.append([int(image.sum()), sum(int(shape.mask.sum()) for shape in shapes)])
    for index in range(3):
        image, shapes = draw_image(np.random.default_rng(index))
        pictures.append([int(image.sum()), int(np.any([shape.mask for shape in shapes], axis=0).sum())])
    return sorted(parquet), sorted(pictures)


def test_a_data_set_is_streamed_and_no_copy_of_it_is_kept(hub: LocalHub, tmp_path: Path) -> None:
    found = _read(hub, tmp_path / "hf", PARQUET | {"streaming": True}, PICTURES | {"streaming": True})
    for (version, errors, facts), name, drawn in zip(found, NAMES, _drawn(), strict=True):
        assert (version, errors, facts) == (f"{name}@{COMMIT}", [], drawn)
    assert [path for ending in ("*.parquet", "*.arrow", "*.png") for path in (tmp_path / "hf").rglob(ending)] == []
    assert all("bytes=" in asked for asked in hub.requests if asked.startswith("GET") and ".parquet" in asked)


def test_a_downloaded_data_set_is_read_again_without_the_network_by_its_commit(hub: LocalHub, tmp_path: Path) -> None:
    home = tmp_path / "hf"
    found = _read(hub, home, PARQUET, PICTURES)
    for (version, errors, facts), name, drawn in zip(found, NAMES, _drawn(), strict=True):
        assert (version, errors, facts) == (f"{name}@{COMMIT}", [], drawn)
    hub.requests.clear()
    *again, told = _read(
        hub, home, PARQUET | {"revision": COMMIT}, PICTURES | {"revision": COMMIT}, PICTURES, offline=True
    )
    assert again == found
    assert hub.requests == []
    assert "the Hub cannot be reached (" in told and "offline mode is enabled" in told


def test_what_is_not_on_the_hub_is_told(hub: LocalHub, tmp_path: Path) -> None:
    wanted = [{"root": "team/none"}, PARQUET | {"revision": "v2"}, PARQUET | {"splits": ["test"]}]
    nowhere, revision, split = _read(hub, tmp_path / "hf", *wanted)
    assert "data.root 'team/none': is neither a folder (looked from " in nowhere
    assert "hf auth login" in nowhere
    assert revision == "data.root 'team/shapes': has no revision 'v2'; set data.revision to a branch, tag or commit"
    assert split == "data.splits: no 'test' in team/shapes; it has train"
