"""The errors a user is meant to read: what is wrong, which value, and what to do about it.

Everything that `adapt` raises on purpose derives from `AdaptError`. The command line prints the
message alone and ends with `exit_code`; `--debug` adds the traceback.
"""

import signal

SIGNALLED = 128
"""Exit codes from here on name the signal that ended a process."""
NO_FILE = "no such file; if it is a link, mount the disk that it leads to, or remove it"
"""Of a file that its folder lists."""


class AdaptError(Exception):
    """Something the user can mend; the message says how."""

    exit_code = 1


class RecipeError(AdaptError):
    """A recipe or an override that is not valid; the message lists every problem at once."""

    exit_code = 2


class DataError(AdaptError):
    """A file, label or split that training cannot use."""


class CheckpointError(AdaptError):
    """Weights that are missing, incomplete, or of another architecture."""


class RunError(AdaptError):
    """A run folder that cannot be written, read or evaluated."""


class ProcessLostError(RunError):
    """Another process of the run has ended, or cannot be reached; what is left of this one would wait for it."""


class StoppedError(AdaptError):
    """A training that a signal has ended, all of it saved; the exit code is the conventional one."""

    def __init__(self, received: signal.Signals, advice: str = "") -> None:
        """Say which signal, and what can be done now."""
        self.received = received
        self.exit_code = SIGNALLED + self.received
        super().__init__(f"stopped by {self.received.name}, all is saved{advice and '; '}{advice}")


class HubError(AdaptError):
    """A repository of the Hub that cannot be reached, read or written as asked."""


class ResultsError(AdaptError):
    """Results of runs that cannot be read, or not be compared."""

    exit_code = 2
