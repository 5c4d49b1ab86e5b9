"""The Shelly sampler: plugs and meters of the second generation and later, by their JSON over HTTP."""

from dataclasses import dataclass

from wattbench.backends.clocks import Exchange, clock_offset
from wattbench.harness.power.contract import Availability, ChannelRecord, Reading, SamplerOptions
from wattbench.harness.power.meters.argument import Argument, parse_argument
from wattbench.harness.power.meters.channels import Facts, absent, broken, channel
from wattbench.harness.power.meters.credentials import load_credentials
from wattbench.harness.power.meters.http_client import HTTP_KEYS, HttpClient, make_client
from wattbench.harness.power.meters.values import WH_J, as_number, parse_json, reading, require_value, unless
from wattbench.harness.power.meters.watches import CounterWatch
from wattbench.results.errors import SensorError, WattbenchError

__all__ = ["ShellySampler"]

_UPDATE_S = 1.0
_BASIS = (
    "Shelly states no accuracy in its API documents; update period of 1 s as seen by others, not published; "
    "steps of energy as the API rounds (shelly-api-docs.shelly.cloud, gen2)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Component:
    """One kind of component: its RPC methods, the fields of power and energy, and the step of its energy in J."""

    kind: str
    status: str
    power: str
    counter_status: str
    energy: str
    step_j: float


_COMPONENTS = (
    _Component(
        kind="switch",
        status="Switch.GetStatus",
        power="apower",
        counter_status="Switch.GetStatus",
        energy="aenergy.total",
        step_j=0.001 * WH_J,
    ),
    _Component(
        kind="pm1",
        status="PM1.GetStatus",
        power="apower",
        counter_status="PM1.GetStatus",
        energy="aenergy.total",
        step_j=0.001 * WH_J,
    ),
    _Component(
        kind="em1",
        status="EM1.GetStatus",
        power="act_power",
        counter_status="EM1Data.GetStatus",
        energy="total_act_energy",
        step_j=0.01 * WH_J,
    ),
    _Component(
        kind="em",
        status="EM.GetStatus",
        power="total_act_power",
        counter_status="EMData.GetStatus",
        energy="total_act",
        step_j=0.01 * WH_J,
    ),
)


class ShellySampler:
    """Reads `HOST[,component=switch:0]`: active power in W and the energy counter in Wh of one component.

    The password, where one is set, answers the plug's Digest challenge; the user is always `admin` there.
    """

    name = "shelly"
    poll_period_s = 0.25

    def __init__(self, options: SamplerOptions) -> None:
        self._text = options.argument
        self._client: HttpClient | None = None
        self._component = _COMPONENTS[0]
        self._number = 0
        self._watch = CounterWatch(0.0, 0.0)
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Availability:
        """Find the component that meters, and how far the plug's clock is from ours."""
        self.close()
        if self._text is None:
            return absent(self.name, "a Shelly plug")
        try:
            return self._open(parse_argument(self.name, self._text, ("component", *HTTP_KEYS)))
        except WattbenchError as exc:
            self.close()
            return broken(exc)

    def read(self) -> tuple[Reading, ...]:
        """Read power in W and energy in J. Raises SensorError when the plug does not answer."""
        if self._client is None:
            raise SensorError("Cannot read Shelly", "it is closed")
        component, query = self._component, f"?id={self._number}"
        power = self._client.get_json(f"/rpc/{component.status}{query}")
        same = component.counter_status == component.status
        energy = power if same else self._client.get_json(f"/rpc/{component.counter_status}{query}")
        return self._readings(power, energy)

    def close(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _readings(self, power: dict[str, object], energy: dict[str, object]) -> tuple[Reading, ...]:
        watts = _field(power, self._component.power)
        watt_hours = _field(energy, self._component.energy)
        power_id, energy_id = (c.id for c in self.channels)
        found = (reading(power_id, watts), reading(energy_id, watt_hours, WH_J))
        frozen = self._watch.why_frozen(found[1].value, found[0].value)
        return unless(_fault(power) or _fault(energy) or frozen, found)

    def _open(self, argument: Argument) -> Availability:
        self.poll_period_s = argument.seconds("every", type(self).poll_period_s)
        client = self._client = make_client(argument, load_credentials(argument), "digest")
        about = client.get_json("/rpc/Shelly.GetDeviceInfo")
        generation = about.get("gen")
        if not isinstance(generation, int) or generation < 2:
            raise SensorError(f"{client.name} is no Shelly of generation 2 or later", f"it says gen = {generation!r}")
        reply = client.get("/rpc/Shelly.GetStatus")
        status = parse_json(reply.body, client.name)
        self._component, self._number = _metering(argument, status)
        remote = _unix_time(status)
        exchanges = [] if remote is None else [_exchange(reply.sent_s, reply.received_s, remote)]
        offset = clock_offset(exchanges)
        model, firmware = about.get("model", "unknown model"), about.get("ver", "unknown")
        part = f"{self._component.kind}:{self._number}"
        facts = {"model": str(model), "firmware": str(firmware), "component": part, "clock": str(offset or "not set")}
        self.channels = _channels(argument, self._component)
        self._watch = CounterWatch(self._component.step_j, _UPDATE_S)
        reason = f"Shelly {model}, firmware {firmware}, {part} at {client.name}; {offset or 'its clock is not set'}"
        require_value(self.read(), client.name)
        return Availability(state="present", reason=reason, facts=facts)


def _channels(argument: Argument, component: _Component) -> tuple[ChannelRecord, ...]:
    power = Facts(basis=_BASIS, update_period_s=_UPDATE_S, resolution=0.1)
    energy = Facts(basis=_BASIS, update_period_s=_UPDATE_S, resolution=component.step_j)
    return channel(argument, "power", power), channel(argument, "counter", energy)


def _metering(argument: Argument, status: dict[str, object]) -> tuple[_Component, int]:
    """Return the component to read: the one asked for, else the only one that meters. Raises SensorError."""
    found = {
        f"{c.kind}:{number}": (c, number) for c in _COMPONENTS for number in range(8) if _meters(status, c, number)
    }
    wanted = argument.options.get("component")
    if wanted is None and len(found) == 1:
        return next(iter(found.values()))
    if wanted in found:
        return found[wanted]
    here = ", ".join(found) or "none"
    what = "Which component meters is not clear" if wanted is None else f"The component {wanted} does not meter"
    remedy = "Name one: component=switch:0 (docs/meters.md#shelly)." if found else "This model has no meter."
    raise SensorError(what, f"those that do: {here}", remedy)


def _meters(status: dict[str, object], component: _Component, number: int) -> bool:
    part = status.get(f"{component.kind}:{number}")
    return isinstance(part, dict) and component.power in part


def _field(status: dict[str, object], path: str) -> object:
    """Return a field by its path, or None where there is none."""
    value: object = status
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _fault(status: dict[str, object]) -> str | None:
    """Return the faults that the component reports of itself, in its own words, or None."""
    errors = status.get("errors")
    return f"the plug reports {', '.join(map(str, errors))}" if isinstance(errors, list) and errors else None


def _unix_time(status: dict[str, object]) -> float | None:
    try:
        return as_number(_field(status, "sys.unixtime"))
    except ValueError:
        return None  # the plug has not yet been told the time


def _exchange(sent_s: float, received_s: float, remote_s: float) -> Exchange:
    return Exchange(sent_s=sent_s, received_s=received_s, remote_s=remote_s, resolution_s=1.0)
