"""The commands of `bench cost`: what they ask for, print, refuse, and leave alone."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner

from wattbench.harness.cli.cost.group import COMMANDS
from wattbench.harness.cli.group import bench
from wattbench.harness.exchange.mlperf_import import import_mlperf
from wattbench.results.economics.fields import FIELDS
from wattbench.results.errors import UsageError, WattbenchError
from wattbench.results.files import read_result, write_result

EXAMPLES = Path(__file__).parents[1] / "examples" / "results"
CHAT = str(EXAMPLES / "qwen3-0.6b-chat_cpu_bfloat16.json")
OWNED = ["--price-usd", "900", "--residual-usd", "0", "--life-years", "4", "--interest-rate", "0.05"]
WATTS = ["--usd-per-kwh", "0.15", "--pue", "1.2", "--active-w", "60", "--idle-w", "20", "--utilisation", "0.3"]

STARTS = {
    "query": [CHAT, "--price-usd", "900"],
    "task": [CHAT, "--price-usd", "900", "--active-w", "60"],
    "bill": [CHAT, "--price-usd", "900", "--active-w", "60", "--utilisation", "0.3"],
    "breakeven": [CHAT, "--price-usd", "900", "--usd-per-h", "0.5", "--api-usd-per-million-cached", "0.1"],
    "fleet": [
        CHAT,
        "--price-usd",
        "900",
        "--active-w",
        "60",
        "--users",
        "10",
        "--slo-latency-s",
        "60",
        "--battery-energy-wh",
        "500",
    ],
    "carbon": [CHAT, "--active-w", "60"],
    "train-ratio": [CHAT, "--price-usd", "900", "--training-energy-kwh", "5"],
    "sensitivity": [CHAT, "--price-usd", "900", "--peak-queries-per-s", "1", "--slo-wait-s", "2"],
    "compare": [CHAT, CHAT, "--by", "reservation", "--price-usd", "900", "--slo-latency-s", "50"],
    "shift": ["--shift-years", "3"],
}
"""A command line of each command that lacks inputs; the test gives what is asked for until it is content."""

VALUES = {"workload.success_share": 0.8, "slo.late_share": 0.1, "training.usd": 100.0, "workload.cached_share": 0.0}


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"init", "prices", "validate"}))
def test_what_is_missing_is_asked_for_by_a_flag_that_the_command_has(name: str) -> None:
    """Following each error's advice leads to a result: every flag named is there, and nothing is assumed."""
    line, asked = ["cost", name, *STARTS[name]], []
    for _ in range(len(FIELDS)):
        done = CliRunner().invoke(bench, line)
        if done.exception is None or isinstance(done.exception, SystemExit):
            break
        assert isinstance(done.exception, UsageError), done.exception
        flag = re.search(r"Use (--[\w-]+) VALUE", str(done.exception))
        assert flag is not None, str(done.exception)
        field = next(field for field in FIELDS.values() if field.flag == flag[1])
        asked.append(field.path)
        line += [flag[1], str(VALUES.get(field.path, max(field.low, min(field.high, 1.0))))]

    assert "" == done.stderr
    assert done.stdout
    assert len(asked) == len(set(asked)) > 0


def _documents(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each command with a line that is whole."""
    rest = ["--queries-per-day", "100"]
    task = [
        "--calls",
        "20",
        "--growth-tokens",
        "10",
        "--cached-share",
        "0",
        "--retry-share",
        "0",
        "--success-share",
        "1",
    ]
    yield "query", [CHAT, *OWNED, *WATTS]
    yield "task", [CHAT, *OWNED, *WATTS, *task]
    yield "bill", [CHAT, *OWNED, *WATTS, *rest, "--at", "0.01"]
    yield "breakeven", [CHAT, *OWNED, *WATTS, "--api-usd-per-query", "0.01", *rest]
    yield "fleet", [CHAT, *OWNED, *WATTS, "--battery-energy-wh", "500", "--battery-usable-share", "0.8"]
    yield "carbon", [CHAT, *OWNED, *WATTS, "--grid-g-per-kwh", "400", "--machine-kg", "200"]
    train = ["--training-usd", "10", "--training-months", "12", "--growth-per-month", "0.1"]
    yield "train-ratio", [CHAT, *OWNED, *WATTS, *rest, *train]
    yield "sensitivity", [CHAT, *OWNED, *WATTS, "--prior", "use.utilisation=0.1,0.3,0.6", "--samples", "100"]
    yield "compare", [CHAT, CHAT, "--by", "energy", *WATTS]
    money = ["--shift-training-usd-per-year", "1", "--shift-inference-usd-per-year", "1", "--shift-price-fall", "0"]
    growth = ["--shift-years", "2", "--shift-training-growth", "0", "--shift-inference-growth", "1"]
    yield "shift", [*money, *growth]


def test_every_command_prints_text_and_a_derived_document(tmp_path: Path) -> None:
    """The text has the ladder with each rung's provenance; the JSON names the measurement by digest, and its inputs."""
    identity = json.loads(Path(CHAT).read_bytes())["id"]
    for name, line in _documents(tmp_path):
        text, machine = (CliRunner().invoke(bench, ["cost", name, *line, *more]) for more in ([], ["--json"]))
        assert (0, 0) == (text.exit_code, machine.exit_code), (name, text.exception, machine.exception)
        document = json.loads(machine.stdout)
        named = document["of"] if isinstance(document["of"], list) else [document["of"]]

        assert ("wattbench.cost/1", "derived", name, True) == tuple(
            document[key] for key in ("schema", "kind", "command", "quotable")
        )
        assert set(named) <= {identity}
        assert document["inputs"]
        if name != "shift":
            assert named
            for rung in ("device", "machine", "with idle hours", "building", "embodied"):
                assert re.search(rf"^  {rung} .*(measured|declared|absent): ", text.stdout, re.MULTILINE), (name, rung)


def test_invalid_results_are_refused_and_watermarked(factories: ModuleType, tmp_path: Path) -> None:
    """A mock has no cost in any command; allowed, text and document say that no figure is to be quoted."""
    mock = tmp_path / "mock.json"
    write_result(factories.make_result(), mock)
    for name, line in _documents(tmp_path):
        if name == "shift":
            continue
        given = [str(mock) if word == CHAT else word for word in line]
        refused = CliRunner().invoke(bench, ["cost", name, *given])
        allowed = CliRunner().invoke(bench, ["cost", name, *given, "--host-w", "50", "--allow-invalid"])
        machine = CliRunner().invoke(bench, ["cost", name, *given, "--host-w", "50", "--allow-invalid", "--json"])

        assert isinstance(refused.exception, WattbenchError), name
        assert "mock" in str(refused.exception)
        assert "no figure below is to be quoted" in allowed.stdout, (name, allowed.exception)
        assert json.loads(machine.stdout)["quotable"] is False


def test_the_seeds_line_needs_no_result() -> None:
    """A million queries a day at a cent and at a tenth of one."""
    done = CliRunner().invoke(bench, ["cost", "bill", "--queries-per-day", "1e6", "--at", "0.01", "--at", "0.001"])

    assert "3,650,000 USD a year" in done.stdout
    assert "365,000 USD a year" in done.stdout


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["bill", "--queries-per-day", "1"], "nothing to bill"),
        (["bill", "--queries-per-day", "1", "--at", "nan"], "--at cannot be nan"),
        (["bill", "--queries-per-day", "1", "--at", "-1"], "--at cannot be -1"),
        (["breakeven", CHAT, *OWNED, *WATTS], "nothing to compare"),
        (["fleet", CHAT, *OWNED, *WATTS], "nothing to size"),
        (["shift"], "nothing to model"),
        (["shift", "--shift-usd-per-query", "0.01"], "No machine is known"),
        (["compare", CHAT, "--by", "usage", "--usd-per-h", "1"], "two or more"),
        (["compare", CHAT, CHAT, "--by", "usage", "--inputs-of", "x.yaml"], "1 files for 2"),
        (["sensitivity", CHAT, "--usd-per-h", "1", "--prior", "power.pue"], "no list of numbers"),
        (["sensitivity", CHAT, "--usd-per-h", "1", "--prior", "power.pue=1,x,2"], "no list of numbers"),
        (["sensitivity", CHAT, "--usd-per-h", "1", "--seed", "-1"], "--seed"),
        (["query", CHAT, "--usd-per-h", "1", "--schedule", "a,b"], "no list of numbers"),
        (["query", CHAT, "--usd-per-h", "nan"], "finite"),
        (["query", CHAT, "--usd-per-h", "-1"], "negative"),
        (["query", CHAT, *OWNED, "--usd-per-kwh", "15"], "cents"),
        (["query", CHAT, *OWNED, "--active-w", "0.06"], "kW"),
        (["query", CHAT, "--usd-per-h", "1", "--utilisation", "30"], "percentage"),
        (["query", CHAT, "--usd-per-h", "1", "--pue", "0.9"], "cannot be 0.9: it is total energy"),
        (["query", "/nowhere.json", "--usd-per-h", "1"], "cannot be read"),
    ],
)
def test_bad_input_is_explained(line: list[str], words: str) -> None:
    """Every slip is one of our errors, in words."""
    done = CliRunner().invoke(bench, ["cost", *line])

    assert isinstance(done.exception, WattbenchError), done.exception
    assert words in str(done.exception)


def test_each_machine_may_have_its_own_prices(tmp_path: Path) -> None:
    """`--inputs-of` prices each result by its own file, and both ladders and inputs are printed."""
    files = []
    for rent in ("0.1", "0.2"):
        files += ["--inputs-of", str(tmp_path / f"{rent}.yaml")]
        (tmp_path / f"{rent}.yaml").write_text(f"cloud: {{usd_per_h: {rent}}}\n")
    done = CliRunner().invoke(bench, ["cost", "compare", CHAT, CHAT, "--by", "usage", *files])

    assert 0 == done.exit_code, done.exception
    assert "2.000 x the best" in done.stdout
    assert "0.2.yaml" in done.stdout


def test_results_of_one_kind_of_device_are_told_apart() -> None:
    """Two results of one processor's model have their files' names in the table; one file twice has numbers."""
    name = "qwen3-0.6b-chat_cpu_bfloat16"
    other = "smollm2-135m-chat_cpu_bfloat16_quick"
    line = ["cost", "compare", CHAT, "--by", "usage", "--usd-per-h", "1", "--force"]
    two = CliRunner().invoke(bench, [*line, str(EXAMPLES / f"{other}.json")]).stdout
    same = CliRunner().invoke(bench, [*line, CHAT]).stdout

    assert f"({name})  " in two
    assert f"({other})  " in two
    assert "+/- 0 %" not in two
    assert f"(1: {name})  " in same
    assert f"(2: {name})  " in same


def test_different_loads_are_shown_when_forced() -> None:
    """Two loads are refused; forced, the table begins with what differs."""
    line = ["cost", "compare", CHAT, str(EXAMPLES / "bert-base-classify-128_cpu_bfloat16.json"), "--by", "usage"]
    refused = CliRunner().invoke(bench, [*line, "--usd-per-h", "1"])
    forced = CliRunner().invoke(bench, [*line, "--usd-per-h", "1", "--force"])

    assert isinstance(refused.exception, UsageError)
    assert "! " in forced.stdout.splitlines()[0]


def test_an_import_is_priced(mlperf_run: ModuleType, tmp_path: Path) -> None:
    """An imported result with a wall meter has its measured rung, and no price of tokens that it does not state."""
    path = tmp_path / "mlperf.json"
    write_result(import_mlperf(mlperf_run.unpack(tmp_path)), path)
    done = CliRunner().invoke(bench, ["cost", "query", str(path), *OWNED, "--usd-per-kwh", "0.15", "--pue", "1"])

    assert 0 == done.exit_code, done.exception
    assert re.search(r"^  machine +0\.3\d+ J.*measured", done.stdout, re.MULTILINE)
    assert "per million" not in done.stdout


def test_the_calculator_loads_no_sdk() -> None:
    """Importing all of it, commands included, loads no SDK, no pandas and no pyarrow."""
    modules = [module for module, _ in COMMANDS.values()]
    code = (
        f"import importlib, sys; [importlib.import_module(m) for m in {modules!r}]; "
        "banned = ('torch', 'transformers', 'onnxruntime', 'onnx', 'pynvml', 'pandas', 'pyarrow', 'openvino'); "
        "print([name for name in banned if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()


def test_measurements_stay_as_they_are(tmp_path: Path) -> None:
    """No command writes into the result."""
    before = Path(CHAT).read_bytes()
    for name, line in _documents(tmp_path):
        CliRunner().invoke(bench, ["cost", name, *line])

    assert before == Path(CHAT).read_bytes()
    assert read_result(Path(CHAT))


def test_help_names_the_unit_of_every_input() -> None:
    """Each flag's metavar is its unit."""
    group = bench.get_command(click.Context(bench), "cost")
    assert isinstance(group, click.Group)
    text = CliRunner().invoke(group, ["fleet", "--help"]).stdout

    assert "--cap-power-w W" in text
    assert "--usd-per-kwh USD/kWh" in text
