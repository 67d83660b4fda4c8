"""The schema of a recipe, and the only home of default values.

A recipe names things by registry key (`kind: medical`, `mode: decoder`), never by import path, so
that a recipe from a stranger cannot run code. Everything is strict: an unknown key, a number written
as text, or a value out of range is an error.
"""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Settings(BaseModel):
    """Base of every part of a recipe: strict, closed, immutable, finite numbers only."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


Share = Annotated[float, Field(ge=0, le=1)]
"""A probability or a fraction, from 0 to 1."""


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


WindowName = Literal["soft_tissue", "lung", "bone"]


class HuWindow(Settings):
    """CT intensity: Hounsfield units are clipped to a window and mapped to 0..255."""

    kind: Literal["hu_window"]
    windows: list[WindowName | Annotated[list[float], Field(min_length=2, max_length=2)]] = Field(
        ["soft_tissue"],
        description="One window for all three channels, or three windows, one a channel: a name or [low, high] in HU.",
    )

    @field_validator("windows")
    @classmethod
    def _one_or_three(cls, windows: list[str | list[float]]) -> list[str | list[float]]:
        if len(windows) not in (1, 3):
            raise ValueError(f"give 1 window or 3 (one a channel), not {len(windows)}")
        for window in windows:
            if isinstance(window, list) and window[0] >= window[1]:
                raise ValueError(f"window {window} must rise: [low, high]")
        return windows


class Percentile(Settings):
    """MR and other intensities without a unit: clipped to percentiles of the volume, mapped to 0..255."""

    kind: Literal["percentile"]
    low: float = Field(0.5, ge=0, lt=100, description="Percentile that becomes 0.")
    high: float = Field(99.5, gt=0, le=100, description="Percentile that becomes 255.")

    @model_validator(mode="after")
    def _rises(self) -> "Percentile":
        if self.low >= self.high:
            raise ValueError(f"low ({self.low}) must be below high ({self.high})")
        return self


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


def _pattern_with_one_group(pattern: str | None) -> str | None:
    if pattern is None:
        return pattern
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    if groups != 1:
        raise ValueError(f"needs exactly one (group), has {groups}")
    return pattern


GROUP_PATTERN = "Regular expression over the case name whose one (group) is the {}; null: each case is its own."


OnError = Annotated[
    Literal["fail", "skip"],
    Field(description="A case that cannot be used: fail lists all of them and stops; skip names them and goes on."),
]


class MedicalData(Settings):
    """Volumes and label volumes, paired by name, cut into slices, split by patient."""

    kind: Literal["medical"]
    root: str = Field(min_length=1, description="Folder that holds the images and labels; adapt:ct_phantom generates.")
    image_folder: str = Field("images", description="Below root: NIfTI, NRRD or MHA, or one DICOM series a folder.")
    label_folder: str = Field("labels", description="Below root: label volumes of the same names (NIfTI, NRRD, MHA).")
    channel: int | None = Field(None, ge=0, description="Of image files with several volumes (4D): which, from 0.")
    labels: dict[str, Annotated[int, Field(ge=1)]] = Field(
        min_length=1, description="Name and value of each structure in the label volumes; 0 is background."
    )
    other_labels: Literal["error", "ignore"] = Field("error", description="What a label value not named above means.")
    intensity: HuWindow | Percentile = Field(discriminator="kind", description="How voxels become 0..255.")
    channels: Literal["windows", "neighbours"] = Field(
        "windows", description="The model's three channels: intensity windows, or the slices before, at and after."
    )
    plane: Literal["axial", "coronal", "sagittal"] = Field("axial", description="Plane of the slices.")
    objects: Literal["component", "label"] = Field(
        "component", description="An object is each connected region of a label in a slice, or the label as a whole."
    )
    min_object_pixels: int = Field(16, ge=1, description="Smaller objects are left out (pixels of the slice).")
    on_error: OnError = "fail"
    group_pattern: str | None = Field(None, description=GROUP_PATTERN.format("patient"))

    _checked_pattern = field_validator("group_pattern")(_pattern_with_one_group)

    @model_validator(mode="after")
    def _channels_are_free(self) -> "MedicalData":
        if self.channels == "neighbours" and isinstance(self.intensity, HuWindow) and len(self.intensity.windows) != 1:
            raise ValueError("channels neighbours fills all three channels, so intensity.windows must be one window")
        return self

    @field_validator("labels")
    @classmethod
    def _values_differ(cls, labels: dict[str, int]) -> dict[str, int]:
        if len(set(labels.values())) != len(labels):
            shared = [f"{name}: {value}" for name, value in labels.items() if list(labels.values()).count(value) > 1]
            raise ValueError(f"two names share a value ({', '.join(shared)}); give each its own")
        return labels


class FolderData(Settings):
    """2D images and label maps side by side: PNG, JPEG or TIFF, paired by name."""

    kind: Literal["folder"]
    root: str = Field(min_length=1, description="Folder that holds the images and label maps.")
    image_folder: str = Field("images", description="Below root: the images.")
    label_folder: str = Field("labels", description="Below root: single-channel label maps of the same names.")
    label_kind: Literal["instances", "classes"] = Field(
        "instances", description="instances: each value is one object; classes: each value is a class, see labels."
    )
    labels: dict[str, Annotated[int, Field(ge=1)]] = Field(
        {}, description="With label_kind classes: name and value of each class; 0 is background."
    )
    other_labels: Literal["error", "ignore"] = Field("error", description="What a label value not named above means.")
    objects: Literal["component", "label"] = Field(
        "component", description="With classes: an object is each connected region of a label, or the label as a whole."
    )
    category: str = Field("object", description="With label_kind instances: what the objects are called.")
    min_object_pixels: int = Field(16, ge=1, description="Smaller objects are left out (pixels of the image).")
    max_image_pixels: int = Field(100_000_000, ge=1, description="Larger images are refused before decoding.")
    on_error: OnError = "fail"
    group_pattern: str | None = Field(None, description=GROUP_PATTERN.format("group"))

    _checked_pattern = field_validator("group_pattern")(_pattern_with_one_group)

    @model_validator(mode="after")
    def _classes_are_named(self) -> "FolderData":
        if self.label_kind == "classes" and not self.labels:
            raise ValueError("label_kind classes needs labels: {name: value}")
        if self.label_kind == "instances" and self.labels:
            raise ValueError("labels is read with label_kind classes only; for instances set category")
        return self


class CocoData(Settings):
    """2D images with one COCO JSON file: instances as polygons or RLE, which may overlap."""

    kind: Literal["coco"]
    root: str = Field(min_length=1, description="Folder that holds the images and the annotation file.")
    image_folder: str = Field("images", description="Below root: what `file_name` in the annotations is relative to.")
    annotation_file: str = Field("annotations.json", description="Below root: the COCO JSON file.")
    categories: list[str] = Field([], description="Names of the categories to use; all if empty.")
    min_object_pixels: int = Field(16, ge=1, description="Smaller objects are left out (pixels of the image).")
    max_image_pixels: int = Field(100_000_000, ge=1, description="Larger images are refused before decoding.")
    on_error: OnError = "fail"
    group_pattern: str | None = Field(None, description=GROUP_PATTERN.format("group"))

    _checked_pattern = field_validator("group_pattern")(_pattern_with_one_group)


DataSettings = Annotated[MedicalData | FolderData | CocoData, Field(discriminator="kind")]


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
