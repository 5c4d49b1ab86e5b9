"""Recordings of meters as CSV: columns by name, times that can be placed, units that are certain; helpful refusals."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.harness.exchange.recordings import parse_zone
from wattbench.results.errors import DocumentError, UsageError
from wattbench.results.exchange.meter import MeterRecording, utc_text
from wattbench.results.exchange.meter_csv import CsvOptions, read_meter_csv
from wattbench.results.exchange.mlperf_spl import read_spl

START_NS = 1_767_323_045_500_000_000
START = "2026-01-02T03:04:05.5"


def _csv(*rows: str, header: str = "time,power_w") -> str:
    return "\n".join((header, *rows)) + "\n"


def _two(time_1: str, time_2: str) -> str:
    return _csv(f"{time_1},200.5", f"{time_2},201")


@pytest.mark.parametrize(
    ("first", "second", "how"),
    [
        (f"{START}Z", "2026-01-02T03:04:06.5+00:00", "ISO 8601 with its offset"),
        ("2026-01-02T04:04:05.5+01:00", "2026-01-02T04:04:06.5+01:00", "ISO 8601 with its offset"),
        ("1767323045.5", "1767323046.5", "epoch seconds"),
        ("1767323045500", "1767323046500", "epoch milliseconds"),
    ],
)
def test_times_that_place_themselves(first: str, second: str, how: str) -> None:
    """ISO times with an offset and numbers since 1970 are exact instants; the document says how they were read."""
    recording = read_meter_csv(_two(first, second), CsvOptions())

    assert (START_NS, START_NS + 10**9) == recording.times_ns
    assert (how, (200.5, 201.0)) == (recording.time_reference, recording.values)


def test_a_zone_is_stated_and_never_guessed() -> None:
    """A time without a zone is refused; with a stated zone it is placed, and the record says that it was stated."""
    text = _two(START, "2026-01-02T03:04:06.5")
    with pytest.raises(UsageError, match=r"does not say in which time zone it is[\s\S]*--time-zone UTC"):
        read_meter_csv(text, CsvOptions())
    recording = read_meter_csv(text, CsvOptions(zone=timedelta(hours=-5, minutes=-30)))

    assert START_NS + 19800 * 10**9 == recording.times_ns[0]
    assert "ISO 8601 without a zone, -05:30 as stated" == recording.time_reference


def test_columns_by_name() -> None:
    """Columns are found by the usual names in any order, or by the names that are given; comments are skipped."""
    usual = read_meter_csv("# made by X\nWatts;note;Timestamp\n5;a;1767323045.5\n6;b;1767323046.5\n", CsvOptions())
    options = CsvOptions(time_column="when", watts_column="wall")
    named = read_meter_csv("when,board,wall\n1767323045.5,1,5\n1767323046.5,2,6\n", options)

    assert (5.0, 6.0) == usual.values == named.values


def test_a_counter_of_joules() -> None:
    """A column of joules is a counter, in its unit."""
    text = _csv("1767323045.5,1.5", "1767323046.5,1.6", header="time,kwh_total")
    recording = read_meter_csv(text, CsvOptions(joules_column="kwh_total", unit="kWh"))

    assert ("counter", (5.4e6, 5.76e6)) == (recording.kind, pytest.approx(recording.values))
    assert "counter" == read_meter_csv("time,energy_j\n1767323045,10\n1767323046,99\n", CsvOptions()).kind


@pytest.mark.parametrize(
    ("text", "options", "why"),
    [
        ("time,volts\n1767323045,230\n1767323046,230\n", {}, r"none is called power_w.*columns are time, volts"),
        ("when,watts\n1767323045,230\n1767323046,230\n", {}, r"none is called time[\s\S]*--time-column"),
        ("time,watts,power_w\n1767323045,1,2\n1767323046,1,2\n", {}, "more than one column could be it"),
        ("time,power_w\n1767323045,5\n1767323046,5\n", {"watts_column": "wall"}, "there is no column 'wall'"),
        ("time,a,b\n1,2,3\n1,2,3\n", {"watts_column": "a", "joules_column": "b"}, "both a column of watts"),
        ("time,power_w\n1767323045,5\n", {}, "fewer than two samples"),
        ("time,power_w\n1767323045,5\n1767323046\n", {}, "line 3 has 1 columns"),
        ("time,power_w\n1767323046,5\n1767323045,5\n", {}, r"line 3: its time lies 1\.000 s before the one above"),
        ("time,power_w\n0.0,5\n1.0,5\n", {}, "neither seconds nor milliseconds since 1970"),
        ("time,power_w\nyesterday,5\ntoday,5\n", {}, "no ISO 8601 time and no number"),
        ("time,power_w\n0001-01-01T00:00:00+14:00,5\n1767323046,5\n", {}, "line 2: nothing was recorded in '0001"),
        ('time,power_w,note\n1767323045,5,"two\nlines"\n1767323046,5,\n', {}, "line 3 has 1 columns"),
        (f"time,power_w\n1767323045,5\n1767323046,{'1' * 140_000}\n", {}, "line 3: field larger"),
        ("time,power_w\n1767323045,five\n1767323046,5\n", {}, "'five' is not a number"),
        ("time;power_w\n1767323045;5,5\n1767323046;5,6\n", {}, r"decimals need a point"),
        ("time,power_w\n1767323045,\n1767323046,nan\n", {}, "fewer than two numbers"),
        ("time,power_w\n1767323045,0.31\n1767323046,0.32\n", {}, r"is it in kW\?[\s\S]*--unit kW"),
        ("time,power_w\n1767323045,310000\n1767323046,310000\n", {}, r"is it in mW\?"),
        ("time,energy_j\n1767323045,1.0\n1767323046,1.0001\n", {}, r"is it in kWh or Wh\?"),
        ("time,power_w\n1767323045,0\n1767323046,0.0\n", {}, r"is mostly 0 W[\s\S]*was the meter on\?"),
        ("time,energy_j\n1767323045,7\n1767323046,7\n", {}, "'energy_j' stands still"),
        ("time,power_kw\n1767323045,310\n1767323046,310\n", {}, r"in the unit of its name[\s\S]*--unit W"),
        ("time,power_mW\n1767323045,5\n1767323046,5\n", {"watts_column": "power_mW"}, "may be in mW or in MW"),
        ("time,p_kwh\n1767323045,5\n1767323046,5\n", {"watts_column": "p_kwh"}, "names kWh, a unit of W was"),
        ("time,power_w\n1767323045,5\n1767323046,5\n", {"unit": "kWh"}, "a column of power is not in kWh"),
    ],
)
def test_refusals_say_what_is_wrong(text: str, options: dict[str, str], why: str) -> None:
    """A missing column, a wrong order, a broken number and a suspect unit are each named, with what to do."""
    with pytest.raises(UsageError, match=why) as caught:
        read_meter_csv(text, CsvOptions(**options))
    assert caught.value.remedy


def test_zeros_are_not_taken_for_another_unit() -> None:
    """Nothing suggests kW where the meter saw nothing at all."""
    with pytest.raises(UsageError) as caught:
        read_meter_csv(_csv("1767323045,0", "1767323046,0"), CsvOptions())

    assert "kW" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "rows", "options", "values"),
    [
        ("time,power_kW", ("0.31", "0.32"), {}, (310.0, 320.0)),
        ("time,kW", ("0.31", "0.32"), {}, (310.0, 320.0)),
        ("time,wall power (kW)", ("0.31", "0.32"), {"watts_column": "wall power (kW)"}, (310.0, 320.0)),
        ("time;energy_kWh", ("1.0", "1.0001"), {}, (3.6e6, 3.60036e6)),
        ("time,energy_Wh", ("1000", "1000.1"), {}, (3.6e6, 3.60036e6)),
    ],
)
def test_a_unit_in_the_columns_name_is_converted(
    header: str, rows: tuple[str, str], options: dict[str, str], values: tuple[float, float]
) -> None:
    """A name that states its unit is believed, found by itself or named, with any delimiter."""
    mark = header[4]
    text = _csv(f"1767323045{mark}{rows[0]}", f"1767323046{mark}{rows[1]}", header=header)

    assert values == pytest.approx(read_meter_csv(text, CsvOptions(**options)).values)


def test_plain_watts_go_before_a_counter_in_other_units() -> None:
    """A plug's file with both has its power taken."""
    text = _csv("1767323045,200,1.0", "1767323046,201,1.1", header="time,power_w,energy_wh")

    assert (200.0, 201.0) == read_meter_csv(text, CsvOptions()).values


def test_a_byte_order_mark_is_no_part_of_the_file() -> None:
    """Windows programs write one, before a comment as well as before the header."""
    text = "\ufeff# a meter\ntime,power_w\n1767323045,5\n1767323046,5\n"

    assert (5.0, 5.0) == read_meter_csv(text, CsvOptions()).values


def test_a_stated_unit_is_believed() -> None:
    """A stated unit is converted, and nothing is suspected any more."""
    text = _csv("1767323045,0.31", "1767323046,0.32", header="time,power_kw")

    assert (310.0, 320.0) == read_meter_csv(text, CsvOptions(watts_column="power_kw", unit="kW")).values
    assert (0.31, 0.32) == read_meter_csv(text, CsvOptions(watts_column="power_kw", unit="W")).values


def test_a_missing_reading_is_kept_as_missing() -> None:
    """An empty field is no reading: its row stays, with the cause."""
    recording = read_meter_csv(_csv("1767323045,100", "1767323046,", "1767323047,101"), CsvOptions())

    assert ((100.0, None, 101.0), {1: "no number: ''"}) == (recording.values, recording.errors)


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=20).map(sorted), st.sampled_from(["s", "ms", "iso"]))
def test_every_way_to_write_an_instant_reads_alike(offsets_ms: list[int], way: str) -> None:
    """Seconds, milliseconds and ISO 8601 of one instant are one instant, to the nanosecond."""
    times_ns = [START_NS + ms * 10**6 for ms in offsets_ms]
    write = {
        "s": lambda t: f"{t // 10**9}.{t % 10**9:09d}",
        "ms": lambda t: f"{t // 10**6}",
        "iso": utc_text,
    }[way]
    recording = read_meter_csv(_csv(*(f"{write(t)},50" for t in times_ns)), CsvOptions())

    assert tuple(times_ns) == recording.times_ns


@pytest.mark.parametrize(("text", "minutes"), [("UTC", 0), ("z", 0), ("+01:00", 60), ("-0330", -210)])
def test_zones(text: str, minutes: int) -> None:
    """A zone is UTC or an offset."""
    assert timedelta(minutes=minutes) == parse_zone(text)


@pytest.mark.parametrize("text", ["CET", "+1", "+25:00", "Europe/Berlin"])
def test_names_of_zones_are_no_offsets(text: str) -> None:
    """A name that may mean two offsets is refused."""
    with pytest.raises(UsageError, match="is no offset"):
        parse_zone(text)


def test_power_logs_must_ascend() -> None:
    """Two power logs in one file go backwards in time, and are refused."""
    late, early = "Time,01-02-2026 03:04:06.000,Watts,5.0\n", "Time,01-02-2026 03:04:05.000,Watts,5.0\n"
    with pytest.raises(DocumentError, match=r"sample 2 lies 1\.000 s before"):
        read_spl(late + early)


def test_a_power_logs_zone() -> None:
    """The times of a power log are UTC unless a zone is stated; either is said."""
    line = "Time,01-02-2026 03:04:05.500,Watts,5.0\n"
    utc, moved = read_spl(line), read_spl(line, zone=timedelta(hours=1), zone_stated=True)

    assert (START_NS, START_NS - 3600 * 10**9) == (utc.times_ns[0], moved.times_ns[0])
    assert ("UTC by power-dev's convention", "UTC+01:00 as stated") == tuple(
        r.time_reference.removeprefix("times without a zone, read as ") for r in (utc, moved)
    )


def test_one_sample_has_no_spacing() -> None:
    """A single sample is a recording, and has no spacing."""
    one = MeterRecording(format="csv", kind="power", times_ns=(1,), values=(1.0,), errors={}, time_reference="")

    assert one.spacing_s is None
