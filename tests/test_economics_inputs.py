"""The inputs of a cost: file and flags, plausibility, and nothing assumed."""

import pytest

from wattbench.results.economics.fields import FIELDS
from wattbench.results.economics.inputs import parse_inputs
from wattbench.results.errors import UsageError


def test_a_field_is_a_number_or_a_number_with_its_source() -> None:
    """Both forms give the value; the longer one keeps source and date."""
    text = "power:\n  pue: 1.2\n  usd_per_kwh: {value: 0.08, source: contract, date: 2026-01-01}\n"
    inputs = parse_inputs(text, {})

    assert 1.2 == inputs.number("power.pue", "A test")
    given = inputs.given["power.usd_per_kwh"]
    assert (0.08, "contract", "2026-01-01") == (given.value, given.source, given.date)


def test_a_flag_wins_over_the_file() -> None:
    """What the command line says replaces what the file says, and the record names the flag."""
    inputs = parse_inputs("power: {pue: 1.2}", {"power.pue": 1.5})

    assert (1.5, "--pue") == (inputs.given["power.pue"].value, inputs.given["power.pue"].place)


@pytest.mark.parametrize("path", list(FIELDS))
def test_nothing_is_assumed(path: str) -> None:
    """Asking for what was not given is an error that names the field, its flag and its place in the file."""
    with pytest.raises(UsageError) as caught:
        parse_inputs(None, {}).number(path, "A cost")

    assert path in caught.value.what
    assert FIELDS[path].flag in caught.value.remedy


def test_flags_are_unique() -> None:
    """No two fields have one flag."""
    flags = [field.flag for field in FIELDS.values()]

    assert sorted(set(flags)) == sorted(flags)


@pytest.mark.parametrize(
    ("path", "value", "suspicion"),
    [
        ("power.host_w", 0.8, "kW were given"),
        ("power.active_w", 700_000_000.0, "mW were given"),
        ("use.utilisation", 40, "percentage"),
        ("hardware.interest_rate", 8, "percentage"),
        ("hardware.life_years", 48, "months"),
        ("power.pue", 120, "percentage"),
        ("power.pue", 0.8, "at least 1"),
        ("power.usd_per_kwh", 12, "cents"),
        ("cloud.usd_per_h", 9000, "month"),
        ("hardware.price_usd", -5, "negative"),
        ("hardware.price_usd", float("nan"), "finite"),
        ("hardware.price_usd", float("inf"), "finite"),
    ],
)
def test_an_implausible_value_is_refused_with_a_suspicion(path: str, value: float, suspicion: str) -> None:
    """A value in another unit is refused, and the error says which unit it looks like."""
    with pytest.raises(UsageError) as caught:
        parse_inputs(None, {path: value})

    assert suspicion in caught.value.why


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("power: {pu: 1.2}", "power.pue"),
        ("powr: {pue: 1.2}", "power"),
        ("power: {pue: yes}", "no number"),
        ("power: {pue: '1.2'}", "no number"),
        ("power: {pue: {source: x}}", "no `value`"),
        ("power: {pue: {value: 1.2, sorce: x}}", "'sorce'"),
        ("power: 3", "holds no fields"),
        ("- 1", "no sections"),
        ("power: {pue: 1.2, pue: 1.3}", "twice"),
        ("power: {pue: 1.2}\npower: {pue: 1.3}", "twice"),
        ("power: [", "not YAML"),
        ("!!python/object:os.system x", "not YAML"),
    ],
)
def test_a_wrong_file_is_refused(text: str, words: str) -> None:
    """Unknown names, wrong types, repeated keys and what is no YAML are refused, each by its name."""
    with pytest.raises(UsageError) as caught:
        parse_inputs(text, {}, "mine.yaml")

    assert words in str(caught.value)
    assert "mine.yaml" in str(caught.value)


def test_an_empty_file_gives_nothing() -> None:
    """An empty file and an empty section are no error: what is needed is asked for later."""
    assert {} == parse_inputs("", {}).given == parse_inputs("power:\n", {}).given


DAY = [0.25] * 12 + [0.75] * 12


def test_the_days_hours_give_the_utilisation() -> None:
    """24 shares of work in the file or as a flag: their mean is the utilisation, and its place says so."""
    file = parse_inputs(f"use: {{schedule: {DAY}}}", {})
    sourced = parse_inputs(f"use: {{schedule: {{value: {DAY}, source: monitoring}}}}", {})
    flag = parse_inputs(None, {}, schedule=DAY)

    for inputs in (file, sourced, flag):
        assert (0.5, tuple(DAY)) == (inputs.number("use.utilisation", "A test"), inputs.schedule)
    assert "24 hours, cost.yaml" in file.given["use.utilisation"].place


def test_a_flag_of_utilisation_wins_over_the_files_hours() -> None:
    """What the command line says replaces the file's day."""
    inputs = parse_inputs(f"use: {{schedule: {DAY}}}", {"use.utilisation": 0.9})

    assert (0.9, None) == (inputs.number("use.utilisation", "A test"), inputs.schedule)


@pytest.mark.parametrize(
    ("text", "flags", "schedule", "words"),
    [
        (f"use: {{schedule: {DAY}, utilisation: 0.5}}", {}, None, "both"),
        (None, {"use.utilisation": 0.5}, DAY, "both given"),
        (None, {}, DAY[:23], "23 values"),
        ("use: {schedule: 0.5}", {}, None, "no list of values"),
        (f"use: {{schedule: {[40, *DAY[1:]]}}}", {}, None, "hour 0"),
        (f"use: {{schedule: {['x', *DAY[1:]]}}}", {}, None, "no number"),
        (f"use: {{schedule: {[0] * 24}}}", {}, None, "above 0"),
        (None, {}, [float("nan"), *DAY[1:]], "hour 0"),
    ],
)
def test_a_wrong_day_is_refused(
    text: str | None, flags: dict[str, float], schedule: list[float] | None, words: str
) -> None:
    """Two utilisations, another number of hours, percent, texts, and a day without work."""
    with pytest.raises(UsageError) as caught:
        parse_inputs(text, flags, schedule=schedule)

    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("power: {usd_per_kwh: {value: 0.1, currency: EUR}}", "mixed currencies"),
        ("power: {usd_per_kwh: 0.10 EUR}", "no number"),
        ("power: {pue: 1" + "0" * 400 + "}", "finite"),
        ("priors: {power.pue: [1.4, 1.2, 1.1]}", "in this order"),
        ("priors: {power.pue: [1.1, 1.2]}", "in this order"),
        ("priors: {power.pue: 1.2}", "[lowest, most likely, highest]"),
        ("priors: {power.pu: [1.1, 1.2, 1.4]}", "power.pue"),
        ("priors: {power.pue: [0.5, 1.2, 1.4]}", "at least 1"),
        ("priors: [1]", "holds no fields"),
        ("machines: {name: x}", "no list of machines"),
        ("#" * 1_000_001, "characters"),
    ],
)
def test_other_currencies_and_wrong_beliefs_are_refused(text: str, words: str) -> None:
    """Amounts of another currency, and priors that are none, are refused by name."""
    with pytest.raises(UsageError) as caught:
        parse_inputs(text, {}, "mine.yaml")

    assert words in str(caught.value)


def test_the_own_currency_may_be_said() -> None:
    """USD is the unit of all amounts, so saying it changes nothing."""
    inputs = parse_inputs("power: {usd_per_kwh: {value: 0.1, currency: USD}}", {})

    assert 0.1 == inputs.number("power.usd_per_kwh", "A test")


@pytest.mark.parametrize("text", ["1e6", "1.0e6", "1E+6", "1000000", "1_000_000"])
def test_a_number_may_have_an_exponent(text: str) -> None:
    """What YAML 1.1 would take for text is the number that its writer meant."""
    assert 1e6 == parse_inputs(f"workload: {{queries_per_day: {text}}}", {}).number(
        "workload.queries_per_day", "A test"
    )


def test_priors_and_machines_are_kept() -> None:
    """The sections of other commands are read with the rest."""
    inputs = parse_inputs("priors: {power.pue: [1.1, 1.2, 1.4]}\nmachines: [{name: x}]", {})

    assert (1.1, 1.2, 1.4) == (
        inputs.priors["power.pue"].low,
        inputs.priors["power.pue"].mode,
        inputs.priors["power.pue"].high,
    )
    assert ({"name": "x"},) == inputs.machines
