"""What vendors claim of their devices."""

from collections.abc import Callable

import pytest

from wattbench.results.errors import DocumentError
from wattbench.results.peaks import TABLE, claimed_peaks, read_peaks

ONE = """
read = "2026-01-02"
[sources.sheet]
title = "The sheet"
url = "https://example.com/sheet"
date = "2026-01-01"
grade = "vendor"
[[device]]
name = "Acme One"
match = ['Acme One( 80GB)?']
bytes_per_s = { value = 1e12, source = "sheet", note = "read and write" }
[device.flops_per_s]
bfloat16 = { value = 2e14, source = "sheet" }
"""

TWIN = """
[[device]]
name = "Acme One PCIe"
match = ['Acme One']
[device.flops_per_s]
"""

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


@pytest.mark.parametrize(
    ("name", "device", "bfloat16", "bytes_per_s"),
    [
        ("NVIDIA H100 80GB HBM3", "NVIDIA H100 SXM5 80 GB", 989e12, 3350e9),
        ("NVIDIA H100 PCIe", "NVIDIA H100 PCIe 80 GB", 756.5e12, 2000e9),
        ("NVIDIA H100 NVL", "NVIDIA H100 NVL 94 GB", 835.5e12, 3940e9),
        ("NVIDIA H200", "NVIDIA H200 SXM 141 GB", 989e12, 4800e9),
        ("NVIDIA A100-SXM4-40GB", "NVIDIA A100 SXM4 40 GB", 312e12, 1555e9),
        ("NVIDIA A100 80GB PCIe", "NVIDIA A100 PCIe 80 GB", 312e12, 1935e9),
        ("NVIDIA L4", "NVIDIA L4", 121e12, 300e9),
        ("NVIDIA L40S", "NVIDIA L40S", 362.05e12, 864e9),
        ("NVIDIA B200", "NVIDIA B200 SXM", 2250e12, 7700e9),
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
        "NVIDIA GH200 480GB",
        "AMD Instinct MI250X",  # software sees half of it
        "Intel(R) Xeon(R) Processor",
        "AMD EPYC 9654 96-Core Processor",
        "Apple M1",
    ],
)
def test_no_guess(name: str | None) -> None:
    """A name that is not listed, or does not say which variant, has no claim."""
    assert claimed_peaks(name) is None


def test_every_device_is_found_by_its_own_name() -> None:
    """Each device of the table has a driver's name that leads to it and to no other."""
    found = [claimed_peaks(name) for name in DRIVER_NAMES]

    assert [p.device for p in read_peaks(TABLE.read_text(encoding="utf-8"))] == [p.device for p in found if p]


def test_no_sparse_peak() -> None:
    """Half the bits give at most twice the rate: a figure with 2:4 sparsity would stand out."""
    claims = [p.flops_per_s for p in read_peaks(TABLE.read_text(encoding="utf-8"))]
    halves = [("tf32", "bfloat16"), ("bfloat16", "float8"), ("float8", "int8"), ("int8", "int4")]
    steps = [c[b].value / c[a].value for c in claims for a, b in halves if a in c and b in c]

    assert [] == [step for step in steps if step > 2.05]


def test_sources_are_told() -> None:
    """A claim says where it was read and when, and whether it is second-hand."""
    h100, h100_nvl = claimed_peaks("NVIDIA H100 80GB HBM3"), claimed_peaks("NVIDIA H100 NVL")

    assert h100 is not None
    assert h100_nvl is not None
    assert "NVIDIA aiconfigurator, systems/*.yaml, 2026-08-21" == h100.flops_per_s["bfloat16"].source
    assert h100_nvl.flops_per_s["bfloat16"].source.endswith("citing NVIDIA data sheets, 2026-07-20, second-hand")


def test_ambiguity_is_no_claim() -> None:
    """A name that fits two variants fits none."""
    table = read_peaks(ONE + TWIN)

    assert claimed_peaks("Acme One", table) is None
    assert "Acme One" == (claimed_peaks("Acme One 80GB", table) or table[1]).device


def test_a_bandwidth_may_be_missing() -> None:
    """What no source gives is None."""
    assert read_peaks(ONE + TWIN)[1].bytes_per_s is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: text.replace("bfloat16", "fp4"), "Acme One: unknown precision 'fp4'; known are float32"),
        (lambda text: text.replace("2e14", "-2e14"), "Acme One: bfloat16: a claim is more than nothing"),
        (lambda text: text.replace("2e14", "0.0"), "Acme One: bfloat16: a claim is more than nothing"),
        (lambda text: text.replace("2e14", "inf"), "value must be finite, not inf"),
        (lambda text: text.replace("2e14", "2"), "Acme One: bfloat16: 'value' must be of type float"),
        (lambda text: text.replace('source = "sheet" }', 'source = "rumour" }'), "unknown source 'rumour'"),
        (lambda text: text.replace("note =", "remark ="), "Acme One: bytes_per_s: unknown key 'remark'"),
        (lambda text: text.replace("match =", "names ="), "Acme One: unknown key 'names'"),
        (lambda text: text.replace("name =", "#"), "a device: missing key 'name'"),
        (lambda text: text.replace("'Acme One( 80GB)?'", "'Acme ('"), "'Acme (' is no regular expression"),
        (lambda text: text.replace("'Acme One( 80GB)?'", "1"), "a pattern of 'match' must be a text, got 1"),
        (lambda text: text.replace("vendor", "hearsay"), "sources.sheet: grade must be one of vendor, second_hand"),
        (lambda text: text.replace("url =", "link ="), "sources.sheet: unknown key 'link'"),
        (lambda text: text.replace("read =", "#"), "missing key 'read'"),
        (lambda text: text.replace("[[device]]", "[device]").replace("[device.f", "[device.x.f"), "of type list"),
        (lambda text: "device = [1]\n" + text.partition("[[device]]")[0], "a device must be a table"),
        (lambda _: "read = ", "Invalid value"),
    ],
)
def test_a_wrong_table_is_refused(change: Callable[[str], str], why: str) -> None:
    """Whatever is unknown, missing, of the wrong type or impossible is refused by name."""
    with pytest.raises(DocumentError) as caught:
        read_peaks(change(ONE))

    assert why in caught.value.why
