"""What a page is about: a document with its file's bytes and polls, and what stands at its head."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from wattbench.results.compare_sides import warnings_of
from wattbench.results.document import Result
from wattbench.results.doubts import Doubt, Severity
from wattbench.results.economics.inputs import CostInputs
from wattbench.results.energy import Polls
from wattbench.results.imported import Document, ImportedResult
from wattbench.results.measurement import RequestsFile
from wattbench.results.report.blocks import Badge, Block, Entries, Entry, Prose, Section, Tone
from wattbench.results.traffic_words import arrival_of, lengths_of

__all__ = [
    "NOT_VERIFIED",
    "Subject",
    "Trust",
    "badges_of",
    "precision_of",
    "subtitle_of",
    "title_of",
    "verdict_section",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """How far a result was checked by others: a tier in one or two words, how that is known, and how good that is."""

    tier: str
    basis: str
    tone: Literal["good", "warn", "bad", "info", "plain"] = "plain"


NOT_VERIFIED = Trust(tier="not verified", basis="nobody but its author has checked this result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One document on a page, under the name of its file.

    `data` are the bytes of its file. `polls` are its raw polls, `polls_reason` says why there are none. `notes` are
    lines of text by what they are about, of meters, other tools and single devices. `cost` are the inputs of a cost,
    None where none was asked for. `requests_file` is the file beside it that its requests came from.
    """

    name: str
    result_id: str
    document: Document
    data: bytes
    polls: tuple[Polls, ...] = ()
    polls_reason: str = ""
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cost: CostInputs | None = None
    trust: Trust = NOT_VERIFIED
    requests_file: RequestsFile | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return why nothing of the document is to be quoted."""
        return warnings_of(self.document)


TONES: Mapping[str, Tone] = {"valid": "good", "doubtful": "warn", "invalid": "bad"}
SEVERITIES: Mapping[Severity, Tone] = {"severe": "bad", "doubt": "warn", "note": "plain"}
ORDER: Mapping[Severity, int] = {"severe": 0, "doubt": 1, "note": 2}

MARKS = {
    "mock": "MOCK",
    "emulated": "EMULATED",
    "replayed_power": "REPLAYED POWER",
    "modelled_power": "MODELLED POWER",
    "attached_power": "ATTACHED METER",
    "quick": "QUICK RUN",
}
"""The doubts that a reader must see before any figure."""

MEANING = {
    "valid": "Nothing speaks against these figures.",
    "doubtful": "The figures may be used with the doubts below.",
    "invalid": "No figure of this page is to be quoted.",
}


def title_of(document: Document) -> str:
    """Return what ran, on what."""
    if isinstance(document, ImportedResult):
        work, system = document.work, document.system
        return f"{work.model or 'Model not stated'} on {system.accelerator or system.name or 'a system not stated'}"
    backend = document.backend
    device = (backend.device_name if backend else None) or document.plan.device
    return f"{document.load.name} on {device}"


def subtitle_of(document: Document) -> str:
    """Return the rest of what ran in one line: engine, precision, how requests arrive, weights, when."""
    if isinstance(document, ImportedResult):
        work, clock = document.work, document.clock
        when = f", measured {clock.origin_utc}" if clock else ", date not stated"
        return f"{precision_of(document)}, {work.scenario}; imported from {document.source.tool}{when}"
    plan, backend = document.plan, document.backend
    engine = f"{backend.name}/{backend.engine}" if backend else plan.backend
    lengths = lengths_of(document)
    tokens = f"{lengths.input} tokens in, {lengths.output} out{lengths.turns}"
    what = f"{engine}, {precision_of(document)}; {tokens}; {arrival_of(plan)}"
    return f"{what}; {plan.weights} weights; {document.run.started_at}"


def precision_of(document: Document) -> str:
    """Return the precision that ran, as stated by an imported document."""
    if isinstance(document, ImportedResult):
        return document.work.precision or "precision not stated"
    return document.backend.precision_effective if document.backend else document.plan.precision


def badges_of(document: Document, trust: Trust) -> tuple[Badge, ...]:
    """Return the verdict, what a reader must see before any figure, and the tier of trust."""
    return tuple(_badges(document, trust))


def verdict_section(document: Document, key: str = "verdict") -> Section:
    """Return the verdict with its doubts, the gravest first, each with its facts and what to do."""
    blocks: list[Block] = []
    if isinstance(document, Result) and document.error is not None:
        error = document.error
        advice = error.remedy
        text = f"in phase {error.phase}: {error.what}: {error.why}"
        entry = Entry(badge=Badge(text="ENDED EARLY", tone="bad"), text=text, advice=advice)
        blocks.append(Entries(entries=(entry,)))
    if document.verdict is None:
        blocks.append(Prose(text="The run has not ended, so there is no verdict."))
    else:
        standing = document.verdict.standing
        blocks.append(Prose(text=f"{standing.upper()} (status {document.status}). {MEANING[standing]}"))
    blocks.append(_doubts(document.doubts))
    return Section(key=key, title="Verdict and doubts", blocks=tuple(blocks))


def _badges(document: Document, trust: Trust) -> Iterator[Badge]:
    if document.verdict is None:
        yield Badge(text="NO VERDICT", tone="bad", title="the run has not ended")
    else:
        standing = document.verdict.standing
        yield Badge(text=standing.upper(), tone=TONES[standing], title="the verdict that follows from the doubts")
    yield Badge(text=trust.tier, tone=trust.tone, title=trust.basis)
    if isinstance(document, ImportedResult):
        yield Badge(text="IMPORTED", tone="info", title=f"another tool measured this: {document.source.tool}")
    codes = {doubt.code for doubt in document.doubts}
    for code, word in MARKS.items():
        if code in codes:
            yield Badge(text=word, tone="warn" if code == "quick" else "bad")


def _doubts(doubts: Sequence[Doubt]) -> Block:
    if not doubts:
        return Prose(text="There is no doubt.")
    entries = [
        Entry(
            badge=Badge(text=doubt.severity, tone=SEVERITIES[doubt.severity]),
            head=doubt.code,
            text=doubt.facts,
            advice=doubt.advice,
        )
        for doubt in sorted(doubts, key=lambda doubt: ORDER[doubt.severity])
    ]
    return Entries(entries=tuple(entries))
