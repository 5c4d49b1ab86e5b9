"""The replay sampler and its file formats, through the recorder to joules."""

import threading
from pathlib import Path

import pytest

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.energy import channel_energy, groups_of
from wattbench.harness.power.recorder import Recorder
from wattbench.harness.power.replay import ReplaySampler
from wattbench.harness.power.replay_file import read_recording
from wattbench.results.energy import ChannelEnergy
from wattbench.results.errors import UsageError
from wattbench.results.measurement import Window

SECOND = 1_000_000_000
TRACE = Path(__file__).parent / "data" / "power" / "a100_step.csv"


class HandTurnedClock:
    """Jumps to each deadline at once until `end_s`, then waits for the stop."""

    def __init__(self, end_s: float) -> None:
        self.ns = 0
        self.end_ns = round(end_s * SECOND)
        self.ended = threading.Event()

    def now_ns(self) -> int:
        """Return the time on the dial."""
        return self.ns

    def wait_until(self, deadline_ns: int, stop: threading.Event) -> bool:
        """Turn the dial to the deadline, or wait for the stop at its end."""
        if deadline_ns > self.end_ns:
            self.ended.set()
            return stop.wait(30)
        self.ns = deadline_ns
        return stop.is_set()


def written(folder: Path, text: str) -> Path:
    """Write a recording."""
    path = folder / "trace.csv"
    path.write_text(text)
    return path


def opened(path: Path, clock: HandTurnedClock | None = None, covers: str | None = None) -> ReplaySampler:
    """Return a probed sampler that plays by a hand-turned clock."""
    dial = HandTurnedClock(0) if clock is None else clock
    sampler = ReplaySampler(SamplerOptions(argument=str(path), covers=covers), now_ns=dial.now_ns)
    assert sampler.probe().usable
    return sampler


def replayed(path: Path, start_s: float, end_s: float) -> ChannelEnergy:
    """Return the energy of a window, through sampler, recorder at 20 Hz and integration."""
    clock = HandTurnedClock(end_s + 2)
    recorder = Recorder([opened(path, clock)], 20, clock=clock)
    recorder.start()
    assert clock.ended.wait(30)
    recorder.stop(30)
    window = Window(start_ns=round(start_s * SECOND), end_ns=round(end_s * SECOND))
    return channel_energy(groups_of(recorder.channels)[0], recorder.polls(), window, rate_hz=20)


def test_a_constant_power_gives_3000_joules(tmp_path: Path) -> None:
    """300 W over 10 s are 3000 J exactly, from the file to the result."""
    found = replayed(written(tmp_path, "time_s,power_w\n0,300\n10,300\n"), 1, 11)

    assert (3000.0, "integral", "replayed") == (found.energy_j, found.method, found.provenance)


def test_a_recorded_counter_gives_3000_joules(tmp_path: Path) -> None:
    """A recorded counter is read by its ticks, and goes on counting when the recording starts again."""
    rows = "\n".join(f"{n / 10},{5000 + 30 * n}" for n in range(81))
    found = replayed(written(tmp_path, f"time_s,energy_j\n{rows}\n"), 1, 11)

    assert "counter" == found.method
    assert 3000.0 == pytest.approx(found.energy_j, rel=0.005)


def test_values_are_held_like_a_sensors(tmp_path: Path) -> None:
    """Between two recorded values the earlier one is shown; after the end the recording starts again."""
    clock = HandTurnedClock(0)
    sampler = opened(written(tmp_path, "time_s,power_w\n5,100\n6,200\n8,300\n"), clock)
    shown = []
    for tenths in (0, 9, 10, 29, 30, 39, 40):
        clock.ns = 77 * SECOND + tenths * SECOND // 10
        shown.append(sampler.read()[0].value)

    assert [100.0, 100.0, 200.0, 200.0, 100.0, 100.0, 200.0] == shown


def test_one_row_is_a_constant(tmp_path: Path) -> None:
    """A recording of a single power is that power for ever."""
    clock = HandTurnedClock(0)
    sampler = opened(written(tmp_path, "time_s,power_w\n0,42\n"), clock)
    sampler.read()
    clock.ns = 9 * SECOND

    assert 42.0 == sampler.read()[0].value


def test_a_scope_column_makes_one_channel_each(tmp_path: Path) -> None:
    """Rows of several scopes are several channels; node and wall cover no single device."""
    sampler = opened(
        written(tmp_path, "time_s,power_w,scope\n0,100,package\n0,300,wall\n1,101,package\n"), covers="cpu"
    )

    assert [("replay:package", "cpu"), ("replay:wall", None)] == [(c.id, c.covers) for c in sampler.channels]
    assert [100.0, 300.0] == [r.value for r in sampler.read()]


def test_scopes_of_one_file_keep_step(tmp_path: Path) -> None:
    """Scopes that begin and end apart play the time that they share, from one origin, and loop together."""
    package = [f"{t},{100 + t},package" for t in range(7)]
    wall = [f"{t + 0.5},{300 + t},wall" for t in range(2, 9)]
    clock = HandTurnedClock(0)
    sampler = opened(written(tmp_path, "\n".join(["time_s,power_w,scope", *package, *wall]) + "\n"), clock)
    shown = []
    for tenths in (0, 5, 10, 34, 35, 40, 45):
        clock.ns = tenths * SECOND // 10
        shown.append(tuple(r.value for r in sampler.read()))

    assert [(102, 302), (103, 302), (103, 303), (105, 305), (102, 302), (103, 302), (103, 303)] == shown


def test_counters_of_one_file_wrap_around_together(tmp_path: Path) -> None:
    """Each loop adds to a counter what it gained over the common length, not over its own."""
    package = [f"{t},{10 * t if t <= 5 else 100 * t},package" for t in range(11)]
    rows = [*package, *(f"{t},{20 * t},wall" for t in range(6))]
    clock = HandTurnedClock(0)
    sampler = opened(written(tmp_path, "\n".join(["time_s,energy_j,scope", *rows]) + "\n"), clock)
    sampler.read()
    clock.ns = 12 * SECOND

    assert [120.0, 240.0] == [r.value for r in sampler.read()]


def test_a_scope_of_one_row_is_a_constant_beside_the_others(tmp_path: Path) -> None:
    """A single row neither shortens the recording nor moves its origin."""
    recording = read_recording(written(tmp_path, "time_s,power_w,scope\n4,50,wall\n1,100,package\n3,200,package\n"))

    assert 2.0 == recording.length_s
    assert {"wall": {50.0}, "package": {100.0, 200.0}} == {t.scope: set(t.values) for t in recording.traces}


@pytest.mark.parametrize("mark", [";", "\t"])
def test_columns_may_be_parted_otherwise(tmp_path: Path, mark: str) -> None:
    """Semicolons and tabs part columns as commas do."""
    text = "time_s,power_w,scope\n0,100.5,board\n1,101,board\n".replace(",", mark)

    assert (100.5, 101.0) == read_recording(written(tmp_path, text)).traces[0].values


def test_comments_state_the_facts_of_the_sensor(tmp_path: Path) -> None:
    """What the recorded sensor was like stands in comment lines; the rest is unknown."""
    text = "# lag_s: 0.1\n# accuracy_rel: 0.02\n# accuracy_basis: calibrated\n# any words\ntime_s,power_w\n0,1\n1,1\n"
    channel = opened(written(tmp_path, text)).channels[0]

    assert (0.1, 0.02, None) == (channel.lag_s, channel.accuracy_rel, channel.update_period_s)
    assert channel.accuracy_basis.startswith("calibrated; replayed from trace.csv (sha256 ")
    assert channel.accuracy_basis.endswith("looping after 1 s")


def test_a_file_that_is_not_there_is_said_in_words(tmp_path: Path) -> None:
    """Neither an error number nor a line 0 stands in the message."""
    with pytest.raises(UsageError, match=r"^Cannot replay .*gone\.csv: No such file or directory\n"):
        read_recording(tmp_path / "gone.csv")
    with pytest.raises(UsageError, match=r"^Cannot replay .*trace\.csv: the file holds no samples\n"):
        read_recording(written(tmp_path, ""))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no samples"),
        ("time_s,power_w\n", "holds no samples"),
        ("a,b\n1,2\n", "line 1: columns are a, b"),
        ("time_s,power_w,energy_j\n0,1,2\n", "line 1: columns"),
        ("time_s,power_w\n0,300\n1,nan\n", "line 3: nan"),
        ("time_s,power_w\n0,300\n1,-5\n", "line 3: -5"),
        ("time_s,power_w\n0,300\n1,inf\n", "line 3: inf"),
        ("time_s,power_w\n0,300\n1,[N/A]\n", "line 3: '[N/A]' is not a number"),
        ("time_s,power_w\n0,300\n\n# words\n2,1\n1,1\n", "line 6: its time 1 s lies before"),
        ("time_s,power_w\n0\n", "line 2: it has too few columns"),
        ('time_s,power_w,note\n0,1,"two\nlines"\n1,2,\n', "line 3: it has too few columns"),
        (f"time_s,power_w\n0,{'1' * 140_000}\n", "line 2: field larger"),
        ("# seen_share: 5\ntime_s,power_w\n0,1\n", "line 1: seen_share 5 is a share from above 0 to 1"),
        ("# limit_w: 0\ntime_s,power_w\n0,1\n", "line 1: limit_w 0 is no limit"),
        ("time_s,power_w,scope\n0,1,gpu\n", "line 2: scope 'gpu' is none of board"),
        ("# lag_s: soon\ntime_s,power_w\n0,1\n", "line 1: 'soon'"),
        ("time_s;power_w\n0;5,5\n", "line 2: '5,5' is not a number (decimals need a point)"),
        ("time_s,power_w,scope\n0,1,package\n1,1,package\n5,9,wall\n6,9,wall\n", "have no time in common"),
        ("timestamp, power.draw [W]\nnow, 5\n", "line 2: 'now' is not a time"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    """Every fault names file and line; nothing is skipped or filled in."""
    with pytest.raises(UsageError) as caught:
        read_recording(written(tmp_path, text))

    assert said in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    """Windows programs write one."""
    path = tmp_path / "trace.csv"
    path.write_bytes(b"\xef\xbb\xbftime_s,power_w\r\n0,5\r\n")

    assert (5.0,) == read_recording(path).traces[0].values


def test_a_missing_file_makes_the_replay_broken(tmp_path: Path) -> None:
    """The probe says what is wrong instead of raising."""
    found = ReplaySampler(SamplerOptions(argument=str(tmp_path / "none.csv"), covers=None)).probe()

    assert "broken" == found.state
    assert "No such file" in found.reason


def test_without_a_file_the_replay_is_absent() -> None:
    """A replay runs only on request."""
    found = ReplaySampler(SamplerOptions(argument=None, covers=None)).probe()

    assert "absent" == found.state
    assert "--power replay:FILE" in found.remedy


def test_a_published_trace_replays_as_it_was_logged() -> None:
    """A step load on an A100, logged by nvidia-smi: the replayed energy is that of the log's own samples."""
    trace = read_recording(TRACE).traces[0]
    held = list(zip(trace.times_s, trace.times_s[1:], trace.values, strict=False))
    logged_j = sum(w * max(min(t1, 12.0) - max(t0, 2.0), 0.0) for t0, t1, w in held)

    assert logged_j == pytest.approx(replayed(TRACE, 2, 12).energy_j, rel=0.005)


def test_a_log_of_an_unnamed_board_is_not_credited_with_accuracy() -> None:
    """Without a board the largest published error of NVML bounds the gain."""
    assert 0.127 / 3**0.5 == read_recording(TRACE).facts["accuracy_rel"]
