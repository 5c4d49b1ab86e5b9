"""What LiteRT's benchmark_model prints: phases, delegates, failures, and older versions of it."""

from pathlib import Path

import pytest

from wattbench.backends.litert.benchmark_model import Applied, Batchwise, Replaced, arguments, parse, refused
from wattbench.backends.litert.phone_devices import device_of, judge
from wattbench.results.errors import DeviceError

DATA = Path(__file__).parent / "data" / "android"
NEW, OLD, FAILED = ((DATA / f"{name}.txt").read_text() for name in ("new", "old", "failed"))

TOOK = "VERBOSE: Replacing {} out of {} node(s) with delegate ({}) node, yielding 1 partitions for subgraph 0."
REST = TOOK.format(40, 41, "TfLiteXNNPackDelegate")
APPLIED = "INFO: Explicitly applied GPU delegate, and the model graph will be "
WHOLE, PART = (
    f"{APPLIED}completely executed by the delegate.",
    f"{APPLIED}partially executed by the delegate w/ 2 kernels.",
)
NONE = "INFO: Though GPU delegate is explicitly applied, the model graph will not be executed by the delegate."
BEGIN = (
    "INFO: Running benchmark for at least 1 iterations and at least 0 seconds but terminate if exceeding 60 seconds."
)
RUNS = f"{BEGIN}\nINFO: count=0\n{BEGIN}\nINFO: count=1 curr=9993"


def gpu_took(nodes: int) -> str:
    """Return the line that tells how many of 100 nodes the GPU's delegate took."""
    return TOOK.format(nodes, 100, "TfLiteGpuDelegateV2")


def stamped(*texts: str) -> list[tuple[float, str]]:
    """Return lines, one a second from 100 s on."""
    return [(100.0 + i, line) for i, line in enumerate("\n".join(texts).splitlines())]


def test_a_whole_run() -> None:
    """Both phases are read with when they began and ended, and how long an execution took; what took the nodes too."""
    found = parse(stamped(NEW))
    runs = found.runs

    assert (24, 0.0423948, 0.041938, 0.04284) == (runs.count, runs.mean_s, runs.min_s, runs.max_s)
    assert (0.000188, 0.042419) == (runs.std_s, runs.median_s)
    assert (113.0, 114.0) == (runs.start_s, runs.end_s)
    assert found.warm_up is not None
    assert (11, 0.207799) == (found.warm_up.count, found.init_s)
    assert (Replaced(delegate="TfLiteXNNPackDelegate", taken=2136, nodes=2168),) == found.replaced
    assert "" == found.unknown


def test_an_older_tool() -> None:
    """Without levels, medians and the newer summary the same is read; a flag that it does not know is told."""
    found = parse(stamped(OLD))

    assert (459, 0.0021771, None) == (found.runs.count, found.runs.mean_s, found.runs.median_s)
    assert ("--output_filepath=outputs.bin", 0.000896) == (found.unknown, found.init_s)


def test_one_execution_without_warming_up() -> None:
    """A single time is mean, least and most at once, and has no spread; no warm-up is none, not one of zeros."""
    found = parse(stamped(RUNS))

    assert None is found.warm_up
    assert (1, 0.009993, 0.009993, 0.009993) == (
        found.runs.count,
        found.runs.mean_s,
        found.runs.min_s,
        found.runs.max_s,
    )
    assert None is found.runs.std_s


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "tells of 0 phases"),
        (NEW.partition("INFO: Running benchmark for at least 5 iterations and at least 1 ")[0], "tells of 1 phases"),
        ("\ufffd\ufffd nothing of use", "tells of 0 phases"),
        (NEW.replace("curr=41938 ", "").replace("avg=42394.8 ", ""), "it says 'count=24"),
        (NEW.replace("avg=42394.8", "avg=4-2"), "it says 'count=24"),
        (NEW.replace("avg=42394.8 ", ""), "it says 'count=24"),
        (NEW.replace("avg=42394.8", "avg=nan"), "it says 'count=24"),
        (NEW.replace("avg=42394.8", "avg=42.3948"), "it says 'count=24"),
        (NEW.replace("max=42840", "max=1e999"), "it says 'count=24"),
        (NEW.replace("min=41938", "min=-1"), "it says 'count=24"),
        (NEW.replace("median=42419", "median=9"), "it says 'count=24"),
        (NEW.replace("count=24", "count=-24"), "it says 'count=-24"),
        (NEW.replace("count=24", "count=1e999"), "it says 'count=1e999"),
    ],
    ids=[
        "nothing",
        "cut",
        "garbled",
        "without a mean and a latest time",
        "no number",
        "without a mean",
        "mean of nothing",
        "mean in another unit",
        "endless",
        "less than no time",
        "median outside",
        "fewer than none",
        "endlessly many",
    ],
)
def test_output_that_is_no_run(text: str, why: str) -> None:
    """Output that tells of less than a whole run is refused with what it said."""
    with pytest.raises(DeviceError, match="not understood") as caught:
        parse(stamped(text))

    assert why in caught.value.why


def test_what_rounding_does() -> None:
    """The mean has six digits and may lie beyond the least and the most; a spread that rounding broke is not known."""
    found = parse(
        stamped(RUNS.replace("count=1 curr=9993", "count=2 first=1 curr=1 min=12345674 max=12345675 avg=1.23457e+07"))
    )
    alike = parse(stamped(RUNS.replace("count=1 curr=9993", "count=5 curr=10 (all same)")))
    spread = parse(stamped(NEW.replace("std=188", "std=-9223372036854775808")))

    assert (None, 24) == (spread.runs.std_s, spread.runs.count)
    assert 12.3457 == pytest.approx(found.runs.mean_s)
    assert (5, 1e-5, 1e-5) == (alike.runs.count, alike.runs.mean_s, alike.runs.max_s)


def test_runs_of_nothing_are_refused() -> None:
    """A run without an execution is no run."""
    with pytest.raises(DeviceError, match="executed nothing"):
        parse(stamped(RUNS.replace("count=1 curr=9993", "count=0")))


def test_failures_in_its_own_words() -> None:
    """The tool's errors are told; a program of another processor, and a library that lacks, say what to do."""
    failed = refused(stamped(FAILED), 1, "arm64-v8a")
    other = refused(stamped("/system/bin/sh: ./benchmark_model: not executable: 64-bit ELF file"), 126, "armeabi-v7a")
    library = refused(stamped('CANNOT LINK EXECUTABLE "./benchmark_model": library "libfoo.so" not found'), 1, "arm64")

    assert "Node number 57 (BATCH_MATMUL) failed to prepare." in failed.why
    assert "Loaded model" not in failed.why
    assert ("take the one for the phone's ABI" in other.remedy, "armeabi-v7a" in other.why) == (True, True)
    assert "NDK" in library.remedy


@pytest.mark.parametrize(
    ("lines", "share", "fallback"),
    [
        ((gpu_took(100), WHOLE), 1.0, None),
        ((WHOLE,), 1.0, None),
        ((gpu_took(60), PART, REST), 0.6, "40% of operations on the CPU"),
        ((NONE,), 0.0, "all operations on the CPU"),
        ((REST,), 0.0, "all operations on the CPU"),
        ((), None, "not proven"),
        ((PART,), None, "not proven"),
        ((NONE, WHOLE.replace("GPU", "XNNPACK")), 0.0, "all operations on the CPU"),
        ((gpu_took(60), gpu_took(60).replace("subgraph 0", "subgraph 1"), PART), 0.6, "40% of operations on the CPU"),
    ],
    ids=[
        "whole",
        "whole by words",
        "partly",
        "nothing",
        "the CPU's delegate alone",
        "silent",
        "partly, untold",
        "whole on the CPU",
        "two graphs",
    ],
)
def test_placement_by_its_words(lines: tuple[str, ...], share: float | None, fallback: str | None) -> None:
    """What the GPU's delegate took is on the GPU; what it left, or is not told, is a fallback."""
    device = device_of("gpu")
    assert device is not None
    found = judge(device, parse(stamped(*lines, RUNS)))

    assert (share, share) == (found.share, found.delegated)
    assert (fallback or "None") in str(found.fallback)


def test_placement_on_the_processor() -> None:
    """The processor's share is the whole whoever took it; the delegate's own is told beside it."""
    device = device_of("cpu")
    assert device is not None
    found = judge(device, parse(stamped(NEW)))

    assert (1.0, 2136 / 2168, None) == (found.share, found.delegated, found.fallback)


def test_words_about_delegates() -> None:
    """The three sentences about an applied delegate are told apart."""
    found = parse(stamped(WHOLE, PART, NONE, RUNS))

    assert ["completely", "partially", "not"] == [applied.whole for applied in found.applied]
    assert Applied(delegate="GPU", whole="completely") == found.applied[0]


def test_arguments() -> None:
    """A span is asked for by its seconds, with a warm-up before it and the inputs' file; flags come last."""
    how = Batchwise(
        runs=1, seconds=60, warm_up_s=0.5, threads=4, shape=(2, 20), model="m", input_file="i", output_file=None
    )
    found = arguments(how, ("--use_gpu=true",))

    assert {"--min_secs=60", "--max_secs=180", "--warmup_min_secs=0.5", "--warmup_runs=1"} <= set(found)
    assert {"--input_layer_shape=2,20", "--input_layer_value_files=inputs:i"} <= set(found)
    assert ("--use_gpu=true", False) == (found[-1], any("output" in word for word in found))
