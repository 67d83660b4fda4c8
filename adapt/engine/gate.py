"""The quality gate: a round of new masks may stay only if images that were labelled by hand get no worse."""

from collections.abc import Mapping
from dataclasses import dataclass

from adapt.errors import DataError
from adapt.metrics import Interval, bootstrap_interval
from adapt.wording import listed


@dataclass(frozen=True)
class Verdict:
    """Of one round.

    Attributes:
        difference: held-out score after the round minus before, mean over groups.
        interval: of the difference, 95 % over groups.
        accepted: the score is not worse than before.
    """

    difference: float
    interval: Interval
    accepted: bool

    def __str__(self) -> str:
        spread = ""
        if self.interval.low is not None and self.interval.high is not None:
            spread = f" ({self.interval.low:+.3f} to {self.interval.high:+.3f})"
        if self.accepted:
            return f"accepted: {self.difference:+.3f}{spread} on the held-out images"
        sure = self.interval.high is not None and self.interval.high < 0
        return f"refused: {self.difference:+.3f}{spread} on the held-out images" + (
            "" if sure else "; the interval includes no change, so more held-out images would tell"
        )


def judge(before: Mapping[str, float], after: Mapping[str, float], *, samples: int, seed: int) -> Verdict:
    """Whether a round may stay: the paired difference of the held-out score is not below 0.

    The rule looks at the difference, not at its interval: with few held-out images a harmful round would otherwise pass
    as not proven worse. The interval tells how sure the answer is.

    Args:
        before: held-out group (patient, scene, slide) to its score by the model before the round.
        after: the same groups by the model after it.
        samples: resamples of the groups.
        seed: of the resampling.

    Raises:
        DataError: there is no group, or not the same ones.
    """
    differing = sorted(before.keys() ^ after.keys())
    if differing or not before:
        told = f"groups {listed(differing)} were scored once only" if differing else "no group was held out"
        raise DataError(f"the quality gate cannot judge: {told}; score the same hand-labelled images before and after")
    gains = [after[group] - before[group] for group in sorted(before)]
    mean = sum(gains) / len(gains)
    return Verdict(mean, bootstrap_interval(gains, samples=samples, seed=seed), accepted=mean >= 0)
