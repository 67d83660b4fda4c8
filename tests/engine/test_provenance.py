"""Provenance survives as attributes, to the last bit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapt.engine import STAGES, Provenance
from adapt.errors import DataError

SCORES = st.none() | st.floats(0, 1.2)
NAMES = st.none() | st.text(min_size=1)


@given(
    provenance=st.builds(
        Provenance,
        stage=st.sampled_from(STAGES),
        model=NAMES,
        revision=NAMES,
        predicted_iou=SCORES,
        stability=SCORES,
        changed=st.booleans(),
    )
)
def test_it_comes_back_from_attributes(provenance: Provenance) -> None:
    attributes = provenance.as_attributes() | {"note": "of another program"}
    assert Provenance.from_attributes(attributes, source="a") == provenance


def test_a_mask_that_people_added_has_none() -> None:
    assert Provenance.from_attributes({"note": "new"}, source="a") is None


def test_what_was_edited_into_nonsense_is_named() -> None:
    with pytest.raises(DataError, match="a: stage 'auto' is none of manual, assisted, semi-automatic, automatic"):
        Provenance.from_attributes({"stage": "auto"}, source="a")
    with pytest.raises(DataError, match="a: stability 'high' is no number"):
        Provenance.from_attributes({"stage": "automatic", "stability": "high"}, source="a")
