"""`bench cost`: its sub-commands by name, each imported only when it is called."""

import click

from wattbench.harness.cli.lazy import LazyGroup

__all__ = ["COMMANDS", "command"]

COMMANDS = {
    "bill": ("wattbench.harness.cli.cost.bill", "Say what queries cost a year."),
    "breakeven": ("wattbench.harness.cli.cost.breakeven", "Say when owning pays: against a list, a rent, an old one."),
    "carbon": ("wattbench.harness.cli.cost.carbon", "Say what one query emits and drinks."),
    "compare": ("wattbench.harness.cli.cost.compare", "Compare several results at one service level."),
    "fleet": ("wattbench.harness.cli.cost.fleet", "Size a fleet for a load, or say what a cap or a battery carries."),
    "init": ("wattbench.harness.cli.cost.init", "Write a commented file of inputs."),
    "prices": ("wattbench.harness.cli.cost.prices", "List what providers ask for a model's tokens."),
    "query": ("wattbench.harness.cli.cost.query", "Say what one query of a result costs."),
    "sensitivity": ("wattbench.harness.cli.cost.sensitivity", "Say how sure a cost is, and what moves it most."),
    "shift": ("wattbench.harness.cli.cost.shift", "Model the shift to inference, and which hardware meets a cost."),
    "task": ("wattbench.harness.cli.cost.task", "Say what one agentic task costs."),
    "train-ratio": ("wattbench.harness.cli.cost.train_ratio", "Say when inference overtakes training."),
    "validate": ("wattbench.harness.cli.cost.validate", "Compute published figures again and compare."),
}
"""Each sub-command's module (its `command` is the click command) and its line in `bench cost --help`."""


class CostGroup(LazyGroup):
    """The commands of `bench cost`."""

    table = COMMANDS


@click.group("cost", cls=CostGroup)
def command() -> None:
    """Turn measured throughput and watts into money: needs no device and no network."""
