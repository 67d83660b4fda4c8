"""The schema of a recipe, and the only home of default values.

A recipe names things by registry key (`kind: medical`, `mode: decoder`), never by import path, so
that a recipe from a stranger cannot run code. Everything is strict: an unknown key, a number written
as text, or a value out of range is an error.
"""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from adapt.recipe.data import DataSettings
from adapt.recipe.settings import Settings, Share


class ModelSettings(Settings):
    """The pretrained segmenter that is tuned, and that the tuned one is compared with."""

    checkpoint: str = Field(
        "adapt:tiny",
        min_length=1,
        description="Hub id (facebook/sam-vit-base), local folder with config.json, or adapt:tiny.",
    )
    revision: str | None = Field(None, description="Hub revision (branch, tag or commit) of the checkpoint.")


class TuningSettings(Settings):
    """Which parameters train."""

    mode: Literal["decoder"] = Field("decoder", description="decoder: mask decoder trains, encoder is frozen.")
    prompt_encoder: bool = Field(False, description="Train the prompt encoder along with the mask decoder.")


class SplitSettings(Settings):
    """How groups (patients, scenes, slides) fall into train, validation and test. A group never straddles."""

    validation: Share = Field(0.15, description="Share of groups for validation; rounded, at least one if > 0.")
    test: Share = Field(0.25, description="Share of groups for test; rounded, at least one if > 0.")
    validation_groups: list[str] = Field([], description="Groups that are validation whatever the share.")
    test_groups: list[str] = Field([], description="Groups that are test whatever the share.")

    @model_validator(mode="after")
    def _leaves_training(self) -> "SplitSettings":
        if self.validation + self.test >= 1:
            raise ValueError(f"validation ({self.validation}) + test ({self.test}) must stay below 1")
        both = sorted(set(self.validation_groups) & set(self.test_groups))
        if both:
            raise ValueError(f"groups named for both validation and test: {', '.join(both)}")
        return self


class AugmentSettings(Settings):
    """The chance of each augmentation of a training image; masks follow the geometry. None by default."""

    horizontal_flip: Share = 0.0
    vertical_flip: Share = 0.0
    rotate90: Share = 0.0
    transpose: Share = 0.0
    rotate: Share = Field(0.0, description="Rotation by up to 20 degrees.")
    scale: Share = Field(0.0, description="Scaling by 0.8 to 1.25 and shift by up to 10 %.")
    elastic: Share = Field(0.0, description="Elastic deformation (alpha 30, sigma 6 px).")
    brightness_contrast: Share = Field(0.0, description="Brightness and contrast by up to 20 %.")
    gamma: Share = Field(0.0, description="Gamma from 0.8 to 1.25.")
    noise: Share = Field(0.0, description="Gaussian noise, standard deviation 2 to 8 % of the range.")
    blur: Share = Field(0.0, description="Gaussian blur, 3 to 5 px kernel.")
    clahe: Share = Field(0.0, description="Contrast-limited adaptive histogram equalisation.")


class PromptSettings(Settings):
    """The prompts that training simulates, drawn anew each epoch."""

    box_chance: Share = Field(0.5, description="Chance that an image is prompted by boxes rather than by clicks.")
    box_noise: Share = Field(
        0.1, description="Noise of a box corner: standard deviation as a share of the box's side (SAM, appendix A)."
    )
    box_noise_max: float = Field(
        20.0, ge=0, description="Largest shift of a box corner, in pixels of a model input of 1024."
    )


class LossSettings(Settings):
    """focal_weight * focal + dice_weight * dice on the best candidate, plus iou_weight * MSE of the IoU head."""

    focal_weight: float = Field(20.0, ge=0)
    dice_weight: float = Field(1.0, ge=0)
    iou_weight: float = Field(1.0, ge=0)
    focal_alpha: Share = Field(0.25, description="Weight of foreground pixels; 1 - alpha is the background's.")
    focal_gamma: float = Field(2.0, ge=0, description="Focusing exponent; 0 is weighted cross-entropy.")


class OptimizerSettings(Settings):
    """AdamW with linear warm-up."""

    learning_rate: float = Field(1e-4, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    warmup_steps: int = Field(50, ge=0, description="Optimiser steps over which the rate rises from 0.")
    schedule: Literal["cosine", "constant"] = Field("cosine", description="What the rate does after the warm-up.")


class TrainerSettings(Settings):
    """How long, on what, and in which batches."""

    epochs: int = Field(20, ge=1, description="Passes over the training images.")
    min_steps: int = Field(
        0, ge=0, description="Train for more epochs if these are fewer optimiser steps: small data sets need them."
    )
    batch_size: int = Field(4, ge=1, description="Images a step.")
    objects_per_image: int = Field(8, ge=1, description="Objects prompted in an image; a random choice if it has more.")
    workers: int = Field(2, ge=0, description="Processes that load data.")
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    gradient_clip: float = Field(1.0, ge=0, description="Largest norm of the gradient; 0 switches clipping off.")


class EvaluationSettings(Settings):
    """The protocols that compare the tuned model with the untouched one."""

    protocols: list[Literal["one_click", "box"]] = Field(["one_click", "box"], min_length=1)
    bootstrap_samples: int = Field(10_000, ge=100, description="Resamples of the test groups for the interval.")
    gallery: int = Field(12, ge=0, description="Test objects drawn into the gallery: worst, middle and best.")

    @field_validator("protocols")
    @classmethod
    def _no_repeats(cls, protocols: list[str]) -> list[str]:
        if len(set(protocols)) != len(protocols):
            raise ValueError(f"a protocol is named twice: {protocols}")
        return protocols


class WandbSettings(Settings):
    """Read with `tracking: wandb`."""

    project: str = "adapt"
    entity: str | None = None
    offline: bool = Field(False, description="Write locally only; `wandb sync` uploads later.")


class Recipe(Settings):
    """One run, from data to report."""

    description: str = Field("", description="One line, shown by `recipes list`.")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Every random draw of the run derives from it.")
    output: str = Field("runs", min_length=1, description="Folder that receives <recipe>/<time>/ for each run.")
    cache: str = Field("~/.cache/adapt", min_length=1, description="Folder for prepared data.")
    tracking: Literal["none", "wandb", "tensorboard"] = "none"
    wandb: WandbSettings = WandbSettings()
    model: ModelSettings = ModelSettings()
    tuning: TuningSettings = TuningSettings()
    data: DataSettings
    split: SplitSettings = SplitSettings()
    augment: AugmentSettings = AugmentSettings()
    prompts: PromptSettings = PromptSettings()
    loss: LossSettings = LossSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    trainer: TrainerSettings = TrainerSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
