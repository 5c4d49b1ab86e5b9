"""`bench selftest`: how far the endpoint client is from the truth on this machine."""

from collections.abc import Iterator

import click

from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.selftest.levels import CONCURRENCIES, SelfTest, keep, recall, self_test
from wattbench.results.errors import InterruptedRunError, UsageError

__all__ = ["command"]

CONCURRENCY_MAX = 1024


@click.command("selftest")
@click.option(
    "--concurrency",
    type=click.IntRange(1, CONCURRENCY_MAX),
    multiple=True,
    metavar="N",
    help="Paced streams at once; repeatable [default: 1, 32 and 128].",
)
@click.option("--cached", is_flag=True, help="Show what was found last; measure nothing.")
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for machines.")
def command(concurrency: tuple[int, ...], cached: bool, as_json: bool) -> int:
    """Drive the client of endpoints against a server that knows the truth (20 seconds, on loopback).

    Says how much of a measured time to first token is the client's own. Runs against endpoints quote it.
    """
    found = _remembered() if cached else _measured(concurrency)
    if as_json:
        print_json(found)
    else:
        print_lines(_lines(found))
    return 0


def _remembered() -> SelfTest:
    found = recall()
    if found is None:
        why = "this version of the client was not tested on this machine"
        raise UsageError("No self-test is remembered", why, "Run it: bench selftest")
    return found


def _measured(concurrency: tuple[int, ...]) -> SelfTest:
    try:
        found = self_test(concurrency or CONCURRENCIES, lambda what: click.echo(f"self-test: {what}", err=True))
    except KeyboardInterrupt:
        raise InterruptedRunError("Interrupted", "the self-test did not come to its end") from None
    try:
        keep(found)
    except (OSError, UsageError) as exc:
        click.echo(f"not remembered: {exc}", err=True)
    return found


def _lines(found: SelfTest) -> Iterator[str]:
    yield f"self-test of {found.measured_at}, {found.processors} processors shared with the server\n"
    yield f"{'streams':>7}  {'first token, beyond the server':<32}{'gap between tokens':<22}{'sent late':<22}requests/s"
    for level in found.levels:
        first = f"+{_ms(level.ttft_p50_s)} / {_ms(level.ttft_p99_s)} ms"
        gap = f"{level.gap_p50_s * 1e6:.1f} / {level.gap_p99_s * 1e6:.0f} us"
        late = f"{_ms(level.late_p50_s)} / {_ms(level.late_p99_s)} ms"
        reached = f"{level.requests_per_s:.1f} of {level.ideal_per_s:.1f}"
        yield f"{level.concurrency:>7}  {first:<32}{gap:<22}{late:<22}{reached}"
    yield "\np50 / p99; times to first token hold the way in and out, gaps are errors against the server's own writes"
    stamps = {level.stamps for level in found.levels}
    yield f"arrivals are stamped by the {' and the '.join(sorted(stamps))}" + (
        "" if stamps == {"kernel"} else ": bytes that wait to be read count as late"
    )
    small = f"{found.small_per_s:,.0f} requests/s, {found.small_cpu_s * 1e3:.3f} ms of processor time each"
    yield f"small streams   {small}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f}"
