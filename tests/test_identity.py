"""Hardware identity: which facts make a fingerprint, which names make a class, and what may be compared with what."""

import hashlib
import random
from dataclasses import fields, replace
from typing import Any

import index_case
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from wattbench.results.document import Result
from wattbench.results.environment import AcceleratorFacts, CpuFacts, Environment, HostFacts
from wattbench.results.identity.classes import class_of, class_text, hardware_classes
from wattbench.results.identity.comparability import (
    FIELDS,
    comparability_fields,
    comparability_key,
    differing_fields,
)
from wattbench.results.identity.facts import HARDWARE_FACTS, NOT_FACTS, fingerprint_of, hardware_facts
from wattbench.results.imported import StatedSystem
from wattbench.results.subject import RankRecord

RECORDS = {"host.": HostFacts, "cpu.": CpuFacts, "accelerators[].": AcceleratorFacts, "stated.": StatedSystem}
DERIVED = {"host.memory_gib"}


def with_environment(**overrides: Any) -> Result:  # any: values of any field
    """Return a result whose environment has other fields."""
    base = index_case.make_gpu_result()
    return replace(base, environment=replace(base.environment, **overrides))


def boards(*names: str) -> tuple[AcceleratorFacts, ...]:
    """Return boards of some names."""
    base = index_case.make_gpu_result().environment.accelerators[0]
    return tuple(replace(base, name=name, index=n, uuid=f"GPU-{n}") for n, name in enumerate(names))


def other(value: object) -> object:
    """Return another value of the same type."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value * 3 + 3 * 2**30
        case tuple():
            return (*value, "avx1024")
        case _:
            return f"{value} other" if value is not None else 12.0


def test_every_fact_of_the_environment_is_judged() -> None:
    """Each field of the machine's records is in the fingerprint or in the list of those that are not, with a reason."""
    known = {fact.path for fact in HARDWARE_FACTS} | set(NOT_FACTS)
    named = {f"{prefix}{field.name}" for prefix, record in RECORDS.items() for field in fields(record)}

    assert named | DERIVED == known
    assert set() == {fact.path for fact in HARDWARE_FACTS} & set(NOT_FACTS)
    assert {"host", "cpu", "accelerators", "python", "packages", "variables"} == {f.name for f in fields(Environment)}


def test_the_fingerprint_is_the_digest_of_the_facts() -> None:
    """Anybody computes it again: sha256 over RFC 8785 of the facts and the version of their list."""
    result = index_case.make_gpu_result()
    stated = {"version": 1, "facts": hardware_facts(result)}

    assert fingerprint_of(result) == "sha256:" + hashlib.sha256(rfc8785.dumps(stated)).hexdigest()


@pytest.mark.parametrize("path", [fact.path for fact in HARDWARE_FACTS if not fact.path.startswith("stated.")])
def test_any_listed_fact_changes_the_fingerprint(path: str) -> None:
    """A machine that differs in one listed fact is another machine."""
    base = index_case.make_gpu_result()
    section, name = path.rsplit(".", 1)
    field = "memory_bytes" if path in DERIVED else name
    records = {"host": base.environment.host, "cpu": base.environment.cpu}
    record = records.get(section, base.environment.accelerators[0])
    changed = replace(record, **{field: other(getattr(record, field))})
    whole = {section: changed} if section in records else {"accelerators": (changed,)}

    assert fingerprint_of(base) != fingerprint_of(with_environment(**whole))


@given(
    names=st.lists(st.sampled_from(["H100", "H200", "L4"]), min_size=1, max_size=8),
    limits=st.lists(st.sampled_from([None, 300.0, 700.0]), min_size=8, max_size=8),
    seed=st.randoms(),
)
def test_the_order_of_accelerators_means_nothing(
    names: list[str], limits: list[float | None], seed: random.Random
) -> None:
    """Boards, their numbers and their serial numbers may come in any order; how many of each does matter."""
    found = [replace(b, power_limit_w=limit) for b, limit in zip(boards(*names), limits, strict=False)]
    shuffled = [replace(b, index=n, uuid=f"GPU-{n * 7}") for n, b in enumerate(seed.sample(found, len(found)))]
    first, second = (with_environment(accelerators=tuple(each)) for each in (found, shuffled))

    assert fingerprint_of(first) == fingerprint_of(second)
    assert fingerprint_of(first) != fingerprint_of(with_environment(accelerators=(*found, found[0])))


def test_what_is_no_hardware_leaves_the_fingerprint() -> None:
    """The kernel, the load of the machine, packages and some megabytes of memory are no hardware."""
    base = index_case.make_gpu_result()
    host = replace(base.environment.host, kernel="7.0", load_average_1m=9.0, memory_bytes=16 * 2**30 - 5_000_000)
    cpu = replace(base.environment.cpu, features=("fma", "avx2"))

    assert fingerprint_of(base) == fingerprint_of(with_environment(host=host, cpu=cpu, packages={}, variables={}))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("NVIDIA H100 80GB HBM3", "nvidia/h100-sxm5"),
        ("nvidia  h100 80gb hbm3", "nvidia/h100-sxm5"),
        ("AMD Instinct MI300X", "amd/mi300x"),
        ("TPU v5 lite", "google/tpu-v5e"),
        ("NVIDIA H100", "unmapped:NVIDIA H100"),
        ("NVIDIA H100 80GB HBM3 Ti", "unmapped:NVIDIA H100 80GB HBM3 Ti"),
        ("", "unmapped:unknown"),
        (None, "unmapped:unknown"),
    ],
)
def test_a_class_is_a_name_that_the_database_knows_whole(name: str | None, expected: str) -> None:
    """A whole known name has a class; any other keeps its own name, and is never taken for the nearest."""
    assert expected == class_of(name, ("driver",))


def test_a_processor_class_holds_its_model_and_its_share() -> None:
    """Processors of one series are different hardware, and so are four cores of one and all of them."""
    base = index_case.make_gpu_result()
    assert base.backend is not None
    models = ("AMD EPYC 9654 96-Core Processor", "AMD EPYC 9554 64-Core Processor", "Intel(R) Xeon(R) Processor")
    texts = []
    for model in models:
        cpu = replace(base.environment.cpu, model=model, sockets=2, cores_usable=4.0)
        environment = replace(base.environment, cpu=cpu)
        on_cpu = replace(base, environment=environment, backend=replace(base.backend, device="cpu", device_name=model))
        texts.append(class_text(hardware_classes(on_cpu)))

    assert [
        "amd/epyc-9004:amd-epyc-9654-96-core-processor x2 (4 cores)",
        "amd/epyc-9004:amd-epyc-9554-64-core-processor x2 (4 cores)",
        "unmapped:Intel(R) Xeon(R) Processor x2 (4 cores)",
    ] == texts


def test_ranks_are_counted_by_their_devices() -> None:
    """Eight ranks on eight boards are eight devices; a board that is cut into instances is not that board."""
    base = index_case.make_gpu_result()
    assert base.backend is not None
    ranks = tuple(
        RankRecord(rank=n, device=f"cuda:{n}", device_name=index_case.H100, covers=None, memory_peak_bytes=None)
        for n in range(8)
    )
    whole = replace(base, backend=replace(base.backend, ranks=ranks))
    board = replace(base.environment.accelerators[0], mig=True)
    cut = replace(base, environment=replace(base.environment, accelerators=(board,)))

    assert "nvidia/h100-sxm5 x8" == class_text(hardware_classes(whole))
    assert "unmapped:NVIDIA H100 80GB HBM3 (cut into instances) x1" == class_text(hardware_classes(cut))


def test_unlike_results_are_told_apart_by_field() -> None:
    """Two documents have one key exactly where no field differs, and the fields that differ are named with values."""
    first = index_case.make_gpu_result()
    second = index_case.make_gpu_result("NVIDIA L4")
    fields_of = comparability_fields(first)

    assert set(FIELDS) == set(fields_of)
    assert () == differing_fields(first, replace(first, run=replace(first.run, id="another")))
    assert [("class", "nvidia/h100-sxm5 x1", "nvidia/l4 x1")] == [
        (d.field, d.first, d.other) for d in differing_fields(first, second)
    ]
    assert comparability_key(fields_of) != comparability_key(comparability_fields(second))


@pytest.mark.parametrize("name", FIELDS)
def test_any_field_changes_the_key(name: str) -> None:
    """A key holds every field."""
    found = comparability_fields(index_case.make_gpu_result())

    assert comparability_key(found) != comparability_key(found | {name: "another"})


def test_batch_engine_and_tuning_leave_the_key() -> None:
    """How a machine was used is not what is compared."""
    base = index_case.make_gpu_result()
    assert base.backend is not None
    used = replace(base, backend=replace(base.backend, engine="compiled", tuning="max", threads=9))
    used = replace(used, plan=replace(base.plan, batch=64))

    assert comparability_key(comparability_fields(base)) == comparability_key(comparability_fields(used))
