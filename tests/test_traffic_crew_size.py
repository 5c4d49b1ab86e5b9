"""How many processes send: raised in warm-up by their measured lag, never above the free processors."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from served_case import make_served
from traffic_case import drawn

from wattbench.backends.endpoint.client import Client
from wattbench.backends.endpoint.target import make_target
from wattbench.backends.traffic import Schedule, Served
from wattbench.harness.messages import Serve, WarmUp
from wattbench.harness.selftest.paired import closed_loop
from wattbench.harness.selftest.script import StubScript
from wattbench.harness.selftest.stub_process import Stub
from wattbench.harness.traffic.crew_size import CrewSize, OwnProcessors, lag_limit_s, looked_at
from wattbench.harness.traffic_engine import TrafficEngine
from wattbench.models.find import find_load
from wattbench.results.traffic import CrewStep
from wattbench.results.traffic_plan import TrafficPlan
from wattbench.results.traffic_words import crew_lines

MS = 1_000_000
SCHEDULE = drawn("concurrency", concurrency=8)


def stretch(
    late_s: float | None = 0.0, lag_s: float | None = None, *, workers: int = 1, calls: int = 100, first_ms: int = 100
) -> Served:
    """Return a stretch of calls of this time to the first token, sent so late and read so late."""
    at = range(0, calls * MS, MS)
    done = make_served(
        planned_ns=at,
        start_ns=at,
        tokens_ns=[[t + first_ms * MS, t + first_ms * MS + 1] for t in at],
        end_ns=[t + first_ms * MS + 2 for t in at],
        errors=[None] * calls,
    )
    health = replace(done.health, workers=workers, send_late_p99_s=late_s, kernel_lag_p99_s=lag_s, observed_s=2.0)
    return replace(done, health=health)


def look(done: Served, asked: int = 1, free: int = 8, before: CrewStep | None = None) -> CrewStep:
    """Return what is made of a stretch at 1 % of its first token."""
    return looked_at(done, asked=asked, limit_s=lag_limit_s(done, None), free_cpus=free, before=before)


@pytest.mark.parametrize(
    ("late_s", "lag_s", "following"),
    [
        (0.0009, None, 1),  # 1 % of 100 ms to the first token are allowed
        (0.0011, None, 2),
        (0.0, 0.0009, 1),
        (0.0, 0.0011, 2),
        (None, None, 1),
    ],
)
def test_a_late_generator_gets_a_second_process(late_s: float | None, lag_s: float | None, following: int) -> None:
    """Sends, or reads of what the kernel had, that are later than 1 % of the first token double the number."""
    assert following == look(stretch(late_s, lag_s)).next_workers


def test_the_promised_limit_is_the_measure_where_there_is_one() -> None:
    """With a limit of 2 s on the first token, 20 ms are allowed; where nothing succeeded nothing is."""
    done = stretch()
    failed = replace(done, error=("it failed",) * len(done))

    assert (0.02, pytest.approx(0.001), None) == (
        lag_limit_s(done, 2.0),
        lag_limit_s(done, None),
        lag_limit_s(failed, None),
    )


def test_whole_answers_are_measured_by_their_end() -> None:
    """Without a first token the latency takes its place."""
    done = stretch()

    assert 0.1 / 100 == pytest.approx(
        lag_limit_s(replace(done, first_output_ns=done.first_output_ns * 0 - 1), None), rel=0.01
    )


@pytest.mark.parametrize(("asked", "free", "following"), [(1, 1, 1), (2, 2, 2), (2, 3, 3), (2, 8, 4), (200, 999, 256)])
def test_never_more_than_the_processors_that_are_free(asked: int, free: int, following: int) -> None:
    """The number doubles, up to what is free, and to 256."""
    assert following == look(stretch(0.01, workers=asked), asked, free).next_workers


def test_what_cannot_be_helped_is_said() -> None:
    """Few calls, calls that cannot be shared out, and no free processor each have their reason."""
    reasons = [
        look(stretch(0.01, calls=49)).reason,
        look(stretch(0.01, workers=1), asked=2).reason,
        look(stretch(0.01), free=1).reason,
    ]

    assert ["say nothing", "shared out further", "no other processor is free"] == [
        next(words for words in ("say nothing", "shared out further", "no other processor is free") if words in reason)
        for reason in reasons
    ]


def test_more_processes_that_change_nothing_go_again() -> None:
    """Where two are as late as one was, one sends."""
    before = look(stretch(0.01))
    step = look(stretch(0.0095, workers=2), asked=2, before=before)

    assert (1, "late, and not less than with 1") == (step.next_workers, step.reason)
    assert 4 == look(stretch(0.005, workers=2), asked=2, before=before).next_workers


@dataclass
class Machine:
    """Processors of which others take a share that is turned by hand."""

    cores: float = 8.0
    others: float = 0.0
    time_s: float = 0.0

    def busy_s(self) -> float:
        """Return what they have worked; a look at them takes the two seconds of a stretch."""
        self.time_s += 2.0
        return self.time_s * (self.others + 1.0)

    def own_s(self) -> float:
        """Return what was our own work: one processor's."""
        return self.time_s


@dataclass
class Generator:
    """A generator that is late by so much with each number of processes."""

    late_s: Callable[[int], float]
    workers: int = 1
    used: list[int] = field(default_factory=list)

    def use(self, count: int) -> None:
        """Send with another number from now on."""
        self.workers = count
        self.used.append(count)

    def serve(self, schedule: Schedule) -> Served:
        """Serve a stretch."""
        return stretch(self.late_s(self.workers), workers=self.workers)


def steps_of(generator: Generator, machine: Machine, looks: int = 6) -> list[CrewStep]:
    """Return what several stretches of warm-up make of a generator."""
    size = CrewSize(generator.use, processors=machine)
    return [size.served(generator.serve, SCHEDULE)[1] for _ in range(looks)]


def test_the_number_rises_until_it_keeps_up() -> None:
    """Lag that halves with twice the processes ends below the limit with eight."""
    generator = Generator(lambda workers: 0.005 / workers)
    steps = steps_of(generator, Machine())

    assert [2, 4, 8] == generator.used
    assert [1, 2, 4, 8, 8, 8] == [step.workers for step in steps]
    assert "kept up" == steps[-1].reason


def test_others_on_the_machine_keep_theirs() -> None:
    """Of eight processors a server that takes five leaves three."""
    generator = Generator(lambda workers: 0.5 / workers)
    steps = steps_of(generator, Machine(others=5.0))

    assert {3} == {step.free_cpus for step in steps}
    assert [2, 3] == generator.used
    assert "late, and no other processor is free" == steps[-1].reason


def test_a_number_that_was_taken_back_stays() -> None:
    """Lag that has another cause does not make the number swing."""
    generator = Generator(lambda workers: 0.01)
    steps = steps_of(generator, Machine())

    assert [2, 1] == generator.used
    assert "the number is settled" == steps[-1].reason


def engine_of(serve: Callable[[Schedule], Served], crew: CrewSize | None) -> TrafficEngine:
    """Return an engine of a closed loop of eight."""
    load = find_load("tiny-decoder/tiny")
    return TrafficEngine(serve, load, "concurrency", TrafficPlan(concurrency=8), give_up_s=5.0, origin_ns=0, crew=crew)


def test_warm_up_keeps_every_step_and_windows_keep_the_number() -> None:
    """Each change is in the record of the warm-up; after it the number stays, whatever the lag."""
    generator = Generator(lambda workers: 0.005 / workers)
    engine = engine_of(generator.serve, CrewSize(generator.use, processors=Machine(cores=4.0)))
    record = engine.warm_up(WarmUp(min_s=0.0, max_s=30.0), 0)
    used = list(generator.used)
    generator.late_s = lambda workers: 1.0
    engine.measure(Serve(window_s=0.1, seed=1, rate_per_s=None, jitter_s=0.0, lead_in_s=0.0, lead_out_s=0.0))

    assert [2, 4] == used == [step.next_workers for step in record.crew if step.changes]
    assert 4 == record.crew[-1].workers
    assert used == generator.used


def test_without_auto_nothing_is_looked_at() -> None:
    """A number that was given is the number."""
    generator = Generator(lambda workers: 1.0)
    record = engine_of(generator.serve, None).warm_up(WarmUp(min_s=0.0, max_s=0.1), 0)

    assert ((), []) == (record.crew, generator.used)


def test_changes_are_told_in_words() -> None:
    """What was late, by how much of what is allowed, and how many send from then on."""
    steps = steps_of(Generator(lambda workers: 0.005 / workers), Machine(cores=4.0))
    lines = list(crew_lines(steps))

    assert "1 process was late (99 %: sends 5 ms, 1 ms allowed): 2 send from then on" == lines[0]
    assert "2 processes were late (99 %: sends 2.5 ms, 1 ms allowed): 4 send from then on" == lines[1]
    assert "4 processes were late (99 %: sends 1.25 ms, 1 ms allowed), and no other processor is free" == lines[2]
    assert 3 == len(lines)


def test_a_generator_that_keeps_up_has_nothing_to_tell() -> None:
    """One process that is on time is not worth a line."""
    assert [] == list(crew_lines(steps_of(Generator(lambda workers: 0.0), Machine())))


def test_own_processors_count_work_and_leave_out_idleness() -> None:
    """Work of this process is in both sums, and neither goes backwards."""
    own = OwnProcessors()
    busy_s, own_s = own.busy_s(), own.own_s()
    while own.own_s() < own_s + 0.05:
        sum(range(1000))

    assert own.busy_s() >= busy_s + 0.02
    assert 0 < own.cores


def test_real_processes_take_over_a_stretch() -> None:
    """The client serves the next stretch with the number that it was told, each call once."""
    with Stub(StubScript(ttft_s=0.005, gap_s=0.001)) as stub:
        client = Client(make_target(stub.url, model="stub"))
        schedule = closed_loop(60, 4, input_tokens=16, output_tokens=4, give_up_s=20)
        first = client.serve(schedule, client.prompts(schedule, 1))
        client.use_workers(2)
        second = client.serve(schedule, client.prompts(schedule, 2))

    assert (1, 2) == (first.health.workers, second.health.workers)
    assert sorted(second.call.tolist()) == list(range(60))
    assert {None} == set(second.error)
