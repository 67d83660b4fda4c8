"""What plain `transformers` calls the families: the classes that load them, and what must be installed beside it.

It has none for the families whose architecture is this project's own code; those are loaded by this package.
"""

from dataclasses import dataclass

from transformers import PreTrainedModel

from adapt.families import NEEDS, OWN_FAMILIES
from adapt.segmenters.checkpoint import BY_NAME
from adapt.segmenters.sam3_concepts import FAMILY as DETECTOR


@dataclass(frozen=True)
class Stock:
    """One family.

    Attributes:
        model: the class that holds it.
        processor: name of the class that prepares images and prompts, and brings masks back to the image; empty if
            plain transformers has no classes for this family.
        image_processor: name of its part for images, as transformers 4 has it; 5 understands it.
        needs: packages beside torch and transformers.
        caution: what whoever loads it has to know; empty if nothing.
        no_adapter: why plain peft cannot put an adapter on it; empty if it can.
    """

    model: type[PreTrainedModel]
    processor: str = ""
    image_processor: str = ""
    needs: tuple[str, ...] = ()
    caution: str = ""
    no_adapter: str = ""


SAM_HQ_CAUTION = (
    "`SamHQModel` of transformers 5.23 drops what its decoder makes of the image. Its masks are not those that the "
    "figures below were measured on; `adapt predict` gives those"
)
VIDEO_NOTE = (
    "It is a video model: `Sam2VideoModel.from_pretrained` loads it with its memory, which follows objects through the "
    "slices of a volume, or through time"
)
STOCK = {
    "SAM": Stock(BY_NAME["SAM"].model, "SamProcessor", "SamImageProcessor"),
    "SAM-HQ": Stock(BY_NAME["SAM-HQ"].model, "SamHQProcessor", "SamImageProcessor", caution=SAM_HQ_CAUTION),
    "SAM 2": Stock(BY_NAME["SAM 2"].model, "Sam2Processor", "Sam2ImageProcessorFast", ("torchvision",)),
    "SAM 2 video": Stock(
        BY_NAME["SAM 2"].model, "Sam2Processor", "Sam2ImageProcessorFast", ("torchvision",), VIDEO_NOTE
    ),
    "SAM 3 tracker": Stock(
        BY_NAME["SAM 3 tracker"].model, "Sam3TrackerProcessor", "Sam3ImageProcessorFast", ("torchvision",)
    ),
    "EdgeTAM": Stock(
        BY_NAME["EdgeTAM"].model,
        "Sam2Processor",
        "Sam2ImageProcessorFast",
        NEEDS["EdgeTAM"],
        no_adapter="EdgeTamModel of transformers 5.23 does not say what reads its input, which peft asks for",
    ),
    DETECTOR.name: Stock(DETECTOR.model, "Sam3Processor", "Sam3ImageProcessorFast", ("torchvision",)),
    **{
        family: Stock(
            BY_NAME[family].model,
            no_adapter=f"plain transformers has no class for {family}, so that peft could not put an adapter on it",
        )
        for family in OWN_FAMILIES
    },
}
"""By the names of `adapt.families`, and of the half of SAM 3 that is asked by phrases."""
