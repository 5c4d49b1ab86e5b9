"""Pages under test: made-up results that have everything, hostile ones, and Chromium with axe-core to look at them."""

import importlib.util
import shutil
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from wattbench.results.ceilings import CeilingEntry, CeilingsRecord
from wattbench.results.document import Result
from wattbench.results.doubts import Doubt, judge
from wattbench.results.energy import ChannelRecord, Polls
from wattbench.results.imported import ImportedResult
from wattbench.results.measurement import PhaseRecord, Window
from wattbench.results.metrics import Metric, QuantileMetric
from wattbench.results.report.subject import Subject
from wattbench.results.rungs import RungEnergy
from wattbench.results.summarise import summarise

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((ROOT / "examples" / "results").glob("*.json"))
AXE = ROOT / "build" / "peers-node" / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = shutil.which("chromium")
VERSION = "0.1.0"
S = 1_000_000_000

needs_browser = pytest.mark.skipif(
    CHROMIUM is None or not AXE.is_file() or importlib.util.find_spec("playwright") is None,
    reason="needs chromium and axe-core (.ci/install-peers) and playwright",
)

HOSTILE = (
    "</script></style></title><script>window.broken=1</script><img src=x onerror=window.broken=1>"
    "\"'><svg onload=window.broken=1><a href=javascript:window.broken=1>{{ 7*191 }}{% raw %}\u202e\x00&lt;"
)
"""What ends every context that it may come to stand in, and would be executed in the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a page is looked at: colours, width, and whether it may run its scripts."""

    scheme: typing.Literal["light", "dark"] = "light"
    width: int = 1280
    scripts: bool = True


@dataclass(slots=True, kw_only=True)
class Visit:
    """An opened page of Chromium with all that happened on it."""

    page: Any  # any: playwright's Page
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@contextmanager
def chromium() -> Iterator[Any]:  # any: playwright's Browser
    """Run Debian's Chromium without a screen."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def visited(browser: Any, file: Path, look: Look = Look()) -> Iterator[Visit]:
    """Open a file without a network, and note every request, error of the page and message on its console."""
    context = browser.new_context(
        offline=True,
        color_scheme=look.scheme,
        viewport={"width": look.width, "height": 900},
        java_script_enabled=look.scripts,
        accept_downloads=True,
    )
    page = context.new_page()
    visit = Visit(page=page)
    address = file.as_uri()
    page.on("request", lambda each: each.url != address and visit.requests.append(each.url))
    page.on("pageerror", lambda error: visit.errors.append(str(error)))
    page.on("console", lambda message: visit.errors.append(message.text))
    page.goto(address)
    yield visit
    context.close()


def violations(page: Any, rules: tuple[str, ...] = ()) -> list[str]:  # any: playwright's Page
    """Return what axe-core finds wrong with a page by all of its rules, or by some."""
    page.evaluate(AXE.read_text())
    only = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else {}
    asked = {"resultTypes": ["violations"], "preload": False, **only}
    found = page.evaluate("(asked) => axe.run(document, asked)", asked)["violations"]
    return [f"{each['id']}: {node['html'][:160]}: {node['failureSummary']}" for each in found for node in each["nodes"]]


def whole(factories: ModuleType, *, polls_hz: float = 2.0, **overrides: Any) -> Result:  # any: values of any field
    """Return a made-up run on an H100 with two scopes of power, ceilings, phases and polls."""
    load = replace(factories.make_load(), name="llama-3.1-8b/chat", model="llama-3.1-8b")
    backend = replace(
        factories.make_backend(), name="torch", mock=False, device="cuda:0", device_name="NVIDIA H100 80GB HBM3"
    )
    repeats = tuple(factories.make_repeat(i) for i in range(5))
    made = factories.make_result()
    ceilings = _ceilings()
    board = [factories.make_rung(r.energy[0].energy_j) for r in repeats]
    rungs = [[rung, _wall(rung)] for rung in board]
    summary = summarise(
        load,
        repeats,
        rung_energies=rungs,
        idle_power_w={factories.RUNG: 100.0},
        memory_peak_bytes=123_456_789,
        no_energy_reason=None,
        backend=backend,
        ceilings=ceilings,
    )
    doubts = (
        Doubt(code="quick", severity="note", facts="windows of 10 s", advice="Leave --quick out."),
        Doubt(code="throttled", severity="doubt", facts="for 3 % of a window", advice="Cool the device."),
    )
    spans = {"idle": (1, 31), "prepare": (31, 40), "warm-up": (40, 59), "measure": (59, 119)}
    phases = tuple(
        PhaseRecord(name=name, window=Window(start_ns=a * S, end_ns=b * S)) for name, (a, b) in spans.items()
    )
    channel = _power_channel(made.power.channels[0])
    power = replace(made.power, channels=(channel,), polls=(_polls(channel.id, polls_hz),))
    base = {"load": load, "backend": backend, "repeats": repeats, "summary": summary, "ceilings": ceilings}
    changed = {**base, "doubts": doubts, "phases": phases, "power": power, **overrides}
    return typing.cast(Result, factories.make_result(**changed))


def subject(document: Result | ImportedResult, name: str = "made-up", **overrides: Any) -> Subject:  # any: of any field
    """Return a document as a subject, its polls and bytes with it."""
    from wattbench.results.codec import to_builtins
    from wattbench.results.files import canonical_bytes, document_id

    tree = to_builtins(document)
    base = Subject(
        name=name,
        result_id=document_id(tree),
        document=document,
        data=canonical_bytes(tree),
        polls=document.power.polls,
    )
    return replace(base, **overrides)


def hostile(record: Any) -> Any:  # any: a record of any type
    """Return a record with `HOSTILE` in every field of free text, however deep; the verdict follows its doubts."""
    kept = {"schema", "digest", "sha256", "id"} | (
        {"name", "unit"} if isinstance(record, Metric | QuantileMetric) else set()
    )
    hints = typing.get_type_hints(type(record))
    changed: dict[str, Any] = {}
    for each in fields(record):
        value = getattr(record, each.name)
        if each.name in kept or (each.name == "code" and isinstance(record, Doubt)):
            continue
        changed[each.name] = _hostile(value, hints[each.name])
    if isinstance(record, Result | ImportedResult):
        changed["verdict"] = judge(changed["doubts"], finished=record.status == "complete")
    return replace(record, **changed)


def _hostile(value: Any, hint: Any) -> Any:  # any: values and hints of any field
    if is_dataclass(value):
        return hostile(value)
    if isinstance(value, tuple) and value and is_dataclass(value[0]):
        return tuple(hostile(each) for each in value)
    if isinstance(value, str) and hint in (str, str | None):
        return HOSTILE
    if value and hint == tuple[str, ...]:
        return (HOSTILE,) * len(value)
    if value and hint == dict[str, str]:
        return {HOSTILE: HOSTILE}
    return value


def _wall(rung: RungEnergy) -> RungEnergy:
    """Return what a meter at the wall would say where the board says `rung`."""
    assert rung.energy_j is not None
    assert rung.mean_power_w is not None
    return replace(
        rung,
        name="wall",
        scope="wall",
        covers=None,
        boundary="whole machine at the wall socket",
        energy_j=1.6 * rung.energy_j,
        mean_power_w=1.6 * rung.mean_power_w,
    )


def _ceilings() -> CeilingsRecord:
    kinds = (("matmul", "float32", "FLOP/s", 1e11, "8x8x8"), ("memory_read", None, "By/s", 1e9, "512 MiB"))
    entries = tuple(
        CeilingEntry(
            kind=kind, precision=precision, shape=shape, unit=unit, samples=(rate,), library="torch", threads=None
        )
        for kind, precision, unit, rate, shape in kinds
    )
    return CeilingsRecord(
        device="cuda:0",
        device_name="NVIDIA H100 80GB HBM3",
        measured_at="2026-01-02T03:00:00Z",
        duration_s=10.0,
        cached=False,
        versions={"torch": "2.0"},
        cache_bytes=1000,
        entries=entries,
    )


def _power_channel(counter: ChannelRecord) -> ChannelRecord:
    return replace(counter, id="nvml:GPU-00000000:power", kind="power", unit="W", lag_s=0.05)


def _polls(channel: str, rate_hz: float) -> Polls:
    step_ns = round(S / rate_hz)
    at = tuple(range(0, 125 * S, step_ns))
    watts = tuple(300.0 + (i % 7) if 40 * S <= t < 119 * S else 100.0 for i, t in enumerate(at))
    after = tuple(t + 10_000 for t in at)
    return Polls(channel=channel, before_ns=at, after_ns=after, value=watts, sensor_ns=None, errors={})
