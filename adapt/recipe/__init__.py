"""Recipes: one YAML file a run. The schema here is the only home of default values."""

from adapt.recipe.concepts import ConceptSettings
from adapt.recipe.curriculum import stages
from adapt.recipe.data import (
    BandPercentile,
    BandRange,
    CocoData,
    DataSettings,
    FolderData,
    HubData,
    HuWindow,
    MedicalData,
    MicroscopyData,
    Percentile,
    SatelliteData,
    SyntheticData,
    YoloData,
    group_rule,
)
from adapt.recipe.demo import DemoSettings
from adapt.recipe.evaluation import EvaluationSettings, RetentionSettings
from adapt.recipe.generate import FIT_THRESHOLDS, GenerateSettings
from adapt.recipe.hub import CardSettings, HubSettings, check_repo
from adapt.recipe.keys import key_paths, keys_page
from adapt.recipe.label import LabelSettings, StageWeights
from adapt.recipe.load import as_yaml, describe_recipes, find_recipe, load_recipe, recipe_names
from adapt.recipe.model import ModelSettings
from adapt.recipe.predict import PredictSettings, PropagateSettings
from adapt.recipe.schema import Recipe, WandbSettings
from adapt.recipe.semantic import SemanticSettings
from adapt.recipe.split import AugmentSettings, SplitSettings
from adapt.recipe.staging import StageSettings
from adapt.recipe.text import TextSettings
from adapt.recipe.training import LossSettings, OptimizerSettings, PromptSettings, TrainerSettings
from adapt.recipe.tuning import (
    AdapterTuning,
    DecoderTuning,
    FullTuning,
    Ia3Tuning,
    InsertingTuning,
    LohaTuning,
    LoraTuning,
    NormTuning,
    OftTuning,
    PeftTuning,
    ScaleShiftTuning,
    TextTokenTuning,
    TuningSettings,
    VeraTuning,
)

__all__ = [
    "FIT_THRESHOLDS",
    "AdapterTuning",
    "AugmentSettings",
    "BandPercentile",
    "BandRange",
    "CardSettings",
    "CocoData",
    "ConceptSettings",
    "DataSettings",
    "DecoderTuning",
    "DemoSettings",
    "EvaluationSettings",
    "FolderData",
    "FullTuning",
    "GenerateSettings",
    "HuWindow",
    "HubData",
    "HubSettings",
    "Ia3Tuning",
    "InsertingTuning",
    "LabelSettings",
    "LohaTuning",
    "LoraTuning",
    "LossSettings",
    "MedicalData",
    "MicroscopyData",
    "ModelSettings",
    "NormTuning",
    "OftTuning",
    "OptimizerSettings",
    "PeftTuning",
    "Percentile",
    "PredictSettings",
    "PromptSettings",
    "PropagateSettings",
    "Recipe",
    "RetentionSettings",
    "SatelliteData",
    "ScaleShiftTuning",
    "SemanticSettings",
    "SplitSettings",
    "StageSettings",
    "StageWeights",
    "SyntheticData",
    "TextSettings",
    "TextTokenTuning",
    "TrainerSettings",
    "TuningSettings",
    "VeraTuning",
    "WandbSettings",
    "YoloData",
    "as_yaml",
    "check_repo",
    "describe_recipes",
    "find_recipe",
    "group_rule",
    "key_paths",
    "keys_page",
    "load_recipe",
    "recipe_names",
    "stages",
]
