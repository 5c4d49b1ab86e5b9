"""The argument of a meter: address, options, and secrets that are refused."""

import pytest

from wattbench.harness.power.meters.argument import parse_argument, refuse_secrets
from wattbench.harness.power.select import parse_wanted
from wattbench.results.errors import UsageError

SECRET = "s3cr3t"


def test_an_address_and_its_options_are_parted_at_commas() -> None:
    """What follows the first comma with a key are options; the address may be a URL."""
    found = parse_argument("shelly", "http://192.0.2.7:80,name=left,limit=300,component=switch:0", ("component",))

    assert ("http://192.0.2.7:80", "left", 300.0) == (found.address, found.label, found.limit_w)
    assert "switch:0" == found.options["component"]


def test_a_comma_without_a_key_stays_in_its_value() -> None:
    """SCPI queries hold commas, and colons stand in PyVISA's addresses."""
    found = parse_argument("scpi", "TCPIP0::192.0.2.9::inst0::INSTR,query=FETC? 1,2,unit=W", ("query", "unit"))

    assert ("TCPIP0::192.0.2.9::inst0::INSTR", "FETC? 1,2") == (found.address, found.options["query"])


def test_without_a_name_the_address_names_the_meter() -> None:
    """The scheme is left out."""
    assert "bmc.example:8443" == parse_argument("redfish", "https://bmc.example:8443/").label


def test_keys_may_have_a_part_in_brackets() -> None:
    """Labels are chosen by `label[KEY]=VALUE`."""
    found = parse_argument("prometheus", "h:1,label[gpu]=0", ("label",))

    assert "0" == found.options["label[gpu]"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("h,colour=red", "unknown option 'colour'"),
        ("h,name=a,name=b", "given twice"),
        (",name=a", "no address"),
        ("h,timeout=0", "positive"),
        ("h,timeout=soon", "positive"),
        ("h,scope=planet", "known are board"),
        ("h,scope=board", "covers=UUID"),
        ("h,supply=2", "supply=1/2"),
        ("h,supply=3/2", "supply=1/2"),
        ("h,supply=supply 1/2", "supply=1/2"),
        ("h,supply=1/2,scope=module,covers=x", "without covers"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, said: str) -> None:
    """Each refusal says why and where the options are listed."""
    with pytest.raises(UsageError) as caught:
        _ = parse_argument("shelly", text).timeout_s

    assert said in str(caught.value)


@pytest.mark.parametrize(
    "word",
    [
        f"redfish:https://admin:{SECRET}@bmc",
        f"redfish:https://{SECRET}@bmc",
        f"redfish:admin:pw//x:{SECRET}@bmc",
        f"shelly:h,password={SECRET}",
        f"shelly:h,PassWord={SECRET}",
        f"tasmota:http://h/cm?user=admin&password={SECRET}",
        f"prometheus:http://h/metrics?token={SECRET},metric=x,unit=W",
        f"ipmi:h,secret={SECRET}",
        f"https://admin:{SECRET}@bmc",
        f"shelly:admin:{SECRET}@192.0.2.7",
        f"scpi:TCPIP0::admin:{SECRET}@h::5025::SOCKET,query=P?,unit=W",
        f"tasmota:password={SECRET}",
    ],
)
def test_a_secret_on_the_command_line_is_refused_and_not_repeated(word: str) -> None:
    """It is refused before anything is opened or written, and the message does not hold it."""
    with pytest.raises(UsageError, match="command line") as caught:
        parse_wanted([word])

    assert SECRET not in str(caught.value)
    assert "docs/meters.md#credentials" in caught.value.remedy


def test_addresses_without_secrets_pass() -> None:
    """An at sign in a path or a file is no user."""
    for word in (
        "replay:/data/a@b.csv",
        "redfish:https://bmc,resource=/redfish/v1/x@y",
        "scpi:GPIB0::5::INSTR",
        "replay:a@b.csv",
    ):
        refuse_secrets(word)


def test_two_plugs_are_two_sources_of_one_name() -> None:
    """A name may come again with another argument, not with the same."""
    assert ["a", "b"] == [w.argument for w in parse_wanted(["shelly:a", "shelly:b"])]
    with pytest.raises(UsageError, match="asked for twice"):
        parse_wanted(["shelly:a", "shelly:a"])
