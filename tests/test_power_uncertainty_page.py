"""The worked example of docs/uncertainty.md is what the code computes."""

import math
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.energy import channel_energy
from wattbench.harness.power.nvml_table import accuracy_of, behaviour_of
from wattbench.harness.power.replay import ReplaySampler
from wattbench.harness.power.track import Track
from wattbench.results.energy import ChannelEnergy
from wattbench.results.energy_figures import energy_metrics
from wattbench.results.figures import figure
from wattbench.results.measurement import Window
from wattbench.results.rates import Work

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
        offset_u_w=accuracy.offset_u_w,
        offset_at_w=accuracy.offset_at_w,
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


def test_the_ratios_of_the_page_are_the_codes(factories: ModuleType) -> None:
    """The example of arithmetic: intervals of energy, tokens and their ratio, and the uncertainties that follow."""
    lengths_s, watts = (60.3, 61.9, 60.8, 62.4, 61.2), (301.0, 300.2, 300.9, 299.8, 300.5)
    tokens = [round(rate * t) for rate, t in zip((2002, 1998, 2001, 1997, 2000), lengths_s, strict=True)]
    works = [
        Work(requests=1, failed=0, input_tokens=1, output_tokens=n, duration_s=t)
        for n, t in zip(tokens, lengths_s, strict=True)
    ]
    rungs = [
        [factories.make_rung(w * t, u_absolute_rel=0.0471, u_comparison_rel=0.0091)]
        for w, t in zip(watts, lengths_s, strict=True)
    ]
    metrics = {m.name: m for m in energy_metrics(factories.make_load(), works, rungs, {}, "")}
    total, ratio = metrics["energy.total"], metrics["efficiency.tokens_per_j"]
    work = figure("tokens", "{token}", tokens, "", reason="")
    e, n, r = (100 * m.interval.half_width / m.value for m in (total, work, ratio) if m.interval and m.value)
    text = PAGE.read_text()

    assert f"known to +/-{e:.2f} % and their tokens to +/-{n:.2f} %" in text
    assert f"the ratio would be known to +/-{math.hypot(e, n):.2f} %" in text
    assert f"is {ratio.value:.4f} tokens/J +/-{r:.3f} %" in text
    assert (
        f"known to {ratio.u_absolute_rel:.2%} absolute and {ratio.u_comparison_rel:.2%} in".replace("%", " %") in text
    )
    assert f"alone has {total.u_absolute_rel:.2%} and {total.u_comparison_rel:.2%}.".replace("%", " %") in text
