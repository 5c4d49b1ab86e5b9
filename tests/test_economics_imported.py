"""Costs of a result that another tool measured: what it states is used, what it does not state is said."""

from pathlib import Path
from types import ModuleType

import pytest

from wattbench.harness.exchange.mlperf_import import import_mlperf
from wattbench.results.economics.inputs import parse_inputs
from wattbench.results.economics.ladder import ladder_of
from wattbench.results.economics.measured import Measured, measured_of
from wattbench.results.economics.query import query_cost
from wattbench.results.imported import ImportedResult


@pytest.fixture(scope="module")
def imported(mlperf_run: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> ImportedResult:
    """Return a published run with a wall meter as an imported result."""
    return import_mlperf(mlperf_run.unpack(tmp_path_factory.mktemp("run")))


@pytest.fixture(scope="module")
def measured(imported: ImportedResult) -> Measured:
    """Return its figures for the cost model."""
    return measured_of(imported, "sha256:x")


def test_rate_watts_and_latencies_are_the_imports(imported: ImportedResult, measured: Measured) -> None:
    """The rate is LoadGen's, the watts are our integral at the wall with its uncertainty, the quantiles LoadGen's."""
    power = imported.metric("power.mean")
    assert power is not None

    assert 83.5032 == measured.queries_per_s.value
    assert (power.value, power.u_absolute_rel) == (measured.powers[0].active.value, measured.powers[0].active.u_rel)
    assert measured.powers[0].whole_machine
    assert 0.01211355 == next(p.value_s for p in measured.latencies if p.q == 0.99)


def test_what_it_does_not_state_is_none_and_said(measured: Measured) -> None:
    """Tokens, phases and the rate's uncertainty are unknown, and a note says so."""
    assert (None, None, None) == (measured.input_tokens, measured.output_tokens, measured.prefill_share)
    assert measured.queries_per_s.u_rel is None
    assert "states no input tokens" in measured.notes[0]


def test_a_query_has_a_cost_without_phases(measured: Measured) -> None:
    """The query costs its share of the hour; input and output are not told apart, and no price of tokens is made up."""
    cost = query_cost(measured, parse_inputs(None, {"cloud.usd_per_h": 1.0, "use.utilisation": 0.5}))

    assert 1 / (83.5032 * 3600) == pytest.approx(cost.usage.usd)
    assert (None, None, None) == (cost.phases, cost.usd_per_million_input, cost.usd_per_million_output)
    assert measured.notes[0] in cost.notes


def test_the_machine_rung_is_measured(measured: Measured) -> None:
    """MLPerf's meter sees the whole system: joules of a query up to the plug are measured."""
    rungs = ladder_of(measured, parse_inputs(None, {})).energies

    assert ["absent", "measured", "absent", "absent"] == [row.rung.provenance for row in rungs]
    assert 0.3290 == pytest.approx(rungs[1].energy_j, rel=1e-3)


def test_an_import_that_is_partial_is_refused(imported: ImportedResult, tmp_path: Path) -> None:
    """The rules of validity are those of a run."""
    from dataclasses import replace

    from wattbench.results.doubts import judge
    from wattbench.results.errors import DocumentError

    partial = replace(imported, status="partial", verdict=judge(imported.doubts, finished=False))

    with pytest.raises(DocumentError, match="the run is partial"):
        measured_of(partial, "sha256:x")
    assert ("the run is partial",) == measured_of(partial, "sha256:x", allow_invalid=True).warnings
