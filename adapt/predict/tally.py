"""What has become of the inputs of a prediction."""

from dataclasses import dataclass, field

from adapt.generate import Funnel
from adapt.wording import counted


@dataclass
class Tally:
    """What has become of the inputs, for the last line.

    Attributes:
        inputs, objects, empty, skipped, done_before: how many.
        failed: the error of each input that cannot be used.
        funnel: of the automatic candidates of those without an object.
    """

    inputs: int = 0
    objects: int = 0
    empty: int = 0
    skipped: int = 0
    done_before: int = 0
    failed: list[str] = field(default_factory=list)
    funnel: Funnel = field(default_factory=Funnel)

    def __str__(self) -> str:
        parts = [f"{counted(self.inputs, 'input')} segmented, {counted(self.objects, 'object')}"]
        told = (
            (self.empty, "without an object"),
            (self.done_before, "done before"),
            (self.skipped, "left out: no prompt names them (predict.without_prompts=automatic finds all objects)"),
            (len(self.failed), "failed"),
        )
        return "; ".join(parts + [f"{count:,} {what}" for count, what in told if count])
