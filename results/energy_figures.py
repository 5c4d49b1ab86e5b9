"""Power, energy and efficiency from the rungs of each repeat: ratios per repeat first, then their median."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from wattbench.results.figures import figure
from wattbench.results.metrics import Metric
from wattbench.results.rates import NO_OUTPUT, NO_REPEAT, NONE_SUCCEEDED, Work, phase_reason
from wattbench.results.rungs import PhaseEnergies, RungEnergy
from wattbench.results.subject import LoadRecord

__all__ = ["energy_metrics"]

NO_IDLE = "no idle window was measured at this scope"
NOT_SEPARATE = "prefill and decode were not measured in separate windows"
OWN_RUNG_ONLY = "phases are told apart at the device's own rung only"

Value = Callable[[RungEnergy, float, Work], float | None]
"""A figure of one repeat from its rung, the rung's gross energy in joules, and its work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """One rung over the repeats of a run; None where a repeat does not have it, nothing but None without a sensor."""

    works: Sequence[Work]
    rungs: Sequence[RungEnergy | None]
    idle_power_w: float | None
    no_energy_reason: str
    phases: Sequence[PhaseEnergies | None]
    no_phase_reason: str

    def known(self) -> list[RungEnergy]:
        """Return the rungs whose energy is known."""
        return [rung for rung in self.rungs if rung is not None and rung.energy_j is not None]

    def sample(self) -> RungEnergy | None:
        """Return any rung of the column, for what all of them share: scope and boundary."""
        return next((rung for rung in self.rungs if rung is not None), None)

    def reason(self) -> str:
        """Return why energies are unknown: the sensors' own reasons where they gave any."""
        reasons = dict.fromkeys(rung.reason for rung in self.rungs if rung is not None and rung.reason is not None)
        return "; ".join(reasons) or self.no_energy_reason


def energy_metrics(
    load: LoadRecord,
    works: Sequence[Work],
    rung_energies: Sequence[Sequence[RungEnergy]],
    idle_power_w: Mapping[str, float],
    no_energy_reason: str,
    phases: Sequence[PhaseEnergies | None] = (),
) -> tuple[Metric, ...]:
    """Return power.*, energy.* and efficiency.* for every rung, the first repeat's first rung first.

    `rung_energies` has one sequence per repeat, or none at all without a sensor; `idle_power_w` is by rung name. Ratios
    are computed per repeat from the same window's energy and work, so that what moves both cancels: their interval is
    that of the ratios, which holds the covariance of the two. `phases` are those of the first rung, one entry a repeat
    or none at all. Without any rung each metric stands once, null.
    """
    windows = rung_energies or [()] * len(works)
    names: dict[str | None, None] = dict.fromkeys(rung.name for rungs in windows for rung in rungs)
    metrics: list[Metric] = []
    for n, name in enumerate(names or {None: None}):
        own = n == 0
        column = _Column(
            works=works,
            rungs=[next((rung for rung in rungs if rung.name == name), None) for rungs in windows],
            idle_power_w=None if name is None else idle_power_w.get(name),
            no_energy_reason=no_energy_reason if works else NO_REPEAT,
            phases=(phases or [None] * len(works)) if own else [None] * len(works),
            no_phase_reason=NOT_SEPARATE if own else OWN_RUNG_ONLY,
        )
        metrics += _power_metrics(column) + _energy_metrics(column, load) + _efficiency_metrics(column, load)
    return tuple(metrics)


def _power_metrics(column: _Column) -> list[Metric]:
    net_method = "net energy (gross - idle power x duration) / window duration"
    return [
        _metric(column, "power.mean", "W", lambda rung, _j, _w: rung.mean_power_w, "gross energy / window duration"),
        _idle_metric(column),
        _metric(
            column, "power.net", "W", lambda rung, _j, w: _over(rung.energy_net_j, w.duration_s), net_method, NO_IDLE
        ),
    ]


def _energy_metrics(column: _Column, load: LoadRecord) -> list[Metric]:
    no_output = NO_OUTPUT if load.output_tokens == 0 else NONE_SUCCEEDED
    per = "gross energy of the window / successful"
    return [
        _metric(column, "energy.total", "J", lambda _r, energy_j, _w: energy_j, "gross energy of one window"),
        _metric(column, "energy.per_request", "J/{request}", lambda _r, j, w: _over(j, w.requests), f"{per} requests"),
        _metric(
            column,
            "energy.per_input_token",
            "J/{token}",
            lambda _r, j, w: _over(j, w.input_tokens),
            f"{per} requests' input tokens",
        ),
        _metric(
            column,
            "energy.per_output_token",
            "J/{token}",
            lambda _r, j, w: _over(j, w.output_tokens),
            f"{per} requests' output tokens, prefill included",
            no_output,
        ),
        *_session_metrics(column),
        _phase_metric(column, load, decode=False),
        _phase_metric(column, load, decode=True),
    ]


def _session_metrics(column: _Column) -> list[Metric]:
    """Return the energy of a session where there were any."""
    if not any(work.sessions for work in column.works):
        return []
    method = "gross energy of the window / (its calls that succeeded / calls of a whole session)"
    return [
        _metric(
            column,
            "energy.per_session",
            "J/{session}",
            lambda _r, j, w: _over(j, w.sessions),
            method,
            "no session was whole",
        )
    ]


def _phase_metric(column: _Column, load: LoadRecord, *, decode: bool) -> Metric:
    """Return the energy of one phase per request; null with the reason where it was not told apart in any repeat."""
    name, span = ("decode", "first output to end") if decode else ("prefill", "start to first output")
    found = [None if both is None else both.decode if decode else both.prefill for both in column.phases]
    why = phase_reason(load, decode=decode)
    samples = [
        None if phase is None or phase.energy_j is None or why is not None else _over(phase.energy_j, work.requests)
        for phase, work in zip(found, column.works, strict=True)
    ]
    known = [phase for phase, sample in zip(found, samples, strict=True) if phase is not None and sample is not None]
    reasons = dict.fromkeys(phase.reason for phase in found if phase is not None and phase.reason is not None)
    shared = column.sample()
    energies = column.known()
    missing = why or "; ".join(reasons) or (column.no_phase_reason if energies else column.reason())
    return figure(
        f"energy.{name}",
        "J/{request}",
        samples,
        f"gross energy from each execution's {span} / successful requests{_source(energies)}",
        reason=missing,
        scope=shared.scope if shared else None,
        boundary=shared.boundary if shared else None,
        u_absolute_rel=_largest([phase.u_absolute_rel for phase in known]),
        u_comparison_rel=_largest([phase.u_comparison_rel for phase in known]),
    )


def _efficiency_metrics(column: _Column, load: LoadRecord) -> list[Metric]:
    kind = "output" if load.output_tokens else "input"

    def tokens_per_j(_rung: RungEnergy, energy_j: float, work: Work) -> float | None:
        return _over(work.output_tokens if load.output_tokens else work.input_tokens, energy_j)

    per = "/ gross energy of the window"
    return [
        _metric(column, "efficiency.tokens_per_j", "{token}/J", tokens_per_j, f"{kind} tokens {per} (= tokens/s/W)"),
        _metric(
            column, "efficiency.requests_per_j", "{request}/J", lambda _r, j, w: _over(w.requests, j), f"requests {per}"
        ),
    ]


def _idle_metric(column: _Column) -> Metric:
    shared = column.sample()
    return figure(
        "power.idle",
        "W",
        [column.idle_power_w],
        "mean power of the idle window with the model loaded",
        reason=NO_IDLE if shared else column.reason(),
        scope=shared.scope if shared else None,
        boundary=shared.boundary if shared else None,
    )


def _metric(column: _Column, name: str, unit: str, value: Value, method: str, missing: str = NONE_SUCCEEDED) -> Metric:
    """Return one metric of the column; `missing` says why `value` is None although the energy is known."""
    samples = [
        None if rung is None or rung.energy_j is None else value(rung, rung.energy_j, work)
        for rung, work in zip(column.rungs, column.works, strict=True)
    ]
    known, shared = column.known(), column.sample()
    net = name == "power.net"
    absolute = [_net_rel(rung, rung.u_net_absolute_j) if net else rung.u_absolute_rel for rung in known]
    comparison = [_net_rel(rung, rung.u_net_comparison_j) if net else rung.u_comparison_rel for rung in known]
    return figure(
        name,
        unit,
        samples,
        method + _source(known),
        reason=missing if len(known) == len(samples) > 0 else column.reason(),
        scope=shared.scope if shared else None,
        boundary=shared.boundary if shared else None,
        u_absolute_rel=_largest(absolute),
        u_comparison_rel=_largest(comparison),
    )


def _net_rel(rung: RungEnergy, u_net_j: float | None) -> float | None:
    """Return an uncertainty of the net energy as a share of it; None for no net energy at all, too."""
    return None if u_net_j is None or not rung.energy_net_j else u_net_j / abs(rung.energy_net_j)


def _source(known: Sequence[RungEnergy]) -> str:
    """Return where the joules come from: measured or not, by which method, from which channels."""
    kinds = dict.fromkeys(f"{rung.provenance} by {rung.method} of {', '.join(rung.channels)}" for rung in known)
    return f"; energy {' or '.join(kinds)}" if kinds else ""


def _largest(uncertainties: Sequence[float | None]) -> float | None:
    """Return the largest, or None when one is unknown: an unknown term cannot be called small."""
    stated = [u for u in uncertainties if u is not None]
    return max(stated) if stated and len(stated) == len(uncertainties) else None


def _over(numerator: float | None, denominator: float) -> float | None:
    return None if numerator is None or denominator == 0 else numerator / denominator
