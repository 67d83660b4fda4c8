"""What a run will keep is known before anything is computed, and is cut to what there is room for."""

import os
from pathlib import Path

import pytest
import torch

from adapt.features import plan_features, room_for_features
from adapt.features.entries import write_entry
from adapt.features.need import SPARE, FeaturePlan
from adapt.segmenters import load_segmenter


def _plan(*, room: int, views: int = 4, boundary: int = 5) -> FeaturePlan:
    tiny = load_segmenter("adapt:tiny")
    return plan_features(tiny, boundary=boundary, dtype="float16", training=10, other=3, views=views, room=room)


@pytest.mark.parametrize("boundary", [1, 5, 9])
def test_the_size_of_an_entry_is_foretold(tmp_path: Path, boundary: int) -> None:
    tiny = load_segmenter("adapt:tiny")
    with torch.no_grad():
        hidden = tiny.encode_prefix(torch.zeros(1, 3, 256, 256), boundary=boundary)
    written = write_entry(tmp_path / "entry", tuple(value[0].half() for value in hidden))
    foretold = _plan(room=10**9, boundary=boundary).entry
    assert written <= foretold <= 1.01 * written


def test_every_view_of_a_training_image_counts_and_any_other_image_once() -> None:
    plan = _plan(room=10**9)
    assert plan.views == 4 and plan.shortage == ""
    assert plan.bytes(4) == (10 * 4 + 3) * plan.entry
    assert "stage 5 of 9" in str(plan) and "10 images in 4 views, 3 others" in str(plan)


def test_with_too_little_room_there_are_fewer_views() -> None:
    plan = _plan(room=10**9)
    assert _plan(room=plan.bytes(2)).views == 2
    short = _plan(room=plan.bytes(2) + plan.entry)
    assert short.views == 2
    assert "with 2 views of each image instead of 4" in short.shortage
    assert "features.limit_gb" in short.shortage and "cache=" in short.shortage


def test_with_room_for_nothing_there_are_none() -> None:
    plan = _plan(room=1000)
    assert plan.views == 0
    assert "without, so the encoder runs on every image of every epoch" in plan.shortage


def test_room_is_the_limit_or_what_the_disk_has_where_older_entries_count_as_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = write_entry(tmp_path / "features" / "p" / "ab" / "abc.safetensors", (torch.zeros(1000),))

    def usage(path: os.PathLike[str]) -> object:
        return type("Usage", (), {"free": SPARE + 5000})()

    monkeypatch.setattr("shutil.disk_usage", usage)
    assert room_for_features(tmp_path, limit=3000) == 3000
    assert room_for_features(tmp_path, limit=10**9) == 5000 + size
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 7})())
    assert room_for_features(tmp_path / "not" / "there", limit=10**9) == 0
