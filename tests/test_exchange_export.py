"""`bench export`: each format is read back by its neighbour's reader or schema; nothing is executed or made up."""

import csv
import io
import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pandas
import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result

from wattbench.harness.cli.exporting import FORMATS
from wattbench.harness.cli.group import bench
from wattbench.harness.exchange.mlperf_import import import_mlperf
from wattbench.results.document import Result as Run
from wattbench.results.doubts import Doubt, judge
from wattbench.results.errors import DocumentError, StorageError, TamperedError, UsageError
from wattbench.results.exchange.ai_energy_score import COLUMNS as SCORE_COLUMNS
from wattbench.results.exchange.exported import Exported, exported_of
from wattbench.results.exchange.figure_table import COLUMNS, safe_cell
from wattbench.results.exchange.openmetrics import UNITS, openmetrics_bytes
from wattbench.results.files import canonical_bytes, document_id, write_result
from wattbench.results.imported import ImportedResult

DATA = Path(__file__).parent / "data" / "exchange"
HOSTILE = '=HYPERLINK("http://x","\\\\n")\x1b[31m\r\n@cmd|\'<b>'
MEAN_W = 300.5
"""What the made-up run's board draws in the middle one of its five windows."""


def call(*arguments: str) -> Result:
    """Run `bench export` in this process; its errors rise."""
    return CliRunner().invoke(bench, ["export", *arguments], standalone_mode=False, catch_exceptions=False)


@pytest.fixture(scope="module")
def run(factories: ModuleType) -> Run:
    """Return a valid run on a GPU with the energy of its board."""
    backend = replace(factories.make_backend(), name="torch", engine="eager", mock=False, device="cuda:0")
    made: Run = factories.make_result(backend=replace(backend, device_name="NVIDIA L4"), doubts=())
    return made


@pytest.fixture(scope="module")
def mock(factories: ModuleType) -> Run:
    """Return a run of the mock backend, which is invalid."""
    made: Run = factories.make_result()
    assert "mock" in {doubt.code for doubt in made.doubts}
    return made


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Run | ImportedResult, str], str]:
    """Give a function that writes a result and returns its path."""

    def written(result: Run | ImportedResult, name: str = "run") -> str:
        path = tmp_path / f"{name}.json"
        write_result(result, path)
        return str(path)

    return written


def exported(result: Run | ImportedResult, **options: bool) -> Exported:
    """Return a result for export under a made-up digest."""
    return exported_of(result, "sha256:" + "ab" * 32, "run", **options)


def hostile(run: Run) -> Run:
    """Return a run whose every text of the user's or a device's is hostile."""
    assert run.backend is not None
    return replace(
        run,
        load=replace(run.load, name=HOSTILE, model=HOSTILE),
        backend=replace(run.backend, engine=HOSTILE, device_name=HOSTILE, precision_effective=HOSTILE),
    )


# ---- CSV ----


def test_csv_is_read_back_by_pandas(run: Run, write: Callable[..., str], tmp_path: Path) -> None:
    """Every figure has a row with unit, scope, boundary and method, and its number is the same double."""
    target = tmp_path / "figures.csv"
    call(write(run), "--to", "csv", "-o", str(target))
    frame = pandas.read_csv(target, keep_default_na=False, na_values=[""])
    power = frame[(frame.metric == "power.mean")].iloc[0]

    assert [column.name for column in COLUMNS] == list(frame.columns)
    assert ("W", "board", "median", 5) == (power.unit, power.scope, power.statistic, power["count"])
    assert run.summary.metric("power.mean").value == power.value
    assert power.method.startswith("gross energy")
    assert frame.unit.notna().all()
    assert frame.method.notna().all()
    assert frame[frame.metric.str.startswith(("power.", "energy."))].boundary.notna().all()


def test_unknown_is_an_empty_cell_with_a_reason(run: Run) -> None:
    """What is not known is an empty cell in CSV, never 0, and the reason stands in its row."""
    rows = [f for f in exported(run).figures if f.value is None]
    assert rows
    text = FORMATS["csv"].write([exported(run)]).decode()
    found = [row for row in csv.DictReader(io.StringIO(text)) if row["value"] == ""]

    assert [f.name for f in rows] == [row["metric"] for row in found]
    assert all(row["reason"] for row in found)


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1", "'=1", "-"])
def test_cells_of_text_are_no_formulas(cell: str) -> None:
    """A text that a spreadsheet would compute starts with an apostrophe; without it, it is the text again."""
    safe = safe_cell(cell)

    assert safe[0] in ("'", "\ufffd")
    assert cell.translate({9: 0xFFFD, 13: 0xFFFD}) == safe.removeprefix("'")


@pytest.mark.parametrize("number", [-1.5, 1e-300, 0.1 + 0.2, 3])
def test_numbers_stay_numbers(number: float) -> None:
    """A negative number is a number, not a text, and reading gives the same double."""
    assert number == float(safe_cell(number))


def test_hostile_texts_in_csv(run: Run) -> None:
    """Formulas, terminal escapes, quotes and line ends of names stay inside their cells."""
    data = FORMATS["csv"].write([exported(hostile(run))])
    rows = list(csv.reader(io.StringIO(data.decode(), newline="")))

    assert {len(COLUMNS)} == {len(row) for row in rows}
    assert not any(cell.startswith(("=", "@", "+")) for row in rows for cell in row)
    assert b"\x1b" not in data


# ---- Parquet ----


def test_parquet_is_read_back(run: Run, write: Callable[..., str], tmp_path: Path) -> None:
    """The types are those of the columns, samples are lists, and the file says what it is."""
    target = tmp_path / "figures.parquet"
    call(write(run), write(replace(run, run=replace(run.run, id="other")), "b"), "--to", "parquet", "-o", str(target))
    table = pyarrow.parquet.read_table(target)
    facts = json.loads(table.schema.metadata[b"wattbench"])
    rows = [row for row in table.to_pylist() if row["metric"] == "energy.per_request"]

    assert "wattbench.figures/1" == facts["format"]
    assert 2 == len(facts["results"]) == len(rows)
    assert run.summary.metric("energy.per_request").samples == tuple(rows[0]["samples"])
    assert {"double", "int64", "string", "list<element: double>"} == {str(field.type) for field in table.schema}


def test_parquet_and_csv_agree(run: Run, tmp_path: Path) -> None:
    """The two tables hold the same, read by pandas."""
    files = {}
    for form in ("csv", "parquet"):
        files[form] = tmp_path / form
        files[form].write_bytes(FORMATS[form].write([exported(run)]))
    left = pandas.read_csv(files["csv"], dtype={"load_version": str})
    right = pandas.read_parquet(files["parquet"]).drop(columns="samples")

    plain = [frame.astype(object).where(frame.notna(), None) for frame in (left, right)]
    assert plain[0].equals(plain[1])


# ---- OpenMetrics ----


def families_of(text: str, parser: str = "prometheus_client.openmetrics.parser") -> list[Any]:  # any: its own records
    """Return the families as one of the neighbour's parsers gives them."""
    module = pytest.importorskip(parser, reason="needs prometheus-client: pip install 'wattbench[meters]'")
    return list(module.text_string_to_metric_families(text))


def samples_of(text: str, family: str) -> list[Any]:  # any: the parser's own samples
    """Return the samples of a family as the neighbour's parser gives them."""
    families = {each.name: each for each in families_of(text)}
    return list(families[family].samples)


def test_openmetrics_is_read_back(run: Run, write: Callable[..., str]) -> None:
    """Prometheus's own parser reads every family with its unit; scope, boundary and method are labels."""
    text = call(write(run), "--to", "openmetrics").output
    families = {each.name: each for each in families_of(text)}
    power = families["wattbench_power_mean_watts"]

    assert "watts" == power.unit
    assert "board" == power.samples[0].labels["scope"]
    assert {"result", "boundary", "method"} < power.samples[0].labels.keys()
    assert MEAN_W == power.samples[0].value
    assert {"0.5", "0.9", "0.99"} == {
        s.labels["quantile"] for s in families["wattbench_latency_request_seconds"].samples
    }
    assert {"absolute", "comparison"} == {
        s.labels["against"] for s in families["wattbench_power_mean_uncertainty_ratio"].samples
    }


def test_openmetrics_is_text_format_too(run: Run) -> None:
    """Prometheus's older text format, which node_exporter's textfile collector reads, gives the same samples."""
    text = openmetrics_bytes([exported(run)]).decode()
    new = [tuple(s)[:3] for each in families_of(text) for s in each.samples]
    old = [tuple(s)[:3] for each in families_of(text, "prometheus_client.parser") for s in each.samples]

    assert new == old
    assert all(s[2] == s[2] for s in new)


@pytest.mark.parametrize(
    ("field", "text"),
    [("name", "x 1\nwattbench_power_mean_watts 999"), ("name", "X"), ("unit", "mock"), ("unit", "")],
    ids=["a sample of its own", "no figure", "no unit", "nothing"],
)
def test_a_figure_that_is_none_is_not_written_as_a_metric(run: Run, field: str, text: str) -> None:
    """A document may call a figure anything: a name of two lines would be another sample, and is refused."""
    one = exported(run)
    figures = tuple(replace(each, **{field: text}) if each.value is not None else each for each in one.figures)

    with pytest.raises(DocumentError, match="cannot be a metric"):
        openmetrics_bytes([replace(one, figures=figures)])


def test_hostile_labels_are_read_back(run: Run) -> None:
    """Quotes, backslashes and newlines of a name come back as they were; control characters do not."""
    text = openmetrics_bytes([exported(hostile(run))]).decode()
    labels = samples_of(text, "wattbench_result")[0].labels

    assert HOSTILE.replace("\x1b", "\ufffd").replace("\r", "\ufffd") == labels["model"]
    assert "\x1b" not in text


def test_two_results_in_one_exposition(run: Run) -> None:
    """Several results share the families; a figure that stands twice keeps both samples apart."""
    twice = exported(run)
    text = openmetrics_bytes([twice, replace(twice, subject=replace(twice.subject, result_id="sha256:" + "cd" * 32))])
    same = openmetrics_bytes([twice, twice]).decode()

    assert 2 == len(samples_of(text.decode(), "wattbench_power_mean_watts"))
    assert ["2"] == [s.labels["nth"] for s in samples_of(same, "wattbench_power_mean_watts") if "nth" in s.labels]


def test_every_unit_has_words() -> None:
    """Each unit of docs/metrics.md can be written."""
    page = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text()
    kinds = "throughput|latency|power|energy|efficiency|memory|utilisation"
    units = set(re.findall(rf"^\| `(?:{kinds})[^|]*\| `([^`]+)`", page, re.M))

    assert units
    assert set() == units - UNITS.keys()


# ---- PyTorch ----


def test_pytorch_follows_the_table(run: Run, write: Callable[..., str]) -> None:
    """Each record has the columns and types of the published table, each figure its unit, scope and method."""
    records = json.loads(call(write(run), "--to", "pytorch-benchmark-v3").output)
    jsonschema.validate(records, json.loads((DATA / "pytorch-benchmark-v3.schema.json").read_text()))
    power = next(r for r in records if r["metric"]["name"] == "power.mean")

    assert list(run.summary.metric("power.mean").samples) == power["metric"]["benchmark_values"]
    assert ("W", "board") == tuple(power["metric"]["extra_info"][key] for key in ("unit", "scope"))
    assert power["metric"]["extra_info"]["method"].startswith("gross energy")
    assert ("float32", "inference") == (power["benchmark"]["dtype"], power["benchmark"]["mode"])
    assert (16, 80, 1) == tuple(power["runners"][0][k] for k in ("avail_mem_in_gb", "avail_gpu_mem_in_gb", "gpu_count"))
    assert "latency.request.p99" in {r["metric"]["name"] for r in records}


def test_pytorch_leaves_out_what_is_not_known(run: Run) -> None:
    """A figure without a value has no record: the database has no null, and 0 would be a lie."""
    records = json.loads(FORMATS["pytorch-benchmark-v3"].write([exported(run)]))
    known = [f for f in exported(run).figures if f.value is not None]

    assert len(known) == len(records) < len(exported(run).figures)


# ---- MLPerf's summary ----


def labels_of(summary: str) -> set[str]:
    """Return the labels before the colons, as every reader of the file looks for them."""
    return {line.partition(":")[0].strip() for line in summary.splitlines() if ":" in line and "*" not in line}


def test_mlperf_summary_has_its_lines(run: Run, mlperf_run: ModuleType, tmp_path: Path) -> None:
    """The lines of a SingleStream run are those of a LoadGen's summary that was published, and few of our own."""
    official = (mlperf_run.unpack(tmp_path) / "run_1" / "mlperf_log_summary.txt").read_text()
    single = replace(run, plan=replace(run.plan, scenario="single-stream", batch=1))
    text = FORMATS["mlperf-summary"].write([exported(single)]).decode()

    assert {"load", "weights", "windows", "wattbench_result"} == labels_of(text) - labels_of(official)
    assert re.search(r"^Scenario : SingleStream$", text, re.M)
    assert "no MLPerf result, not verified by MLCommons" in text


def test_mlperf_summary_keeps_the_numbers(run: Run) -> None:
    """Rates are per second, latencies whole nanoseconds; a run shorter than 600 s is not VALID there."""
    text = FORMATS["mlperf-summary"].write([exported(run)]).decode()
    rate = re.search(r"^Samples per second: ([\d.]+)$", text, re.M)
    mean = re.search(r"^Mean latency \(ns\) +: (\d+)$", text, re.M)
    latency = next(each for each in run.summary.latencies if each.name == "latency.request")

    assert rate is not None
    assert mean is not None
    assert run.summary.metric("throughput.requests").value == float(rate[1])
    assert round(1e9 * latency.mean) == int(mean[1])
    assert re.search(r"^Result is : INVALID$", text, re.M)
    assert re.search(r"^  Min duration satisfied : NO$", text, re.M)


def test_mlperf_summary_of_a_long_run_is_valid(run: Run) -> None:
    """A sound run above MLPerf's floors says VALID, as the reader of our own importer finds it."""
    from wattbench.harness.exchange.mlperf_import import VALIDITY

    long = replace(run, summary=replace(run.summary, requests=30_000, measured_s=601.0))
    found = VALIDITY.search(FORMATS["mlperf-summary"].write([exported(long)]).decode())

    assert found is not None
    assert "VALID" == found[1]


def test_mlperf_summary_holds_one_run(run: Run, write: Callable[..., str]) -> None:
    """Two results do not fit into one summary."""
    path = write(run)
    with pytest.raises(UsageError, match="mlperf-summary holds one result"):
        call(path, path, "--to", "mlperf-summary")


# ---- AI Energy Score ----


def test_ai_energy_score_row(run: Run, write: Callable[..., str], tmp_path: Path) -> None:
    """Energy is that of all windows at the board in Wh, and its ratios follow by that table's own formulas."""
    target = tmp_path / "master_results.csv"
    call(write(run), "--to", "ai-energy-score", "-o", str(target))
    (row,) = csv.DictReader(io.StringIO(target.read_text()))
    joules = sum(run.summary.metric("energy.total", "board").samples)

    assert list(SCORE_COLUMNS) == list(row)
    assert joules / 3600 == float(row["gpu_energy_wh"])
    assert int(row["total_tokens"]) / joules == pytest.approx(float(row["tokens_per_joule"]))
    assert 1000 * joules / 3600 / int(row["successful_prompts"]) == pytest.approx(float(row["wh_per_1000_queries"]))
    assert ("text_gen", "", "") == (row["task"], row["co2_emissions_g"], row["error_message"])


def test_ai_energy_score_needs_a_gpu(run: Run, factories: ModuleType) -> None:
    """Energy of a package or of a wall is no energy of GPUs: such a result is refused, not given as one."""
    made = exported(run)
    wall = tuple(replace(f, scope="wall") if f.scope else f for f in made.figures)
    with pytest.raises(DocumentError, match=r"energy at wall") as caught:
        FORMATS["ai-energy-score"].write([replace(made, figures=wall)])

    assert "Export it to csv" in caught.value.remedy


def test_ai_energy_score_takes_runs_alone(
    run: Run, mlperf_run: ModuleType, tmp_path: Path, write: Callable[..., str]
) -> None:
    """An import has no repeats to add up, and a run without a successful request no row; the file is named."""
    made = import_mlperf(mlperf_run.unpack(tmp_path / "logs"))
    with pytest.raises(DocumentError, match="an import has none"):
        call(write(made, "mlperf"), "--to", "ai-energy-score")
    failed = tuple(
        replace(r, completions=replace(r.completions, error=("broken",) * len(r.completions))) for r in run.repeats
    )
    with pytest.raises(DocumentError, match="no request succeeded"):
        FORMATS["ai-energy-score"].write([exported(replace(run, repeats=failed))])


def test_mlperf_summary_takes_runs_alone(mlperf_run: ModuleType, tmp_path: Path, write: Callable[..., str]) -> None:
    """An imported MLPerf run has its own summary, so ours is not made of it."""
    made = import_mlperf(mlperf_run.unpack(tmp_path / "logs"))
    with pytest.raises(DocumentError, match="has files of its own"):
        call(write(made, "mlperf"), "--to", "mlperf-summary")


def test_mlperf_summary_without_latencies(run: Run) -> None:
    """A run of one request at a time whose latencies are unknown states none, and is not valid there."""
    bare = replace(
        run, plan=replace(run.plan, scenario="single-stream", batch=1), summary=replace(run.summary, latencies=())
    )
    text = FORMATS["mlperf-summary"].write([exported(bare)]).decode()

    assert "latency (ns)" not in text
    assert re.search(r"^  Early stopping satisfied: NO$", text, re.M)


# ---- what may not be quoted ----


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_what_may_not_be_quoted_is_refused(mock: Run, write: Callable[..., str], tmp_path: Path, form: str) -> None:
    """A mock's, emulated, replayed or unfinished result is refused, and nothing is written."""
    target = tmp_path / "out"
    with pytest.raises(DocumentError, match="is not exported") as caught:
        call(write(mock), "--to", form, "-o", str(target))

    assert "--allow-invalid" in caught.value.remedy
    assert not target.exists()


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_what_was_allowed_is_marked(mock: Run, write: Callable[..., str], tmp_path: Path, form: str) -> None:
    """With --allow-invalid every format carries the marks."""
    target = tmp_path / "out"
    call(write(mock), "--to", form, "-o", str(target), "--allow-invalid")
    data = target.read_bytes()

    assert b"INVALID" in data
    assert b"MOCK" in data


@pytest.mark.parametrize("code", ["emulated", "replayed_power"])
def test_marks_follow_the_doubts(run: Run, code: str) -> None:
    """An emulated device and replayed power have marks of their own."""
    doubts = (Doubt(code=code, severity="severe", facts="made up", advice=""),)
    result = replace(run, doubts=doubts, verdict=judge(doubts, finished=True))

    assert ("INVALID", code.removesuffix("_power").upper()) == exported(result, allow_invalid=True).subject.marks


# ---- files ----


def test_nothing_is_replaced_unasked(run: Run, write: Callable[..., str], tmp_path: Path) -> None:
    """A file that is there stays as it is without --force; a result is not replaced even with it."""
    target, path = tmp_path / "out.csv", write(run)
    target.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        call(path, "--to", "csv", "-o", str(target))
    assert "mine" == target.read_text()
    call(path, "--to", "csv", "-o", str(target), "--force")

    assert target.read_text().startswith("result_id,")
    with pytest.raises(UsageError, match="is one of the results"):
        call(path, "--to", "csv", "-o", path, "--force")


def test_an_export_is_all_or_nothing(run: Run, write: Callable[..., str], tmp_path: Path) -> None:
    """A place that takes no file leaves nothing behind, and the error names the flag."""
    path = write(run)
    with pytest.raises(StorageError, match="--out"):
        call(path, "--to", "csv", "-o", f"{path}/below/out.csv")

    assert {"run.json"} == {each.name for each in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--to", "parquet"), "standard output is for text"),
        (("--to", "csv", "-o", "."), "is a folder"),
        (("--to", "csv", "-o", ""), "is empty"),
        (("--to", "csv", "-o", "a" * 5000), "Nothing can be written"),
    ],
)
def test_places_that_cannot_be(run: Run, write: Callable[..., str], arguments: tuple[str, ...], why: str) -> None:
    """What cannot be a file is refused before anything is read."""
    with pytest.raises(UsageError, match=why):
        call(write(run), *arguments)


def test_an_altered_summary_is_refused(run: Run, tmp_path: Path) -> None:
    """A figure that does not follow from the raw repeats is not handed on, whoever made its digest."""
    from wattbench.results.codec import parse_json, to_builtins

    tree: Any = parse_json(canonical_bytes(to_builtins(run)))  # any: a JSON tree
    tree["summary"]["metrics"][0]["value"] *= 2
    path = tmp_path / "edited.json"
    path.write_bytes(canonical_bytes({**tree, "id": document_id(tree)}))
    with pytest.raises(TamperedError, match="does not follow"):
        call(str(path), "--to", "csv")


def test_a_run_without_figures(run: Run, factories: ModuleType) -> None:
    """A run that has not come to a summary has nothing to export, allowed or not."""
    started = factories.make_result(status="started", summary=None, repeats=())
    with pytest.raises(DocumentError, match="has no figures"):
        exported(started, allow_invalid=True)


def test_parquet_without_pyarrow(
    run: Run, write: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where pyarrow is missing, one sentence says what to install."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match="pip install pyarrow"):
        call(write(run), "--to", "parquet", "-o", str(tmp_path / "x.parquet"))


def test_what_is_not_a_result(tmp_path: Path) -> None:
    """A missing, foreign or empty file is named, without a traceback."""
    for name, content in (("a.json", "{}"), ("b.json", ""), ("c.json", "[" * 100_000)):
        (tmp_path / name).write_text(content)
        with pytest.raises(DocumentError, match=name):
            call(str(tmp_path / name), "--to", "csv")
    with pytest.raises(DocumentError, match="cannot be read"):
        call(str(tmp_path / "none.json"), "--to", "csv")
