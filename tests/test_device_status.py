"""What is said of each device is said once, everywhere alike, and no more than its evidence shows."""

import re
from datetime import date
from pathlib import Path

import pytest

from wattbench.backends.torch.vendors import VENDORS
from wattbench.harness.device_status import MEANINGS, DeviceStatus, markdown_lines, read_statuses

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "accelerators.md").read_text()
ROWS = read_statuses()


def test_the_readme_has_the_table() -> None:
    """The block between the marks is made from the file (mend: tests/golden.py)."""
    block = (ROOT / "README.md").read_text().partition("<!-- devices -->\n")[2].partition("\n<!-- end devices -->")[0]

    assert markdown_lines() == block.splitlines()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_claims_no_more_than_it_shows(row: DeviceStatus) -> None:
    """A known status, a day that was, and for anything but "untested" evidence that is a file of this repository."""
    named = re.findall(r"(?:docs|tests|examples)/[\w./-]*\w", row.evidence)

    assert row.status in MEANINGS
    assert date(2026, 11, 1) <= date.fromisoformat(row.date)
    assert all((ROOT / name).exists() for name in named)
    assert "untested" == row.status or named


def test_every_vendors_device_has_a_row() -> None:
    """Each device type of torch that there is a record for is in the table."""
    ways = " ".join(row.how for row in ROWS)

    assert [] == [vendor.kind for vendor in VENDORS if f"({vendor.kind})" not in ways]


def test_the_page_has_a_section_for_each_and_its_status() -> None:
    """docs/accelerators.md says of every device what the table says."""
    missing = [row.name for row in ROWS if row.name != "CPU (x86-64)" and f"## {row.name}\n" not in PAGE]
    wrong = []
    for row in ROWS:
        section = PAGE.partition(f"## {row.name}\n")[2].partition("\n## ")[0]
        if section and f"Status: {MEANINGS[row.status]} ({row.date})." not in section:
            wrong.append(row.name)

    assert ([], []) == (missing, wrong)
