"""The `bench` command as click sees it: its sub-commands by name, each imported only when it is called."""

import click

from wattbench.harness.cli.lazy import LazyGroup

__all__ = ["COMMANDS", "bench"]

COMMANDS = {
    "agent": ("wattbench.harness.cli.agent", "Serve this machine's power sensors to a run on another machine."),
    "attach-power": ("wattbench.harness.cli.attaching", "Attach an external meter's recording to a finished result."),
    "calibrate": ("wattbench.harness.cli.calibrate", "Hold a power sensor against a trusted meter, and keep the line."),
    "ceilings": ("wattbench.harness.cli.ceilings", "Measure what a device can do at most: products, memory, copies."),
    "compare": (
        "wattbench.harness.cli.comparing",
        "Compare results with each other, with claims, or with published ones.",
    ),
    "cost": ("wattbench.harness.cli.cost.group", "Turn measured throughput and watts into money."),
    "doctor": ("wattbench.harness.cli.doctor", "Say what can be measured here: devices, backends, power sensors."),
    "export": ("wattbench.harness.cli.exporting", "Export results in the formats of other tools, such as CSV."),
    "import": ("wattbench.harness.cli.importing", "Import results that other tools measured, such as MLPerf's logs."),
    "list": ("wattbench.harness.cli.listing", "List the loads, backends or samplers that are installed."),
    "log": ("wattbench.harness.cli.log", "List what came into a store of results, with notes."),
    "note": ("wattbench.harness.cli.noting", "Say something about a result in a store."),
    "pull": ("wattbench.harness.cli.pull", "Write results of a store into files."),
    "push": ("wattbench.harness.cli.push", "Upload results to a store, or go on with uploads."),
    "energy-split": ("wattbench.harness.cli.energy_split", "Split energy into joules per token in and out over mixes."),
    "query": ("wattbench.harness.cli.querying", "Ask a store: leaderboards, single results, a machine's history."),
    "recompute": ("wattbench.harness.cli.recompute", "Compute a result again from its raw data and say what differs."),
    "report": ("wattbench.harness.cli.report", "Write results as one self-contained page, alone or side by side."),
    "run": ("wattbench.harness.cli.run", "Run one load, measure it, and write a result file."),
    "selftest": ("wattbench.harness.cli.selftest", "Say how far the endpoint client is from the truth here."),
    "sign": ("wattbench.harness.cli.sign", "Sign a result, as a file beside it or in a store."),
    "store": ("wattbench.harness.cli.store.group", "Make and look after a store that results are shared in."),
    "sweep": ("wattbench.harness.cli.sweep", "Measure many points in turns and name the best of them."),
    "show": ("wattbench.harness.cli.show", "Show a result file for people: figures, verdict, doubts."),
    "verify": ("wattbench.harness.cli.verify", "Check results against their raw data, physics and signatures."),
    "sync": ("wattbench.harness.cli.syncing", "Copy what one store has and another lacks."),
    "vendor": ("wattbench.harness.cli.vendor.group", "Look up accelerators: figures, claims, names, with sources."),
    "withdraw": ("wattbench.harness.cli.withdraw", "Withdraw a result of a store: it stays, marked."),
}
"""Each sub-command's module (its `command` is the click command) and its line in `bench --help`."""


class BenchGroup(LazyGroup):
    """The commands of `bench`."""

    table = COMMANDS


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"wattbench {version('wattbench')}")
        ctx.exit()


@click.group(cls=BenchGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Show version."
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def bench(debug: bool) -> None:
    """Measure what transformer inference really costs: throughput per watt, on any accelerator.

    Exit codes: 0 done, 1 failed, 2 usage, 3 measured but invalid, 4 measured but not uploaded.
    """
