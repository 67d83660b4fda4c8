"""Is it better, by how much, and how sure is that? The answer in plain words, from the figures alone."""

from adapt.evaluate.results import Difference, Gain, ProtocolFigures, Results
from adapt.evaluate.tables import TITLES

PROMPTED = {
    "one_click": "with one click",
    "box": "with a box",
    "jittered_box": "with a roughly drawn box",
    "clicks": "after {clicks} clicks",
}


def verdict(results: Results) -> str:
    """One short sentence over all protocols."""
    gains = {name: figures.difference for name, figures in results.protocols.items()}
    known = {name: gain for name, gain in gains.items() if gain is not None}
    if not known:
        return "The untouched model: what tuning starts from."
    if any(gain.low is None for gain in known.values()):
        up = all(gain.miou > 0 for gain in known.values())
        return f"The tuned model is {'better' if up else 'not better'} here, but one group cannot say how sure that is."
    better = [name for name, gain in known.items() if _sign(gain) > 0]
    worse = [name for name, gain in known.items() if _sign(gain) < 0]
    if len(better) == len(known):
        return "Tuning made the model better."
    if len(worse) == len(known):
        return "Tuning made the model worse."
    if not better and not worse:
        return "Whether tuning made the model better cannot be told from this test split."
    unsure = [name for name in known if name not in better + worse]
    kinds = (("better", better), ("worse", worse), ("not to be told apart", unsure))
    return f"The tuned model is {', '.join(f'{word} ({_titles(names)})' for word, names in kinds if names)}."


def sentences(results: Results) -> list[str]:
    """One sentence a protocol: how much the answers overlap with the truth, before and after, and how sure."""
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
        f"{figures.base.miou:.3f}: {abs(gain.miou):.3f} {direction}, {_certainty(gain, groups)}"
    )
    if figures.tuned.clicks is not None and clicks is not None and gain.noc85 is not None:
        text += (
            f". An overlap of 0.85 takes {figures.tuned.clicks.noc85:.1f} clicks, untouched {clicks.noc85:.1f}"
            f"{_clicks_saved(gain.noc85)}"
        )
    return f"{text}."


def _certainty(gain: Difference, groups: int) -> str:
    if gain.low is None or gain.high is None:
        return "of which one group cannot say how sure it is"
    interval = f"between {gain.low:+.3f} and {gain.high:+.3f} with 95 % confidence over {groups} groups"
    return interval if _sign(gain) else f"{interval}, so it may be chance"


def _clicks_saved(gain: Gain) -> str:
    if round(gain.mean, 1) == 0:
        return ""
    return f", {abs(gain.mean):.1f} {'fewer' if gain.mean < 0 else 'more'}"


def _sign(gain: Difference) -> int:
    """1 where the whole interval is above 0, -1 where it is below, else 0."""
    if gain.low is None or gain.high is None:
        return 0
    return (gain.low > 0) - (gain.high < 0)


def _titles(names: list[str]) -> str:
    return ", ".join(TITLES[name] for name in names)
