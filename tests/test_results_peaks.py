"""What vendors claim of the device of a run."""

from dataclasses import replace

import pytest

from wattbench.results.peaks import PeakClaim, claimed_peaks, peaks_of
from wattbench.results.vendor.database import accelerator_of, database
from wattbench.results.vendor.records import Accelerator, Names, Stated

DRIVER_NAMES = (
    "NVIDIA A100-SXM4-40GB",
    "NVIDIA A100-SXM4-80GB",
    "NVIDIA A100-PCIE-40GB",
    "NVIDIA A100 80GB PCIe",
    "NVIDIA H100 80GB HBM3",
    "NVIDIA H100 PCIe",
    "NVIDIA H100 NVL",
    "NVIDIA H200",
    "NVIDIA H200 NVL",
    "NVIDIA B200",
    "NVIDIA GB200",
    "NVIDIA B300 SXM6 AC",
    "NVIDIA GB300",
    "NVIDIA GH200 480GB",
    "NVIDIA L4",
    "NVIDIA L40S",
    "NVIDIA RTX PRO 6000 Blackwell Server Edition",
    "Tesla T4",
    "NVIDIA A10",
    "NVIDIA GeForce RTX 4090",
    "NVIDIA GeForce RTX 5090",
    "NVIDIA Thor",
    "NVIDIA GB10",
    "AMD Instinct MI210",
    "AMD Instinct MI300X OAM",
    "AMD Instinct MI325X",
    "AMD Instinct MI355X",
    "TPU v4",
    "TPU v5 lite",
    "TPU v5",
    "TPU v6 lite",
)


def acme(key: str = "acme-one", pattern: str = "Acme One( 80GB)?", **changes: object) -> Accelerator:
    """Return a made-up accelerator that calls itself "Acme One" or "Acme One 80GB"."""
    row = Accelerator(key=key, vendor="Acme", name=key, form="card", names=Names(nvml=(pattern,)))
    return replace(row, **changes)  # type: ignore[arg-type] # values of any field


@pytest.mark.parametrize(
    ("name", "device", "bfloat16", "bytes_per_s"),
    [
        ("NVIDIA H100 80GB HBM3", "NVIDIA H100 SXM5 80GB", 989e12, 3350e9),
        ("NVIDIA H100 PCIe", "NVIDIA H100 PCIe 80GB", 756.5e12, 2000e9),
        ("NVIDIA H100 NVL", "NVIDIA H100 NVL 94GB", 835.5e12, 3940e9),
        ("NVIDIA H200", "NVIDIA H200 SXM 141GB", 989e12, 4800e9),
        ("NVIDIA A100-SXM4-40GB", "NVIDIA A100 SXM4 40GB", 312e12, 1555e9),
        ("NVIDIA A100 80GB PCIe", "NVIDIA A100 PCIe 80GB", 312e12, 1935e9),
        ("NVIDIA L4", "NVIDIA L4", 121e12, 300e9),
        ("NVIDIA L40S", "NVIDIA L40S", 362.05e12, 864e9),
        ("NVIDIA B200", "NVIDIA B200 SXM 180GB", 2250e12, 7700e9),
        ("AMD Instinct MI300X", "AMD Instinct MI300X", 1307.4e12, 5300e9),
        ("amd instinct  mi325x", "AMD Instinct MI325X", 1307.4e12, 6000e9),
        ("AMD Instinct MI355X", "AMD Instinct MI355X", 2516e12, 8000e9),
        ("TPU v5 lite", "Google TPU v5e", 197e12, 819e9),
    ],
)
def test_a_listed_device(name: str, device: str, bfloat16: float, bytes_per_s: float) -> None:
    """A driver's name leads to the dense peaks of that variant."""
    found = claimed_peaks(name)

    assert found is not None
    assert found.bytes_per_s is not None
    assert (device, bfloat16, bytes_per_s) == (
        found.device,
        found.flops_per_s["bfloat16"].value,
        found.bytes_per_s.value,
    )


@pytest.mark.parametrize(
    "name",
    [
        None,
        "",
        "NVIDIA H100",  # which of three
        "NVIDIA A100",
        "NVIDIA A100-SXM4-80GB MIG 1g.10gb",  # a slice
        "NVIDIA A10G",
        "AMD Instinct MI250X",  # software sees half of it
        "TPU7x",
        "Intel(R) Xeon(R) Processor",
        "AMD EPYC 9654 96-Core Processor",
        "Apple M1",
        "10de:2330",
        "h100-sxm5",  # a key, and no driver's name
    ],
)
def test_no_guess(name: str | None) -> None:
    """A name that is not listed, or does not say which variant, has no claim."""
    assert claimed_peaks(name) is None


def test_every_driver_leads_to_its_own_device() -> None:
    """Each driver's name leads to one device, and no two to the same."""
    found = [claimed_peaks(name) for name in DRIVER_NAMES]

    assert None not in found
    assert len(DRIVER_NAMES) == len({peaks.device for peaks in found if peaks})


def test_ambiguity_is_no_claim() -> None:
    """A name that fits two variants fits none."""
    rows = (acme(), acme("acme-pcie", "Acme One"))

    assert claimed_peaks("Acme One", rows) is None
    assert "Acme acme-one" == (claimed_peaks("Acme One 80GB", rows) or peaks_of(rows[1])).device


def test_figures_of_something_else_are_no_claim() -> None:
    """Where an accelerator's figures are not those of one device, a run of one is not held against them."""
    assert claimed_peaks("Acme One", (acme(not_compared="two devices each"),)) is None


def test_leaked_and_unverified_figures_are_no_claim() -> None:
    """Only what its vendor states, what was copied from it, or what follows from that is relied on."""

    def stated(grade: str) -> Stated:
        return Stated(value=1e12, source="jax", grade=grade, date="2026")  # type: ignore[arg-type] # a grade

    grades = {"float32": "vendor", "int8": "second_hand", "bfloat16": "leak", "float16": "unverified"}
    rates = {precision: stated(grade) for precision, grade in grades.items()}
    found = peaks_of(acme(dense_flops_per_s=rates, memory_bytes_per_s=stated("leak")))

    assert ["float32", "int8"] == list(found.flops_per_s)
    assert found.bytes_per_s is None


def test_sources_are_told() -> None:
    """A claim says where it was read and when, and whether it is second-hand."""
    h100 = peaks_of(accelerator_of("h100-sxm5"))
    h100_nvl = peaks_of(accelerator_of("h100-nvl"))

    assert "NVIDIA aiconfigurator, systems/*.yaml, 2026-08-21" == h100.flops_per_s["bfloat16"].source
    assert h100_nvl.flops_per_s["bfloat16"].source.endswith("citing NVIDIA data sheets, 2026-07-20, second-hand")


def test_the_claims_are_those_of_the_database() -> None:
    """Every dense peak that is relied on is the database's own figure: there is one source."""
    rows = database().accelerators.values()
    pairs = [(row.dense_flops_per_s[name].value, claim.value) for row in rows for name, claim in _claims(row)]

    assert pairs
    assert all(stated == claimed for stated, claimed in pairs)


def _claims(row: Accelerator) -> list[tuple[str, PeakClaim]]:
    return list(peaks_of(row).flops_per_s.items())


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_an_impossible_claim_is_refused(value: float) -> None:
    """A claim is a finite number above nothing."""
    with pytest.raises(ValueError, match=r"value|nothing"):
        PeakClaim(value=value, source="x")
