"""Where a mask comes from: told of every mask, through every format that carries attributes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from adapt.errors import DataError

Stage = Literal["manual", "assisted", "semi-automatic", "automatic"]
"""The stages of Segment Anything's data engine; manual is what people drew without any help."""
STAGES: tuple[Stage, ...] = get_args(Stage)
NUMBERS = ("predicted_iou", "stability")


@dataclass(frozen=True)
class Provenance:
    """Of one mask.

    Attributes:
        stage: in which it was made.
        model: checkpoint or run that drew it; None if people did.
        revision: of the model, if it has one.
        predicted_iou: what the model expected of it.
        stability: IoU of the mask at a higher and a lower threshold.
        changed: people have changed what the model drew.
    """

    stage: Stage
    model: str | None = None
    revision: str | None = None
    predicted_iou: float | None = None
    stability: float | None = None
    changed: bool = False

    def as_attributes(self) -> dict[str, str]:
        """As texts, numbers to the last bit; what is not known is left out."""
        known = {
            "stage": self.stage,
            "model": self.model,
            "revision": self.revision,
            **{name: None if (value := getattr(self, name)) is None else repr(float(value)) for name in NUMBERS},
            "changed": "yes" if self.changed else None,
        }
        return {name: text for name, text in known.items() if text is not None}

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, str], *, source: str) -> "Provenance | None":
        """Inverse of `as_attributes`; None if they tell of no stage, as of a mask that people added.

        Args:
            attributes: of a mask, others among them.
            source: of the mask, for messages.

        Raises:
            DataError: the stage is unknown, or a number is none.
        """
        if "stage" not in attributes:
            return None
        stage = next((known for known in STAGES if known == attributes["stage"]), None)
        if stage is None:
            raise DataError(f"{source}: stage {attributes['stage']!r} is none of {', '.join(STAGES)}")
        return cls(
            stage=stage,
            model=attributes.get("model"),
            revision=attributes.get("revision"),
            predicted_iou=_number(attributes, "predicted_iou", source),
            stability=_number(attributes, "stability", source),
            changed=attributes.get("changed") == "yes",
        )


def _number(attributes: Mapping[str, str], name: str, source: str) -> float | None:
    text = attributes.get(name)
    try:
        return None if text is None else float(text)
    except ValueError:
        raise DataError(f"{source}: {name} {text!r} is no number") from None
