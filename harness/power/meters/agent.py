"""The agent sampler: a serving host's channels, polled there by `bench agent` and placed on the run's clock here."""

import threading
from dataclasses import replace
from typing import TypeVar

from wattbench.harness.power.agent_wire import PORT, PROTOCOL, AgentClock, AgentFacts, AgentPolls, Row
from wattbench.harness.power.contract import Availability, ChannelRecord, Reading, SamplerOptions
from wattbench.harness.power.hosts import SAMPLER, at_host
from wattbench.harness.power.meters.argument import Argument, parse_argument
from wattbench.harness.power.meters.channels import absent, broken
from wattbench.harness.power.meters.credentials import load_credentials
from wattbench.harness.power.meters.http_client import HTTP_KEYS, HttpClient, Reply, make_client
from wattbench.harness.power.meters.remote_line import ClockLine, Roundtrip
from wattbench.harness.power.meters.values import parse_json
from wattbench.harness.power.series import GAP_FLOOR_S
from wattbench.results.codec import decode
from wattbench.results.errors import DocumentError, SensorError, WattbenchError
from wattbench.results.remote_clock import RemoteClock

__all__ = ["AgentSampler"]

_Answer = TypeVar("_Answer", AgentFacts, AgentClock, AgentPolls)

_TRIPS = 16
"""So many exchanges place the clock at the start: the least of them is what counts."""

_BOUND_FLOOR_S = 0.005
"""No clock is stated better than this: the way there grows under load, and the bound must hold until the run's end."""

_BOUND_FACTOR = 4
"""What is stated of the clock's bound, as a multiple of the one at the start: room for a way that becomes slower."""

_REPLIES = 8
"""The most answers that one read fetches: what an agent keeps does not fit into more than a few of them."""


class AgentSampler:
    """Reads `HOST[:PORT][,credentials=FILE][,clock=S]`: every channel that `bench agent` polls on a serving host.

    The agent stamps each poll with its own clock; every answer brings that clock's time too, which places the poll on
    ours. A value that cannot be placed within the stated bound (`clock`, in seconds) is logged as missing, and so is
    what the agent no longer kept, and all that a restarted agent says: a hole is told, never bridged.
    """

    name = SAMPLER
    poll_period_s = 0.25

    def __init__(self, options: SamplerOptions) -> None:
        self._text = options.argument
        self._client: HttpClient | None = None
        self._label = ""
        self._boot = ""
        self._next: int | None = None
        self._line = ClockLine()
        self._lock = threading.Lock()
        self._bound_s = self._worst_s = 0.0
        self._remote: tuple[str, ...] = ()
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Availability:
        """Ask the agent what it has, and place its clock."""
        self.close()
        if self._text is None:
            return absent(self.name, "an agent on a serving host")
        try:
            return self._open(parse_argument(self.name, self._text, ("clock", *HTTP_KEYS)))
        except WattbenchError as exc:
            self.close()
            return broken(exc)

    def read(self) -> tuple[Reading, ...]:
        """Return what the agent has polled since the last read; nothing at the first, which marks the beginning.

        Raises SensorError when it does not answer, or is not the one that was probed.
        """
        if self._client is None:
            raise SensorError("Cannot read the agent", "it is closed")
        if self._next is None:
            self._next = self._polls("").next
            return ()
        readings: list[Reading] = []
        for _ in range(_REPLIES):
            found = self._polls(f"?after={self._next}")
            readings += self._lost(found.lost) + [self._reading(row) for row in found.rows]
            self._next = found.next
            if not found.more:
                break
        return tuple(readings)

    def remote_clock(self) -> RemoteClock | None:
        """Return how the agent's clock stood so far."""
        with self._lock:
            line = self._line
            if line.least_ns is None:
                return None
            drift = line.drift()
            return RemoteClock(
                source=self._label,
                boot=self._boot,
                exchanges=line.exchanges,
                least_round_trip_s=line.least_ns / 1e9,
                offset_s=line.offset_ns() / 1e9,
                bound_s=line.bound_ns() / 1e9,
                worst_bound_s=self._worst_s or None,
                drift_ppm=None if drift is None else drift.ppm,
                drift_bound_ppm=None if drift is None else drift.bound_ppm,
                steps=line.steps,
            )

    def close(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _open(self, argument: Argument) -> Availability:
        self.poll_period_s = argument.seconds("every", type(self).poll_period_s)
        stated_s = argument.seconds("clock", 0.0) or None
        self._label = argument.label
        credentials = load_credentials(argument)
        client = self._client = make_client(_with_port(argument), credentials, "bearer")
        facts = _facts(client)
        self._boot, self._next, self._line = facts.boot, None, ClockLine()
        for _ in range(_TRIPS):
            reply = client.get("/v1/clock")
            self._exchange(reply, _decoded(client, reply, AgentClock))
        self._line.settle()
        bound_s = self._line.bound_ns() / 1e9
        self._bound_s = stated_s or max(_BOUND_FLOOR_S, _BOUND_FACTOR * bound_s)
        if bound_s > self._bound_s:
            raise argument.wrong("clock", f"its clock can be placed within {bound_s:.3g} s at best over this network")
        self._remote = tuple(f"{self.name}:{self._label}:{c.id}" for c in facts.channels)
        self.channels = tuple(self._channel(c, facts.rate_hz, argument) for c in facts.channels)
        offset = f"its clock minus ours is {self._line.offset_ns() / 1e9:+.6f} s within {1e3 * bound_s:.3g} ms"
        machine = ", ".join(facts.machine.values()) or "a machine that it does not describe"
        reason = f"{client.name}: {machine}; channels: {len(self.channels)}, at {facts.rate_hz:g} Hz; {offset}"
        return Availability(state="present", reason=reason, facts={"boot": facts.boot, "wattbench": facts.version})

    def _channel(self, channel: ChannelRecord, rate_hz: float, argument: Argument) -> ChannelRecord:
        """Return a channel of the agent's under the host's name; it is polled no faster than the agent does."""
        period_s = channel.update_period_s
        if period_s is not None or 3 / rate_hz > GAP_FLOOR_S:
            period_s = max(period_s or 0.0, 1 / rate_hz)
        return replace(
            channel,
            id=f"{self.name}:{self._label}:{channel.id}",
            group=f"{self.name}:{self._label}:{channel.group}",
            sampler=self.name,
            covers=at_host(argument.options.get("covers") or channel.covers, self._label),
            update_period_s=period_s,
            buffered=True,
            clock_bound_s=self._bound_s,
        )

    def _polls(self, query: str) -> AgentPolls:
        """Ask for polls and take in the clock of the answer. Raises SensorError for another agent's."""
        assert self._client is not None
        reply = self._client.get(f"/v1/polls{query}")
        found = _decoded(self._client, reply, AgentPolls)
        if found.boot != self._boot:
            why = "it was started anew since the run began, so that its clock and its counters are others"
            raise SensorError(f"{self._client.name} is not the agent that it was", why, "Measure again.")
        jump_ns = self._exchange(reply, found)
        if jump_ns is not None:
            self._next = found.next
            why = f"it moved by {jump_ns / 1e9:+.3f} s against ours; was its machine suspended?"
            raise SensorError(f"The clock of {self._client.name} jumped", why, "Measure again.")
        return found

    def _exchange(self, reply: Reply, clock: AgentClock | AgentPolls) -> int | None:
        trip = Roundtrip(
            sent_ns=reply.sent_ns,
            received_ns=reply.received_ns,
            remote_received_ns=clock.received_ns,
            remote_sent_ns=clock.sent_ns,
        )
        try:
            with self._lock:
                return self._line.add(trip)
        except ValueError as exc:
            raise SensorError(f"The clock of {self._label} cannot be followed", str(exc), "Measure again.") from None

    def _lost(self, count: int) -> list[Reading]:
        if not count:
            return []
        error = f"{count} polls were lost: the agent no longer kept them when they were asked for"
        return [Reading(channel=name, value=None, error=error) for name in self._remote]

    def _reading(self, row: Row) -> Reading:
        """Return a row as a reading: where it stands on our clock, or why it cannot be placed."""
        number, before_ns, after_ns, value, stamp_ns, error = row
        if not 0 <= number < len(self._remote):
            raise SensorError(f"{self._label} names a channel that it does not have", f"number {number}")
        name = self._remote[number]
        remote_ns = (before_ns + after_ns) // 2 if stamp_ns is None else stamp_ns
        taken_ns = remote_ns - self._line.offset_ns()
        if value is None:
            return Reading(channel=name, value=None, sensor_ns=remote_ns, taken_ns=taken_ns, error=error)
        bound_s = self._line.bound_ns(taken_ns) / 1e9
        if bound_s > self._bound_s:
            why = f"the agent's clock is known within {bound_s:.3g} s, {self._bound_s:.3g} s is stated (clock=S)"
            return Reading(channel=name, value=None, sensor_ns=remote_ns, taken_ns=taken_ns, error=why)
        self._worst_s = max(self._worst_s, bound_s)
        return Reading(channel=name, value=value, sensor_ns=remote_ns, taken_ns=taken_ns, error=error)


def _with_port(argument: Argument) -> Argument:
    """Return the argument with the agents' port where its address names none."""
    scheme, _, rest = argument.address.rpartition("://")
    if rest.rpartition("]")[2].count(":") or "/" in rest:
        return argument
    return replace(argument, address=f"{scheme or 'http'}://{rest}:{PORT}")


def _facts(client: HttpClient) -> AgentFacts:
    """Return what an agent says of itself. Raises SensorError for anything that is no agent, or has nothing to say."""
    reply = client.get("/v1/facts")
    try:
        found = parse_json(reply.body, client.name)
    except SensorError as exc:
        raise SensorError(f"{client.name} is no agent", exc.why, _OTHER) from None
    protocol = found.get("protocol")
    if "boot" not in found or not isinstance(protocol, int):
        raise SensorError(f"{client.name} is no agent", "its answer lacks what an agent says", _OTHER)
    if protocol != PROTOCOL:
        why = f"it speaks version {protocol} of the agents' protocol, this wattbench version {PROTOCOL}"
        raise SensorError(f"{client.name} is of another version", why, "Install one version on both machines.")
    facts = _decoded(client, reply, AgentFacts)
    if not facts.channels:
        raise SensorError(f"{client.name} reads nothing", "it has no channel", "See bench doctor on that machine.")
    return facts


def _decoded(client: HttpClient, reply: Reply, wanted: type[_Answer]) -> _Answer:
    """Return an answer as its record. Raises SensorError for one that is none."""
    try:
        return decode(parse_json(reply.body, client.name), wanted)
    except DocumentError as exc:
        why = f"its answer is not understood: {exc.what}: {exc.why}"
        raise SensorError(f"{client.name} speaks otherwise", why, "Install one version on both machines.") from None


_OTHER = "Name the host and port that bench agent shows when it starts (docs/agent.md)."
