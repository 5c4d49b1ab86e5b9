"""The endpoint client against a server that knows the truth, taking turns with the load generators of the field.

Run: python benchmarks/client.py [--pairs 5] [--parts PART ...] [--no-peers]
Parts: small, latency, stall, faults, send, memory. The stub server has processor 0, the client processor 1.
Goals: >= 15,000 small streaming requests/s on one core and >= 2 x sglang-bench; <= 0.12 ms of CPU a request; time to
first token (TTFT) at 128 streams at most 1 ms (p50) and 4 ms (p99) beyond the server's own; error of a gap between two
tokens <= 0.1 ms (p99); under a stall of 2 s with 32 places, p90, p95 and p99 from the schedule within 5 % of the
computed truth; 27 of 27 broken streams and 21 of 21 errors told; send error <= 0.1 ms (median), no drift; <= 80 MB at
256 streams; as many connections as calls in flight at most.

sglang-bench is the Rust client of the sglang wheel, AIPerf the client of NVIDIA's Dynamo; each is installed below
build/peers at the first run. What they print of themselves is taken from their own output.
"""

import argparse
import json
import os
import pickle
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy

from wattbench.backends.endpoint.client import Client
from wattbench.backends.endpoint.target import make_target
from wattbench.backends.traffic import Served
from wattbench.harness.selftest.paired import closed_loop, open_loop, pair
from wattbench.harness.selftest.script import Fault, StubScript
from wattbench.harness.selftest.stub_process import Stub

HERE = Path(__file__).resolve().parent
HOME = HERE.parent / "build" / "peers"
SGLANG, AIPERF = "sglang==0.5.23", "aiperf==0.13.0"
PARTS = ("small", "latency", "stall", "faults", "send", "memory")
QUANTILES = (0.5, 0.9, 0.95, 0.99)
TTFT_S, GAP_S, TOKENS = 0.05, 0.01, 64
STALL_AT_S, STALL_S, BASE_S, RATE, PLACES, CALLS = 8.01, 2.0, 0.2, 50.0, 32, 1000


def main() -> None:
    """Run the parts that were asked for and print what came out."""
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], json.loads(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--no-peers", action="store_true")
    options = parser.parse_args()
    peers = () if options.no_peers else tuple(peer for peer in (sglang(), aiperf()) if peer is not None)
    for part in options.parts:
        print(f"\n{part}", flush=True)
        {"small": small, "latency": latency, "stall": stall, "faults": faults, "send": send, "memory": memory}[part](
            options.pairs, peers
        )


def small(pairs: int, peers: Sequence["Peer"]) -> None:
    """Small streams as fast as they go: 64 connections, 8 tokens a stream in one write."""
    rates: dict[str, list[float]] = {}
    costs: dict[str, list[float]] = {}
    with Stub(StubScript(), processor=0) as stub:
        for _ in range(pairs):
            ours = of_child("closed", url=stub.url, calls=20_000, concurrency=64, tokens=8)
            add(rates, "wattbench", ours["rate"])
            add(costs, "wattbench", ours["cpu_ms"])
            stub.truths()
            for peer in peers:
                found = peer.closed(stub.url, peer.calls, 64, 8)
                add(rates, peer.name, found["rate"])
                add(costs, peer.name, found["cpu_ms"])
                stub.truths()
    for name, values in rates.items():
        print(f"  {name:<14}{spread(values, '.0f')} requests/s; {spread(costs[name], '.3f')} ms of CPU a request")
    for peer in peers:
        ratios = [a / b for a, b in zip(rates["wattbench"], rates[peer.name], strict=True)]
        print(f"  ratio wattbench / {peer.name}: {spread(ratios, '.2f')}")


def latency(pairs: int, peers: Sequence["Peer"]) -> None:
    """Paced streams: TTFT 50 ms, 10 ms between tokens, 64 tokens; our stamps paired with the server's writes."""
    for concurrency, calls in ((128, 1280), (256, 2560)):
        ideal = concurrency / (TTFT_S + GAP_S * (TOKENS - 1))
        with Stub(StubScript(ttft_s=TTFT_S, gap_s=GAP_S), processor=0) as stub:
            for _ in range(min(pairs, 3)):
                found = of_child("closed", url=stub.url, calls=calls, concurrency=concurrency, tokens=TOKENS, stub=stub)
                print(f"  c={concurrency:<5}wattbench     {found['text']} of {ideal:.0f} ideal")
                for peer in peers:
                    print(f"  c={concurrency:<5}{peer.name:<14}{peer.paced(stub.url, calls, concurrency, TOKENS)}")
                    stub.truths()


def stall(pairs: int, peers: Sequence["Peer"]) -> None:
    """Stall the server at a constant rate: what the schedule says against the computed truth."""
    del pairs, peers
    truth = truth_of_stall()
    script = StubScript(ttft_s=BASE_S, stalls=((STALL_AT_S, STALL_S),))
    with Stub(script, processor=0) as stub:
        found = of_child("stall", url=stub.url)
    for name in ("ttft", "latency"):
        ours = [found[name][str(q)] for q in QUANTILES]
        exact = [float(numpy.quantile(truth, q, method="inverted_cdf")) for q in QUANTILES]
        pairs_text = (
            f"p{100 * q:g} {o * 1e3:.0f} of {e * 1e3:.0f} ms" for q, o, e in zip(QUANTILES, ours, exact, strict=True)
        )
        worst = max(abs(o / e - 1) for o, e in zip(ours[1:], exact[1:], strict=True))
        print(f"  {name} from the schedule: {', '.join(pairs_text)}; furthest of p90 to p99 {worst:.1%} off")
    sent = (f"p{100 * q:g} {found['sent'][str(q)] * 1e3:.0f} ms" for q in QUANTILES)
    print(f"  latency from the send, beside it: {', '.join(sent)}")


def truth_of_stall() -> numpy.ndarray:
    """Return every call's latency in seconds, computed: first come, first served, 32 places, a stall of two seconds."""
    free = [0.0] * PLACES
    latencies = []
    for call in range(CALLS):
        planned = call / RATE
        place = min(range(PLACES), key=free.__getitem__)
        end = max(planned, free[place]) + BASE_S
        end = STALL_AT_S + STALL_S if STALL_AT_S <= end < STALL_AT_S + STALL_S else end
        free[place] = end
        latencies.append(end - planned)
    return numpy.array(latencies)


def faults(pairs: int, peers: Sequence["Peer"]) -> None:
    """210 requests, of which 21 get an HTTP 500 and 27 lose their connection in the middle of the stream."""
    del pairs, peers
    errors: dict[int, Fault] = {number * 10: "http_500" for number in range(21)}
    resets: dict[int, Fault] = {number: "reset" for number in list(set(range(1, 210, 7)) - set(errors))[:27]}
    with Stub(StubScript(ttft_s=0.01, gap_s=0.005, faults=errors | resets), processor=0) as stub:
        found = of_child("faults", url=stub.url)
    print(f"  {found['kinds']} (wanted: 162 good, 21 http_5xx, 27 truncated)")


def send(pairs: int, peers: Sequence["Peer"]) -> None:
    """How late calls go out at a constant rate without a limit."""
    del pairs, peers
    with Stub(StubScript(ttft_s=BASE_S), processor=0) as stub:
        print(f"  {of_child('send', url=stub.url)['text']}")


def memory(pairs: int, peers: Sequence["Peer"]) -> None:
    """Take the client's memory at 256 streams, 5,120 requests of 64 tokens, and the connections that it opened."""
    del pairs, peers
    with Stub(StubScript(ttft_s=TTFT_S, gap_s=GAP_S), processor=0) as stub:
        print(f"  {of_child('memory', url=stub.url)['text']}")


def of_child(name: str, stub: Stub | None = None, **facts: object) -> dict:
    """Return what one measurement in a fresh process on processor 1 says; `stub` adds the truth to it."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "served.npz")
        command = ["taskset", "--cpu-list", "1", sys.executable, __file__, "--child", name]
        done = subprocess.run(
            [*command, json.dumps({**facts, "path": path, "keep": stub is not None})],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        found = json.loads(done.stdout.splitlines()[-1])
        if stub is not None:
            served = pickle.loads(Path(path).read_bytes())  # our own child's
            paired = pair(served, stub.truths())
            ttft, gap = paired.ttft, paired.gap
            found["text"] = (
                f"TTFT +{ttft.p50 * 1e3:.2f} / {ttft.p99 * 1e3:.2f} ms, gap error {gap.p50 * 1e6:.1f} / "
                f"{gap.p99 * 1e6:.0f} us (p50 / p99 of {paired.requests} requests), {found['rate']:.0f} requests/s"
            )
        return found


def child(name: str, facts: dict) -> None:
    """Measure in this process, and print one line of JSON."""
    client = Client(make_target(facts["url"], model="stub"))
    client.probe()
    {
        "closed": child_closed,
        "stall": child_stall,
        "faults": child_faults,
        "send": child_send,
        "memory": child_memory,
    }[name](client, facts)


def child_closed(client: Client, facts: dict) -> None:
    """Serve a closed loop of equal calls; the served arrays go to the file."""
    calls = facts["calls"]
    schedule = closed_loop(calls, facts["concurrency"], input_tokens=16, output_tokens=facts["tokens"], give_up_s=120)
    served = client.serve(schedule, client.prompts(schedule, 0))
    refuse_failures(served)
    if facts["keep"]:
        Path(facts["path"]).write_bytes(pickle.dumps(served))
    print(json.dumps({"rate": rate_of(served), "cpu_ms": served.health.cpu_s / calls * 1e3}))


def child_stall(client: Client, facts: dict) -> None:
    """Send to the stalled server at a constant rate."""
    del facts
    schedule = open_loop(CALLS, RATE, PLACES, input_tokens=16, output_tokens=1, give_up_s=60)
    served = client.serve(schedule, client.prompts(schedule, 0))
    refuse_failures(served)
    series = {
        "ttft": served.first_output_ns - served.planned_ns,
        "latency": served.end_ns - served.planned_ns,
        "sent": served.end_ns - served.start_ns,
    }
    found = {
        name: {str(q): float(numpy.quantile(values / 1e9, q, method="inverted_cdf")) for q in QUANTILES}
        for name, values in series.items()
    }
    print(json.dumps(found))


def child_faults(client: Client, facts: dict) -> None:
    """Send calls that go wrong."""
    del facts
    schedule = closed_loop(210, 8, input_tokens=16, output_tokens=32, give_up_s=60)
    served = client.serve(schedule, client.prompts(schedule, 0))
    kinds = [kind or "good" for kind in served.error_kind]
    print(json.dumps({"kinds": {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}}))


def child_send(client: Client, facts: dict) -> None:
    """Send at a constant rate without a limit."""
    del facts
    schedule = open_loop(CALLS, RATE, None, input_tokens=16, output_tokens=1, give_up_s=60)
    health = client.serve(schedule, client.prompts(schedule, 0)).health
    assert health.send_late_p50_s is not None
    assert health.send_late_p99_s is not None
    assert health.send_late_max_s is not None
    assert health.drift_s is not None
    text = (
        f"send error {health.send_late_p50_s * 1e3:.3f} / {health.send_late_p99_s * 1e3:.2f} /"
        f" {health.send_late_max_s * 1e3:.2f} ms (p50 / p99 / most), drift {health.drift_s * 1e3:+.3f} ms"
    )
    print(json.dumps({"text": text}))


def child_memory(client: Client, facts: dict) -> None:
    """Hold 256 streams."""
    del facts
    schedule = closed_loop(5120, 256, input_tokens=16, output_tokens=TOKENS, give_up_s=120)
    served = client.serve(schedule, client.prompts(schedule, 0))
    refuse_failures(served)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    opened, most = served.health.connections_opened, served.health.in_flight_peak
    print(json.dumps({"text": f"{peak:.0f} MB at most; {opened} connections opened, {most} calls in flight at most"}))


class Peer:
    """A load generator of the field: its command, and how its output is read."""

    name: str
    calls: int

    def closed(self, url: str, calls: int, concurrency: int, tokens: int) -> dict:
        """Return requests/s and CPU a request."""
        raise NotImplementedError

    def paced(self, url: str, calls: int, concurrency: int, tokens: int) -> str:
        """Return what it says of paced streams, as text."""
        raise NotImplementedError


class Sglang(Peer):
    """sglang-bench with one worker thread."""

    name, calls = "sglang-bench", 20_000

    def __init__(self, folder: Path, tokenizer: Path) -> None:
        self._folder, self._tokenizer = folder, tokenizer

    def _run(self, url: str, calls: int, concurrency: int, tokens: int) -> tuple[dict, float]:
        with tempfile.TemporaryDirectory() as out:
            path = Path(out) / "out.jsonl"
            command = ["taskset", "--cpu-list", "1", sys.executable, str(HERE / "_sglang_child.py"), str(self._folder)]
            flags = {
                "backend": "vllm-chat",
                "base-url": url,
                "dataset-name": "random-ids",
                "model": "stub",
                "tokenizer": self._tokenizer,
                "num-prompts": calls,
                "random-input-len": 16,
                "random-output-len": tokens,
                "random-range-ratio": 1,
                "max-concurrency": concurrency,
                "worker-threads": 1,
                "warmup-requests": 0,
                "output-file": path,
            }
            words = [word for flag, value in flags.items() for word in (f"--{flag}", str(value))]
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            done = subprocess.run(
                [*command, *words, "--disable-tqdm", "--output-details"],
                capture_output=True,
                text=True,
                check=False,
                timeout=300,
            )
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            if not path.exists():
                raise SystemExit(f"sglang-bench failed: {done.stderr[-800:]}")
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            return json.loads(path.read_text().splitlines()[-1]), cpu

    def closed(self, url: str, calls: int, concurrency: int, tokens: int) -> dict:
        """Return its own requests/s, and the CPU of the whole process a request, its start included."""
        found, cpu = self._run(url, calls, concurrency, tokens)
        return {"rate": found["request_throughput"], "cpu_ms": cpu / calls * 1e3}

    def paced(self, url: str, calls: int, concurrency: int, tokens: int) -> str:
        """Return its own TTFT less the script's, and the spread of its gaps."""
        found, _ = self._run(url, calls, concurrency, tokens)
        return peer_text(
            found["median_ttft_ms"], found["p99_ttft_ms"], found["p99_itl_ms"], found["request_throughput"]
        )


class Aiperf(Peer):
    """AIPerf with the server's token counts."""

    name, calls = "AIPerf", 600

    def __init__(self, python: Path, tokenizer: Path) -> None:
        self._command, self._tokenizer = python.with_name("aiperf"), tokenizer

    def _run(self, url: str, calls: int, concurrency: int, tokens: int) -> tuple[dict, float]:
        with tempfile.TemporaryDirectory() as out:
            flags = {
                "model": "stub",
                "url": url,
                "endpoint-type": "chat",
                "tokenizer": self._tokenizer,
                "concurrency": concurrency,
                "request-count": calls,
                "synthetic-input-tokens-mean": 16,
                "synthetic-input-tokens-stddev": 0,
                "output-tokens-mean": tokens,
                "output-tokens-stddev": 0,
                "artifact-dir": out,
                "ui": "none",
            }
            words = [word for flag, value in flags.items() for word in (f"--{flag}", str(value))]
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            online = {
                name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"
            }  # it wants a hub then
            done = subprocess.run(
                [str(self._command), "profile", *words, "--streaming", "--use-server-token-count"],
                env=online,
                capture_output=True,
                text=True,
                check=False,
                timeout=300,
            )
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            files = list(Path(out).rglob("profile_export_aiperf.json"))
            if not files:
                raise SystemExit(f"AIPerf failed: {(done.stdout + done.stderr)[-1500:]}")
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            return json.loads(files[0].read_text()), cpu

    def closed(self, url: str, calls: int, concurrency: int, tokens: int) -> dict:
        """Return its own requests/s, and the CPU of all its processes a request, their start included."""
        found, cpu = self._run(url, calls, concurrency, tokens)
        return {"rate": found["request_throughput"]["avg"], "cpu_ms": cpu / calls * 1e3}

    def paced(self, url: str, calls: int, concurrency: int, tokens: int) -> str:
        """Return its own TTFT less the script's, and the spread of its gaps."""
        found, _ = self._run(url, calls, concurrency, tokens)
        ttft, itl = found["time_to_first_token"], found["inter_token_latency"]
        return peer_text(ttft["p50"], ttft["p99"], itl["p99"], found["request_throughput"]["avg"])


def peer_text(ttft_ms: float, ttft_p99_ms: float, itl_p99_ms: float, rate: float) -> str:
    """Return what a peer says of paced streams, less what the script says."""
    base, gap = TTFT_S * 1e3, GAP_S * 1e3
    return (
        f"TTFT +{ttft_ms - base:.2f} / {ttft_p99_ms - base:.2f} ms, p99 of its gaps {itl_p99_ms - gap:+.2f} ms, "
        f"{rate:.0f} requests/s"
    )


def sglang() -> Sglang | None:
    """Return sglang-bench, its wheel unpacked below build/peers at the first run; None when that cannot be had."""
    folder = HOME / "sglang"
    if not any(folder.glob("sglang/srt/rust_extensions/_bench*.so")):
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), SGLANG]
        if subprocess.run(command, check=False).returncode:
            print(f"sglang-bench out: pip cannot install {SGLANG} here")
            return None
    return Sglang(folder, tokenizer_folder())


def aiperf() -> Aiperf | None:
    """Return AIPerf in an environment of its own, made at the first run; None when that cannot be had."""
    python = HOME / "aiperf" / "bin" / "python"
    if not python.with_name("aiperf").exists():
        subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
        if subprocess.run([str(python), "-m", "pip", "install", "--quiet", AIPERF], check=False).returncode:
            print(f"AIPerf out: pip cannot install {AIPERF} here")
            return None
    return Aiperf(python, tokenizer_folder())


def tokenizer_folder() -> Path:
    """Return a folder with a tokenizer of one token a byte, which both peers ask for."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    folder = HOME / "tokenizer"
    folder.mkdir(parents=True, exist_ok=True)
    alphabet = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=alphabet, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 100_000}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def refuse_failures(served: Served) -> None:
    """End the benchmark when a call failed: its figures would be those of fewer calls."""
    failed = [error for error in served.error if error is not None]
    if failed:
        raise SystemExit(f"{len(failed)} calls failed: {failed[0]}")


def rate_of(served: Served) -> float:
    """Return requests/s over the window."""
    return len(served) / (served.window_end_ns - served.window_start_ns) * 1e9


def add(lists: dict[str, list[float]], name: str, value: float) -> None:
    """Append to a list by name."""
    lists.setdefault(name, []).append(value)


def spread(values: Sequence[float], form: str) -> str:
    """Return median and range as text."""
    return f"{statistics.median(values):{form}} [{min(values):{form}} .. {max(values):{form}}]"


if __name__ == "__main__":
    started = time.perf_counter()
    main()
    if sys.argv[1:2] != ["--child"]:
        print(f"\n{time.perf_counter() - started:.0f} s")
