"""`bench import` of load generators and engines: genuine files, each figure in our unit, unknown is null."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from wattbench.harness.cli.group import bench
from wattbench.harness.exchange.stated_import import Names, import_file
from wattbench.harness.recompute_imported import recompute_imported
from wattbench.results.codec import parse_json, result_schema, to_builtins
from wattbench.results.compare_sides import side_of
from wattbench.results.economics.measured import measured_of
from wattbench.results.errors import DocumentError, UsageError
from wattbench.results.exchange.foreign import Tree
from wattbench.results.exchange.stated import instant_of
from wattbench.results.files import canonical_bytes, document_id, read_document, write_result
from wattbench.results.imported import ImportedResult
from wattbench.results.metrics import QuantileMetric

DATA = Path(__file__).parent / "data" / "exchange"


def tree_of(name: str) -> Any:  # any: a JSON tree
    """Return a tool's file as plain values."""
    return json.loads((DATA / name).read_text())


def imported(tool: str, name: str, **names: Any) -> ImportedResult:  # any: what a user states
    """Return the only run of a tool's file."""
    (found,) = import_file(tool, DATA / name, Names(**names))
    return found.result


@pytest.fixture
def edited(tmp_path: Path) -> Callable[[str, str, Callable[[Any], object]], ImportedResult]:
    """Give a function that edits a file and returns its (first) run."""

    def edit(tool: str, name: str, change: Callable[[Any], object]) -> ImportedResult:
        tree = tree_of(name)
        change(tree)
        path = tmp_path / name
        path.write_text(json.dumps(tree))
        return import_file(tool, path)[0].result

    return edit


def value(result: ImportedResult, name: str) -> float | None:
    """Return a metric's value."""
    metric = result.metric(name)
    assert metric is not None, name
    return metric.value


def reason(result: ImportedResult, name: str) -> str:
    """Return why a metric is unknown."""
    metric = result.metric(name)
    assert metric is not None
    assert metric.reason is not None
    return metric.reason


def latency(result: ImportedResult, name: str) -> QuantileMetric:
    """Return a latency."""
    return next(each for each in result.latencies if each.name == name)


def quantile(result: ImportedResult, name: str, q: float) -> float:
    """Return one quantile of a latency in s."""
    return next(point.value for point in latency(result, name).quantiles if point.q == q)


def severity(result: ImportedResult, code: str) -> str | None:
    """Return the severity of a doubt, None where it is not raised."""
    return next((doubt.severity for doubt in result.doubts if doubt.code == code), None)


ALL = (
    ("aiperf", "aiperf.json"),
    ("aiperf", "aiperf_power.json"),
    ("guidellm", "guidellm.json"),
    ("inferencex", "inferencex.json"),
    ("llama-bench", "llama_bench.json"),
    ("vllm", "vllm_bench.json"),
)


@pytest.mark.parametrize(("tool", "name"), ALL)
def test_the_document_is_whole(tool: str, name: str, tmp_path: Path) -> None:
    """An import is written and read back as it was, the published schema accepts it, and a file gives it again."""
    validator = jsonschema.Draft202012Validator(result_schema())
    for each in import_file(tool, DATA / name):
        path = tmp_path / f"{each.entry or 'one'}.json"
        identity = write_result(each.result, path)
        tree: Any = parse_json(canonical_bytes(to_builtins(each.result)))  # any: a JSON tree

        assert each.result == read_document(path)
        assert identity == document_id(tree)
        assert [] == list(validator.iter_errors({**tree, "id": identity}))
        assert name == each.result.source.files[0].path
    assert import_file(tool, DATA / name) == import_file(tool, DATA / name)


@pytest.mark.parametrize(("tool", "name"), ALL)
def test_nothing_unknown_is_a_number(tool: str, name: str) -> None:
    """No figure is 0, each unknown one has its reason, and none has an uncertainty that nobody stated."""
    for each in import_file(tool, DATA / name):
        for metric in each.result.metrics:
            assert metric.value != 0
            assert (metric.value is None) == (metric.reason is not None)
            assert metric.u_absolute_rel is None
            assert metric.method
        assert "doubtful" == each.result.verdict.standing or tool == "llama-bench"


# ---- vLLM bench ----


def test_vllm_rates_and_latencies() -> None:
    """Rates stand as they are, milliseconds are seconds, tokens in are divided by the duration."""
    tree, result = tree_of("vllm_bench.json"), imported("vllm", "vllm_bench.json")

    assert tree["request_throughput"] == value(result, "throughput.requests")
    assert tree["output_throughput"] == value(result, "throughput.output_tokens")
    assert tree["total_token_throughput"] == value(result, "throughput.total_tokens")
    assert tree["total_input_tokens"] / tree["duration"] == value(result, "throughput.input_tokens")
    assert tree["mean_ttft_ms"] / 1000 == latency(result, "latency.ttft").mean
    assert tree["p99_tpot_ms"] / 1000 == quantile(result, "latency.tpot", 0.99)
    assert (tree["duration"], None) == (result.duration_s, result.started_at)
    assert "vLLM bench measures no power" == result.power.unavailable_reason


def test_vllm_work() -> None:
    """Counts, the rate that was asked for and the requests in flight are stated work."""
    tree, work = tree_of("vllm_bench.json"), imported("vllm", "vllm_bench.json").work

    assert (tree["completed"], tree["failed"]) == (work.requests, work.failed_requests)
    assert (tree["request_rate"], tree["max_concurrency"]) == (work.rate_per_s, work.concurrency)
    assert ("open loop", "tiny") == (work.scenario, work.model)
    assert f"{tree['total_input_tokens'] / tree['completed']:.6g} in / 12 out" == work.tokens_per_request


def test_vllm_latency_with_the_queue() -> None:
    """The latency that counts the client's queue is preferred to the one from the sending, and the doubt says so."""
    tree, result = tree_of("vllm_bench.json"), imported("vllm", "vllm_bench.json")

    assert tree["p99_e2el_including_client_queue_ms"] / 1000 == quantile(result, "latency.request", 0.99)
    assert "doubt" == severity(result, "latency_from_send")


def test_vllm_closed_loop(edited: Callable[..., ImportedResult]) -> None:
    """An unlimited rate with requests in flight is a closed loop, and without them a burst."""
    closed = edited("vllm", "vllm_bench.json", lambda t: t.update(request_rate="inf"))
    burst = edited("vllm", "vllm_bench.json", lambda t: t.update(request_rate="inf", max_concurrency=None))

    assert ("closed loop", "burst") == (closed.work.scenario, burst.work.scenario)
    assert "note" == severity(closed, "latency_from_send")


def test_vllm_zeros_are_unknown(edited: Callable[..., ImportedResult]) -> None:
    """The 0 that vLLM writes for latencies without streaming is unknown, not the fastest answer of all."""
    result = edited(
        "vllm", "vllm_bench.json", lambda t: t.update(mean_ttft_ms=0.0, median_ttft_ms=0.0, p99_ttft_ms=0.0)
    )

    assert latency(result, "latency.ttft").mean is None
    assert () == latency(result, "latency.ttft").quantiles
    assert "or 0, which it writes" in (latency(result, "latency.ttft").reason or "")


def test_vllm_failures_are_severe(edited: Callable[..., ImportedResult]) -> None:
    """Failed requests make an import invalid, as a run; older files state them by their counts alone."""

    def older(tree: Any) -> None:  # any: a JSON tree
        del tree["failed"]
        tree["completed"] -= 3

    assert "invalid" == edited("vllm", "vllm_bench.json", lambda t: t.update(failed=1)).verdict.standing
    assert 3 == edited("vllm", "vllm_bench.json", older).work.failed_requests


def test_vllm_without_tokenizer(edited: Callable[..., ImportedResult]) -> None:
    """Without a tokenizer its counts of tokens out may be one a request: a doubt."""
    result = edited("vllm", "vllm_bench.json", lambda t: t.update(tokenizer_id=None))

    assert "doubt" == severity(result, "imported_invalid")


def test_vllm_lines(tmp_path: Path) -> None:
    """Results that were appended one a line are one document each."""
    line = json.dumps(tree_of("vllm_bench.json"))
    path = tmp_path / "all.json"
    path.write_text(f"{line}\n{line}")

    assert ["1", "2"] == [each.entry for each in import_file("vllm", path)]


# ---- AIPerf ----


def test_aiperf_rates_and_latencies() -> None:
    """Each value is converted by the unit beside it; latency of a request counts from the plan where it is stated."""
    tree, result = tree_of("aiperf.json"), imported("aiperf", "aiperf.json")

    assert tree["request_throughput"]["avg"] == value(result, "throughput.requests")
    assert tree["output_token_throughput"]["avg"] == value(result, "throughput.output_tokens")
    assert tree["effective_latency"]["p99"] / 1000 == pytest.approx(quantile(result, "latency.request", 0.99))
    assert tree["inter_token_latency"]["avg"] / 1000 == pytest.approx(latency(result, "latency.tpot").mean)
    assert tree["benchmark_duration"]["avg"] == result.duration_s
    assert ("0.13.0", tree["benchmark_id"]) == (result.source.version, result.source.session)


def test_aiperf_work() -> None:
    """The scenario is that of the profiling phase; a time without a zone is no instant."""
    closed, opened = imported("aiperf", "aiperf.json"), imported("aiperf", "aiperf_power.json")

    assert ("closed loop", 4, None) == (closed.work.scenario, closed.work.concurrency, closed.work.rate_per_s)
    assert ("open loop", None, 20.0) == (opened.work.scenario, opened.work.concurrency, opened.work.rate_per_s)
    assert ("tiny", 40, 0, "32 in / 12 out") == (
        closed.work.model,
        closed.work.requests,
        closed.work.failed_requests,
        closed.work.tokens_per_request,
    )
    assert closed.started_at is None


def test_aiperf_energy_that_contradicts_itself() -> None:
    """An energy that is not the sampled power times the duration is left out: this genuine file's is 14 times it."""
    result = imported("aiperf", "aiperf_power.json")

    assert value(result, "energy.total") is None
    assert "its energy / duration is 7015 W, the mean of its samples 500 W" == reason(result, "power.mean")
    assert "doubt" == severity(result, "counter_residual")
    assert (2, "NVIDIA H100 80GB HBM3", 1) == (
        result.system.accelerators,
        result.system.accelerator,
        result.system.nodes,
    )


def consistent(tree: Any) -> None:  # any: a JSON tree
    """Give the file the energy that 500 W have over its duration."""
    energy_j = 500.0 * tree["benchmark_duration"]["avg"]
    tree["nvidia_total_gpu_energy"]["avg"] = energy_j
    tree["nvidia_average_gpu_power"]["avg"] = 500.0
    tree["nvidia_energy_per_request"]["avg"] = energy_j / 60
    tree["nvidia_energy_per_output_token"]["avg"] = 1000 * energy_j / 720


def test_aiperf_energy(edited: Callable[..., ImportedResult]) -> None:
    """Energy of the boards is in J, millijoules are converted, and its scope is that of boards alone."""
    result = edited("aiperf", "aiperf_power.json", consistent)
    energy_j = 500.0 * tree_of("aiperf_power.json")["benchmark_duration"]["avg"]

    assert (500.0, energy_j) == (value(result, "power.mean"), value(result, "energy.total"))
    assert energy_j / 720 == pytest.approx(value(result, "energy.per_output_token"))
    assert energy_j / 60 == pytest.approx(value(result, "energy.per_request"))
    assert value(result, "throughput.output_tokens") / 500.0 == value(result, "efficiency.tokens_per_j")
    assert "board" == result.metric("power.mean").scope
    assert "not: hosts" in result.metric("power.mean").boundary
    assert "note" == severity(result, "unmeasured_scope") == severity(result, "meter_uncertainty")
    assert value(result, "power.idle") is None


def test_aiperf_energy_alone(edited: Callable[..., ImportedResult]) -> None:
    """Where no power was sampled there is nothing to contradict the energy, and it is taken."""

    def alone(tree: Any) -> None:  # any: a JSON tree
        consistent(tree)
        del tree["nvidia_total_gpu_power"]

    assert value(edited("aiperf", "aiperf_power.json", alone), "energy.total") is not None


def test_aiperf_two_vendors(edited: Callable[..., ImportedResult]) -> None:
    """Boards of two vendors are not added up to a deployment that nobody measured."""

    def both(tree: Any) -> None:  # any: a JSON tree
        consistent(tree)
        tree["amd_total_gpu_energy"] = tree["nvidia_total_gpu_energy"]

    result = edited("aiperf", "aiperf_power.json", both)

    assert "AIPerf states energy of nvidia and amd apart" == reason(result, "power.mean")


def test_aiperf_unknown_unit(edited: Callable[..., ImportedResult]) -> None:
    """A unit that is not known here is not guessed."""
    result = edited("aiperf", "aiperf.json", lambda t: t["time_to_first_token"].update(unit="fortnights"))

    assert latency(result, "latency.ttft").mean is None


@pytest.mark.parametrize("change", [{"was_cancelled": True}, {"is_complete": False}])
def test_aiperf_cancelled(edited: Callable[..., ImportedResult], change: dict[str, bool]) -> None:
    """A run that was cancelled, or did not finish, is partial and therefore invalid."""
    result = edited("aiperf", "aiperf.json", lambda t: t.update(change))

    assert ("partial", "invalid") == (result.status, result.verdict.standing)


# ---- GuideLLM ----


def test_guidellm_rates_and_latencies() -> None:
    """Figures are those of the successful requests, and whole requests count from the schedule where there is one."""
    benchmark = tree_of("guidellm.json")["benchmarks"][0]
    metrics, result = benchmark["metrics"], imported("guidellm", "guidellm.json")
    planned = metrics["request_scheduled_latency"]["successful"]

    assert metrics["requests_per_second"]["successful"]["mean"] == value(result, "throughput.requests")
    assert metrics["output_tokens_per_second"]["successful"]["mean"] == value(result, "throughput.output_tokens")
    assert planned["percentiles"]["p99"] == quantile(result, "latency.request", 0.99)
    assert metrics["time_to_first_token_ms"]["successful"]["mean"] / 1000 == latency(result, "latency.ttft").mean
    assert latency(result, "latency.itl").mean is None
    assert benchmark["duration"] == result.duration_s
    assert result.started_at is not None
    assert result.started_at.endswith("+00:00")


def test_guidellm_work() -> None:
    """Counts of requests and tokens are those of successful requests; the strategy is the scenario."""
    totals = tree_of("guidellm.json")["benchmarks"][0]["metrics"]["request_totals"]
    work = imported("guidellm", "guidellm.json").work

    assert (totals["successful"], totals["errored"]) == (work.requests, work.failed_requests)
    assert ("open loop", 20.0, "tiny") == (work.scenario, work.rate_per_s, work.model)
    assert work.output_tokens == 12 * totals["successful"]


def test_guidellm_sweep(edited: Callable[..., ImportedResult], tmp_path: Path) -> None:
    """Each benchmark of a report is a result of its own, named by its place and strategy."""
    tree = tree_of("guidellm.json")
    tree["benchmarks"] *= 3
    path = tmp_path / "sweep.json"
    path.write_text(json.dumps(tree))

    assert ["1-poisson", "2-poisson", "3-poisson"] == [each.entry for each in import_file("guidellm", path)]
    assert ["2-poisson"] == [each.entry for each in import_file("guidellm", path, entry=2)]


def test_guidellm_warnings(edited: Callable[..., ImportedResult]) -> None:
    """What GuideLLM warns of is a doubt."""
    warning = {"code": "missed", "message": "the schedule was missed", "observed": 1.0, "threshold": 0.1}
    result = edited("guidellm", "guidellm.json", lambda t: t["benchmarks"][0].update(warnings=[warning]))
    facts = [doubt.facts for doubt in result.doubts if doubt.code == "imported_invalid"]

    assert ["GuideLLM warns (missed): the schedule was missed"] == facts


# ---- llama-bench ----


def test_llama_bench_phases() -> None:
    """A prompt's test is prefill, a generation's decode, and only one of both is a request."""
    prefill, decode, whole = (each.result for each in import_file("llama-bench", DATA / "llama_bench.json"))

    assert (640.0, 80.0) == (value(prefill, "throughput.prefill_tokens"), value(decode, "throughput.decode_tokens"))
    assert value(prefill, "throughput.requests") is None
    assert value(decode, "throughput.prefill_tokens") is None
    assert 1 / 0.3 == value(whole, "throughput.requests")
    assert value(whole, "throughput.decode_tokens") is None
    assert 0.3 == quantile(whole, "latency.request", 0.5)
    assert latency(prefill, "latency.request").mean is None


def test_llama_bench_has_an_interval() -> None:
    """Its repetitions are samples: the median with its interval, its own mean beside it as the official figure."""
    prefill = import_file("llama-bench", DATA / "llama_bench.json")[0].result
    metric = prefill.metric("throughput.prefill_tokens")
    assert metric is not None
    assert metric.interval is not None

    assert (5, 64 / 0.104) == (len(metric.samples), metric.interval.low)
    assert ("pp64", 635.102526) == (prefill.official[0].scenario, prefill.official[0].performance)
    assert "valid" == prefill.verdict.standing


def test_llama_bench_few_repetitions(edited: Callable[..., ImportedResult]) -> None:
    """Fewer than five repetitions are a doubt."""
    result = edited("llama-bench", "llama_bench.json", lambda t: t[0].update(samples_ns=[10**8, 10**8]))

    assert "doubt" == severity(result, "few_repeats")


def test_llama_bench_names() -> None:
    """The model is its file's name without folders, the precision its format; entries are named as it prints them."""
    found = import_file("llama-bench", DATA / "llama_bench.json")
    work, system = found[0].result.work, found[0].result.system

    assert ["1-pp64", "2-tg16", "3-pp64+tg16"] == [each.entry for each in found]
    assert ("tiny-q8_0.gguf", "Q8_0", "pp64") == (work.model, work.precision, work.scenario)
    assert ("Made-up CPU", 0, "2026-11-20T10:00:00+00:00") == (
        system.processor,
        system.accelerators,
        found[0].result.started_at,
    )


@pytest.mark.parametrize(
    ("path", "name"), [("C:\\Users\\me\\m.gguf", "m.gguf"), ("/home/user/m.gguf", "m.gguf"), ("m", "m")]
)
def test_llama_bench_paths(edited: Callable[..., ImportedResult], path: str, name: str) -> None:
    """No folder of its owner's machine gets into the document, of whichever system."""
    result = edited("llama-bench", "llama_bench.json", lambda t: t[0].update(model_filename=path))

    assert name == result.work.model
    assert "user" not in json.dumps(to_builtins(result.work))


def test_llama_bench_depth(edited: Callable[..., ImportedResult]) -> None:
    """A test behind a filled cache is another scenario."""
    assert "pp64@d4096" == edited("llama-bench", "llama_bench.json", lambda t: t[0].update(n_depth=4096)).work.scenario


# ---- InferenceX ----

POWER = {
    "power_metric_schema_version": 2,
    "power_valid": 1,
    "avg_power_w": 349.859,
    "avg_total_gpu_power_w": 2798.868,
    "total_gpu_energy_j": 120361.299,
    "joules_per_successful_query": 3000.0,
    "joules_per_input_token": 1.5,
    "joules_per_output_token": 12.937902,
}
"""The field list of InferenceX's power metrics; two of the joules are made up, the rest stands in its app's tests."""


def test_inferencex_rates() -> None:
    """Rates per GPU are those of the deployment: times the GPUs that each is stated for."""
    tree, result = tree_of("inferencex.json"), imported("inferencex", "inferencex.json")

    assert 8 * tree["tput_per_gpu"] == value(result, "throughput.total_tokens")
    assert 8 * tree["output_tput_per_gpu"] == value(result, "throughput.output_tokens")
    assert 8 * tree["input_tput_per_gpu"] == value(result, "throughput.input_tokens")
    assert tree["p99.9_ttft"] == quantile(result, "latency.ttft", 0.999)
    assert latency(result, "latency.ttft").count is None
    assert (8, "int4", 4) == (result.system.accelerators, result.work.precision, result.work.concurrency)
    assert "InferenceX states no power in this file" == reason(result, "power.mean")


def test_inferencex_several_nodes(edited: Callable[..., ImportedResult]) -> None:
    """Where prefill and decode have GPUs of their own, each rate is times its own; without decode GPUs times all."""
    counts = {"is_multinode": True, "num_prefill_gpu": 4, "num_decode_gpu": 12}
    apart = edited("inferencex", "inferencex.json", lambda t: t.update(counts))
    shared = edited("inferencex", "inferencex.json", lambda t: t.update({**counts, "num_decode_gpu": 0}))
    unknown = edited("inferencex", "inferencex.json", lambda t: t.update(is_multinode=True))
    tree = tree_of("inferencex.json")

    assert 12 * tree["output_tput_per_gpu"] == value(apart, "throughput.output_tokens")
    assert 4 * tree["input_tput_per_gpu"] == value(apart, "throughput.input_tokens")
    assert 16 * tree["tput_per_gpu"] == value(apart, "throughput.total_tokens")
    assert 4 * tree["output_tput_per_gpu"] == value(shared, "throughput.output_tokens")
    assert value(unknown, "throughput.total_tokens") is None


def test_inferencex_parallelism(edited: Callable[..., ImportedResult]) -> None:
    """GPUs of one node are those of all its parallel dimensions that take some."""
    assert 16 == edited("inferencex", "inferencex.json", lambda t: t.update(pp=2, pcp_size=1)).system.accelerators


def test_inferencex_power(edited: Callable[..., ImportedResult]) -> None:
    """Power of schema version 2 that is called valid is taken; the rate of requests and the duration follow."""
    result = edited("inferencex", "inferencex.json", lambda t: t.update(POWER))

    assert (2798.868, 120361.299) == (value(result, "power.mean"), value(result, "energy.total"))
    assert (3000.0, 1.5, 12.937902) == tuple(
        value(result, f"energy.per_{each}") for each in ("request", "input_token", "output_token")
    )
    assert 2798.868 / 3000.0 == value(result, "throughput.requests")
    assert 120361.299 / 2798.868 == result.duration_s
    assert "board" == result.metric("energy.total").scope


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"power_metric_schema_version": None}, "power_metric_schema_version is missing, not 2"),
        ({"power_metric_schema_version": 1}, "power_metric_schema_version is 1, not 2"),
        ({"power_metric_schema_version": True}, "power_metric_schema_version is True, not 2"),
        ({"power_metric_schema_version": "2"}, "power_metric_schema_version is '2', not 2"),
        ({"power_valid": 0}, "power_valid is 0, not 1"),
        ({"power_valid": True}, "power_valid is True, not 1"),
        ({"power_valid": None}, "power_valid is missing, not 1"),
    ],
)
def test_inferencex_power_that_is_not_vouched_for(
    edited: Callable[..., ImportedResult], change: dict[str, object], why: str
) -> None:
    """Any other power is left out with a doubt, fails closed, and leaves the throughput as it is."""
    result = edited("inferencex", "inferencex.json", lambda t: t.update({**POWER, **change}))

    assert why in reason(result, "power.mean")
    assert value(result, "energy.per_output_token") is None
    assert value(result, "throughput.output_tokens") is not None
    assert "doubt" == severity(result, "imported_invalid")


# ---- what uses imports ----


def test_what_the_user_states() -> None:
    """What the file does not say can be stated, and the basis says that it was."""
    result = imported("vllm", "vllm_bench.json", system="box", accelerator="L4", devices=2, precision="fp8", model="m")

    assert ("box", "L4", 2) == (result.system.name, result.system.accelerator, result.system.n_devices)
    assert ("fp8", "m") == (result.work.precision, result.work.model)
    assert result.system.basis.startswith("flags; ")


def test_cost_of_an_import(edited: Callable[..., ImportedResult]) -> None:
    """The cost model takes rates, tokens, failures and watts of an import, and says what it has not."""
    result = edited("inferencex", "inferencex.json", lambda t: t.update(POWER))
    measured = measured_of(result, "sha256:0")
    failed = replace(result, work=replace(result.work, requests=9, failed_requests=1))

    assert value(result, "throughput.input_tokens") / measured.queries_per_s.value == measured.input_tokens
    assert ("board", 2798.868) == (measured.powers[0].scope, measured.powers[0].active.value)
    assert ("imported from InferenceX: it states no phases and no failed queries",) == measured.notes
    assert 0.9 == measured_of(failed, "sha256:0").success_share


def test_comparing_imports() -> None:
    """Sizes and arrivals of requests have to agree between two sides."""
    must = side_of(imported("vllm", "vllm_bench.json"), "sha256:0", "a").must

    assert {"tokens", "at once", "asked rate"} < must.keys()
    assert "20/s" == must["asked rate"]


def test_an_import_without_logs_is_not_computed_again() -> None:
    """There is nothing to compute a stated figure from, and the answer says so."""
    with pytest.raises(DocumentError, match="cannot be computed again"):
        recompute_imported(imported("vllm", "vllm_bench.json"))


def call(*arguments: str) -> Result:
    """Run `bench` in this process; its errors rise."""
    return CliRunner().invoke(bench, arguments, standalone_mode=False, catch_exceptions=False)


@pytest.mark.parametrize(("tool", "name"), ALL)
def test_import_show_export(tool: str, name: str, tmp_path: Path) -> None:
    """A file goes in, is shown and goes out again; several runs make as many documents."""
    out = tmp_path / "out"
    said = call("import", tool, str(DATA / name), "-o", str(out)).output
    files = sorted(out.iterdir())

    assert len(import_file(tool, DATA / name)) == len(files)
    for path in files:
        assert str(path) in said
        assert "(imported, status complete)" in call("show", str(path)).output
        assert "wattbench_result{" in call("export", str(path), "--to", "openmetrics").output
        records = json.loads(call("export", str(path), "--to", "pytorch-benchmark-v3").output)
        jsonschema.validate(records, json.loads((DATA / "pytorch-benchmark-v3.schema.json").read_text()))


def test_import_as_json(tmp_path: Path) -> None:
    """One run is one document on standard output, several are a list; nothing else is printed."""
    one = call("import", "vllm", str(DATA / "vllm_bench.json"), "-o", str(tmp_path / "a.json"), "--json")
    several = call("import", "llama-bench", str(DATA / "llama_bench.json"), "-o", str(tmp_path), "--json")

    assert "imported" == json.loads(one.output)["kind"]
    assert 3 == len(json.loads(several.output))


def test_several_runs_need_a_folder(tmp_path: Path) -> None:
    """Several runs do not go into one file, but a chosen one does."""
    path, target = str(DATA / "llama_bench.json"), str(tmp_path / "a.json")
    with pytest.raises(UsageError, match="states 3 runs"):
        call("import", "llama-bench", path, "-o", target)
    call("import", "llama-bench", path, "-o", target, "--entry", "2")

    assert "tg16" == read_document(Path(target)).work.scenario


def test_an_invalid_import_ends_with_3(tmp_path: Path) -> None:
    """A run with failed requests is imported, and the exit code says that it is invalid."""
    path = tmp_path / "x.json"
    path.write_text(json.dumps({**tree_of("vllm_bench.json"), "failed": 2}))

    assert 3 == call("import", "vllm", str(path), "-o", str(tmp_path / "r.json")).return_value


@pytest.mark.parametrize("stated", ["yesterday", "2026-01-01T00:00:00", "", None, 0.0, 1e300])
def test_what_is_no_instant(stated: str | float | None) -> None:
    """A local time, a text that is no time and an instant beyond all calendars are unknown."""
    assert instant_of(stated) is None


def test_instants_are_utc() -> None:
    """An instant with a zone is moved to UTC; seconds count from 1970."""
    assert "2026-01-01T10:00:00+00:00" == instant_of("2026-01-01T12:00:00+02:00")
    assert "1970-01-01T00:00:01.500000+00:00" == instant_of(1.5)


def test_settings_are_plain() -> None:
    """Settings are text: truth values, numbers and words; objects and empty ones are left out."""
    tree = Tree(tool="x", path="$", members={"a": True, "b": 1.5, "c": " w ", "d": {}, "e": None, "f": " "})

    assert {"a": "true", "b": "1.5", "c": "w"} == tree.settings("a", "b", "c", "d", "e", "f", "g")
