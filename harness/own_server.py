"""The inference server of a run: asked for itself before anything is timed, or started for the run and gone after."""

import contextlib
import socket
from collections.abc import Iterator

from wattbench.backends.endpoint.address import target_of
from wattbench.backends.endpoint.key import load_key
from wattbench.backends.endpoint.probing import server_facts, with_model
from wattbench.harness.reporter import Reporter
from wattbench.harness.serving.process import ServerProcess, split_command
from wattbench.results.endpoint_plan import EndpointPlan
from wattbench.results.errors import UsageError

__all__ = ["own_server", "require_server"]

READY_TIMEOUT_S = 1800.0
"""A large model may be read from a slow disk and compiled before its server answers."""

LISTENS_S = 2.0


def require_server(plan: EndpointPlan) -> None:
    """Ask the server that is to be measured for itself; of one that the run will start, only that its place is free.

    Raises DeviceError when it cannot be reached or refuses the key, UsageError with its list for a model that it lacks,
    and for an address at which another server listens.
    """
    if plan.server_command is not None:
        _refuse_another(plan)
        return
    target = target_of(plan)
    with_model(target, server_facts(target, load_key(plan.key_env, plan.key_file)))


@contextlib.contextmanager
def own_server(plan: EndpointPlan | None, reporter: Reporter) -> Iterator[None]:
    """Start the server that an endpoint's plan asks for, await it, and stop it at the end; nothing without one.

    Raises UsageError when another server answers there already, and WorkerError with the server's last lines when it
    ends or does not answer.
    """
    if plan is None or plan.server_command is None:
        yield
        return
    reporter.phase("server", None, plan.server_command)
    _refuse_another(plan)
    with ServerProcess(split_command(plan.server_command)) as server:
        seconds = server.await_ready(_ready_url(plan), READY_TIMEOUT_S)
        reporter.note(f"the server answered after {seconds:.1f} s")
        yield


def _refuse_another(plan: EndpointPlan) -> None:
    """Raise UsageError for an address at which something listens already: it would be measured in a new one's place."""
    target = target_of(plan)
    with contextlib.suppress(OSError), socket.create_connection((target.host, target.port), LISTENS_S):
        why = f"something listens at {target.host}:{target.port} already, and would be measured in its place"
        remedy = "Stop that server, give another port, or leave out --server-command."
        raise UsageError("--server-command cannot start its server", why, remedy)


def _ready_url(plan: EndpointPlan) -> str:
    target = target_of(plan)
    host = f"[{target.host}]" if ":" in target.host else target.host
    return f"{target.parts.scheme}://{host}:{target.port}{target.ready}"
