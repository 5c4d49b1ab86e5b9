"""The records of what vendors state: accelerators with figures, prices, claims and names, each with its source."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from wattbench.results.checks import require, require_not_negative

__all__ = [
    "GRADES",
    "PRECISIONS",
    "Accelerator",
    "Claim",
    "ClaimMetric",
    "Conflict",
    "ConflictValue",
    "Grade",
    "Names",
    "Rent",
    "Source",
    "Stated",
    "StatedText",
]

Grade = Literal["vendor", "measured", "second_hand", "derived", "unverified", "leak"]
"""How far a figure can be trusted: its maker wrote it; a meter or a kernel measured it; somebody copied it; it follows
by arithmetic from one that was read; the page that it was read on was not kept; it leaked."""

GRADES: tuple[Grade, ...] = get_args(Grade)

PRECISIONS = ("float32", "tf32", "bfloat16", "float16", "float8", "float4", "int8", "int4")

ClaimMetric = Literal[
    "output_tokens_per_s", "requests_per_s", "tokens_per_s_per_user", "latency_s", "usd_per_million_tokens"
]
"""What a vendor's throughput claim counts; only the first two are rates of a whole system."""

SPARSE_RATIO = 2.0
"""2:4 sparsity doubles the dense rate (NVIDIA A100 whitepaper, 2020); another ratio needs a note that says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where figures were read: title, address, the text's date (None: it has none), when it was read, its grade."""

    title: str
    url: str
    grade: Grade
    read: str
    date: str | None = None
    note: str = ""

    @property
    def dated(self) -> str:
        """Return the text's date, or when it was read where it has none."""
        return self.date or f"read {self.read}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """One number with the key of its source, its grade and its date; `value_high` is the other end of a range."""

    value: float
    source: str
    grade: Grade
    date: str
    note: str = ""
    value_high: float | None = None

    def __post_init__(self) -> None:
        require_not_negative(value=self.value, value_high=self.value_high)
        require(self.value > 0, "a stated figure is more than nothing")
        require(self.value_high is None or self.value_high > self.value, "a range ends above its beginning")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedText:
    """One word that a source states, such as a kind of memory, with the key of its source, its grade and its date."""

    value: str
    source: str
    grade: Grade
    date: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rent:
    """The price of an hour of an instance with so many accelerators; `kind` is on_demand, spot, reserved_3y, ..."""

    provider: str
    instance: str
    accelerators: int
    instance_usd_per_h: float
    kind: Literal["on_demand", "spot", "reserved_block", "reserved_3y"]
    source: str
    grade: Grade
    date: str
    note: str = ""

    def __post_init__(self) -> None:
        require_not_negative(instance_usd_per_h=self.instance_usd_per_h)
        require(self.accelerators >= 1, "an instance has an accelerator")

    @property
    def accelerator_usd_per_h(self) -> float:
        """Return the price of one accelerator's hour."""
        return self.instance_usd_per_h / self.accelerators


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a model was claimed to reach: `value` in the unit of `metric`, over `devices` accelerators together.

    What the source does not say is None; `conditions` is the rest in words. `wall_power_w` was measured in the same
    run as `value`. `benchmark` names the published benchmark where the claim is one of its results.
    """

    model: str
    metric: ClaimMetric
    value: float
    source: str
    grade: Grade
    date: str
    devices: int | None = None
    benchmark: str | None = None
    scenario: str | None = None
    precision: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    wall_power_w: float | None = None
    by: str | None = None
    conditions: str = ""

    def __post_init__(self) -> None:
        require_not_negative(value=self.value, wall_power_w=self.wall_power_w, devices=self.devices)
        require(self.value > 0, "a claim is more than nothing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """How a device of this kind calls itself: patterns for the whole name, in upper or lower case, and PCI ids.

    `basis` says where the names are from; one that says "unverified" was not seen on a device.
    """

    nvml: tuple[str, ...] = ()
    rocm: tuple[str, ...] = ()
    jax: tuple[str, ...] = ()
    cpu: tuple[str, ...] = ()
    apple: tuple[str, ...] = ()
    neuron: tuple[str, ...] = ()
    pci: tuple[str, ...] = ()
    basis: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """One kind of accelerator (or processor, or system). What no source gives is None or not listed, never guessed.

    Rates of products are by precision, in FLOP/s (OP/s of integers): `dense` without sparsity, with sums in float32
    where the vendor has two; `sparse` with the vendor's structured sparsity; `unstated` where the source does not say
    which of the two; `vector` without the matrix units; `measured` by somebody's kernels. `link_bytes_per_s` is to
    others of its kind. `tdp_w` is a nameplate and `provisioned_w` an assumption of a data centre: neither is measured.
    `not_compared` says why results are not held against the figures, where they are not those of one device.
    """

    key: str
    vendor: str
    name: str
    form: str
    names: Names = field(default_factory=Names)
    year: Stated | None = None
    process: StatedText | None = None
    memory_type: StatedText | None = None
    memory_gb: Stated | None = None
    memory_bytes_per_s: Stated | None = None
    dense_flops_per_s: dict[str, Stated] = field(default_factory=dict)
    sparse_flops_per_s: dict[str, Stated] = field(default_factory=dict)
    unstated_flops_per_s: dict[str, Stated] = field(default_factory=dict)
    vector_flops_per_s: dict[str, Stated] = field(default_factory=dict)
    measured_flops_per_s: dict[str, Stated] = field(default_factory=dict)
    amx_operations_per_cycle_per_core: dict[str, Stated] = field(default_factory=dict)
    npu_operations_per_s: Stated | None = None
    cores: Stated | None = None
    tdp_w: Stated | None = None
    link_bytes_per_s: Stated | None = None
    price_usd: tuple[Stated, ...] = ()
    rent: tuple[Rent, ...] = ()
    provisioned_w: Stated | None = None
    ownership_usd_per_h: dict[str, Stated] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    not_compared: str = ""
    note: str = ""
    missing: str = ""

    def __post_init__(self) -> None:
        for name in ("dense", "sparse", "unstated", "vector", "measured"):
            for precision in getattr(self, f"{name}_flops_per_s"):
                known = f"{self.key}: unknown precision {precision!r}; known are {', '.join(PRECISIONS)}"
                require(precision in PRECISIONS, known)
        for precision, sparse in self.sparse_flops_per_s.items():
            dense = self.dense_flops_per_s.get(precision)
            doubled = dense is None or abs(sparse.value / dense.value / SPARSE_RATIO - 1) < 0.01
            require(doubled or bool(sparse.note), f"{self.key}: sparse {precision} is not twice dense; a note says why")

    @property
    def full_name(self) -> str:
        """Return vendor and name."""
        return self.name if self.name.startswith(self.vendor) else f"{self.vendor} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConflictValue:
    """What one source says where several differ."""

    value: float
    source: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A figure that sources give differently: of which accelerator, which field, what each says, which one is used.

    `used` is None where none of them is.
    """

    accelerator: str
    figure: str
    values: tuple[ConflictValue, ...]
    used: float | None
    why: str
