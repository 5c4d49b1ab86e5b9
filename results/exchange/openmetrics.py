"""Figures of results as OpenMetrics text, for a textfile collector or a push gateway.

Source: the OpenMetrics specification 1.0 (text format), whose files Prometheus's older text format reads too where no
sample has a time stamp, an exemplar or a type of its own.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from wattbench.results.errors import DocumentError
from wattbench.results.exchange.exported import Exported, ExportedFigure, Subject
from wattbench.results.exchange.figure_table import plain_text

__all__ = ["UNITS", "openmetrics_bytes"]

PREFIX = "wattbench"

NAME = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*")
"""How our figures are called; a document may hold any text as a name, and several lines would be several samples."""

UNITS = {
    "{request}/s": "requests_per_second",
    "{token}/s": "tokens_per_second",
    "s": "seconds",
    "W": "watts",
    "J": "joules",
    "J/{request}": "joules_per_request",
    "J/{session}": "joules_per_session",
    "J/{token}": "joules_per_token",
    "{token}/J": "tokens_per_joule",
    "{request}/J": "requests_per_joule",
    "By": "bytes",
    "1": "ratio",
}
"""Our UCUM units as OpenMetrics writes them: in words, in the name's end."""

Labels = Mapping[str, str]


@dataclass(slots=True)
class _Family:
    """One family: its type, unit and help, and its samples as (suffix of the name, labels, value)."""

    kind: str
    unit: str
    text: str
    samples: list[tuple[str, Labels, float]] = field(default_factory=list)

    def add(self, suffix: str, labels: Labels, value: float) -> None:
        """Add a sample; what would be a second one of the same name and labels gets the label `nth`."""
        taken = {(s, tuple(sorted(each.items()))) for s, each, _ in self.samples}
        nth, unique = 1, labels
        while (suffix, tuple(sorted(unique.items()))) in taken:
            nth += 1
            unique = {**labels, "nth": str(nth)}
        self.samples.append((suffix, unique, value))


def openmetrics_bytes(results: Sequence[Exported]) -> bytes:
    """Return results as one exposition. A figure that is not known is left out: it is neither 0 nor NaN."""
    families: dict[str, _Family] = {}
    for result in results:
        _add_info(families, result.subject)
        for figure in result.figures:
            if figure.value is not None:
                _add_figure(families, result.subject, figure)
    lines = [line for name, family in families.items() for line in _lines(name, family)]
    return "".join(f"{line}\n" for line in (*lines, "# EOF")).encode()


def _add_info(families: dict[str, _Family], subject: Subject) -> None:
    text = "What each result is of: always 1. Join it by the label `result`."
    family = families.setdefault(f"{PREFIX}_result", _Family(kind="gauge", unit="", text=text))
    values = {
        "kind": subject.kind,
        "verdict": subject.verdict,
        "marks": " ".join(subject.marks),
        "tool": subject.tool,
        "tool_version": subject.tool_version,
        "started_at": subject.started_at,
        "load": subject.load,
        "load_version": subject.load_version,
        "model": subject.model,
        "precision": subject.precision,
        "scenario": subject.scenario,
        "device": subject.device,
        "devices": None if subject.devices is None else str(subject.devices),
        "engine": subject.engine,
    }
    family.add("", _labels(subject) | {key: value for key, value in values.items() if value}, 1.0)


def _add_figure(families: dict[str, _Family], subject: Subject, figure: ExportedFigure) -> None:
    assert figure.value is not None, "the caller left it out"
    base, unit = _name_of(figure), UNITS[figure.unit]
    labels = _labels(subject) | _figure_labels(figure)
    if figure.statistic == "mean":
        family = _family(families, f"{base}_mean", unit, f"{figure.name}, the mean.")
        family.add("", labels, figure.value)
    elif figure.statistic.startswith("p"):
        bounded = figure.statistic.endswith("_bound")
        text = f"{figure.name}, " + ("bounds of quantiles that are 99 % sure." if bounded else "its quantiles.")
        family = _family(families, f"{base}{'_bound' if bounded else ''}", unit, text)
        quantile = float(figure.statistic.removeprefix("p").removesuffix("_bound")) / 100
        family.add("", labels | {"quantile": f"{quantile:.6g}"}, figure.value)
    else:
        _family(families, base, unit, f"{figure.name}, {figure.statistic} of its samples.").add(
            "", labels, figure.value
        )
    _add_spread(families, base, unit, figure, labels)


def _name_of(figure: ExportedFigure) -> str:
    """Return the name of a figure's family. Raises DocumentError for a name or unit that OpenMetrics cannot have."""
    if NAME.fullmatch(figure.name) is None or figure.unit not in UNITS:
        what = f"{figure.name!r:.80} in {figure.unit!r:.40} cannot be a metric"
        raise DocumentError(what, "it is no figure of ours, or in no unit of ours", "Export it with --to csv.")
    return f"{PREFIX}_{figure.name.replace('.', '_')}"


def _add_spread(families: dict[str, _Family], base: str, unit: str, figure: ExportedFigure, labels: Labels) -> None:
    """Add the ends of the interval and the uncertainties, where they are known."""
    if figure.low is not None and figure.high is not None and figure.level is not None:
        for end, value in (("low", figure.low), ("high", figure.high)):
            family = _family(families, f"{base}_{end}", unit, f"{figure.name}, the {end} end of its interval.")
            family.add("", {**labels, "level": f"{figure.level:.6g}"}, value)
    for kind, u_rel in (("absolute", figure.u_absolute_rel), ("comparison", figure.u_comparison_rel)):
        if u_rel is not None:
            text = f"{figure.name}, relative standard uncertainty (k=1)."
            family = _family(families, f"{base}_uncertainty", "ratio", text)
            family.add("", {**labels, "against": kind}, u_rel)


def _family(families: dict[str, _Family], base: str, unit: str, text: str) -> _Family:
    return families.setdefault(f"{base}_{unit}", _Family(kind="gauge", unit=unit, text=text))


def _labels(subject: Subject) -> dict[str, str]:
    """Return what every sample carries: the result's digest, shortened, and its marks where it has any."""
    digest = subject.result_id.removeprefix("sha256:")[:16]
    return {"result": digest} | ({"marks": " ".join(subject.marks)} if subject.marks else {})


def _figure_labels(figure: ExportedFigure) -> dict[str, str]:
    found = {"scope": figure.scope, "boundary": figure.boundary, "method": figure.method}
    return {key: value for key, value in found.items() if value}


def _lines(name: str, family: _Family) -> Iterator[str]:
    yield f"# TYPE {name} {family.kind}"
    if family.unit:
        yield f"# UNIT {name} {family.unit}"
    yield f"# HELP {name} {_escaped(family.text)}"
    for suffix, labels, value in family.samples:
        inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"{name}{suffix}{{{inside}}} {value!r}"


def _escaped(text: str) -> str:
    """Return text as a label or a help line may hold it: backslash, quote and newline escaped."""
    return plain_text(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
