"""The sections on where a result comes from: its machine, how to make it again, and its raw data to take along."""

import gzip
import shlex
from collections.abc import Iterable, Iterator, Mapping

from wattbench.results.document import Result
from wattbench.results.imported import Document, ImportedResult
from wattbench.results.readable import number, time
from wattbench.results.report.blocks import (
    Block,
    Cell,
    Code,
    Column,
    Download,
    Fact,
    Facts,
    Fold,
    Prose,
    Section,
    Table,
)
from wattbench.results.report.subject import Subject
from wattbench.results.report.words import size

__all__ = ["environment_section", "raw_section", "reproduce_section"]

PLAIN_MAX_BYTES = 128 * 1024
"""Larger documents are in the page as gzip; JSON of columns shrinks to a third or less."""

PACKED_MAX_BYTES = 16 * 1024 * 1024
"""Larger ones are not in the page: a browser would hold them three times."""

UNKNOWN = "not known"


def environment_section(document: Document) -> Section:
    """Return the facts of the machine and of the software; what is not known says so."""
    blocks: list[Block]
    if isinstance(document, ImportedResult):
        blocks = [Facts(facts=tuple(_imported_facts(document)))]
    else:
        blocks = [
            Facts(facts=tuple(_run_facts(document))),
            *_accelerators(document),
            Fold(
                summary="Versions and variables",
                blocks=(
                    _names("Packages that can change speed or numbers", _versions(document)),
                    _names("Environment variables that can", document.environment.variables),
                ),
            ),
        ]
    return Section(key="environment", title="Environment", blocks=tuple(blocks))


def reproduce_section(document: Document) -> Section:
    """Return the command, the version and the digests by which the run can be made again."""
    blocks: list[Block]
    if isinstance(document, ImportedResult):
        source = document.source
        files = {file.path: f"{file.size_bytes} bytes, sha256 {file.sha256}" for file in source.files}
        version = f"{source.tool} {source.version or 'of a version not stated'}"
        blocks = [
            Prose(text=f"{version} made this run; wattbench {document.harness.version} imported these files:"),
            _names("Files that were read", files),
        ]
    else:
        digests = {
            "wattbench": f"{document.harness.version}, source {document.harness.source_sha256}",
            "load": f"{document.load.name} version {document.load.version}, {document.load.digest}",
            "weights": (document.weights.digest if document.weights else None) or UNKNOWN,
            "seed": str(document.plan.seed),
        }
        blocks = [
            Code(label="The command that measured this", text=shlex.join(document.run.command)),
            Facts(facts=tuple(Fact(label=label, text=text) for label, text in digests.items())),
            Prose(text="Its figures can be computed again from the file below and the files beside it:"),
            Code(label="With all of them in one folder", text="bench show RESULT.json\nbench recompute RESULT.json"),
        ]
    return Section(key="reproduce", title="How to reproduce", blocks=tuple(blocks))


def raw_section(subjects: Iterable[Subject]) -> Section:
    """Return the documents themselves, to be saved from the page, and name and digest of each file beside them."""
    blocks = [block for subject in subjects for block in _raw(subject)]
    return Section(key="raw", title="Raw data", blocks=tuple(blocks))


def _raw(subject: Subject) -> Iterator[Block]:
    data, name = subject.data, f"{subject.name}.json"
    media, text = "application/json", f"the result document, {size(len(data))}, id {subject.result_id}"
    if len(data) > PLAIN_MAX_BYTES:
        packed = gzip.compress(data, 9, mtime=0)
        name, media, text = f"{name}.gz", "application/gzip", f"{text}; packed to {size(len(packed))}"
        data = packed
    if len(data) > PACKED_MAX_BYTES:
        yield Download(name=name, media=media, data=None, text=f"{text}: too large for a page, take the file itself")
    else:
        yield Download(name=name, media=media, data=data, text=text)
    polls = subject.document.power.polls_file
    if polls is not None:
        beside = f"beside the result: {polls.rows} raw polls, {size(polls.size_bytes)}, {polls.digest}"
        yield Download(name=polls.name, media="", data=None, text=beside)
    elif any(log.value for log in subject.document.power.polls):
        yield Prose(text="Its raw polls are in the document.", quiet=True)
    else:
        yield Prose(text="It has no raw polls.", quiet=True)
    requests = subject.requests_file
    if requests is not None:
        beside = f"beside the result: {requests.rows} requests, {size(requests.size_bytes)}, {requests.digest}"
        yield Download(name=requests.name, media="", data=None, text=beside)


def _imported_facts(document: ImportedResult) -> Iterator[Fact]:
    system, work = document.system, document.work
    yield Fact(label="stated by", text=system.basis)
    stated = {
        "system": system.name,
        "submitter": system.submitter,
        "division": system.division,
        "accelerator": _counted(system.accelerators, system.accelerator),
        "processor": _counted(system.processors, system.processor),
        "nodes": system.nodes,
        "meter": system.meter,
        "model": work.model,
        "precision": work.precision,
        "scenario": work.scenario,
        "published under": work.scenario_published,
        "requests": work.requests,
        "the tool's verdict": work.tool_verdict,
    }
    for label, value in stated.items():
        yield Fact(label=label, text="not stated" if value is None else str(value))
    yield Fact(label="not known", text="plan, environment, engine, single requests: the tool does not record them")


def _counted(count: int | None, name: str | None) -> str | None:
    if count == 0:
        return "none"
    return name if count is None or name is None else f"{count} x {name}"


def _run_facts(result: Result) -> Iterator[Fact]:
    host, cpu, backend = result.environment.host, result.environment.cpu, result.backend
    cores = f"{cpu.cores_physical or '?'} cores, {cpu.cores_logical} threads, {number(cpu.cores_usable)} usable"
    sockets = "" if cpu.sockets is None else f", {cpu.sockets} socket{'' if cpu.sockets == 1 else 's'}"
    yield Fact(label="machine", text=host.machine or UNKNOWN)
    yield Fact(label="processor", text=f"{cpu.model or UNKNOWN} ({cpu.architecture}; {cores}{sockets})")
    limit = "" if host.memory_limit_bytes is None else f", limited to {size(host.memory_limit_bytes)}"
    yield Fact(label="memory", text=size(host.memory_bytes) + limit)
    yield Fact(label="system", text=f"{host.os} {host.kernel}, Python {result.environment.python}")
    looked = {"virtualisation": host.virtualization, "container": host.container, "governor": cpu.governor}
    for label, value in looked.items():
        yield Fact(label=label, text=value or UNKNOWN)
    yield Fact(label="on battery", text=UNKNOWN if host.on_battery is None else "yes" if host.on_battery else "no")
    if backend is None:
        yield Fact(label="backend", text=f"{result.plan.backend}: the run did not get as far")
        return
    where = f"{backend.device} ({backend.device_name or 'unnamed'})"
    yield Fact(label="device", text=f"{where}, {backend.threads} threads" if backend.threads else where)
    yield Fact(label="engine", text=f"{backend.name}/{backend.engine}; tuning: {backend.tuning}")
    yield Fact(label="precision", text=f"{backend.precision_requested} asked, {backend.precision_effective} got")
    yield Fact(label="end of work", text=backend.synchronisation)
    yield Fact(label="placement", text=backend.placement)
    yield from _checks(result)


def _checks(result: Result) -> Iterator[Fact]:
    if result.quality is not None:
        quality = result.quality
        passed = "passed" if quality.passed else "FAILED"
        error = f"relative error {number(quality.relative_error)}, allowed {number(quality.tolerance_relative_error)}"
        yield Fact(label="quality gate", text=f"{passed}: {error}, against {quality.reference}; {quality.reason}")
    if result.preparation is not None:
        done = result.preparation
        text = f"worker {time(done.worker_start_s)}, build {time(done.build_s)}"
        text += f", first execution {time(done.first_execution_s)}"
        yield Fact(label="preparation", text=text)
    if result.warmup is not None:
        warm = result.warmup
        yield Fact(
            label="warm-up",
            text=f"{time(warm.window.duration_s)}, {'steady' if warm.steady else 'ended at its cap'} ({warm.test})",
        )
    for used in (sampler for sampler in result.power.samplers if sampler.used):
        yield Fact(label="power sampler", text=f"{used.name}: {used.reason}")


def _accelerators(result: Result) -> Iterator[Table]:
    cards = result.environment.accelerators
    if not cards:
        return
    columns = (
        Column(name="accelerator"),
        Column(name="memory", right=True),
        Column(name="driver"),
        Column(name="power limit", right=True),
        Column(name="default", right=True),
        Column(name="other processes", right=True),
    )
    rows = tuple(
        (
            Cell(text=f"{card.vendor} {card.index}: {card.name}"),
            Cell(text="-" if card.memory_bytes is None else size(card.memory_bytes), order=card.memory_bytes),
            Cell(text=card.driver or "-"),
            _watts(card.power_limit_w),
            _watts(card.power_limit_default_w),
            Cell(text="-" if card.other_processes is None else str(card.other_processes), order=card.other_processes),
        )
        for card in cards
    )
    yield Table(caption="Accelerators of the machine", columns=columns, rows=rows)


def _watts(value: float | None) -> Cell:
    return Cell(text="-" if value is None else f"{number(value)} W", order=value)


def _versions(result: Result) -> Mapping[str, str]:
    return {**result.environment.packages, **(result.backend.versions if result.backend else {})}


def _names(caption: str, texts: Mapping[str, str]) -> Block:
    if not texts:
        return Prose(text=f"{caption}: none are recorded.", quiet=True)
    columns = (Column(name="name"), Column(name="value"))
    rows = tuple((Cell(text=name), Cell(text=text)) for name, text in sorted(texts.items()))
    return Table(caption=caption, columns=columns, rows=rows, sortable=False)
