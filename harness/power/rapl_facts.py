"""What is known of RAPL's counters however they are read: update period, accuracy, what a domain sees."""

from wattbench.results.energy import Scope

__all__ = ["RAPL_ACCURACY_BASIS", "RAPL_ACCURACY_REL", "RAPL_PERIOD_S", "rapl_scope"]

RAPL_PERIOD_S = 0.001
"""The counters are updated about every millisecond (Intel SDM volume 3, section on RAPL interfaces)."""

RAPL_ACCURACY_REL = 0.03

RAPL_ACCURACY_BASIS = (
    "3 % (k=1) is customary and second-hand: neither Intel nor AMD publishes an accuracy; measured by the processor "
    "since Haswell, modelled before (Hackenberg et al., IPDPSW 2015)"
)


def rapl_scope(domain: str) -> Scope:
    """Return the scope of a domain by its short name; cores and graphics are parts of a package: "other"."""
    if domain in ("package", "pkg"):
        return "package"
    if domain in ("dram", "ram"):
        return "dram"
    return "psys" if domain == "psys" else "other"
