"""The schema of a recipe, and the only home of default values.

A recipe names things by registry key (`kind: medical`, `mode: decoder`), never by import path, so
that a recipe from a stranger cannot run code. Everything is strict: an unknown key, a number written
as text, or a value out of range is an error.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from adapt.recipe.data import DataSettings, FolderData
from adapt.recipe.settings import Settings, Share
from adapt.recipe.tuning import INSERTING, DecoderTuning, PeftTuning, TuningSettings


class ModelSettings(Settings):
    """The pretrained segmenter that is tuned, and that the tuned one is compared with."""

    checkpoint: str = Field(
        "adapt:tiny",
        min_length=1,
        description="Hub id (facebook/sam-vit-base), local folder with config.json, or adapt:tiny.",
    )
    revision: str | None = Field(None, description="Hub revision (branch, tag or commit) of the checkpoint.")
    weights: Literal["pretrained", "random"] = Field(
        "pretrained", description="random: the checkpoint's architecture with fresh weights, to pretrain from scratch."
    )
    input_size: int | None = Field(
        None,
        ge=32,
        le=4096,
        description="Side of the model's input in pixels, a multiple of its patch (16); its own by default. Positions "
        "are interpolated: a smaller input is faster and needs less memory, and sees less detail.",
    )
    attention: Literal["folded", "stock"] = Field(
        "folded",
        description="How the image encoder adds relative positions: folded into queries and keys, in a tenth of the "
        "memory at 1024 px, or as transformers does; both give the same but for rounding.",
    )


class FeatureSettings(Settings):
    """The cache of frozen features: what does not train of the encoder runs once an image, and is kept on disk."""

    cache: bool = Field(True, description="Keep them, below the folder that `cache` names.")
    views: int = Field(
        4, ge=1, description="With augmentation: ways in which an image is augmented in all; each is encoded once."
    )
    dtype: Literal["float16", "bfloat16", "float32"] = Field(
        "float16", description="Of the numbers on disk. bfloat16 is coarser, for hidden states beyond 65,504."
    )
    limit_gb: float = Field(50.0, gt=0, description="Of all features on disk; what was used least goes first.")


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
    dice_weight: float = Field(1.0, ge=0)
    iou_weight: float = Field(1.0, ge=0)
    focal_alpha: Share = Field(0.25, description="Weight of foreground pixels; 1 - alpha is the background's.")
    focal_gamma: float = Field(2.0, ge=0, description="Focusing exponent; 0 is weighted cross-entropy.")
    iou_learns_from: Literal["winner", "all"] = Field(
        "winner", description="The IoU head learns from the winning candidate (SAM), or from all of them (SAM 2)."
    )
    iou_error: Literal["squared", "absolute"] = Field("squared", description="squared (SAM) or absolute (SAM 2).")
    at: Literal["mask", "image", "points"] = Field(
        "mask",
        description="Where focal and dice are taken: mask size (a quarter of the input's side), the input's full "
        "size, or uncertain points (PointRend): memory between the two, borders as sharp as the full size.",
    )
    points: int = Field(12_544, ge=16, description="With at: points, how many an object.")


class RateSettings(Settings):
    """Learning rates of the parts, as shares of `optimizer.learning_rate`; only those of parts that train matter."""

    image_encoder: float = Field(1.0, gt=0, description="Of the neck, and of all blocks if layer_decay is 1.")
    prompt_encoder: float = Field(1.0, gt=0)
    mask_decoder: float = Field(1.0, gt=0)


class OptimizerSettings(Settings):
    """AdamW with linear warm-up."""

    learning_rate: float = Field(1e-4, gt=0)
    rates: RateSettings = RateSettings()
    layer_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Rate of a block of the image encoder as a share of the next one's, so that early blocks change "
        "least; SAM trains with 0.8 (ViT-B 0.6), 1: all the same.",
    )
    weight_decay: float = Field(0.01, ge=0)
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
    batch_size: int = Field(4, ge=1, description="Images a batch; a step has one batch, or `accumulate` of them.")
    accumulate: int = Field(
        1, ge=1, description="Batches an optimiser step: as one batch of all their images, in the memory of one."
    )
    objects_per_image: int = Field(8, ge=1, description="Objects prompted in an image; a random choice if it has more.")
    workers: int = Field(2, ge=0, description="Processes that load data.")
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
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


def _no_repeats(protocols: list[str]) -> list[str]:
    if len(set(protocols)) != len(protocols):
        raise ValueError(f"a protocol is named twice: {protocols}")
    return protocols


Protocols = Annotated[
    list[Literal["one_click", "box", "jittered_box", "clicks"]],
    Field(
        min_length=1,
        description="one_click, box, jittered_box (as people draw it), and clicks: one click, then corrections.",
    ),
    AfterValidator(_no_repeats),
]


class RetentionSettings(Settings):
    """A general set, on which both models are compared too: what tuning has made the model forget."""

    images: int = Field(50, ge=0, description="Of the set, at most, drawn by the seed; 0: off.")
    protocols: Protocols = Field(["one_click", "box"])
    data: DataSettings = Field(
        FolderData(kind="folder", root="adapt:shapes_folder"),
        description="Images unlike those of the domain, read like data of any recipe; generated shapes by default.",
    )


class EvaluationSettings(Settings):
    """The protocols that compare the tuned model with the untouched one."""

    protocols: Protocols = Field(["one_click", "box"])
    clicks: int = Field(20, ge=1, description="Of the protocol clicks: how many (the cap of NoC).")
    boundary_tolerance: float | None = Field(
        None, gt=0, description="Distance of borders that still counts as right (mm, m, um or px); null: two pixels."
    )
    following_images: int = Field(
        50, ge=0, description="Test images in which two objects are prompted, to see that prompts matter; 0: off."
    )
    bootstrap_samples: int = Field(10_000, ge=100, description="Resamples of the test groups for the interval.")
    gallery_every: int = Field(
        10, ge=0, description="Epochs between galleries of some validation objects during training; 0: none."
    )
    gallery: int = Field(12, ge=0, description="Test objects drawn into the gallery: worst, middle and best.")
    retention: RetentionSettings = RetentionSettings()


class WandbSettings(Settings):
    """Read with `tracking: wandb`."""

    project: str = "adapt"
    entity: str | None = None
    offline: bool = Field(False, description="Write locally only; `wandb sync` uploads later.")


PRESETS: dict[str, dict[str, dict[str, object]]] = {
    "sam": {},
    "sam2": {
        "prompts": {
            "box_noise_kind": "uniform",
            "corrections": 7,
            "idle_rounds": 0,
            "truth_click_chance": 0.1,
        },
        "loss": {"iou_learns_from": "all", "iou_error": "absolute", "at": "image"},
    },
}
"""Training as in the papers: Segment Anything is the default of every field, SAM 2 (appendix D) differs in these."""


STAGED = ("augment", "data", "features", "loss", "optimizer", "prompts", "trainer", "tuning")
"""Sections whose values a stage may change; and `model.input_size`."""


def _can_be_staged(change: dict[str, bool | int | float | str | None]) -> dict[str, bool | int | float | str | None]:
    for path in change:
        section, dot, _ = path.partition(".")
        if path != "model.input_size" and not (dot and section in STAGED):
            raise ValueError(f"{path!r} cannot change between stages; what can: model.input_size, {', '.join(STAGED)}")
    return change


class StageSettings(Settings):
    """A stage that trains before the run proper, on the same segmenter: the recipe, with some values changed."""

    name: str = Field(pattern="^[a-z0-9_-]+$", description="Names the stage's folder below the run's.")
    change: Annotated[
        dict[str, bool | int | float | str | None],
        Field(min_length=1, description="Key paths and values, as on the command line: prompts.box_chance: 1.0."),
        AfterValidator(_can_be_staged),
    ]


class Recipe(Settings):
    """One run, from data to report."""

    description: str = Field("", description="One line, shown by `recipes list`.")
    preset: Literal["sam", "sam2"] = Field(
        "sam", description="Prompts and loss as in the paper of this name; what the recipe itself says goes first."
    )
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Every random draw of the run derives from it.")
    output: str = Field("runs", min_length=1, description="Folder that receives <recipe>/<time>/ for each run.")
    cache: str = Field("~/.cache/adapt", min_length=1, description="Folder for prepared data and frozen features.")
    tracking: Literal["none", "wandb", "tensorboard"] = "none"
    wandb: WandbSettings = WandbSettings()
    model: ModelSettings = ModelSettings()
    tuning: TuningSettings = DecoderTuning()
    features: FeatureSettings = FeatureSettings()
    data: DataSettings
    split: SplitSettings = SplitSettings()
    augment: AugmentSettings = AugmentSettings()
    prompts: PromptSettings = PromptSettings()
    loss: LossSettings = LossSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    trainer: TrainerSettings = TrainerSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    curriculum: list[StageSettings] = Field(
        [], description="Stages that train first, in this order; easier ones, for a model that starts from nothing."
    )

    @model_validator(mode="before")
    @classmethod
    def _preset_fills_gaps(cls, values: object) -> object:
        preset = PRESETS.get(str(values.get("preset", "sam"))) if isinstance(values, dict) else None
        if not preset or not isinstance(values, dict):
            return values
        filled = dict(values)
        for section, settings in preset.items():
            own = values.get(section, {})
            filled[section] = {**settings, **own} if isinstance(own, dict) else own
        return filled

    @model_validator(mode="before")
    @classmethod
    def _decoder_is_the_default_mode(cls, values: object) -> object:
        tuning = values.get("tuning") if isinstance(values, dict) else None
        if not isinstance(values, dict) or not isinstance(tuning, dict):
            return values
        return {**values, "tuning": {"mode": "decoder", **tuning}}

    @model_validator(mode="after")
    def _what_is_inserted_trains_in_one_go(self) -> "Recipe":
        modes = [self.tuning.mode, *(stage.change.get("tuning.mode") for stage in self.curriculum)]
        inserting = [str(mode) for mode in modes if mode in INSERTING]
        if self.curriculum and inserting:
            raise ValueError(
                f"tuning.mode {inserting[0]!r} cannot go with a curriculum, since it changes the model between stages; "
                "remove the curriculum, or run its stages first and set model.checkpoint to the model they leave"
            )
        return self

    @model_validator(mode="after")
    def _decoder_attention_is_adapted_or_trained(self) -> "Recipe":
        tuning = self.tuning
        if isinstance(tuning, PeftTuning) and tuning.decoder and "decoder_attention" in tuning.targets:
            raise ValueError(
                "tuning.targets has decoder_attention, but tuning.decoder trains the whole decoder already; set "
                "tuning.decoder to false, or leave decoder_attention out"
            )
        return self

    @model_validator(mode="after")
    def _forgetting_is_measured(self) -> "Recipe":
        if self.trainer.stop_forgetting is not None and not self.evaluation.retention.images:
            raise ValueError("trainer.stop_forgetting needs evaluation.retention.images above 0, or set it to null")
        return self
