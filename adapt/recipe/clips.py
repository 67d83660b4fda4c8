"""Training on clips of slices or frames, for models with a memory."""

from pydantic import Field

from adapt.recipe.settings import Settings, Share


class ClipSettings(Settings):
    """A sample is a clip of slices or frames: the first is prompted, the others are found by memory (SAM 2, D.2)."""

    length: int = Field(
        1,
        ge=1,
        le=64,
        description="Slices or frames of a clip, 8 in the paper; 1: single images. trainer.batch_size counts clips. "
        "Needs a model with a memory (facebook/sam2.1-hiera-tiny), and volumes, stacks or time series.",
    )
    corrected: Share = Field(
        0.5,
        description="Chance that a further slice of a step's clips is corrected by clicks, in as many rounds as the "
        "first.",
    )
