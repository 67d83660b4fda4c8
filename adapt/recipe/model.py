"""The segmenter, and the cache of what its frozen part makes of images."""

from typing import Literal

from pydantic import Field

from adapt.recipe.settings import Settings


class ModelSettings(Settings):
    """The pretrained segmenter that is tuned, and that the tuned one is compared with."""

    checkpoint: str = Field(
        "adapt:tiny",
        min_length=1,
        description="Hub id (facebook/sam-vit-base), local folder with config.json, adapt:tiny, or adapt:tiny_video.",
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
        description="How the image encoder attends: relative positions folded into queries and keys (on a CPU block "
        "after block), which takes global attention at 1024 px a tenth of the memory, or as transformers does; the "
        "same but for rounding.",
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
