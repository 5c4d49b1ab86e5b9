"""What of an endpoint's plan can be found wrong before anything is started: its key, its files, its program."""

from wattbench.backends.endpoint.address import target_of
from wattbench.backends.endpoint.key import load_key
from wattbench.backends.endpoint.reaching import tls_context
from wattbench.backends.endpoint.tokenizer_folder import check_folder, check_tokenizer
from wattbench.harness.serving.process import require_program, split_command
from wattbench.results.endpoint_plan import EndpointPlan

__all__ = ["refuse_unreadable", "refuse_unusable"]


def refuse_unusable(plan: EndpointPlan) -> None:
    """Raise UsageError for a key, authorities, a tokenizer or a server's program that are not there.

    Nothing is started, and nobody is asked.
    """
    load_key(plan.key_env, plan.key_file)
    tls_context(target_of(plan))
    if plan.tokenizer is not None:
        check_folder(plan.tokenizer)
    if plan.server_command is not None:
        require_program(split_command(plan.server_command))


def refuse_unreadable(plan: EndpointPlan | None) -> None:
    """Raise UsageError or DeviceError for a tokenizer that cannot be read; one that is asked for is read to know."""
    if plan is not None and plan.tokenizer is not None:
        check_tokenizer(plan.tokenizer)
