"""Joules per token in and per token out by regression over mixes: E = a tokens_in + b tokens_out + P_idle T."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from wattbench.results.checks import require, require_finite
from wattbench.results.metrics import Interval
from wattbench.results.student import student_half_width

__all__ = ["MIXES_MIN", "Coefficient", "EnergySplit", "Mix", "split_energy"]

MIXES_MIN = 6
"""So many mixes leave three degrees of freedom for three unknowns."""

CONDITION_MAX = 30.0
"""Columns of unit length with a larger condition number depend on each other (Belsley, Kuh and Welsch, Regression
Diagnostics, 1980): the mixes are then too alike to tell prefill from decode."""

LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """All repeats of one shape of request together: tokens, seconds, gross joules, and the idle power meanwhile.

    `idle_power_w` is None where it was not measured; `idle_power_u_w` is its standard uncertainty. `u_absolute_rel` is
    that of the joules (k=1), None where the sensor states none.
    """

    name: str
    input_tokens: int
    output_tokens: int
    duration_s: float
    energy_j: float
    idle_power_w: float | None
    idle_power_u_w: float
    u_absolute_rel: float | None

    def __post_init__(self) -> None:
        require(self.energy_j > 0 and self.duration_s > 0, "a mix has energy and takes time")
        require_finite(idle_power_w=self.idle_power_w)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficient:
    """One unknown of the regression with its interval; `u_absolute_rel` adds the sensor's own (None: not stated)."""

    value: float
    interval: Interval
    u_absolute_rel: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergySplit:
    """What a token in and a token out cost, in joules, or `reason` why the mixes do not tell.

    `idle_power_w` is the mean of the measured ones, or fitted as a third unknown where one is missing. `residual_rel`
    is the root mean square of what the model misses each mix's energy by, `residuals_rel` mix by mix; `condition` is
    the condition number of the columns.
    """

    mixes: tuple[str, ...]
    input_token_j: Coefficient | None
    output_token_j: Coefficient | None
    idle_power_w: float | None
    idle_source: Literal["measured", "fitted"]
    residual_rel: float | None
    residuals_rel: tuple[float, ...]
    condition: float | None
    reason: str | None


def split_energy(mixes: Sequence[Mix]) -> EnergySplit:
    """Return the split that fits the mixes best, every mix weighted by 1/energy so that relative misses count.

    With a measured idle power its share is taken off first, and its uncertainty added by shifting it (GUM, JCGM
    100:2008, 5.1.3); otherwise it is a third unknown. Intervals are Student's for mixes less unknowns.
    """
    fitted = any(mix.idle_power_w is None for mix in mixes)
    if len({(mix.input_tokens / mix.duration_s, mix.output_tokens / mix.duration_s) for mix in mixes}) < MIXES_MIN:
        count = "1 mix" if len(mixes) == 1 else f"{len(mixes)} mixes"
        return _unknown(mixes, fitted, None, f"{count}; at least {MIXES_MIN} different ones are needed")
    import numpy

    columns = [(mix.input_tokens, mix.output_tokens, *((mix.duration_s,) if fitted else ())) for mix in mixes]
    rows = numpy.array(columns, dtype=float) / numpy.array([mix.energy_j for mix in mixes])[:, None]
    lengths = numpy.linalg.norm(rows, axis=0)
    if not lengths.all():
        return _unknown(mixes, fitted, None, "no mix has tokens of one kind")
    condition = float(numpy.linalg.cond(rows / lengths))
    if condition > CONDITION_MAX:
        why = "tokens in and out rise together" + (" with the time, and no idle power was measured" if fitted else "")
        return _unknown(mixes, fitted, condition, f"the mixes are too alike: {why} (condition {condition:.0f})")
    net, rise = (numpy.array([_net(mix, shift, fitted) for mix in mixes]) for shift in (0.0, 1.0))
    best, shifted = (numpy.linalg.lstsq(rows, side, rcond=None)[0] for side in (net, rise))
    residuals = [float(r) for r in net - rows @ best]
    freedom = len(mixes) - len(best)
    variance = math.fsum(r * r for r in residuals) / freedom
    fit_u = numpy.sqrt(numpy.diag(variance * numpy.linalg.inv(rows.T @ rows)))
    first, second = (
        _coefficient(float(best[k]), float(fit_u[k]), float(shifted[k] - best[k]), freedom, mixes) for k in range(2)
    )
    measured_w = math.fsum(mix.idle_power_w or 0.0 for mix in mixes) / len(mixes)
    return EnergySplit(
        mixes=tuple(mix.name for mix in mixes),
        input_token_j=first,
        output_token_j=second,
        idle_power_w=float(best[2]) if fitted else measured_w,
        idle_source="fitted" if fitted else "measured",
        residual_rel=math.sqrt(math.fsum(r * r for r in residuals) / len(mixes)),
        residuals_rel=tuple(residuals),
        condition=condition,
        reason=None,
    )


def _net(mix: Mix, shift: float, fitted: bool) -> float:
    """Return the share of a mix's energy above idle, the idle power shifted by so many of its uncertainties."""
    watts = 0.0 if fitted else (mix.idle_power_w or 0.0) + shift * mix.idle_power_u_w
    return 1 - watts * mix.duration_s / mix.energy_j


def _coefficient(value: float, fit_u: float, idle_u: float, freedom: int, mixes: Sequence[Mix]) -> Coefficient:
    """Return an unknown with its interval: Student's for the fit, the normal one for the idle power, as squares."""
    half = math.hypot(student_half_width(LEVEL, freedom) * fit_u, student_half_width(LEVEL, 1000) * idle_u)
    method = f"weighted least squares over {len(mixes)} mixes, {freedom} degrees of freedom"
    stated = [mix.u_absolute_rel for mix in mixes if mix.u_absolute_rel is not None]
    known = len(stated) == len(mixes) and value != 0
    return Coefficient(
        value=value,
        interval=Interval(low=value - half, high=value + half, level=LEVEL, method=method),
        u_absolute_rel=math.hypot(fit_u / value, idle_u / value, max(stated)) if known else None,
    )


def _unknown(mixes: Sequence[Mix], fitted: bool, condition: float | None, reason: str) -> EnergySplit:
    return EnergySplit(
        mixes=tuple(mix.name for mix in mixes),
        input_token_j=None,
        output_token_j=None,
        idle_power_w=None,
        idle_source="fitted" if fitted else "measured",
        residual_rel=None,
        residuals_rel=(),
        condition=condition,
        reason=reason,
    )
