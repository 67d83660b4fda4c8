"""A Hub on this machine for the libraries of this process, and runs to push to it."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from finished_runs import make_run
from huggingface_hub import constants, hf_api
from huggingface_hub.utils import _http
from local_hub import TOKEN, LocalHub, local_hub

from adapt.hub import retry


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that were waited for between attempts; nobody waits."""
    waited: list[float] = []
    monkeypatch.setattr(retry, "time", SimpleNamespace(sleep=waited.append, time=time.time))
    return waited


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> Iterator[LocalHub]:
    """Online as far as this Hub, logged in, with a cache of its own."""
    with local_hub() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
        monkeypatch.setattr(hf_api.api, "endpoint", server.endpoint)  # of the functions that peft imports
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr(_http, "time", SimpleNamespace(sleep=lambda seconds: None, time=time.time))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        huggingface_hub.utils.disable_progress_bars()
        _http.close_session()
        yield server
        _http.close_session()
        huggingface_hub.utils.enable_progress_bars()


@pytest.fixture(scope="session")
def decoder_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a mode that keeps a model."""
    return make_run(tmp_path_factory.mktemp("decoder"))


@pytest.fixture(scope="session")
def lora_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a mode that keeps an adapter."""
    more = "tuning: {mode: lora, rank: 4, blocks: 2}"
    return make_run(tmp_path_factory.mktemp("lora"), more=more)
