"""Checkpoints that are absent, incomplete or of another kind are refused in words, never loaded partly."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError
from huggingface_hub.utils import httpx  # type: ignore[attr-defined]  # its client, by version
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import SamConfig, SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig, SamVisionConfig

from adapt.errors import CheckpointError
from adapt.segmenters import load_segmenter

Weights = dict[str, Tensor]
BIAS = "mask_decoder.upscale_conv1.bias"


def _write_small_sam(folder: Path) -> None:
    """A whole SAM checkpoint in about 100 kB, so that a broken one is cheap to make."""
    config = SamConfig(
        vision_config=SamVisionConfig(
            hidden_size=16,
            output_channels=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            image_size=64,
            patch_size=16,
            window_size=2,
            global_attn_indexes=[0],
            num_pos_feats=8,
        ),
        prompt_encoder_config=SamPromptEncoderConfig(hidden_size=16, image_size=64, mask_input_channels=4),
        mask_decoder_config=SamMaskDecoderConfig(
            hidden_size=16, mlp_dim=16, num_attention_heads=2, iou_head_hidden_dim=16
        ),
    )
    SamModel(config).save_pretrained(folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint") / "sam"
    _write_small_sam(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "sam"))


def _refusal(checkpoint: str) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_segmenter(checkpoint)
    return str(caught.value)


def _rewrite(folder: Path, change: Callable[[Weights], Weights]) -> None:
    file = folder / "model.safetensors"
    weights = {name: value.clone() for name, value in load_file(file).items()}  # the file is mapped: copy, then write
    save_file(change(weights), file, metadata={"format": "pt"})


def test_a_whole_folder_is_loaded_to_the_bit(folder: Path) -> None:
    loaded = dict(load_segmenter(str(folder)).named_parameters())
    saved = load_file(folder / "model.safetensors")
    assert len(loaded) == len(saved) > 100
    for name, value in saved.items():
        assert torch.equal(loaded[f"model.{name}"], value), name


def test_half_precision_weights_become_float32(folder: Path) -> None:
    SamModel.from_pretrained(folder).half().save_pretrained(folder)
    assert {value.dtype for value in load_file(folder / "model.safetensors").values()} == {torch.float16}
    assert {p.dtype for _, p in load_segmenter(str(folder)).named_parameters()} == {torch.float32}


def test_missing_weights_are_listed(folder: Path) -> None:
    _rewrite(folder, lambda weights: {name: value for name, value in weights.items() if name != BIAS})
    message = _refusal(str(folder))
    assert f"1 missing: {BIAS}" in message
    assert "nothing is loaded partly" in message
    assert str(folder) in message


def test_unexpected_weights_are_listed(folder: Path) -> None:
    _rewrite(folder, lambda weights: {**weights, "adapter.extra": torch.zeros(2)})
    assert "1 unexpected: adapter.extra" in _refusal(str(folder))


def test_misshapen_weights_are_listed(folder: Path) -> None:
    _rewrite(folder, lambda weights: {**weights, BIAS: torch.zeros(5)})
    assert f"1 of another shape: {BIAS}" in _refusal(str(folder))


def test_all_kinds_of_faults_are_told_at_once(folder: Path) -> None:
    iou_token = "mask_decoder.iou_token.weight"

    def change(weights: Weights) -> Weights:
        kept = {name: value for name, value in weights.items() if name != iou_token}
        return {**kept, BIAS: torch.zeros(5), "extra": torch.zeros(1)}

    _rewrite(folder, change)
    message = _refusal(str(folder))
    assert f"1 missing: {iou_token}; 1 unexpected: extra; 1 of another shape: {BIAS}" in message


def test_a_long_list_is_cut(folder: Path) -> None:
    _rewrite(folder, lambda weights: {**weights, **{f"extra.{i:02}": torch.zeros(1) for i in range(12)}})
    message = _refusal(str(folder))
    assert "12 unexpected: extra.00" in message
    assert "extra.04 and 7 more" in message
    assert "extra.05" not in message


def test_another_architecture_is_named(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "vit"}), encoding="utf-8")
    message = _refusal(str(folder))
    assert "is a 'vit' model" in message
    assert "sam, sam_hq, sam2, sam2_video, sam3_tracker, sam3_video, edgetam" in message


@pytest.mark.parametrize("text", ["{", "[]", "{}", '"sam"', '{"model_type": ["sam"]}'])
def test_a_config_that_is_none_is_refused(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text, encoding="utf-8")
    assert str(folder) in _refusal(str(folder))


def test_a_folder_without_config_is_refused(folder: Path) -> None:
    (folder / "config.json").unlink()
    message = _refusal(str(folder))
    assert "has no config.json" in message
    assert "adapt:tiny" in message


def test_a_truncated_file_is_refused(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    message = _refusal(str(folder))
    assert "the weights cannot be read" in message
    assert "download or save it again" in message


def test_a_folder_without_weights_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert "model.safetensors" in _refusal(str(folder))


class _Spy:
    """Unpickling it leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.trace,)


def test_a_pickle_is_refused_and_not_opened(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").unlink()
    trace = tmp_path / "was_unpickled"
    torch.save({"spy": _Spy(trace)}, folder / "pytorch_model.bin")
    torch.load(folder / "pytorch_model.bin", weights_only=False)
    assert trace.exists()  # so the pickle does what it should not get to do
    trace.unlink()
    assert "A complete model.safetensors is needed" in _refusal(str(folder))
    assert not trace.exists()


@pytest.mark.parametrize("name", ["adapt:huge", "adapt:", "adapt:TINY"])
def test_an_unknown_embedded_model_is_refused(name: str) -> None:
    message = _refusal(name)
    assert repr(name) in message
    assert "adapt:tiny" in message


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "nowhere", "a/b/c"])
def test_a_path_that_is_not_there_is_not_taken_for_a_hub_id(name: str) -> None:
    message = _refusal(name)
    assert repr(name) in message
    assert "neither a folder nor a Hub id" in message


def test_a_file_is_not_a_folder(folder: Path) -> None:
    assert "neither a folder nor a Hub id" in _refusal(str(folder / "config.json"))


def test_the_home_of_nobody_is_refused() -> None:
    assert "~no_such_user_here/sam" in _refusal("~no_such_user_here/sam")


def test_an_unreachable_hub_is_told_with_what_to_do() -> None:
    """Offline (conftest.py sets HF_HUB_OFFLINE), so nothing but the cache is asked; it has no such repository."""
    message = _refusal("adapt-tests/not-in-any-cache")
    assert "'adapt-tests/not-in-any-cache' could not be fetched" in message
    assert "local folder" in message
    assert "adapt:tiny" in message


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [
        (GatedRepoError, "Ask for access on https://huggingface.co/facebook/sam3, then log in: hf auth login"),
        (RepositoryNotFoundError, "Check the name; if the repository is private, log in: hf auth login"),
    ],
)
def test_a_gated_and_a_missing_repository_have_their_own_remedy(
    monkeypatch: pytest.MonkeyPatch, kind: type[RepositoryNotFoundError], remedy: str
) -> None:
    def download(repo: str, name: str, *, revision: str | None) -> str:
        raise kind("403 Client Error.", response=httpx.Response(403, request=httpx.Request("GET", "https://hub")))

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    message = _refusal("facebook/sam3")
    assert remedy in message and "adapt:tiny" in message


@pytest.mark.parametrize("revision", [None, "v1"])
def test_the_hub_is_asked_for_the_revision(monkeypatch: pytest.MonkeyPatch, revision: str | None) -> None:
    asked: list[tuple[str, str, str | None]] = []

    def download(repo: str, name: str, *, revision: str | None) -> str:
        asked.append((repo, name, revision))
        raise LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(CheckpointError, match="LocalEntryNotFoundError: no connection"):
        load_segmenter("facebook/sam-vit-base", revision=revision)
    assert asked == [("facebook/sam-vit-base", "config.json", revision)]


def test_a_family_whose_packages_are_missing_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "edgetam_video"}), encoding="utf-8")
    monkeypatch.setattr("adapt.families.NEEDS", {"EdgeTAM": ("no_such_package", "json")})
    assert "EdgeTAM needs no_such_package: pip install 'adapt-sam[edgetam]'" in _refusal(str(folder))


def test_a_package_that_was_built_for_another_torch_is_named_and_the_torch_that_is_here(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = "raise RuntimeError('operator torchvision::nms does not exist')"
    (tmp_path / "package_of_another_torch.py").write_text(fails, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    (folder / "config.json").write_text(json.dumps({"model_type": "edgetam"}), encoding="utf-8")
    for place in ("adapt.families.NEEDS", "adapt.segmenters.checkpoint.NEEDS"):
        monkeypatch.setattr(place, {"EdgeTAM": ("package_of_another_torch",)})
    message = _refusal(str(folder))
    assert "EdgeTAM needs package_of_another_torch, which is installed and cannot be imported" in message
    assert "(RuntimeError: operator torchvision::nms does not exist)" in message
    assert f"built for this torch, {torch.__version__}: install both anew" in message
