"""Tensor parallelism for real: ranks in processes of their own that compute together through gloo on the CPU."""

import os
import signal
import time
from dataclasses import replace

import numpy
import psutil
import pytest

pytest.importorskip("torch", reason="this is the torch backend")

import torch
from torch import distributed

from wattbench.backends.contract import Batch, DeviceInfo, Preparation
from wattbench.backends.torch import seats, team
from wattbench.backends.torch.backend import TorchBackend
from wattbench.backends.torch.orders import Execute, Inputs, Outbox, from_line, to_line
from wattbench.backends.torch.ranks import library_missing
from wattbench.backends.torch.team import rank_preparation
from wattbench.harness.quality import compare
from wattbench.models.find import find_load
from wattbench.models.load import Load
from wattbench.models.torch_reference import reference_outputs
from wattbench.results.errors import DeviceError, UsageError, WorkerError
from wattbench.testing import make_batch

if not (distributed.is_available() and distributed.is_gloo_available()):
    pytest.skip("this build of torch has no gloo", allow_module_level=True)

DECODER, ENCODER = find_load("tiny-decoder/tiny"), find_load("tiny-encoder/tiny-encode")


def preparation(load: Load = DECODER, *, ranks: int = 2, precision: str = "float32", **changes: object) -> Preparation:
    """Return a preparation for two requests at once, shared out over ranks on the CPU with a thread each."""
    plain = Preparation(
        load=load,
        weights="synthetic",
        seed=0,
        precision=precision,
        device="cpu",
        batch=2,
        threads=max(1, ranks),
        affinity=None,
        devices=("cpu",) * ranks if ranks > 1 else (),
    )
    return replace(plain, **changes)  # type: ignore[arg-type] # a field's own type


def outputs_of(prepared: Preparation, forced: numpy.ndarray | None) -> numpy.ndarray:
    """Return a prepared backend's numbers for one batch, after an execution of it."""
    backend = TorchBackend()
    try:
        backend.prepare(prepared)
        batch = make_batch(prepared.load, 2)
        backend.run(batch)
        return backend.outputs(batch, forced).values
    finally:
        backend.close()


@pytest.mark.parametrize(
    ("load", "precision", "tuning"),
    [(DECODER, "float32", "eager"), (DECODER, "float32", "compiled"), (ENCODER, "float32", "eager")],
    ids=["decoder", "compiled decoder", "encoder"],
)
def test_two_ranks_compute_what_one_process_does(load: Load, precision: str, tuning: str) -> None:
    """Logits of prompt and steps, and an encoder's vectors, are the unsharded ones up to the order of summation."""
    forced = numpy.arange(6, dtype=numpy.int64) if load is DECODER else None
    whole = outputs_of(preparation(load, ranks=1, precision=precision), forced)
    shared = outputs_of(preparation(load, precision=precision, tuning=tuning), forced)

    assert numpy.allclose(whole, shared, atol=1e-5)
    assert numpy.array_equal(whole.argmax(-1), shared.argmax(-1))


def test_the_gate_compares_the_ranks_with_the_unsharded_reference() -> None:
    """int8 weights, rounded by each rank for its own part, pass the bound of their precision."""
    batch = make_batch(DECODER, 2)
    one = Batch(arrays={k: a[:1] for k, a in batch.arrays.items()}, requests=1, input_tokens=0, output_tokens=0)
    reference = reference_outputs(DECODER.model, one.arrays, 6, weights="synthetic", seed=0)
    found = outputs_of(preparation(precision="int8"), reference.forced_tokens)

    assert compare(found, reference.values, DECODER.model.tolerance("int8"), "int8").passed


def test_one_result_stands_for_all_ranks() -> None:
    """The record names every rank, adds their memory, has the whole model's digest, and the times are in order."""
    backend, alone = TorchBackend(), TorchBackend()
    try:
        prepared = backend.prepare(preparation())
        record = prepared.backend
        done = backend.run(make_batch(DECODER, 2))

        assert [(0, "cpu", "cpu"), (1, "cpu", "cpu")] == [(r.rank, r.device, r.covers) for r in record.ranks]
        assert record.memory_peak_bytes == sum(r.memory_peak_bytes or 0 for r in record.ranks)
        assert ("float32", 2) == (record.precision_effective, record.threads)
        assert "tensor parallel over 2 ranks, sums by gloo" in record.tuning
        assert prepared.weights.digest == alone.prepare(preparation(ranks=1)).weights.digest
        stamps = (done.start_ns, done.first_output_ns or 0, *done.step_end_ns, done.end_ns)
        assert list(stamps) == sorted(stamps)
        assert (2, DECODER.shape.output_tokens * 2) == (done.requests, done.output_tokens)
        assert (backend.memory_peak_bytes() or 0) >= (record.memory_peak_bytes or 0)
    finally:
        backend.close()
        alone.close()


def followers() -> list[psutil.Process]:
    """Return the living ranks that this process has started."""
    return [p for p in psutil.Process().children() if any("follower" in word for word in p.cmdline())]


def test_closing_ends_every_rank() -> None:
    """After close no rank lives, and a new team can be prepared in the same process."""
    backend = TorchBackend()
    backend.prepare(preparation())
    (rank,) = followers()
    backend.close()
    backend.close()

    assert not psutil.pid_exists(rank.pid) or rank.status() == psutil.STATUS_ZOMBIE
    with pytest.raises(DeviceError, match="not prepared"):
        backend.run(make_batch(DECODER, 2))
    assert [] == followers()


def test_a_killed_rank_ends_the_load_with_its_name() -> None:
    """The collective that it leaves is told as the death of that rank, at once and not after a time-out."""
    backend = TorchBackend()
    backend.prepare(preparation())
    (rank,) = followers()
    rank.kill()
    start_s = time.monotonic()
    with pytest.raises(WorkerError, match=r"The process of rank 1 of 2 \(cpu\) died") as caught:
        backend.run(make_batch(DECODER, 2))
    took_s = time.monotonic() - start_s
    backend.close()

    assert "SIGKILL" in caught.value.why
    assert took_s < 20


def test_a_rank_that_stands_still_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rank that neither answers nor dies is found by the time-out of the collective, and ended."""
    monkeypatch.setattr("wattbench.backends.torch.ranks.COLLECTIVE_TIMEOUT_S", 3.0)
    monkeypatch.setattr(team, "CAUSE_WAIT_S", 0.5)
    backend = TorchBackend()
    backend.prepare(preparation())
    (rank,) = followers()
    os.kill(rank.pid, signal.SIGSTOP)
    with pytest.raises(WorkerError, match="The ranks have lost each other") as caught:
        backend.run(make_batch(DECODER, 2))
    backend.close()

    assert "all of them live" in caught.value.why
    assert [] == followers()


def test_a_failure_of_another_rank_keeps_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a rank raised is raised again with the rank's name in it, here for weights that do not exist."""

    def other_device(p: Preparation, rank: int) -> Preparation:
        own = rank_preparation(p, rank)
        return own if rank == 0 else replace(own, weights="/no/such/folder")

    monkeypatch.setattr(team, "rank_preparation", other_device)
    backend = TorchBackend()
    with pytest.raises(UsageError, match=r"The process of rank 1 of 2 \(cpu\) failed: tiny-decoder has no real"):
        backend.prepare(preparation())
    backend.close()

    assert [] == followers()


def test_ranks_on_a_cpu_share_its_threads_and_processors() -> None:
    """Five threads and processors are two ranks of two, the odd processor going to the last."""
    p = preparation(threads=5, affinity=(0, 1, 2, 3, 4))

    assert [((0, 1), 2), ((2, 3, 4), 2)] == [
        (rank.affinity, rank.threads) for rank in (rank_preparation(p, 0), rank_preparation(p, 1))
    ]


def test_inputs_travel_once() -> None:
    """A batch that the ranks know is sent by number alone; the arrays arrive whole, and old ones are forgotten."""
    outbox, inputs = Outbox(), Inputs()
    batches = [make_batch(DECODER, 2, seed) for seed in range(20)]
    sizes = []
    for batch in (*batches, batches[-1]):
        line = to_line(outbox.execute(batch, outputs=False, forced_tokens=None))
        sizes.append(len(line))
        order = from_line(line)
        assert isinstance(order, Execute)
        found = inputs.batch(order)
        assert all(numpy.array_equal(array, found.arrays[name]) for name, array in batch.arrays.items())

    assert sizes[-1] < min(sizes[:-1])
    assert outbox._kept.keys() == inputs._kept.keys()


def test_a_line_that_is_no_message_is_refused() -> None:
    """Whatever stands on the pipe instead of a message is named."""
    with pytest.raises(WorkerError, match="do not understand each other"):
        from_line(b"hello\n")


def test_a_torch_without_distributed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device and what is missing are named, with what to do."""
    monkeypatch.setattr(distributed, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=r"built without torch\.distributed") as caught:
        TorchBackend().rank_devices(DECODER, "cpu", 2)

    assert "leave out --tensor-parallel" in caught.value.remedy


@pytest.mark.parametrize(("kind", "says"), [("cpu", "without gloo"), ("cuda", "without nccl"), ("mps", "cpu and cuda")])
def test_a_missing_library_of_collectives_is_named(monkeypatch: pytest.MonkeyPatch, kind: str, says: str) -> None:
    """Which one a device type needs, and that others have none."""
    monkeypatch.setattr(distributed, "is_gloo_available", lambda: False)
    monkeypatch.setattr(distributed, "is_nccl_available", lambda: False)

    assert says in str(library_missing(kind))


def boards(*names: str) -> tuple[DeviceInfo, ...]:
    """Return made-up GPUs of those kinds."""
    return tuple(
        DeviceInfo(
            name=f"cuda:{index}",
            description=name,
            memory_bytes=None,
            precisions=("bfloat16",),
            precision_default="bfloat16",
            power_covers=f"GPU-{index}",
        )
        for index, name in enumerate(names)
    )


def test_ranks_take_the_named_device_and_those_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too few, and unlike ones, are refused with what is there."""
    here = boards("A", "A", "A", "B")
    monkeypatch.setattr(seats, "device_infos", lambda: here)
    monkeypatch.setattr(seats, "find_device", lambda name: next(info for info in here if info.name == name))
    monkeypatch.setattr(distributed, "is_nccl_available", lambda: True)

    assert ("cuda:1", "cuda:2") == tuple(info.name for info in TorchBackend().rank_devices(DECODER, "cuda:1", 2))
    with pytest.raises(UsageError, match=r"from cuda:3 on there are 1 \(in all: cuda:0, cuda:1"):
        TorchBackend().rank_devices(DECODER, "cuda:3", 2)
    with pytest.raises(UsageError, match="cuda:2 is a A, cuda:3 a B"):
        TorchBackend().rank_devices(DECODER, "cuda:2", 2)


@pytest.mark.gpu
def test_two_gpus_compute_what_one_does() -> None:
    """Needs two NVIDIA GPUs and NCCL: the logits in bfloat16 pass the gate against the unsharded reference."""
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two NVIDIA GPUs")
    batch = make_batch(DECODER, 2)
    one = {name: array[:1] for name, array in batch.arrays.items()}
    reference = reference_outputs(DECODER.model, one, 6, weights="synthetic", seed=0)
    shared = preparation(precision="bfloat16", device="cuda:0", devices=("cuda:0", "cuda:1"), tuning="max")
    found = outputs_of(shared, reference.forced_tokens)

    assert compare(found, reference.values, DECODER.model.tolerance("bfloat16"), "bfloat16").passed
