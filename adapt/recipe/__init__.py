"""Recipes: one YAML file a run. The schema here is the only home of default values."""

from adapt.recipe.data import CocoData, DataSettings, FolderData, HuWindow, MedicalData, MicroscopyData, Percentile
from adapt.recipe.load import as_yaml, describe_recipes, find_recipe, load_recipe, recipe_names
from adapt.recipe.schema import (
    AugmentSettings,
    EvaluationSettings,
    LossSettings,
    ModelSettings,
    OptimizerSettings,
    PromptSettings,
    Recipe,
    SplitSettings,
    TrainerSettings,
    TuningSettings,
    WandbSettings,
)

__all__ = [
    "AugmentSettings",
    "CocoData",
    "DataSettings",
    "EvaluationSettings",
    "FolderData",
    "HuWindow",
    "LossSettings",
    "MedicalData",
    "MicroscopyData",
    "ModelSettings",
    "OptimizerSettings",
    "Percentile",
    "PromptSettings",
    "Recipe",
    "SplitSettings",
    "TrainerSettings",
    "TuningSettings",
    "WandbSettings",
    "as_yaml",
    "describe_recipes",
    "find_recipe",
    "load_recipe",
    "recipe_names",
]
