"""Prompts, loss, optimiser and trainer."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from adapt.recipe.settings import Settings, Share


class PromptSettings(Settings):
    """The interactive session that training simulates (SAM, appendix A), drawn anew each epoch."""

    box_chance: Share = Field(
        0.5,
        description="Chance that an image is first prompted by boxes, not clicks; 1: boxes only, 0: clicks only.",
    )
    box_noise: Share = Field(
        0.1, description="Noise of a box corner: standard deviation as a share of the box's side (SAM, appendix A)."
    )
    box_noise_max: float = Field(
        20.0, ge=0, description="Largest shift of a box corner, in pixels of a model input of 1024."
    )
    box_noise_kind: Literal["gaussian", "uniform"] = Field(
        "gaussian", description="gaussian (SAM), or uniform within the same share of the side (SAM 2)."
    )
    corrections: int = Field(8, ge=0, description="Rounds after the first prompt in which what is wrong is clicked on.")
    clicks_per_round: int = Field(1, ge=1, description="New clicks in each of these rounds.")
    idle_rounds: int = Field(
        2, ge=0, description="Rounds without a new click: the last one, and the others at random places before it."
    )
    truth_click_chance: Share = Field(0.0, description="Chance that a click is drawn from the truth, not the error.")
    mask_prompts: bool = Field(True, description="Feed the logits of the previous mask back as a prompt.")

    @model_validator(mode="after")
    def _idle_rounds_follow_something(self) -> "PromptSettings":
        if self.idle_rounds and not self.mask_prompts:
            raise ValueError("idle_rounds without mask_prompts would repeat a round; set idle_rounds to 0")
        return self


class LossSettings(Settings):
    """focal_weight * pixel loss + dice_weight * dice on the best candidate, plus iou_weight * error of the IoU head."""

    pixel_loss: Literal["focal", "balanced"] = Field(
        "focal",
        description="focal (SAM), or balanced: cross-entropy in which the object and the rest weigh the same, which "
        "keeps a model that starts from nothing from answering with empty masks.",
    )
    focal_weight: float = Field(20.0, ge=0, description="Weight of the pixel loss.")
    dice_weight: float = Field(1.0, ge=0, description="Weight of the Dice loss.")
    iou_weight: float = Field(1.0, ge=0, description="Weight of the error of the predicted IoU.")
    focal_alpha: Share = Field(0.25, description="Weight of foreground pixels; 1 - alpha is the background's.")
    focal_gamma: float = Field(2.0, ge=0, description="Focusing exponent; 0 is weighted cross-entropy.")
    iou_learns_from: Literal["winner", "all"] = Field(
        "winner", description="The IoU head learns from the winning candidate (SAM), or from all of them (SAM 2)."
    )
    iou_error: Literal["squared", "absolute"] = Field("squared", description="squared (SAM) or absolute (SAM 2).")
    presence_weight: float = Field(
        0.0,
        ge=0,
        description="Weight of the cross-entropy of the object score (SAM 2 and 3), which learns that there is an "
        "object at each prompt; 0 leaves it as it is.",
    )
    at: Literal["mask", "image", "points"] = Field(
        "mask",
        description="Where focal and dice are taken: mask size (a quarter of the input's side), the input's full "
        "size, or uncertain points (PointRend): memory between the two, borders as sharp as the full size.",
    )
    points: int = Field(12_544, ge=16, description="With at: points, how many an object.")


class RateSettings(Settings):
    """Learning rates of the parts, as shares of `optimizer.learning_rate`; only those of parts that train matter."""

    image_encoder: float = Field(1.0, gt=0, description="Of the neck, and of all blocks if layer_decay is 1.")
    prompt_encoder: float = Field(1.0, gt=0, description="Of what encodes clicks, boxes and masks.")
    mask_decoder: float = Field(1.0, gt=0, description="Of what makes masks of features and prompts.")


class OptimizerSettings(Settings):
    """AdamW with linear warm-up."""

    learning_rate: float = Field(1e-4, gt=0, description="After the warm-up; of the parts, see rates.")
    rates: RateSettings = RateSettings()
    layer_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Rate of a block of the image encoder as a share of the next one's, so that early blocks change "
        "least; SAM trains with 0.8 (ViT-B 0.6), 1: all the same.",
    )
    weight_decay: float = Field(
        0.01, ge=0, description="Of AdamW: a step takes this share of a weight off, times the rate."
    )
    decayed: Literal["all", "matrices"] = Field(
        "all", description="What weight decay takes: all, or not biases and norms (matrices), as MAE and SAM 2 do."
    )
    warmup_steps: int = Field(50, ge=0, description="Optimiser steps over which the rate rises from 0.")
    schedule: Literal["cosine", "step", "constant"] = Field(
        "cosine", description="What the rate does after the warm-up: a cosine to zero, falls at milestones, or nothing."
    )
    milestones: list[Share] = Field(
        [2 / 3, 26 / 27], description="With schedule step: shares of the run after which the rate falls (SAM's)."
    )
    milestone_factor: float = Field(0.1, gt=0, le=1, description="With schedule step: what the rate is multiplied by.")
    ema: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Decay of the moving average of the weights that train, a step (0.99: over some 100 steps); "
        "validation, checkpoints and the model have the average. 0: off.",
    )


class TrainerSettings(Settings):
    """How long, on what, and in which batches."""

    epochs: int = Field(20, ge=1, description="Passes over the training images.")
    min_steps: int = Field(
        0, ge=0, description="Train for more epochs if these are fewer optimiser steps: small data sets need them."
    )
    max_steps: int = Field(
        0,
        ge=0,
        description="End after so many optimiser steps, whatever epochs and min_steps say, with a validation as after "
        "any epoch: to try a large data set; 0: no limit.",
    )
    batch_size: int = Field(
        4, ge=1, description="Images a batch on each device; a step has one batch, or `accumulate` of them."
    )
    accumulate: int = Field(
        1, ge=1, description="Batches an optimiser step: as one batch of all their images, in the memory of one."
    )
    objects_per_image: int = Field(8, ge=1, description="Objects prompted in an image; a random choice if it has more.")
    workers: int = Field(2, ge=0, description="Processes that load data.")
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="What trains: auto takes a GPU if there is one."
    )
    devices: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        1,
        description="Devices of each node, with a process for each; auto: all of the accelerator's. torchrun and SLURM "
        "start processes themselves: leave it, and num_nodes, at 1 then.",
    )
    num_nodes: int = Field(1, ge=1, description="Machines that train together.")
    strategy: Literal["ddp", "fsdp2"] = Field(
        "ddp",
        description="With several devices: the whole model on each (ddp), or its weights, gradients and the "
        "optimiser's state divided among them (fsdp2), for models that fill a device; slower.",
    )
    process_timeout: int = Field(
        600, ge=1, description="Seconds to wait for another process, or for the network to it, before training ends."
    )
    precision: Literal["32-true", "bf16-mixed"] = Field(
        "32-true", description="Of training: float32, or bfloat16 where it is safe. Evaluation is always in float32."
    )
    compile: bool = Field(
        False, description="Compile the blocks of the image encoder (torch.compile); needs a C++ compiler."
    )
    recompute: bool = Field(
        False,
        description="Run blocks of the image encoder that train a second time in the backward pass, rather than keep "
        "what they made: less memory, more time.",
    )
    gradient_clip: float = Field(1.0, ge=0, description="Largest norm of the gradient; 0 switches clipping off.")
    checkpoint_minutes: float = Field(
        10.0, ge=0, description="Minutes between checkpoints inside an epoch; each epoch ends with one in any case."
    )
    on_bad_loss: Literal["stop", "skip"] = Field(
        "stop",
        description="When a loss or its gradient is NaN or infinite: stop before the weights take it up, or skip the "
        "step. The samples are written to bad_batches.jsonl.",
    )
    loss_spike: float = Field(
        10.0, ge=0, description="A loss this many times the median of the last 50 is a spike, and named; 0: none is."
    )
    on_loss_spike: Literal["warn", "skip"] = Field("warn", description="Train on a spike as on any step, or skip it.")
    loader_timeout: int = Field(
        120, ge=0, description="Seconds to wait for a batch of the workers before training ends; 0: for ever."
    )
    stop_patience: int = Field(
        0, ge=0, description="Stop when the validation mIoU has not risen for so many epochs; 0: train to the end."
    )
    stop_forgetting: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Stop when the mIoU on the images of evaluation.retention is this much below the untouched "
        "model's, and keep no weights from there; null: train on.",
    )

    @model_validator(mode="after")
    def _what_is_divided_is_not_compiled(self) -> "TrainerSettings":
        if self.compile and self.strategy == "fsdp2":
            raise ValueError(
                "compile cannot go with strategy 'fsdp2', with which it is not tested; set compile to false, or "
                "strategy to ddp"
            )
        return self
