"""How weights move: which parameters at which rate, and what the rate does as the run goes on. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from adapt.segmenters import PromptableSegmenter


@dataclass(frozen=True)
class PartRates:
    """Learning rates of the parts of a segmenter, as shares of the plan's."""

    image_encoder: float = 1.0
    prompt_encoder: float = 1.0
    mask_decoder: float = 1.0


@dataclass(frozen=True)
class OptimizationPlan:
    """AdamW with linear warm-up; see `OptimizerSettings` of the recipe for the defaults.

    Attributes:
        learning_rate: after the warm-up, of what no share lowers.
        weight_decay: of all parameters, or of `matrices` alone: then not of biases, norms and other vectors.
        schedule: after the warm-up: a cosine to zero, falls at the milestones, or the rate as it is.
        milestones: shares of `total_steps` after which the rate is multiplied by `milestone_factor`.
        total_steps: optimiser steps of the whole run.
        rates: of the parts.
        layer_decay: the rate of a stage of the encoder as a share of the next one's.
    """

    learning_rate: float
    weight_decay: float
    warmup_steps: int
    schedule: Literal["cosine", "step", "constant"]
    total_steps: int
    milestones: tuple[float, ...] = ()
    milestone_factor: float = 1.0
    decayed: Literal["all", "matrices"] = "all"
    rates: PartRates = PartRates()
    layer_decay: float = 1.0

    def factor(self, step: int) -> float:
        """Share of the learning rate at an optimiser step, counted from 0."""
        warmup = min(self.warmup_steps, self.total_steps // 2)
        if step < warmup:
            return (step + 1) / (warmup + 1)
        match self.schedule:
            case "constant":
                return 1.0
            case "step":
                # a step's rounding error must not move a milestone
                passed = sum(step >= round(share * self.total_steps) for share in self.milestones)
                return self.milestone_factor**passed
            case "cosine":
                done = (step - warmup) / max(1, self.total_steps - warmup)
                return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def stage_rates(stages: int, *, layer_decay: float) -> list[float]:
    """Share of the encoder's rate of each of its stages: the neck has all of it, each stage before it less.

    Source: Exploring plain vision transformer backbones (ViTDet: Li et al., 2022), appendix A.2, as Segment Anything
    follows it: the last block has `layer_decay` of the neck's rate, the block before it that of the last, and so on.
    """
    return [layer_decay ** (stages - 1 - place) for place in range(stages)]


def parameter_groups(segmenter: PromptableSegmenter, plan: OptimizationPlan) -> list[dict[str, Any]]:
    """What trains, grouped by learning rate and weight decay, as an optimiser of torch takes it.

    A parameter belongs where it is found, whatever its name: to a stage of the encoder, the prompt encoder or the mask
    decoder. One that is in none of them has the plan's own rate.
    """
    share: dict[int, float] = {}
    stages = segmenter.stages
    for stage, of_stage in zip(stages, stage_rates(len(stages), layer_decay=plan.layer_decay), strict=True):
        share |= {id(parameter): plan.rates.image_encoder * of_stage for parameter in stage.parameters}
    share |= {id(parameter): plan.rates.prompt_encoder for parameter in segmenter.prompt_encoder.parameters()}
    share |= {id(parameter): plan.rates.mask_decoder for parameter in segmenter.mask_decoder.parameters()}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for _, parameter in segmenter.named_parameters():
        if not parameter.requires_grad:
            continue
        spared = plan.decayed == "matrices" and parameter.ndim < 2
        key = (share.get(id(parameter), 1.0), 0.0 if spared else plan.weight_decay)
        groups.setdefault(key, []).append(parameter)
    return [
        {"params": parameters, "lr": plan.learning_rate * rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]


def rate_range(groups: Sequence[dict[str, Any]]) -> str:
    """The learning rates of parameter groups, in words."""
    rates = sorted({float(group["lr"]) for group in groups})
    return f"{rates[0]:.3g}" if len(rates) == 1 else f"{rates[0]:.3g} to {rates[-1]:.3g}"
