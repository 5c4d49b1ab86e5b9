"""The checks that records use to refuse what can never be true."""

import math

__all__ = ["require", "require_finite", "require_not_negative"]


def require(condition: bool, message: str) -> None:
    """Raise ValueError with `message` unless `condition` holds."""
    if not condition:
        raise ValueError(message)


def require_finite(**values: float | None) -> None:
    """Raise ValueError naming the first value that is NaN or infinite; None passes as unknown."""
    for name, value in values.items():
        require(value is None or math.isfinite(value), f"{name} must be finite, not {value}")


def require_not_negative(**values: float | None) -> None:
    """Raise ValueError naming the first value that is negative, NaN or infinite; None passes as unknown."""
    require_finite(**values)
    for name, value in values.items():
        require(value is None or value >= 0, f"{name} cannot be negative, got {value}")
