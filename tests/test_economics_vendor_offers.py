"""The vendor database as hardware on offer: what is taken, how many make a machine, what is left out."""

import math
from pathlib import Path

import pytest
from click.testing import CliRunner

from wattbench.harness.cli.group import bench
from wattbench.results.economics.offers import HardwareOffer
from wattbench.results.economics.vendor_offers import NAMEPLATE, VendorMachines
from wattbench.results.errors import UsageError
from wattbench.results.vendor.database import database

MARKET = Path(__file__).parent.parent / "examples" / "cost" / "market.yaml"


def offers(precision: str = "bfloat16", memory_bytes: float = 1.6e11) -> dict[str, HardwareOffer]:
    """Return the offers of the database by name."""
    return {offer.name: offer for offer in VendorMachines(precision=precision, memory_bytes=memory_bytes).offers()}


def test_a_machine_has_room_for_the_model() -> None:
    """160 GB are two boards of 80 GB: twice the rates, the price and the nameplate that the database has of one."""
    board = database().accelerators["h100-sxm5"]
    bought, rented = offers()["2 x h100-sxm5, bought"], offers()["2 x h100-sxm5, rented"]
    assert board.memory_bytes_per_s is not None
    assert board.tdp_w is not None

    assert 2 * board.dense_flops_per_s["bfloat16"].value == bought.peak_flops == rented.peak_flops
    assert 2 * board.memory_bytes_per_s.value == bought.bandwidth_bytes_per_s
    assert (2 * board.tdp_w.value, NAMEPLATE) == (bought.active_w, bought.active_basis)
    assert 2 * min(price.value for price in board.price_usd if price.grade != "unverified") == bought.price_usd
    on_demand = [rent.accelerator_usd_per_h for rent in board.rent if rent.kind == "on_demand"]
    assert 2 * min(on_demand) == rented.usd_per_h
    assert (None, None) == (rented.active_w, rented.price_usd)


def test_every_offer_holds_the_model() -> None:
    """Whatever a board's memory is, so many of them make a machine that all is held, and one less would not do."""
    for name in offers(memory_bytes=3e11):
        count, key = name.split(", ")[0].split(" x ")
        memory = database().accelerators[key].memory_gb
        assert memory is not None
        assert math.ceil(3e11 / (memory.value * 1e9)) == int(count)


def test_what_is_not_known_is_left_out() -> None:
    """No dense peak in the precision, no price and no rent, or a page that was not kept: no offer, but counted."""
    machines = VendorMachines(precision="float4", memory_bytes=1e9)
    names = {offer.name.split(" x ")[1].split(",")[0] for offer in machines.offers()}

    assert len(database().accelerators) == len(names) + machines.left_out()
    assert all("float4" in database().accelerators[name].dense_flops_per_s for name in names)
    assert "1 x gb200, bought" not in offers(memory_bytes=1e9)  # the price of a whole rack, unverified


def test_an_unknown_precision_is_refused() -> None:
    """The nearest one is suggested, and none is taken."""
    with pytest.raises(UsageError, match="Unknown precision 'bf16' for the vendor database"):
        VendorMachines(precision="bf16", memory_bytes=1e9)


def test_the_command_ranks_the_database() -> None:
    """Stated machines and the database's stand in one list, and what power stands on is said once."""
    ended = CliRunner().invoke(bench, ["cost", "shift", "-s", str(MARKET), "--vendor", "bfloat16"])

    assert 0 == ended.exit_code
    assert "  2 x h100-sxm5, rented            from " in ended.output
    assert "  server, eight boards             from " in ended.output
    assert 1 == ended.output.count(NAMEPLATE)


def test_the_memory_of_the_model_is_asked_for() -> None:
    """How many boards a machine needs is never assumed."""
    ended = CliRunner().invoke(bench, ["cost", "shift", "--shift-usd-per-query", "0.001", "--vendor", "bfloat16"])

    assert isinstance(ended.exception, UsageError)
    assert "Use --shift-memory-bytes VALUE" in ended.exception.remedy
