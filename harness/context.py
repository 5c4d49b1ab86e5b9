"""A backend's context on a device without a model: what the device draws when it is only held open."""

from wattbench.backends.contract import Backend, ContextOpener
from wattbench.harness.messages import ContextReply, OpenContext
from wattbench.results.plugins import load_plugin

__all__ = ["open_context"]


def open_context(command: OpenContext) -> ContextReply:
    """Create the context in this process, where it stays; say why not where there is none."""
    backend: Backend = load_plugin("wattbench.backends", command.backend, "backend")()
    if not isinstance(backend, ContextOpener):
        return ContextReply(created=None, reason=f"the backend {command.backend!r} has none apart from the model")
    created = backend.open_context(command.device)
    reason = f"{command.device} has none: work on it needs no context" if created is None else None
    return ContextReply(created=created, reason=reason)
