"""Attention with decomposed relative positions, without the matrix that these would fill.

The stock layer adds to the scores of a query at row r, column c and a key at row r', column c' the terms
q . H[r - r'] + q . W[c - c'], and for that writes them all down: tokens x tokens numbers a head, which at 1024 px are
16.8 million, and which the fast kernels do not take a gradient of. But each term is a product too: of the query's
product with every row of H (or W) and a vector that is one at the key's row (or column), and zero elsewhere. Appended
to query and key they give the same scores from one product, and no kernel needs a matrix of tokens x tokens.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.sam.modeling_sam import SamVisionSdpaAttention
from transformers.models.sam_hq.modeling_sam_hq import SamHQVisionSdpaAttention

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
        of_head = query.shape[-1]
        if self.use_rel_pos:
            query, key, value = self._fold(query, key, value, height, width)
        seen = functional.scaled_dot_product_attention(query, key, value, scale=self.scale)[..., :of_head]
        joined = seen.reshape(batch, heads, height, width, of_head).permute(0, 2, 3, 1, 4)
        return self.proj(joined.reshape(batch, height, width, -1)), None

    def _fold(
        self, query: Tensor, key: Tensor, value: Tensor, height: int, width: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Query and key with positions appended, (B, heads, tokens, D + h + w); the value padded to as much.

        The value is padded since the kernels want all three of one width; what comes of its padding is zero.
        """
        batch, heads, tokens, of_head = query.shape
        grid = query.reshape(batch, heads, height, width, of_head)
        # the kernel multiplies all by its scale, which positions do not have
        rows = self.get_rel_pos(height, height, self.rel_pos_h) / self.scale
        columns = self.get_rel_pos(width, width, self.rel_pos_w) / self.scale
        by_row = torch.einsum("bnhwc,hkc->bnhwk", grid, rows).reshape(batch, heads, tokens, height)
        by_column = torch.einsum("bnhwc,wkc->bnhwk", grid, columns).reshape(batch, heads, tokens, width)
        place = torch.arange(tokens, device=key.device)
        at_row = functional.one_hot(place // width, height).to(key.dtype).expand(batch, heads, -1, -1)
        at_column = functional.one_hot(place % width, width).to(key.dtype).expand(batch, heads, -1, -1)
        query = torch.cat((query, by_row, by_column), dim=-1)
        key = torch.cat((key, at_row, at_column), dim=-1)
        missing = -query.shape[-1] % ALIGNMENT
        query, key = functional.pad(query, (0, missing)), functional.pad(key, (0, missing))
        return query, key, functional.pad(value, (0, query.shape[-1] - of_head))


def fold_positions(encoder: nn.Module) -> None:
    """Give every stock attention with relative positions inside an encoder its folded way to compute."""
    for module in list(encoder.modules()):
        for name, child in list(module.named_children()):
            if type(child) in STOCK:
                setattr(module, name, FoldedAttention.of(child))


def is_folded(encoder: nn.Module) -> bool:
    """Whether `fold_positions` has been here."""
    return any(isinstance(module, FoldedAttention) for module in encoder.modules())
