"""The quality gate's arithmetic: how far outputs are from a float32 reference, and whether that is allowed."""

import numpy

from wattbench.models.load import Tolerance
from wattbench.results.subject import QualityRecord

__all__ = ["compare"]

REFERENCE = "float32, CPU, eager, full forward without a cache"


def compare(
    values: numpy.ndarray, reference: numpy.ndarray, tolerance: Tolerance | None, precision: str
) -> QualityRecord:
    """Return how far `values` (positions, width) are from `reference` (positions, width), and the verdict.

    The relative error is the Frobenius norm of the difference over that of the reference; the cosine is the worst
    over positions; top-1 agreement is the share of positions with the same argmax. NaN and other shapes fail.
    """
    allowed_error = tolerance.relative_error if tolerance else 0.0
    allowed_cosine = tolerance.cosine if tolerance else 1.0
    reason = _refusal(values, reference)
    if reason is not None:
        return _record(False, reference, 1.0, 0.0, None, allowed_error, allowed_cosine, reason)
    y = values.astype(numpy.float64)
    r = reference.astype(numpy.float64)
    error = float(numpy.linalg.norm(y - r) / numpy.linalg.norm(r))
    norms = numpy.linalg.norm(y, axis=1) * numpy.linalg.norm(r, axis=1)
    cosine = float(numpy.min(numpy.sum(y * r, axis=1) / numpy.maximum(norms, 1e-300)))
    agreement = float(numpy.mean(numpy.argmax(y, axis=1) == numpy.argmax(r, axis=1)))
    reason = _verdict(error, cosine, tolerance, precision)
    return _record(reason == "", reference, error, cosine, agreement, allowed_error, allowed_cosine, reason)


def _refusal(values: numpy.ndarray, reference: numpy.ndarray) -> str | None:
    if values.shape != reference.shape:
        return f"the outputs have shape {values.shape}, the reference {reference.shape}"
    if not numpy.isfinite(values).all():
        return "the outputs hold NaN or infinity"
    if not numpy.isfinite(reference).all() or not numpy.any(reference, axis=1).all():
        return "the float32 reference itself holds NaN, infinity or a row of zeros: nothing can be compared with it"
    return None


def _verdict(error: float, cosine: float, tolerance: Tolerance | None, precision: str) -> str:
    if tolerance is None:
        return f"the load states no tolerance for {precision}"
    if not error <= tolerance.relative_error:
        return f"relative error {error:.2e} is over the tolerance of {tolerance.relative_error:.2e}"
    if not cosine >= tolerance.cosine:
        return f"cosine {cosine:.6f} is under the tolerance of {tolerance.cosine:.6f}"
    return ""


def _record(
    passed: bool,
    reference: numpy.ndarray,
    error: float,
    cosine: float,
    agreement: float | None,
    allowed_error: float,
    allowed_cosine: float,
    reason: str,
) -> QualityRecord:
    return QualityRecord(
        passed=passed,
        reference=REFERENCE,
        positions=int(reference.shape[0]),
        relative_error=error,
        cosine_min=cosine,
        top1_agreement=agreement,
        tolerance_relative_error=allowed_error,
        tolerance_cosine=allowed_cosine,
        reason=reason,
    )
