"""Attention with decomposed relative positions, without the matrix that these would fill.

The stock layer adds to the scores of a query at row r, column c and a key at row r', column c' the terms
q . H[r - r'] + q . W[c - c'], and for that writes them all down: tokens x tokens numbers a head, which at 1024 px are
16.8 million, and which the fast kernels do not take a gradient of. But each term is a product too: of the query's
product with every row of H (or W) and a vector that is one at the key's row (or column), and zero elsewhere. Appended
to query and key they give the same scores from one product, and no kernel needs a matrix of tokens x tokens.

A CPU gains nothing by wider heads: in float32 it makes the matrix block after block instead (`attention_blocks`).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.sam.modeling_sam import SamVisionSdpaAttention
from transformers.models.sam_hq.modeling_sam_hq import SamHQVisionSdpaAttention

from adapt.segmenters.attention_blocks import attend_in_blocks

STOCK = (SamVisionSdpaAttention, SamHQVisionSdpaAttention)
"""The layers that can be folded; both are the same code."""
ALIGNMENT = 8
"""Kernels on GPUs want the width of a head to be a multiple of this."""


class FoldedAttention(SamVisionSdpaAttention):  # type: ignore[misc]  # transformers is not annotated
    """The stock layer, with the same parameters under the same names, and its own way to compute."""

    @classmethod
    def of(cls, stock: SamVisionSdpaAttention | SamHQVisionSdpaAttention) -> "FoldedAttention":
        """A layer that shares the parameters of a stock one."""
        folded = cls.__new__(cls)
        nn.Module.__init__(folded)
        folded.__dict__.update(stock.__dict__)
        return folded

    def forward(self, hidden_states: Tensor, output_attentions: bool = False) -> tuple[Tensor, None]:
        """(B, h, w, C) tokens to the same shape; weights of the attention are never there to be returned."""
        batch, height, width, _ = hidden_states.shape
        tokens, heads = height * width, self.num_attention_heads
        qkv = self.qkv(hidden_states).reshape(batch, tokens, 3, heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (B, heads, tokens, D) each
        seen = self._attend(query, key, value, height, width)
        joined = seen.reshape(batch, heads, height, width, -1).permute(0, 2, 3, 1, 4)
        return self.proj(joined.reshape(batch, height, width, -1)), None

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


def fold_positions(encoder: nn.Module) -> None:
    """Give every stock attention with relative positions inside an encoder its folded way to compute."""
    for module in list(encoder.modules()):
        for name, child in list(module.named_children()):
            if type(child) in STOCK:
                setattr(module, name, FoldedAttention.of(child))


def is_folded(encoder: nn.Module) -> bool:
    """Whether `fold_positions` has been here."""
    return any(isinstance(module, FoldedAttention) for module in encoder.modules())
