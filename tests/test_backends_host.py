"""What backends ask of the host, of files as Linux writes them."""

import os
from pathlib import Path

import pytest

from wattbench.backends.host import bind, cpu_model, has_bfloat16, peak_resident_bytes
from wattbench.results.errors import UsageError


@pytest.mark.parametrize(
    ("flags", "there"),
    [("fpu avx512_bf16 sse", True), ("amx_bf16", True), ("fpu avx2", False), ("", False)],
)
def test_bfloat16_is_known_by_its_flags(tmp_path: Path, flags: str, there: bool) -> None:
    """Only where Linux shows that the CPU multiplies it in hardware."""
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\nflags\t\t: {flags}\n")

    assert there == has_bfloat16(cpuinfo)


def test_the_processor_has_a_name_wherever_it_stands(tmp_path: Path) -> None:
    """It is the one in cpuinfo; where there is no such file, the platform's."""
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor : 0\nmodel name\t: Made Up 9000\n")

    assert "Made Up 9000" == cpu_model(cpuinfo)
    assert cpu_model(tmp_path / "absent")


def test_the_peak_is_the_high_water_mark(tmp_path: Path) -> None:
    """proc(5) counts it in kB."""
    status = tmp_path / "status"
    status.write_text("VmPeak:\t  900 kB\nVmHWM:\t     200 kB\nVmRSS:\t     100 kB\n")

    assert 200 * 1024 == peak_resident_bytes(status)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system binds no process to processors")
def test_processors_that_are_not_there_are_refused() -> None:
    """The message names those that are; the process stays where it was."""
    allowed = os.sched_getaffinity(0)
    with pytest.raises(UsageError, match="Cannot run on the CPUs") as caught:
        bind((100_000,))

    assert f"CPUs 0..{(os.cpu_count() or 1) - 1}" in caught.value.why
    assert allowed == os.sched_getaffinity(0)
