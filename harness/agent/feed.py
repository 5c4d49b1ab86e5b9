"""The agent's polling: the recorder of a run over this machine's samplers, emptied into a ring time and again."""

import threading
import time
import uuid
from collections.abc import Sequence
from importlib.metadata import version

from wattbench.harness.agent.ring import Ring, rows_of
from wattbench.harness.cpu_facts import collect_cpu
from wattbench.harness.host_facts import collect_host
from wattbench.harness.power.agent_wire import PROTOCOL, REPLY_ROWS, AgentClock, AgentFacts, AgentPolls
from wattbench.harness.power.recorder import Recorder
from wattbench.harness.power.select import Selection

__all__ = ["Feed", "machine_facts"]

_EMPTY_S = 0.1
"""How often the recorder is emptied, so that neither its log grows nor an answer has much to sort."""


class Feed:
    """Polls the opened samplers from `start` to `close`, and answers what a client may ask."""

    def __init__(self, selection: Selection, rate_hz: float, ring: Ring | None = None) -> None:
        self._selection = selection
        self._rate_hz = rate_hz
        self._ring = Ring() if ring is None else ring
        self._boot = uuid.uuid4().hex
        self._machine = machine_facts()
        self._recorder = Recorder(selection.samplers, rate_hz)
        self._numbers = {channel.id: number for number, channel in enumerate(selection.channels)}
        self._stop = threading.Event()
        self._emptying = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start polling."""
        self._recorder.start()
        self._thread = threading.Thread(target=self._run, name="agent-ring", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop polling and release the samplers; never hangs, safe to call twice."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2 * _EMPTY_S)
        self._recorder.stop()

    def facts(self) -> AgentFacts:
        """Return what this agent has."""
        return AgentFacts(
            protocol=PROTOCOL,
            boot=self._boot,
            version=version("wattbench"),
            rate_hz=self._rate_hz,
            depth_rows=self._ring.depth,
            next=self._ring.next,
            machine=self._machine,
            channels=self._selection.channels,
        )

    def clock(self, received_ns: int) -> AgentClock:
        """Return the clock, for a question that was received at an instant of it."""
        return AgentClock(boot=self._boot, received_ns=received_ns, sent_ns=time.perf_counter_ns())

    def polls(self, received_ns: int, after: int | None) -> AgentPolls:
        """Return the rows from a number on, the latest included; None of them for None, which asks where they begin."""
        self._empty()
        found = self._ring.since(self._ring.next if after is None else after, REPLY_ROWS)
        return AgentPolls(
            boot=self._boot,
            received_ns=received_ns,
            next=found.next,
            lost=found.lost,
            more=found.more,
            rows=found.rows,
            sent_ns=time.perf_counter_ns(),
        )

    def _run(self) -> None:
        while not self._stop.wait(_EMPTY_S):
            self._empty()

    def _empty(self) -> None:
        with self._emptying:
            for polls in self._recorder.drain():
                self._ring.extend(tuple(rows_of(self._numbers[polls.channel], polls)))


def machine_facts() -> dict[str, str]:
    """Return what this machine is, in words: what is not known is left out."""
    host, cpu = collect_host(), collect_cpu()
    found: Sequence[tuple[str, str | None]] = (("machine", host.machine), ("cpu", cpu.model), ("os", host.os))
    return {name: word for name, word in found if word}
