"""The cache of ceilings: for a day, for the same device, settings and versions; broken files are forgotten."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from wattbench.harness.ceilings_cache import keep, newest, recall
from wattbench.harness.ceilings_target import Target, device_target
from wattbench.harness.request import RunRequest
from wattbench.results.ceilings import CeilingEntry, CeilingsRecord

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture(autouse=True, name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WATTBENCH_CACHE", str(tmp_path))
    return tmp_path / "ceilings"


def target(**changes: object) -> Target:
    """Return the mock's device as a target, with some fields replaced."""
    return replace(device_target(RunRequest(backend="mock")), **changes)


def record(measured_at: str = "2026-01-02T12:00:00Z", rate: float = 1e12) -> CeilingsRecord:
    """Return ceilings of one product."""
    entry = CeilingEntry(
        kind="matmul",
        precision="float32",
        shape="2x2x2",
        unit="FLOP/s",
        samples=(rate,),
        library="made up",
        threads=None,
        energy_reason="no sensor",
    )
    return CeilingsRecord(
        device="mock",
        device_name="no device",
        measured_at=measured_at,
        duration_s=1.5,
        cached=False,
        versions={"numpy": "2.0.0"},
        cache_bytes=None,
        entries=(entry,),
    )


def test_what_is_kept_is_recalled_as_cached() -> None:
    """Everything comes back, marked as remembered."""
    keep(target(), None, record())

    assert replace(record(), cached=True) == recall(target(), None, NOON)


@pytest.mark.parametrize(
    ("later", "known"),
    [
        (timedelta(hours=24), True),
        (timedelta(hours=24, seconds=1), False),
        (timedelta(seconds=-1), False),
    ],
)
def test_ceilings_are_known_for_a_day(later: timedelta, known: bool) -> None:
    """A day later they are measured again; so are those that come from the future of a wrong clock."""
    keep(target(), None, record())

    assert known == (recall(target(), None, NOON + later) is not None)
    assert known == (newest(target(), NOON + later) is not None)


@pytest.mark.parametrize(
    "changes",
    [
        {"precisions": ("bfloat16",)},
        {"shapes": ((1, 2, 3),)},
        {"threads": 1},
        {"affinity": (0,)},
        {"power": ("none",)},
        {"backend": "other"},
    ],
)
def test_another_target_is_not_known(changes: dict[str, object]) -> None:
    """Other precisions, shapes, threads, processors, power sources or backends are measured on their own."""
    keep(target(), None, record())

    assert recall(target(**changes), None, NOON) is None


def test_a_new_sensor_makes_ceilings_unknown() -> None:
    """Ceilings measured without watts are measured again when there are some."""
    keep(target(), "no power sensor", record())

    assert recall(target(), None, NOON) is None
    assert recall(target(), "no power sensor", NOON) is not None


def test_another_setting_makes_ceilings_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment variable that changes speed changes what is known."""
    keep(target(), None, record())
    monkeypatch.setenv("OMP_NUM_THREADS", "77")

    assert recall(target(), None, NOON) is None
    assert newest(target(), NOON) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"facts": 1}', '{"facts": "x", "record": {}}', "[" * 100_000])
def test_a_file_that_cannot_be_read_is_forgotten(folder: Path, text: str) -> None:
    """A broken file is measured again, not an error."""
    keep(target(), None, record())
    (path,) = folder.glob("*.json")
    path.write_text(text)

    assert recall(target(), None, NOON) is None
    assert newest(target(), NOON) is None


def test_a_record_of_another_form_is_forgotten(folder: Path) -> None:
    """A record that lacks a field, as another version would write it, is measured again."""
    keep(target(), None, record())
    (path,) = folder.glob("*.json")
    path.write_text(path.read_text().replace('"duration_s"', '"seconds"'))

    assert recall(target(), None, NOON) is None


def test_the_newest_is_found_whatever_was_asked() -> None:
    """`bench ceilings --cached` shows the last ones of the device, those of a run's shapes too."""
    keep(target(), None, record("2026-01-02T10:00:00Z", 1e12))
    keep(target(shapes=((1, 2, 3),)), "no power", record("2026-01-02T11:00:00Z", 2e12))
    found = newest(target(), NOON)

    assert found is not None
    assert ("2026-01-02T11:00:00Z", 2e12) == (found.measured_at, found.entries[0].rate)


def test_a_cache_that_cannot_be_written_costs_nothing(folder: Path) -> None:
    """A file in the way of the folder is no error."""
    folder.write_text("in the way")
    keep(target(), None, record())

    assert recall(target(), None, NOON) is None
