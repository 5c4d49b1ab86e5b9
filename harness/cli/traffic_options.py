"""The options of load generation and of endpoints, for commands that run a load."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["traffic_knobs", "traffic_options"]

META = "wattbench.traffic"

Command = TypeVar("Command", bound=Callable[..., Any])  # any: click's commands take whatever their options give


def traffic_options(command: Command) -> Command:
    """Give a command the options of traffic and endpoints; `traffic_knobs` tells what they said."""
    for option in reversed(_options()):
        command = option(command)
    return command


def traffic_knobs() -> dict[str, object]:
    """Return what the options of the command that runs now said, by knob; None where nothing was said."""
    said: dict[str, object] = dict(click.get_current_context().meta.get(META, {}))
    return {name: None if value is False else value for name, value in said.items()}


def _options() -> list[Callable[[Command], Command]]:
    return [
        _option("--input-tokens", type=int, metavar="N", help="Tokens in of each request [default: the load's]."),
        _option("--output-tokens", type=int, metavar="N", help="Tokens out of each request [default: the load's]."),
        _option("--rate", metavar="R", help="Requests/s of an open loop, or auto: the highest that holds --slo."),
        _option("--arrival", metavar="NAME", help="poisson, gamma or constant [default: poisson]."),
        _option("--arrival-shape", type=float, metavar="K", help="Shape of gamma arrivals: below 1 they are bursty."),
        _option("--concurrency", type=int, metavar="N", help="Requests in progress of a closed loop."),
        _option("--ramp", metavar="LEVELS", help="Levels of a ramp, e.g. 1,2,4,8 requests in progress, or 1/s,2/s."),
        _option("--trace", metavar="FILE", help="Replay arrival times and lengths from a JSONL or CSV file."),
        _option("--trace-scale", type=float, metavar="S", help="Multiply a trace's times [default: 1]."),
        _option("--sessions", metavar="N[,KEY=VALUE]", help="Agentic sessions in progress, and how one is built."),
        _option("--input-lengths", metavar="DRAW", help="Draw tokens in, e.g. lognormal:512/0.8:16-4096."),
        _option("--output-lengths", metavar="DRAW", help="Draw tokens out, e.g. uniform:16-256."),
        _option("--slo", metavar="LIMITS", help="What must hold, e.g. ttft.p99=2s,tpot.p99=200ms."),
        _option("--in-flight-max", type=int, metavar="N", help="At most so many requests in progress."),
        _option("--endpoint", metavar="URL", help="An inference server: http://HOST:PORT or https://HOST."),
        _option("--api", metavar="NAME", help="chat, completions or kserve [default: chat]."),
        _option("--model", metavar="NAME", help="The server's name for the model [default: its only one]."),
        _option("--key-env", metavar="VARIABLE", help="The environment variable that has the endpoint's key."),
        _option("--key-file", metavar="FILE", help="The file that has it; only its owner may read it."),
        _option("--ca-file", metavar="FILE", help="Authorities to verify TLS against [default: the system's]."),
        _option("--no-stream", is_flag=True, help="Ask for whole answers: no first token, no gaps."),
        _option("--tokenizer", metavar="FOLDER", help="A tokenizer that counts beside the server."),
        _option("--timeout", "timeout_s", type=float, metavar="S", help="What one request may take [default: 600]."),
        _option(
            "--workers", metavar="N", help="Processes that send requests, or auto: as many as it takes [default: 1]."
        ),
        _option("--server-command", metavar="COMMAND", help="Start this server for the run, and stop it after."),
    ]


def _option(
    *names: str, type: type | None = None, metavar: str | None = None, help: str, is_flag: bool = False
) -> Callable[[Command], Command]:
    return click.option(
        *names, type=type, metavar=metavar, help=help, is_flag=is_flag, expose_value=False, callback=_remember
    )


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:  # any: an option's value
    ctx.meta.setdefault(META, {})[param.name] = value
