"""`bench compare` on example results, made-up runs and an imported MLPerf run."""

import csv
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner, Result

from wattbench.harness.cli.group import bench
from wattbench.results.errors import DocumentError, UsageError
from wattbench.results.files import write_result

EXAMPLES = Path(__file__).parents[1] / "examples" / "results"
QWEN = str(EXAMPLES / "qwen3-0.6b-chat_cpu_bfloat16.json")
SMOL = str(EXAMPLES / "smollm2-135m-chat_cpu_bfloat16_quick.json")
PURE = ("compare", "compare_claims", "compare_mlperf", "compare_sides", "compare_stats", "peaks", "vendor.database")
SDKS = ("torch", "transformers", "onnxruntime", "pynvml", "pandas", "pyarrow", "click", "rich", "psutil")


def call(*arguments: str) -> Result:
    """Run `bench compare` in this process; its errors rise."""
    return CliRunner().invoke(bench, ["compare", *arguments], standalone_mode=False, catch_exceptions=False)


@pytest.fixture
def pair(factories: ModuleType, tmp_path: Path) -> tuple[str, str]:
    """Give the files of two runs of Llama 3.1 8B on an L4, with energies of the board, and different batches."""
    load = replace(factories.make_load(), name="llama-3.1-8b/chat", model="llama-3.1-8b")
    backend = replace(factories.make_backend(), mock=False, device="cuda:0", device_name="NVIDIA L4")
    made = factories.make_result(load=load, backend=backend, doubts=())
    paths = []
    for name, batch in (("one", 2), ("two", 4)):
        path = tmp_path / f"{name}.json"
        write_result(replace(made, plan=replace(made.plan, batch=batch)), path)
        paths.append(str(path))
    return paths[0], paths[1]


def test_two_runs_of_one_thing(pair: tuple[str, str]) -> None:
    """Equal runs have ratios of 1 with intervals, and what may differ is told."""
    text = call(*pair).output

    assert "throughput.requests" in text
    assert "1.000" in text
    assert "equal" in text
    assert "two also differs in batch: 2 | 4" in text
    assert "not what varies between two runs of one machine" in text


def test_two_examples_of_different_loads() -> None:
    """Different models are no comparison, unless it is forced: then every form says so."""
    with pytest.raises(UsageError, match=r"load: qwen3-0\.6b/chat \| smollm2-135m/chat"):
        call(QWEN, SMOL)

    for form in ("table", "csv", "markdown"):
        assert "not of the same thing: load qwen3-0.6b/chat" in call("--force", "--format", form, QWEN, SMOL).output
    assert json.loads(call("--force", "--json", QWEN, SMOL).output)["warnings"]


def test_examples_without_energy() -> None:
    """The examples were measured without a sensor: rates are compared, the reason is told."""
    text = call("--force", QWEN, SMOL).output

    assert "has no energy: no power sensor can be used here" in text
    assert "energy.per_request" not in text


def test_forms_of_a_comparison(pair: tuple[str, str]) -> None:
    """CSV is one table without anything else, Markdown has a rule below its head, JSON names both by digest."""
    rows = list(csv.reader(io.StringIO(call("--format", "csv", *pair).output)))
    markdown = call("--format", "markdown", *pair).output.splitlines()
    found = json.loads(call("--json", *pair).output)

    assert {9} == {len(row) for row in rows}
    assert len(rows) - 1 == len(found["rows"])
    assert markdown[1].startswith("| ---")
    assert 2 == len(found["result_ids"])
    assert "derived" == found["kind"]


def test_fewer_figures_and_another_delta(pair: tuple[str, str]) -> None:
    """--metric shows the named figures, --delta says what equal is."""
    text = call("--metric", "latency.request", "--delta", "0.1", *pair).output

    assert "throughput" not in text
    assert "within 10 % of 1" in text
    with pytest.raises(UsageError, match="Unknown figure 'latency'"):
        call("--metric", "latency", *pair)
    with pytest.raises(UsageError, match="--delta 2 cannot be used"):
        call("--delta", "2", *pair)


def test_against_claims(pair: tuple[str, str]) -> None:
    """--claims prints what `bench vendor check` prints, for several results."""
    both = call("--claims", *pair).output

    assert "one: " in both
    assert "two: " in both
    assert both == CliRunner().invoke(bench, ["vendor", "check", *pair], standalone_mode=False).output


def test_against_published_results(pair: tuple[str, str]) -> None:
    """--mlperf stands beside published runs, and says whose figures are verified and what power may be used."""
    text = call("--mlperf", pair[0]).output
    found = json.loads(call("--mlperf", "--json", pair[0]).output)["results"][0]["published"]

    assert "Result not verified by MLCommons Association" in text
    assert "no TDP, rated or supply power takes its place" in text
    assert "no power was published with it" in text
    assert "the result has board, and MLPerf's power is that of the whole system at the wall" in text
    assert all(row["efficiency_measured"] is None for row in found)
    assert any(row["efficiency_published"] for row in found)
    assert all("MLPerf Inference v" in row["citation"] for row in found)


def test_published_results_in_other_forms(pair: tuple[str, str]) -> None:
    """CSV has one row a published figure, Markdown the rules as a list."""
    rows = list(csv.reader(io.StringIO(call("--mlperf", "--format", "csv", pair[0]).output)))
    markdown = call("--mlperf", "--format", "markdown", pair[0]).output

    assert {12} == {len(row) for row in rows}
    assert "- the measured figures are unverified" in markdown


def test_claims_and_mlperf_are_not_paired(pair: tuple[str, str]) -> None:
    """Nameplates and MLPerf's throughput never stand in one output."""
    with pytest.raises(UsageError, match="never paired with a vendor's nameplate"):
        call("--claims", "--mlperf", pair[0])


def test_examples_have_nothing_published() -> None:
    """No MLPerf result of Qwen3 0.6B is stored: the known models are named."""
    with pytest.raises(UsageError, match="No MLPerf result is stored for qwen3"):
        call("--mlperf", QWEN)


def test_an_imported_run_is_held_against_its_round(mlperf_run: ModuleType, tmp_path: Path) -> None:
    """A published run that was imported finds itself among the published: the same watts and samples."""
    folder = mlperf_run.unpack(tmp_path)
    path = tmp_path / "imported.json"
    arguments = ["import", "mlperf", str(folder), "--out", str(path), "--model", "mobilenet-v1-precision_float-1.0-224"]
    CliRunner().invoke(bench, arguments, standalone_mode=False, catch_exceptions=False)
    rows = json.loads(call("--mlperf", "--json", "--allow-invalid", str(path)).output)["results"][0]["published"]
    own = next(row for row in rows if row["efficiency_published"])

    assert 1 == pytest.approx(own["ratio"], rel=0.01)
    assert own["efficiency_published"] == pytest.approx(own["efficiency_measured"], rel=0.01)


def test_one_result_is_no_comparison(pair: tuple[str, str]) -> None:
    """One result needs --claims or --mlperf; the same twice is none either."""
    with pytest.raises(UsageError, match="nothing to compare"):
        call(pair[0])
    with pytest.raises(UsageError, match="given twice"):
        call(pair[0], pair[0])


def test_a_mock_is_refused_or_marked(factories: ModuleType, tmp_path: Path) -> None:
    """A mock's run is compared on request only, and every form carries the mark."""
    paths = []
    for batch in (2, 4):
        path = tmp_path / f"mock{batch}.json"
        made = factories.make_result()
        write_result(replace(made, plan=replace(made.plan, batch=batch)), path)
        paths.append(str(path))
    with pytest.raises(DocumentError, match="mock: the backend is a mock"):
        call(*paths)

    for form in ("table", "csv", "markdown"):
        output = call("--allow-invalid", "--format", form, *paths).output
        assert "mock2: mock: the backend is a mock" in output


def test_errors_are_said_in_three_parts(tmp_path: Path) -> None:
    """A file that is none ends with 1, unlike results with 2, without a traceback."""
    missing = tmp_path / "none.json"
    command = [sys.executable, "-P", "-m", "wattbench.harness.cli.main", "compare"]
    ended = [
        subprocess.run([*command, *paths], capture_output=True, text=True, timeout=90, check=False)
        for paths in ((str(missing), QWEN), (QWEN, SMOL))
    ]

    assert [1, 2] == [each.returncode for each in ended]
    assert "cannot be read" in ended[0].stderr
    assert "or use --force" in ended[1].stderr
    assert all("Traceback" not in each.stderr for each in ended)


def test_the_logic_loads_no_sdk() -> None:
    """Importing the comparison and the database loads no SDK, no command line and no table."""
    lines = "; ".join(f"import wattbench.results.{name}" for name in PURE)
    code = f"import sys; {lines}; print([m for m in {SDKS!r} if m in sys.modules])"
    ended = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert "[]" == ended.stdout.strip()
