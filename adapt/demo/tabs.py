"""The tabs that are open, so that they never mix; when there are too many, the one used longest ago is closed."""

import threading
from collections import OrderedDict
from collections.abc import Callable

from adapt.demo.tab import Tab
from adapt.errors import DataError


class Tabs:
    """From the name that the browser gives a tab to the tab."""

    def __init__(self, make: Callable[[], Tab], *, most: int) -> None:
        """Keep `most` tabs, made by `make`."""
        self._make, self._most = make, most
        self._tabs: OrderedDict[str, Tab] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, name: str) -> Tab:
        """A tab that looks at nothing yet; the one of this name if there is one."""
        with self._lock:
            tab = self._tabs.setdefault(name, self._make())
            self._tabs.move_to_end(name)
            oldest = [self._tabs.popitem(last=False)[1] for _ in range(len(self._tabs) - self._most)]
        for one in oldest:  # not while all others wait: it may be answering
            one.close()
        return tab

    def of(self, name: str) -> Tab:
        """The tab of a name.

        Raises:
            DataError: it was closed for others.
        """
        with self._lock:
            if name not in self._tabs:
                raise DataError("this tab was put aside, since others were used after it; reload the page")
            self._tabs.move_to_end(name)
            return self._tabs[name]

    def end(self, name: str) -> None:
        """Close a tab, if it is open."""
        with self._lock:
            tab = self._tabs.pop(name, None)
        if tab is not None:
            tab.close()
