"""Who is answered, and for what: the guard alone, as an ASGI application is called."""

import asyncio
from typing import Any

import pytest

from adapt.demo.guard import guarded

PORT = 7860


async def page(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"page"})


def asked(path: str, *, kind: str = "http", **headers: str) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    named = [(name.encode(), value.encode()) for name, value in {"host": f"127.0.0.1:{PORT}", **headers}.items()]
    scope = {"type": kind, "path": path, "headers": named}
    asyncio.run(guarded(page, port=PORT)(scope, receive, send))
    return sent


@pytest.mark.parametrize("headers", [{}, {"host": f"localhost:{PORT}"}, {"origin": f"http://127.0.0.1:{PORT}"}])
def test_the_page_itself_is_answered_with_a_policy_that_keeps_it_on_this_machine(headers: dict[str, str]) -> None:
    start = asked("/", **headers)[0]
    assert start["status"] == 200
    policy = dict(start["headers"])[b"content-security-policy"].decode()
    assert "default-src 'self'" in policy and "connect-src 'self'" in policy and "http" not in policy


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": f"evil.example:{PORT}"},
        {"host": "127.0.0.1:1"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": f"http://evil.example:{PORT}"},
    ],
)
def test_a_stranger_s_page_is_refused(headers: dict[str, str]) -> None:
    assert asked("/gradio_api/run/predict", **headers)[0]["status"] == 403


@pytest.mark.parametrize(
    "path",
    [
        "/file=/etc/passwd",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=http://example.org/",
        "/gradio_api/file/etc/passwd",
        "/gradio_api/proxy=http://example.org/",
        "/gradio_api/stream/x/y/1/z.mp4",
        "/assets/../../etc/passwd",
        "/assets/%2e%2e/secret",
        "/static/../../secret",
        "/gradio_api/vibe-code/",
        "/monitoring",
        "/gradio_api/component_server",
    ],
)
def test_nothing_but_the_page_is_served(path: str) -> None:
    assert asked(path)[0]["status"] == 403


def test_a_websocket_is_closed() -> None:
    assert asked("/", kind="websocket")[0]["type"] == "websocket.close"
