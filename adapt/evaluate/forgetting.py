"""Retention as people read it: the general images' mIoU before and after tuning."""

from adapt.evaluate.results import Retention
from adapt.evaluate.tables import TITLES, interval_text

FORGETTING_HEADER = ["prompt", "untouched", "tuned", "difference", "95 % interval"]


def forgetting_rows(retention: Retention) -> list[list[str]]:
    """Cells of the table, one row a protocol, see `FORGETTING_HEADER`; a difference below 0 is what was forgotten."""
    return [
        [
            TITLES[name],
            f"{figures.base.miou:.3f}",
            f"{figures.tuned.miou:.3f}",
            f"{figures.difference.miou:+.3f}",
            interval_text(figures.difference.low, figures.difference.high, signed=True),
        ]
        for name, figures in retention.results.protocols.items()
        if figures.tuned is not None and figures.difference is not None
    ]


def forgetting_text(retention: Retention) -> str:
    """The same in one line."""
    images = retention.results.images
    parts = [
        f"{title} {base} untouched, {tuned} tuned, {difference} ({interval})"
        for title, base, tuned, difference, interval in forgetting_rows(retention)
    ]
    return f"{retention.data}, {images} image{'' if images == 1 else 's'}: {'; '.join(parts)}"
