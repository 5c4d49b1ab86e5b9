"""Results as pandas frames; pandas is imported only when one is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattbench.results.document import Result
from wattbench.results.measurement import Repeat
from wattbench.results.rates import work_of

if TYPE_CHECKING:
    import pandas

__all__ = ["repeats_frame"]


def repeats_frame(result: Result) -> pandas.DataFrame:
    """Return one row per repeat, indexed by its number: work, time (s), rates (1/s), energy (J) and power (W).

    Energy and power have one column per channel, `energy_j.CHANNEL` and `power_w.CHANNEL`, missing where unknown.
    """
    import pandas

    rows = [_row(repeat) for repeat in result.repeats]
    return pandas.DataFrame(rows, index=pandas.Index([r.index for r in result.repeats], name="repeat"))


def _row(repeat: Repeat) -> dict[str, float | None]:
    work = work_of(repeat)
    row: dict[str, float | None] = {
        "start_s": repeat.window.start_ns / 1e9,
        "duration_s": work.duration_s,
        "requests": work.requests,
        "failed_requests": work.failed,
        "input_tokens": work.input_tokens,
        "output_tokens": work.output_tokens,
        "requests_per_s": work.requests / work.duration_s,
        "input_tokens_per_s": work.input_tokens / work.duration_s,
        "output_tokens_per_s": work.output_tokens / work.duration_s,
    }
    for energy in repeat.energy:
        row[f"energy_j.{energy.channel}"] = energy.energy_j
        row[f"power_w.{energy.channel}"] = energy.mean_power_w
    return row
