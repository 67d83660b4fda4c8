"""The cache bounds itself, tells what it cannot do, and never gives another answer than the encoder."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from adapt.errors import RunError
from adapt.features import About, FeatureCache, clear, frozen_part, kept_entries, prefixes
from adapt.features.folder import entry_path
from adapt.samples import Cached
from adapt.segmenters import PromptableSegmenter, load_segmenter

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def tiny() -> PromptableSegmenter:
    return load_segmenter("adapt:tiny").at_input_size(64)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def open_cache(tmp_path: Path, told: list[str]) -> Callable[..., FeatureCache]:
    def opened(*, dtype: str = "float16", boundary: int = 5, limit: int = 10**9) -> FeatureCache:
        about = About("adapt:tiny", boundary, 9, 64, dtype)
        return FeatureCache(tmp_path / "features" / "prefix", about=about, views=1, limit=limit, notice=told.append)

    return opened


def _look_up(cache: FeatureCache, indices: list[int]) -> Cached:
    found = [cache.reader.look_up(IMAGES[index]) for index in indices]
    return Cached(
        keys=tuple(each.keys[0] for each in found),
        found=torch.cat([each.found for each in found]),
        hidden=tuple(torch.cat(values) for values in zip(*(each.hidden for each in found if each.hidden), strict=True)),
    )


def _pixels(tiny: PromptableSegmenter, cached: Cached, indices: list[int]) -> Tensor:
    wanted = [index for index, found in zip(indices, cached.found.tolist(), strict=True) if not found]
    frames = [tiny.spec.to_model_frame(IMAGES[index]) for index in wanted]
    return torch.stack(frames) if frames else torch.empty(0, 3, 64, 64)


def _asked(tiny: PromptableSegmenter, cache: FeatureCache, indices: list[int], boundary: int = 5) -> tuple[Tensor, int]:
    """Hidden states of some images, and how many of these the encoder ran on."""
    ran: list[int] = []
    handle = tiny.stages[0].modules[0].register_forward_hook(lambda module, inputs, output: ran.append(len(inputs[0])))
    cached = _look_up(cache, indices)
    (hidden,) = frozen_part(tiny, _pixels(tiny, cached, indices), cached, boundary=boundary, cache=cache)
    handle.remove()
    cache.flush()
    return hidden, sum(ran)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("boundary", [1, 5, 9])
def test_what_is_found_is_what_was_computed(
    tiny: PromptableSegmenter, open_cache: Callable[..., FeatureCache], dtype: str, boundary: int
) -> None:
    first, ran = _asked(tiny, open_cache(dtype=dtype, boundary=boundary), [0, 1], boundary)
    again, ran_again = _asked(tiny, open_cache(dtype=dtype, boundary=boundary), [0, 1], boundary)
    assert (ran, ran_again) == (2, 0)
    assert first.dtype == again.dtype == torch.float32 and torch.equal(first, again)
    unknown = Cached(keys=("",), found=torch.tensor([False]), hidden=())
    with torch.no_grad():
        alone = [tiny.encode_prefix(_pixels(tiny, unknown, [index]), boundary=boundary)[0] for index in (0, 1)]
    plain = torch.cat(alone)
    relative = {"float16": 2**-11, "bfloat16": 2**-8, "float32": 0.0}[dtype]
    smallest = 0.0 if dtype == "float32" else 1e-7
    assert ((first - plain).abs() <= relative * plain.abs() + smallest).all()


def test_the_encoder_runs_only_on_what_is_missing_and_the_order_is_kept(
    tiny: PromptableSegmenter, open_cache: Callable[..., FeatureCache]
) -> None:
    cache = open_cache(dtype="float32")
    known, _ = _asked(tiny, cache, [1, 3])
    mixed, ran = _asked(tiny, cache, [0, 1, 2, 3])
    assert ran == 2
    assert torch.equal(mixed[1], known[0]) and torch.equal(mixed[3], known[1])
    alone, _ = _asked(tiny, open_cache(dtype="float32"), [0, 2])
    assert torch.equal(alone, mixed[[0, 2]])


def test_a_damaged_entry_is_computed_again_and_mended(
    tiny: PromptableSegmenter, open_cache: Callable[..., FeatureCache], tmp_path: Path
) -> None:
    first, _ = _asked(tiny, open_cache(), [0])
    (entry,) = kept_entries(tmp_path)
    entry.path.write_bytes(entry.path.read_bytes()[:-5])
    second, ran = _asked(tiny, open_cache(), [0])
    assert ran == 1 and torch.equal(first, second)
    assert _asked(tiny, open_cache(), [0])[1] == 0


def test_what_was_used_least_goes_first(tiny: PromptableSegmenter, open_cache: Callable[..., FeatureCache]) -> None:
    cache = open_cache()
    for index in (0, 1, 2):
        _asked(tiny, cache, [index])
        (key,) = cache.reader.look_up(IMAGES[index]).keys
        path = entry_path(cache.reader.prefix, key)
        os.utime(path, (1e9 + index, 1e9 + index))
    size = next(kept_entries(cache.reader.prefix)).size
    cache.reader.look_up(IMAGES[0])  # used just now
    small = open_cache(limit=int(3.5 * size))
    _asked(tiny, small, [3])
    there = [bool(small.reader.look_up(image).found) for image in IMAGES]
    assert there == [True, False, True, True]
    assert sum(entry.size for entry in kept_entries(cache.reader.prefix)) <= 3.5 * size


def test_a_number_too_large_for_the_cache_is_an_error_with_the_remedy(open_cache: Callable[..., FeatureCache]) -> None:
    with pytest.raises(RunError, match=r"reach 70000.*float16.*features\.dtype=bfloat16"):
        open_cache().rounded((torch.tensor([[1.0, -70000.0]]),))
    assert open_cache(dtype="bfloat16").rounded((torch.tensor([[70000.0]]),))[0].isfinite().all()


def test_a_folder_that_cannot_be_written_is_told_once_and_nothing_stops(
    tiny: PromptableSegmenter, open_cache: Callable[..., FeatureCache], told: list[str], tmp_path: Path
) -> None:
    (tmp_path / "features").write_text("a file where the folder should be", encoding="utf-8")
    cache = open_cache()
    for _ in range(2):
        assert _asked(tiny, cache, [0, 1])[1] == 2
    (line,) = told
    assert "cannot be written" in line and "features.cache=false" in line


def test_a_disk_that_is_full_from_the_first_file_on_is_told_once_too(
    tiny: PromptableSegmenter,
    open_cache: Callable[..., FeatureCache],
    told: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That file says what the entries are; it is written as files of a run are, with an error of their kind."""

    def full(*arguments: object) -> None:
        raise RunError("about.json cannot be written (No space left on device)")

    def full_too(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("adapt.features.folder.write_text", full)
    monkeypatch.setattr("adapt.features.cache.write_entry", full_too)
    assert _asked(tiny, open_cache(), [0, 1])[1] == 2
    assert len(told) == 1 and "No space left on device" in told[0]


def test_a_full_disk_is_told_once_and_what_is_there_is_still_read(
    tiny: PromptableSegmenter,
    open_cache: Callable[..., FeatureCache],
    told: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache = open_cache()
    _asked(tiny, cache, [0])

    def full(path: Path, hidden: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("adapt.features.cache.write_entry", full)
    assert _asked(tiny, cache, [0, 1])[1] == 1
    assert _asked(tiny, cache, [0, 2])[1] == 1
    (line,) = told
    assert os.strerror(errno.ENOSPC) in line


def test_two_caches_fill_one_folder_at_once(tiny: PromptableSegmenter, open_cache: Callable[..., FeatureCache]) -> None:
    one, other = open_cache(), open_cache()
    first, ran = _asked(tiny, one, [0, 1])
    second, ran_too = _asked(tiny, other, [1, 2])
    assert (ran, ran_too) == (2, 1)
    assert torch.equal(first[1], second[0])


def test_clearing_takes_all_or_what_was_long_unused(
    tiny: PromptableSegmenter, open_cache: Callable[..., FeatureCache], tmp_path: Path
) -> None:
    cache = open_cache()
    _asked(tiny, cache, [0, 1, 2])
    old = next(kept_entries(tmp_path))
    os.utime(old.path, (1e9, 1e9))
    assert clear(tmp_path, unused_since=1.1e9) == (1, old.size)
    ((prefix, about),) = prefixes(tmp_path)
    assert about == About("adapt:tiny", 5, 9, 64, "float16")
    assert clear(tmp_path) == (2, 2 * old.size)
    assert not prefix.exists() and list(prefixes(tmp_path)) == []
