"""Trying a vendor's library in a child process: whatever it does there becomes one line."""

import ctypes
import os
import sys
import warnings
from pathlib import Path

import pytest

from wattbench.harness.power.sensors.sdk import hushed, is_installed, trial_fault


def test_what_works_has_no_fault() -> None:
    """Nothing is returned when the lines end well."""
    assert trial_fault("import json") is None


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("print('loud'); import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemExit('zesInit returned 0x1')", "zesInit returned 0x1"),
        ("import os; os._exit(3)", "exit status 3"),
        ("import os; os.kill(os.getpid(), 11)", "it was killed by signal 11"),
        ("import os; os.abort()", "it was killed by signal 6"),
    ],
)
def test_what_fails_gives_its_last_line(code: str, reason: str, capfd: pytest.CaptureFixture[str]) -> None:
    """An exception, an exit or a crash is a reason, and nothing is printed."""
    found = trial_fault(code)
    printed = capfd.readouterr()

    assert (reason, "", "") == (found, printed.out, printed.err)


def test_what_hangs_is_given_up() -> None:
    """A library that never returns has a time limit."""
    assert "no answer within 0.2 s" == trial_fault("import time; time.sleep(60)", limit_s=0.2)


def test_a_missing_interpreter_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """An embedded Python may have no program to start."""
    monkeypatch.setattr(sys, "executable", "/no/such/python")

    assert "cannot start /no/such/python: No such file or directory" == trial_fault("pass")


def test_installed_is_told_without_importing() -> None:
    """A module that can be found is not loaded for that."""
    sys.modules.pop("this", None)

    assert is_installed("this")
    assert "this" not in sys.modules
    assert not is_installed("no_such_module")


def test_hushed_lets_nothing_out(capfd: pytest.CaptureFixture[str]) -> None:
    """Prints and warnings of foreign code stay inside, also what a C library has in its buffer."""
    library = ctypes.CDLL(None)
    with hushed():
        library.puts(b"loud")
        os.write(2, b"loud")
        print("loud")  # noqa: T201 - what it is about
        print("loud", file=sys.stderr)  # noqa: T201 - what it is about
        warnings.warn("loud", DeprecationWarning, stacklevel=1)

    library.fflush(None)

    assert ("", "") == tuple(capfd.readouterr())


def test_after_hushing_the_streams_are_as_before(capfd: pytest.CaptureFixture[str]) -> None:
    """What is written afterwards is seen, whatever happened inside."""
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(ValueError, match="inside"), hushed():
        raise ValueError("inside")
    os.write(1, b"seen")
    print("seen too", flush=True)  # noqa: T201 - what it is about

    assert "seenseen too\n" == capfd.readouterr().out
    assert before == len(os.listdir("/dev/fd"))


def test_a_closed_output_is_no_obstacle() -> None:
    """A program without standard output (a service) can be hushed as well."""
    code = "import os; os.close(1); from wattbench.harness.power.sensors.sdk import hushed\nwith hushed(): pass"

    assert trial_fault(code) is None


def test_a_module_in_this_folder_is_not_the_vendors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child does not import from the folder that the user happens to be in."""
    (tmp_path / "some_vendor.py").write_text("")
    monkeypatch.chdir(tmp_path)

    assert "ModuleNotFoundError" in str(trial_fault("import some_vendor"))
