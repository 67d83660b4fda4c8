"""The schema of a recipe, and the only home of default values.

A recipe names things by registry key (`kind: medical`, `mode: decoder`), never by import path, so
that a recipe from a stranger cannot run code. Everything is strict: an unknown key, a number written
as text, or a value out of range is an error.
"""

from operator import attrgetter
from typing import Literal

from pydantic import Field, model_validator

from adapt.recipe.clips import ClipSettings
from adapt.recipe.concepts import NOT_OF_CONCEPTS, ConceptSettings
from adapt.recipe.data import DataSettings
from adapt.recipe.demo import DemoSettings
from adapt.recipe.evaluation import EvaluationSettings
from adapt.recipe.generate import GenerateSettings
from adapt.recipe.hub import HubSettings
from adapt.recipe.label import LabelSettings
from adapt.recipe.model import FeatureSettings, ModelSettings
from adapt.recipe.predict import PredictSettings
from adapt.recipe.semantic import PROMPTED, SemanticSettings
from adapt.recipe.settings import Settings
from adapt.recipe.split import AugmentSettings, SplitSettings
from adapt.recipe.staging import StageSettings
from adapt.recipe.text import TextSettings
from adapt.recipe.training import LossSettings, OptimizerSettings, PromptSettings, TrainerSettings
from adapt.recipe.tuning import INSERTING, DecoderTuning, LoraTuning, PeftTuning, TextTokenTuning, TuningSettings


class WandbSettings(Settings):
    """Read with `tracking: wandb`."""

    project: str = Field("adapt", description="Of W&B, in which runs are listed side by side.")
    entity: str | None = Field(None, description="Account or team of W&B; null: the default of the login.")
    offline: bool = Field(False, description="Write locally only; `wandb sync` uploads later.")
    objects: bool = Field(True, description="Send a table of the test objects: sample, group, and IoU of both models.")
    model: bool = Field(False, description="Send the tuned model, or its adapter, as an artefact.")


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


class Recipe(Settings):
    """One run, from data to report."""

    description: str = Field("", description="One line, shown by `recipes list`.")
    preset: Literal["sam", "sam2"] = Field(
        "sam", description="Prompts and loss as in the paper of this name; what the recipe itself says goes first."
    )
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Every random draw of the run derives from it.")
    output: str = Field("runs", min_length=1, description="Folder that receives <recipe>/<time>/ for each run.")
    cache: str = Field("~/.cache/adapt", min_length=1, description="Folder for prepared data and frozen features.")
    tracking: Literal["none", "wandb", "tensorboard"] = Field(
        "none", description="Who follows the training beside the run's own files; each but none needs its extra."
    )
    wandb: WandbSettings = WandbSettings()
    model: ModelSettings = ModelSettings()
    tuning: TuningSettings = DecoderTuning()
    features: FeatureSettings = FeatureSettings()
    data: DataSettings
    split: SplitSettings = SplitSettings()
    augment: AugmentSettings = AugmentSettings()
    semantic: SemanticSettings = SemanticSettings()
    concepts: ConceptSettings = ConceptSettings()
    clips: ClipSettings = ClipSettings()
    prompts: PromptSettings = PromptSettings()
    loss: LossSettings = LossSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    trainer: TrainerSettings = TrainerSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    generate: GenerateSettings = GenerateSettings()
    predict: PredictSettings = PredictSettings()
    text: TextSettings = TextSettings()
    label: LabelSettings = LabelSettings()
    hub: HubSettings = HubSettings()
    demo: DemoSettings = DemoSettings()
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
    def _classes_are_not_prompted(self) -> "Recipe":
        if not self.semantic.classes:
            return self
        asked = [path for path, default in PROMPTED.items() if attrgetter(path)(self) != default]
        if asked:
            raise ValueError(
                f"with semantic.classes nothing is prompted, and {', '.join(asked)} would be read by nothing; leave it "
                "out, or semantic.classes"
            )
        if self.loss.at == "points":
            raise ValueError("loss.at points is of masks that are prompted; with semantic.classes set mask or image")
        if not getattr(self.tuning, "decoder", True):
            raise ValueError(
                "tuning.decoder is false, but the tokens of semantic.classes lie in the mask decoder; set it to true"
            )
        if getattr(self.tuning, "layers", "all") != "all":
            raise ValueError(
                "tuning.layers hq leaves the tokens of semantic.classes as they are, so that all classes would stay "
                "alike; set it to all"
            )
        return self

    @model_validator(mode="after")
    def _concepts_are_not_prompted(self) -> "Recipe":
        if not self.concepts.learn:
            return self
        asked = [path for path, default in NOT_OF_CONCEPTS.items() if attrgetter(path)(self) != default]
        if asked:
            raise ValueError(
                f"with concepts.learn categories are asked for by name and nothing is prompted, so {', '.join(asked)} "
                "cannot be set; leave it out, or concepts.learn"
            )
        tuning = self.tuning
        if not isinstance(tuning, DecoderTuning | PeftTuning):
            raise ValueError(
                f"tuning.mode {tuning.mode} cannot go with concepts.learn, whose encoders are frozen; set it to "
                "decoder, which trains the detector, or to lora with tuning.targets=[decoder_attention] and "
                "tuning.decoder=false"
            )
        if isinstance(tuning, DecoderTuning) and tuning.prompt_encoder:
            raise ValueError("tuning.prompt_encoder is the text encoder with concepts.learn, which is frozen; leave it")
        if isinstance(tuning, PeftTuning) and tuning.decoder:
            raise ValueError(
                "tuning.decoder is true, and with concepts.learn either the detector trains (tuning.mode=decoder) or "
                "what is put into it; set tuning.decoder to false"
            )
        return self

    @model_validator(mode="after")
    def _what_is_divided_is_prompted_images(self) -> "Recipe":
        other = "semantic.classes" if self.semantic.classes else "clips.length" if self.clips.length > 1 else None
        if other and self.trainer.strategy == "fsdp2":
            raise ValueError(f"trainer.strategy fsdp2 is not tested with {other}; set it to ddp")
        return self

    @model_validator(mode="after")
    def _texts_prompt_whole_images(self) -> "Recipe":
        others = {
            "semantic.classes": bool(self.semantic.classes),
            "clips.length above 1": self.clips.length > 1,
            "trainer.strategy fsdp2": self.trainer.strategy == "fsdp2",
        }
        other = next((name for name, given in others.items() if given), None)
        if other and isinstance(self.tuning, TextTokenTuning):
            raise ValueError(
                f"tuning.mode text_token learns what prompts single images, and cannot go with {other}; leave one out"
            )
        return self

    @model_validator(mode="after")
    def _clips_teach_the_object_score(self) -> "Recipe":
        if self.clips.length > 1 and not self.loss.presence_weight:
            raise ValueError(
                "clips.length above 1 needs loss.presence_weight above 0 (1 in SAM 2), or nothing learns in which "
                "slices an object has ended"
            )
        return self

    @model_validator(mode="after")
    def _forgetting_is_measured(self) -> "Recipe":
        if self.trainer.stop_forgetting is not None and not self.evaluation.retention.images:
            raise ValueError("trainer.stop_forgetting needs evaluation.retention.images above 0, or set it to null")
        return self

    @model_validator(mode="after")
    def _what_is_quantised_is_not_divided(self) -> "Recipe":
        quantised = isinstance(self.tuning, LoraTuning) and self.tuning.encoder_bits is not None
        if quantised and self.trainer.strategy == "fsdp2":
            raise ValueError(
                "trainer.strategy 'fsdp2' cannot go with tuning.encoder_bits, whose weights are no plain numbers that "
                "could be divided; set encoder_bits to null, or strategy to ddp"
            )
        return self
