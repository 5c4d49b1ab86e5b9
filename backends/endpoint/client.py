"""The client of one endpoint: what it is, and how it serves a schedule, in this process or in several."""

import time
from collections.abc import Callable, Sequence

from wattbench.backends.endpoint.bodies import requests_of
from wattbench.backends.endpoint.collect import collect
from wattbench.backends.endpoint.crew import Crew
from wattbench.backends.endpoint.key import Key
from wattbench.backends.endpoint.kserve import ids_of
from wattbench.backends.endpoint.loop import Loop
from wattbench.backends.endpoint.loop_records import Peer
from wattbench.backends.endpoint.probing import negotiated, server_facts
from wattbench.backends.endpoint.prompts import prompts_of
from wattbench.backends.endpoint.reaching import resolve, tls_context
from wattbench.backends.endpoint.server_facts import ServerFacts
from wattbench.backends.endpoint.target import Target
from wattbench.backends.traffic import Schedule, Served

__all__ = ["Client"]

START_NS = 20_000_000
"""A window starts so long after everything is ready."""


class Client:
    """One model of one endpoint. `probe` asks it what it is; `serve` may be called as often as wanted.

    `count` counts the tokens of a text by a tokenizer of our own; without it the server's count stands alone.
    """

    def __init__(
        self, target: Target, *, key: Key | None = None, workers: int = 1, count: Callable[[str], int] | None = None
    ) -> None:
        self.target = target
        self._key = key or Key()
        self._workers = workers
        self._count = count
        self._facts: ServerFacts | None = None

    def use_workers(self, count: int) -> None:
        """Send the calls of later schedules from so many processes, fewer where they cannot be shared out so far."""
        self._workers = count

    def probe(self) -> ServerFacts:
        """Return what the server says of itself and how it counts, asked once.

        Raises DeviceError when it cannot be reached, refuses the key or answers nothing, UsageError with its list for
        a model that it lacks.
        """
        if self._facts is None:
            facts = server_facts(self.target, self._key)
            self._facts = negotiated(self.target, self._key, facts)
        return self._facts

    def prompts(self, schedule: Schedule, seed: int) -> list[str]:
        """Return a prompt for each call, as long as the schedule wants it by the server's own count.

        For KServe it is the token ids. Raises UsageError for a length that its model does not take.
        """
        facts = self.probe()
        if facts.inputs is not None:
            return ids_of(schedule, seed, facts.inputs)
        return prompts_of(schedule, seed, facts.lengths)

    def serve(self, schedule: Schedule, prompts: Sequence[str], *, mark: str = "wattbench") -> Served:
        """Send every call of a schedule when it is due, and return when the last has ended or was given up.

        Raises DeviceError when the server cannot be reached at all.
        """
        facts = self.probe()
        requests = requests_of(
            self.target, schedule, prompts, key=self._key, fixed=facts.fixed, mark=mark, inputs=facts.inputs
        )
        return self.serve_bytes(schedule, requests)

    def serve_bytes(self, schedule: Schedule, requests: Sequence[bytes]) -> Served:
        """Serve a schedule with requests that are ready; see `serve`."""
        peer = self._peer()
        if self._workers > 1:
            with Crew(peer, self.target, schedule, requests, self._workers) as crew:
                logs = crew.run()
        else:
            loop = Loop(peer, schedule, requests)
            loop.make_ready()
            logs = [loop.run(time.perf_counter_ns() + START_NS)]
        return collect(logs, scrub=self._key.scrub, count=self._count)

    def _peer(self) -> Peer:
        return Peer(
            address=resolve(self.target),
            host=self.target.host,
            context=tls_context(self.target),
            stream=self.target.stream,
            timeout_ns=round(self.target.timeout_s * 1e9),
            keep_text=self._count is not None,
            reuses=self.probe().reuses,
        )
