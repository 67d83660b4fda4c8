"""As much of W&B's server as a run needs to start."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BUCKET = {
    "id": "bucket",
    "name": "run",
    "displayName": "run",
    "config": "{}",
    "historyLineCount": 0,
    "project": {"id": "project", "name": "adapt", "entity": {"id": "team", "name": "team"}},
}


class WandbRoutes(BaseHTTPRequestHandler):
    """Takes whatever it is given; once `silent` is set it keeps who asks waiting, and once `failing`, it fails."""

    silent, failing = threading.Event(), threading.Event()
    ended = threading.Event()

    def do_POST(self) -> None:
        query = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.silent.is_set():
            self.ended.wait()
            return
        self._answer(json.dumps({"data": self._data(query)}).encode())

    do_PUT = do_POST  # of files

    def _data(self, query: bytes) -> dict[str, object]:
        if b"upsertBucket" in query:
            return {"upsertBucket": {"bucket": BUCKET, "inserted": True}}
        if b"createRunFiles" in query:
            names = json.loads(query)["variables"]["files"]
            files = [{"name": name, "uploadUrl": f"http://{self.headers['host']}/files/{name}"} for name in names]
            return {"createRunFiles": {"runID": "bucket", "uploadHeaders": [], "files": files}}
        return {}

    def _answer(self, body: bytes) -> None:
        self.send_response(500 if self.failing.is_set() else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *values: object) -> None:
        """Not a word on stderr."""


@contextmanager
def wandb_server() -> Iterator[ThreadingHTTPServer]:
    """A server that answers, until the end."""
    for event in (WandbRoutes.silent, WandbRoutes.failing, WandbRoutes.ended):
        event.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), WandbRoutes)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        WandbRoutes.ended.set()
        gone(server)


def gone(server: ThreadingHTTPServer) -> None:
    """Nobody listens there any more."""
    server.shutdown()
    server.server_close()
