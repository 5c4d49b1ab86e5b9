"""The backend litert-android over a stand-in of adb and of benchmark_model; no phone was ever used."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter_ns

import pytest

pytest.importorskip("torch", reason="the models are torch's")

from phone_case import FakePhone
from preparations import small_preparation
from small_models import small_load

from wattbench.backends.contract import Preparation
from wattbench.backends.litert.phone_backend import LitertPhoneBackend
from wattbench.harness.quality import compare
from wattbench.models.find import find_load
from wattbench.models.torch_reference import reference_outputs
from wattbench.results.document import Result
from wattbench.results.errors import DeviceError, UsageError
from wattbench.results.files import read_result
from wattbench.results.trust.work_gates import token_check
from wattbench.testing import BackendCase, BackendContract, make_batch

BERT = small_load("bert-base/classify-128")
RUN = ("run", "--backend", "litert-android", "--load", "tiny-encoder/tiny-encode", "--batch", "2")
SHORT = ("--window", "1.5", "--repeats", "2", "--warm-up-max", "0.5", "--idle", "1", "--ceilings", "none")


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which this file's models are made once."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def phone(tmp_path: Path, graphs: Path, monkeypatch: pytest.MonkeyPatch) -> FakePhone:
    """Return a phone that this process reaches."""
    made = FakePhone(tmp_path, graphs)
    made.enter(monkeypatch)
    return made


@pytest.fixture
def backend() -> Iterator[LitertPhoneBackend]:
    """Return the backend, which is closed at the end."""
    made = LitertPhoneBackend()
    yield made
    made.close()


@pytest.mark.usefixtures("phone")
class TestContract(BackendContract):
    """Single executions, each a call of the tool, keep the contract; spans are tested below."""

    case = BackendCase(
        make_backend=LitertPhoneBackend, load=find_load("tiny-encoder/tiny-encode"), device="cpu", tuning="program"
    )


def asked(**knobs: object) -> Preparation:
    """Return a preparation for two requests on the phone's processor."""
    return small_preparation(BERT, **{"tuning": "program", "threads": None} | knobs)


def test_a_model_runs_on_the_phone(phone: FakePhone, backend: LitertPhoneBackend) -> None:
    """Pushed, executed and pulled back, the outputs are the reference's; the record names phone, tool and placement."""
    made = backend.prepare(asked())
    batch = make_batch(BERT)
    found = backend.outputs(batch, None)
    wanted = reference_outputs(BERT.model, batch.arrays, 0, weights="synthetic", seed=0)
    quality = compare(found.values, wanted.values, BERT.model.tolerance("float32"), "float32")
    done = backend.run(batch)
    backend.close()
    record = made.backend

    assert quality.passed, quality.reason
    assert (batch.requests, batch.input_tokens) == (done.requests, done.input_tokens)
    assert ("Google Pixel 9 (Google Tensor G4), Android 16: CPU by XNNPACK", 4) == (record.device_name, record.threads)
    assert (1.0, 55 / 57, None, False) == (
        record.placement_share,
        record.delegated_share,
        record.fallback,
        record.emulated,
    )
    assert record.versions["benchmark_model"].startswith("sha256:")
    assert [] == phone.left_behind()


def test_a_span_is_the_tools_own(phone: FakePhone, backend: LitertPhoneBackend) -> None:
    """A span has the tool's counts and times, on this machine's clock within the bound that its exchanges leave."""
    phone.shows_thermal(2)
    backend.prepare(asked())
    before_ns = perf_counter_ns()
    done = backend.span(make_batch(BERT), 0.5, 0.1)
    after_ns = perf_counter_ns()
    slack_ns = 1e9 * done.times.clock_bound_s

    assert (50, 0.0099932, 0.00999) == (done.times.executions, done.times.mean_s, done.times.median_s)
    assert (50, 50 * BERT.shape.input_tokens) == (done.requests, done.input_tokens)
    assert before_ns - slack_ns <= done.start_ns < done.end_ns <= after_ns + slack_ns
    assert (done.end_ns - done.start_ns) / 1e9 >= 0.5 - 2 * 0.01
    assert (2, 0.119515) == (done.times.thermal_status, done.times.init_s)


def test_times_in_another_unit(phone: FakePhone, backend: LitertPhoneBackend) -> None:
    """Executions that fill a thousandth of their span by the phone's clock are not believed."""
    backend.prepare(asked())
    tool = phone.tool.read_text().replace("first=10411 curr=9987 min=9917 max=10502 avg=9993.2 std=48", "curr=9.987")
    (place,) = (phone.folder / "tmp").iterdir()
    (place / "benchmark_model").write_text(tool.replace(" p5=9931 median=9990 p95=10020", ""))
    with pytest.raises(DeviceError, match="times cannot be"):
        backend.span(make_batch(BERT), 0.5, 0.0)


@pytest.mark.parametrize(
    ("mode", "share", "words"),
    [("partial", 31 / 57, "46% of"), ("nothing", 0.0, "all operations on the CPU"), ("silent", None, "not proven")],
)
def test_what_the_gpu_leaves_is_a_fallback(
    phone: FakePhone, backend: LitertPhoneBackend, mode: str, share: float | None, words: str
) -> None:
    """A model that the GPU does not take whole is refused, or measured as a fallback where that is allowed."""
    phone.set_mode(mode)
    with pytest.raises(DeviceError, match="does not run this model whole") as caught:
        backend.prepare(asked(device="gpu"))
    record = backend.prepare(asked(device="gpu", allow_fallback=True)).backend

    assert "--allow-fallback" in caught.value.remedy
    assert words in str(record.fallback)
    assert share == record.placement_share


def test_the_gpu_takes_it_whole(phone: FakePhone, backend: LitertPhoneBackend) -> None:
    """What the tool calls completely executed by the delegate is all on the GPU, in the precision that it was told."""
    record = backend.prepare(asked(device="gpu")).backend

    assert (1.0, None, None) == (record.placement_share, record.fallback, record.threads)
    assert "--gpu_precision_loss_allowed=false" in (phone.folder / "calls").read_text()


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("fails", "Node number 57 (BATCH_MATMUL) failed to prepare"),
        ("garbled", "tells of 0 phases"),
        ("old", "it does not know --output_filepath"),
    ],
)
def test_tools_that_do_not_do(phone: FakePhone, backend: LitertPhoneBackend, mode: str, words: str) -> None:
    """A failure, output of no use and a tool that is too old are told in its words, and the phone is left clean."""
    phone.set_mode(mode)
    with pytest.raises(DeviceError) as caught:
        backend.prepare(asked())

    assert words in caught.value.why
    assert [] == phone.left_behind()


def test_a_cable_pulled_in_a_span(phone: FakePhone, backend: LitertPhoneBackend) -> None:
    """A phone that goes away in the midst of a span is told as lost."""
    backend.prepare(asked())
    phone.has_fault("cut")
    with pytest.raises(DeviceError, match="The phone was lost"):
        backend.span(make_batch(BERT), 1.0, 0.0)


def test_a_vendors_delegate_is_pushed_along(
    phone: FakePhone, backend: LitertPhoneBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The NPU is there once a delegate is named; its files are pushed and the first one is loaded with its options."""
    absent = next(finding for finding in backend.findings() if finding.name == "npu").availability
    files = [tmp_path / name for name in ("libQnnTFLiteDelegate.so", "libQnnHtp.so")]
    for path in files:
        path.write_text("a library")
    monkeypatch.setenv("WATTBENCH_ANDROID_DELEGATE", os.pathsep.join(map(str, files)))
    monkeypatch.setenv("WATTBENCH_ANDROID_DELEGATE_OPTIONS", "backend_type:htp")
    record = backend.prepare(asked(device="npu", precision="float16", allow_fallback=True)).backend
    backend.close()
    calls = (phone.folder / "calls").read_text()

    assert ("absent", True) == (absent.state, "WATTBENCH_ANDROID_DELEGATE" in absent.remedy)
    assert "--external_delegate_options=backend_type:htp" in calls
    assert "libQnnHtp.so" in calls
    assert "external_delegate_path=libQnnTFLiteDelegate.so" in record.tuning
    assert [] == phone.left_behind()


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("a/lib.so:a/none.so", "none.so is no file"),
        ("a", "a is no file"),
        ("a/lib.so:b/lib.so", "two of the delegate's files are called lib.so"),
    ],
)
def test_a_delegate_that_cannot_be_pushed(
    phone: FakePhone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, why: str
) -> None:
    """Files that are not there, folders and two of one name are told before a model is made or anything pushed."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "lib.so").write_text("a library")
    monkeypatch.setenv("WATTBENCH_ANDROID_DELEGATE", ":".join(str(tmp_path / name) for name in named.split(":")))
    found = next(finding for finding in LitertPhoneBackend().findings() if finding.name == "npu").availability

    assert ("broken", True) == (found.state, why in found.reason), found.reason
    assert "WATTBENCH_ANDROID_DELEGATE" in found.remedy


def test_why_it_cannot_be_used(phone: FakePhone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a phone, with one that is not allowed, without a tool or with a wrong path, the probe says what to do."""
    phone.lists("List of devices attached\n")
    none = LitertPhoneBackend().probe()
    phone.lists("List of devices attached\nA unauthorized usb:1-1\n")
    locked = LitertPhoneBackend().probe()
    monkeypatch.setenv("WATTBENCH_BENCHMARK_MODEL", str(tmp_path / "nothing"))
    wrong = LitertPhoneBackend().probe()
    monkeypatch.delenv("WATTBENCH_BENCHMARK_MODEL")
    (phone.folder / "calls").unlink()
    unnamed = LitertPhoneBackend().probe()

    assert ["broken", "broken", "broken", "absent"] == [found.state for found in (none, locked, wrong, unnamed)]
    assert ("No phone is there" in none.reason, "Unlock the phone" in locked.remedy) == (True, True)
    assert ("is no file" in wrong.reason, "WATTBENCH_BENCHMARK_MODEL=" in unnamed.remedy) == (True, True)
    assert not (phone.folder / "calls").exists()


def test_cores_are_not_chosen_on_a_phone(phone: FakePhone, backend: LitertPhoneBackend) -> None:
    """The host's --affinity says nothing of a phone."""
    with pytest.raises(UsageError, match="no --affinity"):
        backend.prepare(asked(affinity=tuple(os.sched_getaffinity(0))))


def bench(phone: FakePhone, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command line with that phone."""
    command = [sys.executable, "-P", "-m", "wattbench.harness.cli.main", *arguments]
    environment = os.environ | phone.environment | {"WATTBENCH_DATA": str(folder / "data")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)


def result_in(folder: Path) -> Result:
    """Return the one result that a run left."""
    (path,) = folder.glob("data/**/*.json")
    found = read_result(path)
    assert isinstance(found, Result)
    return found


def test_bench_run_measures_a_phone(phone: FakePhone, tmp_path: Path) -> None:
    """Throughput, the tool's mean latency and the battery's watts stand in a result; a hot phone is a doubt."""
    phone.shows_thermal(3)
    done = bench(phone, tmp_path, *RUN, *SHORT, "--power", "android")
    result = result_in(tmp_path)
    shown = bench(phone, tmp_path, "show", *map(str, tmp_path.glob("data/**/*.json")))
    assert result.summary is not None
    rate, power = (result.summary.metric(name) for name in ("throughput.requests", "power.mean"))
    latency = next(found for found in result.summary.latencies if found.name == "latency.request")
    assert rate is not None
    assert power is not None

    assert "Traceback" not in done.stderr
    assert "complete" == result.status, done.stderr
    assert rate.value is not None
    assert 0 < rate.value < 210  # 150 executions of two requests in 1.5 s, longer on a busy machine
    assert latency.mean == pytest.approx(0.0099932)
    assert (600, ()) == (latency.count, latency.quantiles)
    assert "mean 9.99 ms  (n=600)" in shown.stdout, shown.stderr
    assert all(value == pytest.approx(0.412 * 3.987) for polls in result.power.polls for value in polls.value)
    assert "node" == power.scope
    assert "whole phone behind its battery" in str(power.boundary)
    assert result.quality is not None
    assert result.quality.passed
    assert "ok" == token_check(result).standing
    codes = {doubt.code for doubt in result.doubts}
    assert ("throttled" in codes, codes & {"foreign_process", "host_noise", "cpu_fallback"}) == (True, set())
    assert [] == phone.left_behind()


def test_a_charging_phone_has_no_watts(phone: FakePhone, tmp_path: Path) -> None:
    """Asked for the battery of a phone that charges, the run ends before it begins, and says how to reach it."""
    phone.has_battery("Charging", current=900000, voltage=4321000, charger=1)
    done = bench(phone, tmp_path, *RUN, *SHORT, "--power", "android")

    assert (1, "") == (done.returncode, done.stdout)
    assert "adb tcpip 5555" in done.stderr
    assert "Traceback" not in done.stderr


def test_sensors_of_this_machine_see_no_phone(phone: FakePhone, tmp_path: Path) -> None:
    """`--power auto` is refused for a phone: it would show the host's watts."""
    done = bench(phone, tmp_path, *RUN, *SHORT, "--power", "auto")

    assert (2, "") == (done.returncode, done.stdout)
    assert "--power android" in done.stderr


def test_a_phone_lost_in_a_window_leaves_a_result(phone: FakePhone, tmp_path: Path) -> None:
    """The run ends with code 1 and the cause, and its file says error."""
    phone.has_fault("cut")
    done = bench(phone, tmp_path, *RUN, *SHORT)
    result = result_in(tmp_path)

    assert (1, "error") == (done.returncode, result.status)
    assert result.error is not None
    assert "The phone was lost" in result.error.what
    assert "Traceback" not in done.stderr
