"""The architectures that can be tuned, by what `config.json` says of itself; known without torch."""

import importlib.util
from collections.abc import Mapping

FAMILIES: Mapping[str, str] = {
    "sam": "SAM",
    "sam_hq": "SAM-HQ",
    "sam2": "SAM 2",
    "sam2_video": "SAM 2 video",
    "sam3_tracker": "SAM 3 tracker",
    "sam3_video": "SAM 3 tracker",
    "edgetam": "EdgeTAM",
    "edgetam_video": "EdgeTAM",
    "adapt_efficient_sam": "EfficientSAM",
    "adapt_mobile_sam": "MobileSAM",
    "adapt_edge_sam": "EdgeSAM",
    "adapt_repvit_sam": "RepViT-SAM",
}
"""`model_type` to the family that reads it; of other video models than SAM 2, the part that segments an image."""
OWN_FAMILIES = frozenset(family for model_type, family in FAMILIES.items() if model_type.startswith("adapt_"))
"""Families that plain transformers has no class for: their checkpoints are made by `adapt convert`, and read here."""
ORIGINALS = "SAM, SAM-HQ, MedSAM, EfficientSAM, MobileSAM, TinySAM, EdgeSAM or RepViT-SAM"
"""Whose files, as their authors published them, `adapt convert` reads."""
CONCEPTS = ("sam3", "sam3_video")
"""`model_type` of a SAM 3 that finds all objects of a phrase."""
TEXT_ALONE = "SAM 3 without its tracker answers texts alone: adapt predict MODEL INPUT --output FOLDER --text PHRASE"
"""Of those, what can be done with one that is in no family."""
NEEDS: Mapping[str, tuple[str, ...]] = {"EdgeTAM": ("timm", "torchvision")}
"""Packages that a family needs beside those of this project; the extra of its name, in small letters, brings them."""


def missing_packages(family: str) -> str:
    """What must be installed before a family can be read, in words; empty if nothing."""
    missing = [package for package in NEEDS.get(family, ()) if importlib.util.find_spec(package) is None]
    return f"{family} needs {' and '.join(missing)}: pip install 'adapt-sam[{family.lower()}]'" if missing else ""
