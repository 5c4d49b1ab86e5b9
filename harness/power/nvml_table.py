"""How NVIDIA's power sensors behave, by architecture and driver: the published measurements of nvml_table.toml."""

import math
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

__all__ = ["TABLE", "UNCOMPARED", "Accuracy", "Behaviour", "Field", "accuracy_of", "architecture_of", "behaviour_of"]

Field = Literal["instant", "average", "usage", "counter", "energy", "samples"]

UNCOMPARED = "nobody compared this part's sensor with a meter in public"

TABLE = Path(__file__).with_name("nvml_table.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """A field on an architecture: update period, averaging window and lag in s, share of time seen (None: unknown)."""

    update_period_s: float | None = None
    averaging_window_s: float | None = None
    lag_s: float | None = None
    seen_share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """The relative standard uncertainty (k=1) of a board's uncalibrated gain, and where it comes from.

    `offset_u_w` is that of the offset in watts, which `rel` holds too at `offset_at_w`; None where nobody published
    lines.
    """

    rel: float
    basis: str
    offset_u_w: float | None = None
    offset_at_w: float | None = None


def architecture_of(number: int, name: str) -> str:
    """Return the table's word for an NVML architecture number and a board's name; "unknown" for new ones."""
    word: str = _table()["architectures"].get(str(number), "unknown")
    return "ga100" if word == "ampere" and re.search(_table()["ga100"]["names"], name) else word


def behaviour_of(architecture: str, field: Field, driver: str | None = None) -> Behaviour:
    """Return how a field behaves; facts that nobody published are None.

    "usage" (nvmlDeviceGetPowerUsage) is the averaged field where the architecture has one, else the instant one, but
    for single driver branches. The counter is updated about every 100 ms (20 ms on Volta); whether it takes in what the
    instant field does not see is not published, so it is credited with no more. Field 191 ("energy") is the same
    counter. How often the driver puts a sample into its log, and what a sample averages, is not published.
    """
    if field == "samples":
        return Behaviour()
    if field in ("counter", "energy"):
        instant = _row("instant", architecture) or Behaviour()
        return Behaviour(update_period_s=instant.update_period_s, seen_share=instant.seen_share)
    if field == "usage":
        wanted = "instant" if _is_instant_usage(architecture, driver) else "average"
        return _row(wanted, architecture) or _row("instant", architecture) or Behaviour()
    return _row(field, architecture) or Behaviour()


def accuracy_of(architecture: str) -> Accuracy:
    """Return the uncertainty of an uncalibrated board's gain, which the counter and the power fields share."""
    for row in _table()["accuracy"]:
        if architecture in row["architectures"]:
            offsets_w = row.get("offsets_w")
            return Accuracy(
                rel=_rel(row),
                basis=f"{row['basis']} ({_table()['sources'][row['source']]})",
                offset_u_w=None if offsets_w is None else math.hypot(*offsets_w) / math.sqrt(len(offsets_w)),
                offset_at_w=row.get("offset_at_w"),
            )
    unverified = _table()["unverified"]
    return Accuracy(rel=_rel(unverified), basis=unverified["basis"])


def _row(field: str, architecture: str) -> Behaviour | None:
    for row in _table()["behaviour"]:
        if row["field"] == field and architecture in row["architectures"]:
            return Behaviour(**{name: row[name] for name in Behaviour.__slots__ if name in row})
    return None


def _is_instant_usage(architecture: str, driver: str | None) -> bool:
    branch = (driver or "").split(".")[0]
    return any(architecture in row["architectures"] and branch == str(row["driver"]) for row in _table()["usage"])


def _rel(row: dict[str, Any]) -> float:  # any: a table of TOML
    """Return the relative standard uncertainty that a row of accuracies means."""
    if "bias" in row:
        return math.hypot(row["bias"], row["spread"])
    if "errors" in row:
        return math.hypot(*row["errors"]) / math.sqrt(len(row["errors"]))
    return float(row["rel"] if "rel" in row else row["bound"] / math.sqrt(3))


@cache
def _table() -> dict[str, Any]:  # any: TOML
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))
