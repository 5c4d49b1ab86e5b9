"""Stores with documents in them, for the tests of the index and of `bench query`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import factories
import pytest

from wattbench.harness.cli import indexing
from wattbench.results.codec import to_builtins
from wattbench.results.document import Result
from wattbench.results.doubts import Doubt, judge
from wattbench.results.files import canonical_bytes
from wattbench.results.index.build import Facts, Logged, row_of
from wattbench.results.index.facts import facts_of
from wattbench.results.index.row import IndexRow
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.layout import note_key
from wattbench.results.store.open import init_store
from wattbench.results.store.publish import package_of_bytes, publish
from wattbench.results.store.records import Note, NoteKind, to_bytes

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
H100 = "NVIDIA H100 80GB HBM3"
NO_DOUBTS: tuple[Doubt, ...] = ()


@contextmanager
def believed() -> Iterator[None]:
    """Believe results that are made up; what verification makes of them is test_trust_indexing's to say."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(indexing, "verified_facts", facts_of)
        yield


def make_gpu_result(
    name: str = H100, *, day: int = 0, factor: float = 1.0, **overrides: Any
) -> Result:  # any: values of any field
    """Return a complete, valid run on a GPU whose work took `1 / factor` of the usual energy."""
    base = _base(name, factor)
    run = replace(base.run, id=f"run-{day}-{factor}", started_at=(START + timedelta(days=day)).isoformat())
    verdict = judge(base.doubts, finished=overrides.get("status", "complete") == "complete")
    return replace(base, **{"run": run, "verdict": verdict, **overrides})


@cache
def _base(name: str, factor: float) -> Result:
    backend = replace(factories.make_backend(), name="torch", mock=False, device="cuda:0", device_name=name)
    base = factories.make_result(doubts=NO_DOUBTS, backend=replace(backend, engine="eager"))
    board = replace(base.environment.accelerators[0], name=name)
    environment = replace(base.environment, accelerators=(board,))
    return replace(base, environment=environment, **_with_energy(factor))


def _with_energy(factor: float) -> dict[str, Any]:  # any: the fields of a result
    repeats = tuple(
        replace(repeat, energy=(factories.make_channel_energy((3000.0 + 5 * n) / factor),))
        for n, repeat in enumerate(factories.make_repeat(i) for i in range(5))
    )
    summary = factories.summarise(
        factories.make_load(),
        repeats,
        rung_energies=[[factories.make_rung(repeat.energy[0].energy_j)] for repeat in repeats],
        idle_power_w={factories.RUNG: 100.0},
        memory_peak_bytes=None,
        no_energy_reason=None,
    )
    return {"repeats": repeats, "summary": summary}


def make_row(result: Result | None = None, **overrides: Any) -> IndexRow:  # any: values of any field
    """Return the row of a result, with some columns replaced."""
    document = result if result is not None else make_gpu_result()
    logged = Logged(id=id_of(document), at="2026-03-01T12:00:00.000Z", uploader="ann", size_bytes=1000)
    return replace(row_of(document, logged, Facts()), **overrides)


def id_of(result: Result) -> str:
    """Return the id that a document has in a store."""
    return package_of_bytes(canonical_bytes(to_builtins(result)), result, ()).id


def push(store: ObjectStore, result: Result, uploader: str = "ann") -> str:
    """Put a result into a store; return its id."""
    package = package_of_bytes(canonical_bytes(to_builtins(result)), result, ())
    return publish(store, package, uploader=uploader, wattbench="0.1.0").id


def make_store(folder: Path, results: Sequence[Result] = ()) -> ObjectStore:
    """Return a local store with some results."""
    store, _ = init_store(str(folder))
    for result in results:
        push(store, result)
    return store


def note(store: ObjectStore, result_id: str, kind: NoteKind = "withdrawn", by: str = "ann") -> None:
    """Put a note about a result into a store."""
    record = Note(about=result_id, kind=kind, text="a fan had failed", other=None, at=START.isoformat(), by=by)
    assert store.create(note_key(result_id, f"by-{by}"), to_bytes(record))
