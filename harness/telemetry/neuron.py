"""AWS's tools for Neuron devices: the stream of `neuron-monitor` and the list of `neuron-ls -j`; neither has watts."""

import subprocess
from shutil import which
from typing import Any

from wattbench.harness.telemetry.sample import Sample, at, loaded, number, share
from wattbench.results.environment import AcceleratorFacts

__all__ = ["MONITOR", "MONITOR_CONFIG", "collect_neuron", "parse_neuron_ls", "parse_neuron_monitor"]

MONITOR = "neuron-monitor"

MONITOR_CONFIG = {
    "period": "1s",
    "neuron_runtimes": [
        {"tag_filter": ".*", "metrics": [{"type": "neuroncore_counters"}, {"type": "memory_used"}]},
    ],
    "system_metrics": [],
}
"""A report a second; its own default is 5 s (awsdocs-neuron 2.33, Neuron Monitor User Guide)."""

LS = "neuron-ls"
LS_TIMEOUT_S = 10.0


def parse_neuron_monitor(line: bytes) -> Sample | None:
    """Return utilisation and device memory of one report: the mean over the cores in use, the sum over processes.

    None for a line that is no report or in which nothing runs. Fields: awsdocs-neuron 2.33, Neuron Monitor User Guide.
    """
    runtimes = at(loaded(line), "neuron_runtime_data")
    cores: list[float] = []
    used: list[float] = []
    for runtime in runtimes if isinstance(runtimes, list) else []:
        told = at(runtime, "report", "neuroncore_counters", "neuroncores_in_use")
        in_use = told.values() if isinstance(told, dict) else ()
        shares = [share(at(core, "neuroncore_utilization")) for core in in_use]
        cores += [found for found in shares if found is not None]
        memory = number(at(runtime, "report", "memory_used", "neuron_runtime_used_bytes", "neuron_device"))
        used += [] if memory is None else [memory]
    if not cores and not used:
        return None
    return Sample(
        utilisation=sum(cores) / len(cores) if cores else None, memory_used_bytes=int(sum(used)) if used else None
    )


def parse_neuron_ls(text: str) -> tuple[AcceleratorFacts, ...]:
    """Return the devices in what `neuron-ls -j` prints; none where it is not the list that AWS's tool gives."""
    found = loaded(text)
    rows = found if isinstance(found, list) else at(found, "neuron_devices")
    known = [row for row in rows if type(at(row, "neuron_device")) is int] if isinstance(rows, list) else []
    return tuple(_device(row) for row in known if row["neuron_device"] >= 0)


def collect_neuron() -> tuple[AcceleratorFacts, ...]:
    """Return the Neuron devices of this machine by `neuron-ls -j`; none without the tool, or when it fails or hangs."""
    tool = which(LS)
    if tool is None:
        return ()
    try:
        done = subprocess.run([tool, "-j"], capture_output=True, text=True, timeout=LS_TIMEOUT_S, check=True)
    except (OSError, ValueError, subprocess.SubprocessError):
        return ()
    return parse_neuron_ls(done.stdout)


def _device(row: Any) -> AcceleratorFacts:  # any: JSON of neuron-ls
    index, memory, cores = int(row["neuron_device"]), number(at(row, "memory_size")), number(at(row, "nc_count"))
    processes = at(row, "neuron_processes")
    return AcceleratorFacts(
        vendor="AWS",
        name=f"Neuron device, {cores:g} cores" if cores else "Neuron device",
        index=index,
        uuid=f"neuron:{index}",
        memory_bytes=int(memory) if memory else None,
        driver=None,
        power_limit_w=None,
        power_limit_default_w=None,
        clock_max_mhz=None,
        persistence=None,
        ecc=None,
        mig=None,
        other_processes=len(processes) if isinstance(processes, list) else None,
    )
