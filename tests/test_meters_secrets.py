"""A whole run with meters that want passwords: the watts arrive, and the passwords are nowhere to be found."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from command_line import SOON

from wattbench.results.files import read_result

SHORT = ("--window", "1", "--repeats", "1", "--repeats-max", "1", "--warm-up-min", "0", "--warm-up-max", "0.1", *SOON)
TINY = ("--backend", "mock", "--load", "tiny-encoder", "--idle", "0", "--ceilings", "none", *SHORT)
PLUG_PASSWORD, BMC_PASSWORD = "pl0g/pass wörd", "bmc&s3cret"
FORMS = (
    PLUG_PASSWORD,
    "pl0g%2Fpass%20w%C3%B6rd",
    json.dumps(PLUG_PASSWORD)[1:-1],
    BMC_PASSWORD,
    "bmc%26s3cret",
    base64.b64encode(f"monitor:{BMC_PASSWORD}".encode()).decode(),
)


class Watched:
    """`bench` in a process of its own, and the command lines of it and all its children while it runs."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        command = [sys.executable, "-P", "-m", "wattbench.harness.cli.main", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        self.lines: set[bytes] = set()
        with subprocess.Popen(command, env={**os.environ, **environment}, text=True, **pipes) as running:
            while running.poll() is None:
                self.lines |= family(running.pid)
                time.sleep(0.02)
            self.stdout, self.stderr = running.communicate()
        self.code = running.returncode


def family(root: int) -> set[bytes]:
    """Return the command lines of a process and of everything below it, as any user sees them."""
    lines, waiting = set(), [root]
    while waiting:
        pid = waiting.pop()
        try:
            lines.add(Path(f"/proc/{pid}/cmdline").read_bytes())
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += [int(word) for word in (task / "children").read_text().split()]
        except OSError:
            continue  # it has ended meanwhile
    return lines


@pytest.fixture
def meters(peers: ModuleType) -> Iterator[tuple[Any, Any]]:  # any: the module is loaded by its path
    """Serve a plug with a password and a controller with an account."""
    start_s = time.monotonic()

    def switch(target: str, headers: dict[str, str], sent: bytes) -> dict[str, object]:
        watt_hours = round(50 + 100 * (time.monotonic() - start_s) / 3600, 3)
        return {"id": 0, "apower": 100.0, "aenergy": {"total": watt_hours}}

    plug_routes = {
        "/rpc/Shelly.GetDeviceInfo": {"model": "SNPL-00112EU", "gen": 2, "ver": "1.4.4"},
        "/rpc/Shelly.GetStatus": {"sys": {"unixtime": time.time()}, "switch:0": {"apower": 100.0}},
        "/rpc/Switch.GetStatus": switch,
    }
    chassis, metrics = "/redfish/v1/Chassis/1", "/redfish/v1/Chassis/1/EnvironmentMetrics"
    bmc_routes = {
        "/redfish/v1/Chassis": {"Members": [{"@odata.id": chassis}]},
        chassis: {"EnvironmentMetrics": {"@odata.id": metrics}},
        metrics: {"PowerWatts": {"Reading": 92}},
    }
    with peers.JsonServer(plug_routes) as plug, peers.JsonServer(bmc_routes) as bmc:
        plug.auth, plug.password = "digest", PLUG_PASSWORD
        bmc.auth, bmc.user, bmc.password = "basic", "monitor", BMC_PASSWORD
        yield plug, bmc


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write the controller's credentials."""
    path = tmp_path / "bmc-account"
    path.write_text(f"user = monitor\npassword = {BMC_PASSWORD}\n")
    path.chmod(0o600)
    return path


def everything(run: Watched, folder: Path) -> bytes:
    """Return all that the run said, wrote and showed."""
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return b"\n".join([run.stdout.encode(), run.stderr.encode(), *run.lines, *files])


def test_a_run_by_two_meters_keeps_their_passwords(meters: tuple[Any, Any], file: Path, tmp_path: Path) -> None:
    """Energy at the wall and of the node is in the result; the passwords are in no file, output or command line."""
    plug, bmc = meters
    data = tmp_path / "data"
    path = data / "result.json"
    data.mkdir()
    words = [f"shelly:{plug.address},name=plug", f"redfish:{bmc.address},name=bmc,credentials={file}"]
    powers = [word for meter in words for word in ("--power", meter)]
    environment = {
        "WATTBENCH_SHELLY_PASSWORD": PLUG_PASSWORD,
        "WATTBENCH_DATA": str(data),
        "WATTBENCH_CACHE": str(data),
    }
    run = Watched("run", *TINY, "--window", "3", *powers, "--out", str(path), **environment)
    result = read_result(path)
    energies = {e.channel: e for repeat in result.repeats for e in repeat.energy}

    assert run.code in (0, 3), run.stderr
    assert pytest.approx(100.0, rel=0.1) == energies["shelly:plug:energy"].mean_power_w
    assert pytest.approx(92.0, rel=0.01) == energies["redfish:bmc:1:power"].mean_power_w
    assert {"redfish", "shelly"} == {s.name for s in result.power.samplers if s.used}
    assert any("its clock minus ours is" in s.reason for s in result.power.samplers)
    assert any(b"redfish:" in line for line in run.lines)
    seen = everything(run, data)
    assert [] == [form for form in FORMS if form.encode() in seen]


@pytest.mark.parametrize("given", ["environment", "file"])
def test_a_refused_password_is_in_no_error(meters: tuple[Any, Any], file: Path, tmp_path: Path, given: str) -> None:
    """The run does not start; what it says holds the remedy and not the secret, with --debug too."""
    plug, bmc = meters
    plug.password, bmc.password = "another", "another"
    data = tmp_path / "data"
    data.mkdir()
    word = f"shelly:{plug.address}" if given == "environment" else f"redfish:{bmc.address},credentials={file}"
    environment = {
        "WATTBENCH_SHELLY_PASSWORD": PLUG_PASSWORD,
        "WATTBENCH_DATA": str(data),
        "WATTBENCH_CACHE": str(data),
    }
    run = Watched("--debug", "run", *TINY, "--power", word, "--out", str(data / "r.json"), **environment)
    seen = everything(run, data)

    assert 1 == run.code  # with --debug the error keeps its traceback
    assert "refused the credentials" in run.stderr
    assert "docs/meters.md#credentials" in run.stderr
    assert [] == [form for form in FORMS if form.encode() in seen]


def test_a_password_on_the_command_line_is_not_kept(tmp_path: Path) -> None:
    """Nothing is written, and the message does not repeat it."""
    data = tmp_path / "data"
    data.mkdir()
    environment = {"WATTBENCH_DATA": str(data), "WATTBENCH_CACHE": str(data)}
    word = "redfish:https://admin:typed-s3cret@192.0.2.1"
    run = Watched("run", *TINY, "--power", word, "--out", str(data / "r.json"), **environment)

    assert 2 == run.code
    assert "stands on the command line" in run.stderr
    assert "typed-s3cret" not in run.stdout + run.stderr
    assert [] == list(data.rglob("*.json"))
