"""The peak memory of a worker is its own, whoever started it."""

import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="the peak is torch's backend's to tell")

BALLAST_BYTES = 1_500_000_000
CODE = (
    "import torch; from wattbench.backends.torch.device import peak_memory_bytes; "
    "print(peak_memory_bytes(torch.device('cpu')))"
)


def test_a_fat_parent_is_not_counted() -> None:
    """A process that holds 1.5 GB starts another: that one's peak does not contain them."""
    ballast = bytearray(BALLAST_BYTES)
    ballast[::4096] = b"x" * len(ballast[::4096])
    ended = subprocess.run([sys.executable, "-P", "-c", CODE], capture_output=True, text=True, check=True, timeout=60)

    assert 50_000_000 < int(ended.stdout) < BALLAST_BYTES - 500_000_000
