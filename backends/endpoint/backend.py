"""The endpoint backend: an inference server somewhere else executes the load; here only requests are made."""

import time
from collections.abc import Callable

import numpy

from wattbench.backends.contract import Availability, Batch, Completion, DeviceInfo, Preparation, Prepared
from wattbench.backends.endpoint.address import target_of
from wattbench.backends.endpoint.client import Client
from wattbench.backends.endpoint.key import load_key
from wattbench.backends.endpoint.probing import server_facts, with_model
from wattbench.backends.endpoint.server_facts import ServerFacts
from wattbench.backends.endpoint.target import Target
from wattbench.backends.traffic import Schedule, Served, lone_calls
from wattbench.models.served import AS_SERVED
from wattbench.results.endpoint_plan import EndpointPlan
from wattbench.results.errors import DeviceError, UsageError
from wattbench.results.subject import BackendRecord, WeightsRecord

__all__ = ["EndpointBackend"]

STUB = "wattbench"
"""What wattbench's own stub calls itself: it waits instead of computing, so its figures are those of a mock."""


class EndpointBackend:
    """Asks one model of one server for everything. It computes nothing and knows no device; the server's is its own."""

    name = "endpoint"

    def __init__(self) -> None:
        self._client: Client | None = None
        self._seed = 0
        self._windows = self._run = 0

    def probe(self) -> Availability:
        """Say that a client needs nothing but a network."""
        return Availability(state="present", reason="asks an inference server; give --endpoint URL")

    def devices(self) -> tuple[DeviceInfo, ...]:
        """Return the one device that a client sees: whatever the server has."""
        return (
            DeviceInfo(
                name="remote",
                description="whatever an inference server runs on",
                memory_bytes=None,
                precisions=(AS_SERVED,),
                precision_default=AS_SERVED,
                power_covers=None,
                computes=False,
            ),
        )

    def prepare(self, preparation: Preparation) -> Prepared:
        """Reach the server, check the model's name, and let it answer some short requests.

        Raises UsageError with the server's list for a model that it lacks, DeviceError when it cannot be reached.
        """
        plan = preparation.endpoint
        if plan is None:
            raise UsageError("The backend 'endpoint' needs an address", "no endpoint is named", "Give --endpoint URL.")
        if preparation.load.shape.turns > 1:
            why = f"{preparation.load.name} has {preparation.load.shape.turns} turns in one execution"
            raise UsageError("An endpoint serves single calls", why, "Use --scenario agentic with a shape of one turn.")
        start = time.perf_counter()
        key = load_key(plan.key_env, plan.key_file)
        target = target_of(plan)
        if plan.model is None:
            target = with_model(target, server_facts(target, key))
        self._client = Client(target, key=key, workers=plan.workers, count=_counter(plan.tokenizer))
        self._seed = preparation.seed
        self._run = time.time_ns()
        reached_s = time.perf_counter() - start
        facts = self._client.probe()
        return Prepared(
            backend=_record(target, plan, facts, preparation),
            weights=_weights(),
            build_s=reached_s,
            first_execution_s=time.perf_counter() - start - reached_s,
        )

    def run(self, batch: Batch) -> Completion:
        """Send the requests of a batch at once and wait for all answers."""
        served = self.serve(_burst(batch))
        failed = next((error for error in served.error if error is not None), None)
        parts = tuple(_completion(served, row) for row in range(len(served)))
        return Completion(
            start_ns=int(served.start_ns.min()),
            first_output_ns=None,
            step_end_ns=(),
            end_ns=int(served.end_ns.max()),
            requests=batch.requests,
            input_tokens=sum(part.input_tokens for part in parts),
            output_tokens=sum(part.output_tokens for part in parts),
            error=failed,
            parts=parts,
        )

    def serve(self, schedule: Schedule) -> Served:
        """Send every call of a schedule when it is due.

        The prompts are new ones in each window and in each run, of the lengths that the schedule has from its seed: a
        server's cache could answer those of an earlier run.

        Raises DeviceError when the server cannot be reached at all.
        """
        if self._client is None:
            raise DeviceError("The endpoint is not prepared", "it was closed or never prepared")
        self._windows += 1
        window = f"{self._seed}-{self._windows}"
        seed = int.from_bytes(
            numpy.random.SeedSequence([self._seed, self._windows, self._run]).generate_state(2).tobytes()
        )
        return self._client.serve(schedule, self._client.prompts(schedule, seed), mark=f"wattbench-{window}")

    def use_workers(self, count: int) -> None:
        """Send the calls of later schedules from so many processes. Raises DeviceError when nothing is prepared."""
        if self._client is None:
            raise DeviceError("The endpoint is not prepared", "it was closed or never prepared")
        self._client.use_workers(count)

    def close(self) -> None:
        """Forget the server."""
        self._client = None


def _counter(folder: str | None) -> Callable[[str], int] | None:
    if folder is None:
        return None
    from wattbench.backends.endpoint.tokenizer import counter_of  # loads transformers

    return counter_of(folder)


def _weights() -> WeightsRecord:
    return WeightsRecord(
        origin="unknown",
        source=AS_SERVED,
        revision=None,
        seed=None,
        distribution="the server's own: a client cannot see them",
        digest=None,
    )


def _record(target: Target, plan: EndpointPlan, facts: ServerFacts, preparation: Preparation) -> BackendRecord:
    server = facts.server or "unnamed server"
    return BackendRecord(
        name="endpoint",
        engine=server,
        versions={},
        device="remote",
        device_name=f"{target.host}:{target.port}",
        precision_requested=preparation.precision,
        precision_effective=AS_SERVED,
        threads=None,
        affinity=None,
        tuning=_tuning(target, facts),
        synchronisation="an answer ends with its last byte, which HTTP or the stream itself marks",
        placement="not known: what an endpoint runs on is its own affair",
        token_source=_token_source(plan, facts),
        memory_peak_bytes=None,
        memory_source="none",
        mock=STUB in server.lower(),
        emulated=False,
        true_device=None,
        served_model=target.model,
    )


def _tuning(target: Target, facts: ServerFacts) -> str:
    if facts.inputs is not None:
        return f"{target.api} whole answers; token ids as {', '.join(tensor.name for tensor in facts.inputs.tensors)}"
    return f"{target.api} {'streaming' if target.stream else 'whole answers'}; {_fixed(facts)}"


def _token_source(plan: EndpointPlan, facts: ServerFacts) -> str:
    if facts.inputs is not None:
        return "the token ids that were sent; the server counts none"
    return "the server's usage" + ("; counted here too" if plan.tokenizer is not None else "")


def _fixed(facts: ServerFacts) -> str:
    return f"answers of fixed length by {', '.join(facts.fixed)}" if facts.fixed else "answers may end early"


def _burst(batch: Batch) -> Schedule:
    """Return the requests of a batch as calls that are all due at once."""
    each = numpy.ones(batch.requests, dtype=numpy.int64)
    tokens_in, tokens_out = batch.input_tokens // batch.requests, batch.output_tokens // batch.requests
    return Schedule(
        **lone_calls(0 * each, tokens_in * each, tokens_out * each),
        open_loop=False,
        in_flight_max=batch.requests,
        issue_until_ns=None,
        give_up_ns=None,
    )


def _completion(served: Served, row: int) -> Completion:
    stamps = served.token_ns[row].tolist()
    return Completion(
        start_ns=int(served.start_ns[row]),
        first_output_ns=stamps[0] if stamps else None,
        step_end_ns=tuple(stamps[1:]),
        end_ns=int(served.end_ns[row]),
        requests=1,
        input_tokens=max(0, int(served.input_tokens[row])),
        output_tokens=max(0, int(served.output_tokens[row])),
        error=served.error[row],
    )
