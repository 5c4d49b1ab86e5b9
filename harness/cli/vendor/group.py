"""`bench vendor`: its sub-commands by name, each imported only when it is called."""

import click

from wattbench.harness.cli.lazy import LazyGroup

__all__ = ["COMMANDS", "command"]

COMMANDS = {
    "check": ("wattbench.harness.cli.vendor.check", "Hold results against what is claimed of their devices."),
    "claims": ("wattbench.harness.cli.vendor.claims", "List what models were claimed to reach."),
    "list": ("wattbench.harness.cli.vendor.listing", "List the accelerators that are known."),
    "match": ("wattbench.harness.cli.vendor.matching", "Recognise the devices at hand, or a name."),
    "show": ("wattbench.harness.cli.vendor.show", "Show all that is stated of one accelerator, with sources."),
}
"""Each sub-command's module (its `command` is the click command) and its line in `bench vendor --help`."""


class VendorGroup(LazyGroup):
    """The commands of `bench vendor`."""

    table = COMMANDS


@click.group("vendor", cls=VendorGroup)
def command() -> None:
    """Look up what vendors state of accelerators, each figure with source, grade and date; needs no network."""
