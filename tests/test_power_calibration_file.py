"""Calibrations are kept by sensor and device, found again, shown and forgotten."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest

from wattbench.harness.power.calibration_file import age_of, every_calibration, find_calibrations, forget, keep
from wattbench.harness.power.identity import device_of, facts_of, machine_name
from wattbench.results.calibration import CalibrationLevel, CalibrationRecord, MeterRecord
from wattbench.results.energy import ChannelRecord
from wattbench.results.errors import DocumentError, StorageError, UsageError


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep calibrations of these tests out of the user's folder."""
    monkeypatch.setenv("WATTBENCH_DATA", str(tmp_path / "data"))


@pytest.fixture(name="channel")
def _channel(factories: ModuleType) -> ChannelRecord:
    """Give the counter of a board."""
    found: ChannelRecord = factories.make_power().channels[0]
    return found


def record_for(channel: ChannelRecord, at: str = "2026-01-02T03:04:05Z") -> CalibrationRecord:
    """Return a calibration of a channel's source."""
    meter = MeterRecord(
        identity="WT310", source="typed", scope="board", accuracy_rel=0.001, accuracy_basis="stated", resolution_w=0.1
    )
    watts = (60.0, 120.0, 180.0, 240.0)
    return CalibrationRecord(
        device=device_of(channel),
        device_name=None,
        driver="550.0",
        sampler=channel.sampler,
        group=channel.group,
        scope=channel.scope,
        boundary="board",
        calibrated_at=at,
        meter=meter,
        gain=0.95,
        u_gain=0.001,
        gain_interval=(0.94, 0.96),
        offset_w=6.0,
        u_offset_w=0.1,
        offset_interval_w=(5.5, 6.5),
        covariance_w=-0.0001,
        residual_rms_w=0.1,
        levels=tuple(
            CalibrationLevel(
                name="x", busy_share=0.5, duration_s=20.0, sensor_w=w, u_sensor_w=0.1, meter_w=w, u_meter_w=0.1
            )
            for w in watts
        ),
    )


def test_what_was_kept_is_found_by_its_sensor(channel: ChannelRecord) -> None:
    """A calibration comes back for the source that it was made for, and for no other."""
    record = record_for(channel)
    keep(record)
    other = replace(channel, id="nvml:GPU-1:energy", group="nvml:GPU-1", covers="GPU-1")

    assert (record,) == find_calibrations([channel, replace(channel, id="another view of it")])
    assert () == find_calibrations([other])


def test_a_newer_one_takes_the_place_of_an_older(channel: ChannelRecord) -> None:
    """A sensor has one calibration: the last."""
    keep(record_for(channel))
    newer = record_for(channel, "2026-03-04T05:06:07Z")
    keep(newer)

    assert (newer,) == every_calibration()


def test_what_is_forgotten_is_gone(channel: ChannelRecord) -> None:
    """--forget deletes a device's calibrations, or all, and refuses an unknown device with the known ones."""
    keep(record_for(channel))
    with pytest.raises(UsageError, match="stored are GPU-00000000"):
        forget("GPU-7")
    gone = forget("GPU-00000000")

    assert (1, ()) == (len(gone), every_calibration())
    with pytest.raises(UsageError, match="stored are none"):
        forget("all")


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"device": 1}', b"\xff\xfe"])
def test_a_damaged_file_is_an_error(channel: ChannelRecord, content: bytes) -> None:
    """A calibration that cannot be read is never taken for none: the figures would be other ones."""
    keep(record_for(channel)).write_bytes(content)
    with pytest.raises(DocumentError, match="cannot be read"):
        find_calibrations([channel])


def test_a_folder_that_cannot_be_written_is_an_error(
    channel: ChannelRecord, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What was measured and cannot be kept is said at once."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WATTBENCH_DATA", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="Cannot store the calibration"):
        keep(record_for(channel))


def test_a_file_that_cannot_be_deleted_is_an_error(channel: ChannelRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forgetting that failed is said, with the file."""
    path = keep(record_for(channel))

    def refuse(self: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StorageError, match=f"Cannot delete {path}"):
        forget("all")


def test_the_age_counts_from_the_calibration(channel: ChannelRecord) -> None:
    """A day after it was made a calibration is a day old."""
    record = record_for(channel)

    assert timedelta(days=1) == age_of(record, datetime(2026, 1, 3, 3, 4, 5, tzinfo=UTC))


def test_a_processor_is_told_by_its_machine(channel: ChannelRecord, tmp_path: Path) -> None:
    """A board has a UUID; sockets and nodes are named with their machine, for home folders are shared."""
    (tmp_path / "machine-id").write_text("0123456789abcdef\n")

    assert "GPU-00000000" == device_of(channel)
    assert f"cpu:0@{machine_name()}" == device_of(replace(channel, covers="cpu:0"))
    assert f"node@{machine_name()}" == device_of(replace(channel, covers=None, scope="node"))
    assert 12 == len(machine_name(tmp_path / "machine-id"))
    assert machine_name(tmp_path / "none")


def test_a_boards_facts_are_found_however_its_uuid_is_written() -> None:
    """Frameworks write UUIDs with and without the vendor's prefix."""
    assert ("H200", "570") == facts_of("GPU-ABC", {"abc": ("H200", "570")})
    assert (None, None) == facts_of("cpu:0@x", {})
