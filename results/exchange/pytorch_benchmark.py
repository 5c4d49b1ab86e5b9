"""Figures of results in version 3 of PyTorch's open benchmark database: a JSON array, one record a figure.

Fields: pytorch/test-infra, clickhouse_db_schema/oss_ci_benchmark_v3/schema.sql (read at commit 3c0eb5c). `timestamp`,
`repo`, `head_*`, `workflow_id`, `job_id` and `schema_version` are the uploader's to add. Everything in a map
`extra_info` is text there, and numbers are kept as float32.
"""

import json
from collections.abc import Iterator, Mapping, Sequence

from wattbench.results.document import Result
from wattbench.results.exchange.exported import Exported, ExportedFigure, Subject

__all__ = ["pytorch_benchmark_bytes", "pytorch_records"]

BYTES_PER_GIB = 1024**3
"""What the database's own writers divide by for `*_in_gb`."""

Record = dict[str, object]


def pytorch_benchmark_bytes(results: Sequence[Exported]) -> bytes:
    """Return results as the JSON that the database takes."""
    records = [record for result in results for record in pytorch_records(result)]
    return (json.dumps(records, indent=1, allow_nan=False) + "\n").encode()


def pytorch_records(result: Exported) -> Iterator[Record]:
    """Yield one record for each figure that is known."""
    subject = result.subject
    shared: Record = {
        "benchmark": {
            "name": "wattbench",
            "mode": "inference",
            "dtype": subject.precision or "",
            "extra_info": _benchmark_info(subject),
        },
        "model": _model(subject),
        "runners": [_runner(result)],
        "inputs": _inputs(subject),
        "dependencies": _dependencies(result),
    }
    for figure in result.figures:
        if figure.value is not None:
            yield {**shared, "metric": _metric(figure, subject)}


def _benchmark_info(subject: Subject) -> dict[str, str]:
    return _known(
        {
            "result_id": subject.result_id,
            "kind": subject.kind,
            "status": subject.status,
            "verdict": subject.verdict,
            "marks": " ".join(subject.marks),
            "not_to_be_quoted": "; ".join(subject.reasons),
            "tool": subject.tool,
            "tool_version": subject.tool_version,
            "started_at": subject.started_at,
            "load": subject.load,
            "load_version": subject.load_version,
            "scenario": subject.scenario,
            "batch": subject.batch,
        }
    )


def _model(subject: Subject) -> Record:
    return {
        "name": subject.model or "not stated",
        "type": subject.family or "",
        "backend": subject.engine or "",
        "origins": [],
        "extra_info": _known({"weights": subject.weights}),
    }


def _inputs(subject: Subject) -> Record:
    if subject.input_tokens is None and subject.output_tokens is None:
        return {}
    tokens = {"input_tokens": subject.input_tokens, "output_tokens": subject.output_tokens}
    return {"request": {"dtype": "", "extra_info": _known(tokens)}}


def _runner(result: Exported) -> Record:
    """Return the machine; what is not known is left out, since the database has no null."""
    subject, document = result.subject, result.document
    runner: Record = {"name": subject.device or "not stated", "type": subject.device or "not stated"}
    if subject.processor is not None:
        runner["cpu_info"] = subject.processor
    if isinstance(document, Result):
        machine = document.environment
        runner["cpu_count"] = machine.cpu.cores_logical
        runner["avail_mem_in_gb"] = machine.host.memory_bytes // BYTES_PER_GIB
        boards = machine.accelerators
        if boards:
            runner["gpu_info"] = ", ".join(dict.fromkeys(board.name for board in boards))
            runner["gpu_count"] = len(boards)
            sizes = [board.memory_bytes for board in boards if board.memory_bytes is not None]
            if len(sizes) == len(boards):
                runner["avail_gpu_mem_in_gb"] = sum(sizes) // BYTES_PER_GIB
    elif document.system.accelerators is not None:
        runner["gpu_info"] = document.system.accelerator or ""
        runner["gpu_count"] = document.system.accelerators
    runner["extra_info"] = _known({"devices_used": subject.devices})
    return runner


def _dependencies(result: Exported) -> Record:
    harness = result.document.harness
    found: Record = {harness.name: {"version": harness.version, "extra_info": {"source_sha256": harness.source_sha256}}}
    if isinstance(result.document, Result) and result.document.backend is not None:
        for name, version in result.document.backend.versions.items():
            found.setdefault(name, {"version": version, "extra_info": {}})
    elif result.subject.kind == "imported":
        found[result.subject.tool] = {"version": result.subject.tool_version or "", "extra_info": {}}
    return found


def _metric(figure: ExportedFigure, subject: Subject) -> Record:
    plain = figure.statistic in ("median", "single")
    return {
        "name": figure.name if plain else f"{figure.name}.{figure.statistic}",
        "benchmark_values": list(figure.samples),
        "extra_info": _known(
            {
                "unit": figure.unit,
                "statistic": figure.statistic,
                "count": figure.count,
                "scope": figure.scope,
                "boundary": figure.boundary,
                "method": figure.method,
                "interval_low": figure.low,
                "interval_high": figure.high,
                "interval_level": figure.level,
                "u_absolute_rel": figure.u_absolute_rel,
                "u_comparison_rel": figure.u_comparison_rel,
                "marks": " ".join(subject.marks),
            }
        ),
    }


def _known(values: Mapping[str, str | float | None]) -> dict[str, str]:
    """Return what is known as text: the database's maps hold nothing else."""
    return {
        key: value if isinstance(value, str) else repr(value)
        for key, value in values.items()
        if value not in (None, "")
    }
