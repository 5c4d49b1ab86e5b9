"""Verification: an honest document passes, and a forged one is told apart although all its digests fit."""

import copy
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from trust_case import (
    BOARD_FACTS,
    LOAD_W,
    NOW,
    WINDOW_NS,
    at_ns,
    make_case,
    only_power,
    package,
    rederived,
    with_values,
)

from wattbench.harness import recompute
from wattbench.harness.cli.group import bench as command_line
from wattbench.harness.exchange.mlperf_import import import_mlperf
from wattbench.harness.trust import recomputing
from wattbench.harness.trust.inspecting import inspect_file
from wattbench.harness.trust.verifying import admit
from wattbench.results.codec import decode, to_builtins
from wattbench.results.document import Result
from wattbench.results.doubts import judge
from wattbench.results.energy import ChannelEnergy
from wattbench.results.errors import DocumentError
from wattbench.results.files import canonical_bytes, read_document, read_result
from wattbench.results.metrics import Metric, Summary
from wattbench.results.subject import RankRecord
from wattbench.results.trust.signers import Expectation
from wattbench.results.trust.verification import Verification

ROOT = Path(__file__).resolve().parents[1]
LATER = datetime(2027, 1, 1, tzinfo=UTC)
EXAMPLES = sorted((ROOT / "examples" / "results").glob("*.json"))


def verified(result: Result) -> Verification:
    """Return the verification of a result as a store takes it in: new digests for document and polls."""
    return admit(*package(result), now=NOW)


def failures(result: Result) -> list[str]:
    """Return the codes of the checks that failed."""
    return [check.code for check in verified(result).failures()]


def test_an_honest_result_is_consistent() -> None:
    """A run in which everything follows from the raw data passes every check, and may be ranked."""
    found = verified(make_case())

    assert ([], "consistent", True) == (list(found.failures()), found.standing, found.rankable)


def test_what_is_not_known_is_unknown() -> None:
    """A missing fact makes a check unknown, never ok: here there are no ceilings, and nobody signed."""
    standings = {check.code: check.standing for check in verified(make_case()).checks}

    assert ("unknown", "ok", "ok") == (standings["ceiling"], standings["energy"], standings["roofline"])
    assert "signature" not in standings  # nobody looked for one


def edited(result: Result, name: str, change: Callable[[Metric], Metric]) -> Result:
    """Return a result with the metrics of a name changed."""
    assert isinstance(result.summary, Summary)
    metrics = tuple(change(m) if m.name == name else m for m in result.summary.metrics)
    return replace(result, summary=replace(result.summary, metrics=metrics))


def scaled(metric: Metric, factor: float) -> Metric:
    """Return a metric with value, interval, spread and samples multiplied, as a careful forger does."""
    assert metric.value is not None
    assert metric.interval is not None
    interval = replace(metric.interval, low=metric.interval.low * factor, high=metric.interval.high * factor)
    return replace(
        metric,
        value=metric.value * factor,
        interval=interval,
        spread=None if metric.spread is None else metric.spread * factor,
        samples=tuple(sample * factor for sample in metric.samples),
    )


def energies_scaled(result: Result, factor: float) -> Result:
    """Return a result whose every joule under load is multiplied, in windows and summary alike."""
    repeats = tuple(
        replace(
            repeat,
            energy=tuple(
                replace(e, energy_j=(e.energy_j or 0) * factor, mean_power_w=(e.mean_power_w or 0) * factor)
                for e in repeat.energy
            ),
        )
        for repeat in result.repeats
    )
    result = replace(result, repeats=repeats)
    for name in ("energy.total", "energy.per_request", "energy.per_output_token", "power.mean"):
        result = edited(result, name, lambda m: scaled(m, factor))
    for name in ("efficiency.tokens_per_j", "efficiency.requests_per_j"):
        result = edited(result, name, lambda m: scaled(m, 1 / factor))
    return result


def claims_two_boards(result: Result) -> Result:
    """Return a result that claims to have run on two boards, of which only one has a power sensor."""
    assert result.backend is not None
    ranks = tuple(
        RankRecord(rank=n, device=f"cuda:{n}", device_name="NVIDIA L4", covers=covers, memory_peak_bytes=None)
        for n, covers in enumerate((BOARD_FACTS.uuid, "GPU-99999999-2222-3333-4444-555555555555"))
    )
    plan = replace(result.plan, tensor_parallel=2, devices=("cuda:0", "cuda:1"))
    return rederived(replace(result, plan=plan, backend=replace(result.backend, ranks=ranks)))


def claims_fewer_ranks(result: Result) -> Result:
    """Return a run on two boards that claims one in its plan."""
    two = claims_two_boards(result)
    return replace(two, plan=replace(two.plan, tensor_parallel=1, devices=()))


def swapped_polls(result: Result) -> Result:
    """Return a result with the polls of another run; its digest of them fits."""
    return replace(result, power=replace(result.power, polls=make_case(2).power.polls))


def more_tokens(result: Result) -> Result:
    """Return a result in which every execution had twice the tokens out, and everything follows from that."""
    repeats = []
    for repeat in result.repeats:
        done = repeat.completions
        doubled = replace(done, output_tokens=tuple(2 * n for n in done.output_tokens))
        repeats.append(replace(repeat, completions=doubled))
    return rederived(replace(result, repeats=tuple(repeats)))


def hundred_times_faster(result: Result) -> Result:
    """Return a result with executions a hundred times as large, and everything follows from that."""
    repeats = []
    for repeat in result.repeats:
        done = repeat.completions
        names = ("requests", "input_tokens", "output_tokens")
        larger = {name: tuple(100 * n for n in getattr(done, name)) for name in names}
        repeats.append(replace(repeat, completions=replace(done, **larger)))  # type: ignore[arg-type]  # counts
    return rederived(replace(result, plan=replace(result.plan, batch=800), repeats=tuple(repeats)))


def less_than_rest(result: Result) -> Result:
    """Return a result whose polls say that work draws a quarter, and everything follows from that."""
    return rederived(with_values(only_power(result), lambda _, value: value / 4 if value > LOAD_W / 2 else value))


def next_to_nothing(result: Result) -> Result:
    """Return a result whose polls say a ten-thousandth, at rest too, and everything follows from that."""
    return rederived(with_values(only_power(result), lambda _, value: value / 10_000))


def above_its_limit(result: Result) -> Result:
    """Return a result whose board draws twice its power limit, and everything follows from that."""
    return rederived(with_values(only_power(result), lambda _, value: 2.5 * value))


def all_the_same(result: Result) -> Result:
    """Return a result whose polls are one value, and everything follows from that."""
    return rederived(with_values(only_power(result), lambda _, __: 50.0))


def by_a_generator(result: Result) -> Result:
    """Return a result whose polls are exactly 100 ms apart, and everything follows from that."""
    polls = tuple(
        replace(
            log,
            before_ns=tuple(n * 100_000_000 for n in range(len(log.value))),
            after_ns=tuple(n * 100_000_000 + 20_000 for n in range(len(log.value))),
        )
        for log in result.power.polls
    )
    return rederived(replace(result, power=replace(result.power, polls=polls)))


def longer_windows(result: Result) -> Result:
    """Return a result whose windows reach into each other, and everything follows from that."""
    repeats = tuple(
        replace(repeat, window=replace(repeat.window, end_ns=at_ns(n) + WINDOW_NS + 3_000_000_000))
        for n, repeat in enumerate(result.repeats)
    )
    return rederived(replace(result, repeats=repeats))


def smaller_model(result: Result) -> Result:
    """Return a result whose load has a tenth of the arithmetic, so that no roofline is near; all follows."""
    work = replace(result.load.work, prefill_flops=result.load.work.prefill_flops / 10)
    return rederived(replace(result, load=replace(result.load, work=work)))


def in_the_future(result: Result) -> Result:
    """Return a result that started next year."""
    clock = replace(result.run.clock, origin_utc="2027-02-03T04:05:05.9Z")
    return replace(result, run=replace(result.run, started_at="2027-02-03T04:05:06Z", clock=clock))


def quick(result: Result) -> Result:
    """Return a quick run without the doubt that says so."""
    return replace(
        rederived(replace(result, plan=replace(result.plan, quick=True))), doubts=(), verdict=judge((), finished=True)
    )


def gate_passed(result: Result) -> Result:
    """Return a run whose outputs are wrong, and whose gate says that it passed."""
    assert result.quality is not None
    return rederived(replace(result, quality=replace(result.quality, relative_error=0.5)))


def disowned_mock(result: Result) -> Result:
    """Return a mock's run that says it is none."""
    assert result.backend is not None
    return rederived(replace(result, backend=replace(result.backend, name="mock")))


def replayed(result: Result) -> Result:
    """Return a run whose watts are a recording's, called measured."""
    channels = tuple(replace(channel, sampler="replay") for channel in result.power.channels)
    return rederived(replace(result, power=replace(result.power, channels=channels)))


def small_board(result: Result) -> Result:
    """Return a run whose weights do not fit into the board that it claims."""
    board = replace(BOARD_FACTS, memory_bytes=500_000_000)
    return rederived(replace(result, environment=replace(result.environment, accelerators=(board,))))


@pytest.mark.parametrize(
    ("forge", "code"),
    [
        (lambda r: edited(r, "throughput.output_tokens", lambda m: replace(m, value=9e9)), "rates"),
        (lambda r: edited(r, "throughput.output_tokens", lambda m: scaled(m, 1.2)), "rates"),
        (lambda r: edited(r, "energy.per_request", lambda m: scaled(m, 0.8)), "energy"),
        (lambda r: energies_scaled(r, 0.8), "energy"),
        (swapped_polls, "energy"),
        (lambda r: rederived(swapped_polls(r)), None),
        (claims_two_boards, "device_count"),
        (claims_fewer_ranks, "device_count"),
        (more_tokens, "token_counts"),
        (hundred_times_faster, "roofline"),
        (less_than_rest, "power_floor"),
        (next_to_nothing, "energy_floor"),
        (above_its_limit, "power_limit"),
        (all_the_same, "poll_values"),
        (by_a_generator, "poll_times"),
        (longer_windows, "windows"),
        (smaller_model, "load"),
        (in_the_future, "started_at"),
        (quick, "doubts"),
        (gate_passed, "quality"),
        (disowned_mock, "identity"),
        (replayed, "identity"),
        (small_board, "device_memory"),
    ],
)
def test_a_forgery_is_told_apart(forge: Callable[[Result], Result], code: str | None) -> None:
    """Every forgery has new digests that fit; one that forges polls and all that follows passes (see trust.md)."""
    found = verified(forge(make_case()))

    if code is None:
        assert ("consistent", ()) == (found.standing, found.failures())
    else:
        assert code in [check.code for check in found.failures()]
        assert ("inconsistent", False) == (found.standing, found.rankable)
        assert "inconsistent" == found.barriers[0].code


def numbers(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every number in a plain value."""
    if isinstance(value, dict):
        for key in value:
            yield from numbers(value[key], (*path, key))
    elif isinstance(value, list | tuple):
        for index, child in enumerate(value):
            yield from numbers(child, (*path, index))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path


def derived_paths(plain: dict[str, Any]) -> list[tuple[str | int, ...]]:  # any: JSON
    """Return the path of every derived number: all of the summary, and the energies of windows."""
    found = [("summary", *path) for path in numbers(plain["summary"])]
    for part in ("repeats", "idle"):
        for n, record in enumerate(plain[part]):
            found += [(part, n, "energy", *path) for path in numbers(record["energy"])]
    return found


def plain_of(result: Result) -> dict[str, Any]:  # any: JSON
    """Return a result as JSON has it."""
    plain: dict[str, Any] = json.loads(canonical_bytes(to_builtins(result)))
    return plain


def moved(was: float, factor: float) -> float:
    """Return a number moved by a factor; a small integer by one, zero to 0.01."""
    if isinstance(was, int):
        return was + 1 if abs(was) < 1000 else was + max(1, round(was * abs(factor - 1)))
    return was * factor if was else 0.01


def with_number(plain: dict[str, Any], path: tuple[str | int, ...], factor: float) -> bytes:  # any: JSON
    """Return the canonical bytes of a document with one number moved."""
    found: Any = copy.deepcopy(plain)  # any: JSON
    record = found
    for step in path[:-1]:
        record = record[step]
    was = record[path[-1]]
    record[path[-1]] = moved(was, factor)
    return canonical_bytes(found)


def is_caught(data: bytes) -> bool:
    """Return whether a document is refused or contradicts itself."""
    return admit(data, {}, now=NOW).standing == "inconsistent"


PLAIN = plain_of(make_case())
PATHS = derived_paths(PLAIN)


@settings(max_examples=12)
@given(st.sampled_from(PATHS), st.sampled_from([1.000001, 0.98, 1.5, 10.0]))
def test_any_edit_of_a_derived_number_is_caught(path: tuple[str | int, ...], factor: float) -> None:
    """Whichever number of the summary or of a window's energy is moved, by a millionth or tenfold, it is found."""
    assert is_caught(with_number(PLAIN, path, factor))


def moved_records(result: Result) -> Iterator[tuple[str, Result]]:
    """Yield the result with one derived number after the other moved by 2 %, where its record takes that at all."""
    for part, index, kind, plain in parts_of(result):
        for path in numbers(plain):
            *above, last = path
            record: Any = plain  # any: JSON
            for step in above:
                record = record[step]
            was = record[last]
            record[last] = moved(was, 1.02)
            with suppress(DocumentError):  # a record refuses an impossible value, which is as good
                yield f"{part}[{index}] {path}", with_part(result, part, index, decode(plain, kind))
            record[last] = was


def parts_of(result: Result) -> Iterator[tuple[str, int, type, Any]]:  # any: JSON
    """Yield the records that hold derived numbers: where they are, what they are, and as plain values."""
    yield "summary", 0, Summary, json.loads(canonical_bytes(to_builtins(result.summary)))
    for part in ("repeats", "idle"):
        for n, record in enumerate(getattr(result, part)):
            for energy in record.energy:
                yield part, n, ChannelEnergy, json.loads(canonical_bytes(to_builtins(energy)))


def with_part(result: Result, part: str, index: int, record: Any) -> Result:  # any: one of the records
    """Return a result with one of its derived records replaced."""
    if part == "summary":
        return replace(result, summary=record)
    records = list(getattr(result, part))
    records[index] = replace(records[index], energy=(record,))
    return replace(result, **{part: tuple(records)})


def test_every_derived_number_is_guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, one after the other, each by 2 %: what follows from the raw data is computed once."""
    result = make_case()
    polls = result.power.polls
    for module, name in ((recompute, "derive_attached"), (recompute, "summarise"), (recomputing, "summarise")):
        monkeypatch.setattr(module, name, Once(getattr(module, name)))
    missed, count = [], 0
    for where, other in moved_records(result):
        count += 1
        checks = recomputing.recomputed_checks(other, polls)
        if all(check.standing != "failed" for check in checks):
            missed.append(where)

    assert count > 250
    assert [] == missed


class Once:
    """Keeps what a function gave first: the raw data stays the same here."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function
        self._kept: list[object] = []

    def __call__(self, *args: object, **options: object) -> object:
        if not self._kept:
            self._kept.append(self._function(*args, **options))
        return self._kept[0]


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_an_edit_of_an_example_is_caught(path: Path) -> None:
    """The same holds for the real results in examples/, drawn at random."""
    plain = json.loads(path.read_bytes())
    plain.pop("id")
    rng = random.Random(1)
    found = [is_caught(with_number(plain, where, 1.02)) for where in rng.sample(derived_paths(plain), 8)]

    assert [True] * 8 == found


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_the_examples_are_consistent(path: Path) -> None:
    """The results that the repository shows follow from their raw data and break no gate."""
    document = read_document(path)
    found = admit(canonical_bytes(to_builtins(document)), {}, now=LATER)

    assert ((), "consistent", True) == (found.failures(), found.standing, found.rankable)


def test_a_missing_file_of_polls_leaves_it_unverifiable() -> None:
    """Without raw polls the energies cannot be computed again: kept, and not ranked."""
    data, _ = package(make_case())
    found = admit(data, {}, now=NOW)

    assert ("unverifiable", False) == (found.standing, found.rankable)
    assert ["unverifiable"] == [barrier.code for barrier in found.barriers]


def test_dropped_polls_leave_it_unverifiable() -> None:
    """A forger who leaves the raw polls out altogether gains nothing."""
    result = make_case()

    assert "unverifiable" == verified(replace(result, power=replace(result.power, polls=()))).standing


def spoilt(name: str, data: bytes) -> bytes:
    """Return a file of polls spoilt in one of several ways."""
    return {"cut": data[:-10], "other": data[:100] + bytes([data[100] ^ 1]) + data[101:], "empty": b""}[name]


@pytest.mark.parametrize("how", ["cut", "other", "empty"])
def test_a_spoilt_file_of_polls_is_named(how: str) -> None:
    """A truncated, altered or empty sidecar fails its own check."""
    data, blobs = package(make_case())
    found = admit(data, {name: spoilt(how, blob) for name, blob in blobs.items()}, now=NOW)

    assert "polls" in [check.code for check in found.failures()]


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"{}", b"\xff" * 50, b'{"schema":"wattbench.result/1"}', b"[" * 10_000]
)
def test_rubbish_is_inconsistent(data: bytes) -> None:
    """What is no document at all fails a check instead of raising."""
    assert ["schema"] == [check.code for check in admit(data, {}).failures()]


def test_a_newer_schema_is_unverifiable() -> None:
    """A document of a newer wattbench is kept, and nothing is said of it."""
    found = admit(b'{"schema":"wattbench.result/99"}', {})

    assert ("unverifiable", ()) == (found.standing, found.failures())


def test_another_name_is_a_failed_digest() -> None:
    """Bytes that lie under another digest than their own fail."""
    data, blobs = package(make_case())
    found = admit(data, blobs, result_id="sha256:" + "0" * 64, now=NOW)

    assert ["digest"] == [check.code for check in found.failures()]


def bench(*words: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run the real command line."""
    command = [sys.executable, "-P", "-m", "wattbench.harness.cli.main", *words]
    own = {"WATTBENCH_DATA": str(folder), "WATTBENCH_CACHE": str(folder)}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **own})


@pytest.fixture(scope="module", name="measured")
def _measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the mock backend beside a recorded sensor, once; return the result's path."""
    folder = tmp_path_factory.mktemp("measured")
    facts = "# update_period_s: 0.05\n# lag_s: 0.0\n# seen_share: 1.0\n# accuracy_rel: 0.02\n# accuracy_basis: a test\n"
    rows = "\n".join(f"{n / 20},{200 + 50 * (n % 7)},node" for n in range(400))
    (folder / "trace.csv").write_text(f"{facts}time_s,power_w,scope\n{rows}\n")
    flags = (
        "--backend mock --load tiny-decoder --window 1.2 --repeats 2 --warm-up-min 0.1 --warm-up-max 0.5 --idle 1 -q"
    )
    out = folder / "r.json"
    done = bench("run", *flags.split(), "--power", f"replay:{folder / 'trace.csv'}", "--out", str(out), folder=folder)
    assert 3 == done.returncode, done.stderr
    return out


def test_a_real_run_is_consistent_and_not_to_be_ranked(measured: Path) -> None:
    """A run of the mock beside a recording follows from its raw data, and never enters a ranking."""
    done = bench("verify", str(measured), "--json", folder=measured.parent)
    (found,) = json.loads(done.stdout)

    assert (3, "consistent", False) == (
        done.returncode,
        found["verification"]["standing"],
        found["verification"]["rankable"],
    )
    assert {"mock", "replayed", "invalid"} <= {barrier["code"] for barrier in found["verification"]["barriers"]}
    assert {"ok", "unknown"} == {check["standing"] for check in found["verification"]["checks"]}


def test_the_command_line_names_what_is_wrong(measured: Path, tmp_path: Path) -> None:
    """A file edited by hand ends with 1 and says so; a missing one is wrong usage."""
    spoilt_file = tmp_path / "r.json"
    spoilt_file.write_text(measured.read_text().replace('"requests":', '"requests": ', 1).replace("tiny", "tinx", 1))
    done = bench("verify", str(spoilt_file), folder=tmp_path)

    assert (1, True) == (done.returncode, "FAILED digest" in done.stdout)
    assert 2 == bench("verify", str(tmp_path / "none.json"), folder=tmp_path).returncode


def test_an_attached_meter_is_verified_too(measured: Path, tmp_path: Path) -> None:
    """A result that a meter was attached to follows from the meter's samples, doubts included."""
    result = read_result(measured)
    origin = datetime.fromisoformat(result.run.clock.origin_utc)
    times = [n / 4 - 2 for n in range(round(4 * (result.run.duration_s or 0)) + 16)]
    rows = "".join(f"{(origin + timedelta(seconds=t)).isoformat()},{300 + t:.2f}\n" for t in times)
    (tmp_path / "m.csv").write_text(f"time,power_w\n{rows}")
    out = tmp_path / "with.json"
    words = ["attach-power", str(measured), "--csv", str(tmp_path / "m.csv"), "--name", "plug", "--out", str(out)]
    attached = CliRunner().invoke(command_line, words, standalone_mode=False)
    found = inspect_file(out, Expectation()).verification

    assert attached.exception is None
    assert ((), "consistent") == (found.failures(), found.standing)


def test_an_import_is_never_ranked(mlperf_run: ModuleType, tmp_path: Path) -> None:
    """Our energy of an imported run is computed again; what its tool states is not, so it is unverifiable."""
    document = import_mlperf(mlperf_run.unpack(tmp_path))
    found = admit(canonical_bytes(to_builtins(document)), {}, now=LATER)
    standings = {check.code: check.standing for check in found.checks}

    assert ("ok", "unknown") == (standings["energy"], standings["rates"])
    assert "unverifiable" == found.standing
    assert {"unverifiable", "imported"} <= {barrier.code for barrier in found.barriers}


def test_an_edited_import_is_told_apart(mlperf_run: ModuleType, tmp_path: Path) -> None:
    """An imported energy that its samples do not give has failed."""
    document = import_mlperf(mlperf_run.unpack(tmp_path))
    assert document.energy is not None
    energy = replace(document.energy, energy_j=(document.energy.energy_j or 0.0) * 0.9)
    edited_import = replace(document, energy=energy)

    assert ["energy"] == [c.code for c in admit(canonical_bytes(to_builtins(edited_import)), {}, now=LATER).failures()]


@pytest.mark.parametrize(
    ("change", "code", "standing"),
    [
        ({"plan": {"precision": "p" * 5000}}, "load", "unknown"),
        ({"load": {"work": {"decode_flops": 1e308}}}, "rates", "failed"),
    ],
    ids=["precision", "work"],
)
def test_what_no_run_gives_ends_no_verification(change: dict[str, Any], code: str, standing: str) -> None:
    """A precision that nobody knows and work beyond all numbers are checks that do not hold, and no traceback."""
    fields = merged(json.loads(EXAMPLES[0].read_bytes()), change)
    del fields["id"]
    found = admit(canonical_bytes(fields), {}, now=LATER)

    assert standing in [check.standing for check in found.checks if check.code == code]


def merged(fields: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Return a document with the values of `change` at the places where they stand in it."""
    return {**fields, **{k: merged(fields[k], v) if isinstance(v, dict) else v for k, v in change.items()}}
