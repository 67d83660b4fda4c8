"""The console that everything is printed to: names of files and labels are shown, and never obeyed."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from adapt.wording import printable


class Terminal(Console):
    """A console that shows escape sequences in what it is given, rather than hand them to the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Segments of what is printed; those that rich makes itself to steer the terminal stay what they are."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)
