"""The Redfish sampler: the watts of a chassis, its sensors or its power supplies, by HTTP from a BMC."""

import contextlib
import math

from wattbench.backends.clocks import clock_offset
from wattbench.harness.power.contract import Availability, ChannelRecord, Reading, SamplerOptions
from wattbench.harness.power.meters.argument import Argument, parse_argument
from wattbench.harness.power.meters.channels import Facts, absent, broken, channel
from wattbench.harness.power.meters.credentials import Credentials, load_credentials
from wattbench.harness.power.meters.http_client import HTTP_KEYS, HttpClient, Scheme, make_client
from wattbench.harness.power.meters.redfish_find import find_sources
from wattbench.harness.power.meters.redfish_session import RedfishSession
from wattbench.harness.power.meters.redfish_sources import KINDS, Source, Values, iso_time_s, values_of
from wattbench.harness.power.meters.values import WH_J, as_number, parse_json, reading, require_value, unless
from wattbench.harness.power.meters.watches import StampWatch
from wattbench.results.errors import SensorError, WattbenchError

__all__ = ["RedfishSampler"]

_PERIOD_S = 1.0
_KEYS = ("auth", "chassis", "max_age", "resource", "sensor", "source", *HTTP_KEYS)

DISAGREEMENT = 0.02
"""Two sources of one chassis that lie further apart are worth a word (our choice, as for a counter's residual)."""


class RedfishSampler:
    """Reads `https://BMC[,chassis=ID][,source=KIND]`: one source, found by the probe and named in the result.

    Where a chassis has several sources the others are read once by the probe, and their disagreement is noted.
    """

    name = "redfish"
    poll_period_s = _PERIOD_S

    def __init__(self, options: SamplerOptions) -> None:
        self._text = options.argument
        self._session: RedfishSession | None = None
        self._sources: tuple[Source, ...] = ()
        self._stamps: dict[str, StampWatch] = {}
        self._max_age_s = 0.0
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Availability:
        """Log in, find what gives watts, read each once."""
        self.close()
        if self._text is None:
            return absent(self.name, "a Redfish service")
        try:
            return self._open(parse_argument(self.name, self._text, _KEYS))
        except WattbenchError as exc:
            self.close()
            return broken(exc)

    def read(self) -> tuple[Reading, ...]:
        """Read every channel once, in W and J. Raises SensorError when the service does not answer."""
        session = self._session
        if session is None:
            raise SensorError("Cannot read Redfish", "it is closed")
        return tuple(r for source in self._sources for r in self._read_source(session, source))

    def close(self) -> None:
        """Log out and close the connection."""
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(WattbenchError):
                session.close()

    def _read_source(self, session: RedfishSession, source: Source) -> tuple[Reading, ...]:
        reply = session.get(source.path)
        values = values_of(source.kind, parse_json(reply.body, source.path))
        taken_s = iso_time_s(values.taken_at)
        taken_ns = None if taken_s is None else round(taken_s * 1e9)
        own = [c for c in self.channels if c.group.endswith(f":{source.id}")]
        found = tuple(
            reading(c.id, values.energy_kwh, 1000 * WH_J, sensor_ns=taken_ns)
            if c.kind == "counter"
            else reading(c.id, values.power, sensor_ns=taken_ns)
            for c in own
        )
        why = self._stamps[source.id].why_frozen(values.taken_at)
        if why is None and taken_s is not None and reply.exchange is not None:
            why = _too_old(reply.exchange.remote_s - taken_s, self._max_age_s)
        return unless(why, found)

    def _open(self, argument: Argument) -> Availability:
        self.poll_period_s = argument.seconds("every", _PERIOD_S)
        credentials = load_credentials(argument)
        session = self._session = _session(argument, credentials)
        session.open()
        wanted = argument.choice("source", ("auto", *KINDS), "auto")
        candidates = find_sources(session, argument, wanted)
        self._sources = candidates.chosen
        first = {s.id: values_of(s.kind, session.get_json(s.path)) for s in self._sources}
        detailed = {key: _with_details(session, values) for key, values in first.items()}
        self._max_age_s = argument.seconds(
            "max_age", 5 + 3 * max(v.sensing_s or self.poll_period_s for v in detailed.values())
        )
        self._stamps = {s.id: StampWatch(self._max_age_s) for s in self._sources}
        self.channels = tuple(
            c for s in self._sources for c in _channels(argument, s, first[s.id], detailed[s.id], self.poll_period_s)
        )
        notes = _disagreements(first, candidates.others, session)
        offset = clock_offset(session.exchanges)
        clock = str(offset or "its clock is not told")
        which = ", ".join(f"{s.kind} at {s.path}" for s in self._sources)
        facts = {"source": which, "clock": clock, "others": "; ".join(notes) or "none"}
        reason = "; ".join((f"Redfish {which} of {session.name}", clock, *notes))
        require_value(self.read(), session.name)
        return Availability(state="present", reason=reason, facts=facts)


def _session(argument: Argument, credentials: Credentials) -> RedfishSession:
    auth = argument.choice("auth", ("basic", "session"), "basic")
    scheme: Scheme = "none" if auth == "session" else "bearer" if credentials.token else "basic"
    client: HttpClient = make_client(argument, credentials, scheme)
    return RedfishSession(client, credentials, login=auth == "session")


def _with_details(session: RedfishSession, values: Values) -> Values:
    """Return a metric's values with the facts of the sensor that it is taken from, where that can be read."""
    if values.details is None or not values.details.startswith("/"):
        return values
    try:
        sensor = values_of("sensor", session.get_json(values.details))
    except SensorError:
        return values
    return Values(
        power=values.power,
        sensing_s=sensor.sensing_s,
        averaging_s=sensor.averaging_s,
        accuracy_percent=sensor.accuracy_percent,
        limit_w=values.limit_w or sensor.limit_w,
    )


def _channels(
    argument: Argument, source: Source, values: Values, details: Values, period_s: float
) -> tuple[ChannelRecord, ...]:
    stated = details.accuracy_percent
    said = "its BMC states no accuracy" if stated is None else f"its BMC states +-{stated:g} %, taken as rectangular"
    period = (
        f"update period unpublished, the polls' {period_s:g} s stand for it"
        if details.sensing_s is None
        else f"SensingInterval {details.sensing_s:g} s"
    )
    known = Facts(
        basis=f"{source.kind} at {source.path}; {said}; {period}; lag unpublished (DMTF DSP0266, DSP2046)",
        scope="wall" if source.kind == "power-supply" else "node",
        update_period_s=max(details.sensing_s or 0.0, period_s),  # a value that is not asked for is not seen
        averaging_window_s=details.averaging_s,
        limit_w=details.limit_w,
        accuracy_rel=None if stated is None else stated / 100 / math.sqrt(3),
    )
    power = channel(argument, "power", known, part=source.id, covers=source.covers)
    if not values.has_energy:
        return (power,)
    return power, channel(argument, "counter", known, part=source.id, covers=source.covers)


def _disagreements(first: dict[str, Values], others: tuple[Source, ...], session: RedfishSession) -> list[str]:
    """Return in words what the other sources of the chassis say, where it differs from the one that is used."""
    try:
        used_w = math.fsum(as_number(values.power) for values in first.values())
    except ValueError:
        return []
    notes = []
    for other in others:
        try:
            watts = as_number(values_of(other.kind, session.get_json(other.path)).power)
        except (SensorError, ValueError):
            continue
        if used_w > 0 and abs(watts / used_w - 1) > DISAGREEMENT:
            notes.append(f"{other.kind} at {other.path} says {watts:g} W where this one says {used_w:g} W")
    return notes


def _too_old(age_s: float, max_age_s: float) -> str | None:
    return None if age_s <= max_age_s else f"stale: measured {age_s:.0f} s before it was sent (at most {max_age_s:g} s)"
