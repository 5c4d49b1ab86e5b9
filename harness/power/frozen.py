"""Whether a sensor froze in a run: it repeats one value though its own earlier values say that it should change."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Literal

from wattbench.harness.power.observing import CHANGES_MIN, observed_period
from wattbench.harness.power.series import Series, series_of
from wattbench.results.energy import ChannelRecord, Polls
from wattbench.results.measurement import Window

__all__ = ["frozen_facts"]

State = Literal["idle", "load"]

INTERVALS = 20
"""A stretch of so many mean intervals between changes: by chance (Poisson) exp(-20), 2 in 1000 million (our choice)."""

LONGEST = 5
"""And of so many of the longest stretches before it, for real changes come in bursts (our choice)."""

FLOOR_S = 2.0
"""And of so many seconds: a driver that hangs for less is a gap in the watts that the windows can bear (our choice)."""

STEPS = 4
"""Noise of so many steps of the sensor: one whose noise is a step or two may rest in the middle of a step."""

LEVELS = 10
"""And over so many different values: two coarse factors (voltage, current) make few, however fine their products."""

PERIODS = 5
UNKNOWN_PERIOD_S = 12.0
"""An edge counts once so many update periods have gone by; plugs and controllers that state none take up to 10 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stretch:
    """Equal values in a row: from the first of them to the next change, and how much of it in each state, in s."""

    value: float
    first_ns: int
    last_ns: int
    held_s: dict[State, float]
    changed_in: State | None
    """The state in which the value changed at its end, None: between states, or not at all."""


@dataclass(slots=True, kw_only=True)
class _Past:
    """What a channel did in one state so far."""

    changes: int = 0
    held_s: float = 0.0
    longest_s: float = 0.0
    steps: list[float] = field(default_factory=list)
    values: set[float] = field(default_factory=set)

    @property
    def interval_s(self) -> float:
        return self.held_s / self.changes

    def is_noisy(self, step: float) -> bool:
        """Return whether its noise is so much wider than its steps that equal values in a row are chance."""
        return len(self.values) >= LEVELS and median(self.steps) >= STEPS * step


def frozen_facts(
    channel: ChannelRecord, polls: Sequence[Polls], idle: Sequence[Window], load: Sequence[Window]
) -> str | None:
    """Return, in words, where a channel repeated one value too long, or None; `idle` and `load` are what ran when.

    Two tests, either of which is enough, both against what the channel did earlier in the same run: its changes under
    a like load, and the edges between idle and load that it showed. Only measured values of scopes that stand in the
    ladder are judged; a counter, which can never rest, by its changes alone.
    """
    if channel.scope == "other" or channel.kind == "model" or channel.provenance in ("modelled", "declared"):
        return None
    series = series_of(channel, polls)
    stretches = tuple(_stretches(series, idle, load))
    return _against_changes(series, stretches) or _against_edges(series, stretches, idle, load)


def _stretches(series: Series, idle: Sequence[Window], load: Sequence[Window]) -> Iterator[_Stretch]:
    """Yield the stretches of equal values; of a gap in the log no more than three polls count as seen."""
    times, values = series.times_ns, series.values
    states = tuple(_states(times, idle, load))
    seen_ns = 3 * series.spacing_s * 1e9
    first = 0
    held: dict[State, float] = {"idle": 0.0, "load": 0.0}
    for i, value in enumerate(values):
        last = i + 1 == len(values)
        state = None if last or states[i] != states[i + 1] else states[i]
        if state is not None:
            held[state] += min(times[i + 1] - times[i], seen_ns) / 1e9
        if last or values[i + 1] != value:
            end_ns = times[i] if last else times[i + 1]
            yield _Stretch(value=value, first_ns=times[first], last_ns=end_ns, held_s=held, changed_in=state)
            first, held = i + 1, dict.fromkeys(held, 0.0)


def _states(times_ns: Sequence[int], idle: Sequence[Window], load: Sequence[Window]) -> list[State | None]:
    found: list[State | None] = [None] * len(times_ns)
    spans: list[tuple[State, Window]] = [*(("idle", w) for w in idle), *(("load", w) for w in load)]
    for state, window in spans:
        for i in range(bisect_left(times_ns, window.start_ns), bisect_left(times_ns, window.end_ns)):
            found[i] = state
    return found


def _against_changes(series: Series, stretches: Sequence[_Stretch]) -> str | None:
    """Return the first stretch that is far longer than all before it in its state.

    Under load the changes in idle stand in as long as there are too few of its own: no load is quieter than idle.
    """
    step = None if series.channel.kind == "counter" else _step(series)
    past: dict[State, _Past] = {"idle": _Past(), "load": _Past()}
    for number, stretch in enumerate(stretches):
        own = past["load"] if past["load"].changes >= CHANGES_MIN else past["idle"]
        judged: tuple[tuple[State, _Past], ...] = (("load", own), ("idle", past["idle"]))
        for state, known in judged:
            held_s = stretch.held_s[state]
            if number and _is_too_long(held_s, known, series.channel.update_period_s or 0.0, step):
                where = "under load" if state == "load" else "in idle windows"
                before = f"it had changed {known.changes} times before, every {known.interval_s:.2g} s on average"
                return f"{_repeats(series, stretch)}, {held_s:.3g} s of it {where}; {before}"
        for state, log in past.items():
            log.held_s += stretch.held_s[state]
            log.longest_s = max(log.longest_s, stretch.held_s[state])
        if stretch.changed_in is not None:
            log = past[stretch.changed_in]
            log.changes += 1
            log.steps.append(abs(stretches[number + 1].value - stretch.value))
            log.values.add(stretch.value)
    return None


def _is_too_long(held_s: float, past: _Past, period_s: float, step: float | None) -> bool:
    if past.changes < CHANGES_MIN or held_s < max(FLOOR_S, PERIODS * period_s):
        return False
    if held_s < max(INTERVALS * past.interval_s, LONGEST * past.longest_s):
        return False
    return step is None or past.is_noisy(step)


def _step(series: Series) -> float:
    """Return the least step of a channel's values: as stated, by their decimals, or the least difference of two."""
    least = min((b - a for a, b in pairwise(sorted(set(series.values)))), default=0.0)
    return max(_written_step(series), least)


def _written_step(series: Series) -> float:
    """Return the step of the last digit that the values have, or the stated resolution where it is coarser."""
    values = set(series.values)
    decimals = next((d for d in range(7) if all(abs(v - round(v, d)) < 1e-9 for v in values)), 7)
    return max(series.channel.resolution or 0.0, 10.0**-decimals)


def _against_edges(
    series: Series, stretches: Sequence[_Stretch], idle: Sequence[Window], load: Sequence[Window]
) -> str | None:
    """Return the first edge of the load that passed without a change after one that the values had shown."""
    if series.channel.kind == "counter":
        return None
    marked = [(w, "idle") for w in idle] + [(w, "load") for w in load]
    ordered = sorted(marked, key=lambda m: m[0].start_ns)
    step = _written_step(series)
    period_s = series.channel.update_period_s or observed_period(series).period_s or UNKNOWN_PERIOD_S
    moved: tuple[float, float] | None = None
    for (before, state), (after, next_state) in pairwise(ordered):
        if state == next_state:
            continue
        one, two = series.between(before.start_ns, before.end_ns), series.between(after.start_ns, after.end_ns)
        if not one.values or not two.values:
            continue
        stretch = _over(stretches, one.times_ns[-1], two.times_ns[-1])
        waited = (after.end_ns - before.end_ns) / 1e9 >= PERIODS * period_s
        if moved is not None and stretch is not None and waited:
            edge = "ended" if next_state == "idle" else "began"
            earlier = f"at an edge before it had moved from {moved[0]:g} to {moved[1]:g} {series.channel.unit}"
            return f"{_repeats(series, stretch)}, though the load {edge} meanwhile; {earlier}"
        if _apart(one.values, two.values) >= STEPS * step:
            moved = one.values[-1], two.values[-1]
    return None


def _over(stretches: Sequence[_Stretch], first_ns: int, last_ns: int) -> _Stretch | None:
    """Return the stretch that spans both instants, unless it is the log's first: nothing had changed before it."""
    i = bisect_right(stretches, first_ns, key=lambda s: s.first_ns) - 1
    final = i == len(stretches) - 1
    reaches = i > 0 and (stretches[i].last_ns >= last_ns if final else stretches[i].last_ns > last_ns)
    return stretches[i] if reaches else None


def _apart(one: Sequence[float], two: Sequence[float]) -> float:
    """Return how far two sets of values lie apart, 0 where they overlap."""
    return max(min(two) - max(one), min(one) - max(two), 0.0)


def _repeats(series: Series, stretch: _Stretch) -> str:
    first_s, last_s = stretch.first_ns / 1e9, stretch.last_ns / 1e9
    unit = series.channel.unit
    return f"{series.channel.id} gave {stretch.value:g} {unit} from {first_s:.1f} to {last_s:.1f} s without a change"
