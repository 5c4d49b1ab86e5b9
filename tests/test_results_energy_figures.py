"""Power, energy and efficiency from rungs."""

from collections.abc import Mapping, Sequence
from types import ModuleType

import pytest

from wattbench.results.energy_figures import energy_metrics
from wattbench.results.metrics import Metric
from wattbench.results.rates import Work
from wattbench.results.rungs import PhaseEnergies, PhaseEnergy, RungEnergy

WORK = Work(requests=20, failed=0, input_tokens=320, output_tokens=80, duration_s=10.0)
ENERGY_NAMES = {
    *("power.mean", "power.idle", "power.net", "energy.total", "energy.per_request", "energy.per_input_token"),
    *("energy.per_output_token", "energy.prefill", "energy.decode", "efficiency.tokens_per_j"),
    "efficiency.requests_per_j",
}


def _energy(
    factories: ModuleType,
    rungs: Sequence[Sequence[RungEnergy]],
    *,
    works: Sequence[Work] | None = None,
    output_tokens: int = 4,
    idle_power_w: Mapping[str, float] | None = None,
    phases: Sequence[PhaseEnergies | None] = (),
) -> tuple[Metric, ...]:
    load = factories.make_load(output_tokens=output_tokens)
    works = [WORK] * len(rungs) if works is None else works
    idle_w = {factories.RUNG: 100.0} if idle_power_w is None else idle_power_w
    return energy_metrics(load, works, rungs, idle_w, "no sensor", phases)


def _one(metrics: Sequence[Metric], name: str, scope: str | None = "board") -> Metric:
    return next(m for m in metrics if m.name == name and m.scope == scope)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("power.mean", 300.0),
        ("power.idle", 100.0),
        ("power.net", 200.0),
        ("energy.total", 3000.0),
        ("energy.per_request", 150.0),
        ("energy.per_input_token", 9.375),
        ("energy.per_output_token", 37.5),
        ("efficiency.tokens_per_j", 80 / 3000),
        ("efficiency.requests_per_j", 20 / 3000),
    ],
)
def test_definitions(factories: ModuleType, name: str, expected: float) -> None:
    """300 W for ten seconds, 20 requests with 16 tokens in and 4 out, and 100 W idle give these figures."""
    assert expected == _one(_energy(factories, [[factories.make_rung()]] * 2), name).value


def test_every_figure_has_scope_boundary_and_channels(factories: ModuleType) -> None:
    """Every energy figure says what it covers and where it comes from."""
    metrics = _energy(factories, [[factories.make_rung()]] * 2)

    assert ({"board"}, {factories.BOUNDARY}, True) == (
        {m.scope for m in metrics},
        {m.boundary for m in metrics},
        all(factories.CHANNEL in m.method for m in metrics if m.name != "power.idle"),
    )


def test_encoder_efficiency_counts_tokens_in(factories: ModuleType) -> None:
    """For an encoder tokens per joule are input tokens, and the method says so."""
    work = Work(requests=20, failed=0, input_tokens=320, output_tokens=0, duration_s=10.0)
    metrics = _energy(factories, [[factories.make_rung()]], works=[work], output_tokens=0)
    efficiency = _one(metrics, "efficiency.tokens_per_j")

    assert 320 / 3000 == efficiency.value
    assert efficiency.method.startswith("input tokens")


def test_encoder_has_no_energy_per_token_out(factories: ModuleType) -> None:
    """An encoder has no energy per output token, and the reason says why."""
    work = Work(requests=20, failed=0, input_tokens=320, output_tokens=0, duration_s=10.0)
    metrics = _energy(factories, [[factories.make_rung()]], works=[work], output_tokens=0)

    assert "the load has no tokens out" == _one(metrics, "energy.per_output_token").reason


def test_ratios_are_per_repeat(factories: ModuleType) -> None:
    """A repeat with twice the work and twice the energy has the same ratio, so no spread remains."""
    double = Work(requests=40, failed=0, input_tokens=640, output_tokens=160, duration_s=10.0)
    rungs = [[factories.make_rung()], [factories.make_rung(6000.0)]]
    metric = _one(_energy(factories, rungs, works=[WORK, double]), "energy.per_request")

    assert ((150.0, 150.0), 0.0) == (metric.samples, metric.spread)


@pytest.mark.parametrize("name", ["energy.prefill", "energy.decode"])
def test_phases_are_not_guessed(factories: ModuleType, name: str) -> None:
    """The energy of a phase is None unless it was measured by itself."""
    metric = _one(_energy(factories, [[factories.make_rung()]] * 2), name)

    assert "prefill and decode were not measured in separate windows" == metric.reason


def test_phases_that_were_told_apart_are_figures(factories: ModuleType) -> None:
    """1000 J of prefill over 20 requests are 50 J each, with the larger of the repeats' uncertainties."""
    phases = [_phases(1000.0, 0.03), _phases(1010.0, 0.04)]
    metrics = _energy(factories, [[factories.make_rung()]] * 2, phases=phases)
    prefill, decode = _one(metrics, "energy.prefill"), _one(metrics, "energy.decode")

    assert ((50.0, 50.5), "board") == (prefill.samples, prefill.scope)
    assert (prefill.u_absolute_rel or 0) > 0.04
    assert (None, "decode is too short") == (decode.value, decode.reason)


def test_phases_of_one_repeat_alone_count_it(factories: ModuleType) -> None:
    """A repeat whose phases are unknown is left out, and the method says of how many."""
    rungs = [[factories.make_rung()]] * 2
    prefill = _one(_energy(factories, rungs, phases=[_phases(1000.0, 0.03), None]), "energy.prefill")

    assert (50.0,) == prefill.samples
    assert "median of 1 (of 2" in prefill.method


def test_only_the_devices_own_rung_has_phases(factories: ModuleType) -> None:
    """A wider rung's phases are not told apart, and it says so."""
    rungs = [[factories.make_rung(), factories.make_rung(name="node", scope="node")]] * 2
    found = [m for m in _energy(factories, rungs, phases=[_phases(1000.0, 0.03)] * 2) if m.name == "energy.prefill"]

    assert [50.0, None] == [m.value for m in found]
    assert "own rung only" in str(found[1].reason)


def test_a_load_without_a_phase_says_so(factories: ModuleType) -> None:
    """An encoder has no decode, whatever the windows are."""
    metrics = _energy(factories, [[factories.make_rung()]], output_tokens=0, phases=[_phases(9.0, 0.1)])
    metric = _one(metrics, "energy.decode")

    assert "the load has no tokens out" == metric.reason


def test_what_moves_energy_and_work_together_cancels(factories: ModuleType) -> None:
    """Windows whose work and energy rise together by 10 % have ratios that agree to a fraction of that."""
    shares = (0.95, 0.98, 1.0, 1.02, 1.05)
    works = [
        Work(requests=round(1000 * x), failed=0, input_tokens=1000, output_tokens=round(4000 * x), duration_s=10.0)
        for x in shares
    ]
    rungs = [[factories.make_rung(3000.0 * x, u_comparison_rel=0.0)] for x in shares]
    metrics = _energy(factories, rungs, works=works)
    total, ratio = _one(metrics, "energy.total"), _one(metrics, "efficiency.tokens_per_j")

    assert (total.u_comparison_rel or 0) > 0.02
    assert 0.0 == pytest.approx(ratio.u_comparison_rel, abs=1e-12)


def _phases(prefill_j: float, u_rel: float) -> PhaseEnergies:
    """Return the phases of a repeat whose decode is too short."""
    decode = PhaseEnergy(
        energy_j=None, duration_s=1.0, u_absolute_rel=None, u_comparison_rel=None, reason="decode is too short"
    )
    prefill = PhaseEnergy(energy_j=prefill_j, duration_s=9.0, u_absolute_rel=u_rel, u_comparison_rel=u_rel, reason=None)
    return PhaseEnergies(prefill=prefill, decode=decode)


def test_no_sensor(factories: ModuleType) -> None:
    """Without a sensor every energy metric stands there once, None with the reason, never 0."""
    metrics = _energy(factories, [], works=[WORK] * 3)

    assert (ENERGY_NAMES, {None}, True) == (
        {m.name for m in metrics},
        {m.value for m in metrics},
        all("no sensor" == m.reason or m.name in {"energy.prefill", "energy.decode"} for m in metrics),
    )


def test_no_rungs_is_no_sensor(factories: ModuleType) -> None:
    """An empty ladder for each repeat is the same as none at all."""
    assert _energy(factories, [], works=[WORK] * 3) == _energy(factories, [()] * 3)


def test_no_repeat(factories: ModuleType) -> None:
    """Without a repeat the reason is that none was measured."""
    assert "no repeat was measured" == _one(_energy(factories, []), "energy.total", None).reason


def test_unknown_energy_keeps_its_reason(factories: ModuleType) -> None:
    """When no repeat has an energy the sensor's own reason is told."""
    metrics = _energy(factories, [[factories.make_rung(None)]] * 2)

    assert {"the sensor went silent"} == {m.reason for m in metrics if m.name != "power.idle"}


def test_some_energies_unknown(factories: ModuleType) -> None:
    """A repeat without energy is named in the method; the others give the figure."""
    metric = _one(_energy(factories, [[factories.make_rung()], [factories.make_rung(None)]]), "energy.total")

    assert 3000.0 == metric.value
    assert "median of 1 (of 2; the sensor went silent)" in metric.method


def test_rung_missing_in_a_repeat(factories: ModuleType) -> None:
    """A rung that one repeat does not have at all counts as unknown there."""
    metric = _one(_energy(factories, [[factories.make_rung()], []]), "energy.total")

    assert "median of 1 (of 2; no sensor)" in metric.method


def test_no_request_succeeded(factories: ModuleType) -> None:
    """Energy is known and work is not: the ratio is None with that reason."""
    nothing = Work(requests=0, failed=20, input_tokens=0, output_tokens=0, duration_s=10.0)
    metrics = _energy(factories, [[factories.make_rung()]], works=[nothing])

    assert (3000.0, "no request succeeded", 0.0) == (
        _one(metrics, "energy.total").value,
        _one(metrics, "energy.per_request").reason,
        _one(metrics, "efficiency.requests_per_j").value,
    )


def test_without_idle(factories: ModuleType) -> None:
    """Without an idle window idle and net power are None with that reason."""
    rung = factories.make_rung(energy_net_j=None)
    metrics = _energy(factories, [[rung]] * 2, idle_power_w={})

    assert ["no idle window was measured at this scope"] * 2 == [
        _one(metrics, name).reason for name in ("power.idle", "power.net")
    ]


def test_net_is_never_clamped(factories: ModuleType) -> None:
    """Net power below idle stays negative."""
    metrics = _energy(factories, [[factories.make_rung(energy_net_j=-50.0)]] * 2)

    assert -5.0 == _one(metrics, "power.net").value


def test_net_states_the_uncertainty_of_its_difference(factories: ModuleType) -> None:
    """60 J of 2000 J net are 3 %, the largest of the repeats; the scatter of the repeats is added."""
    metric = _one(_energy(factories, [[factories.make_rung(u_net_absolute_j=u)] for u in (40.0, 60.0)]), "power.net")

    assert (0.03, 0.0075) == (metric.u_absolute_rel, metric.u_comparison_rel)


@pytest.mark.parametrize("unknown", [{"u_net_absolute_j": None}, {"energy_net_j": 0.0}])
def test_net_of_unknown_uncertainty_states_none(factories: ModuleType, unknown: dict[str, float | None]) -> None:
    """What one repeat does not know the figure does not, and no net energy has no share."""
    metric = _one(_energy(factories, [[factories.make_rung()], [factories.make_rung(**unknown)]]), "power.net")

    assert metric.u_absolute_rel is None


@pytest.mark.parametrize("name", ["energy.total", "energy.per_output_token", "efficiency.tokens_per_j", "power.mean"])
def test_uncertainties_are_propagated(factories: ModuleType, name: str) -> None:
    """Equal repeats leave the sensor's largest relative uncertainties, which every ratio inherits."""
    rungs = [[factories.make_rung(u_absolute_rel=u)] for u in (0.03, 0.02, 0.01)]
    metric = _one(_energy(factories, rungs), name)

    assert (0.03, 0.0041) == (metric.u_absolute_rel, metric.u_comparison_rel)


def test_unknown_uncertainty_stays_unknown(factories: ModuleType) -> None:
    """If one repeat does not know its uncertainty, neither does the figure."""
    rungs = [[factories.make_rung()], [factories.make_rung(u_absolute_rel=None)]]
    metric = _one(_energy(factories, rungs), "energy.total")

    assert (None, 0.0041) == (metric.u_absolute_rel, metric.u_comparison_rel)


def test_scopes_stand_beside_each_other(factories: ModuleType) -> None:
    """Each rung has its own figures, the primary one first, and they are never added."""
    wall = factories.make_rung(5000.0, name="wall", scope="wall", boundary="the whole machine")
    metrics = _energy(factories, [[wall, factories.make_rung()]] * 2)
    totals = [(m.scope, m.value) for m in metrics if m.name == "energy.total"]

    assert [("wall", 5000.0), ("board", 3000.0)] == totals


def test_several_boards_stand_beside_each_other(factories: ModuleType) -> None:
    """Two rungs of one scope keep their own figures, and the methods tell them apart."""
    other = factories.make_rung(4000.0, name="board:GPU-1", covers="GPU-1", channels=("nvml:GPU-1:energy",))
    totals = [m for m in _energy(factories, [[factories.make_rung(), other]] * 2) if m.name == "energy.total"]

    assert [3000.0, 4000.0] == [m.value for m in totals]
    assert totals[0].method != totals[1].method


def test_source_is_told(factories: ModuleType) -> None:
    """The method says whether the energy was measured, how, and by which channels."""
    metric = _one(_energy(factories, [[factories.make_rung(provenance="modelled", method="integral")]]), "energy.total")

    assert "gross energy of one window; energy modelled by integral of nvml:GPU-00000000:energy" == metric.method
