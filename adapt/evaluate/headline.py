"""Is it better, by how much, for whom, what was forgotten? The answer in plain words, from the figures alone."""

from adapt.evaluate.results import Difference, Gain, ModelFigures, ProtocolFigures, Results, Retention
from adapt.evaluate.tables import TITLES
from adapt.evaluate.texts import TextDifference

PROMPTED = {
    "one_click": "with one click",
    "box": "with a box",
    "jittered_box": "with a roughly drawn box",
    "clicks": "after {clicks} clicks",
}


def verdict(results: Results) -> str:
    """One short sentence over all protocols."""
    known = _differences(results)
    if not known:
        return "The untouched model: what tuning starts from."
    if any(gain.low is None for gain in known.values()):
        up = all(gain.miou > 0 for gain in known.values())
        return f"The tuned model is {'better' if up else 'not better'} here, but one group cannot say how sure that is."
    signs = {_sign(gain) for gain in known.values()}
    if signs == {1}:
        return "Tuning made the model better."
    if signs == {-1}:
        return "Tuning made the model worse."
    if signs == {0}:
        return "Whether tuning made the model better cannot be told from this test split."
    return f"The tuned model is {_told_apart(known)}."


def forgetting_verdict(retention: Retention) -> str:
    """One short sentence over all protocols on general images."""
    known = _differences(retention.results)
    signs = {_sign(gain) for gain in known.values()}
    if any(gain.low is None for gain in known.values()):
        return "One group of general images cannot say whether something was forgotten."
    if signs == {-1}:
        return "On general images the model forgot some of what it could do."
    if signs == {1}:
        return "On general images nothing was forgotten: the model is better there as well."
    if signs == {0}:
        return "On general images no loss can be told from chance."
    return f"On general images the tuned model is {_told_apart(known)}."


def sentences(results: Results) -> list[str]:
    """One sentence a protocol: how much the answers overlap with the truth, before and after, how sure, for whom."""
    return [_sentence(name, figures, results.groups) for name, figures in results.protocols.items()]


def _sentence(name: str, figures: ProtocolFigures, groups: int) -> str:
    clicks = figures.base.clicks
    prompted = PROMPTED[name].format(clicks=0 if clicks is None else len(clicks.curve))
    start = prompted[0].upper() + prompted[1:]
    gain = figures.difference
    if figures.tuned is None or gain is None:
        text = f"{start}, an answer overlaps the truth by {figures.base.miou:.3f} on average (mIoU)"
        if clicks is not None:
            text += f"; it takes {clicks.noc85:.1f} clicks to an overlap of 0.85"
        return f"{text}."
    direction = "more" if gain.miou >= 0 else "less"
    text = (
        f"{start}, an answer overlaps the truth by {figures.tuned.miou:.3f} on average (mIoU), untouched by "
        f"{figures.base.miou:.3f}: {abs(gain.miou):.3f} {direction}, {certainty(gain, groups)}"
        f". {_for_whom(figures.base, figures.tuned)}"
    )
    if figures.tuned.clicks is not None and clicks is not None and gain.noc85 is not None:
        text += (
            f". An overlap of 0.85 takes {figures.tuned.clicks.noc85:.1f} clicks, untouched {clicks.noc85:.1f}"
            f"{_clicks_saved(gain.noc85)}"
        )
    return f"{text}."


def _for_whom(base: ModelFigures, tuned: ModelFigures) -> str:
    """How many groups gained, and which category gained most and least."""
    better = sum(tuned.groups[group] > miou for group, miou in base.groups.items())
    text = f"{better} of {len(base.groups)} groups gained"
    gains = sorted((tuned.categories[name] - miou, name) for name, miou in base.categories.items())
    if len(gains) > 1:
        (least, last), (most, first) = gains[0], gains[-1]
        text += f", {first} most ({most:+.3f}), {last} least ({least:+.3f})"
    return text


def certainty(gain: Difference | TextDifference, groups: int) -> str:
    """How sure a difference is, by its interval over so many groups."""
    if gain.low is None or gain.high is None:
        return "of which one group cannot say how sure it is"
    interval = f"between {gain.low:+.3f} and {gain.high:+.3f} with 95 % confidence over {groups} groups"
    return interval if _sign(gain) else f"{interval}, so it may be chance"


def _clicks_saved(gain: Gain) -> str:
    if round(gain.mean, 1) == 0:
        return ""
    return f", {abs(gain.mean):.1f} {'fewer' if gain.mean < 0 else 'more'}"


def _differences(results: Results) -> dict[str, Difference]:
    gains = {name: figures.difference for name, figures in results.protocols.items()}
    return {name: gain for name, gain in gains.items() if gain is not None}


def _told_apart(gains: dict[str, Difference]) -> str:
    """`better (box), worse (one click)`: which protocols are which."""
    words = {1: "better", -1: "worse", 0: "not to be told apart"}
    named = {word: [name for name, gain in gains.items() if _sign(gain) == sign] for sign, word in words.items()}
    return ", ".join(f"{word} ({_titles(names)})" for word, names in named.items() if names)


def _sign(gain: Difference | TextDifference) -> int:
    """1 where the whole interval is above 0, -1 where it is below, else 0."""
    if gain.low is None or gain.high is None:
        return 0
    return (gain.low > 0) - (gain.high < 0)


def _titles(names: list[str]) -> str:
    return ", ".join(TITLES[name] for name in names)
