"""The command line: help without SDKs, errors in three parts, exit codes, JSON for machines."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from wattbench.harness.cli.group import bench
from wattbench.harness.cli.main import help_text
from wattbench.harness.cli.run import parse_affinity

HEAVY = ("torch", "transformers", "pynvml", "pandas", "numpy", "msgspec", "rich", "psutil", "onnxruntime")


def call(*arguments: str, **kwargs: object) -> subprocess.CompletedProcess[str]:
    """Run `bench` in a process of its own."""
    command = [sys.executable, "-P", "-m", "wattbench.harness.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False, **kwargs)


def test_help_imports_no_sdk() -> None:
    """`bench --help` answers without importing any heavy module."""
    code = (
        "import sys; sys.argv = ['bench', '--help']\n"
        "from wattbench.harness.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print('LOADED', [m for m in {HEAVY!r} if m in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert "LOADED []" == ended.stdout.splitlines()[-1]
    assert "doctor" in ended.stdout


def test_the_quick_help_is_clicks_own() -> None:
    """The file that answers `bench --help` says what click would (mend: see CONTRIBUTING.md, golden files)."""
    ended = CliRunner().invoke(bench, ["--help"], prog_name="bench", terminal_width=100)

    assert ended.output == help_text()


def test_importing_wattbench_imports_no_sdk() -> None:
    """`import wattbench` loads none of the heavy modules."""
    code = f"import sys, wattbench; print([m for m in {HEAVY!r} if m in sys.modules])"
    ended = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert "[]" == ended.stdout.strip()


def test_an_unknown_command_names_the_nearest() -> None:
    """A typo in a command is answered with the known ones and exit code 2."""
    ended = call("rum")

    assert 2 == ended.returncode
    assert "Did you mean 'run'?" in ended.stderr


def test_a_usage_error_has_three_parts_and_code_2() -> None:
    """An unknown load says what, why and what to do, without a traceback."""
    ended = call("run", "--load", "qwen3-0.6b/chatt", "--backend", "mock")

    assert 2 == ended.returncode
    assert "Did you mean" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"schema": "wattbench.result/1", "status": "comp', "truncated"),
        (b'{"schema": "wattbench.result/99"}', "pgrade wattbench"),
        (b"not json at all", "not"),
    ],
)
def test_show_names_what_is_wrong_with_a_file(tmp_path: Path, content: bytes, says: str) -> None:
    """Truncated, newer and foreign files are refused as such, with exit code 1."""
    path = tmp_path / "result.json"
    path.write_bytes(content)
    ended = call("show", str(path))

    assert 1 == ended.returncode
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr


def test_run_then_show_then_tamper(tmp_path: Path) -> None:
    """A run's file is shown with the same figures; after one changed digit it is refused as altered."""
    path = tmp_path / "result.json"
    short = ("--window", "0.2", "--repeats", "2", "--warm-up-max", "0.1", "--idle", "0", "--power", "none")
    ran = call("run", "--backend", "mock", "--load", "tiny-decoder/tiny", *short, "--out", str(path))
    shown = call("show", str(path))
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"requests":1', b'"requests":2', 1).replace(b'"seed":0', b'"seed":1', 1))
    altered = call("show", str(path))

    assert (3, 0, 1) == (ran.returncode, shown.returncode, altered.returncode)
    assert shown.stdout.strip() in ran.stdout
    assert "INVALID" in shown.stdout
    assert "was altered" in altered.stderr


def test_json_goes_to_stdout_and_progress_to_stderr(tmp_path: Path) -> None:
    """With --json standard output is one document and nothing else."""
    short = ("--window", "0.2", "--repeats", "2", "--warm-up-max", "0.1", "--idle", "0", "--power", "none")
    ran = call("run", "--backend", "mock", "--load", "tiny-encoder", *short, "--out", str(tmp_path), "--json")

    assert "complete" == json.loads(ran.stdout)["status"]
    assert "repeat" in ran.stderr


def test_an_existing_result_is_never_overwritten(tmp_path: Path) -> None:
    """--out naming an existing file is refused before anything runs."""
    path = tmp_path / "result.json"
    path.write_text("{}")
    ended = call("run", "--backend", "mock", "--load", "tiny-decoder/tiny", "--power", "none", "--out", str(path))

    assert 2 == ended.returncode
    assert "exists already" in ended.stderr
    assert "{}" == path.read_text()


def test_list_loads_names_the_default() -> None:
    """`bench list loads` shows every load with its sizes."""
    ended = CliRunner().invoke(bench, ["list", "loads"], standalone_mode=False)

    assert "smollm2-135m/chat" in ended.output
    assert "llama-3.1-8b/chat" in ended.output


def test_list_as_json_is_machine_readable() -> None:
    """`bench list backends --json` is a JSON list of names."""
    ended = CliRunner().invoke(bench, ["list", "backends", "--json"], standalone_mode=False)

    assert {"mock", "torch"} <= set(json.loads(ended.output))


def test_doctor_gives_a_reason_for_each_thing() -> None:
    """`bench doctor --json` answers for every installed backend and sampler, usable or not."""
    ended = call("doctor", "--json")
    report = json.loads(ended.stdout)

    assert 0 == ended.returncode
    assert {"mock", "torch"} <= {b["name"] for b in report["backends"]}
    for entry in (*report["backends"], *report["samplers"]):
        assert entry["availability"]["reason"]
        assert entry["availability"]["state"] == "present" or entry["availability"]["remedy"]


@pytest.mark.parametrize(("text", "expected"), [("0", (0,)), ("0,2-4", (0, 2, 3, 4)), ("1,1", (1,))])
def test_affinity_lists_are_understood(text: str, expected: tuple[int, ...]) -> None:
    """Processors are given as numbers and ranges."""
    assert expected == parse_affinity(text)


@pytest.mark.parametrize("text", ["a", "3-1", "", "1-", "-1"])
def test_wrong_affinity_lists_are_refused(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(Exception, match="not a list of processors"):
        parse_affinity(text)
