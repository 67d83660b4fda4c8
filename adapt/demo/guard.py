"""What the page may be asked for, by whom, and whom it may ask: only this machine, and only what it needs."""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HOSTS = ("127.0.0.1", "localhost")
NEEDED = re.compile(
    r"/|/config|/theme\.css|/favicon\.ico|/manifest\.json|/assets/[\w./-]+|/static/[\w./-]+"
    r"|/gradio_api/(run/\w+|upload|upload_progress|heartbeat/\w+|startup-events|info|app_id)/?"
)
"""Paths that the page asks for. Gradio serves many more: files of the disk, other servers' answers, its own editor."""
POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'self'"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]
"""With these the browser itself refuses to load anything from, or send anything to, another machine."""


def guarded(app: App, *, port: int) -> App:
    """An ASGI application that answers only to pages of its own, only for `NEEDED`, and adds `HEADERS`.

    A page of a stranger that is open in the same browser could otherwise send requests here (CSRF), or read the answers
    through a name of its own that leads to 127.0.0.1 (DNS rebinding).

    Args:
        app: the page.
        port: where it is served.
    """
    hosts = {f"{host}:{port}" for host in HOSTS}
    origins = {f"http://{host}" for host in hosts}

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope.get("headers", ())}
        foreign = headers.get("host") not in hosts or headers.get("origin", f"http://{HOSTS[0]}:{port}") not in origins
        if scope["type"] != "http" or foreign or not NEEDED.fullmatch(scope["path"]) or ".." in scope["path"]:
            await _refuse(scope, send)
            return

        async def send_with_headers(message: Scope) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *HEADERS]}
            await send(message)

        await app(scope, receive, send_with_headers)

    return guard


async def _refuse(scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    text = b"adapt demo does not serve this"
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode()), *HEADERS]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": text})
