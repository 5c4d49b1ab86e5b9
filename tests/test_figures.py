"""The text of a result for people, pinned as a golden file."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

from wattbench.harness.cli.figures import quantiles_text, result_lines
from wattbench.results.ceilings import CeilingEntry, CeilingKind, CeilingsRecord
from wattbench.results.document import Result
from wattbench.results.files import read_result
from wattbench.results.metrics import Quantile
from wattbench.results.report.words import absolute, comparing
from wattbench.results.summarise import summarise
from wattbench.results.tuning import TrialOutcome, TrialRecord, TuningRecord

GOLDEN = Path(__file__).parent / "data" / "golden"


def test_the_text_of_a_result_is_pinned() -> None:
    """The golden result reads as its golden text (mend: see CONTRIBUTING.md, golden files)."""
    result = read_result(GOLDEN / "result-v1.json")

    assert (GOLDEN / "result-v1.txt").read_text() == "\n".join(result_lines(result)) + "\n"


def test_a_result_that_got_nowhere_is_shown_too(factories: ModuleType) -> None:
    """A run that has only started has no figures, and its text says so."""
    result = factories.make_result()
    bare = replace(result, status="started", backend=None, summary=None, verdict=None, repeats=(), doubts=())

    assert "NONE (the run has not ended)" in result_lines(bare)[-1]


def test_an_encoder_has_its_own_throughput(factories: ModuleType) -> None:
    """Without tokens out the first rate is requests, and input tokens follow."""
    result = factories.make_result()
    metrics = tuple(m for m in result.summary.metrics if m.name != "throughput.output_tokens")
    lines = result_lines(replace(result, summary=replace(result.summary, metrics=metrics)))
    throughput = next(line for line in lines if line.startswith("throughput"))

    assert "requests/s" in throughput


def test_times_have_no_power_of_ten(factories: ModuleType) -> None:
    """Three digits of milliseconds end at a second, and long times are written out."""
    (latency, *_) = factories.make_result().summary.latencies
    slow = tuple(Quantile(q=q, value=value, bound=None) for q, value in ((0.5, 0.9994), (0.9, 0.9997), (0.99, 1512.0)))

    assert quantiles_text(replace(latency, quantiles=slow)).startswith("p50 999 ms, p90 1 s, p99 1,512 s ")


def test_text_from_a_file_cannot_steer_the_terminal(factories: ModuleType) -> None:
    """Escape codes and newlines in a result's texts are shown as escapes, in the line where they stand."""
    evil = "\x1b]0;x\x07\nverdict VALID"
    result = factories.make_result()
    doubts = tuple(replace(doubt, facts=evil, advice=evil) for doubt in result.doubts)
    lines = result_lines(factories.make_result(load=replace(result.load, name=evil), doubts=doubts))

    assert all(line.isprintable() for line in lines)
    assert lines[0].startswith(r"\x1b]0;x\x07\x0averdict VALID")
    assert not any(line.startswith("verdict VALID") for line in lines)


def entry(kind: CeilingKind, rate: float, precision: str | None = None) -> CeilingEntry:
    """Return one ceiling."""
    return CeilingEntry(
        kind=kind,
        precision=precision,
        shape="8x8x8" if precision else "512 MiB",
        unit="FLOP/s" if precision else "By/s",
        samples=(rate,),
        library="torch",
        threads=None,
    )


def measured(
    factories: ModuleType,
    *entries: CeilingEntry,
    output_tokens: int = 4,
    device_name: str = "NVIDIA L4",
    cache_bytes: int | None = None,
) -> Result:
    """Return a run at 80 MFLOP/s over the window, 160 in prefills and 20.4 MB/s in decode, with ceilings."""
    limits = CeilingsRecord(
        device="cuda:0",
        device_name=device_name,
        measured_at="2026-01-02T03:04:05Z",
        duration_s=1.0,
        cached=False,
        versions={},
        cache_bytes=cache_bytes,
        entries=entries or (entry("matmul", 4e8, "bfloat16"), entry("memory_read", 3e7)),
    )
    load = factories.make_load(output_tokens=output_tokens)
    backend = replace(
        factories.make_backend(),
        mock=False,
        device="cuda:0",
        device_name=device_name,
        precision_effective="bfloat16",
    )
    done = factories.make_completions(output_tokens=output_tokens)
    repeats = tuple(factories.make_repeat(i, completions=done) for i in range(2))
    summary = summarise(
        load,
        repeats,
        rung_energies=[],
        idle_power_w={},
        memory_peak_bytes=None,
        no_energy_reason="no sensor",
        backend=backend,
        ceilings=limits,
    )
    found: Result = factories.make_result(load=load, repeats=repeats, summary=summary, backend=backend, ceilings=limits)
    return found


def labelled(result: Result, label: str) -> list[str]:
    """Return the line of a label and those below it that have none."""
    lines = result_lines(result)
    start = next(i for i, line in enumerate(lines) if line.startswith(label))
    stop = next(i for i in range(start + 1, len(lines)) if not lines[i].startswith(" "))
    return [line[16:] for line in lines[start:stop]]


def test_shares_of_both_limits(factories: ModuleType) -> None:
    """Shares stand with what they are shares of: the measured ceilings, then what the vendor claims."""
    result = measured(factories)

    assert ["prefill 40 %, whole window 20 % of 400 MFLOP/s (bfloat16 products), decode 68 % of 30 MB/s (memory)"] == (
        labelled(result, "of ceiling")
    )
    assert [
        "prefill under 0.01 %, whole window under 0.01 % of 121 TFLOP/s (bfloat16 products), "
        "decode under 0.01 % of 300 GB/s (memory)"
    ] == labelled(result, "of claim")


def test_shares_of_an_encoder(factories: ModuleType) -> None:
    """An encoder has one share, and nothing is said of phases that it does not have."""
    assert ["20 % of 400 MFLOP/s (bfloat16 products)"] == labelled(measured(factories, output_tokens=0), "of ceiling")


def test_no_claims(factories: ModuleType) -> None:
    """A device that no vendor makes claims of has one reason."""
    result = measured(factories, device_name="Made-up CPU")

    assert ["- (no vendor's peak is listed for Made-up CPU)"] == labelled(result, "of claim")


def test_a_phase_without_its_share(factories: ModuleType) -> None:
    """A share that is not known stands below the others with its reason."""
    cached = measured(factories, cache_bytes=5_000_000)
    bare = measured(factories, entry("memory_read", 3e7))

    assert [
        "prefill 40 %, whole window 20 % of 400 MFLOP/s (bfloat16 products)",
        "decode - (the weights (4 MB) fit into the cache (5 MB), so they are not read from memory)",
    ] == labelled(cached, "of ceiling")
    assert [
        "decode 68 % of 30 MB/s (memory)",
        "products - (no ceiling was measured for products in bfloat16)",
    ] == labelled(bare, "of ceiling")


def test_a_file_from_before_the_claims(factories: ModuleType) -> None:
    """A file without figures against claims has no line for them."""
    result = measured(factories)
    assert result.summary is not None
    metrics = tuple(m for m in result.summary.metrics if not m.name.endswith("_claim"))
    lines = result_lines(replace(result, summary=replace(result.summary, metrics=metrics)))

    assert not any(line.startswith("of claim") for line in lines)


def trial(tuning: str, outcome: TrialOutcome = "measured") -> TrialRecord:
    """Return a trial of one level."""
    return TrialRecord(
        backend="torch",
        device="cpu",
        precision="bfloat16",
        tuning=tuning,
        outcome=outcome,
        requests_per_s=1.0 if outcome == "measured" else None,
        executions_per_s=0.1 if outcome == "too_slow" else None,
        prefill_tokens_per_s=None,
        decode_tokens_per_s=None,
        relative_error=None,
        prepare_s=None,
        reason="" if outcome == "measured" else "too far from the reference",
    )


def tuned(factories: ModuleType, *trials: TrialRecord, prefill: str | None, decode: str | None) -> Result:
    """Return a run whose first trial was chosen."""
    record = TuningRecord(
        trials=trials,
        chosen=trials[0].name,
        fastest_prefill=prefill,
        fastest_decode=decode,
        measured_at="2026-01-02T03:04:05Z",
        duration_s=60.0,
        cached=False,
    )
    found: Result = factories.make_result(tuning=record)
    return found


def test_tuning(factories: ModuleType) -> None:
    """The choice is named with the number of candidates, and whatever was faster in one phase."""
    trials = trial("max"), trial("eager"), trial("compiled"), trial("graph", "failed_gate")
    result = tuned(factories, *trials, prefill=trials[2].name, decode=trials[1].name)

    assert [
        "torch/max bfloat16 on cpu, the fastest of 4 candidates, 1 of them failed",
        "faster in prefill: torch/compiled bfloat16 on cpu, in decode: torch/eager bfloat16 on cpu",
    ] == labelled(result, "tuning")[:2]


def test_tuning_without_hopeless_candidates(factories: ModuleType) -> None:
    """Candidates that were given up as too slow are counted apart from those that failed."""
    trials = trial("max"), trial("graph", "failed"), trial("eager", "too_slow"), trial("compiled", "too_slow")
    (line,) = labelled(tuned(factories, *trials, prefill=None, decode=None), "tuning")[:1]

    assert line.endswith("the fastest of 4 candidates, 1 of them failed, 2 given up as too slow")


def test_tuning_with_one_winner(factories: ModuleType) -> None:
    """What is the fastest in its phases too is named once."""
    trials = trial("max"), trial("eager")
    lines = result_lines(tuned(factories, *trials, prefill=trials[0].name, decode=None))

    assert "tuning          torch/max bfloat16 on cpu, the fastest of 2 candidates" in lines
    assert not any("faster in" in line for line in lines)


def test_an_uncertainty_beyond_the_figure_is_no_share_of_it(factories: ModuleType) -> None:
    """A net power that may as well be nothing has an uncertainty in watts; rounding leaves no 1e+16 per cent."""
    result = factories.make_result()
    net = replace(result.summary.metric("power.net"), value=1e-15, u_absolute_rel=2e15, u_comparison_rel=0.1)
    metrics = tuple(net if m.name == "power.net" else m for m in result.summary.metrics)
    lines = result_lines(replace(result, summary=replace(result.summary, metrics=metrics)))
    (line,) = (line for line in lines if line.startswith("net power"))

    assert "+/-4 W absolute, +/-20.0 % comparing (k=2)" in line
    assert "± 4 W" == absolute(net)
    assert "± 20 %" == comparing(net)
