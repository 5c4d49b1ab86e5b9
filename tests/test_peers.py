"""Other tools beside a run: stand-ins that speak their API, and the real ones where they are installed."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from command_line import SOON, run_with_joules

from wattbench.harness.cli.group import bench
from wattbench.harness.peers.client import check_peers
from wattbench.harness.peers.session import Peers, beside_ours, peer_energy
from wattbench.harness.plan import resolve
from wattbench.harness.request import RunRequest
from wattbench.results.crosscheck import PeerPart
from wattbench.results.energy import ChannelEnergy
from wattbench.results.errors import SensorError, UsageError
from wattbench.results.files import read_result
from wattbench.results.measurement import Window

UUID = "GPU-11111111-2222-3333-4444-555555555555"
SECOND = 1_000_000_000
REAL_PEERS = Path(__file__).parent.parent / "build" / "power-peers" / "bin" / "python"
"""Made by `make power-peers`: 500 MB and a minute, so no test run makes it by itself."""

ZEUS = {
    "zeus/__init__.py": "",
    "zeus/device/__init__.py": """
import pynvml
print("a library that greets on standard output")
class GPUs:
    def __len__(self):
        return pynvml.nvmlDeviceGetCount()
    def supports_get_total_energy_consumption(self, index):
        return True
    def get_total_energy_consumption(self, index):
        return pynvml.nvmlDeviceGetTotalEnergyConsumption(pynvml.nvmlDeviceGetHandleByIndex(index))
def get_gpus():
    from zeus.device.gpu import ZeusGPUInitError
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as exc:
        raise ZeusGPUInitError("NVML and AMDSMI unavailable.") from exc
    return GPUs()
def get_cpus():
    from zeus.device.cpu import ZeusCPUInitError
    raise ZeusCPUInitError("RAPL unavailable")
""",
    "zeus/device/gpu.py": "class ZeusGPUInitError(Exception): pass\n",
    "zeus/device/cpu.py": "class ZeusCPUInitError(Exception): pass\n",
    "zeus-0.16.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: zeus\nVersion: 0.16.0\n",
}
CODECARBON = {
    "codecarbon/__init__.py": """
import time
class CPU:
    _mode = "cpu_load"
class RAM:
    pass
class OfflineEmissionsTracker:
    def __init__(self, *, country_iso_code, measure_power_secs, save_to_file, save_to_api, save_to_logger,
                 logging_logger, log_level, allow_multiple_runs, gpu_ids=None):
        assert save_to_logger and not save_to_file and not save_to_api
        self._output, self._hardware = logging_logger, [CPU(), RAM()]
    def start(self):
        self._start = time.perf_counter()
    def flush(self):
        kwh = (time.perf_counter() - self._start) / 3.6e6
        self._output.out({"cpu_energy": 8 * kwh, "ram_energy": 20 * kwh})
""",
    "codecarbon/output.py": """
import json, logging
class LoggerOutput:
    def __init__(self, logger):
        self._logger = logger
    def out(self, total):
        self._logger.log(logging.INFO, msg=json.dumps(total))
""",
    "codecarbon-3.3.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: codecarbon\nVersion: 3.3.2\n",
}


@pytest.fixture(name="stand_ins")
def _stand_ins(tmp_path: Path, nvml_library: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the processes that a test starts see both packages, and a board that draws 300 W."""
    folder = tmp_path / "packages"
    for name, text in (ZEUS | CODECARBON).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("LD_LIBRARY_PATH", str(nvml_library))
    monkeypatch.setenv("FAKE_NVML_CLOCK_REAL", "1")
    return folder


def watched(names: tuple[str, ...], python: str | None = None, seconds: float = 0.5) -> dict[str, float]:
    """Let peers watch for a while, and return the mean watts that each saw in each part, within that while."""
    peers = Peers.open(names, python, UUID)
    try:
        start_ns = time.perf_counter_ns() + SECOND * 3 // 2
        window, deadline = Window(start_ns=start_ns, end_ns=start_ns + int(seconds * SECOND)), time.monotonic() + 30
        found = peers.energies(window, (), 0)
        while any(e.energy_j is None for e in found) and time.monotonic() < deadline:
            time.sleep(0.05)
            found = peers.energies(window, (), 0)
        assert [None] * len(found) == [e.reason for e in found]
        return {f"{e.peer} {e.part}": (e.energy_j or 0.0) / seconds for e in found}
    finally:
        peers.close()


def test_peers_count_in_processes_of_their_own(stand_ins: Path) -> None:
    """Zeus sees the board by its counter, CodeCarbon its own model; what they print does not disturb."""
    watts = watched(("zeus", "codecarbon"))

    expected = {f"zeus gpu {UUID}": 300.0, "codecarbon cpu": 8.0, "codecarbon ram": 20.0}
    assert {name: pytest.approx(value, rel=0.3) for name, value in expected.items()} == watts


def test_what_a_peer_models_is_named_estimated(stand_ins: Path) -> None:
    """CodeCarbon's documents do not say what it measured; its record here does."""
    peers = Peers.open(("zeus", "codecarbon"), None, UUID)
    peers.close()

    estimated = {f"{r.name} {p.name}": (p.estimated, p.method) for r in peers.records for p in r.parts}
    assert {
        f"zeus gpu {UUID}": (False, "zeus.device get_total_energy_consumption"),
        "codecarbon cpu": (True, "cpu_load"),
        "codecarbon ram": (True, "watts by memory size"),
    } == estimated


def test_a_peer_that_sees_nothing_is_refused(stand_ins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeus without a GPU or RAPL would say 0 J of nothing; that is no cross-check."""
    monkeypatch.setenv("FAKE_NVML_INIT_RETURN", "9")

    with pytest.raises(SensorError, match="neither a GPU"):
        Peers.open(("zeus",), None, None)


def test_a_peer_that_dies_leaves_its_reason(stand_ins: Path) -> None:
    """A peer whose process is gone gives no figure, with why, and the run goes on."""
    counts = "        return pynvml.nvmlDeviceGetTotal"
    dying = ZEUS["zeus/device/__init__.py"].replace(counts, f"        import os; os._exit(3)\n{counts}")
    (stand_ins / "zeus/device/__init__.py").write_text(dying)
    peers, window = Peers.open(("zeus",), None, UUID), Window(start_ns=0, end_ns=SECOND)
    deadline = time.monotonic() + 30
    found = peers.energies(window, (), 0)
    while "process failed" not in str(found[0].reason) and time.monotonic() < deadline:
        found = peers.energies(window, (), 0)
    peers.close()

    assert [None] == [e.energy_j for e in found]
    assert "process failed" in str(found[0].reason)


def test_a_missing_peer_is_refused_before_the_run(tmp_path: Path) -> None:
    """Exit code 2, the command that installs it, and no result file."""
    ended = CliRunner().invoke(
        bench, ["run", "--backend", "mock", "--load", "tiny-decoder/tiny", "--cross-check", "zeus", "-o", str(tmp_path)]
    )

    assert isinstance(ended.exception, UsageError)
    assert "zeus is not installed in" in str(ended.exception)
    assert "pip install zeus" in str(ended.exception)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--cross-check", "zeuss"], "Unknown --cross-check 'zeuss'"),
        (["--cross-check", "zeus,"], "--cross-check is empty"),
        (["--cross-check", "zeus", "--cross-check-python", "/nowhere/python"], "cannot be used"),
        (["--cross-check", "zeus", "--cross-check-python", "/bin/cat"], "it is no Python: it ended with 1 and said"),
        (["--cross-check", "zeus", "--cross-check-python", "/bin/true"], "it is no Python: it ended with 0 and said"),
        (["--cross-check", "zeus", "--cross-check-python", "/bin/echo"], "it is no Python"),
    ],
)
def test_a_wrong_cross_check_is_refused(flags: list[str], says: str) -> None:
    """An unknown tool, an empty name and a Python that is none are usage errors."""
    ended = CliRunner().invoke(bench, ["run", "--backend", "mock", "--load", "tiny-decoder/tiny", *flags])

    assert isinstance(ended.exception, UsageError)
    assert says in str(ended.exception)


def test_the_python_alone_changes_nothing() -> None:
    """A variable that names the peers' Python is no wish for a cross-check; a peer named twice watches once."""
    base = RunRequest(backend="mock", load="tiny-decoder/tiny", cross_check_python="/opt/peers/bin/python")
    twice = replace(base, cross_check=("zeus", "zeus"))

    assert ((), None) == (resolve(base).plan.cross_check, resolve(base).plan.cross_check_python)
    assert (("zeus",), base.cross_check_python) == (
        resolve(twice).plan.cross_check,
        resolve(twice).plan.cross_check_python,
    )


def test_a_python_without_peers_needs_none() -> None:
    """Nothing is started when no peer is asked for."""
    check_peers((), "/nowhere/python")


def test_a_run_keeps_both_figures_of_each_window(stand_ins: Path, tmp_path: Path) -> None:
    """`bench run --cross-check` stores the peers' joules beside ours, and `bench show` prints them."""
    out = tmp_path / "result.json"
    times = ["--window", "2", "--repeats", "1", "--warm-up-min", "0", "--warm-up-max", "0.5", "--idle", "0", *SOON]
    command = [
        sys.executable,
        "-m",
        "wattbench.harness.cli.main",
        "run",
        "--backend",
        "mock",
        "--load",
        "tiny-decoder/tiny",
    ]
    command += [
        "--cross-check",
        "zeus,codecarbon",
        "--power",
        "nvml",
        "--ceilings",
        "none",
        *times,
        "-q",
        "-o",
        str(out),
    ]
    environment = {**os.environ, "WATTBENCH_CACHE": str(tmp_path / "cache")}
    options = {"env": environment, "capture_output": True, "text": True, "timeout": 300, "check": False}
    done = run_with_joules(lambda: subprocess.run(command, **options), out)
    assert out.exists(), done.stderr
    result = read_result(out)
    gpu, cpu, ram = result.repeats[0].peers

    assert 300.0 == pytest.approx((gpu.energy_j or 0) / result.repeats[0].window.duration_s, rel=0.1)
    assert 0.0 == pytest.approx(gpu.delta, abs=0.1)
    assert f"nvml:{UUID}:counter" == gpu.ours
    assert ((None, True), (None, True)) == ((cpu.ours_j, cpu.estimated), (ram.ours_j, ram.estimated))
    assert f"cross-check     zeus 0.16.0, gpu {UUID}: " in done.stdout
    assert "codecarbon 3.3.2, cpu (ESTIMATED: cpu_load): " in done.stdout
    assert "nothing measured here sees that part" in done.stdout


@pytest.mark.skipif(not REAL_PEERS.exists(), reason="needs the real Zeus and CodeCarbon: make power-peers (500 MB)")
def test_the_real_peers_see_the_same_board(stand_ins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real Zeus and CodeCarbon read 300 W from the library that we read."""
    monkeypatch.delenv("PYTHONPATH")
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\n")  # CodeCarbon looks for NVIDIA by this command
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    watts = watched(("zeus", "codecarbon"), str(REAL_PEERS), seconds=2.0)

    assert 300.0 == pytest.approx(watts[f"zeus gpu {UUID}"], rel=0.1)
    assert 300.0 == pytest.approx(watts["codecarbon gpu"], rel=0.1)


def test_a_window_takes_its_part_of_a_peers_total() -> None:
    """The running total is interpolated at both edges, in the middle of each question."""
    rows = [(SECOND * i, SECOND * i, [100.0 * i]) for i in range(5)]

    assert 150.0 == peer_energy(rows, 0, Window(start_ns=SECOND // 2, end_ns=2 * SECOND), 0, 1.0)


@pytest.mark.parametrize(
    ("joules", "says"),
    [
        ([None, None, None, None], "do not reach over the window"),
        ([0.0, 1.0, None, None], "do not reach over the window"),
        ([500.0, 400.0, 300.0, 200.0], "went backwards by 150 J"),
    ],
)
def test_a_peers_total_that_cannot_be_is_no_figure(joules: list[float | None], says: str) -> None:
    """Zeus' RAPL figures are known to go backwards at a wrap: that is a reason, not negative joules."""
    rows = [(SECOND * i, SECOND * i, [j]) for i, j in enumerate(joules)]

    with pytest.raises(ValueError, match=says):
        peer_energy(rows, 0, Window(start_ns=SECOND, end_ns=5 * SECOND // 2), 0, 1.0)


def test_a_peer_that_was_silent_at_an_edge_is_no_figure() -> None:
    """A straight line over ten missed questions would be a guess."""
    rows = [(0, 0, [0.0]), (11 * SECOND, 11 * SECOND, [11.0]), (12 * SECOND, 12 * SECOND, [12.0])]

    with pytest.raises(ValueError, match=r"silent for 11\.0 s"):
        peer_energy(rows, 0, Window(start_ns=SECOND, end_ns=23 * SECOND // 2), 0, 1.0)


def energy(channel: str, scope: str, covers: str | None, joules: float | None) -> ChannelEnergy:
    """Return an energy of ours of one channel."""
    return ChannelEnergy(
        channel=channel,
        scope=scope,  # type: ignore[arg-type]  # a scope's word
        provenance="measured",
        covers=covers,
        energy_j=joules,
        energy_net_j=None,
        mean_power_w=None,
        method=None,
        counter_j=None,
        integral_j=None,
        residual=None,
        polls=0,
        updates=0,
        coverage=None,
        max_gap_s=None,
        u_absolute_rel=None,
        u_comparison_rel=None,
        budget=(),
        reason=None if joules else "silent",
    )


OURS = (
    energy(f"nvml:{UUID}:energy", "board", UUID, 90.0),
    energy(f"nvml:{UUID}:counter", "module", UUID, 100.0),
    energy("nvml:GPU-2:counter", "board", "GPU-2", 50.0),
    energy("rapl:package-0", "package", "cpu:0", 30.0),
    energy("rapl:package-1", "package", "cpu:1", 40.0),
    energy("rapl:package-0/dram", "dram", "cpu:0", None),
    energy("perf:package-0", "package", "cpu:0", 31.0),
)


@pytest.mark.parametrize(
    ("scope", "covers", "ours_j"),
    [
        ("board", UUID, 100.0),
        ("board", None, 150.0),
        ("board", "GPU-9", None),
        ("package", "cpu", 70.0),
        ("package", "cpu:1", 40.0),
        ("dram", "cpu", None),
    ],
)
def test_a_peers_part_stands_beside_what_sees_the_same(scope: str, covers: str | None, ours_j: float | None) -> None:
    """Boards go by UUID and by the call that the peers make; packages are added; nothing is counted twice."""
    part = PeerPart(name="x", scope=scope, covers=covers, estimated=False, method="")
    found = beside_ours("zeus", part, 70.0, None, OURS)

    assert ours_j == found.ours_j
    assert (None if ours_j is None else 70.0 / ours_j - 1) == found.delta


def test_a_peer_stands_beside_what_the_sensor_itself_said() -> None:
    """A peer knows no calibration, so it is held against the joules before their correction."""
    part = PeerPart(name="x", scope="board", covers=UUID, estimated=False, method="")
    ours = replace(energy(f"nvml:{UUID}:counter", "board", UUID, 105.0), raw_energy_j=100.0)

    assert 100.0 == beside_ours("zeus", part, 70.0, None, [ours]).ours_j
