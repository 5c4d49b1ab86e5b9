"""The records of the machine: CPU, memory, accelerators, versions, and who else was using it."""

from dataclasses import dataclass

__all__ = ["AcceleratorFacts", "CpuFacts", "Environment", "HostFacts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuFacts:
    """The processor: unknown facts are None. `features` are the instruction sets that matter to inference.

    `cores_usable` is what this process may use: logical cores within its affinity and its cgroup's quota.
    """

    model: str | None
    architecture: str
    sockets: int | None
    cores_physical: int | None
    cores_logical: int
    cores_usable: float
    features: tuple[str, ...] | None
    governor: str | None
    clock_max_mhz: float | None
    turbo: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorFacts:
    """One accelerator as its vendor's library or its kernel driver describes it; unknown facts are None.

    `index` counts within the vendor. `other_processes` used it when the facts were collected. `power_limit_w` is the
    limit that was set, `power_limit_enforced_w` the lowest of all limits in force; it may be set from
    `power_limit_min_w` to `power_limit_max_w`.
    """

    vendor: str
    name: str
    index: int
    uuid: str | None
    memory_bytes: int | None
    driver: str | None
    power_limit_w: float | None
    power_limit_default_w: float | None
    clock_max_mhz: float | None
    persistence: bool | None
    ecc: bool | None
    mig: bool | None
    other_processes: int | None
    power_limit_enforced_w: float | None = None
    power_limit_min_w: float | None = None
    power_limit_max_w: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """The machine around it: memory, operating system, virtualisation, power source.

    `machine` is the maker's name of the model; no host, user or serial is kept. `virtualization` and `container` name
    the kind ("none": looked for and not found). `memory_limit_bytes` is the cgroup's, None without one.
    """

    os: str
    kernel: str
    machine: str | None
    virtualization: str | None
    container: str | None
    memory_bytes: int
    memory_limit_bytes: int | None
    on_battery: bool | None
    load_average_1m: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The facts of the machine at the start of the run.

    `packages` are versions of what can change speed or numbers, `variables` the environment variables that can.
    """

    host: HostFacts
    cpu: CpuFacts
    accelerators: tuple[AcceleratorFacts, ...]
    python: str
    packages: dict[str, str]
    variables: dict[str, str]
