"""`bench cost`: its sub-commands by name, each imported only when it is called."""

import importlib

import click

__all__ = ["COMMANDS", "command"]

COMMANDS = {
    "init": ("wattbench.harness.cli.cost.init", "Write a commented file of inputs."),
    "query": ("wattbench.harness.cli.cost.query", "Say what one query of a result costs."),
    "validate": ("wattbench.harness.cli.cost.validate", "Compute published figures again and compare."),
}
"""Each sub-command's module (its `command` is the click command) and its line in `bench cost --help`."""


class CostGroup(click.Group):
    """A group that knows its commands by name and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, sorted."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table, importing none."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in sorted(COMMANDS)])


@click.group("cost", cls=CostGroup)
def command() -> None:
    """Turn measured throughput and watts into money: needs no device and no network."""
