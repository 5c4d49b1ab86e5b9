"""The DCGM sampler: power and energy of NVIDIA boards as NVIDIA's DCGM exporter shows them."""

from dataclasses import dataclass

from wattbench.backends.clocks import clock_offset
from wattbench.harness.power.contract import Availability, ChannelRecord, Reading, SamplerOptions
from wattbench.harness.power.meters.argument import Argument, parse_argument
from wattbench.harness.power.meters.channels import Facts, absent, broken, channel
from wattbench.harness.power.meters.credentials import load_credentials
from wattbench.harness.power.meters.exposition import Sample, Scrape, scrape
from wattbench.harness.power.meters.http_client import HTTP_KEYS, HttpClient, make_client, target_of
from wattbench.harness.power.meters.values import reading, require_value, unless
from wattbench.harness.power.meters.watches import CounterWatch
from wattbench.results.covers import is_among
from wattbench.results.errors import SensorError, WattbenchError

__all__ = ["DcgmSampler"]

POWER, ENERGY = "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"

_PERIOD_S = 30.0
"""The exporter's default interval (`--collect-interval` of dcgm-exporter, 30000 ms)."""

_BLANK = 140737488355328.0
"""From here on a number is one of DCGM's marks for no value (DCGM_FP64_BLANK; DCGM_INT64_BLANK is larger)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Board:
    """One board: its UUID, and its channels for power and energy where the exporter shows them."""

    uuid: str
    power: str | None
    energy: str | None


class DcgmSampler:
    """Reads `URL[,period=S]`: the boards of one exporter, told apart by UUID; only the one under test, if it is known.

    The exporter refreshes its values at its own interval and stamps none: state it (`period=S`), for it is the edge of
    every window. A MIG slice's line is refused, since its watts are the whole board's.
    """

    name = "dcgm"
    poll_period_s = 1.0

    def __init__(self, options: SamplerOptions) -> None:
        self._text = options.argument
        self._covers = options.covers
        self._client: HttpClient | None = None
        self._target = ""
        self._boards: tuple[_Board, ...] = ()
        self._watches: dict[str, CounterWatch] = {}
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Availability:
        """Scrape once and find the boards."""
        self.close()
        if self._text is None:
            return absent(self.name, "a DCGM exporter")
        try:
            return self._open(parse_argument(self.name, self._text, ("period", *HTTP_KEYS)))
        except WattbenchError as exc:
            self.close()
            return broken(exc)

    def read(self) -> tuple[Reading, ...]:
        """Scrape once; W and J of every board. Raises SensorError when the exporter does not answer."""
        if self._client is None:
            raise SensorError("Cannot read DCGM", "it is closed")
        found = scrape(self._client, self._target)
        return tuple(r for board in self._boards for r in self._read_board(found, board))

    def close(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _read_board(self, found: Scrape, board: _Board) -> tuple[Reading, ...]:
        power = None if board.power is None else _value(found, POWER, board, board.power, 1.0)
        energy = None if board.energy is None else _value(found, ENERGY, board, board.energy, 1e-3)  # mJ
        readings = tuple(r for r in (power, energy) if r is not None)
        if power is None or energy is None:
            return readings
        return unless(self._watches[board.uuid].why_frozen(energy.value, power.value), readings)

    def _open(self, argument: Argument) -> Availability:
        period_s = argument.seconds("period", _PERIOD_S)
        self.poll_period_s = argument.seconds("every", min(type(self).poll_period_s, period_s / 2))
        client = self._client = make_client(argument, load_credentials(argument), "basic")
        self._target = target_of(argument, "/metrics")
        found = scrape(client, self._target)
        lines = [*found.find(POWER, {}), *found.find(ENERGY, {})]
        _refuse_slices(client, lines)
        here = list(dict.fromkeys(s.labels.get("UUID", "") for s in lines))
        wanted = [uuid for uuid in here if uuid and (self._covers is None or is_among(uuid, self._covers))]
        if not wanted:
            why = f"it shows {', '.join(here) or 'no board'}; under test is {self._covers or 'any'}"
            raise SensorError(f"{client.name} shows no power of the device under test", why, _REMEDY)
        self._boards = tuple(_board(argument, found, uuid) for uuid in wanted)
        self.channels = tuple(c for b in self._boards for c in _channels(argument, b, period_s))
        self._watches = {uuid: CounterWatch(0.001, period_s) for uuid in wanted}
        clock = str(clock_offset([] if found.exchange is None else [found.exchange]) or "its clock is not told")
        reason = f"DCGM exporter {client.name}: {', '.join(wanted)}, refreshed every {period_s:g} s; {clock}"
        require_value(self.read(), client.name)
        return Availability(state="present", reason=reason, facts={"boards": ", ".join(wanted), "clock": clock})


_REMEDY = "Name the exporter of this very machine; it must collect these two fields (docs/meters.md#dcgm)."


def _refuse_slices(client: HttpClient, lines: list[Sample]) -> None:
    if any(s.labels.get("GPU_I_ID") for s in lines):
        why = "a MIG slice has no watts of its own: the exporter repeats the whole board's for each"
        raise SensorError(f"{client.name} shows MIG slices", why, "Measure the whole GPU with MIG off.")


def _board(argument: Argument, found: Scrape, uuid: str) -> _Board:
    stem = f"dcgm:{argument.label}:{uuid}"
    power, energy = (found.find(name, {"UUID": uuid}) for name in (POWER, ENERGY))
    return _Board(uuid=uuid, power=f"{stem}:power" if power else None, energy=f"{stem}:energy" if energy else None)


def _channels(argument: Argument, board: _Board, period_s: float) -> tuple[ChannelRecord, ...]:
    facts = Facts(
        basis=(
            "the board's own sensor through NVML, so as docs/power.md#nvml says of its architecture; here unknown; "
            f"refreshed by the exporter every {period_s:g} s (its default, or period=)"
        ),
        scope="board",
        resolution=0.001,
        update_period_s=period_s,
    )
    shown = (("power", board.power), ("counter", board.energy))
    return tuple(
        channel(argument, "power" if kind == "power" else "counter", facts, part=board.uuid, covers=board.uuid)
        for kind, name in shown
        if name is not None
    )


def _value(found: Scrape, metric: str, board: _Board, name: str, factor: float) -> Reading:
    samples = found.find(metric, {"UUID": board.uuid})
    if len(samples) != 1:
        return Reading(channel=name, value=None, error=f"{metric} was shown {len(samples)} times, not once")
    if abs(samples[0].value) >= _BLANK:
        return Reading(channel=name, value=None, error=f"{metric}: DCGM has no value for it now")
    return reading(name, samples[0].value, factor)
