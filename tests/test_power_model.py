"""The model sampler: a line between two declared figures."""

from collections.abc import Iterator

import pytest

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.model import ModelSampler


def sampler(argument: str | None, *times: tuple[float, float]) -> ModelSampler:
    """Return a model over made-up (busy, total) CPU seconds."""
    given: Iterator[tuple[float, float]] = iter(times)
    return ModelSampler(SamplerOptions(argument=argument, covers=None), cpu_times=lambda: next(given))


def test_power_follows_the_load() -> None:
    """A quarter of the load is a quarter of the way from idle to maximum."""
    model = sampler("40,180", (0.0, 0.0), (0.5, 2.0))

    assert model.probe().usable
    assert 75.0 == model.read()[0].value


def test_modelled_power_says_so() -> None:
    """Its kind and provenance are the model's, with 35 % (k=1)."""
    model = sampler("40,180", (0.0, 0.0))
    model.probe()
    channel = model.channels[0]

    assert ("model", "modelled", "node", 0.35) == (
        channel.kind,
        channel.provenance,
        channel.scope,
        channel.accuracy_rel,
    )
    assert "declared 40 W idle, 180 W at full load" in channel.accuracy_basis


def test_without_declared_watts_it_is_absent() -> None:
    """It never stands in for a sensor by itself; the remedy shows how to ask for it."""
    found = sampler(None).probe()

    assert "absent" == found.state
    assert "--power model:IDLE_W,MAX_W" in found.remedy


@pytest.mark.parametrize("argument", ["", "40", "40,x", "0,10", "50,40", "-1,5", "nan,5", "1,inf", "1,2,3"])
def test_wrong_watts_are_refused(argument: str) -> None:
    """Two numbers, 0 < idle <= max, or nothing."""
    assert "broken" == sampler(argument).probe().state


def test_a_clock_that_stands_still_gives_no_value() -> None:
    """Two reads within one tick of the kernel's CPU clock have no load between them."""
    model = sampler("40,180", (1.0, 5.0), (1.0, 5.0))
    model.probe()
    reading = model.read()[0]

    assert reading.value is None
    assert "not moved" in str(reading.error)


def test_the_machines_own_cpu_times_work() -> None:
    """Through psutil a read lies between the declared figures, or has no tick yet."""
    model = ModelSampler(SamplerOptions(argument="40,180", covers=None))
    model.probe()
    value = model.read()[0].value
    model.close()

    assert value is None or 40 <= value <= 180
