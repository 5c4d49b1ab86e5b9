"""The hardware facts of a document, and their fingerprint: equal only where every one of them is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from wattbench.results.codec import to_builtins
from wattbench.results.files import canonical_bytes
from wattbench.results.imported import Document, ImportedResult

__all__ = ["FINGERPRINT_VERSION", "HARDWARE_FACTS", "NOT_FACTS", "Fact", "fingerprint_of", "hardware_facts"]

FINGERPRINT_VERSION = 1
"""Raised when a fact joins the list or leaves it: fingerprints of different versions are never equal."""

GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One fact that the fingerprint holds: where a document has it, its JSON type, and what it means."""

    path: str
    type: str
    meaning: str


def _fact(path: str, type: str, meaning: str) -> Fact:
    return Fact(path=path, type=type, meaning=meaning)


HARDWARE_FACTS = (
    _fact("host.machine", "string", "the maker's name of the machine"),
    _fact("host.virtualization", "string", 'the kind of virtual machine; "none": looked for and not found'),
    _fact("host.memory_gib", "integer", "memory, rounded to GiB: what the kernel reports moves by megabytes"),
    _fact("host.memory_limit_bytes", "integer", "the memory limit of the process's cgroup"),
    _fact("cpu.model", "string", "the processor's name"),
    _fact("cpu.architecture", "string", "the instruction set"),
    _fact("cpu.sockets", "integer", "processors"),
    _fact("cpu.cores_physical", "integer", "physical cores"),
    _fact("cpu.cores_logical", "integer", "logical cores"),
    _fact("cpu.cores_usable", "number", "cores that the process may use (affinity, quota)"),
    _fact("cpu.features", "array", "instruction sets that matter to inference, sorted"),
    _fact("cpu.governor", "string", "the policy that sets the processor's clock"),
    _fact("cpu.clock_max_mhz", "number", "the processor's highest clock"),
    _fact("cpu.turbo", "boolean", "whether the processor may exceed its nominal clock"),
    _fact("accelerators[].vendor", "string", "the accelerator's maker"),
    _fact("accelerators[].name", "string", "its name as its driver gives it"),
    _fact("accelerators[].memory_bytes", "integer", "its memory"),
    _fact("accelerators[].driver", "string", "its driver's version"),
    _fact("accelerators[].power_limit_w", "number", "the power limit that was set"),
    _fact("accelerators[].power_limit_default_w", "number", "the power limit that it comes with"),
    _fact("accelerators[].power_limit_enforced_w", "number", "the lowest of all power limits in force"),
    _fact("accelerators[].power_limit_min_w", "number", "the lowest limit that may be set"),
    _fact("accelerators[].power_limit_max_w", "number", "the highest limit that may be set"),
    _fact("accelerators[].clock_max_mhz", "number", "its highest clock"),
    _fact("accelerators[].persistence", "boolean", "whether its driver stays loaded"),
    _fact("accelerators[].ecc", "boolean", "whether its memory corrects errors"),
    _fact("accelerators[].mig", "boolean", "whether it is cut into instances"),
    _fact("stated.name", "string", "imported results: the system's name"),
    _fact("stated.accelerator", "string", "imported results: the accelerator's name"),
    _fact("stated.accelerators", "integer", "imported results: how many accelerators"),
    _fact("stated.processor", "string", "imported results: the processor's name"),
    _fact("stated.processors", "integer", "imported results: how many processors"),
    _fact("stated.nodes", "integer", "imported results: how many machines"),
)
"""Every fact of the fingerprint. A fact that a document does not know is null in it, which differs from any value."""

NOT_FACTS = {
    "host.os": "software",
    "host.kernel": "software",
    "host.container": "how the process was packed",
    "host.memory_bytes": "in host.memory_gib",
    "host.on_battery": "a state, which the doubt `battery` tells",
    "host.load_average_1m": "a state, which the doubt `host_noise` tells",
    "accelerators[].index": "the order of accelerators, which means nothing",
    "accelerators[].uuid": "one board among equal ones",
    "accelerators[].other_processes": "a state, which the doubt `foreign_process` tells",
    "stated.submitter": "who, not what",
    "stated.division": "a rule of the benchmark",
    "stated.meter": "the measuring, not the machine",
    "stated.software": "software",
    "stated.basis": "where the statements stand",
}
"""What a document says of the machine that is no fact of its hardware, and why; a test sees that nothing is in neither
list. PCIe generation and width, NUMA layout, links between accelerators, memory modules and firmware versions are not
collected yet, so no fingerprint holds them."""


def hardware_facts(document: Document) -> dict[str, object]:
    """Return the facts as the fingerprint takes them: nested by their paths, accelerators in an order of their own."""
    if isinstance(document, ImportedResult):
        return {"stated": _chosen("stated.", to_builtins(document.system))}
    environment = document.environment
    host: dict[str, object] = to_builtins(environment.host)
    host["memory_gib"] = round(environment.host.memory_bytes / GIB)
    cpu: dict[str, object] = to_builtins(environment.cpu)
    cpu["features"] = None if environment.cpu.features is None else sorted(environment.cpu.features)
    boards = [_chosen("accelerators[].", to_builtins(board)) for board in environment.accelerators]
    return {
        "host": _chosen("host.", host),
        "cpu": _chosen("cpu.", cpu),
        "accelerators": sorted(boards, key=canonical_bytes),
    }


def fingerprint_of(document: Document) -> str:
    """Return "sha256:<hex>" over the canonical JSON of all hardware facts (RFC 8785) and the version of their list."""
    stated: dict[str, object] = {"version": FINGERPRINT_VERSION, "facts": hardware_facts(document)}
    return "sha256:" + hashlib.sha256(canonical_bytes(stated)).hexdigest()


def _chosen(prefix: str, record: dict[str, object]) -> dict[str, object]:
    names = [fact.path.removeprefix(prefix) for fact in HARDWARE_FACTS if fact.path.startswith(prefix)]
    return {name: record[name] for name in names}
