"""Frozen features: the part of an encoder that does not train runs once an image and view, and is kept on disk."""

from adapt.features.cache import DTYPES, FeatureCache, FeatureReader
from adapt.features.encoding import at_once, encode, frozen_part, in_parts
from adapt.features.folder import About, Kept, clear, describe, features_folder, kept_entries, prefixes
from adapt.features.keys import prefix_key
from adapt.features.need import FeaturePlan, plan_features, room_for_features

__all__ = [
    "DTYPES",
    "About",
    "FeatureCache",
    "FeaturePlan",
    "FeatureReader",
    "Kept",
    "at_once",
    "clear",
    "describe",
    "encode",
    "features_folder",
    "frozen_part",
    "in_parts",
    "kept_entries",
    "plan_features",
    "prefix_key",
    "prefixes",
    "room_for_features",
]
