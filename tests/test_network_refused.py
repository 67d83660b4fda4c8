"""The guard of conftest.py works: otherwise a test could pass only where there is a network."""

import socket
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

OUTSIDE = ("192.0.2.1", 80)  # TEST-NET-1 of RFC 5737: never routed, so a broken guard cannot reach anyone


def test_connect_to_an_outside_address_is_refused() -> None:
    with socket.socket() as client, pytest.raises(OSError, match=r"do not reach the network.*192\.0\.2\.1"):
        client.connect(OUTSIDE)


def test_connect_ex_to_an_outside_address_is_refused() -> None:
    with socket.socket() as client, pytest.raises(OSError, match="do not reach the network"):
        client.connect_ex(OUTSIDE)


def test_a_name_is_not_resolved() -> None:
    with pytest.raises(OSError, match=r"do not reach the network.*example\.org"):
        socket.getaddrinfo("example.org", 443, type=socket.SOCK_STREAM)


def test_a_request_through_the_standard_library_is_refused() -> None:
    with pytest.raises(urllib.error.URLError, match="do not reach the network"):
        urllib.request.urlopen("http://example.org", timeout=5)


def test_loopback_stays_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname(), timeout=5) as client:
            accepted, _ = server.accept()
            with accepted:
                client.sendall(b"here")
                assert accepted.recv(4) == b"here"


def test_unix_sockets_stay_open(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen(1)
        waiting = threading.Thread(target=lambda: server.accept()[0].close())
        waiting.start()
        client.connect(path)
        waiting.join(timeout=5)
        assert not waiting.is_alive()
