"""A server that answers as the Hugging Face Hub does, as far as these tests ask; it can be told to fail."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_of_the_test"
READ_TOKEN = "hf_that_may_only_read"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
"""Of a repository that was there from the beginning."""
OWNERS = ("team", "user")
Files = dict[str, bytes]


@dataclass(frozen=True)
class Commit:
    """What a repository held at a time."""

    oid: str
    title: str
    files: Files


@dataclass
class Repo:
    """A repository: its commits, oldest first, and who may read it."""

    commits: list[Commit]
    private: bool = False
    gated: bool = False

    def at(self, revision: str) -> Commit | None:
        """The commit that a branch or a commit names."""
        if revision == "main":
            return self.commits[-1]
        return next((commit for commit in self.commits if commit.oid == revision), None)


@dataclass
class Fault:
    """What goes wrong with some requests.

    Attributes:
        request: matched with "METHOD /path".
        times: how often it happens.
        status: of the answer; 0: the connection is cut in the middle of the request.
        headers: of the answer.
        after: whether what is asked for is done all the same, and only the answer is lost.
        skip: requests that are left alone first.
    """

    request: str
    times: int = 1
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False
    skip: int = 0


class LocalHub(ThreadingHTTPServer):
    """Repositories by id, data sets as `datasets/owner/name`; faults to come; and what was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.repos: dict[str, Repo] = {}
        self.uploaded: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self.served: dict[str, Callable[[bytes], bytes]] = {}
        """File to what becomes of it on the way to a client."""
        self.lock = threading.Lock()

    @property
    def endpoint(self) -> str:
        """For HF_ENDPOINT."""
        return f"http://127.0.0.1:{self.server_port}"

    def add(self, name: str, files: Files, *, private: bool = False, gated: bool = False) -> Repo:
        """A repository with one commit."""
        self.repos[name] = Repo([Commit(COMMIT, "initial commit", dict(files))], private=private, gated=gated)
        return self.repos[name]

    def add_folder(self, name: str, folder: Path) -> Repo:
        """A repository with the files of a folder."""
        paths = sorted(path for path in folder.rglob("*.*") if path.is_file())
        return self.add(name, {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths})

    def fault(self, request: str) -> Fault | None:
        """The fault that happens to a request, if one does."""
        with self.lock:
            for fault in self.faults:
                if fault.times and re.search(fault.request, request):
                    if fault.skip:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    return fault
        return None


@contextmanager
def local_hub() -> Iterator[LocalHub]:
    """A hub that runs inside the block."""
    with LocalHub() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class Answer(BaseHTTPRequestHandler):
    """The answers of the Hub's interface to reading and to pushing."""

    server: LocalHub

    def log_message(self, format: str, *args: object) -> None:
        """Requests are kept in a list instead."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append(f"{self.command} {path} {self.headers.get('Range', 'whole')}")
        fault = self.server.fault(f"{self.command} {path}")
        if fault is not None and fault.status == 0 and not fault.after:
            self.rfile.read(min(1000, int(self.headers.get("Content-Length", 0))))
            self._cut()
            return
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._chunks()
        if fault is not None and not fault.after:
            self._empty(fault.status, fault.headers)
            return
        if fault is not None:
            self._do_unheard(path, body)
            return
        self._route(path, body)

    def _do_unheard(self, path: str, body: bytes) -> None:
        """Do what is asked for, and cut the connection instead of an answer."""
        answer, self.wfile = self.wfile, _Nowhere()  # type: ignore[assignment]
        self._route(path, body)
        self.wfile = answer
        self._cut()

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(2)

    def _chunks(self) -> bytes:
        whole = b""
        while size := int(self.rfile.readline(), 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def _route(self, path: str, body: bytes) -> None:
        if path.startswith("/lfs/"):
            self.server.uploaded[path.removeprefix("/lfs/")] = body
            self._json({})
        elif path == "/api/whoami-v2":
            self._who()
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif path.endswith(".git/info/lfs/objects/batch"):
            self._batch(json.loads(body))
        elif path.count("/") < 3:
            self._empty(404, {})
        else:
            self._of_repo(path, body)

    @property
    def _token(self) -> str:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ")

    def _who(self) -> None:
        if self._token not in (TOKEN, READ_TOKEN):
            self._empty(401, {"X-Error-Message": "Invalid credentials in Authorization header"})
            return
        role = "read" if self._token == READ_TOKEN else "write"
        orgs = [{"name": "team", "type": "org"}]
        self._json({"type": "user", "name": "user", "orgs": orgs, "auth": {"accessToken": {"role": role}}})

    def _create(self, wanted: dict[str, str]) -> None:
        name = f"{wanted.get('organization') or 'user'}/{wanted['name']}"
        if self._token != TOKEN or name.split("/")[0] not in OWNERS:
            self._empty(403, {"X-Error-Message": "You don't have the rights to create a model under this namespace"})
        elif name in self.server.repos:
            self._empty(409, {})
        else:
            self.server.add(name, {".gitattributes": b"*.safetensors lfs\n"}, private=wanted["visibility"] == "private")
            self._json({"url": f"{self.server.endpoint}/{name}", "name": name, "id": name})

    def _batch(self, wanted: dict[str, list[dict[str, object]]]) -> None:
        objects = [
            {**one, "actions": {"upload": {"href": f"{self.server.endpoint}/lfs/{one['oid']}"}}}
            for one in wanted["objects"]
        ]
        self._json({"transfer": "basic", "objects": objects})

    def _of_repo(self, path: str, body: bytes) -> None:
        inside = path.removeprefix("/api").removeprefix("/models")
        kind = "datasets/" if inside.startswith("/datasets/") else ""
        owner, name, *rest = inside.removeprefix("/datasets").strip("/").split("/")
        full = f"{kind}{owner}/{name}"
        (what, revision), file = (rest[:2] or ["revision", "main"]), "/".join(rest[2:])
        repo = self.server.repos.get(full)
        if repo is None or (repo.private and self._token not in (TOKEN, READ_TOKEN)):
            self._empty(404, {"X-Error-Code": "RepoNotFound"})
        elif repo.gated and what == "resolve":
            self._empty(403, {"X-Error-Code": "GatedRepo"})
        elif (commit := repo.at(revision)) is None:
            self._empty(404, {"X-Error-Code": "RevisionNotFound"})
        elif what == "revision":
            siblings = [{"rfilename": one} for one in commit.files]
            about = {"id": full, "sha": commit.oid, "siblings": siblings, "private": repo.private, "tags": []}
            self._json(about)
        elif what == "commits":
            self._json([_told(one) for one in reversed(repo.commits)])
        elif what == "tree":
            self._json(_entries(commit.files, file, recursive="recursive=true" in self.path.lower()))
        elif what == "paths-info":
            asked = json.loads(body)["paths"] if body.startswith(b"{") else parse_qs(body.decode())["paths"]
            self._json([_entry(commit.files, one) for one in asked if one in commit.files])
        elif what == "preupload":
            self._preupload(commit, json.loads(body))
        elif what == "commit":
            self._commit(full, repo, body)
        elif file in commit.files:
            self._content(commit, file)
        else:
            self._empty(404, {"X-Error-Code": "EntryNotFound"})

    def _preupload(self, commit: Commit, wanted: dict[str, list[dict[str, str]]]) -> None:
        files = []
        for one in wanted["files"]:
            mode = "lfs" if one["path"].endswith((".safetensors", ".png")) else "regular"
            held = commit.files.get(one["path"])
            oid = None if held is None else hashlib.sha256(held).hexdigest() if mode == "lfs" else _git_hash(held)
            files.append({"path": one["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self._json({"files": files})

    def _commit(self, name: str, repo: Repo, body: bytes) -> None:
        if self._token != TOKEN:
            self._empty(403, {"X-Error-Message": "You may not write here"})
            return
        files, title = dict(repo.commits[-1].files), ""
        for line in body.decode().splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header":
                title = value["summary"]
                if value.get("parentCommit") not in (None, repo.commits[-1].oid):
                    self._empty(412, {"X-Error-Message": "The repository has changed since"})
                    return
            elif entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = self.server.uploaded[value["oid"]]
            else:
                files.pop(value["path"])
        oid = hashlib.sha1(f"{len(repo.commits)} {title}".encode()).hexdigest()
        repo.commits.append(Commit(oid, title, files))
        self._json({"commitUrl": f"{self.server.endpoint}/{name}/commit/{oid}", "commitOid": oid})

    def _content(self, commit: Commit, name: str) -> None:
        content = self.server.served.get(name, bytes)(commit.files[name])
        start, stop = 0, len(content)
        wanted = self.headers.get("Range")
        if wanted:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, stop = int(first), min(int(last or stop) + 1, stop)
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", commit.oid)
        self._body(content[start:stop])

    def _json(self, content: object) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self._body(json.dumps(content).encode())

    def _empty(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self._body(b"")

    def _body(self, content: bytes) -> None:
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


class _Nowhere:
    """What an answer that nobody hears is written to."""

    def write(self, content: bytes) -> int:
        return len(content)

    def flush(self) -> None:
        """Nothing is held back."""


def _git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _told(commit: Commit) -> dict[str, object]:
    return {"id": commit.oid, "title": commit.title, "message": "", "authors": [], "date": "2026-01-31T09:30:00.000Z"}


def _entry(files: Files, name: str) -> dict[str, object]:
    return {"type": "file", "path": name, "size": len(files[name]), "oid": name.encode().hex()}


def _entries(files: Files, folder: str, *, recursive: bool) -> list[dict[str, object]]:
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
