"""What one NVIDIA board can be asked for: its counters, power fields and sample log, each in its own scope."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from wattbench.harness.power.contract import ChannelRecord
from wattbench.harness.power.nvml_ring import ClockPair, SampleRing, plain_number
from wattbench.harness.power.nvml_table import (
    UNCOMPARED,
    Accuracy,
    Behaviour,
    Field,
    accuracy_of,
    architecture_of,
    behaviour_of,
)
from wattbench.results.energy import Scope

__all__ = ["Board", "Source", "as_text", "asked", "sources_of"]

_MODULE_BOARDS = ("GH200", "GB200", "GB300")
"""Superchips: their energy counter counts the whole module, Grace and its memory too (Zeus pull request 172)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a power scope of NVML means: the word in our names, our scope, and its number in NVML."""

    word: str
    scope: Scope
    number: int


BOARD = Part(word="board", scope="board", number=0)
MODULE = Part(word="module", scope="module", number=1)
MEMORY = Part(word="memory", scope="other", number=2)
GPU_BASE = Part(word="base", scope="other", number=3)
PARTS = (BOARD, MODULE, MEMORY, GPU_BASE)
"""NVML_POWER_SCOPE_*: memory and GPU base are parts of the board, so they are recorded apart and never added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One thing to ask of one board: a call (`code` 0), a field in a scope, or the sample log (`ring`)."""

    channel: ChannelRecord
    field: Field
    code: int
    part: Part
    ring: SampleRing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One board: NVML's handle, its facts, what can be asked of it, and what was looked for in vain."""

    handle: Any  # any: an opaque ctypes pointer of pynvml
    index: int
    uuid: str
    name: str
    sources: tuple[Source, ...] = ()
    missing: dict[str, str] = field(default_factory=dict)


def sources_of(nvml: Any, board: Board, pair: ClockPair) -> Board:
    """Return the board with every source that answers now, and why its sample log is not among them.

    Each scope has one counter: the old call's scope that call, since drivers of any age know it; the others field 191.
    """
    describe = _describer(nvml, board)
    found = [*_counters(nvml, board, describe), *_powers(nvml, board, describe)]
    missing: dict[str, str] = {}
    rings = ((BOARD, nvml.NVML_TOTAL_POWER_SAMPLES), (MODULE, getattr(nvml, "NVML_MODULE_POWER_SAMPLES", 7)))
    for part, kind in rings:
        ring = SampleRing(nvml, board.handle, kind)
        why = ring.open(pair)
        if why is None:
            found.append(Source(channel=describe("samples", part), field="samples", code=0, part=part, ring=ring))
        else:
            missing[f"samples of the {part.word}"] = why
    return Board(
        handle=board.handle,
        index=board.index,
        uuid=board.uuid,
        name=board.name,
        sources=tuple(found),
        missing=missing,
    )


def asked(nvml: Any, call: Callable[..., Any], *arguments: Any) -> Any:
    """Return what an NVML call gives, or None when the board or driver does not support it."""
    try:
        return call(*arguments)
    except nvml.NVMLError:
        return None


def as_text(value: str | bytes) -> str:
    """Return a text of NVML's, which older bindings give as bytes."""
    return value.decode() if isinstance(value, bytes) else value


Describe = Callable[[Field, Part], ChannelRecord]


def _counters(nvml: Any, board: Board, describe: Describe) -> Iterator[Source]:
    by_call = None
    if asked(nvml, nvml.nvmlDeviceGetTotalEnergyConsumption, board.handle) is not None:
        by_call = MODULE if any(name in board.name for name in _MODULE_BOARDS) else BOARD
        yield Source(channel=describe("counter", by_call), field="counter", code=0, part=by_call)
    code = getattr(nvml, "NVML_FI_DEV_ENERGY", 191)  # older bindings have no name for it
    for part in PARTS:
        if part != by_call and _answers(nvml, board, code, part):
            yield Source(channel=describe("energy", part), field="energy", code=code, part=part)


def _powers(nvml: Any, board: Board, describe: Describe) -> list[Source]:
    """Return the power fields that answer; without any, the old power call."""
    codes: tuple[tuple[Field, int], ...] = (
        ("instant", nvml.NVML_FI_DEV_POWER_INSTANT),
        ("average", nvml.NVML_FI_DEV_POWER_AVERAGE),
    )
    found = [
        Source(channel=describe(name, part), field=name, code=code, part=part)
        for part in PARTS
        for name, code in codes
        if _answers(nvml, board, code, part)
    ]
    if not found and asked(nvml, nvml.nvmlDeviceGetPowerUsage, board.handle) is not None:
        found.append(Source(channel=describe("usage", BOARD), field="usage", code=0, part=BOARD))
    return found


def _answers(nvml: Any, board: Board, code: int, part: Part) -> bool:
    """Return whether a field answers in a scope; one that says 0 there beside a board that draws is no sensor."""
    values = asked(nvml, nvml.nvmlDeviceGetFieldValues, board.handle, [(code, part.number)])
    if values is None or values[0].nvmlReturn != nvml.NVML_SUCCESS:
        return False
    return part == BOARD or plain_number(values[0].value, values[0].valueType) != 0


def _describer(nvml: Any, board: Board) -> Describe:
    """Return what makes a channel's record from its field and scope."""
    architecture = architecture_of(asked(nvml, nvml.nvmlDeviceGetArchitecture, board.handle) or 0, board.name)
    limit_mw = asked(nvml, nvml.nvmlDeviceGetEnforcedPowerLimit, board.handle)
    driver = as_text(asked(nvml, nvml.nvmlSystemGetDriverVersion) or "")

    def describe(name: Field, part: Part) -> ChannelRecord:
        whole = part in (BOARD, MODULE)
        behaviour = behaviour_of(architecture, name, driver) if whole else Behaviour()
        accuracy: Accuracy | None = accuracy_of(architecture) if whole else None
        counts = name in ("counter", "energy")
        own = name if name == "counter" or part == BOARD else f"{name}-{part.word}"
        return ChannelRecord(
            id=f"nvml:{board.uuid}:{own}",
            sampler="nvml",
            group=f"nvml:{board.uuid}:{part.word}",
            scope=part.scope,
            kind="counter" if counts else "power",
            provenance="measured",
            unit="J" if counts else "W",
            covers=board.uuid,
            resolution=0.001,  # NVML counts in mJ and mW
            update_period_s=behaviour.update_period_s,
            averaging_window_s=behaviour.averaging_window_s,
            lag_s=behaviour.lag_s,
            seen_share=behaviour.seen_share,
            wraps_at_j=None,  # 64 bits of mJ since the driver was loaded
            limit_w=None if not limit_mw else limit_mw / 1000,
            accuracy_rel=None if accuracy is None else accuracy.rel,
            accuracy_basis=f"{UNCOMPARED if accuracy is None else accuracy.basis} [{architecture}]",
            buffered=name == "samples",
            offset_u_w=None if accuracy is None else accuracy.offset_u_w,
            offset_at_w=None if accuracy is None else accuracy.offset_at_w,
        )

    return describe
