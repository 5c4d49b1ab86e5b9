"""MLPerf's logs as text: every scenario's official figures, what is damaged, and the session of the director."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.harness.exchange.mlperf_doubts import MlperfEvidence, mlperf_doubts
from wattbench.harness.exchange.mlperf_metrics import latency_metrics, requests_of, work_metrics
from wattbench.results.errors import DocumentError
from wattbench.results.exchange.meter import MeterRecording
from wattbench.results.exchange.mlperf_log import DetailLog, read_detail
from wattbench.results.exchange.mlperf_official import OfficialPower, official_figures, official_power
from wattbench.results.exchange.mlperf_session import ClockOffset, Session, count_complaints, read_session
from wattbench.results.exchange.mlperf_spl import read_spl

BEGIN = datetime(2026, 1, 2, 3, 0, 0, tzinfo=UTC)
WINDOW_S = 600
NO_SESSION = Session(name=None, meter=None, clock=None, sha1={}, testing_ns=None)


def stamp(seconds: float) -> str:
    """Return an instant after the begin as MLPerf's logs write it."""
    moment = BEGIN + timedelta(seconds=seconds)
    return f"{moment:%m-%d-%Y %H:%M:%S}.{moment.microsecond // 1000:03d}"


def line(key: str, value: object, *, error: bool = False, warning: bool = False) -> str:
    """Return one line of a detail log."""
    metadata = {"is_error": error, "is_warning": warning}
    return f":::MLLOG {json.dumps({'key': key, 'value': value, 'metadata': metadata})}\n"


def detail(scenario: str, /, *more: str, **values: object) -> DetailLog:
    """Return the log of a valid run of ten minutes; `more` are further lines."""
    every = {"effective_scenario": scenario, "power_begin": stamp(0), "power_end": stamp(WINDOW_S)}
    every |= {"result_validity": "VALID"} | values
    return read_detail("".join([*(line(key, value) for key, value in every.items()), *more]))


def power_log(*watts: float, start_s: float = 0.5, step_s: float = 1.0) -> MeterRecording:
    """Return a power log with one sample a second."""
    return read_spl("".join(f"Time,{stamp(start_s + i * step_s)},Watts,{w}\n" for i, w in enumerate(watts)))


def evidence(log: DetailLog, **changes: Any) -> MlperfEvidence:  # any: values of any field
    """Return the evidence of a run without power; `changes` replace fields."""
    fields: dict[str, Any] = {  # any: values of any field
        "summary_validity": None,
        "recording": None,
        "session": NO_SESSION,
        "official": None,
        "official_reason": None,
        "energy": None,
        "ranging_w": None,
        "altered": (),
        "complaints": None,
        "published": None,
    }
    return MlperfEvidence(log=log, **(fields | changes))


def found(seen: MlperfEvidence) -> list[tuple[str, str]]:
    """Return the codes and severities of the doubts, but the note that there was one run."""
    return [(d.code, d.severity) for d in mlperf_doubts(seen) if d.code != "few_repeats"]


POWER = OfficialPower(mean_w=100.0, samples=600, bad=0, expected=600)


def test_offline_with_tokens() -> None:
    """A language model's Offline run has samples and tokens per second and per joule; its one query has all samples."""
    log = detail(
        "Offline",
        result_samples_per_second=20.0,
        result_tokens_per_second=5000.0,
        result_query_count=1,
        generated_samples_per_query=12000,
        effective_samples_per_query=12000,
    )
    samples, tokens = official_figures(log, POWER)

    assert (20.0, "{request}/s", 0.2, "{request}/J") == (
        samples.performance,
        samples.performance_unit,
        samples.efficiency,
        samples.efficiency_unit,
    )
    assert (5000.0, 50.0, "{token}/J") == (tokens.performance, tokens.efficiency, tokens.efficiency_unit)
    assert 12000 == requests_of(log)
    assert 5000.0 == next(m for m in work_metrics(log, None, "no power") if m.unit == "{token}/s").value


@pytest.mark.parametrize("key", ["result_completed_samples_per_sec", "result_scheduled_samples_per_sec"])
def test_server(key: str) -> None:
    """Server counts completed samples, in older rounds the scheduled ones."""
    (figure,) = official_figures(detail("Server", **{key: 250.0}), POWER)

    assert (250.0, 2.5, False) == (figure.performance, figure.efficiency, figure.inferred)


def test_server_prefers_what_was_completed() -> None:
    """Where a log has both, completed samples are the performance."""
    log = detail("Server", result_completed_samples_per_sec=240.0, result_scheduled_samples_per_sec=250.0)

    assert 240.0 == official_figures(log, POWER)[0].performance


def test_multistream() -> None:
    """A MultiStream query has eight samples; its energy is that of the query, and Offline is inferred from it."""
    log = detail(
        "MultiStream",
        early_stopping_latency_ms=50_000_000,
        result_query_count=12000,
        effective_samples_per_query=8,
        generated_samples_per_query=8,
        result_mean_query_latency_ns=40_000_000,
        **{"result_99.00_percentile_per_query_latency_ns": 49_000_000},
    )
    own, offline = official_figures(log, POWER)
    (latency,) = latency_metrics(log)

    assert (0.05, 5.0, 1.6) == (own.performance, own.energy_per_query_j, own.efficiency)
    assert ("Offline", True, 200.0, 2.0) == (
        offline.scenario,
        offline.inferred,
        offline.performance,
        offline.efficiency,
    )
    assert (0.04, 0.049) == (latency.mean, latency.quantiles[0].value)
    assert 96000 == requests_of(log)


def test_an_estimate_that_loadgen_could_not_make_is_none() -> None:
    """Early stopping writes 0 where it has too few queries: that is no latency."""
    log = detail("SingleStream", early_stopping_latency_ss=0, result_query_count=10)

    assert official_figures(log, POWER)[0].performance is None


def test_rounds_before_early_stopping() -> None:
    """Where a log knows no early stopping, the percentile is the published latency."""
    log = detail("SingleStream", **{"result_90.00_percentile_latency_ns": 12_000_000})

    assert 0.012 == official_figures(log, None)[0].performance


def test_figures_without_power() -> None:
    """Without power there is performance, and every figure of power is None."""
    (figure,) = official_figures(detail("Offline"), None)

    assert (None, None, None, 0) == (figure.performance, figure.power_w, figure.efficiency, figure.samples)


def test_the_window_is_open() -> None:
    """Samples at the very begin and end are not counted, bad ones neither."""
    recording = power_log(50.0, 100.0, -1.0, 300.0, 70.0, start_s=0.0)
    begin_ns = recording.times_ns[0]
    power = official_power(recording, begin_ns, begin_ns + 4 * 10**9)

    assert (200.0, 2, 1, 4) == (power.mean_w, power.samples, power.bad, power.expected)


@given(st.lists(st.floats(0.5, 1e5), min_size=1, max_size=50))
def test_the_official_mean_is_within_its_samples(watts: list[float]) -> None:
    """The mean lies between the least and the largest sample."""
    recording = power_log(*watts)
    begin_ns = recording.times_ns[0] - 1
    mean_w = official_power(recording, begin_ns, recording.times_ns[-1] + 1).mean_w

    assert mean_w is not None
    assert min(watts) * (1 - 1e-12) <= mean_w <= max(watts) * (1 + 1e-12)


def test_broken_lines_of_a_detail_log() -> None:
    """Lines that cannot be read are counted and make the log cut; foreign lines are skipped."""
    log = read_detail(
        line("sut_name", "x") + "chatter\n:::MLLOG {half\n:::MLLOG []\n" + line("result_validity", "VALID")
    )

    assert ("2 of its lines cannot be read", "x") == (log.cut, log.text("sut_name"))


def test_values_of_a_detail_log() -> None:
    """A value is text or a finite number, or nothing."""
    log = detail("Offline", a=True, b="", c=float("inf"), d=3)

    assert (None, None, None, 3.0, None) == (
        log.number("a"),
        log.text("b"),
        log.number("c"),
        log.number("d"),
        log.text("d"),
    )


def test_a_power_marker_that_is_no_instant() -> None:
    """A marker with an impossible date is refused by name."""
    with pytest.raises(DocumentError, match="power_begin of this log is no instant"):
        detail("Offline", power_begin="13-45-2026 99:00:00.000")


def test_a_log_without_markers_has_no_window() -> None:
    """Without markers there is no duration."""
    log = read_detail(line("power_begin", "soon"))

    assert (None, None) == (log.power_begin_ns, log.duration_s())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Time,01-02-2026 03:00:00.000\nTime,01-02-2026 03:00:01.000,Watts,5\n", "it ends before its watts"),
        ("Time,01-02-2026 03:00:00.000,Watts,5\nTime,yesterday,Watts,5\n", "does not match format"),
        ("Time,01-02-2026 03:00:00.000,Watts,5\nnonsense\nnoise\n", "and 1 more such lines"),
    ],
)
def test_broken_lines_of_a_power_log(text: str, why: str) -> None:
    """Lines that cannot be read are skipped and counted, and the log is then called cut."""
    recording = read_spl(text)

    assert 1 == len(recording.values)
    assert why in str(recording.cut)


@pytest.mark.parametrize("text", ["", "Time,01-02\n"])
def test_a_power_log_without_a_sample(text: str) -> None:
    """A text without any sample is no power log."""
    with pytest.raises(DocumentError, match="no power log"):
        read_spl(text)


def test_a_session_of_several_meters_gives_the_first() -> None:
    """With several analyzers the messages are lists of lists; odd entries are passed over."""
    messages = [
        [{"cmd": "Identify", "reply": "WT333,version=1.11.1-x,A;B;C"}, {"cmd": "Uncertainty", "reply": "?"}],
        [],
    ]
    session = read_session(None, json.dumps({"ptd_messages": messages, "phases": {"testing": [[0, 0]]}}))

    assert session.meter is not None
    assert ("WT333", "A;B;C", None, None) == (
        session.meter.model,
        session.meter.identity,
        session.meter.u_mean,
        session.meter.judged,
    )
    assert session.testing_ns is None


def test_an_unknown_uncertainty_is_none() -> None:
    """-1 is the daemon's word for unknown."""
    replies = [
        {"cmd": "Identify", "reply": "WT310"},
        {"cmd": "Uncertainty", "reply": "Uncertainty,-1.0,1e7,0,311,0,0,311"},
    ]
    meter = read_session(None, json.dumps({"ptd_messages": replies})).meter

    assert meter is not None
    assert (None, 311, 311) == (meter.u_mean, meter.judged, meter.over_limit)


def test_the_clock_of_a_session() -> None:
    """The offset is the median over all exchanges, answers that are no number being passed over."""
    asked = [{"cmd": "time", "cmd_time": t, "reply_time": t + 0.02, "reply": str(t - 0.24)} for t in (1.0, 2.0, 3.0)]
    asked += [{"cmd": "time", "cmd_time": 4.0, "reply_time": 4.1, "reply": "Error"}, {"cmd": "new"}]
    clock = read_session(json.dumps({"messages": asked}), None).clock

    assert clock is not None
    assert (pytest.approx(0.25), 3) == (clock.offset_s, clock.exchanges)
    assert read_session(json.dumps({"messages": []}), None).clock is None


def test_session_files_must_be_objects() -> None:
    """A list is no session file."""
    with pytest.raises(DocumentError, match=r"server\.json is no session file"):
        read_session(None, "[]")


def test_complaints_are_counted_in_the_window() -> None:
    """Warnings and errors within the window count; those about the uncertainty have a count of their own."""
    text = "".join(
        f"{stamp(s)}: {word}\n"
        for s, word in (
            (-5, "ERROR: x"),
            (5, "WARNING: USB."),
            (6, "ERROR: y"),
            (7, "WARNING: Uncertainty 1.1%"),
            (8, "ok"),
        )
    )
    begin_ns = round(BEGIN.timestamp() * 1e9)

    assert 2 == count_complaints(text, begin_ns, begin_ns + 10 * 10**9)


def test_doubts_about_the_tools_own_verdict() -> None:
    """Contradicting logs, noted errors, INVALID and a run of another mode are told."""
    invalid = detail("Offline", result_validity="INVALID", result_invalid_reason="too short ")
    errors = detail("Offline", line("x", "broke", error=True), line("y", "z", warning=True))

    assert [("imported_invalid", "severe")] == found(evidence(invalid))
    assert "called the run INVALID: too short" in mlperf_doubts(evidence(invalid))[0].facts
    assert [("altered_log", "severe")] == found(evidence(detail("Offline"), summary_validity="INVALID"))
    assert [("imported_invalid", "doubt")] == found(evidence(errors))
    assert 1 == errors.warnings
    assert [("imported_invalid", "severe")] == found(evidence(detail("Offline", effective_test_mode="AccuracyOnly")))


def test_interactive_is_a_server_run() -> None:
    """Interactive is LoadGen's Server with other limits: nothing was inferred."""
    assert [] == found(evidence(detail("Server"), published="Interactive"))
    assert [("inferred_scenario", "note")] == found(evidence(detail("SingleStream"), published="Offline"))


def test_doubts_about_the_power_log() -> None:
    """A log that starts late, clocks that are apart and a daemon that complained are told."""
    clock = ClockOffset(offset_s=0.9, spread_s=0.0, exchanges=2)
    late = evidence(
        detail("Offline"),
        recording=power_log(*[5.0] * 560, start_s=50),
        session=Session(name=None, meter=None, clock=clock, sha1={}, testing_ns=None),
        complaints=3,
    )
    facts = {doubt.code: doubt.facts for doubt in mlperf_doubts(late)}

    assert "its first sample lies 50.0 s after the start of the run" in facts["truncated_log"]
    assert "+0.900 s off the director's" in facts["clock_unsynchronised"]
    assert "3 warnings and errors" in facts["sensor_failed"]


def test_doubts_about_the_samples() -> None:
    """A short window is doubted as in our own protocol."""
    short = detail("Offline", power_end=stamp(30))
    official = OfficialPower(mean_w=5.0, samples=30, bad=0, expected=30)

    assert [("short_window", "doubt")] == found(evidence(short, official=official))
