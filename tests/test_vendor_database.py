"""The database of accelerators: complete, each figure with source, grade and date, dense and sparse apart."""

import re
from collections.abc import Iterator
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.results.errors import DocumentError, UsageError
from wattbench.results.vendor.database import accelerator_of, conflicts_of, database, source_words
from wattbench.results.vendor.reader import parse_database
from wattbench.results.vendor.records import GRADES, Accelerator, Claim, Rent, Stated, StatedText

Leaf = Stated | StatedText | Rent | Claim

SOURCES = """
[sources.sheet]
title = "The sheet"
url = "https://example.com/sheet"
date = "2026-01-01"
read = "2026-02-01"
grade = "vendor"
[sources.page]
title = "A page"
url = "https://example.com/page"
read = "2026-02-01"
grade = "second_hand"
"""

ACME = """
vendor = "Acme"

[[accelerator]]
key = "acme-one"
name = "One 80GB"
form = "PCIe"
memory_bytes_per_s = { value = 1e12, source = "page", note = "read and write" }
tdp_w = { value = 300, source = "sheet", grade = "derived", date = "2025" }
[accelerator.names]
nvml = ['Acme One( 80GB)?']
pci = ["10de:0001"]
[accelerator.dense_flops_per_s]
bfloat16 = { value = 2e14, source = "sheet" }

[[conflict]]
accelerator = "acme-one"
figure = "dense_flops_per_s.bfloat16"
used = 2e14
why = "the sheet is newer"
values = [{ value = 2e14, source = "sheet" }, { value = 1e14, source = "page" }]
"""

KEYS = (
    *("a100-sxm4-40", "a100-sxm4-80", "a100-pcie-40", "a100-pcie-80", "h100-sxm5", "h100-pcie", "h100-nvl"),
    *("h200-sxm", "h200-nvl", "b200-sxm", "gb200", "b300-sxm", "gb300", "gh200", "l4", "l40s"),
    *("rtx-pro-6000-server", "t4", "a10", "rtx-4090", "rtx-5090", "jetson-agx-orin-64", "jetson-thor-t5000", "gb10"),
    *("mi210", "mi250", "mi250x", "mi300x", "mi325x", "mi355x", "epyc-9004", "epyc-9005"),
    *("gaudi2", "gaudi3", "max-1550", "max-1100", "arc-b60", "arc-b580", "xeon-spr", "xeon6-6980p"),
    *("tpu-v4", "tpu-v5e", "tpu-v5p", "tpu-v6e", "tpu7x", "tpu8i"),
    *("inferentia2", "trainium1", "trainium2", "trainium3"),
    *("mtia-v1", "mtia-v2", "mtia-300", "mtia-400", "mtia-450", "mtia-500"),
    *("groq-lpu1", "cerebras-cs2", "cerebras-cs3"),
    *("qaic100-std", "qaic100-pro", "qaic100-ultra", "qualcomm-ai200"),
    *("snapdragon-x-elite", "snapdragon-x2-elite", "snapdragon-8-elite"),
    *("dimensity-9300", "dimensity-9400", "dimensity-9500"),
    *("m1", "m1-pro", "m1-max", "m1-ultra", "m2", "m2-pro", "m2-max", "m2-ultra", "m3", "m3-pro", "m3-max", "m3-ultra"),
    *("m4", "m4-pro", "m4-max", "m5", "m5-pro", "m5-max", "m5-ultra"),
)


def leaves(accelerator: Accelerator) -> Iterator[tuple[str, Leaf]]:
    """Yield every stated figure and word of an accelerator by the name of its field."""
    for field in fields(accelerator):
        value = getattr(accelerator, field.name)
        values = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,)
        yield from ((f"{accelerator.key}.{field.name}", leaf) for leaf in values if isinstance(leaf, Leaf))


def everything() -> list[tuple[str, Leaf]]:
    """Return the leaves of the whole database."""
    return [pair for accelerator in database().accelerators.values() for pair in leaves(accelerator)]


def test_all_accelerators_are_there() -> None:
    """The database has the 88 accelerators that it is said to have, and no two of one key."""
    assert set(KEYS) == set(database().accelerators)
    assert 88 == len(KEYS) == len(database().accelerators)


def test_every_figure_has_source_grade_and_date() -> None:
    """Each leaf names a source that is listed, a grade and a date."""
    known, found = database().sources, everything()
    dated = re.compile(r"(read )?20\d\d(-(0[1-9]|1[0-2])(-\d\d)?|-Q[1-4])?(/20\d\d)?")

    assert 700 < len(found)
    assert [] == [where for where, leaf in found if leaf.source not in known]
    assert [] == [where for where, leaf in found if leaf.grade not in GRADES]
    assert [] == [(where, leaf.date) for where, leaf in found if not dated.fullmatch(leaf.date)]


def test_no_source_is_idle_and_each_says_when_it_was_read() -> None:
    """Every listed source is used, and its address or the lack of one is told."""
    used = {leaf.source for _, leaf in everything()}
    used |= {value.source for conflict in database().conflicts for value in conflict.values}

    assert set(database().sources) == used
    assert [] == [key for key, source in database().sources.items() if not source.read or not source.url]
    unkept = {key for key, source in database().sources.items() if source.url == "not kept"}
    assert unkept == {key for key, source in database().sources.items() if source.grade == "unverified"}


def test_sparse_is_twice_dense_or_the_exception_is_said() -> None:
    """Where both are known, sparse is twice dense; the two that are not say why."""
    pairs = [
        (f"{row.key}.{precision}", sparse, row.dense_flops_per_s[precision])
        for row in database().accelerators.values()
        for precision, sparse in row.sparse_flops_per_s.items()
        if precision in row.dense_flops_per_s
    ]
    exceptions = {where: sparse.note for where, sparse, dense in pairs if abs(sparse.value / dense.value - 2) > 0.02}

    assert {"trainium2.bfloat16", "trainium3.bfloat16"} == set(exceptions)
    assert all("times dense" in note for note in exceptions.values())
    assert "jetson-agx-orin-64.int8" in {where for where, _, _ in pairs}


def test_no_sparse_peak_hides_among_dense_ones() -> None:
    """Half the bits give at most twice the rate: a figure with 2:4 sparsity would stand out."""
    halves = [("tf32", "bfloat16"), ("bfloat16", "float8"), ("float8", "int8"), ("int8", "int4")]
    steps = {
        (row.key, less): row.dense_flops_per_s[less].value / row.dense_flops_per_s[more].value
        for row in database().accelerators.values()
        for more, less in halves
        if more in row.dense_flops_per_s and less in row.dense_flops_per_s
    }
    stated = {("tpu8i", "float8"), ("trainium3", "float8")}

    assert stated == {step for step, ratio in steps.items() if ratio > 2.05}


@pytest.mark.parametrize(
    ("key", "bfloat16", "bytes_per_s", "tdp_w"),
    [
        ("h100-sxm5", 989e12, 3350e9, 700),
        ("h100-pcie", 756.5e12, 2000e9, 350),
        ("h200-sxm", 989e12, 4800e9, 700),
        ("b200-sxm", 2250e12, 7700e9, 1000),
        ("l40s", 362.05e12, 864e9, 350),
        ("mi300x", 1307.4e12, 5300e9, 750),
        ("gaudi3", 1835e12, 3700e9, 900),
        ("tpu-v5e", 197e12, 819e9, None),
        ("tpu7x", 2307e12, 7400e9, None),
        ("inferentia2", 190e12, 880e9, None),
        ("trainium3", 671e12, 4900e9, None),
        ("cerebras-cs3", None, 21e15, 23_000),
        ("qaic100-ultra", None, 548e9, 150),
    ],
)
def test_spot_values(key: str, bfloat16: float | None, bytes_per_s: float, tdp_w: float | None) -> None:
    """The figures of the seeds' accelerators are those of their sources; what none gives is missing."""
    row = accelerator_of(key)
    dense, memory, power = row.dense_flops_per_s.get("bfloat16"), row.memory_bytes_per_s, row.tdp_w

    assert (bfloat16, bytes_per_s, tdp_w) == (dense and dense.value, memory and memory.value, power and power.value)


def test_what_is_not_known_is_missing() -> None:
    """No TDP of a TPU or Trainium, no TOPS of a phone, no dense peak of Cerebras: nothing is guessed."""
    without_power = ("tpu-v5e", "tpu-v5p", "tpu-v6e", "tpu7x", "trainium2", "trainium3")

    assert [None] * 6 == [accelerator_of(key).tdp_w for key in without_power]
    assert {} == accelerator_of("snapdragon-8-elite").dense_flops_per_s
    assert {} == accelerator_of("dimensity-9400").dense_flops_per_s
    assert {} == accelerator_of("cerebras-cs3").dense_flops_per_s
    assert {} == accelerator_of("mtia-450").dense_flops_per_s
    assert ["bfloat16", "float8", "float4"] == list(accelerator_of("mtia-450").unstated_flops_per_s)


def test_conflicts_are_listed() -> None:
    """B200's bandwidth stands with all three figures, the one that is used, and why."""
    conflict = conflicts_of("b200-sxm")[0]

    assert [7700e9, 8000e9, 7672e9] == [value.value for value in conflict.values]
    assert 7700e9 == conflict.used
    assert 19 == len(database().conflicts)


def test_a_name_in_any_case_finds_its_accelerator() -> None:
    """Key, name and full name lead to one accelerator."""
    assert {"l40s"} == {accelerator_of(name).key for name in ("L40S", "l40s", "NVIDIA  L40S")}


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    """A near name is suggested and not taken."""
    with pytest.raises(UsageError) as caught:
        accelerator_of("h100-sxm6")

    assert "Did you mean 'h100-sxm5'?" in caught.value.remedy


def test_a_leaf_takes_grade_and_date_from_its_source() -> None:
    """What a leaf does not say itself is its source's; a text without a date has that of its reading."""
    acme = parse_database(SOURCES, {"acme.toml": ACME}).accelerators["acme-one"]
    dense, memory, power = acme.dense_flops_per_s["bfloat16"], acme.memory_bytes_per_s, acme.tdp_w

    assert memory is not None
    assert power is not None
    assert ("vendor", "2026-01-01") == (dense.grade, dense.date)
    assert ("second_hand", "read 2026-02-01", "read and write") == (memory.grade, memory.date, memory.note)
    assert ("derived", "2025") == (power.grade, power.date)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("value = 2e14", "value = -2e14", "cannot be negative"),
        ("value = 2e14", "value = 0.0", "more than nothing"),
        ("value = 2e14", "value = inf", "at `$.accelerator[0].dense_flops_per_s.bfloat16"),
        ("value = 2e14", 'value = "2e14"', "Expected `float`, got `str`"),
        (
            'source = "page"',
            'source = "rumour"',
            "acme.toml.accelerator: acme-one.memory_bytes_per_s: unknown source 'rumour'",
        ),
        ("note =", "remark =", "Unknown field"),
        ("nvml =", "nvidia =", "Unknown field"),
        ('grade = "derived"', 'grade = "hearsay"', "Invalid enum value 'hearsay'"),
        ("bfloat16 = {", "fp4 = {", "acme-one: unknown precision 'fp4'; known are float32"),
        ("'Acme One( 80GB)?'", "'Acme ('", "acme-one: 'Acme (' is no regular expression"),
        ('"10de:0001"', '"0001"', "acme-one: '0001' is no PCI id such as 10de:2330"),
        ('key = "acme-one"', "", "missing required field `key`"),
        ("used = 2e14", "used = 1e14", "dense_flops_per_s.bfloat16 is 200000000000000.0 in the database"),
        ('accelerator = "acme-one"', 'accelerator = "acme-two"', "there is no such accelerator"),
        ("[[conflict]]", "[[conflicts]]", "Unknown field"),
        ('vendor = "Acme"', "vendor =", "Invalid value"),
    ],
)
def test_a_wrong_file_is_refused_by_its_place(old: str, new: str, why: str) -> None:
    """Whatever is unknown, missing, of the wrong type or impossible is named."""
    with pytest.raises(DocumentError) as caught:
        parse_database(SOURCES, {"acme.toml": ACME.replace(old, new, 1)})

    assert why in caught.value.why


def test_a_key_twice_is_refused() -> None:
    """Two files cannot state one accelerator."""
    with pytest.raises(DocumentError, match="acme-one is there twice"):
        parse_database(SOURCES, {"acme.toml": ACME, "copy.toml": ACME})


@given(dense=st.floats(1e9, 1e16), ratio=st.floats(1.0, 8.0), note=st.sampled_from(["", "4:1, says the sheet"]))
def test_sparse_without_a_word_is_twice_dense(dense: float, ratio: float, note: str) -> None:
    """A record with any other ratio is refused unless a note says why."""

    def stated(value: float, note: str = "") -> Stated:
        return Stated(value=value, source="sheet", grade="vendor", date="2026", note=note)

    def build() -> Accelerator:
        return Accelerator(
            key="x",
            vendor="X",
            name="X",
            form="card",
            dense_flops_per_s={"int8": stated(dense)},
            sparse_flops_per_s={"int8": stated(dense * ratio, note)},
        )

    if note or abs(ratio / 2 - 1) < 0.0099:
        assert build().key == "x"
    elif abs(ratio / 2 - 1) > 0.0101:
        with pytest.raises(ValueError, match="sparse int8 is not twice dense"):
            build()


def test_sources_in_words() -> None:
    """A source is told with its date, and with its grade where it is not the vendor's own word."""
    assert "NVIDIA aiconfigurator, systems/*.yaml, 2026-08-21" == source_words("aiconfigurator")
    assert source_words("lightning").endswith("citing NVIDIA data sheets, 2026-07-20, second-hand")
