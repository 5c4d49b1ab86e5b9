"""Whether a document's load and its wattbench are known here: the catalogue's load, this version's source."""

from wattbench.harness.version import harness_record
from wattbench.models.find import find_load
from wattbench.models.work import load_record
from wattbench.results.document import HarnessRecord, Result
from wattbench.results.errors import WattbenchError
from wattbench.results.subject import LoadRecord
from wattbench.results.trust.verification import Check, judged, ok, unknown

__all__ = ["RELEASES", "harness_check", "load_check"]

RELEASES: dict[str, tuple[str, ...]] = {}
"""The digests of the source of every released version, none yet: one cannot hold its own, so the next one adds it."""

TOLERANCE_REL = 1e-9


def load_check(result: Result) -> Check:
    """Hold the load's size and work against those that the catalogue's load of that name and digest has."""
    stated = result.load
    try:
        load = find_load(stated.name)
    except WattbenchError as exc:
        return unknown("load", f"{stated.name} is not in this catalogue: {exc.why or exc.what}")
    if load.digest != stated.digest:
        digests = f"{load.digest[:19]}... here, {stated.digest[:19]}... there"
        return unknown("load", f"{stated.name} is defined otherwise in this catalogue ({digests})")
    try:
        expected = load_record(load, result.plan.precision)
    except WattbenchError as exc:
        return unknown("load", f"its work in {result.plan.precision:.80} is not known here: {exc.what:.200}")
    return judged("load", _load_problems(stated, expected), f"{stated.name} is the catalogue's")


def harness_check(harness: HarnessRecord) -> Check:
    """Say whether the source that measured is this one, or a released one of that version."""
    own = harness_record()
    where = f"{harness.name} {harness.version}, source {harness.source_sha256[:12]}"
    if harness.version in RELEASES:
        if harness.source_sha256 in RELEASES[harness.version]:
            return ok("harness", f"{where}: as released")
        return unknown("harness", f"{where}: not as released, so it was altered or is a state in development")
    if (harness.version, harness.source_sha256) == (own.version, own.source_sha256):
        return ok("harness", f"{where}: the source that runs here")
    return unknown("harness", f"{where}: neither a release that is known here nor the source that runs here")


def _load_problems(stated: LoadRecord, expected: LoadRecord) -> list[str]:
    pairs = [
        *(
            (name, getattr(stated, name), getattr(expected, name))
            for name in ("input_tokens", "output_tokens", "turns")
        ),
        ("parameters", stated.parameters, expected.parameters),
        *((f"work.{name}", getattr(stated.work, name, None), getattr(expected.work, name, None)) for name in _WORK),
    ]
    return [f"{name} is {was}, the catalogue has {now}" for name, was, now in pairs if not _same(was, now)]


_WORK = ("prefill_flops", "decode_flops", "weight_bytes", "kv_bytes_per_token", "decode_kv_bytes")


def _same(was: float | None, now: float | None) -> bool:
    if was is None or now is None:
        return was is now
    return abs(was - now) <= TOLERANCE_REL * max(abs(was), abs(now))
