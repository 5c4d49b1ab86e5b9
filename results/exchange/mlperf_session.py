"""The session files of MLPerf's power director (client.json, server.json, ptd_logs.txt): meter, clocks, digests."""

import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from wattbench.results.errors import DocumentError
from wattbench.results.exchange.meter import utc_ns
from wattbench.results.exchange.mlperf_spl import TIME_FORMAT

__all__ = ["ClockOffset", "Meter", "Session", "count_complaints", "read_session"]

REMEDY = "Give the folder as the power director's client wrote it."
COMPLAINT = re.compile(r"^(\d\d-\d\d-\d{4} \d\d:\d\d:\d\d\.\d{3}): (?:WARNING|ERROR)\b(?!.*[Uu]ncertainty)")
"""Warnings about the uncertainty of a sample are counted in the reply to the daemon's own command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """The meter as the daemon identified it, and the uncertainty that the daemon states for its samples.

    `u_mean` is a fraction (0.01: 1 %), None where the daemon could not tell; `over_limit` of `judged` samples were
    above SPEC's limit of 1 % or unknown.
    """

    model: str
    identity: str | None
    daemon: str | None
    u_mean: float | None
    judged: int | None
    over_limit: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockOffset:
    """How far the clock of the measured system was ahead of the director's, in seconds, over all their exchanges."""

    offset_s: float
    spread_s: float
    exchanges: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One session of the director; what its files do not say is None or empty.

    `sha1` has the digests that client and server noted, by path in the session's folder. `testing_ns` is the span on
    the director's clock within which the tested load ran.
    """

    name: str | None
    meter: Meter | None
    clock: ClockOffset | None
    sha1: dict[str, str]
    testing_ns: tuple[int, int] | None


def read_session(client: str | None, server: str | None) -> Session:
    """Return what client.json and server.json say, either may be missing. Raises DocumentError for broken ones."""
    client_tree, server_tree = _tree("client.json", client), _tree("server.json", server)
    return Session(
        name=_text(client_tree.get("session_name")) or _text(server_tree.get("session_name")),
        meter=_meter(_messages(server_tree, "ptd_messages")),
        clock=_clock(_messages(client_tree, "messages")),
        sha1={**_digests(client_tree), **_digests(server_tree)},
        testing_ns=_testing_ns(server_tree),
    )


def count_complaints(ptd_log: str, begin_ns: int, end_ns: int) -> int:
    """Return how many other warnings and errors the daemon logged between two instants of its clock (read as UTC)."""
    found = (COMPLAINT.match(line) for line in ptd_log.splitlines())
    moments = (datetime.strptime(match[1], TIME_FORMAT).replace(tzinfo=UTC) for match in found if match)
    return sum(begin_ns <= utc_ns(moment) <= end_ns for moment in moments)


def _tree(name: str, text: str | None) -> dict[str, object]:
    if text is None:
        return {}
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise DocumentError(f"{name} is not JSON", str(exc), REMEDY) from exc
    if not isinstance(tree, dict):
        raise DocumentError(f"{name} is no session file", "it is not a JSON object", REMEDY)
    return tree


def _messages(tree: dict[str, object], key: str) -> list[dict[str, object]]:
    """Return a list of exchanges; the server's may be lists of lists, one for each meter: the first is taken."""
    found = tree.get(key)
    if isinstance(found, list) and found and isinstance(found[0], list):
        found = found[0]
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _meter(messages: list[dict[str, object]]) -> Meter | None:
    identify = next((_text(m.get("reply")) for m in messages if m.get("cmd") == "Identify"), None)
    if identify is None:
        return None
    words = identify.split(",")
    version = re.search(r"version=([^,]+)", identify)
    replies = [_text(m.get("reply")) or "" for m in messages if m.get("cmd") == "Uncertainty"]
    u = _uncertainty(replies[-1]) if replies else None
    return Meter(
        model=words[0],
        identity=next((word for word in words[1:] if ";" in word), None),
        daemon=None if version is None else f"PTDaemon {version[1]}",
        u_mean=u[0] if u else None,
        judged=u[1] if u else None,
        over_limit=u[2] if u else None,
    )


def _uncertainty(reply: str) -> tuple[float | None, int, int] | None:
    """Return the mean, the samples, and those above the limit or unknown, of an `Uncertainty` reply.

    It reads `Uncertainty,avg,min,max,n,above,within,unknown`. The order of the last three follows from a published
    session (v5.1, GATEOverflow): its daemon answers 611,555,56,0 and logs "above 1.00% limit" 555 times; where it
    could judge none, it answers 311,0,0,311.
    """
    words = reply.split(",")
    try:
        mean, count, within = float(words[1]), int(words[4]), int(words[6])
    except (IndexError, ValueError):
        return None
    return mean if math.isfinite(mean) and 0 < mean < 1 else None, count, count - within


def _clock(messages: list[dict[str, object]]) -> ClockOffset | None:
    """Return the client's lead over the server from every question for the time: middle of the exchange - answer."""
    offsets = []
    for message in messages:
        sent, received, reply = message.get("cmd_time"), message.get("reply_time"), message.get("reply")
        if message.get("cmd") == "time" and isinstance(sent, int | float) and isinstance(received, int | float):
            try:
                offsets.append((sent + received) / 2 - float(str(reply)))
            except ValueError:
                continue
    if not offsets:
        return None
    return ClockOffset(offset_s=median(offsets), spread_s=max(offsets) - min(offsets), exchanges=len(offsets))


def _digests(tree: dict[str, object]) -> dict[str, str]:
    found = tree.get("results")
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def _testing_ns(tree: dict[str, object]) -> tuple[int, int] | None:
    """Return the span between "the meter runs" and "stop it" of the tested run."""
    phases = tree.get("phases")
    rows = phases.get("testing") if isinstance(phases, dict) else None
    try:
        return round(float(rows[1][0]) * 1e9), round(float(rows[2][0]) * 1e9)  # type: ignore[index]  # tried
    except (TypeError, ValueError, IndexError, KeyError):
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
