"""The records of one window of traffic beside its completions: what each call was, the client's health, a search."""

from dataclasses import dataclass

from wattbench.results.checks import require, require_not_negative
from wattbench.results.traffic import ERROR_KINDS, ClientHealth

__all__ = ["Calls", "RateProbe", "RateSearch", "TrafficRecord"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """What is known of each call beside its times and tokens, by column; row i is row i of the completions.

    `call` is its place in the schedule and `session` the chain that it belongs to. `error_kind` is one of
    results.traffic.ERROR_KINDS. `cached_tokens` are those of the prompt that the server had, `own_output_tokens` our
    own count of the answer; `first_answer_ns` is the first token that is no reasoning. `server_*_s` is what the server
    itself says. `fresh` calls opened a connection. None: it does not say, or there is none.
    """

    call: tuple[int, ...]
    session: tuple[int | None, ...]
    error_kind: tuple[str | None, ...]
    first_answer_ns: tuple[int | None, ...]
    cached_tokens: tuple[int | None, ...]
    own_output_tokens: tuple[int | None, ...]
    fresh: tuple[bool, ...]
    server_queue_s: tuple[float | None, ...]
    server_prompt_s: tuple[float | None, ...]
    server_output_s: tuple[float | None, ...]
    server_total_s: tuple[float | None, ...]

    def __post_init__(self) -> None:
        lengths = {len(getattr(self, name)) for name in self.__slots__}
        require(len(lengths) == 1, f"the columns of calls differ in length: {sorted(lengths)}")
        require(all(kind is None or kind in ERROR_KINDS for kind in self.error_kind), "an unknown kind of failure")

    def __len__(self) -> int:
        return len(self.call)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficRecord:
    """One window of traffic: the schedule by its seed and digest, its calls, and how well the client kept up.

    `scheduled` calls were drawn, of which those that a closed loop had no time for were not sent. `rate_per_s` is the
    rate that they were drawn at, None in a closed loop. `query_size` calls in a row were one query (multi-stream).
    `cut_sessions` began, and have calls that were never sent, since the window ended before their turn; `cut_calls` is
    how many calls each of them was to have.
    """

    schedule_digest: str
    seed: int
    scheduled: int
    open_loop: bool
    rate_per_s: float | None
    calls: Calls
    health: ClientHealth
    query_size: int = 1
    cut_sessions: tuple[int, ...] = ()
    cut_calls: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        require_not_negative(scheduled=self.scheduled, rate_per_s=self.rate_per_s)
        require(len(self.cut_sessions) == len(self.cut_calls), "each session that was cut was to have some calls")


@dataclass(frozen=True, slots=True, kw_only=True)
class RateProbe:
    """One rate that a search tried: in which step of it, what was reached, whether the limits held, and why not."""

    rate_per_s: float
    step: str
    seconds: float
    requests: int
    failed: int
    achieved_per_s: float | None
    held: bool
    reason: str

    def __post_init__(self) -> None:
        require_not_negative(rate_per_s=self.rate_per_s, seconds=self.seconds, requests=self.requests)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateSearch:
    """How the highest rate that holds was found: every probe in its order, and the rate (None: none held).

    `failed_per_s` is the lowest rate above it at which the limits did not hold, `ended` why the search ended. `breaks`
    are pairs of rates that contradict each other: the limits held at the second, and not at the first.
    """

    slo: str
    probes: tuple[RateProbe, ...]
    rate_per_s: float | None
    failed_per_s: float | None
    ended: str
    reason: str
    breaks: tuple[tuple[float, float], ...] = ()
