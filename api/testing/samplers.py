"""The contract of a sampler as checks: each raises AssertionError with what is wrong."""

import math
from collections.abc import Callable

from wattbench.harness.power.contract import Availability, Sampler

__all__ = ["CHECKS", "SamplerContract", "check_sampler"]

MakeSampler = Callable[[], Sampler]


def check_sampler(make_sampler: MakeSampler) -> tuple[str, ...]:
    """Run every check of the contract and return their names. Raises AssertionError for the first broken promise."""
    for check in CHECKS:
        check(make_sampler)
    return tuple(check.__name__ for check in CHECKS)


class SamplerContract:
    """Every check as a pytest test: inherit it in a class `Test...` and define `make_sampler`."""

    def make_sampler(self) -> Sampler:
        """Return a fresh sampler whose source can be read."""
        raise NotImplementedError

    def test_probe_names_channels(self) -> None:
        """The probe gives an answer with a reason, and a usable source has channels with names of their own."""
        probe_names_channels(self.make_sampler)

    def test_readings_belong_to_channels(self) -> None:
        """Every reading is of a known channel, and is a finite number or says why not."""
        readings_belong_to_channels(self.make_sampler)

    def test_counters_count_up(self) -> None:
        """A counter that cannot wrap does not fall from one read to the next."""
        counters_count_up(self.make_sampler)

    def test_close_is_safe(self) -> None:
        """Closing twice, or before anything was read, is allowed."""
        close_is_safe(self.make_sampler)


def probe_names_channels(make_sampler: MakeSampler) -> None:
    """Check that the probe answers with a reason, and a usable source has channels with names of their own."""
    sampler = make_sampler()
    found = sampler.probe()
    assert isinstance(found, Availability), f"probe() must return an Availability, not {found!r}"
    assert found.reason, "probe() must give its reason in words"
    assert found.usable, f"the checks need a source that can be read: {found.reason}"
    names = [channel.id for channel in sampler.channels]
    assert names, "a usable sampler has channels"
    assert len(names) == len(set(names)), f"two channels have one name: {names}"
    for channel in sampler.channels:
        assert channel.sampler == sampler.name, f"{channel.id} belongs to {channel.sampler}, not {sampler.name}"
        assert channel.kind != "model" or channel.provenance != "measured", f"{channel.id}: a model measures nothing"
        assert channel.accuracy_basis, f"{channel.id} must say where its accuracy is known from, or that it is not"
    sampler.close()


def readings_belong_to_channels(make_sampler: MakeSampler) -> None:
    """Check that every reading is of a known channel, and is a finite number or says why not."""
    sampler = make_sampler()
    sampler.probe()
    known = {channel.id for channel in sampler.channels}
    for reading in sampler.read():
        assert reading.channel in known, f"a reading of the unknown channel {reading.channel}"
        if reading.value is None:
            assert reading.error, f"{reading.channel}: a reading without a value must say why"
        else:
            assert math.isfinite(reading.value), f"{reading.channel} read {reading.value}"
    sampler.close()


def counters_count_up(make_sampler: MakeSampler) -> None:
    """Check that a counter that cannot wrap does not fall from one read to the next."""
    sampler = make_sampler()
    sampler.probe()
    endless = {c.id for c in sampler.channels if c.kind == "counter" and c.wraps_at_j is None}
    first = {r.channel: r.value for r in sampler.read()}
    second = {r.channel: r.value for r in sampler.read()}
    for name in endless:
        before, after = first.get(name), second.get(name)
        if before is not None and after is not None:
            assert after >= before, f"{name} fell from {before} to {after} J"
    sampler.close()


def close_is_safe(make_sampler: MakeSampler) -> None:
    """Check that closing twice, or before anything was read, is allowed."""
    make_sampler().close()
    sampler = make_sampler()
    sampler.probe()
    sampler.close()
    sampler.close()


CHECKS: tuple[Callable[[MakeSampler], None], ...] = (
    probe_names_channels,
    readings_belong_to_channels,
    counters_count_up,
    close_is_safe,
)
"""Every check, in the order of `check_sampler`."""
