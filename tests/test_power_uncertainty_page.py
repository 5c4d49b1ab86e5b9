"""The worked example of docs/uncertainty.md is what the code computes."""

from dataclasses import replace
from pathlib import Path

import pytest

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.energy import channel_energy
from wattbench.harness.power.nvml_table import accuracy_of, behaviour_of
from wattbench.harness.power.replay import ReplaySampler
from wattbench.harness.power.track import Track
from wattbench.results.energy import ChannelEnergy
from wattbench.results.measurement import Window

SECOND = 1_000_000_000
TRACE = Path(__file__).parent / "data" / "power" / "a100_step.csv"
PAGE = Path(__file__).parents[1] / "docs" / "uncertainty.md"


class Dial:
    """A clock that stands where it is put."""

    ns = 0

    def now_ns(self) -> int:
        """Return the time on the dial."""
        return self.ns

    def wait_until(self, deadline_ns: int, stop: object) -> bool:
        """Never used here: the polls are made by hand."""
        return True


@pytest.fixture(scope="module")
def example() -> ChannelEnergy:
    """Compute the example: the trace through the sampler, with the facts of an A100."""
    dial = Dial()
    sampler = ReplaySampler(SamplerOptions(argument=str(TRACE), covers=None), now_ns=dial.now_ns)
    sampler.probe()
    track = Track(sampler, 20, dial, 0)
    for dial.ns in range(0, 9 * SECOND, SECOND // 20):
        track.poll()
    behaviour, accuracy = behaviour_of("ga100", "instant"), accuracy_of("ga100")
    channel = replace(
        sampler.channels[0],
        update_period_s=behaviour.update_period_s,
        averaging_window_s=behaviour.averaging_window_s,
        lag_s=behaviour.lag_s,
        seen_share=behaviour.seen_share,
        accuracy_rel=accuracy.rel,
    )
    window = Window(start_ns=5 * SECOND // 2, end_ns=7 * SECOND)
    return channel_energy([channel], track.polls(), window, rate_hz=20)


def test_the_table_holds_every_line_of_the_budget(example: ChannelEnergy) -> None:
    """Each line of the page is the code's, to two digits."""
    rows = [line.split("|")[1:3] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    shown = {name.strip(" `"): value.strip() for name, value in rows if value.strip().endswith("%")}

    assert {t.name: f"{t.u_rel:.3%}".replace("%", " %") for t in example.budget} == shown


def test_the_sentence_holds_energy_and_both_uncertainties(example: ChannelEnergy) -> None:
    """The result below the table is the code's."""
    energy_j, absolute, comparison = example.energy_j, example.u_absolute_rel, example.u_comparison_rel
    assert energy_j is not None
    assert absolute is not None
    assert comparison is not None
    sentence = f"The energy is {energy_j:.1f} J, {absolute:.1%} absolute and {comparison:.1%} in comparisons (k=1)."

    assert sentence.replace("%", " %") in PAGE.read_text()
