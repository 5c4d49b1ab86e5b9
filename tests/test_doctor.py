"""What `bench doctor` says beside the probes' own answers."""

from dataclasses import replace

import pytest

from wattbench.harness import doctor
from wattbench.harness.cli.doctor import report_lines
from wattbench.harness.power.sensorless import SENSORLESS


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> doctor.Report:
    """Return the report of a machine without plug-ins, with a GroqCard in it."""
    groq = tuple(row for row in SENSORLESS if row.device == "Groq LPU")
    monkeypatch.setattr(doctor, "plugin_names", lambda group: ())
    monkeypatch.setattr(doctor, "present_here", lambda: groq)
    return doctor.examine()


def test_devices_without_a_sensor_are_listed(report: doctor.Report) -> None:
    """Every kind is named; one that is in this machine has its reason and what to do instead."""
    lines = list(report_lines(report))

    assert "  -- Groq LPU   has no power sensor: no public interface to its power was found" in lines
    assert any("instead: an outside meter" in line for line in lines)
    assert any("without a sensor anywhere" in line and "Google TPU, Cerebras, Meta MTIA" in line for line in lines)


def test_a_machine_without_them_has_one_line(report: doctor.Report) -> None:
    """Where none is found the kinds stand in one line."""
    away = tuple(replace(row, here=None) for row in report.sensorless)
    text = "\n".join(report_lines(replace(report, sensorless=away)))

    assert "Google TPU, Groq LPU, Cerebras, Meta MTIA, hosted endpoint" in text
    assert "has no power sensor" not in text


def test_what_cannot_be_told_by_number_is_unknown(report: doctor.Report) -> None:
    """A TPU has no number to be known by: whether one is here is None, not False."""
    assert {"Google TPU": None, "Groq LPU": True} == {
        row.about.device: row.here for row in report.sensorless if row.about.device in ("Google TPU", "Groq LPU")
    }
