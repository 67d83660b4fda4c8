"""Ask a server again, later and not in step with others, when it or the network fails for a moment."""

import json
import random
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from typing import TypeVar

from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError is the client's own, by version
    HfHubHTTPError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
)

Result = TypeVar("Result")
ATTEMPTS = 6
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
"""Seconds; each wait is twice the one before, drawn from its upper half."""
LONGEST_ASKED = 300.0
"""Seconds that a server may ask to be left alone (Retry-After); beyond, it is an error at once."""
PASSING = (408, 425, 429, 500, 502, 503, 504)


def retried(call: Callable[[], Result], *, what: str, tell: Callable[[str], None]) -> Result:
    """The result of a call that may be made again, after failures that may pass.

    Args:
        call: made up to `ATTEMPTS` times.
        what: it does, for the notices.
        tell: gets a line for each failure after which it is tried again.

    Raises:
        Exception: what the last call raised.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return call()
        except (HTTPError, OSError, RuntimeError, ValueError) as error:
            asked = asked_wait(error)
            if attempt == ATTEMPTS or not passes(error) or (asked or 0) > LONGEST_ASKED:
                raise
            longest = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1))
            wait = random.uniform(longest / 2, longest) + (asked or 0)
            tell(f"{what}: {reason(error)}; again in {wait:.1f} s ({attempt} of {ATTEMPTS - 1})")
            time.sleep(wait)
    raise AssertionError("unreachable")


def passes(error: BaseException) -> bool:
    """Whether a failure may pass: a server's error, a rate limit, a connection that was cut; not a refusal."""
    for one in _chain(error):
        if isinstance(one, HfHubHTTPError):
            return one.response.status_code in PASSING
        if isinstance(one, OfflineModeIsEnabled):
            return False
        if isinstance(one, HTTPError | json.JSONDecodeError | TimeoutError | ConnectionError):
            return True  # an answer that is no JSON comes from a server in trouble
    return False


def unreachable(error: BaseException) -> bool:
    """Whether nothing was heard of the server, rather than something refused or wrong here."""
    return any(isinstance(one, OfflineModeIsEnabled | LocalEntryNotFoundError) for one in _chain(error)) or passes(
        error
    )


def asked_wait(error: BaseException) -> float | None:
    """Seconds that the server asks to wait; None if it says nothing."""
    for one in _chain(error):
        if isinstance(one, HfHubHTTPError):
            return _seconds(one.response.headers.get("Retry-After"))
    return None


def reason(error: BaseException) -> str:
    """The last cause in a few words."""
    for one in _chain(error):
        if isinstance(one, HfHubHTTPError):
            said = one.server_message or one.response.headers.get("X-Error-Message")
            return f"HTTP {one.response.status_code}{f', {said}' if said else ''}"
    *_, last = _chain(error)
    return f"{type(last).__name__}: {(str(last).strip().splitlines() or [''])[0]}"


def _seconds(header: str | None) -> float | None:
    if header is None:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and what it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__
