"""Attention with relative positions, a block of queries at a time: what is fastest on a CPU.

There the fast kernels gain nothing by wider heads, and the matrix of all scores (800 MiB in a layer of ViT-B that
attends globally at 1024 px) is slow because it leaves the processor's caches several times. Here the scores of one
block are made, used and overwritten, and made again in the backward pass. Source: FlashAttention (Dao et al., 2022),
sections 3.1 and B.4, with whole rows of scores, so that no running maximum is needed.
"""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

SCORES = 3 * 2**22
"""How many are held at a time: 48 MiB. Fewer make blocks too small for fast products, more leave the caches."""


def attend_in_blocks(
    query: Tensor, key: Tensor, value: Tensor, by_row: Tensor, by_column: Tensor, *, scale: float
) -> Tensor:
    """The attention of a grid of h x w tokens, with a term for a key's row and one for its column.

    Args:
        query: (B, heads, h * w, D) float.
        key: of the same shape.
        value: of the same shape.
        by_row: (B, heads, h * w, h), added to the scores of the keys in a row.
        by_column: (B, heads, h * w, w), likewise of a column.
        scale: of query times key, not of the positions.

    Returns:
        (B, heads, h * w, D).
    """
    flat = (part.flatten(0, 1) for part in (query, key, value, by_row, by_column))
    return _InBlocks.apply(*flat, scale).unflatten(0, query.shape[:2])  # type: ignore[no-any-return, no-untyped-call]


class _InBlocks(torch.autograd.Function):
    """Keeps its inputs and its result for the backward pass, and no scores. Shapes as above, B and heads in one."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, query: Tensor, key: Tensor, value: Tensor, by_row: Tensor, by_column: Tensor, scale: float
    ) -> Tensor:
        out = torch.empty_like(value)
        for block, scores in _blocks(query, held=1):
            _softmax(scores[0], query[:, block], key, by_row[:, block], by_column[:, block], scale)
            out[:, block] = torch.bmm(scores[0], value)
        ctx.save_for_backward(query, key, value, by_row, by_column, out)
        ctx.scale = scale  # type: ignore[attr-defined]
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, of_out: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, by_row, by_column, out = ctx.saved_tensors  # type: ignore[attr-defined]
        scale: float = ctx.scale  # type: ignore[attr-defined]
        of_query, of_row, of_column = (torch.empty_like(part) for part in (query, by_row, by_column))
        of_key, of_value = torch.zeros_like(key), torch.zeros_like(value)
        mean = (of_out * out).sum(-1, keepdim=True)  # of the scores' gradients, by their softmax
        for block, (scores, of_scores) in _blocks(query, held=2):
            _softmax(scores, query[:, block], key, by_row[:, block], by_column[:, block], scale)
            of_value.baddbmm_(scores.mT, of_out[:, block])
            torch.bmm(of_out[:, block], value.mT, out=of_scores)
            of_scores.sub_(mean[:, block]).mul_(scores)
            of_query[:, block] = torch.bmm(of_scores, key)
            of_key.baddbmm_(of_scores.mT, query[:, block], alpha=scale)
            grid = of_scores.unflatten(-1, (by_row.shape[-1], by_column.shape[-1]))
            of_row[:, block], of_column[:, block] = grid.sum(-1), grid.sum(-2)
        return of_query.mul_(scale), of_key, of_value, of_row, of_column, None


def _blocks(query: Tensor, *, held: int) -> list[tuple[slice, tuple[Tensor, ...]]]:
    """Each block of queries, with as many matrices for its scores, (B, block, tokens) each, that all blocks share."""
    batch, tokens, _ = query.shape
    size = min(tokens, max(1, SCORES // (held * batch * tokens)))
    room = [query.new_empty(batch * size * tokens) for _ in range(held)]
    blocks = []
    for start in range(0, tokens, size):
        here = min(size, tokens - start)
        of_block = tuple(part[: batch * here * tokens].view(batch, here, tokens) for part in room)
        blocks.append((slice(start, start + here), of_block))
    return blocks


def _softmax(scores: Tensor, query: Tensor, key: Tensor, by_row: Tensor, by_column: Tensor, scale: float) -> None:
    """Fill `scores` with what each key weighs for each query of a block."""
    torch.add(
        by_row[..., None], by_column[..., None, :], out=scores.unflatten(-1, (by_row.shape[-1], by_column.shape[-1]))
    )
    scores.baddbmm_(query, key.mT, alpha=scale)
    torch.softmax(scores, dim=-1, out=scores)
