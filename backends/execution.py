"""Running a batch under the harness's own clock, and refusing a completion that cannot be true."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from wattbench.backends.contract import Backend, Batch, Completion
from wattbench.results.errors import DeviceError

__all__ = ["Executed", "executed", "outside_share"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """A completion between two stamps of the harness's own, in ns of `time.perf_counter_ns`."""

    before_ns: int
    completion: Completion
    after_ns: int

    @property
    def seconds(self) -> float:
        """Return how long the call took, in seconds, whatever the backend says."""
        return (self.after_ns - self.before_ns) / 1e9


def executed(backend: Backend, batch: Batch) -> Executed:
    """Run a batch and return its completion with the harness's stamps around it.

    Raises DeviceError when the completion contradicts the batch (other counts) or the clock (stamps out of order or
    outside the call).
    """
    before_ns = time.perf_counter_ns()
    completion = backend.run(batch)
    after_ns = time.perf_counter_ns()
    if completion.error is None:
        lie = _wrong_times(completion, before_ns, after_ns) or _wrong_counts(completion, batch)
        lie = lie or _wrong_parts(completion, batch)
        if lie is not None:
            raise DeviceError(
                f"The backend {backend.name!r} reports what cannot be", lie, "The backend must be mended."
            )
    return Executed(before_ns=before_ns, completion=completion, after_ns=after_ns)


def outside_share(done: Sequence[Executed]) -> float:
    """Return the share of the calls' time that lies outside the times which the backend reported, 0..1.

    An honest backend leaves the cost of a call; one that stamps too early leaves the work that it hides.
    """
    called = sum(d.after_ns - d.before_ns for d in done)
    reported = sum(d.completion.end_ns - d.completion.start_ns for d in done)
    return max(0.0, 1.0 - reported / called) if called else 0.0


def _wrong_times(c: Completion, before_ns: int, after_ns: int) -> str | None:
    first = () if c.first_output_ns is None else (c.first_output_ns,)
    stamps = (before_ns, c.start_ns, *first, *c.step_end_ns, c.end_ns, after_ns)
    if all(a <= b for a, b in pairwise(stamps)):
        return None
    return "its stamps are not in the order call <= start <= first token <= later tokens <= end <= return"


def _wrong_counts(c: Completion, batch: Batch) -> str | None:
    wanted = (batch.requests, batch.input_tokens, batch.output_tokens)
    said = (c.requests, c.input_tokens, c.output_tokens)
    if said != wanted:
        return f"it was given (requests, tokens in, tokens out) = {wanted} and reports {said}"
    if c.parts:
        return None
    steps = 0 if c.first_output_ns is None else len(c.step_end_ns) + 1
    if steps * batch.requests != batch.output_tokens:
        return f"it stamped {steps} tokens a request for {batch.output_tokens} tokens out of {batch.requests} requests"
    return None


def _wrong_parts(c: Completion, batch: Batch) -> str | None:
    """Return what is wrong with the completions of single requests: they are whole, and lie within the batch's."""
    if not c.parts:
        return None
    if len(c.parts) != batch.requests or any(part.requests != 1 or part.parts for part in c.parts):
        return f"it was given {batch.requests} requests and reports {len(c.parts)} on their own"
    counts = tuple(sum(getattr(part, name) for part in c.parts) for name in ("input_tokens", "output_tokens"))
    if counts != (batch.input_tokens, batch.output_tokens):
        return f"its requests' tokens in and out add up to {counts}"
    for part in c.parts:
        steps = 0 if part.first_output_ns is None else len(part.step_end_ns) + 1
        if part.error is None and steps != part.output_tokens:
            return f"it stamped {steps} tokens of a request that has {part.output_tokens}"
        if lie := _wrong_times(part, c.start_ns, c.end_ns):
            return f"of one of its requests {lie}"
    return None
