"""Calibration by hand."""

import numpy as np
import pytest

from adapt.metrics import expected_error, reliability


def test_a_model_that_knows_its_iou_has_no_error() -> None:
    true = np.linspace(0.05, 0.95, 10)
    assert expected_error(reliability(true, true)) == pytest.approx(0)


def test_the_error_by_hand() -> None:
    bins = reliability([0.95, 0.91, 0.15], [0.55, 0.65, 0.35])
    assert [(entry.count, entry.predicted, entry.true) for entry in bins] == [
        (1, pytest.approx(0.15), pytest.approx(0.35)),
        (2, pytest.approx(0.93), pytest.approx(0.60)),
    ]
    assert expected_error(bins) == pytest.approx((1 * 0.2 + 2 * 0.33) / 3)


def test_predictions_outside_0_to_1_count_as_the_nearest() -> None:
    bins = reliability([-0.2, 1.3, 1.0], [0.0, 1.0, 0.9])
    assert [(entry.count, entry.predicted) for entry in bins] == [(1, 0.0), (2, 1.0)]


def test_nothing_cannot_be_calibrated() -> None:
    with pytest.raises(ValueError, match="no object"):
        expected_error(reliability([], []))
