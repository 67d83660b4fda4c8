"""A missing extra is one error that names it."""

import subprocess
import sys

import pytest

from adapt.errors import DataError
from adapt.formats.extras import extra


def test_a_missing_library_names_the_extra_that_installs_it() -> None:
    with pytest.raises(DataError) as caught, extra("satellite", reads="GeoTIFF"):
        import no_such_library  # noqa: F401
    assert str(caught.value) == (
        "GeoTIFF needs the package no_such_library, which is not installed: pip install 'adapt-sam[satellite]'"
    )


@pytest.mark.parametrize("missing", ["rasterio", "shapely", "pyogrio"])
def test_formats_need_no_extra_until_one_of_its_own_is_read(missing: str) -> None:
    code = f"""
import sys
sys.modules[{missing!r}] = None
import adapt.formats
from adapt.errors import DataError
try:
    import adapt.formats.vectors
except DataError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"needs the package {missing}, which is not installed: pip install 'adapt-sam[satellite]'" in run.stdout
