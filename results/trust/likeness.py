"""Whether two runs measured the same thing on the same kind of machine, so that one can reproduce the other."""

from wattbench.results.document import Result

__all__ = ["like_fields", "unlike"]


def like_fields(result: Result) -> dict[str, object]:
    """Return the fields that a reproduction shares with what it reproduces."""
    backend, load = result.backend, result.load
    total = None if result.summary is None else result.summary.metric("power.mean")
    return {
        "device": backend.device_name if backend else None,
        "devices": max(1, len({rank.device for rank in backend.ranks})) if backend else None,
        "load": load.digest,
        "precision": backend.precision_effective if backend else None,
        "compute_precision": backend.compute_precision if backend else None,
        "weights": result.weights.origin if result.weights else None,
        "scenario": result.plan.scenario,
        "batch": result.plan.batch,
        "slots": result.plan.slots,
        "scope": total.scope if total is not None and total.value is not None else None,
    }


def unlike(one: Result, two: Result) -> tuple[str, ...]:
    """Return the names of the fields in which two runs differ; none where one may reproduce the other."""
    first, second = like_fields(one), like_fields(two)
    return tuple(name for name in first if first[name] != second[name])
