"""What one agentic task costs: many calls, a context that grows, repeated calls, tasks that fail."""

from dataclasses import dataclass

from wattbench.results.checks import require, require_not_negative
from wattbench.results.economics.inputs import CostInputs
from wattbench.results.economics.measured import Measured
from wattbench.results.economics.query import Money, QueryCost, query_cost
from wattbench.results.errors import UsageError

__all__ = ["TaskCost", "TaskShape", "task_cost", "task_queries", "task_shape"]

PURPOSE = "The cost of a task"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskShape:
    """One attempt at a task: `calls` calls, the first with `input_tokens`, each next with `growth_tokens` more.

    Token counts are None where the result does not state them; then every call is one measured query.
    """

    calls: int
    input_tokens: float | None
    output_tokens: float | None
    growth_tokens: float
    cached_share: float
    retry_share: float
    success_share: float
    tools_usd: float

    def __post_init__(self) -> None:
        require(self.calls >= 1, f"a task has at least one call, not {self.calls}")
        require_not_negative(growth_tokens=self.growth_tokens, tools_usd=self.tools_usd)
        require(0 <= self.cached_share <= 1, "cached_share is a share")
        require(0 <= self.retry_share < 1, "retry_share is a share below 1")
        require(0 < self.success_share <= 1, "success_share is a share above 0")

    @property
    def mean_input_tokens(self) -> float | None:
        """Return the input tokens of a call, on the mean of the task."""
        return None if self.input_tokens is None else self.input_tokens + self.growth_tokens * (self.calls - 1) / 2

    @property
    def last_input_tokens(self) -> float | None:
        """Return the input tokens of the last call."""
        return None if self.input_tokens is None else self.input_tokens + self.growth_tokens * (self.calls - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCost:
    """What one successful task costs; `queries` is the machine's time for it, in measured queries.

    `usage` and `reservation` are the machine's and the tools' cost together; the tools' part is `tools_usd`.
    """

    shape: TaskShape
    queries: float
    usage: Money
    reservation: Money | None
    tools_usd: float
    query: QueryCost
    notes: tuple[str, ...]


def task_cost(measured: Measured, inputs: CostInputs) -> TaskCost:
    """Return the cost of a successful task; attempts that fail are paid by those that succeed. Raises UsageError."""
    shape, query = task_shape(measured, inputs), query_cost(measured, inputs)
    queries = task_queries(measured, shape)
    tools_usd = shape.tools_usd / shape.success_share
    return TaskCost(
        shape=shape,
        queries=queries,
        usage=_with_tools(query.usage.times(queries), tools_usd),
        reservation=None if query.reservation is None else _with_tools(query.reservation.times(queries), tools_usd),
        tools_usd=tools_usd,
        query=query,
        notes=(*query.notes, *_notes(measured, shape, inputs)),
    )


def task_shape(measured: Measured, inputs: CostInputs) -> TaskShape:
    """Return the task that the inputs describe; lengths that are not given are the measured ones. Raises UsageError."""
    calls = inputs.number("workload.calls", PURPOSE)
    if calls != int(calls):
        raise UsageError("A task has whole calls", f"workload.calls is {calls:g}", "Give a whole number: --calls N.")
    lengths = [inputs.optional(f"workload.{name}") for name in ("input_tokens", "output_tokens")]
    shape = TaskShape(
        calls=int(calls),
        input_tokens=measured.input_tokens if lengths[0] is None else lengths[0],
        output_tokens=measured.output_tokens if lengths[1] is None else lengths[1],
        growth_tokens=inputs.number("workload.growth_tokens", PURPOSE),
        cached_share=inputs.number("workload.cached_share", PURPOSE),
        retry_share=inputs.number("workload.retry_share", PURPOSE),
        success_share=inputs.number("workload.success_share", PURPOSE),
        tools_usd=inputs.optional("workload.tools_usd") or 0.0,
    )
    same = shape.growth_tokens == 0 and shape.cached_share == 0 and lengths == [None, None]
    if not same and not _phases_known(measured):
        raise UsageError(
            "This result cannot be scaled to calls of other lengths",
            "it does not state its tokens, or what prefill and decode take of the time",
            "Give a task of equal calls (--growth-tokens 0 --cached-share 0, no lengths), or a result of `bench run`.",
        )
    if lengths[1] is not None and measured.output_tokens == 0:
        raise UsageError(
            "This result writes no tokens", f"{measured.load} has no output", "Leave --output-tokens away."
        )
    return shape


def task_queries(measured: Measured, shape: TaskShape) -> float:
    """Return how many measured queries take the machine as long as one successful task.

    calls [s (1 - h) in / in_0 + (1 - s) out / out_0] / (1 - retry) / success, with s prefill's share of a measured
    query's time, in_0 and out_0 its lengths, and `in` the mean over the calls. A token is taken to cost the same time
    in a longer context, so long contexts come out too cheap.
    """
    call = 1.0
    if _phases_known(measured) and shape.mean_input_tokens is not None:
        assert measured.input_tokens is not None, "known phases have tokens"
        share = 1.0 if measured.prefill_share is None else measured.prefill_share
        read = share * (1 - shape.cached_share) * shape.mean_input_tokens / measured.input_tokens
        written = (1 - share) * (shape.output_tokens or 0.0) / measured.output_tokens if measured.output_tokens else 0.0
        call = read + written
    return shape.calls * call / (1 - shape.retry_share) / shape.success_share


def _phases_known(measured: Measured) -> bool:
    if not measured.input_tokens or measured.output_tokens is None:
        return False
    return measured.prefill_share is not None or measured.output_tokens == 0


def _with_tools(machine: Money, tools_usd: float) -> Money:
    """Return the sum with the tools' cost, which is exact."""
    usd = machine.usd + tools_usd
    return Money(usd=usd, u_rel=None if machine.u_rel is None else machine.u_rel * machine.usd / usd if usd else 0.0)


def _notes(measured: Measured, shape: TaskShape, inputs: CostInputs) -> tuple[str, ...]:
    notes = []
    if inputs.optional("workload.tools_usd") is None:
        notes.append("not in this cost, since not given: workload.tools_usd")
    last = shape.last_input_tokens
    if last is not None and measured.input_tokens and last > measured.input_tokens:
        notes.append(
            f"the last call reads {last:,.0f} tokens, {last / measured.input_tokens:.1f} times the measured "
            f"{measured.input_tokens:g}: a token in a longer context takes longer, so this is a lower bound"
        )
    if _phases_known(measured) and measured.prefill_share is not None:
        notes.append("energy follows time: prefill and decode are taken to draw the same power")
    return tuple(notes)
