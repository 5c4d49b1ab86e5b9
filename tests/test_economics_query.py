"""The cost of a query from a measured result."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from cost_case import make_inputs, make_measured, make_rented

from wattbench.results.document import Result
from wattbench.results.economics.ladder import energy_u_rel, ladder_of, machine_power_u_rel, machine_rung
from wattbench.results.economics.measured import MeasuredPower, Quantity, measured_of
from wattbench.results.economics.query import query_cost
from wattbench.results.errors import DocumentError, UsageError
from wattbench.results.files import read_result, write_result

EXAMPLE = Path(__file__).parents[1] / "examples" / "results" / "qwen3-0.6b-chat_cpu_bfloat16.json"


def test_usage_and_reservation_by_hand() -> None:
    """Capital and energy of a busy hour over its queries; all hours' cost over the busy hours' queries."""
    cost = query_cost(make_measured(), make_inputs())
    capital = 300_000 / 4 / 8760
    busy, mean = capital + 6 * 1.2 * 0.10, capital + 4 * 1.2 * 0.10

    assert busy / 36_000 == pytest.approx(cost.usage.usd)
    assert cost.reservation is not None
    assert mean / 18_000 == pytest.approx(cost.reservation.usd)
    assert cost.usage.usd < cost.reservation.usd


def test_input_and_output_add_up_to_the_query() -> None:
    """The phases' costs are the query's whole cost, and the token prices bring it in exactly."""
    cost = query_cost(make_measured(), make_inputs())

    assert cost.usage.usd == cost.phases.total_usd
    assert cost.usd_per_million_input is not None
    assert cost.usd_per_million_output is not None
    tokens = cost.usd_per_million_input * 500 + cost.usd_per_million_output * 100
    assert cost.usage.usd == pytest.approx(tokens / 1e6)


def test_uncertainty_of_rate_and_watts_is_carried() -> None:
    """The rate's part counts whole, the power's by energy's share of the hour."""
    cost = query_cost(make_measured(), make_inputs())
    share = (6 * 1.2 * 0.10) / (300_000 / 4 / 8760 + 6 * 1.2 * 0.10)

    assert ((0.02**2 + (share * 0.01) ** 2) ** 0.5) == pytest.approx(cost.usage.u_rel)


def test_ladder_names_what_is_measured_declared_and_absent() -> None:
    """Each rung says how it is known, and the energy of a query grows from rung to rung."""
    cost = query_cost(make_measured(), make_inputs())
    rungs = {row.rung.name: row for row in cost.energies}

    assert ["absent", "measured", "measured", "declared"] == [row.rung.provenance for row in cost.energies]
    assert 600 == pytest.approx(rungs["machine"].energy_j)
    assert 4000 / 5 == pytest.approx(rungs["with idle hours"].energy_j)
    assert 4000 / 5 * 1.2 == pytest.approx(rungs["building"].energy_j)


def test_the_building_says_what_is_missing_below_it() -> None:
    """With the machine known it is the share of work that is missing, not everything."""
    ladder = ladder_of(make_measured(), make_inputs(use__utilisation=None))
    blind = ladder_of(make_measured(powers=()), make_inputs())

    assert "use.utilisation is not given" == ladder.energies[-1].rung.words
    assert "no power of the machine: neither measured nor declared (power.active_w)" == blind.energies[-1].rung.words


def test_a_device_without_its_host_says_so_up_to_the_building() -> None:
    """A board that was measured is something: the rungs above it ask for the rest of the machine."""
    board = replace(make_measured().powers[0], scope="board")
    ladder = ladder_of(make_measured(powers=(board,)), make_inputs())

    assert 600 == pytest.approx(ladder.energies[0].energy_j)
    assert ["power.host_w is not given", *["no power of the machine: power.host_w is not given"] * 2] == [
        row.rung.words for row in ladder.energies[1:]
    ]


def test_a_declared_host_does_not_hide_the_devices_uncertainty() -> None:
    """6 kW known to 1 % beside a declared 2 kW: the sum is known to 0.75 %, and money and energy carry it."""
    board = replace(make_measured().powers[0], scope="board")
    measured, inputs = make_measured(powers=(board,)), make_inputs(power__host_w=2000.0)
    cost = query_cost(measured, inputs)

    assert 0.0075 == pytest.approx(machine_power_u_rel(measured, machine_rung(measured, inputs)))
    assert 0.0075 == pytest.approx(cost.hourly.u_power_rel)
    assert math.hypot(0.02, 0.0075) == pytest.approx(energy_u_rel(measured, inputs))


def test_rent_has_its_electricity_in_it() -> None:
    """A rented hour costs its price and no energy."""
    rented = make_rented()
    cost = query_cost(make_measured(), rented)

    assert 3.6 / 36_000 == pytest.approx(cost.usage.usd)
    assert cost.hourly.energy_busy_usd is None
    assert cost.reservation is not None
    assert 2 * cost.usage.usd == pytest.approx(cost.reservation.usd)


def test_owned_and_rented_contradict() -> None:
    """One machine is not both owned and rented."""
    with pytest.raises(UsageError, match="both owned and rented"):
        query_cost(make_measured(), make_inputs(cloud__usd_per_h=1.0))


def test_without_watts_the_cost_has_no_energy_and_says_so() -> None:
    """A result without power gives money without the energy rung, with a note."""
    cost = query_cost(make_measured(powers=(), no_power_reason="no sensor"), make_inputs())

    assert cost.hourly.energy_busy_usd is None
    assert any("no energy is in this cost" in note for note in cost.notes)
    assert all(row.energy_j is None for row in cost.energies)


def test_board_needs_its_host() -> None:
    """Watts of a board alone are no machine's: the host is declared, or the rung is absent."""
    board = MeasuredPower(scope="board", boundary="the board", active=Quantity(value=500, u_rel=0.03), idle_w=80.0)
    alone = query_cost(make_measured(powers=(board,)), make_inputs())
    hosted = query_cost(make_measured(powers=(board,)), make_inputs(power__host_w=300.0))

    assert ["measured", "absent"] == [row.rung.provenance for row in alone.energies][:2]
    assert 80 == pytest.approx(hosted.energies[1].energy_j)
    assert any("power.host_w" in note for note in alone.notes)


def test_failed_queries_cost() -> None:
    """Throughput counts successes, so failures make each of them dearer; the note says how many failed."""
    cost = query_cost(make_measured(success_share=0.9), make_inputs())

    assert any("10.0% of the queries failed" in note for note in cost.notes)


def test_running_costs_that_are_not_given_are_named() -> None:
    """Leaving the running costs out is allowed and said."""
    notes = query_cost(make_measured(), make_inputs()).notes

    assert any("opex.staff_usd_per_year" in note for note in notes)


def test_figures_of_a_result(factories: ModuleType) -> None:
    """Rates, lengths, the phases' share and the watts with their idle come from the summary."""
    result: Result = factories.make_result()
    measured = measured_of(result, "sha256:x", allow_invalid=True)

    assert (16.0, 4.0) == (pytest.approx(measured.input_tokens), pytest.approx(measured.output_tokens))
    assert 0.4 == pytest.approx(measured.prefill_share, rel=1e-3)
    assert ("board", pytest.approx(300, rel=0.01), 100.0) == (
        measured.powers[0].scope,
        measured.powers[0].active.value,
        measured.powers[0].idle_w,
    )
    assert measured.queries_per_s.u_rel is not None


def test_a_mock_has_no_cost(factories: ModuleType) -> None:
    """A result that is invalid is refused with its reasons; allowed, it keeps them as warnings."""
    result = factories.make_result()

    with pytest.raises(DocumentError, match="mock"):
        measured_of(result, "sha256:x")
    assert measured_of(result, "sha256:x", allow_invalid=True).warnings


def test_a_run_without_repeats_has_no_cost(factories: ModuleType) -> None:
    """A partial run without a summary has no throughput to divide by."""
    partial = factories.make_result(status="partial", summary=None, repeats=(), doubts=(), backend=None)

    with pytest.raises(DocumentError, match="no throughput"):
        measured_of(partial, "sha256:x", allow_invalid=True)


def test_command_on_an_example() -> None:
    """The command prints both costs, the ladder and every input with its place."""
    flags = ("--usd-per-h", "0.1", "--utilisation", "0.4")
    done = _bench("cost", "query", str(EXAMPLE), *flags)

    assert 0 == done.returncode, done.stderr
    for words in ("query, usage", "query, reserved", "absent", "cloud.usd_per_h", "(--utilisation)"):
        assert words in done.stdout


def test_command_for_machines_names_the_measurement() -> None:
    """The JSON is a derived document that names the measured one by its digest."""
    out = json.loads(_bench("cost", "query", str(EXAMPLE), "--usd-per-h", "0.1", "--json").stdout)

    assert ("derived", json.loads(EXAMPLE.read_bytes())["id"]) == (out["kind"], out["of"])
    assert out["cost"]["reservation"] is None


def test_command_marks_an_invalid_result(factories: ModuleType, tmp_path: Path) -> None:
    """A mock's result is refused; with --allow-invalid the output says that no figure is to be quoted."""
    path = tmp_path / "mock.json"
    write_result(factories.make_result(), path)
    refused = _bench("cost", "query", str(path), "--usd-per-h", "1")
    allowed = _bench("cost", "query", str(path), "--usd-per-h", "1", "--allow-invalid")

    assert (1, 0) == (refused.returncode, allowed.returncode)
    assert "mock" in refused.stderr
    assert "no figure below is to be quoted" in allowed.stdout


def test_measurement_stays_as_it_is() -> None:
    """Computing a cost changes nothing in the result file."""
    before = EXAMPLE.read_bytes()
    _bench("cost", "query", str(EXAMPLE), "--usd-per-h", "0.1")

    assert before == EXAMPLE.read_bytes()
    assert read_result(EXAMPLE)


def _bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-P", "-m", "wattbench.harness.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)
