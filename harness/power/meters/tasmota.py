"""The Tasmota sampler: metering plugs with Tasmota firmware, by their JSON over HTTP."""

from datetime import UTC, datetime
from urllib.parse import quote

from wattbench.backends.clocks import Exchange, clock_offset
from wattbench.harness.power.contract import Availability, ChannelRecord, Reading, SamplerOptions
from wattbench.harness.power.meters.argument import Argument, parse_argument
from wattbench.harness.power.meters.channels import Facts, absent, broken, channel
from wattbench.harness.power.meters.credentials import Credentials, load_credentials
from wattbench.harness.power.meters.http_client import HTTP_KEYS, HttpClient, make_client
from wattbench.harness.power.meters.values import WH_J, parse_json, reading, require_value, unless
from wattbench.harness.power.meters.watches import CounterWatch, StampWatch
from wattbench.results.errors import SensorError, WattbenchError

__all__ = ["TasmotaSampler"]

_UPDATE_S = 1.0
_STAMP_S = 5.0
_STEP_J = WH_J
"""`Total` has 3 decimals of kWh unless EnergyRes says otherwise: 1 Wh."""

_BASIS = (
    "Tasmota states no accuracy: it depends on the plug's chip and its calibration; power in whole watts unless "
    "WattRes is set, update period of 1 s as seen by others, not published"
)


class TasmotaSampler:
    """Reads `HOST[,phase=N]`: `Status 8` gives power in W and the energy counter in kWh.

    A web password travels in the query, as Tasmota documents it; no message shows a query.
    """

    name = "tasmota"
    poll_period_s = 0.5

    def __init__(self, options: SamplerOptions) -> None:
        self._text = options.argument
        self._client: HttpClient | None = None
        self._login = ""
        self._phase: int | None = None
        self._watch = CounterWatch(0.0, 0.0)
        self._stamps = StampWatch(0.0)
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Availability:
        """Ask once for energy and once for the time."""
        self.close()
        if self._text is None:
            return absent(self.name, "a Tasmota plug")
        try:
            return self._open(parse_argument(self.name, self._text, ("phase", *HTTP_KEYS)))
        except WattbenchError as exc:
            self.close()
            return broken(exc)

    def read(self) -> tuple[Reading, ...]:
        """Read power in W and energy in J. Raises SensorError when the plug does not answer."""
        if self._client is None:
            raise SensorError("Cannot read Tasmota", "it is closed")
        sensors = self._sensors(self._client)
        energy = _energy(sensors, self._client.name)
        power_id, energy_id = (c.id for c in self.channels)
        found = (
            reading(power_id, _of_phase(energy.get("Power"), self._phase)),
            reading(energy_id, _of_phase(energy.get("Total"), self._phase), 1000 * WH_J),
        )
        frozen = self._stamps.why_frozen(sensors.get("Time")) or self._watch.why_frozen(found[1].value, found[0].value)
        return unless(frozen, found)

    def close(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _open(self, argument: Argument) -> Availability:
        self.poll_period_s = argument.seconds("every", type(self).poll_period_s)
        phase = argument.options.get("phase")
        if phase is not None and not (phase.isdecimal() and 1 <= int(phase) <= 3):
            raise argument.wrong("phase", "it is 1, 2 or 3")
        self._phase = None if phase is None else int(phase)
        credentials = load_credentials(argument)
        self._login = _login(credentials)
        client = self._client = make_client(argument, credentials, "basic")
        energy = _energy(self._sensors(client), client.name)
        if isinstance(energy.get("Power"), list) and self._phase is None:
            raise SensorError(f"{client.name} meters several phases", "", "Name one: phase=1 (docs/meters.md#tasmota).")
        offset = self._offset(client)
        power = Facts(basis=_BASIS, update_period_s=_UPDATE_S, resolution=1.0)
        counter = Facts(basis=_BASIS, update_period_s=_UPDATE_S, resolution=_STEP_J)
        self.channels = (channel(argument, "power", power), channel(argument, "counter", counter))
        self._watch = CounterWatch(_STEP_J, _UPDATE_S)
        self._stamps = StampWatch(_STAMP_S)
        reason = f"Tasmota at {client.name}; {offset}"
        require_value(self.read(), client.name)
        return Availability(state="present", reason=reason, facts={"clock": offset})

    def _sensors(self, client: HttpClient) -> dict[str, object]:
        found = self._command(client, "Status 8").get("StatusSNS")
        if not isinstance(found, dict):
            raise SensorError(f"{client.name} is no Tasmota plug with sensors", "its answer has no StatusSNS", _REMEDY)
        return found

    def _command(self, client: HttpClient, command: str) -> dict[str, object]:
        reply = client.get(f"/cm?{self._login}cmnd={quote(command)}")
        found = parse_json(reply.body, client.name)
        if "WARNING" in found:  # how Tasmota refuses a wrong or missing password, with HTTP 200 in older versions
            raise SensorError(f"{client.name} refused the command", "it wants its web password", _CREDENTIALS)
        return found

    def _offset(self, client: HttpClient) -> str:
        reply = client.get(f"/cm?{self._login}cmnd=Status%207")
        times = parse_json(reply.body, client.name).get("StatusTIM")
        utc = times.get("UTC") if isinstance(times, dict) else None
        remote_s = _utc_s(utc)
        if remote_s is None:
            return "its clock is not known"
        asked = Exchange(sent_s=reply.sent_s, received_s=reply.received_s, remote_s=remote_s, resolution_s=1.0)
        return str(clock_offset([asked]))


_REMEDY = "Does Console > Status 8 show ENERGY there?"
_CREDENTIALS = "Give it by environment or file (docs/meters.md#credentials)."


def _login(credentials: Credentials) -> str:
    if credentials.password is None:
        return ""
    return f"user={quote(credentials.user or 'admin', safe='')}&password={quote(credentials.password, safe='')}&"


def _energy(sensors: dict[str, object], name: str) -> dict[str, object]:
    found = sensors.get("ENERGY")
    if not isinstance(found, dict):
        raise SensorError(f"{name} does not meter", "its StatusSNS has no ENERGY", _REMEDY)
    return found


def _of_phase(value: object, phase: int | None) -> object:
    """Return one phase's value; a meter of several phases gives lists."""
    if not isinstance(value, list):
        return value
    return value[phase - 1] if phase is not None and phase <= len(value) else None


def _utc_s(text: object) -> float | None:
    """Return UTC seconds of `2026-01-31T12:00:00` or `...Z`, or None; before 2016 the clock was never set."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment.timestamp() if moment.year >= 2016 else None
