"""The power limit through the real nvidia-ml-py over a library of ours: set, and restored whatever happens."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from command_line import SOON

from wattbench.harness.sweep.powerlimit import require_consent
from wattbench.results.errors import UsageError
from wattbench.results.files import read_result

UUID = "GPU-11111111-2222-3333-4444-555555555555"
PLUGINS = Path(__file__).parent / "plugins_sweep"
LIMIT_S = 120

HOLD = """
import sys, time
from wattbench.harness.sweep.powerlimit import PowerLimit
from wattbench.results.errors import WattbenchError
try:
    with PowerLimit(sys.argv[1], [float(w) for w in sys.argv[2:]]) as limit:
        for wanted in sys.argv[2:]:
            limit.set_w(float(wanted))
        print("set", limit.before_w, flush=True)
        if sys.stdin.readline() == "fail\\n":
            raise KeyError("a bug")
except WattbenchError as error:
    print(f"{type(error).__name__}: {error}", flush=True)
"""


class Board:
    """The stand-in's board: its limit lies in a file, for all processes."""

    def __init__(self, folder: Path, library: Path) -> None:
        self.file = folder / "limit"
        self.file.write_text("300000\n")
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("WATTBENCH_", "COV_", "SMALL_"))},
            "LD_LIBRARY_PATH": str(library),
            "FAKE_NVML_LIMIT_FILE": str(self.file),
        }

    @property
    def limit_w(self) -> float:
        """Return the limit that is set."""
        return int(self.file.read_text()) / 1000

    def hold(self, *limits_w: str, uuid: str = UUID) -> subprocess.Popen[str]:
        """Start a process that sets limits and holds the last one until it reads a line."""
        call = [sys.executable, "-P", "-c", HOLD, uuid, *limits_w]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(call, env=self.environment, text=True, **pipes)

    def wait_for(self, limit_w: float) -> float:
        """Wait until the limit has a value and return what it is in the end."""
        deadline = time.monotonic() + 30
        while self.limit_w != limit_w and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.limit_w


@pytest.fixture(name="board")
def _board(tmp_path: Path, nvml_library: Path) -> Board:
    return Board(tmp_path, nvml_library)


def test_a_limit_is_set_and_restored(board: Board) -> None:
    """Two limits one after the other, then the old one again."""
    process = board.hold("250", "200")
    said = process.stdout.readline()
    during = board.limit_w
    process.communicate("done\n", timeout=LIMIT_S)

    assert ("set 300.0\n", 200.0, 300.0) == (said, during, board.limit_w)


def test_an_error_restores_the_limit(board: Board) -> None:
    """Whatever leaves the `with` block, the limit is the old one afterwards."""
    process = board.hold("250")
    process.stdout.readline()
    _, stderr = process.communicate("fail\n", timeout=LIMIT_S)

    assert "KeyError: 'a bug'" in stderr
    assert 300.0 == board.limit_w


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_harness_has_its_limit_restored(board: Board, number: signal.Signals) -> None:
    """The guardian outlives kill -9 of the process that it works for, restores the limit, and ends."""
    process = board.hold("250")
    process.stdout.readline()
    during = board.limit_w
    guardians = psutil.Process(process.pid).children()
    process.send_signal(number)
    process.communicate(timeout=LIMIT_S)
    after = board.wait_for(300.0)
    _, alive = psutil.wait_procs(guardians, timeout=10)

    assert (250.0, 300.0) == (during, after)
    assert 1 == len(guardians)
    assert [] == alive


def test_signals_to_the_guardian_do_not_end_it(board: Board) -> None:
    """Ctrl-C reaches every process of a terminal: the guardian stays until its pipe closes."""
    process = board.hold("250")
    process.stdout.readline()
    (guardian,) = psutil.Process(process.pid).children()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        guardian.send_signal(number)
    process.communicate("done\n", timeout=LIMIT_S)

    assert 300.0 == board.limit_w


def test_a_killed_guardian_is_stood_in_for(board: Board) -> None:
    """Should somebody kill the guardian, the harness restores the limit itself."""
    process = board.hold("250")
    process.stdout.readline()
    (guardian,) = psutil.Process(process.pid).children()
    guardian.kill()
    process.communicate("done\n", timeout=LIMIT_S)

    assert 300.0 == board.limit_w


@pytest.mark.parametrize(
    ("limits_w", "uuid", "settings", "says"),
    [
        (("250",), UUID, {"SET_RETURN": "4"}, "DeviceError: The power limit of GPU-1.* cannot be set: .*Permissions"),
        (("100",), UUID, {}, "UsageError: A power limit of 100 W cannot be set: .* takes 200 to 350 W"),
        (("250", "400"), UUID, {}, "UsageError: A power limit of 400 W cannot be set"),
        (("250",), "GPU-other", {}, "DeviceError: The power limit of GPU-other cannot be read"),
        (("250",), UUID, {"INIT_RETURN": "9"}, "DeviceError: .*Driver Not Loaded"),
    ],
)
def test_what_cannot_be_set_is_refused_and_nothing_changes(
    board: Board, limits_w: tuple[str, ...], uuid: str, settings: dict[str, str], says: str
) -> None:
    """No right, out of range, no such board, no driver: each is named before any limit was set."""
    board.environment |= {f"FAKE_NVML_{name}": value for name, value in settings.items()}
    stdout, _ = board.hold(*limits_w, uuid=uuid).communicate(timeout=LIMIT_S)

    assert 300.0 == board.limit_w
    assert re.search(says, stdout)


def test_without_the_right_the_remedy_is_the_command(board: Board) -> None:
    """An administrator can set the limit by hand."""
    board.environment["FAKE_NVML_SET_RETURN"] = "4"
    stdout, _ = board.hold("250").communicate(timeout=LIMIT_S)

    assert f"sudo nvidia-smi -i {UUID} -pl 300" in stdout


@pytest.mark.parametrize(("limits_w", "consent"), [((250.0,), False), ((), True)])
def test_a_limit_needs_the_users_word_and_the_word_a_limit(limits_w: tuple[float, ...], consent: bool) -> None:
    """Either one alone is refused."""
    with pytest.raises(UsageError, match="power-limit"):
        require_consent(limits_w, consent=consent)


class Sweep:
    """A sweep over two limits on a mock device that is the stand-in's board."""

    def __init__(self, board: Board, folder: Path) -> None:
        self.out = folder / "out"
        path = [str(PLUGINS), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._environment = board.environment | {
            "PYTHONPATH": os.pathsep.join(path),
            "WATTBENCH_CACHE": str(folder / "cache"),
            "SMALL_COVERS": UUID,
        }

    def start(self, *, repeats: int) -> subprocess.Popen[str]:
        """Start the sweep."""
        short = ("--window", "0.1", "--warm-up-max", "0.1", "--idle", "0", "--ceilings", "none", "--power", "none")
        what = ("--backend", "small", "--load", "tiny-decoder/tiny", "--repeats", str(repeats))
        limits = ("--power-limit", "250,220", "--i-may-change-the-power-limit")
        bench = (sys.executable, "-P", "-m", "wattbench.harness.cli.main", "sweep")
        call = (*bench, *what, *short, *SOON, *limits, "--out", str(self.out))
        return subprocess.Popen(call, env=self._environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_sweep_over_limits_measures_each_under_its_own(board: Board, tmp_path: Path) -> None:
    """Each result says the limit that it was measured under; afterwards the old one is set."""
    sweep = Sweep(board, tmp_path)
    _, stderr = sweep.start(repeats=1).communicate(timeout=LIMIT_S)
    names = [f"tiny-decoder-tiny_limit-{limit}-W.json" for limit in (250, 220)]
    limits = [read_result(sweep.out / name).environment.accelerators[0].power_limit_w for name in names]

    assert [250.0, 220.0] == limits, stderr
    assert 300.0 == board.limit_w


def test_a_killed_sweep_has_the_limit_restored(board: Board, tmp_path: Path) -> None:
    """After kill -9 of `bench sweep` the board has its old limit within moments."""
    process = Sweep(board, tmp_path).start(repeats=50)
    during = board.wait_for(250.0)
    process.kill()
    process.communicate(timeout=LIMIT_S)

    assert (250.0, 300.0) == (during, board.wait_for(300.0))
