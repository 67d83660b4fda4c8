"""Small text models on disk, made once."""

from pathlib import Path

import pytest
from small_text_models import write_grounding_dino


@pytest.fixture(scope="session")
def grounding_dino(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_grounding_dino(tmp_path_factory.mktemp("text") / "grounding_dino")
