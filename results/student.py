"""Student's t distribution for whole degrees of freedom: exact, without a library."""

import math

__all__ = ["student_coverage", "student_half_width"]


def student_coverage(t: float, freedom: int) -> float:
    """Return the probability that |T| <= t, for `freedom` >= 1 degrees of freedom.

    The finite series of Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 (odd) and 26.7.4 (even).
    """
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    for k in range(1 + odd, freedom, 2):
        total += term
        term *= k / (k + 1) * cosine**2
    return (2 / math.pi) * (angle + sine * total) if odd else sine * total


def student_half_width(level: float, freedom: int) -> float:
    """Return the t with P(|T| <= t) = `level`: how many standard uncertainties an interval of that level spans."""
    low, high = 0.0, 1.0
    while student_coverage(high, freedom) < level:
        low, high = high, 2 * high
    for _ in range(60):  # halves the bracket down to the last bit of a double
        middle = (low + high) / 2
        low, high = (middle, high) if student_coverage(middle, freedom) < level else (low, middle)
    return (low + high) / 2
