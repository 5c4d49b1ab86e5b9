"""The command line: help without SDKs, errors in three parts, exit codes, JSON for machines."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from command_line import SOON

from wattbench.harness.cli.group import bench
from wattbench.harness.cli.main import answer, explain, help_text
from wattbench.harness.cli.run import parse_affinity
from wattbench.harness.cli.streams import Guarded
from wattbench.results.errors import DocumentError, StorageError, UsageError

SHORT = ("--window", "0.2", "--repeats", "2", "--warm-up-max", "0.1", "--idle", "0", "--power", "none", *SOON)
TINY = ("--backend", "mock", "--load", "tiny-encoder", *SHORT)
HEAVY = ("torch", "transformers", "pynvml", "pandas", "numpy", "msgspec", "rich", "psutil", "onnxruntime", "pyarrow")


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep results and caches of these tests out of the user's folders."""
    monkeypatch.setenv("WATTBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("WATTBENCH_CACHE", str(tmp_path / "cache"))


def call_in_shell(line: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a shell line in which `bench` stands for the command and `$@` for the arguments."""
    script = f'bench() {{ "{sys.executable}" -P -m wattbench.harness.cli.main "$@"; }}; {line}'
    command = ["bash", "-o", "pipefail", "-c", script, "bash", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def call(*arguments: str | bytes, **kwargs: object) -> subprocess.CompletedProcess[str]:
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
    short = ("--window", "0.2", "--repeats", "2", "--warm-up-max", "0.1", "--idle", "0", "--power", "none", *SOON)
    ran = call("run", "--backend", "mock", "--load", "tiny-decoder/tiny", *short, "--out", str(path))
    shown = call("show", "--no-roofline", str(path))
    content = path.read_bytes()
    seed = f'"seed":{SOON[1]}'.encode()
    path.write_bytes(content.replace(seed, b'"seed":1', 1))
    altered = call("show", str(path))

    assert seed in content
    assert (3, 0, 1) == (ran.returncode, shown.returncode, altered.returncode)
    assert shown.stdout.strip() in ran.stdout
    assert "INVALID" in shown.stdout
    assert "was altered" in altered.stderr


def test_json_goes_to_stdout_and_progress_to_stderr(tmp_path: Path) -> None:
    """With --json standard output is one document and nothing else."""
    short = ("--window", "0.2", "--repeats", "2", "--warm-up-max", "0.1", "--idle", "0", "--power", "none", *SOON)
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
    """`bench list backends --json` has the names, and what was shown of each device."""
    ended = CliRunner().invoke(bench, ["list", "backends", "--json"], standalone_mode=False)

    found = json.loads(ended.output)
    assert {"mock", "torch"} <= set(found["backends"])
    assert {"measured", "untested"} <= {row["status"] for row in found["devices"]}


def test_doctor_gives_a_reason_for_each_thing() -> None:
    """`bench doctor --json` answers for every installed backend and sampler, usable or not."""
    ended = call("doctor", "--json")
    report = json.loads(ended.stdout)

    assert 0 == ended.returncode
    assert {"mock", "torch"} <= {b["name"] for b in report["backends"]}
    for entry in (*report["backends"], *report["samplers"]):
        assert entry["availability"]["reason"]
        assert entry["availability"]["state"] == "present" or entry["availability"]["remedy"]


@pytest.mark.parametrize(
    "wrong",
    [
        ("--window", "inf"),
        ("--batch", "9" * 20),
        ("--load", ""),
        ("--out", ""),
        ("--plan", ""),
        ("--plan", "/dev/zero"),
        ("--out", b"\xff.json"),
        ("--out", "n" * 300 + ".json"),
        ("--affinity", "0-999999999"),
        ("--weights", "nothing-there"),
    ],
)
def test_nonsense_is_refused_before_anything_starts(tmp_path: Path, wrong: tuple[str | bytes, ...]) -> None:
    """A value that cannot be meant ends with exit code 2, without a traceback and without a result file."""
    ended = call("run", *TINY, *wrong)

    assert 2 == ended.returncode
    assert "Error: " in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("line", ["bench --help", "bench run --help", "bench --version", "bench list loads"])
@pytest.mark.parametrize(("where", "why"), [(">&-", "it is closed"), (">/dev/full", "No space left on device")])
def test_an_output_that_fails_is_said_in_one_error(line: str, where: str, why: str) -> None:
    """A closed or full standard output gives exit code 1 and a clear line, no traceback."""
    ended = call_in_shell(f"{line} {where}")

    assert 1 == ended.returncode
    assert f"Error: Cannot write to standard output: {why}" == ended.stderr.splitlines()[0]
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("where", [">&-", ">/dev/full"])
def test_a_result_that_cannot_be_printed_is_still_found(tmp_path: Path, where: str) -> None:
    """When standard output fails after a run, the error names the result file, even with --quiet."""
    ended = call_in_shell(f'bench run --quiet --json "$@" {where}', *TINY)
    (path,) = (tmp_path / "data" / "results").glob("*.json")

    assert 1 == ended.returncode
    assert str(path) in ended.stderr
    assert "Traceback" not in ended.stderr


def test_progress_that_cannot_be_written_ends_no_run(tmp_path: Path) -> None:
    """A full standard error costs the progress lines, not the run."""
    ended = call_in_shell('bench run --json "$@" 2>/dev/full', *TINY)

    assert 3 == ended.returncode
    assert "complete" == json.loads(ended.stdout)["status"]


def test_a_reader_that_has_enough_is_no_error() -> None:
    """`bench list loads | head -1` says nothing on standard error."""
    ended = call_in_shell("bench list loads | head -1")

    assert "" == ended.stderr
    assert 1 == len(ended.stdout.splitlines())


def test_text_that_the_output_lacks_becomes_escapes() -> None:
    """A standard output of another encoding gets escapes instead of an error."""
    raw = io.BytesIO()
    stream = Guarded(io.TextIOWrapper(raw, encoding="ascii"))
    stream.write("5 µs")
    stream.flush()

    assert rb"5 \xb5s" == raw.getvalue()


def test_ctrl_c_before_a_run_says_that_nothing_was_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C while a request is resolved ends with one line and exit code 1."""
    monkeypatch.setattr("wattbench.harness.cli.run.choose", interrupt)
    monkeypatch.setattr("sys.argv", ["bench", "run", *TINY])
    code = answer()

    assert 1 == code
    assert "Interrupted: nothing was started." == capsys.readouterr().err.strip()


def test_ctrl_c_during_an_import_says_that_nothing_was_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C before click is there ends in the same way."""
    monkeypatch.setattr("wattbench.harness.cli.main.call_click", interrupt)
    monkeypatch.setattr("sys.argv", ["bench", "doctor"])
    code = answer()

    assert 1 == code
    assert "Interrupted: nothing was started.\n" == capsys.readouterr().err


def test_ctrl_c_while_printing_names_the_result(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Ctrl-C after a run has ended gives the result's path, exit code 1 and no traceback."""
    monkeypatch.setattr("wattbench.harness.cli.run.print_lines", interrupt)
    monkeypatch.setattr("sys.argv", ["bench", "run", *TINY, "--quiet"])
    code = answer()
    (path,) = (tmp_path / "data" / "results").glob("*.json")

    assert 1 == code
    assert f"The result file is {path}" in capsys.readouterr().err


def interrupt(*arguments: object, **kwargs: object) -> None:
    """Do as Ctrl-C does."""
    raise KeyboardInterrupt


def test_an_error_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Escape codes in an error's text are shown as escapes; its exit code is that of its kind."""
    codes = [explain(error("a\x1b[2J", "b")) for error in (DocumentError, StorageError, UsageError)]

    assert [1, 1, 2] == codes
    assert "Error: a\\x1b[2J: b" == capsys.readouterr().err.splitlines()[0]


@pytest.mark.parametrize(("text", "expected"), [("0", (0,)), ("0,2-4", (0, 2, 3, 4)), ("1,1", (1,))])
def test_affinity_lists_are_understood(text: str, expected: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Processors are given as numbers and ranges."""
    monkeypatch.setattr("wattbench.harness.knobs.known_processors", lambda: frozenset(range(8)))

    assert expected == parse_affinity(text)


@pytest.mark.parametrize("text", ["a", "3-1", "", "1-", "-1", "²", "0-²", "9" * 5000])
def test_wrong_affinity_lists_are_refused(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(Exception, match="not a list of processors"):
        parse_affinity(text)
