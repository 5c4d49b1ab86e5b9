"""What a user asks of load generation and of an endpoint, turned into records: checked, contradictions refused."""

from pathlib import Path

from wattbench.backends.endpoint.address import is_here, target_of
from wattbench.harness.request import RunRequest
from wattbench.harness.serving.command_secrets import refuse_command_secrets
from wattbench.harness.serving.process import split_command
from wattbench.harness.traffic.crew_size import WORKERS_MAX
from wattbench.harness.traffic.drawing import Draw, draw_schedule
from wattbench.harness.traffic.trace_file import Trace, read_trace
from wattbench.models.load import Load, RequestShape
from wattbench.models.served import SERVED
from wattbench.results.endpoint_plan import EndpointPlan
from wattbench.results.errors import UsageError
from wattbench.results.plan import Scenario
from wattbench.results.plugins import nearest_lines
from wattbench.results.slo import Slo, parse_slo
from wattbench.results.traffic_plan import Arrival, TrafficPlan

__all__ = [
    "ENDPOINT",
    "endpoint_plan",
    "implied_load",
    "implied_scenario",
    "refuse_other_answers",
    "serves_here",
    "traffic_plan",
]

ENDPOINT = "endpoint"
"""The backend that `--endpoint URL` alone asks for."""

AUTO = "auto"
TIMEOUT_S = 600.0
TRIED_PER_S = 1000.0
"""Any rate does where one is still to be found: the schedule is drawn to see whether the rest can be meant."""

SAMPLES = 8
"""Samples of one query of multi-stream: MLPerf Inference's edge scenario."""

OFFLINE_IN_FLIGHT = 256
"""So many requests of an offline run an endpoint gets at once; more connections tell nothing of the server."""

ARRIVALS: tuple[Arrival, ...] = ("poisson", "gamma", "constant")

NEEDS: dict[Scenario, tuple[str, ...]] = {
    "offline": (),
    "single-stream": (),
    "multi-stream": (),
    "server": ("rate",),
    "concurrency": ("concurrency",),
    "ramp": ("ramp",),
    "trace": ("trace",),
    "agentic": ("sessions",),
}
"""What each scenario must be told."""

DRAWN: tuple[Scenario, ...] = ("offline", "single-stream", "multi-stream", "server", "concurrency", "ramp")
"""The scenarios whose lengths may be drawn; traces and sessions have lengths of their own."""

TAKES: dict[str, tuple[Scenario, ...]] = {
    "rate": ("server", "agentic"),
    "arrival": ("server", "agentic", "ramp"),
    "arrival_shape": ("server", "agentic", "ramp"),
    "concurrency": ("concurrency",),
    "ramp": ("ramp",),
    "trace": ("trace",),
    "trace_scale": ("trace",),
    "sessions": ("agentic",),
    "input_tokens": (*DRAWN, "agentic"),
    "output_tokens": (*DRAWN, "agentic"),
    "input_lengths": DRAWN,
    "output_lengths": DRAWN,
}
"""The scenarios that each knob of traffic belongs to; `--slo` and `--in-flight-max` belong to all."""

ENDPOINT_KNOBS = ("api", "model", "key_env", "key_file", "ca_file", "no_stream", "tokenizer", "timeout_s", "workers")
ENDPOINT_ONLY = (*ENDPOINT_KNOBS, "server_command")

KSERVE = "kserve"
"""The API of encoders: token ids in, no tokens out."""

TOKENS_OUT = ("output_tokens", "output_lengths", "sessions", "trace", "tokenizer")
"""Knobs that speak of tokens out, or of a text, of which an encoder has none."""

OWN_ONLY = ("weights", "batch", "slots", "threads", "affinity", "tensor_parallel", "allow_fallback", "tuning")
"""Knobs of engines in a process of our own, which a server does not hear of."""


def implied_scenario(request: RunRequest) -> str:
    """Return the scenario that a request names, or the one that its other knobs belong to."""
    if request.scenario is not None:
        return request.scenario
    for knob, scenario in (
        ("rate", "server"),
        ("concurrency", "concurrency"),
        ("ramp", "ramp"),
        ("trace", "trace"),
        ("sessions", "agentic"),
    ):
        if getattr(request, knob) is not None:
            return scenario
    return "offline" if request.endpoint is None else "single-stream"


def implied_load(request: RunRequest, default: str) -> str:
    """Return the load's name, with the lengths that `--input-tokens` and `--output-tokens` ask for.

    Raises UsageError for lengths that say nothing, or come twice, and for an encoder that is to write.
    """
    _refuse_text_of_encoders(request)
    served = f"{SERVED}/classify-128" if request.api == KSERVE else f"{SERVED}/chat"
    base = request.load or (default if request.endpoint is None else served)
    tokens_in, tokens_out = request.input_tokens, request.output_tokens
    if tokens_in is None and tokens_out is None:
        return base
    if "@" in base:
        why = f"{base} has lengths already"
        raise UsageError("--input-tokens and --output-tokens contradict --load", why, "Leave out one of the two.")
    if tokens_in is None:
        why = "the shape's own tokens in are not meant, or they would not be changed"
        raise UsageError("--output-tokens needs --input-tokens", why, "Give both, or --load MODEL/SHAPE@INxOUT.")
    name = base if "/" in base else f"{base}/chat"
    return f"{name}@{tokens_in}" if tokens_out is None else f"{name}@{tokens_in}x{tokens_out}"


def traffic_plan(request: RunRequest, scenario: Scenario, shape: RequestShape, window_s: float) -> TrafficPlan | None:
    """Return how requests are to arrive; None for batches back to back in a process of our own.

    Raises UsageError for a knob that the scenario does not take, or lacks, and for one that no schedule follows from.
    """
    _refuse_strange(request, scenario)
    _refuse_split_queries(request, scenario)
    _refuse_blind_crew(request)
    if request.endpoint is None and scenario in ("offline", "single-stream"):
        _refuse_alone(request, scenario)
        return None
    rate, rate_auto = _rate(request.rate)
    if request.slo is not None:
        _refuse_unseen_limits(request, shape, parse_slo(request.slo))
    sessions, session = _sessions(request.sessions)
    trace = read_trace(Path(request.trace)) if request.trace is not None else None
    if rate_auto and request.slo is None:
        why = "the highest rate is searched at which limits hold"
        raise UsageError("--rate auto needs --slo", why, "For example --slo ttft.p99=2s,tpot.p99=200ms.")
    plan = TrafficPlan(
        arrival=_arrival(request, scenario),
        arrival_shape=request.arrival_shape,
        rate_per_s=rate,
        rate_auto=rate_auto,
        concurrency=1 if scenario == "single-stream" else request.concurrency,
        samples=SAMPLES if scenario == "multi-stream" else None,
        ramp=request.ramp,
        trace=request.trace,
        trace_digest=trace.digest if trace is not None else None,
        trace_format=trace.format if trace is not None else None,
        trace_scale=request.trace_scale if request.trace_scale is not None else 1.0,
        sessions=sessions,
        session=session,
        input_lengths=request.input_lengths,
        output_lengths=request.output_lengths,
        slo=request.slo,
        in_flight_max=request.in_flight_max or (OFFLINE_IN_FLIGHT if scenario == "offline" else None),
    )
    _try_to_draw(plan, scenario, shape, window_s, trace)
    return plan


def _try_to_draw(
    plan: TrafficPlan, scenario: Scenario, shape: RequestShape, window_s: float, trace: Trace | None
) -> None:
    """Draw one schedule and forget it. Raises UsageError when none follows from the plan."""
    draw_schedule(
        Draw(
            scenario=scenario,
            traffic=plan,
            shape=shape,
            window_s=window_s,
            rate_per_s=plan.rate_per_s or TRIED_PER_S,
            calls=1,
            give_up_s=0.0,
            seed=0,
            trace=trace,
        )
    )


def endpoint_plan(request: RunRequest) -> EndpointPlan | None:
    """Return which endpoint is to serve.

    Raises UsageError for its knobs without one, an address that is none, two sources of a key, and a key in a command.
    """
    if request.server_command is not None:
        refuse_command_secrets(request.server_command)
    if request.endpoint is None:
        given = next((knob for knob in ENDPOINT_ONLY if getattr(request, knob) is not None), None)
        if given is not None or request.backend == ENDPOINT:
            what = f"{_flag(given)} says nothing" if given else "The backend 'endpoint' needs an address"
            raise UsageError(what, "no endpoint is named", "Give --endpoint URL too.")
        return None
    own = next((knob for knob in OWN_ONLY if getattr(request, knob) is not None), None)
    if own is not None:
        why = "the server was started with its own"
        raise UsageError(f"{_flag(own)} contradicts --endpoint", why, f"Leave out {_flag(own)}.")
    if request.key_env is not None and request.key_file is not None:
        raise UsageError("--key-env contradicts --key-file", "a call has one key", "Drop one of the two.")
    workers, workers_auto = _workers(request.workers)
    plan = EndpointPlan(
        url=request.endpoint,
        api=request.api or "chat",
        model=request.model,
        stream=not request.no_stream and request.api != KSERVE,
        timeout_s=request.timeout_s if request.timeout_s is not None else TIMEOUT_S,
        workers=workers,
        workers_auto=workers_auto,
        tokenizer=request.tokenizer,
        key_env=request.key_env,
        key_file=request.key_file,
        ca_file=request.ca_file,
        server_command=request.server_command,
    )
    if plan.server_command is not None:
        split_command(plan.server_command)
        if not serves_here(plan):
            why = f"{plan.url} is not this machine's own address"
            raise UsageError("--server-command contradicts --endpoint", why, "Give --endpoint http://127.0.0.1:PORT.")
    if not target_of(plan).tls and plan.ca_file is not None:
        raise UsageError("--ca-file says nothing", f"{plan.url} is not encrypted", "Give https://HOST, or drop it.")
    return plan


def refuse_other_answers(load: Load, plan: EndpointPlan) -> None:
    """Raise UsageError for a load whose answers are of another kind than those of the endpoint's API."""
    tokens = load.shape.output_tokens
    if plan.api == KSERVE and tokens > 0:
        why = f"it has {tokens} tokens out, and an encoder writes none"
        raise UsageError(f"The load {load.name!r} contradicts --api kserve", why, f"Give --load {SERVED}/classify-128.")
    if plan.api != KSERVE and tokens == 0:
        why = f"it has no tokens out, and --api {plan.api} asks for some"
        raise UsageError(f"The load {load.name!r} contradicts --endpoint", why, "Give --api kserve, or another load.")


def serves_here(plan: EndpointPlan) -> bool:
    """Return whether an endpoint is on this machine's loopback, so that this machine's sensors see it."""
    return is_here(target_of(plan))


def _refuse_text_of_encoders(request: RunRequest) -> None:
    spoken = next((knob for knob in TOKENS_OUT if getattr(request, knob) is not None), None)
    if request.api == KSERVE and spoken is not None:
        raise UsageError(
            f"{_flag(spoken)} contradicts --api kserve", "an encoder writes no text", "Drop one of the two."
        )


def _rate(text: str | None) -> tuple[float | None, bool]:
    if text is None:
        return None, False
    if text.strip() == AUTO:
        return None, True
    try:
        rate = float(text)
    except ValueError:
        rate = float("nan")
    if not 0 < rate <= 1e6:  # a million requests a second is beyond any client
        why = f"got {text!r}, it must be requests per second, more than 0 and at most 1000000, or auto"
        raise UsageError("--rate is no rate", why, "For example --rate 5.")
    return rate, False


def _refuse_alone(request: RunRequest, scenario: Scenario) -> None:
    """Refuse what belongs to traffic where batches run alone."""
    for knob in ("slo", "in_flight_max", "input_lengths", "output_lengths"):
        if getattr(request, knob) is not None:
            why = f"batches of {scenario} run one after the other in this process"
            raise UsageError(f"{_flag(knob)} says nothing here", why, "Choose --scenario server or concurrency.")


def _sessions(text: str | None) -> tuple[int | None, str | None]:
    """Return how many sessions are in progress, and the words that say how one is built. Raises UsageError for none."""
    first, _, rest = (text or "").partition(",")
    first = first.strip()
    if not first.isdecimal():
        return None, text
    if len(first) > 9 or int(first) < 1:  # the upper limit is the parser's
        raise UsageError("--sessions is out of range", f"got {first[:80]}, it must be at least 1", "For example 8.")
    return int(first), rest or None


def _arrival(request: RunRequest, scenario: Scenario) -> Arrival | None:
    if scenario not in TAKES["arrival"] or (scenario == "agentic" and request.rate is None):
        return None
    wanted = request.arrival or "poisson"
    for known in ARRIVALS:
        if known == wanted:
            if (known == "gamma") != (request.arrival_shape is not None):
                why = "gamma arrivals have a shape, the others have none"
                raise UsageError("--arrival and --arrival-shape do not go together", why, "Give both, or neither.")
            return known
    raise UsageError(f"Unknown --arrival {wanted!r}", *nearest_lines(wanted, ARRIVALS))


def _refuse_strange(request: RunRequest, scenario: Scenario) -> None:
    for knob in NEEDS[scenario]:
        if getattr(request, knob) is None:
            raise UsageError(f"--scenario {scenario} needs {_flag(knob)}", "nothing else says how much", "Give it.")
    for knob, scenarios in TAKES.items():
        if getattr(request, knob) is not None and scenario not in scenarios:
            why = f"it belongs to {', '.join(scenarios)}"
            raise UsageError(f"{_flag(knob)} contradicts --scenario {scenario}", why, "Drop one of the two.")


def _workers(asked: int | str | None) -> tuple[int, bool]:
    """Return how many processes send at first, and whether that number may grow."""
    if isinstance(asked, str) and asked.strip() == AUTO:
        return 1, True
    text = str(1 if asked is None else asked).strip()
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= WORKERS_MAX:
        why = f"got {asked!r}, it must be a number of processes from 1 to {WORKERS_MAX}, or auto"
        raise UsageError("--workers is out of range", why, "For example --workers 2.")
    return int(text), False


def _refuse_blind_crew(request: RunRequest) -> None:
    """Refuse to find the number of processes where warm-up does not send what the windows do."""
    if _workers(request.workers)[1] and _rate(request.rate)[1]:
        why = "warm-up finds the number of processes, and that of a search has one request at a time, too few to tell"
        remedy = "Run it once with --workers auto --rate R, R being about what you expect, then with the number found: "
        raise UsageError("--workers auto contradicts --rate auto", why, f"{remedy}--workers N --rate auto.")


def _refuse_unseen_limits(request: RunRequest, shape: RequestShape, slo: Slo) -> None:
    """Refuse limits on times that whole answers do not have: every request would keep them."""
    unseen = next((limit.kind for limit in slo.limits if limit.kind != "latency"), None)
    if unseen is not None and (request.no_stream or shape.output_tokens == 0):
        whole = "--no-stream" if request.no_stream else f"the load {shape.name}, which has no tokens out"
        why = f"whole answers have no first token and no gaps, so {unseen} is not known"
        raise UsageError(f"--slo contradicts {whole}", why, "Limit the latency alone: --slo latency.p99=2s.")


def _refuse_split_queries(request: RunRequest, scenario: Scenario) -> None:
    """Refuse several processes for queries whose calls belong together."""
    if scenario == "multi-stream" and _workers(request.workers) != (1, False):
        why = "the calls of one query go out together, from one process"
        raise UsageError("--workers contradicts --scenario multi-stream", why, "Leave out --workers.")


def _flag(knob: str) -> str:
    return "--" + knob.removesuffix("_s").replace("_", "-")
