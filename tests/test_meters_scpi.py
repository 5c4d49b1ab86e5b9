"""The SCPI sampler by the real PyVISA: pyvisa-sim in the process, and an instrument of sinstruments behind TCP."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.meters.scpi import ScpiSampler
from wattbench.harness.power.meters.visa import as_scpi_number
from wattbench.harness.power.meters.yokogawa import is_wt300
from wattbench.results.errors import SensorError
from wattbench.testing import check_sampler

pytest.importorskip("pyvisa_py", reason="needs PyVISA and PyVISA-py: pip install 'wattbench[meters]'")

PEERS = Path(__file__).parent / "peers"
ITEMS = ("U,1", "I,1", "P,1", "WH,1")

WT310E = {
    "*IDN?": "YOKOGAWA,WT310E,C3TF25024E,F1.04",
    ":NUMERIC:FORMAT?": "ASC",
    ":NUMERIC:NORMAL:NUMBER?": "4",
    **{f":NUMERIC:NORMAL:ITEM{n}?": item for n, item in enumerate(ITEMS, 1)},
    ":INPUT:VOLTAGE:RANGE?": "300.0E+00",
    ":INPUT:CURRENT:RANGE?": "5.0E+00",
    ":INPUT:VOLTAGE:AUTO?": "0",
    ":INPUT:CURRENT:AUTO?": "0",
    ":RATE?": "250.0E-03",
    ":INTEGRATE:STATE?": "RES",
    ":NUMERIC:NORMAL:VALUE?": "230.10E+00,1.5000E+00,340.20E+00,NAN",
}


class Instrument:
    """A running instrument: its address for PyVISA, and what it answers."""

    def __init__(self, port: int, file: Path) -> None:
        self.address = f"TCPIP0::127.0.0.1::{port}::SOCKET"
        self._file = file
        self.set()

    def set(self, **answers: object) -> None:
        """Answer as a WT310E does, but for these."""
        self.write({**WT310E, **answers})

    def write(self, answers: dict[str, object]) -> None:
        """Answer nothing but these."""
        place = self._file.with_suffix(".new")
        place.write_text(json.dumps(answers))
        place.rename(self._file)

    def told(self) -> list[str]:
        """Return the commands that it was given."""
        file = Path(f"{self._file}.told")
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture(scope="module")
def running(peers: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instrument]:
    """Run the instrument once for all tests."""
    pytest.importorskip("sinstruments", reason="needs sinstruments (the dev extra)")
    folder = tmp_path_factory.mktemp("meter")
    port = peers.free_port()
    found = Instrument(port, folder / "answers.json")
    words = [sys.executable, str(PEERS / "instrument.py"), str(port), str(folder / "answers.json")]
    with peers.program(words, peers.answers_tcp(port), folder / "log"):
        yield found


@pytest.fixture
def meter(running: Instrument) -> Instrument:
    """Give the instrument in its first state."""
    running.set()
    return running


def sampler(argument: str | None) -> ScpiSampler:
    """Return a sampler for an argument."""
    return ScpiSampler(SamplerOptions(argument=argument, covers=None))


def test_a_wt310_is_known_by_its_name(tmp_path: Path) -> None:
    """By pyvisa-sim: ranges, rate and accuracy come from the meter and its manual."""
    pytest.importorskip("pyvisa_sim", reason="needs PyVISA-sim (the dev extra)")
    found = sampler(f"TCPIP0::meter.example::inst0::INSTR,library={PEERS / 'wt310.yaml'}@sim,name=lab")
    answer = found.probe()
    (channel,) = found.channels
    values = [r.value for r in found.read()]
    found.close()

    assert "present" == answer.state, answer
    assert "WT310 at" in answer.reason
    assert "ranges 300 V, 5 A, every 0.25 s, integrator not used" in answer.reason
    assert ("scpi:lab:power", "wall", 0.25, 1500.0) == (
        channel.id,
        channel.scope,
        channel.update_period_s,
        channel.limit_w,
    )
    assert pytest.approx((0.001 * 340.2 + 0.001 * 1500) / 340.2 / 3**0.5) == channel.accuracy_rel
    assert [340.2] == values


def test_an_instrument_behind_tcp_is_read(meter: Instrument) -> None:
    """By PyVISA-py over a real socket; the newer meter has half the error of range."""
    found = sampler(meter.address)
    answer = found.probe()
    (channel,) = found.channels
    values = [r.value for r in found.read()]
    found.close()

    assert "present" == answer.state, answer
    assert pytest.approx((0.001 * 340.2 + 0.0005 * 1500) / 340.2 / 3**0.5) == channel.accuracy_rel
    assert [340.2] == values
    assert 0.125 == found.poll_period_s


def test_it_keeps_the_contract(meter: Instrument) -> None:
    """The checks that every sampler passes."""
    assert 4 == len(check_sampler(lambda: sampler(meter.address)))


def test_without_an_address_nothing_is_touched() -> None:
    """`auto` opens no instrument."""
    assert "absent" == sampler(None).probe().state


def test_a_running_integrator_is_a_counter(meter: Instrument) -> None:
    """Wh become joules, in the group of the power."""
    answers = {":INTEGRATE:STATE?": "STAR", ":NUMERIC:NORMAL:VALUE?": "230.1,1.5,340.2,2.5E+00"}
    meter.set(**answers)
    found = sampler(meter.address)
    answer = found.probe()
    power, energy = found.channels

    assert "integrator running" in answer.reason
    assert (power.group, "counter") == (energy.group, energy.kind)
    assert [340.2, 9000.0] == [r.value for r in found.read()]
    found.close()
    assert [] == meter.told()


def test_the_integrator_is_started_only_on_request(meter: Instrument) -> None:
    """And stopped again at the end; nothing else of the meter is changed."""
    found = sampler(f"{meter.address},integrate=start")
    assert found.probe().usable
    found.close()
    end_s = time.monotonic() + 30
    while len(meter.told()) < 3 and time.monotonic() < end_s:
        time.sleep(0.02)

    assert [":INTEGRATE:RESET", ":INTEGRATE:START", ":INTEGRATE:STOP"] == meter.told()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("230.1,1.5,9.91E+37,NAN", "no value"),
        ("230.1,1.5,NAN,NAN", "no value"),
        ("230.1,1.5,INF,NAN", "over its range"),
        ("230.1,1.5,9.9E+37,NAN", "over its range"),
        ("INF,1.5,340.2,NAN", "over its range"),
        ("230.1,7.1,1600,NAN", "over range: current 7.1 A, range 5 A"),
        ("430,1.5,340.2,NAN", "over range: voltage 430 V, range 300 V"),
        ("230.1,1.5,watts,NAN", "'watts'"),
        ("230.1,1.5", "out of range"),
    ],
)
def test_what_is_no_value_or_over_range_is_a_failed_reading(meter: Instrument, values: str, said: str) -> None:
    """9.91E+37 is SCPI's not-a-number; voltage and current are held against their ranges."""
    found = sampler(meter.address)
    found.probe()
    meter.set(**{":NUMERIC:NORMAL:VALUE?": values})
    (reading,) = found.read()
    found.close()

    assert reading.value is None
    assert said in str(reading.error)


def test_a_meter_over_its_range_is_refused_at_the_start(meter: Instrument) -> None:
    """The remedy names the ranges; with auto range the range of the start says nothing."""
    values = {":NUMERIC:NORMAL:VALUE?": "230.1,7.1,1600,NAN"}
    meter.set(**values)
    refused = sampler(meter.address).probe()
    meter.set(**values, **{":INPUT:CURRENT:AUTO?": "1"})
    found = sampler(meter.address)

    assert "over range" in refused.reason
    assert "ranges" in refused.remedy
    assert found.probe().usable
    assert "then auto range" in found.channels[0].accuracy_basis
    found.close()


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({":NUMERIC:FORMAT?": "FLO"}, "binary"),
        ({":NUMERIC:NORMAL:ITEM3?": "S,1"}, "does not put out the active power of element 1: U,1, I,1, S,1, WH,1"),
        ({":RATE?": "fast"}, ":RATE?"),
    ],
)
def test_a_meter_that_is_set_otherwise_is_refused(meter: Instrument, answers: dict[str, object], said: str) -> None:
    """Its settings are asked, never changed; the remedy says what to set."""
    meter.set(**answers)

    assert said in sampler(meter.address).probe().reason


def test_any_other_meter_is_read_by_one_query(meter: Instrument) -> None:
    """The user says how it is asked, and in which unit it answers."""
    meter.write({"*IDN?": "ACME,PM1,0,1", "MEAS:POW? 1,2": "0.3402"})
    refused = sampler(meter.address).probe()
    assert "ACME,PM1,0,1" in refused.reason
    assert "query=MEAS:POW?,unit=W" in refused.remedy

    found = sampler(f"{meter.address},query=MEAS:POW? 1,2,unit=kW")
    assert found.probe().usable
    assert [pytest.approx(340.2)] == [r.value for r in found.read()]
    meter.write({"MEAS:POW? 1,2": "9.91E+37"})
    assert "no value" in str(found.read()[0].error)
    found.close()


def test_an_energy_meter_is_a_counter(meter: Instrument) -> None:
    """By its unit."""
    meter.write({"*IDN?": "ACME,EM1,0,1", "FETC:ENER?": "2"})
    found = sampler(f"{meter.address},query=FETC:ENER?,unit=Wh")
    found.probe()

    assert ("counter", 7200.0) == (found.channels[0].kind, found.read()[0].value)
    found.close()


def test_a_silent_meter_is_an_error_and_comes_back(meter: Instrument) -> None:
    """Its late answer is not taken for the next one's."""
    found = sampler(f"{meter.address},timeout=0.3")
    found.probe()
    meter.set(delay_s=0.6)
    with pytest.raises(SensorError, match="no answer in time"):
        found.read()
    meter.set(**{":NUMERIC:NORMAL:VALUE?": "230.1,1.5,111.0,NAN"})
    time.sleep(0.6)

    assert [111.0] == [r.value for r in found.read()]
    found.close()


def test_an_unreachable_meter_is_said(peers: ModuleType) -> None:
    """With the remedy, within its time-out."""
    found = sampler(f"TCPIP0::127.0.0.1::{peers.free_port()}::SOCKET,timeout=0.5").probe()

    assert "broken" == found.state
    assert "docs/meters.md#scpi" in found.remedy


@pytest.mark.parametrize("address", ["nonsense", "TCPIP0::", "GPIB0::99::INSTR"])
def test_an_address_that_is_none_is_said(address: str) -> None:
    """PyVISA's words are kept."""
    assert "Cannot open" in sampler(address).probe().reason


@pytest.mark.parametrize(
    ("identity", "model"),
    [
        ("YOKOGAWA,WT310,C2PH13047V,F1.03", "WT310"),
        ("YOKOGAWA,760401-WT333E,X,F1", "WT333E"),
        ("YOKOGAWA,WT1800,X,F1", None),
        ("KEITHLEY,2000", None),
    ],
)
def test_the_family_is_known_by_name(identity: str, model: str | None) -> None:
    """Other Yokogawas speak differently."""
    assert model == is_wt300(identity)


def test_numbers_of_scpi() -> None:
    """With sign and exponent; white space does not matter."""
    assert [-1.5, 340.2] == [as_scpi_number("-1.5"), as_scpi_number(" 340.20E+00 ")]
