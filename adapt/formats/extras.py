"""Libraries of an extra: what to install when one is missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from adapt.errors import DataError


@contextmanager
def extra(name: str, *, reads: str) -> Iterator[None]:
    """Around the import of a library that only the extra `name` installs.

    Args:
        name: of the extra in pyproject.toml.
        reads: what the library is for, for the message.

    Raises:
        DataError: it is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise DataError(
            f"{reads} needs the package {error.name}, which is not installed: pip install 'adapt-sam[{name}]'"
        ) from None
