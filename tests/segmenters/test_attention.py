"""Folded positions, and blocks of queries: what the stock attention gives, forward and backward, without its matrix."""

import copy

import pytest
import torch
from transformers import SamVisionConfig
from transformers.models.sam.modeling_sam import SamVisionLayer, SamVisionSdpaAttention

from adapt.segmenters import PromptableSegmenter, attention_blocks, fold_attention, load_segmenter, random_segmenter
from adapt.segmenters.attention import FoldedAttention, FoldedLayer, attend_folded, by_window, is_folded
from adapt.segmenters.attention_blocks import attend_in_blocks


def stock_layer(window: int, *, channels: int = 96, heads: int = 3, image_size: int = 160) -> SamVisionSdpaAttention:
    config = SamVisionConfig(hidden_size=channels, num_attention_heads=heads, image_size=image_size, patch_size=16)
    torch.manual_seed(0)
    layer = SamVisionSdpaAttention(config, window)
    for positions in (layer.rel_pos_h, layer.rel_pos_w):
        torch.nn.init.normal_(positions, std=0.3)  # zero in a fresh layer, which any code would get right
    return layer


def run(layer: torch.nn.Module, tokens: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    tokens = tokens.clone().requires_grad_()
    layer.zero_grad()
    answer = layer(tokens)
    out = answer[0] if isinstance(answer, tuple) else answer
    (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
    return out.detach(), [tokens.grad, *(parameter.grad.clone() for parameter in layer.parameters())]  # type: ignore[list-item,union-attr]


@pytest.mark.parametrize(
    ("window", "side", "heads"),
    [(7, 7, 3), (14, 14, 3), (0, 10, 3), (0, 10, 2)],  # 96 / 2 channels a head: a scale that is no power of two
    ids=["window of 7", "window of 14", "global", "other scale"],
)
def test_folded_attention_gives_what_the_stock_one_gives_forward_and_backward(
    window: int, side: int, heads: int
) -> None:
    stock = stock_layer(window, heads=heads)
    tokens = torch.randn(3, side, side, 96, generator=torch.Generator().manual_seed(1))
    expected, gradients = run(stock, tokens)
    folded = FoldedAttention.of(stock, window=0)
    found, of_folded = run(folded, tokens)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert len(of_folded) == len(gradients) == 7
    for one, two in zip(of_folded, gradients, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5 * float(two.abs().max()))


class Scaled(torch.nn.Module):
    """A Linear layer whose result is scaled, as IA3 does: what it makes of nothing is not its bias."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        self.linear, self.scale = linear, torch.nn.Parameter(torch.linspace(0.5, 2, linear.out_features))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.linear(tokens) * self.scale
        return out


@pytest.mark.parametrize("tuned", [False, True], ids=["stock", "its projection changed"])
@pytest.mark.parametrize(("height", "width"), [(4, 8), (10, 7), (3, 2)], ids=["whole", "padded", "less than a window"])
def test_a_layer_with_windows_is_the_stock_one_and_projects_what_lies_outside_once(
    height: int, width: int, tuned: bool
) -> None:
    config = SamVisionConfig(
        hidden_size=96, num_attention_heads=3, image_size=160, patch_size=16, mlp_dim=64, attn_implementation="sdpa"
    )
    torch.manual_seed(0)
    stock = SamVisionLayer(config, 4)
    for parameter in stock.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    if tuned:
        stock.attn.qkv = Scaled(stock.attn.qkv)
    tokens = torch.randn(2, height, width, 96, generator=torch.Generator().manual_seed(1))
    expected, gradients = run(stock, tokens)
    folded = FoldedLayer.of(stock)
    assert [name for name, _ in folded.named_parameters()] == [name for name, _ in stock.named_parameters()]
    projected: list[int] = []
    folded.attn.qkv.register_forward_hook(lambda module, inputs, out: projected.append(out.shape[1]))
    found, of_folded = run(folded, tokens)
    assert projected == [height * width + 1]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)
    for one, two in zip(of_folded, gradients, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5 * float(two.abs().max()))


def test_windows_follow_one_another_row_by_row_and_what_lies_outside_is_one_token() -> None:
    order = by_window(3, 3, 2, device=torch.device("cpu"))
    assert order.tolist() == [0, 1, 3, 4, 2, 9, 5, 9, 6, 7, 9, 9, 8, 9, 9, 9]


def parts_of_attention(*, height: int, width: int) -> list[torch.Tensor]:
    """Query, key, value of 2 images and 3 heads of 8 channels, and what rows and columns add; float64."""
    random = torch.Generator().manual_seed(0)
    last = (8, 8, 8, height, width)
    return [torch.randn(2, 3, height * width, n, generator=random, dtype=torch.float64) for n in last]


@pytest.mark.parametrize(
    "held", [10**9, 6 * 20 * 7, 1], ids=["one block", "a block that is left over", "single queries"]
)
def test_blocks_and_folded_positions_are_the_attention_that_is_written_down(
    held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention_blocks, "SCORES", held)
    parts = [part.requires_grad_() for part in parts_of_attention(height=4, width=5)]
    query, key, value, by_row, by_column = parts
    scores = query @ key.mT * 0.3 + (by_row[..., None] + by_column[..., None, :]).flatten(-2)
    expected = scores.softmax(-1) @ value
    weight = torch.linspace(-1, 1, expected.numel(), dtype=torch.float64).view_as(expected)
    gradients = torch.autograd.grad((expected * weight).sum(), parts)
    for attend in (attend_in_blocks, attend_folded):
        found = attend(query, key, value, by_row, by_column, scale=0.3)
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
        of_found = torch.autograd.grad((found * weight).sum(), parts)
        for one, two in zip(of_found, gradients, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-11)


def test_the_scores_of_a_layer_are_never_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    softmax = torch.softmax

    def counted(scores: torch.Tensor, dim: int, out: torch.Tensor) -> torch.Tensor:
        made.append(scores.numel())
        return softmax(scores, dim, out=out)

    monkeypatch.setattr(attention_blocks, "SCORES", 1000)
    monkeypatch.setattr(torch, "softmax", counted)
    parts = [part.requires_grad_() for part in parts_of_attention(height=6, width=6)]
    attend_in_blocks(*parts, scale=1.0).sum().backward()
    assert sum(made) == 2 * 6 * 36 * 36 and max(made) <= 1000  # forward, and again for the backward pass


def test_in_bfloat16_it_is_no_farther_from_the_truth_than_the_stock_one() -> None:
    stock = stock_layer(0)
    tokens = torch.randn(2, 10, 10, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        truth = stock(tokens)[0]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            plain, folded = stock(tokens)[0].float(), FoldedAttention.of(stock, window=0)(tokens)[0].float()
    assert float((folded - truth).square().mean()) <= 1.5 * float((plain - truth).square().mean())


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))


def test_a_folded_encoder_gives_the_features_of_the_stock_one_from_the_same_parameters(images: torch.Tensor) -> None:
    tiny = load_segmenter("adapt:tiny")
    before = [(name, id(parameter)) for name, parameter in tiny.named_parameters()]
    with torch.no_grad():
        expected = tiny.encode(images).embedding
        fold_attention(tiny.encoder)
        torch.testing.assert_close(tiny.encode(images).embedding, expected, rtol=1e-4, atol=1e-4)
    assert [(name, id(parameter)) for name, parameter in tiny.named_parameters()] == before
    assert is_folded(tiny.encoder)


@pytest.mark.parametrize("other", [lambda segmenter: segmenter.at_input_size(128), copy.deepcopy], ids=["size", "copy"])
def test_other_sizes_and_copies_of_a_folded_segmenter_are_folded(other: object) -> None:
    tiny: PromptableSegmenter = random_segmenter("adapt:tiny", seed=0)
    assert callable(other)
    assert not is_folded(other(tiny).encoder)
    fold_attention(tiny.encoder)
    again = other(tiny)
    assert is_folded(again.encoder)
    layers = [module for module in again.encoder.modules() if isinstance(module, SamVisionSdpaAttention)]
    assert len(layers) == 7 and all(type(layer) is FoldedAttention for layer in layers)


def test_no_matrix_of_all_tokens_is_kept_for_the_backward_pass() -> None:
    tokens = 24 * 24
    sizes: list[int] = []

    def keep(value: torch.Tensor) -> torch.Tensor:
        sizes.append(value.numel())
        return value

    layer = stock_layer(0, image_size=24 * 16)
    grid = torch.randn(1, 24, 24, 96, requires_grad=True)
    for kind, there in ((layer, True), (FoldedAttention.of(layer, window=0), False)):
        sizes.clear()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
            kind(grid)
        assert (max(sizes) >= 3 * tokens * tokens) is there
