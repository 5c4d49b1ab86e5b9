"""Whether two runs measured the same thing on the same kind of machine, so that one can reproduce the other."""

from wattbench.results.document import Result
from wattbench.results.identity.comparability import comparability_fields

__all__ = ["unlike"]


def unlike(one: Result, two: Result) -> tuple[str, ...]:
    """Return the names of the fields in which two runs differ; none where one may reproduce the other.

    They are those of the comparability key, and batch and slots: who reproduces a figure uses the machine the same way.
    """
    first, second = _fields(one), _fields(two)
    return tuple(name for name in first if first[name] != second[name])


def _fields(result: Result) -> dict[str, object]:
    return comparability_fields(result) | {"batch": result.plan.batch, "slots": result.plan.slots}
