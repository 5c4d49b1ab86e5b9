"""The target that a plan names, and whether it is this machine itself."""

import ipaddress

from wattbench.backends.endpoint.target import Target, make_target
from wattbench.results.endpoint_plan import EndpointPlan

__all__ = ["is_here", "target_of"]


def target_of(plan: EndpointPlan) -> Target:
    """Return where a plan's requests go. Raises UsageError for an address or an API that is none."""
    return make_target(
        plan.url,
        api=plan.api,
        model=plan.model or "",
        stream=plan.stream,
        timeout_s=plan.timeout_s,
        ca_file=plan.ca_file,
    )


def is_here(target: Target) -> bool:
    """Return whether an address is this machine's own loopback, so that its sensors see the server."""
    if target.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(target.host).is_loopback
    except ValueError:
        return False
