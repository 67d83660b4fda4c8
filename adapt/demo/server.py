"""The server of the page: on loopback alone, with its files in a folder that goes when it ends."""

import asyncio
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from adapt.demo.guard import guarded
from adapt.errors import SIGNALLED, RunError
from adapt.formats.extras import extra

with extra("demo", reads="adapt demo"):
    import fastapi
    import gradio as gr
    import uvicorn

LOOPBACK = "127.0.0.1"
GRACE = 1
"""Seconds that open connections of the browser are waited for at the end."""


def listen(port: int) -> socket.socket:
    """A socket of a port of this machine that no other machine can reach; 0 takes a free one.

    Raises:
        RunError: it is in use, or may not be used.
    """
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise RunError(
            f"port {port} of {LOOPBACK} cannot be used ({error.strerror}); give another one, or --port 0 for a free one"
        ) from None
    return listening


@contextmanager
def private_uploads() -> Iterator[None]:
    """A folder that nobody else can read, for the files that the page sends; it goes at the end, whatever ends it."""
    before = os.environ.get("GRADIO_TEMP_DIR")
    with tempfile.TemporaryDirectory(prefix="adapt-demo-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["GRADIO_TEMP_DIR"]
            else:
                os.environ["GRADIO_TEMP_DIR"] = before


def make_server(make_page: Callable[[], gr.Blocks], listening: socket.socket) -> uvicorn.Server:
    """A server that waits to be run with the socket; nothing that Gradio offers beside the page is switched on."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # of Gradio, which would tell its makers of each start
    app = asyncio.run(_application(make_page))
    port = listening.getsockname()[1]
    config = uvicorn.Config(
        guarded(app, port=port),
        log_level="critical",  # else a tab that is open at the end is told as an error
        ws="none",
        timeout_graceful_shutdown=GRACE,
        server_header=False,
    )
    return uvicorn.Server(config)


async def _application(make_page: Callable[[], gr.Blocks]) -> fastapi.FastAPI:
    """Made within a loop of events, since Gradio would otherwise begin loops of its own, and not close them."""
    app = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    gr.mount_gradio_app(
        app,
        make_page(),
        path="/",
        footer_links=[],
        run_history=False,  # it would keep images in the browser
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
    )
    return app


def run(server: uvicorn.Server, listening: socket.socket) -> None:
    """Serve until Ctrl-C, which is no error, or SIGTERM."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(SIGNALLED + number)

    before = signal.signal(signal.SIGTERM, leave)  # uvicorn sends the signal again when it has shut down
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
