"""Settings of text prompts: the detector that finds boxes of a phrase, and what counts as found."""

from pydantic import Field

from adapt.recipe.settings import Settings, Share


class TextSettings(Settings):
    """How `predict --text` and `evaluate --text` find the objects of a phrase."""

    detector: str = Field(
        "IDEA-Research/grounding-dino-tiny",
        min_length=1,
        description="Grounding DINO that finds the boxes of a phrase: Hub id, or local folder.",
    )
    revision: str | None = Field(None, description="Hub revision (branch, tag or commit) of the detector.")
    box_threshold: Share = Field(
        0.35, description="A box is kept if the most certain word of its phrase is above this score."
    )
    text_threshold: Share = Field(
        0.25,
        description="Words above this score say which phrase a box is of: the one with most of them, and the surest.",
    )
    nms: Share = Field(
        0.8, description="Of two boxes of one phrase with a larger IoU, or of which a tile cuts one, the best stays."
    )
    concept_threshold: Share = Field(
        0.5, description="Of SAM 3, which needs no detector: an object is kept if its score is above this."
    )
    phrases: dict[str, str] = Field(
        {},
        description="Category to the words that find it, for evaluate --text; a category not named here by its name.",
    )
