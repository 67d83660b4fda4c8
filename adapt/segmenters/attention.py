"""Attention with decomposed relative positions, without the matrix that these would fill.

The stock layer adds to the scores of a query at row r, column c and a key at row r', column c' the terms
q . H[r - r'] + q . W[c - c'], and for that writes them all down: tokens x tokens numbers a head, which at 1024 px are
16.8 million, and which the fast kernels do not take a gradient of. But each term is a product too: of the query's
product with every row of H (or W) and a vector that is one at the key's row (or column), and zero elsewhere. Appended
to query and key they give the same scores from one product, and no kernel needs a matrix of tokens x tokens.

A CPU gains nothing by wider heads: in float32 it makes the matrix block after block instead (`attention_blocks`).

Most layers attend inside windows. The stock ones pad the grid of tokens to whole windows first, and then project what
they have padded as well: at 1024 px, 804 tokens beside 4,096. Here all that lies outside is one token.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.sam.modeling_sam import SamVisionLayer, SamVisionSdpaAttention
from transformers.models.sam_hq.modeling_sam_hq import SamHQVisionLayer, SamHQVisionSdpaAttention

from adapt.segmenters.attention_blocks import attend_in_blocks

STOCK_LAYERS = (SamVisionLayer, SamHQVisionLayer)
"""The layers that can be folded; both are the same code."""
STOCK_ATTENTION = (SamVisionSdpaAttention, SamHQVisionSdpaAttention)
"""Of such layers; others return their weights, which folded ones never have."""
ALIGNMENT = 8
"""Kernels on GPUs want the width of a head to be a multiple of this."""


class FoldedAttention(SamVisionSdpaAttention):  # type: ignore[misc]  # transformers is not annotated
    """The stock attention, with the same parameters under the same names, and its own way to compute.

    Attributes:
        window: side of the windows that it divides the grid into itself, in tokens; 0 to attend globally.
    """

    @classmethod
    def of(cls, stock: SamVisionSdpaAttention | SamHQVisionSdpaAttention, *, window: int) -> "FoldedAttention":
        """An attention that shares the parameters of a stock one."""
        folded = cls.__new__(cls)
        nn.Module.__init__(folded)
        folded.__dict__.update(stock.__dict__, window=window)
        return folded

    def forward(self, hidden_states: Tensor, output_attentions: bool = False) -> tuple[Tensor, None]:
        """(B, h, w, C) tokens to the same shape; weights of the attention are never there to be returned."""
        batch, height, width, channels = hidden_states.shape
        window = (self.window, self.window) if self.window else (height, width)
        rows, columns = -(-height // window[0]), -(-width // window[1])
        tokens = hidden_states.flatten(1, 2)
        if self.window:
            tokens = torch.cat((tokens, tokens.new_zeros(batch, 1, channels)), dim=1)
        qkv = self.qkv(tokens).unflatten(-1, (3, self.num_attention_heads, -1)).permute(2, 0, 3, 1, 4)
        if self.window:
            order = by_window(height, width, self.window, device=tokens.device)
            qkv = qkv.index_select(3, order).unflatten(3, (rows * columns, -1)).flatten(1, 2)
        query, key, value = qkv.unbind(0)  # (B, heads, tokens, D) each, or (B * heads, windows, tokens of a window, D)
        seen = self._attend(query, key, value, *window)
        grid = seen.reshape(batch, self.num_attention_heads, rows, columns, *window, -1).permute(0, 2, 4, 3, 5, 1, 6)
        joined = grid.reshape(batch, rows * window[0], columns * window[1], -1)[:, :height, :width]
        return self.proj(joined), None

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, height: int, width: int) -> Tensor:
        """What each query sees, (B, heads, tokens, D), by the way that is fastest for these tensors."""
        if not self.use_rel_pos:
            return functional.scaled_dot_product_attention(query, key, value, scale=self.scale)
        grid = query.unflatten(2, (height, width))
        rows, columns = self.get_rel_pos(height, height, self.rel_pos_h), self.get_rel_pos(width, width, self.rel_pos_w)
        by_row = torch.einsum("bnhwc,hkc->bnhwk", grid, rows).flatten(2, 3)
        by_column = torch.einsum("bnhwc,wkc->bnhwk", grid, columns).flatten(2, 3)
        if query.device.type == "cpu" and query.dtype == torch.float32 and not torch.compiler.is_compiling():
            return attend_in_blocks(query, key, value, by_row, by_column, scale=self.scale)
        return attend_folded(query, key, value, by_row, by_column, scale=self.scale)


def attend_folded(
    query: Tensor, key: Tensor, value: Tensor, by_row: Tensor, by_column: Tensor, *, scale: float
) -> Tensor:
    """As `attend_in_blocks`, by one kernel: positions are appended to query and key, (B, heads, tokens, D + h + w).

    The value is padded to as much, since the kernels want all three of one width; what comes of its padding is zero.
    """
    batch, heads, tokens, of_head = query.shape
    height, width = by_row.shape[-1], by_column.shape[-1]
    place = torch.arange(tokens, device=key.device)
    at_row = functional.one_hot(place // width, height).to(key.dtype).expand(batch, heads, -1, -1)
    at_column = functional.one_hot(place % width, width).to(key.dtype).expand(batch, heads, -1, -1)
    # the kernel multiplies all by its scale, which positions do not have
    query = torch.cat((query, by_row / scale, by_column / scale), dim=-1)
    key = torch.cat((key, at_row, at_column), dim=-1)
    missing = -query.shape[-1] % ALIGNMENT
    query, key = functional.pad(query, (0, missing)), functional.pad(key, (0, missing))
    value = functional.pad(value, (0, query.shape[-1] - of_head))
    return functional.scaled_dot_product_attention(query, key, value, scale=scale)[..., :of_head]


def by_window(height: int, width: int, window: int, *, device: torch.device) -> Tensor:
    """Which token of a grid comes where when windows follow one another, row by row, and tokens inside them likewise.

    Returns:
        (rows of windows * windows a row * window * window,) int64, `height * width` for what lies outside.
    """
    grid = torch.arange(height * width, device=device).view(height, width)
    padded = functional.pad(grid, (0, -width % window, 0, -height % window), value=height * width)
    order: Tensor = padded.unflatten(1, (-1, window)).unflatten(0, (-1, window)).transpose(1, 2).flatten()
    return order


class FoldedLayer(SamVisionLayer):  # type: ignore[misc]
    """The stock layer, whose attention is a folded one and divides the grid itself."""

    @classmethod
    def of(cls, stock: SamVisionLayer | SamHQVisionLayer) -> "FoldedLayer":
        """A layer that shares the parts of a stock one, but for the attention."""
        folded = cls.__new__(cls)
        nn.Module.__init__(folded)
        folded.__dict__.update(stock.__dict__, _modules=dict(stock._modules))
        folded.attn = FoldedAttention.of(stock.attn, window=stock.window_size)
        return folded

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(B, h, w, C) tokens to the same shape."""
        attended: Tensor = self.attn(hidden_states=self.layer_norm1(hidden_states))[0]
        hidden = hidden_states + attended
        changed: Tensor = self.mlp(self.layer_norm2(hidden))
        return hidden + changed


def fold_attention(encoder: nn.Module) -> None:
    """Give every stock layer inside an encoder its folded way to compute."""
    for module in list(encoder.modules()):
        for name, child in list(module.named_children()):
            if type(child) in STOCK_LAYERS and type(child.attn) in STOCK_ATTENTION:
                setattr(module, name, FoldedLayer.of(child))


def is_folded(encoder: nn.Module) -> bool:
    """Whether `fold_attention` has been here."""
    return any(isinstance(module, FoldedAttention) for module in encoder.modules())
