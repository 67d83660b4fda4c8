"""Signals that ask a training to end: noted at once, obeyed where nothing is lost."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

CAUGHT = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
"""What schedulers, people at a keyboard, and SLURM before a preemption send."""


class Signals:
    """Notes the first signal. Ctrl-C after that ends at once, as it would without this.

    Attributes:
        received: the signal; None as long as there was none.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Signals":
        self.install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put back the handlers that were there before; None is one that Python has not set, and cannot put back."""
        for number, handler in self._before.items():
            if handler is not None:
                signal.signal(number, handler)

    def install(self) -> None:
        """Take the signals over; again, if a library has taken them meanwhile. Only a main thread can."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in CAUGHT:
            before = signal.signal(number, self._note)
            self._before.setdefault(number, before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.received is not None:
            raise KeyboardInterrupt
        self.received = self.received or signal.Signals(number)


def leave_signals_to_the_main_process(worker: int) -> None:
    """Of a data loader's worker: what is sent to the whole process group must not take the data from under a step."""
    for number in CAUGHT:
        signal.signal(number, signal.SIG_IGN)
