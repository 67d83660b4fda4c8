"""Data sets are downloaded and streamed from a server that answers as the Hub does; nothing but it is reached."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import pytest
from PIL import Image

from adapt.datamodules.generated.shapes import IMAGES, draw_image, write_shapes_hub

pytestmark = pytest.mark.slow  # each test starts processes that import everything

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REVISIONS = ("main", COMMIT)
PARQUET = {"root": "team/shapes", "mask_column": "masks", "category_column": "categories", "id_column": "id"}
PICTURES = {"root": "team/pictures"}
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


class Hub(ThreadingHTTPServer):
    """Serves folders as data sets, at every revision of `REVISIONS`."""

    def __init__(self, folders: dict[str, Path]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files = {
            name: {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.*"))}
            for name, folder in folders.items()
        }
        self.requests: list[str] = []


class Answer(BaseHTTPRequestHandler):
    """The few answers of the Hub's interface that reading a public data set asks for."""

    server: Hub

    def log_message(self, format: str, *args: object) -> None:
        """Requests are kept in a list instead."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append(f"{self.command} {path} {self.headers.get('Range', 'whole')}")
        parts = path.removeprefix("/api").removeprefix("/datasets/").split("/")
        (owner, name), rest = parts[:2], parts[2:] or ["revision", "main"]
        what, revision, inside = rest[0], rest[1], "/".join(rest[2:])
        files = self.server.files.get(f"{owner}/{name}")
        if files is None:
            self._missing("RepoNotFound")
        elif revision not in REVISIONS:
            self._missing("RevisionNotFound")
        elif what == "revision":
            siblings = [{"rfilename": file} for file in files]
            about = {"id": f"{owner}/{name}", "sha": COMMIT, "siblings": siblings, "private": False, "tags": []}
            self._json(about)
        elif what == "tree":
            self._json(_entries(files, inside, recursive="recursive=true" in self.path.lower()))
        elif what == "paths-info":
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            asked = json.loads(body)["paths"] if body.startswith("{") else parse_qs(body)["paths"]
            self._json([_entry(files, file) for file in asked if file in files])
        elif inside in files:
            self._content(files[inside], etag=inside)
        else:
            self._missing("EntryNotFound")

    def _content(self, content: bytes, *, etag: str) -> None:
        start, stop = 0, len(content)
        wanted = self.headers.get("Range")
        if wanted:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, stop = int(first), min(int(last or stop) + 1, stop)
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
        self.send_header("ETag", f'"{etag.encode().hex()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self._body(content[start:stop])

    def _json(self, content: object) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self._body(json.dumps(content).encode())

    def _missing(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self._body(b"")

    def _body(self, content: bytes) -> None:
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _entry(files: dict[str, bytes], name: str) -> dict[str, object]:
    return {"type": "file", "path": name, "size": len(files[name]), "oid": name.encode().hex()}


def _entries(files: dict[str, bytes], folder: str, *, recursive: bool) -> list[dict[str, object]]:
    """Files and folders in a folder."""
    begin = f"{folder}/" if folder else ""
    below = [name for name in files if name.startswith(begin)]
    inside = {
        f"{begin}{'/'.join(name.removeprefix(begin).split('/')[:depth])}" for name in below for depth in (1, 2, 3)
    }
    shown = sorted(name for name in inside if recursive or "/" not in name.removeprefix(begin))
    return [
        _entry(files, name) if name in files else {"type": "directory", "path": name, "oid": name.encode().hex()}
        for name in shown
    ]


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
def hub(tmp_path: Path) -> Iterator[Hub]:
    folders = {"team/shapes": tmp_path / "shapes", "team/pictures": tmp_path / "pictures"}
    (tmp_path / "shapes").mkdir()
    write_shapes_hub(tmp_path / "shapes")
    _write_pictures(tmp_path / "pictures" / "train")
    with Hub(folders) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _read(hub: Hub, home: Path, *wanted: dict[str, object], offline: bool = False) -> list[Any]:
    """What a process of its own has read; the libraries look at these variables when they are imported."""
    environment = os.environ | {
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
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


def test_a_data_set_is_streamed_and_no_copy_of_it_is_kept(hub: Hub, tmp_path: Path) -> None:
    found = _read(hub, tmp_path / "hf", PARQUET | {"streaming": True}, PICTURES | {"streaming": True})
    for (version, errors, facts), name, drawn in zip(found, hub.files, _drawn(), strict=True):
        assert (version, errors, facts) == (f"{name}@{COMMIT}", [], drawn)
    assert [path for ending in ("*.parquet", "*.arrow", "*.png") for path in (tmp_path / "hf").rglob(ending)] == []
    assert all("bytes=" in asked for asked in hub.requests if asked.startswith("GET") and ".parquet" in asked)


def test_a_downloaded_data_set_is_read_again_without_the_network_by_its_commit(hub: Hub, tmp_path: Path) -> None:
    home = tmp_path / "hf"
    found = _read(hub, home, PARQUET, PICTURES)
    for (version, errors, facts), name, drawn in zip(found, hub.files, _drawn(), strict=True):
        assert (version, errors, facts) == (f"{name}@{COMMIT}", [], drawn)
    hub.requests.clear()
    *again, told = _read(
        hub, home, PARQUET | {"revision": COMMIT}, PICTURES | {"revision": COMMIT}, PICTURES, offline=True
    )
    assert again == found
    assert hub.requests == []
    assert "the Hub cannot be reached (" in told and "offline mode is enabled" in told


def test_what_is_not_on_the_hub_is_told(hub: Hub, tmp_path: Path) -> None:
    wanted = [{"root": "team/none"}, PARQUET | {"revision": "v2"}, PARQUET | {"splits": ["test"]}]
    nowhere, revision, split = _read(hub, tmp_path / "hf", *wanted)
    assert "data.root 'team/none': is neither a folder (looked from " in nowhere
    assert "hf auth login" in nowhere
    assert revision == "data.root 'team/shapes': has no revision 'v2'; set data.revision to a branch, tag or commit"
    assert split == "data.splits: no 'test' in team/shapes; it has train"
