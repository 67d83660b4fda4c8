"""A missing extra is one error that names it."""

import pytest

from adapt.errors import DataError
from adapt.formats.extras import extra


def test_a_missing_library_names_the_extra_that_installs_it() -> None:
    with pytest.raises(DataError) as caught, extra("satellite", reads="GeoTIFF"):
        import no_such_library  # noqa: F401
    assert str(caught.value) == (
        "GeoTIFF needs the package no_such_library, which is not installed: pip install 'adapt-sam[satellite]'"
    )
