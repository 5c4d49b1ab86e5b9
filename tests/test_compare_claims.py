"""Measured against claimed: shares where conditions agree, reasons where they do not."""

from dataclasses import replace
from types import ModuleType

import pytest

from wattbench.results.compare_claims import ClaimRow, check_claims, device_match
from wattbench.results.document import Result
from wattbench.results.vendor.database import accelerator_of, database
from wattbench.results.vendor.records import Accelerator, Claim


def run(factories: ModuleType, **backend: object) -> Result:
    """Return a run in bfloat16 on an L4, with energies of its board; `backend` changes what ran it."""
    made = replace(
        factories.make_backend(),
        **{
            "mock": False,
            "device": "cuda:0",
            "device_name": "NVIDIA L4",
            "precision_effective": "bfloat16",
            **backend,
        },
    )
    found: Result = factories.make_result(backend=made, doubts=())
    return found


def rows_of(result: Result, accelerator: Accelerator) -> dict[str, ClaimRow]:
    """Return the rows of a check by what they are of."""
    return {row.what: row for row in check_claims(result, accelerator)}


def claim(**changes: object) -> Claim:
    """Return a claim whose conditions are those of the made-up run."""
    made = Claim(
        model="Tiny Decoder",
        metric="output_tokens_per_s",
        value=8.0,
        source="tensorrt-llm",
        grade="vendor",
        date="2026",
        devices=1,
        precision="bfloat16",
        input_tokens=16,
        output_tokens=4,
    )
    return replace(made, **changes)  # type: ignore[arg-type] # values of any field


def throughput_row(result: Result, stated: Claim) -> ClaimRow:
    """Return the row of one throughput claim of an L4."""
    return check_claims(result, replace(accelerator_of("l4"), claims=(stated,)))[-1]


def test_shares_of_the_dense_peak_and_of_memory(factories: ModuleType) -> None:
    """The made-up run does 80 MFLOP/s of 121 TFLOP/s, and its decode 20.4 MB/s of 300 GB/s."""
    found = rows_of(run(factories), accelerator_of("l4"))
    products, memory = found["bfloat16 products, whole window"], found["memory, decode"]

    assert 121e12 == products.claim
    assert 80e6 / 121e12 == pytest.approx(products.share, rel=0.01)
    assert 300e9 == memory.claim
    assert memory.share == pytest.approx((memory.measured or 0) / 300e9)
    assert products.source.startswith("NVIDIA aiconfigurator")


def test_a_board_over_its_nameplate(factories: ModuleType) -> None:
    """About 300 W of the board over 72 W is a share, with the nameplate's source."""
    power = rows_of(run(factories), accelerator_of("l4"))["mean power, board, over nameplate"]

    assert (72, "W") == (power.claim, power.unit)
    assert power.share == pytest.approx((power.measured or 0) / 72)
    assert power.low is not None


def test_the_wall_sees_more_than_the_device(factories: ModuleType) -> None:
    """Power at the wall over the nameplate is given, and said to be the whole machine's."""
    result = run(factories)
    assert result.summary is not None
    metrics = tuple(replace(m, scope="wall") if m.scope else m for m in result.summary.metrics)
    result = replace(result, summary=replace(result.summary, metrics=metrics))
    power = rows_of(result, accelerator_of("l4"))["mean power, wall, over nameplate"]

    assert power.share is not None
    assert "whole machine" in power.reason


def test_a_packages_power_is_not_a_boards(factories: ModuleType) -> None:
    """The processor's package does not see an accelerator."""
    result = run(factories)
    assert result.summary is not None
    metrics = tuple(replace(m, scope="package") if m.scope else m for m in result.summary.metrics)
    result = replace(result, summary=replace(result.summary, metrics=metrics))
    power = rows_of(result, accelerator_of("l4"))["mean power, package, over nameplate"]

    assert (None, "the scope package does not see this device") == (power.share, power.reason)


def test_without_energy_the_nameplate_waits(factories: ModuleType) -> None:
    """No sensor, no share of the nameplate: the reason is the sensor's."""
    result = run(factories)
    assert result.summary is not None
    metrics = tuple(
        replace(m, value=None, reason="no power sensor", interval=None, samples=()) if m.name == "power.mean" else m
        for m in result.summary.metrics
    )
    result = replace(result, summary=replace(result.summary, metrics=metrics))
    power = rows_of(result, accelerator_of("l4"))["mean power, board, over nameplate"]

    assert (None, "no power sensor") == (power.share, power.reason)


def test_no_nameplate_no_share(factories: ModuleType) -> None:
    """Google states no TDP: there is no share, and it says so."""
    power = rows_of(run(factories, device_name="TPU v5 lite"), accelerator_of("tpu-v5e"))

    assert "no nameplate power is listed for Google TPU v5e" == power["mean power, board, over nameplate"].reason


def test_a_series_is_no_device(factories: ModuleType) -> None:
    """The figures of a series of processors are held against none of its models."""
    power = rows_of(run(factories), accelerator_of("epyc-9004"))["mean power, board, over nameplate"]

    assert (None, "its figures are those of a series whose models differ") == (power.share, power.reason)


def test_a_precision_without_claim(factories: ModuleType) -> None:
    """A precision that no source states a peak of has no share."""
    found = rows_of(run(factories, precision_effective="int4"), accelerator_of("l4"))

    assert "no claim is listed for NVIDIA L4" == found["int4 products, whole window"].reason


def test_a_throughput_claim_whose_conditions_agree(factories: ModuleType) -> None:
    """Same model, lengths, precision and devices: the share has the interval of the rate."""
    row = throughput_row(run(factories), claim())

    assert row.share == pytest.approx((row.measured or 0) / 8)
    assert row.low is not None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"model": "Llama-3.1-8B"}, "another model than tiny-decoder"),
        ({"input_tokens": 1000}, "tokens in: 16, claimed with 1000"),
        ({"output_tokens": None}, "the claim does not say its tokens out"),
        ({"devices": 8}, "devices: 1, claimed with 8"),
        ({"precision": "float8"}, "precision: bfloat16, claimed with float8"),
        ({"precision": None}, "the claim does not say its precision"),
        ({"benchmark": "MLPerf Inference v5.1"}, "MLPerf Inference v5.1 has requests of its own"),
        ({"metric": "tokens_per_s_per_user"}, "tokens per s per user is not a rate of the system"),
    ],
)
def test_a_throughput_claim_whose_conditions_differ(
    factories: ModuleType, changes: dict[str, object], why: str
) -> None:
    """What differs, or what the claim does not say, keeps the two apart and is told."""
    row = throughput_row(run(factories), claim(**changes))

    assert row.share is None
    assert why in row.reason


def test_the_device_of_a_run(factories: ModuleType) -> None:
    """An accelerator is known by its driver's name, a processor by its model."""
    rows = database().accelerators.values()
    board = device_match(run(factories), rows)
    host = run(factories, device="cpu", device_name="a processor")
    cpu = replace(host.environment.cpu, model="AMD EPYC 9654 96-Core Processor")
    processor = device_match(replace(host, environment=replace(host.environment, cpu=cpu)), rows)

    assert board.accelerator is not None
    assert processor.accelerator is not None
    assert ("l4", "epyc-9004") == (board.accelerator.key, processor.accelerator.key)


def test_a_mock_has_no_device(factories: ModuleType) -> None:
    """A mock is no device of the database, whatever name it has."""
    found = device_match(factories.make_result(), database().accelerators.values())

    assert (None, "the device is a mock or emulated") == (found.accelerator, found.reason)
