"""Original files of SAM and SAM-HQ: every weight finds its place, and nothing but weights is read."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from original_layout import original
from safetensors.torch import save_file
from torch import Tensor

from adapt.cli import main
from adapt.errors import CheckpointError
from adapt.originals import published_model, read_weights, stock_name
from adapt.segmenters import load_segmenter

SHARED = "prompt_encoder.shared_embedding.positional_embedding"


@pytest.mark.parametrize("hq", [False, True], ids=["SAM", "SAM-HQ"])
def test_each_weight_has_one_place_and_each_place_one_weight(hq: bool) -> None:
    weights = original(hq=hq)
    stock = published_model(weights, source="original").state_dict()
    places = {stock_name(name): name for name in weights}
    assert len(places) == len(weights)
    assert places.keys() == stock.keys() - {SHARED}
    for place, name in places.items():
        assert torch.equal(stock[place], weights[name]), name
    assert torch.equal(stock[SHARED], weights["prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"])


def test_no_two_weights_are_alike_so_that_a_swap_would_be_seen() -> None:
    values = [value for value in original(hq=True).values() if value.numel() > 1]
    alike = [(one, two) for one in values for two in values if one is not two and one.shape == two.shape]
    assert alike and not any(torch.equal(one, two) for one, two in alike)


@pytest.mark.parametrize("sides", [[2, 4, 2], [4, 4], [3, 3, 4, 3]])
def test_the_architecture_is_read_off_the_shapes(sides: list[int]) -> None:
    config = published_model(original(hq=True, sides=sides), source="original").config
    vision, decoder = config.vision_config, config.mask_decoder_config
    assert (vision.image_size, vision.patch_size, vision.hidden_size) == (64, 16, 24)
    assert (vision.num_hidden_layers, vision.num_attention_heads) == (len(sides), 3)
    assert vision.global_attn_indexes == [place for place, side in enumerate(sides) if side == 4]
    assert vision.window_size == next((side for side in sides if side != 4), 0)
    assert (decoder.mlp_dim, decoder.iou_head_hidden_dim, decoder.vit_dim) == (40, 48, 24)
    assert config.prompt_encoder_config.mask_input_channels == 8


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_the_command_writes_a_folder_that_is_a_checkpoint(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, weights = tmp_path / f"sam{suffix}", original(hq=False)
    save_file(weights, file) if suffix == ".safetensors" else torch.save(weights, file)
    assert main(["convert", str(file), "--output", str(tmp_path / "new" / "sam")]) == 0
    assert "sam" in capsys.readouterr().out
    loaded = dict(load_segmenter(str(tmp_path / "new" / "sam")).named_parameters())
    for name, value in weights.items():
        assert torch.equal(loaded[f"model.{stock_name(name)}"], value), name


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda weights: {"model": weights, "epoch": 3},
        lambda weights: {"state_dict": {f"module.{name}": value for name, value in weights.items()}},
        lambda weights: {**weights, "pixel_mean": torch.zeros(3, 1, 1), "pixel_std": torch.ones(3, 1, 1)},
        lambda weights: {name: value.half() for name, value in weights.items()},
    ],
    ids=["of a training", "of several devices", "with statistics", "in half precision"],
)
def test_other_ways_to_save_the_same_weights_are_read(
    wrapped: Callable[[dict[str, Tensor]], object], tmp_path: Path
) -> None:
    weights = original(hq=False)
    torch.save(wrapped(weights), tmp_path / "sam.pth")
    stock = published_model(read_weights(tmp_path / "sam.pth"), source="sam.pth").state_dict()
    for name, value in weights.items():
        torch.testing.assert_close(stock[stock_name(name)], value, rtol=1e-3, atol=1e-3)


class _Spy:
    """Unpickling it leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_file_with_code_is_refused_and_none_of_it_runs(
    legacy: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, trace = tmp_path / "sam.pth", tmp_path / "was_run"
    torch.save({**original(hq=False), "spy": _Spy(trace)}, file, _use_new_zipfile_serialization=not legacy)
    torch.load(file, weights_only=False)
    assert trace.exists()  # so the file does what it should not get to do
    trace.unlink()
    assert main(["convert", str(file), "--output", str(tmp_path / "out")]) == 1
    message = capsys.readouterr().err
    assert f"{file} holds more than weights" in message and "Nothing of it was run" in message
    assert not trace.exists() and not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", [".pth", ".legacy.pth", ".safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_file_that_is_cut_short_is_named(share: float, suffix: str, tmp_path: Path) -> None:
    file, weights = tmp_path / f"sam{suffix}", original(hq=False)
    if suffix == ".safetensors":
        save_file(weights, file)
    else:
        torch.save(weights, file, _use_new_zipfile_serialization=suffix == ".pth")
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=r"sam.* cannot be read .*download it again"):
        read_weights(file)


@pytest.mark.parametrize("content", [{}, [1, 2], {"weight": "text"}, torch.zeros(3)])
def test_a_file_without_weights_is_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "sam.pth")
    with pytest.raises(CheckpointError, match="no table of names and weights"):
        read_weights(tmp_path / "sam.pth")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere\.pth is not a file"):
        read_weights(tmp_path / "nowhere.pth")


def test_another_encoder_is_named_as_such() -> None:
    weights = {
        name.replace("image_encoder.blocks", "image_encoder.layers"): v for name, v in original(hq=False).items()
    }
    del weights["image_encoder.pos_embed"]
    with pytest.raises(CheckpointError, match=r"mobile\.pth is no original file of SAM.*MobileSAM"):
        published_model(weights, source="mobile.pth")


def test_weights_that_are_missing_left_over_or_misshapen_are_listed() -> None:
    weights = copy.copy(original(hq=False))
    del weights["mask_decoder.iou_token.weight"]
    weights["mask_decoder.extra"] = torch.zeros(2)
    weights["image_encoder.neck.1.bias"] = torch.zeros(5)
    with pytest.raises(CheckpointError) as caught:
        published_model(weights, source="sam.pth")
    assert "1 missing: mask_decoder.iou_token.weight; 1 unexpected: mask_decoder.extra" in str(caught.value)
    assert "1 of another shape: vision_encoder.neck.layer_norm1.bias" in str(caught.value)


def test_an_output_that_is_there_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(tmp_path / "sam.pth"), "--output", str(tmp_path)]) == 1
    assert "is there already" in capsys.readouterr().err
