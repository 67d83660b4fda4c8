"""What somebody has asked of one object, prompt after prompt, with the answers: what undo goes back through."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor

from adapt.errors import DataError
from adapt.predict.prompted import BoxXYXY, PromptedObject
from adapt.prompts import LARGEST_LOGIT


@dataclass(frozen=True, eq=False)
class Candidates:
    """What one model answers to one prompt.

    Attributes:
        logits: (M, h, w) float32 on the CPU, the whole model frame; > 0 is the object.
        ious: M, what the model expects of each.
        chosen: place of the one that counts.
    """

    logits: Tensor
    ious: tuple[float, ...]
    chosen: int

    @property
    def mask(self) -> Tensor:
        """(h, w) logits of the one that counts."""
        return self.logits[self.chosen]


@dataclass(frozen=True, eq=False)
class Step:
    """All prompts up to one, and the answer of each model, by its name."""

    wanted: PromptedObject
    answers: Mapping[str, Candidates]


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked next.

    Attributes:
        wanted: all prompts.
        seen: of each model, (h, w) logits of the mask that is corrected; empty if there is none.
    """

    wanted: PromptedObject
    seen: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class History:
    """The steps of one object, in their order; nothing changes in place."""

    steps: tuple[Step, ...] = ()

    @property
    def last(self) -> Step | None:
        """What counts now; None before the first prompt."""
        return self.steps[-1] if self.steps else None

    def clicked(self, x: float, y: float, label: int) -> Question:
        """What a further click asks: each model corrects the mask that was chosen, as in training.

        Args:
            x: column of the image frame.
            y: row.
            label: 1 on the object, 0 beside it.

        Raises:
            DataError: it says where an object is not before anything said where it is.
        """
        if self.last is None:
            if not label:
                raise DataError("a right click takes away from a mask; begin with a left click, or with a box")
            return Question(PromptedObject(clicks=((x, y, label),)))
        wanted = replace(self.last.wanted, clicks=(*self.last.wanted.clicks, (x, y, label)))
        seen = {name: answer.mask.clamp(-LARGEST_LOGIT, LARGEST_LOGIT) for name, answer in self.last.answers.items()}
        return Question(wanted, seen)

    def boxed(self, box: BoxXYXY) -> Question:
        """What a box asks, which takes the place of one before; the mask so far is of another extent, and not fed."""
        clicks = () if self.last is None else self.last.wanted.clicks
        return Question(PromptedObject(clicks=clicks, box=box))

    def answered(self, wanted: PromptedObject, answers: Mapping[str, Candidates]) -> "History":
        """With one step more."""
        return History((*self.steps, Step(wanted, answers)))

    def choosing(self, model: str, place: int) -> "History":
        """With another candidate of a model as the one that counts.

        Raises:
            DataError: there is none at this place.
        """
        step = self.last
        if step is None or model not in step.answers or not 0 <= place < len(step.answers[model].ious):
            raise DataError("there is no such candidate; click on the image first")
        answers = {**step.answers, model: replace(step.answers[model], chosen=place)}
        return History((*self.steps[:-1], Step(step.wanted, answers)))

    def undone(self) -> "History":
        """Without the last step; what was answered before is known, and not asked again."""
        return History(self.steps[:-1])
