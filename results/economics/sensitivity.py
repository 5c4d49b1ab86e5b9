"""How sure a cost is: a seeded Monte Carlo over what is believed of the inputs, and one input at a time (tornado)."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy

from wattbench.results.economics.hourly import hourly_cost
from wattbench.results.economics.inputs import CostInputs, Prior
from wattbench.results.economics.ladder import idle_rung, machine_power_u_rel, machine_rung
from wattbench.results.economics.measured import Measured
from wattbench.results.economics.query import query_cost
from wattbench.results.economics.sampling import Floats, draw, lognormal
from wattbench.results.economics.service import service_level
from wattbench.results.economics.sizing import fleet_plan, load_of
from wattbench.results.economics.vectors import FLEET_INPUTS, QUERY_INPUTS, Draws, fleet_figures, query_figures
from wattbench.results.errors import UsageError

__all__ = ["Bar", "Sensitivity", "Spread", "sensitivity_of"]

SAMPLES_MAX = 1_000_000
RATE, POWER = "measured throughput", "measured power"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """One figure: at the most likely inputs, and the quantiles of its draws; 90 % of them lie within p5..p95."""

    name: str
    central: float
    p5: float
    p50: float
    p95: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar of the tornado: the figure with one input at its low and at its high value, all others most likely."""

    name: str
    low_input: float
    high_input: float
    at_low: float
    at_high: float

    @property
    def swing(self) -> float:
        """Return how far the figure moves."""
        return abs(self.at_high - self.at_low)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """The spreads of all figures, and the tornado of `figure` with the widest bar first."""

    samples: int
    seed: int
    spreads: tuple[Spread, ...]
    figure: str
    bars: tuple[Bar, ...]
    notes: tuple[str, ...]


def sensitivity_of(measured: Measured, inputs: CostInputs, *, samples: int, seed: int) -> Sensitivity:
    """Return the spread of a query's cost, and of a fleet where the inputs describe a load.

    Measured throughput and power vary by their own uncertainty, inputs by their priors. Raises UsageError for a prior
    that the model does not use, or where nothing varies.
    """
    if not 1 <= samples <= SAMPLES_MAX:
        raise UsageError("The number of draws cannot be used", f"{samples} were asked for", f"Use 1 .. {SAMPLES_MAX}.")
    central = _central(inputs)
    load, cost = load_of(central), query_cost(measured, central)
    notes = list(cost.notes)
    if load is not None:
        notes = [*fleet_plan(measured, central, load).notes]
    _require_used(inputs.priors, measured, central, fleet=load is not None)
    u_power = machine_power_u_rel(measured, machine_rung(measured, central))
    if hourly_cost(measured, central).kind == "rented":
        u_power = None
    if not inputs.priors and not measured.queries_per_s.u_rel:
        raise UsageError(
            "Nothing varies",
            "no prior is given, and the result states no uncertainty",
            "Give --prior FIELD=LOW,MODE,HIGH.",
        )
    model = _model(measured, central, fleet=load is not None)
    figure = "usd_per_year" if load is not None else "reservation" if cost.reservation else "usage"
    random = numpy.random.default_rng(seed)
    drawn = draw(inputs.priors, samples, random)
    found = model(
        _draws(
            measured,
            central,
            drawn,
            rate=lognormal(measured.queries_per_s.value, measured.queries_per_s.u_rel, samples, random),
            power=lognormal(1.0, u_power, samples, random),
        )
    )
    middle = _at(measured, central, model, {}, 1.0, 1.0)
    spreads = tuple(_spread(name, middle[name], values) for name, values in found.items())
    bars = [
        *(_bar(prior, measured, central, model, figure) for prior in inputs.priors.values()),
        *_measured_bars(measured, central, model, figure, u_power),
    ]
    return Sensitivity(
        samples=samples,
        seed=seed,
        spreads=spreads,
        figure=figure,
        bars=tuple(sorted(bars, key=lambda bar: bar.swing, reverse=True)),
        notes=tuple(notes),
    )


def _central(inputs: CostInputs) -> CostInputs:
    """Return the inputs with each prior's most likely value in its place. Raises UsageError where both disagree."""
    central = inputs
    for path, prior in inputs.priors.items():
        given = inputs.optional(path)
        if given is not None and not math.isclose(given, prior.mode):
            why = f"{path} is given as {given:g}, its prior is most likely {prior.mode:g}"
            raise UsageError("A value and its prior contradict", why, "Give both alike, or the prior alone.")
        central = central.with_value(path, prior.mode, f"most likely, {prior.place}")
    return central


def _require_used(priors: Mapping[str, Prior], measured: Measured, central: CostInputs, *, fleet: bool) -> None:
    usable = set(FLEET_INPUTS if fleet else QUERY_INPUTS)
    if fleet and _mean_known(central):
        usable.discard("use.utilisation")  # it follows from the load
    active, idle = machine_rung(measured, central), idle_rung(measured, central)
    if active.words != "power.active_w":
        usable.discard("power.active_w")
    if idle.words != "power.idle_w":
        usable.discard("power.idle_w")
    if active.provenance == "measured" or active.words == "power.active_w":
        usable.discard("power.host_w")
    for path in priors:
        if path not in usable:
            raise UsageError(
                f"A prior of {path} changes nothing here",
                "this model does not use it, or what was measured or follows from the load stands in its place",
                f"Leave it away; used are {', '.join(sorted(usable))}.",
            )


def _mean_known(central: CostInputs) -> bool:
    load = load_of(central)
    return load is not None and load.mean_per_s is not None


Model = Callable[[Draws], dict[str, Floats]]


def _model(measured: Measured, central: CostInputs, *, fleet: bool) -> Model:
    if not fleet:
        return query_figures
    service, spares = service_level(measured, central), int(central.number("slo.spares", "The size of a fleet"))
    schedule = central.schedule
    peak = None if schedule is None else max(schedule) / math.fsum(schedule)
    return lambda draws: fleet_figures(draws, service=service, spares=spares, hours_peak=peak)


def _draws(
    measured: Measured, central: CostInputs, drawn: Mapping[str, Floats], *, rate: Floats, power: Floats
) -> Draws:
    """Return draws of everything: what has no draws of its own is constant. `power` scales measured watts."""
    inputs = {path: numpy.full_like(rate, given.value) for path, given in central.given.items()} | dict(drawn)
    return Draws(
        rate=rate,
        active_w=_watts(machine_rung(measured, central).power_w, "power.active_w", measured, central, drawn, power),
        idle_w=_watts(idle_rung(measured, central).power_w, "power.idle_w", measured, central, drawn, power),
        inputs=inputs,
    )


def _watts(
    watts: float | None,
    path: str,
    measured: Measured,
    central: CostInputs,
    drawn: Mapping[str, Floats],
    power: Floats,
) -> Floats | None:
    """Return draws of power: its own prior, the host's around the device's, or the measured watts times `power`."""
    if watts is None:
        return None
    rung = machine_rung(measured, central) if path == "power.active_w" else idle_rung(measured, central)
    if rung.provenance == "measured":
        return watts * power if path == "power.active_w" else numpy.full_like(power, watts)
    if rung.words == path:
        return drawn[path] if path in drawn else numpy.full_like(power, watts)
    host = central.optional("power.host_w")
    measured_w = watts * power if path == "power.active_w" else numpy.full_like(power, watts)
    if host is not None and "power.host_w" in drawn:
        return measured_w - host + drawn["power.host_w"]
    return measured_w


def _at(
    measured: Measured, central: CostInputs, model: Model, changed: Mapping[str, float], rate: float, power: float
) -> dict[str, float]:
    """Return the model's figures with single values changed; `rate` and `power` are factors of the measured ones."""
    one = {path: numpy.array([value]) for path, value in changed.items()}
    draws = _draws(
        measured, central, one, rate=numpy.array([measured.queries_per_s.value * rate]), power=numpy.array([power])
    )
    return {name: float(values[0]) for name, values in model(draws).items()}


def _spread(name: str, central: float, values: Floats) -> Spread:
    p5, p50, p95 = (float(x) for x in numpy.percentile(values, [5, 50, 95]))
    return Spread(name=name, central=central, p5=p5, p50=p50, p95=p95)


def _bar(prior: Prior, measured: Measured, central: CostInputs, model: Model, figure: str) -> Bar:
    low, high = (
        _at(measured, central, model, {prior.path: value}, 1.0, 1.0)[figure] for value in (prior.low, prior.high)
    )
    return Bar(name=prior.path, low_input=prior.low, high_input=prior.high, at_low=low, at_high=high)


def _measured_bars(
    measured: Measured, central: CostInputs, model: Model, figure: str, u_power: float | None
) -> list[Bar]:
    """Return the bars of throughput and power, from -2 to +2 standard uncertainties."""
    bars = []
    machine_w = machine_rung(measured, central).power_w
    for name, value, u_rel in (
        (RATE, measured.queries_per_s.value, measured.queries_per_s.u_rel),
        (POWER, machine_w, u_power),
    ):
        if not u_rel or value is None:
            continue
        factors = (math.exp(-2 * u_rel), math.exp(2 * u_rel))
        ends = [_at(measured, central, model, {}, *((f, 1.0) if name == RATE else (1.0, f)))[figure] for f in factors]
        low_input, high_input = (value * f for f in factors)
        bars.append(Bar(name=name, low_input=low_input, high_input=high_input, at_low=ends[0], at_high=ends[1]))
    return bars
