"""The recorder: deadlines, the log, slow and broken samplers."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from records import PLAIN_POWER

from wattbench.harness.power.contract import Availability, Block, Reading
from wattbench.harness.power.recorder import MonotonicClock, Recorder
from wattbench.harness.power.track import Track
from wattbench.results.energy import ChannelRecord
from wattbench.results.errors import SensorError

MS = 1_000_000
SECOND = 1000 * MS
ORIGIN = 7 * SECOND

COUNTER = replace(PLAIN_POWER, id="fake:counter", kind="counter", unit="J")


class HandTurnedClock:
    """Jumps to each deadline at once until `end_ns`, then waits for the stop."""

    def __init__(self, end_ns: int) -> None:
        self.ns = ORIGIN
        self.end_ns = ORIGIN + end_ns
        self.ended = threading.Event()

    def now_ns(self) -> int:
        """Return the time on the dial."""
        return self.ns

    def wait_until(self, deadline_ns: int, stop: threading.Event) -> bool:
        """Turn the dial to the deadline, or wait for the stop at its end."""
        if deadline_ns > self.end_ns:
            self.ended.set()
            return stop.wait(30)
        self.ns = max(self.ns, deadline_ns)
        return stop.is_set()


class FakeSampler:
    """Reads what a function gives."""

    name = "fake"

    def __init__(
        self, read: Callable[[], tuple[Reading, ...]], channels: tuple[ChannelRecord, ...] = (PLAIN_POWER,)
    ) -> None:
        self.channels = channels
        self._read = read
        self.closed = threading.Event()

    def probe(self) -> Availability:
        """Be present."""
        return Availability(state="present", reason="fake")

    def read(self) -> tuple[Reading, ...]:
        """Give what the function gives."""
        return self._read()

    def close(self) -> None:
        """Note that it was closed."""
        self.closed.set()


def steady() -> tuple[Reading, ...]:
    """Read 300 W."""
    return (Reading(channel=PLAIN_POWER.id, value=300.0, sensor_ns=5),)


def recorded(sampler: FakeSampler, end_ns: int = SECOND, rate_hz: float = 20) -> tuple[Recorder, HandTurnedClock]:
    """Record one sampler from 0 to `end_ns`."""
    clock = HandTurnedClock(end_ns)
    recorder = Recorder([sampler], rate_hz, clock=clock, origin_ns=ORIGIN)
    recorder.start()
    assert clock.ended.wait(30)
    recorder.stop(30)
    return recorder, clock


def test_polls_lie_on_absolute_deadlines() -> None:
    """At 20 Hz the n-th poll is at n x 50 ms, relative to the run's origin, and none is thrown away."""
    polls = recorded(FakeSampler(steady))[0].polls()[0]

    assert tuple(n * 50 * MS for n in range(21)) == polls.before_ns
    assert (300.0,) * 21 == polls.value
    assert ((5,) * 21, 0) == (polls.sensor_ns, polls.sensor_origin_us)


def test_missed_deadlines_are_skipped_not_made_up() -> None:
    """A read that takes 120 ms misses two deadlines; the next poll is at the third, not in a burst."""
    clock = HandTurnedClock(SECOND)

    def slow() -> tuple[Reading, ...]:
        clock.ns += 120 * MS
        return (Reading(channel=PLAIN_POWER.id, value=1.0),)

    track = Track(FakeSampler(slow), 20, clock, ORIGIN)
    stop = threading.Event()
    thread = threading.Thread(target=track.run, args=(stop,))
    thread.start()
    assert clock.ended.wait(30)
    stop.set()
    thread.join(30)
    polls = track.polls()[0]

    assert (0, 150 * MS, 300 * MS) == polls.before_ns[:3]
    assert 120 * MS == polls.after_ns[0] - polls.before_ns[0]
    assert polls.sensor_ns is None


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (SensorError("Gone", "unplugged"), "Gone: unplugged"),
        (SensorError("Gone"), "Gone"),
        (OSError("io"), "OSError: io"),
    ],
)
def test_a_failing_read_is_a_row_with_its_cause(error: Exception, cause: str) -> None:
    """Whatever a sampler raises is logged as a missing value, and polling goes on."""

    def fails() -> tuple[Reading, ...]:
        raise error

    recorder, _ = recorded(FakeSampler(fails))
    polls, health = recorder.polls()[0], recorder.health()[0]

    assert (None,) * 21 == polls.value
    assert cause == polls.errors["0"]
    assert (21, 21, None, False) == (health.polls, health.failed, health.max_gap_s, health.silent)


@pytest.mark.parametrize(
    ("reading", "cause"),
    [
        (Reading(channel=PLAIN_POWER.id, value=None, error="N/A"), "N/A"),
        (Reading(channel=PLAIN_POWER.id, value=None), "no value and no cause"),
        (Reading(channel=PLAIN_POWER.id, value=float("nan")), "gave nan"),
        (Reading(channel="another", value=1.0), "left this channel out"),
    ],
)
def test_a_value_that_is_none_or_no_number_is_missing(reading: Reading, cause: str) -> None:
    """N/A and NaN are never zero: they are missing, with the cause beside them."""
    polls = recorded(FakeSampler(lambda: (reading,)))[0].polls()[0]

    assert polls.value[0] is None
    assert cause in polls.errors["0"]


def test_one_failing_channel_does_not_cost_the_other() -> None:
    """The counter stays when the power field fails."""

    def half() -> tuple[Reading, ...]:
        return (Reading(channel=COUNTER.id, value=1.0), Reading(channel=PLAIN_POWER.id, value=None, error="N/A"))

    counter, power = recorded(FakeSampler(half, (COUNTER, PLAIN_POWER)))[0].polls()

    assert (1.0, None) == (counter.value[0], power.value[0])


def test_health_tells_rate_and_gap() -> None:
    """A sampler that keeps its rate shows it; a share of a core is measured."""
    health = recorded(FakeSampler(steady))[0].health()[0]

    assert (20.0, 20.0, 21, 0, 0.05) == (
        health.asked_rate_hz,
        health.reached_rate_hz,
        health.polls,
        health.failed,
        health.max_gap_s,
    )
    assert health.cpu_share is not None


def test_a_hanging_sampler_stalls_nobody() -> None:
    """A read that never returns costs its own log only; stopping does not wait for it and marks it silent."""
    release, entered, seen = threading.Event(), threading.Event(), threading.Event()

    def hangs() -> tuple[Reading, ...]:
        entered.set()
        release.wait(30)
        return steady()

    def quick() -> tuple[Reading, ...]:
        seen.set()
        return steady()

    stuck, good = FakeSampler(hangs), FakeSampler(quick)
    recorder = Recorder([stuck, good], 200)
    recorder.start()
    assert entered.wait(30)
    assert seen.wait(30)
    recorder.stop(0.1)
    health, polls = recorder.health(), recorder.polls()
    release.set()

    assert (True, False) == (health[0].silent, health[1].silent)
    assert (0, True) == (len(polls[0].value), len(polls[1].value) > 0)


def test_a_read_that_is_out_too_long_is_silent_while_running() -> None:
    """Before the stop a sampler shows as silent when its read has been out for more than a second."""
    clock = HandTurnedClock(SECOND)
    health = []

    def out() -> tuple[Reading, ...]:
        clock.ns += 2 * SECOND
        health.append(track.health())
        return steady()

    track = Track(FakeSampler(out), 20, clock, ORIGIN)
    track.poll()

    assert (True, False) == (health[0].silent, track.health().silent)


def test_a_late_answer_is_not_logged_after_the_stop() -> None:
    """What comes back after the log was closed is dropped."""
    track = Track(FakeSampler(steady), 20, HandTurnedClock(SECOND), ORIGIN)
    track.seal(hung=True)
    track.poll()

    assert () == track.polls()[0].value


def test_samplers_are_closed_by_their_own_thread() -> None:
    """After the stop every sampler is closed; one that cannot close costs nothing."""
    sampler, broken = FakeSampler(steady), FakeSampler(steady)
    broken.close = lambda: (_ for _ in ()).throw(OSError("no"))  # type: ignore[method-assign]  # a plug-in's bug
    recorder = Recorder([sampler, broken], 100, clock=MonotonicClock())
    recorder.start()
    recorder.stop(30)

    assert sampler.closed.is_set()
    assert not recorder.health()[1].silent


def test_stopping_before_a_start_does_nothing() -> None:
    """A recorder that never ran has empty logs and no rates."""
    recorder = Recorder([FakeSampler(steady)], 20)
    recorder.stop(0.1)
    health = recorder.health()[0]

    assert (0, None, None, None) == (health.polls, health.reached_rate_hz, health.max_gap_s, health.cpu_share)
    assert recorder.latest_w() is None
    assert (PLAIN_POWER,) == recorder.channels


def test_a_snapshot_can_be_taken_while_polling() -> None:
    """The columns of a snapshot have one length however often it is taken."""
    recorder = Recorder([FakeSampler(steady)], 500)
    recorder.start()
    lengths = [(len(p.before_ns), len(p.value)) for _ in range(50) for p in recorder.polls()]
    recorder.stop(30)

    assert all(times == values for times, values in lengths)


def test_the_latest_power_is_the_mean_of_a_second() -> None:
    """For a display the last second counts, power fields before counters."""
    values = iter(range(1000))

    def rising() -> tuple[Reading, ...]:
        n = float(next(values))
        return (Reading(channel=COUNTER.id, value=100 * n), Reading(channel=PLAIN_POWER.id, value=n))

    recorder, _ = recorded(FakeSampler(rising, (COUNTER, PLAIN_POWER)), 10 * SECOND, 10)

    assert sum(range(90, 101)) / 11 == recorder.latest_w()


@pytest.mark.parametrize(("slope", "watts"), [(5.0, 100.0), (-5.0, None)])
def test_the_latest_power_of_a_counter_is_its_slope(slope: float, watts: float | None) -> None:
    """Without a power field the counter's gain per second is shown; one that fell shows nothing."""
    values = iter(range(1000))
    recorder, _ = recorded(
        FakeSampler(lambda: (Reading(channel=COUNTER.id, value=1e4 + slope * next(values)),), (COUNTER,)), 3 * SECOND
    )

    assert watts == recorder.latest_w()


@pytest.mark.parametrize(("rate_hz", "polls"), [(1e12, 11), (1e-300, 1)])
def test_an_extreme_rate_is_held_within_bounds(rate_hz: float, polls: int) -> None:
    """A rate beyond any sensor's polls every millisecond, one below any use still polls once."""
    recorder, _ = recorded(FakeSampler(steady), SECOND // 100, rate_hz)

    assert polls == len(recorder.polls()[0].value)


@pytest.mark.parametrize("rate_hz", [0.0, -20.0, math.inf, math.nan])
def test_a_rate_that_is_no_positive_number_is_refused(rate_hz: float) -> None:
    """Nothing can be polled at such a rate, and it says so before a thread starts."""
    with pytest.raises(ValueError, match="positive number"):
        Recorder([FakeSampler(steady)], rate_hz)


def test_quick_samplers_share_a_thread() -> None:
    """Two samplers of one pace are read by one thread, and each is charged with its part of the processor time."""
    threads: set[int] = set()

    def noting() -> tuple[Reading, ...]:
        threads.add(threading.get_ident())
        return steady()

    recorder = Recorder([FakeSampler(noting), FakeSampler(noting)], 200)
    recorder.start()
    wait_for(lambda: all(h.polls > 5 and h.cpu_share for h in recorder.health()))
    recorder.stop(30)

    assert 1 == len(threads)


def test_the_shared_threads_time_is_all_on_the_bills() -> None:
    """However short the recording, what the thread took is charged to its samplers by the end of the stop."""

    def busy() -> tuple[Reading, ...]:
        end_ns = time.thread_time_ns() + 2 * MS
        while time.thread_time_ns() < end_ns:
            pass
        return steady()

    recorder = Recorder([FakeSampler(busy), FakeSampler(steady)], 50)
    recorder.start()
    wait_for(lambda: recorder.health()[1].polls >= 5)
    recorder.stop(30)
    one, other = recorder.health()
    span_s = (one.polls - 1) / (one.reached_rate_hz or 1.0)

    assert one.cpu_share is not None
    assert other.cpu_share is not None
    assert (one.cpu_share + other.cpu_share) * span_s >= 0.002 * one.polls
    assert one.cpu_share > other.cpu_share


def test_a_sampler_that_turns_slow_gets_a_thread_of_its_own() -> None:
    """After three slow reads in a row it is polled apart, and the other keeps the shared thread."""
    slow_threads: list[int] = []
    quick_threads: list[int] = []

    def slow() -> tuple[Reading, ...]:
        slow_threads.append(threading.get_ident())
        threading.Event().wait(0.02)
        return steady()

    def quick() -> tuple[Reading, ...]:
        quick_threads.append(threading.get_ident())
        return steady()

    recorder = Recorder([FakeSampler(slow), FakeSampler(quick)], 20)
    recorder.start()
    wait_for(lambda: slow_threads[-1:] != slow_threads[:1])
    recorder.stop(30)

    assert slow_threads[:3] == [quick_threads[0]] * 3
    assert {quick_threads[0]} == set(quick_threads)
    assert [False, False] == [h.silent for h in recorder.health()]


def test_a_sampler_that_hangs_for_a_while_costs_the_other_no_doubt() -> None:
    """The other goes on in a new thread within half a second; the one that comes back is polled apart."""
    release = threading.Event()
    threads: dict[str, set[int]] = {"stuck": set(), "good": set()}

    def hangs() -> tuple[Reading, ...]:
        threads["stuck"].add(threading.get_ident())
        release.wait(30)
        return steady()

    def quick() -> tuple[Reading, ...]:
        threads["good"].add(threading.get_ident())
        return steady()

    stuck, good = FakeSampler(hangs), FakeSampler(quick)
    recorder = Recorder([stuck, good], 200)
    recorder.start()
    wait_for(lambda: recorder.health()[1].polls > 10)
    release.set()
    wait_for(lambda: recorder.health()[0].polls > 10)
    recorder.stop(30)

    assert (1, 1) == (len(threads["stuck"]), len(threads["good"]))
    assert threads["stuck"].isdisjoint(threads["good"])
    assert stuck.closed.is_set()
    assert good.closed.is_set()


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is true, at most 30 s."""
    end_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.01)


class DeferringSampler(FakeSampler):
    """Sees a number and makes watts of it later."""

    def look(self) -> int:
        """See 3."""
        return 3

    def readings(self, look: int) -> tuple[Reading, ...]:
        """Make 300 W of it."""
        if look != 3:
            raise OSError("what is that")
        return (Reading(channel=PLAIN_POWER.id, value=100.0 * look),)


def test_what_was_seen_becomes_readings_later() -> None:
    """A sampler that defers is looked at by each poll; every look has its reading at its own instant."""
    polls = recorded(DeferringSampler(steady))[0].polls()[0]

    assert (300.0,) * 21 == polls.value
    assert tuple(n * 50 * MS for n in range(21)) == polls.before_ns


def test_a_look_that_cannot_be_read_is_a_failed_poll() -> None:
    """An error while making readings is logged with its cause, as one while reading."""
    sampler = DeferringSampler(steady)
    sampler.look = lambda: 4  # type: ignore[method-assign]  # something that `readings` does not understand
    polls = recorded(sampler)[0].polls()[0]

    assert (None,) * 21 == polls.value
    assert "OSError: what is that" == polls.errors["0"]


SAMPLES = replace(PLAIN_POWER, id="fake:samples", buffered=True)


class BatchingSampler(FakeSampler):
    """Sees a counter, a power with a stamp, and two samples every fourth time, and decodes many looks at once."""

    def __init__(self) -> None:
        super().__init__(steady, (COUNTER, PLAIN_POWER, SAMPLES))
        self.looks = self.blocks = 0
        self.bad: dict[int, float | None] = {}

    def look(self) -> int:
        """Count."""
        self.looks += 1
        return self.looks

    def readings(self, look: int) -> tuple[Reading, ...]:
        """Make readings of one look."""
        counter = Reading(channel=COUNTER.id, value=self.bad.get(look, 15.0 * look))
        power = Reading(channel=PLAIN_POWER.id, value=300.0 + look, sensor_ns=10**15 + 1000 * look)
        taken = [look * 50 * MS - part * MS for part in (20, 10)] if look % 4 == 0 else []
        return (counter, power, *(Reading(channel=SAMPLES.id, value=1.0 * t, sensor_ns=t, taken_ns=t) for t in taken))

    def block(self, looks: Sequence[int]) -> Block | None:
        """Make columns of many."""
        self.blocks += 1
        every = [self.readings(look) for look in looks]
        values = {name: [r[i].value for r in every] for i, name in enumerate((COUNTER.id, PLAIN_POWER.id))}
        if None in values[COUNTER.id]:
            return None
        return Block(
            values=values,  # type: ignore[arg-type]  # none is None
            stamps_ns={PLAIN_POWER.id: [r[1].sensor_ns for r in every]},
            samples=[(i, list(r[2:])) for i, r in enumerate(every) if r[2:]],
        )


def one_by_one(sampler: BatchingSampler) -> DeferringSampler:
    """Return the sampler without its ability to decode many at once."""
    plain = DeferringSampler(steady, sampler.channels)
    plain.look, plain.readings = sampler.look, sampler.readings  # type: ignore[method-assign]
    return plain


def test_many_looks_at_once_are_logged_as_one_by_one() -> None:
    """The log and the health of both ways are the same to the last stamp."""
    many, single = BatchingSampler(), BatchingSampler()
    fast, _ = recorded(many, 12 * SECOND)
    slow, _ = recorded(one_by_one(single), 12 * SECOND)

    assert many.blocks > 0
    assert slow.polls() == fast.polls()
    assert replace(slow.health()[0], cpu_share=None) == replace(fast.health()[0], cpu_share=None)


@pytest.mark.parametrize("bad", [None, math.nan])
def test_a_bad_value_among_many_is_told_alone(bad: float | None) -> None:
    """One missing value costs one row; the others are as good as ever."""
    sampler = BatchingSampler()
    sampler.bad[7] = bad
    recorder, _ = recorded(sampler)
    polls, health = recorder.polls()[0], recorder.health()[0]

    assert [6] == [row for row, value in enumerate(polls.value) if value is None]
    assert ["6"] == list(polls.errors)
    assert (1, 21) == (health.failed, health.polls)


@pytest.mark.parametrize("wrong", ["raises", "a value too few", "a channel too few"])
def test_a_block_that_is_not_whole_is_not_believed(wrong: str) -> None:
    """A plug-in's mistake in decoding many is mended by decoding them one by one."""
    sampler = BatchingSampler()
    whole = sampler.block

    def block(looks: Sequence[int]) -> Block | None:
        found = whole(looks)
        assert found is not None
        if wrong == "raises":
            raise IndexError(wrong)
        if wrong == "a value too few":
            return replace(found, values=found.values | {PLAIN_POWER.id: found.values[PLAIN_POWER.id][:-1]})
        return replace(found, values={COUNTER.id: found.values[COUNTER.id]})

    sampler.block = block  # type: ignore[method-assign]

    assert recorded(one_by_one(BatchingSampler()))[0].polls() == recorded(sampler)[0].polls()
