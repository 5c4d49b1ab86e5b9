"""From the folder of an MLPerf run to a result of kind `imported`: official figures, ours beside them, doubts."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from wattbench.harness.exchange.mlperf_doubts import MlperfEvidence, mlperf_doubts
from wattbench.harness.exchange.mlperf_folder import SCENARIOS, RunFolder, read_folder
from wattbench.harness.exchange.mlperf_markers import OWN_MARKER
from wattbench.harness.exchange.mlperf_metrics import latency_metrics, requests_of, work_metrics
from wattbench.harness.exchange.mlperf_power import ImportedPower, imported_power, no_power
from wattbench.harness.version import harness_record
from wattbench.results.doubts import judge
from wattbench.results.errors import DocumentError, UsageError
from wattbench.results.exchange.meter import MeterRecording
from wattbench.results.exchange.mlperf_log import DetailLog, read_detail
from wattbench.results.exchange.mlperf_official import OfficialPower, official_figures, official_power
from wattbench.results.exchange.mlperf_session import Session, count_complaints, read_session
from wattbench.results.exchange.mlperf_spl import read_spl
from wattbench.results.imported import ImportedResult, OfficialFigure, SourceRecord, StatedSystem, StatedWork

__all__ = ["Stated", "import_mlperf"]

T = TypeVar("T")

VALIDITY = re.compile(r"^Result is\s*:\s*(\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What the user states of a run that its files may not say; None leaves it to the files."""

    system: str | None = None
    model: str | None = None
    precision: str | None = None
    devices: int | None = None
    scenario: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """The parsed files of one run; `power_reason` says why there is no power window to speak of."""

    folder: RunFolder
    log: DetailLog
    session: Session
    recording: MeterRecording | None
    official: OfficialPower | None
    ours: ImportedPower | None
    power_reason: str | None


def import_mlperf(path: Path, stated: Stated | None = None) -> ImportedResult:
    """Return the MLPerf run in a folder as a result document.

    Raises UsageError for a folder without exactly one run, DocumentError (naming the file) for a log that cannot be
    read at all; what is only damaged or missing becomes a doubt.
    """
    stated = stated or Stated()
    run = _parse(read_folder(path))
    published = _published(run, stated)
    figures = official_figures(run.log, run.official)
    doubts = mlperf_doubts(_evidence(run, published))
    status: Literal["complete", "partial"] = "complete" if run.log.cut is None else "partial"
    reason = run.power_reason or "there is no energy"
    return ImportedResult(
        status=status,
        harness=harness_record(),
        source=SourceRecord(
            tool="MLPerf Inference LoadGen",
            format="MLPerf logs" + (" with PTDaemon power" if run.recording else ""),
            version=run.log.text("loadgen_version"),
            session=run.session.name,
            files=run.folder.files,
        ),
        system=_system(run, stated),
        work=_work(run, stated, published),
        clock=run.ours.clock if run.ours else None,
        window=run.ours.window if run.ours else None,
        official=_first_published(figures, published),
        metrics=work_metrics(run.log, run.ours.energy if run.ours else None, reason),
        latencies=latency_metrics(run.log),
        energy=run.ours.energy if run.ours else None,
        power=run.ours.record if run.ours else no_power(reason),
        doubts=doubts,
        verdict=judge(doubts, finished=status == "complete"),
    )


def _parse(folder: RunFolder) -> _Run:
    detail = folder.of_run("mlperf_log_detail.txt") or ""
    log = _named("mlperf_log_detail.txt", lambda: read_detail(detail))
    if OWN_MARKER in log.values:
        why = f"they are the power markers of our own run {log.values[OWN_MARKER]}"
        remedy = "Attach the meter's log to that run's result: bench attach-power RESULT --spl FILE"
        raise UsageError("These logs are not MLPerf's", why, remedy)
    session = read_session(folder.texts.get("power/client.json"), folder.texts.get("power/server.json"))
    spl = folder.of_run("spl.txt")
    recording = None if spl is None else _named("spl.txt", lambda: read_spl(spl))
    reason = _power_reason(log, recording)
    official, ours = None, None
    if recording is not None and reason is None:
        assert log.power_begin_ns is not None
        assert log.power_end_ns is not None
        official = official_power(recording, log.power_begin_ns, log.power_end_ns)
        ours = imported_power(log, recording, session)
        if official.mean_w is None:
            reason = "no sample of spl.txt lies within power_begin and power_end: the official formula has no figure"
    return _Run(
        folder=folder, log=log, session=session, recording=recording, official=official, ours=ours, power_reason=reason
    )


def _power_reason(log: DetailLog, recording: MeterRecording | None) -> str | None:
    if recording is None:
        return "the folder has no spl.txt: the run was made without power"
    duration_s = log.duration_s()
    if duration_s is None:
        return "the detail log has no power_begin or no power_end"
    return "power_end does not lie after power_begin" if duration_s <= 0 else None


def _evidence(run: _Run, published: str | None) -> MlperfEvidence:
    summary = VALIDITY.search(run.folder.of_run("mlperf_log_summary.txt") or "")
    begin_ns, end_ns = run.log.power_begin_ns, run.log.power_end_ns
    ptd_log = run.folder.texts.get("power/ptd_logs.txt")
    complaints = None
    if ptd_log is not None and begin_ns is not None and end_ns is not None:
        complaints = count_complaints(ptd_log, begin_ns, end_ns)
    noted = run.session.sha1
    return MlperfEvidence(
        log=run.log,
        summary_validity=summary[1] if summary else None,
        recording=run.recording,
        session=run.session,
        official=run.official,
        official_reason=run.power_reason,
        energy=run.ours.energy if run.ours else None,
        ranging_w=_ranging_w(run.folder),
        altered=tuple(path for path, sha1 in run.folder.sha1.items() if noted.get(path, sha1) != sha1),
        complaints=complaints,
        published=published,
    )


def _ranging_w(folder: RunFolder) -> float | None:
    """Return the official mean of the ranging run, or None where it cannot be told: it only serves as a comparison."""
    detail, spl = folder.texts.get("ranging/mlperf_log_detail.txt"), folder.texts.get("ranging/spl.txt")
    if detail is None or spl is None:
        return None
    try:
        log, recording = read_detail(detail), read_spl(spl)
    except DocumentError:
        return None
    if log.power_begin_ns is None or log.power_end_ns is None:
        return None
    return official_power(recording, log.power_begin_ns, log.power_end_ns).mean_w


def _published(run: _Run, stated: Stated) -> str | None:
    """Return the scenario that the run was published under. Raises UsageError for one that MLPerf does not have."""
    if stated.scenario is None:
        return run.folder.place.scenario
    known = SCENARIOS.get(stated.scenario.lower().replace("-", ""))
    if known is None:
        raise UsageError(f"Unknown scenario {stated.scenario!r}", f"known are {', '.join(SCENARIOS.values())}", "")
    return known


def _first_published(figures: tuple[OfficialFigure, ...], published: str | None) -> tuple[OfficialFigure, ...]:
    return tuple(sorted(figures, key=lambda f: f.scenario != published)) if published else figures


def _system(run: _Run, stated: Stated) -> StatedSystem:
    place, meter = run.folder.place, run.session.meter
    tree = place.description or {}
    nodes = _count(tree.get("number_of_nodes"))
    sut = run.log.text("sut_name")
    name = stated.system or _words(tree.get("system_name")) or place.system or sut
    sources = [
        ("flags", stated.system or stated.devices),
        (f"systems/{place.system}.json", place.description),
        ("the folders' names", place.system),
        ("sut_name of the log", sut),
        ("the session's Identify reply", meter),
    ]
    accelerators = stated.devices if stated.devices is not None else _total(tree, "accelerators_per_node", nodes)
    return StatedSystem(
        name=name,
        submitter=_words(tree.get("submitter")) or place.submitter,
        division=_words(tree.get("division")) or place.division,
        accelerator=_words(tree.get("accelerator_model_name")),
        accelerators=accelerators,
        processor=_words(tree.get("host_processor_model_name")),
        processors=_total(tree, "host_processors_per_node", nodes),
        nodes=nodes,
        meter=None if meter is None else ", ".join(filter(None, (meter.model, meter.identity, meter.daemon))),
        basis="; ".join(source for source, there in sources if there) or "nothing states it",
    )


def _work(run: _Run, stated: Stated, published: str | None) -> StatedWork:
    log, place = run.log, run.folder.place
    queries, per_query = log.number("result_query_count"), log.number("effective_samples_per_query")
    return StatedWork(
        model=stated.model or place.model,
        precision=stated.precision or place.precision,
        scenario=log.text("effective_scenario") or "unknown",
        scenario_published=published,
        requests=requests_of(log),
        queries=None if queries is None else round(queries),
        samples_per_query=None if per_query is None else round(per_query),
        tool_verdict=log.text("result_validity"),
    )


def _total(tree: dict[str, object], key: str, nodes: int | None) -> int | None:
    each = _count(tree.get(key))
    return None if each is None or nodes is None else each * nodes


def _count(value: object) -> int | None:
    """Return a count that may be written as text; None for anything else, such as "N/A"."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value).strip()
    return int(text) if text.isdecimal() and len(text) < 9 else None


def _words(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _named(file: str, read: Callable[[], T]) -> T:
    """Return what a reader gives; its error names the file."""
    try:
        return read()
    except DocumentError as exc:
        raise type(exc)(f"{file}: {exc.what}", exc.why, exc.remedy) from exc
