"""Fields that several domains share."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field


def _pattern_with_one_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    if groups != 1:
        raise ValueError(f"needs exactly one (group), has {groups}")
    return pattern


GroupPattern = Annotated[
    Annotated[str, AfterValidator(_pattern_with_one_group)] | None,
    Field(
        description="Regular expression over the case name whose one (group) is the patient, scene or slide; "
        "null: each case is its own."
    ),
]
OnError = Annotated[
    Literal["fail", "skip"],
    Field(description="A case that cannot be used: fail lists all of them and stops; skip names them and goes on."),
]
OtherLabels = Annotated[Literal["error", "ignore"], Field(description="What a label value not named in labels means.")]
MinObjectPixels = Annotated[int, Field(ge=1, description="Smaller objects are left out (pixels of the image).")]
MaxImagePixels = Annotated[int, Field(ge=1, description="Larger images are refused before decoding.")]
MaxVoxels = Annotated[int, Field(ge=1, description="Larger volumes are refused before decoding.")]
LabelValue = Annotated[int, Field(ge=1)]
LabelKind = Literal["instances", "classes"]
Labels = Annotated[
    dict[str, LabelValue],
    Field(description="With label_kind classes: name and value of each class; 0 is background."),
]
Objects = Annotated[
    Literal["component", "label"],
    Field(description="With classes: an object is each connected region of a label, or the label as a whole."),
]


def check_labels_are_named(label_kind: str, labels: dict[str, int]) -> None:
    """Check that classes, and only they, have names.

    Raises:
        ValueError: names are missing, or would not be read.
    """
    if label_kind == "classes" and not labels:
        raise ValueError("label_kind classes needs labels: {name: value}")
    if label_kind != "classes" and labels:
        raise ValueError("labels is read with label_kind classes only; for instances set category")
