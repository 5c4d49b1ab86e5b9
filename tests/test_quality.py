"""The quality gate compares outputs with a reference and says why it refuses."""

import numpy

from wattbench.harness.quality import compare
from wattbench.models.load import Tolerance

TIGHT = Tolerance(precision="float32", relative_error=1e-3, cosine=0.999, reason="test")
REFERENCE = numpy.arange(1.0, 13.0).reshape(3, 4)


def test_equal_outputs_pass() -> None:
    """Outputs equal to the reference have error 0, cosine 1 and full agreement."""
    quality = compare(REFERENCE, REFERENCE, TIGHT, "float32")

    assert (True, 0.0, 3, 1.0) == (quality.passed, quality.relative_error, quality.positions, quality.top1_agreement)


def test_a_relative_error_is_the_norm_of_the_difference() -> None:
    """Outputs 1 % too large have a relative error of 1 % and fail a tolerance of 0.1 %."""
    quality = compare(REFERENCE * 1.01, REFERENCE, TIGHT, "float32")

    assert not quality.passed
    assert abs(quality.relative_error - 0.01) < 1e-12
    assert "relative error 1.00e-02" in quality.reason


def test_one_wrong_position_fails_by_its_cosine() -> None:
    """A position that points elsewhere is caught by the worst cosine, however small the total error."""
    values = REFERENCE.copy()
    values[0] = values[0][::-1]
    loose = Tolerance(precision="float32", relative_error=1.0, cosine=0.999, reason="test")
    quality = compare(values, REFERENCE, loose, "float32")

    assert not quality.passed
    assert "cosine" in quality.reason


def test_not_a_number_fails() -> None:
    """NaN outputs are refused by name."""
    values = REFERENCE.copy()
    values[1, 1] = numpy.nan

    assert "NaN" in compare(values, REFERENCE, TIGHT, "float32").reason


def test_another_shape_fails() -> None:
    """Outputs of another shape are refused with both shapes."""
    assert "(2, 4)" in compare(REFERENCE[:2], REFERENCE, TIGHT, "float32").reason


def test_an_unstated_tolerance_fails() -> None:
    """A precision for which the load states no tolerance cannot pass."""
    quality = compare(REFERENCE, REFERENCE, None, "int3")

    assert "states no tolerance for int3" in quality.reason
