"""The inference server that a run starts for itself: up before the run's idle windows under load, gone after it."""

import contextlib
from collections.abc import Iterator

from wattbench.backends.endpoint.address import target_of
from wattbench.harness.reporter import Reporter
from wattbench.harness.serving.process import ServerProcess, split_command
from wattbench.results.endpoint_plan import EndpointPlan

__all__ = ["own_server"]

READY_TIMEOUT_S = 1800.0
"""A large model may be read from a slow disk and compiled before its server answers."""


@contextlib.contextmanager
def own_server(plan: EndpointPlan | None, reporter: Reporter) -> Iterator[None]:
    """Start the server that an endpoint's plan asks for, await it, and stop it at the end; nothing without one.

    Raises WorkerError with the server's last lines when it ends or does not answer.
    """
    if plan is None or plan.server_command is None:
        yield
        return
    reporter.phase("server", None, plan.server_command)
    with ServerProcess(split_command(plan.server_command)) as server:
        seconds = server.await_ready(_ready_url(plan), READY_TIMEOUT_S)
        reporter.note(f"the server answered after {seconds:.1f} s")
        yield


def _ready_url(plan: EndpointPlan) -> str:
    target = target_of(plan)
    host = f"[{target.host}]" if ":" in target.host else target.host
    return f"{target.parts.scheme}://{host}:{target.port}{target.ready}"
