"""What a load may use is the smaller of what is free and what the control group still allows."""

from pathlib import Path

import pytest

from wattbench.harness.cgroup import memory_headroom_bytes


@pytest.mark.parametrize(
    ("group", "folder", "limit", "used"),
    [
        ("0::/box", "sys/fs/cgroup/box/", "memory.max", "memory.current"),
        ("3:memory:/box", "sys/fs/cgroup/memory/box/", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ],
)
def test_headroom_is_limit_minus_use(tmp_path: Path, group: str, folder: str, limit: str, used: str) -> None:
    """Both versions of control groups are read."""
    files = {"proc/self/cgroup": group, folder + limit: "1000", folder + used: "300"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    assert 700 == memory_headroom_bytes(tmp_path)


def test_no_limit_is_none(tmp_path: Path) -> None:
    """A machine without control groups sets no bound."""
    assert memory_headroom_bytes(tmp_path) is None
