"""What every test shares: no network, reproducible property tests, and the way to the shared images."""

import os

# Set before anything is imported: the libraries read these once.
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # torch's; pytest -n gives each core a worker already
os.environ.pop("WANDB_MODE", None)  # a setting of the developer's shell must not change what is tested

import locale
import socket
import sys
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("adapt", deadline=None, derandomize=True)  # the machine's load must not fail a test
settings.load_profile("adapt")

LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def pytest_collection_finish() -> None:
    """Start the server of processes, if a file of the collected tests has asked for it."""
    if "ready_processes" in sys.modules:
        forkserver.ensure_running()


class NetworkRefusedError(OSError):
    """A test tried to reach the network."""


def _check_host(host: object) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name is not None and name not in LOOPBACK:
        raise NetworkRefusedError(f"tests do not reach the network, but one asked for {name!r}")


def _guarded_connect(real: Callable[[socket.socket, object], object]) -> Callable[[socket.socket, object], object]:
    def connect(self: socket.socket, address: object) -> object:
        if self.family != socket.AF_UNIX:
            _check_host(address[0] if isinstance(address, tuple) else address)
        return real(self, address)

    return connect


@pytest.fixture(autouse=True)
def locale_as_it_was() -> Iterator[None]:
    """DICOM that a test itself hands to ITK sets the locale to C, in which later tests read ASCII only."""
    place = locale.setlocale(locale.LC_CTYPE)
    yield
    locale.setlocale(locale.LC_CTYPE, place)


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    real_getaddrinfo = socket.getaddrinfo

    # The parameters are the standard library's; callers give them by position and by name.
    def getaddrinfo(
        host: str | bytes | None,
        port: str | int | None,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> object:
        _check_host(host)
        return real_getaddrinfo(host, port, family, type, proto, flags)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", _guarded_connect(socket.socket.connect))
        patch.setattr(socket.socket, "connect_ex", _guarded_connect(socket.socket.connect_ex))
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images beside the checkout; tests that use it carry the mark `shared_data`."""
    folder = Path(__file__).parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the real images, which are not beside this checkout")
    return folder
