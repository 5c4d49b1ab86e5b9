"""Recognising an accelerator: known names and ids lead to one, everything else stays unknown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.results.vendor.database import database
from wattbench.results.vendor.match import IDENTITY_KINDS, Identity, IdentityKind, Match, match_accelerator

ROWS = tuple(database().accelerators.values())


def match(kind: IdentityKind, value: str) -> Match:
    """Return what a name leads to in the package's database."""
    return match_accelerator(Identity(kind=kind, value=value), ROWS)


@pytest.mark.parametrize(
    ("kind", "value", "key"),
    [
        ("nvml", "NVIDIA H100 80GB HBM3", "h100-sxm5"),
        ("nvml", "Tesla T4", "t4"),
        ("nvml", "NVIDIA GH200 480GB", "gh200"),
        ("rocm", "AMD Instinct MI300X OAM", "mi300x"),
        ("rocm", "amd  instinct mi250x", "mi250x"),
        ("jax", "TPU v5 lite", "tpu-v5e"),
        ("jax", "TPU v5", "tpu-v5p"),
        ("jax", "TPU7x", "tpu7x"),
        ("pci", "10de:2330", "h100-sxm5"),
        ("pci", "10DE:26B9", "l40s"),
        ("pci", "1d0f:7364", "trainium2"),
        ("pci", "1da3:1060", "gaudi3"),
        ("pci", "8086:e211", "arc-b60"),
        ("cpu", "Intel(R) Xeon(R) Platinum 8480+", "xeon-spr"),
        ("cpu", "Intel(R) Xeon(R) 6980P", "xeon6-6980p"),
        ("cpu", "AMD EPYC 9654 96-Core Processor", "epyc-9004"),
        ("cpu", "AMD EPYC 9965 192-Core Processor", "epyc-9005"),
        ("apple", "Apple M4 Max", "m4-max"),
        ("neuron", "inf2", "inferentia2"),
        ("driver", "NVIDIA L4", "l4"),
        ("text", "NVIDIA L4", "l4"),
        ("text", "l4", "l4"),
        ("text", "Cloud AI 100 Ultra", "qaic100-ultra"),
        ("text", "10de:27b8", "l4"),
        ("text", "Apple M1 Pro", "m1-pro"),
    ],
)
def test_a_known_name(kind: IdentityKind, value: str, key: str) -> None:
    """A name of a driver, the kernel, a processor or a person leads to its accelerator."""
    found = match(kind, value).accelerator

    assert found is not None
    assert key == found.key


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("nvml", "NVIDIA H100"),
        ("nvml", "NVIDIA A100-SXM4-80GB MIG 1g.10gb"),
        ("nvml", "TPU v4"),
        ("pci", "10de:ffff"),
        ("pci", "26b9"),
        ("cpu", "Intel(R) Xeon(R) Processor"),
        ("cpu", "Intel(R) Xeon(R) Platinum 8380 CPU @ 2.30GHz"),
        ("cpu", "Intel(R) Xeon(R) Platinum 8592+"),
        ("cpu", "AMD EPYC 7763 64-Core Processor"),
        ("apple", "Apple M9"),
        ("text", "H100"),
        ("text", "A100 80GB"),
        ("text", ""),
        ("text", "   "),
    ],
)
def test_an_unknown_name_stays_unknown(kind: IdentityKind, value: str) -> None:
    """A name that does not fit as a whole, or names no variant, leads nowhere."""
    found = match(kind, value)

    assert found.accelerator is None
    assert found.reason


def test_near_names_are_told_and_not_taken() -> None:
    """A slip of the pen is answered with names near to it."""
    found = match("text", "NVIDIA L40")

    assert found.accelerator is None
    assert "l40s" in found.suggestions
    assert "near to it, but not taken" in found.reason


def test_an_id_of_several_is_that_of_none() -> None:
    """Qualcomm's three boards share a PCI id, and two of AMD's: which one it is cannot be told."""
    qualcomm, amd = match("pci", "17cb:a100"), match("pci", "1002:740c")

    assert (None, None) == (qualcomm.accelerator, amd.accelerator)
    assert ("qaic100-std", "qaic100-pro", "qaic100-ultra") == qualcomm.suggestions
    assert {"mi250", "mi250x"} == set(amd.suggestions)


def test_an_unverified_name_is_said_to_be_one() -> None:
    """A name that nobody saw on a device is recognised, and told as such."""
    assert "name unverified" in match("nvml", "NVIDIA H100 PCIe").reason


@given(kind=st.sampled_from(IDENTITY_KINDS), value=st.text(max_size=40))
def test_no_text_is_taken_for_another(kind: IdentityKind, value: str) -> None:
    """Whatever is given either leads to one accelerator or to a reason."""
    found = match(kind, value)

    assert (found.accelerator is None) or value.strip()
    assert found.reason


def test_a_name_that_begins_as_others_do_has_near_ones() -> None:
    """A model that does not exist names its maker's nearest, and none is taken; a stranger has none."""
    near, strange = match("text", "NVIDIA H999"), match("text", "who knows")

    assert near.accelerator is None
    assert 3 == len(near.suggestions)
    assert all(key.startswith("h") for key in near.suggestions), near.suggestions
    assert "near to it, but not taken: h" in near.reason
    assert () == strange.suggestions
