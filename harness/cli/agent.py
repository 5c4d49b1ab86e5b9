"""`bench agent`: serves this machine's power sensors to a run on another machine, until Ctrl-C."""

from pathlib import Path

import click

from wattbench.harness.agent.access import Access, find_token, parse_listen, require_safe, tls_of
from wattbench.harness.agent.feed import Feed
from wattbench.harness.agent.server import AgentServer
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.interrupts import interrupts_as_errors
from wattbench.harness.power.agent_wire import AgentFacts
from wattbench.harness.power.select import Selection, open_samplers
from wattbench.results.errors import InterruptedRunError, SensorError, UsageError

__all__ = ["command", "facts_lines"]

_FILE = click.Path(path_type=Path)
_RATE_MAX_HZ = 1000.0


@click.command("agent")
@click.option("--listen", default="127.0.0.1", metavar="HOST[:PORT]", help="Where to listen [default: 127.0.0.1:8477].")
@click.option("--power", multiple=True, metavar="SAMPLER", help="What to read, as in bench run [default: auto].")
@click.option("--power-rate", "rate_hz", type=float, default=20.0, metavar="HZ", help="Polls per second [default: 20].")
@click.option("--covers", metavar="DEVICE", help="Read boards of this device alone: a UUID, several joined by +.")
@click.option("--credentials", type=_FILE, metavar="FILE", help="A file of yours alone with the line token = ...")
@click.option("--tls-cert", type=_FILE, metavar="FILE", help="Speak TLS with this certificate (PEM).")
@click.option("--tls-key", type=_FILE, metavar="FILE", help="Its key (PEM, without a password).")
@click.option("--once", is_flag=True, help="Print what would be served, and end.")
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for machines.")
def command(
    listen: str,
    power: tuple[str, ...],
    rate_hz: float,
    covers: str | None,
    credentials: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    once: bool,
    as_json: bool,
) -> int:
    """Serve this machine's power sensors to `bench run --power agent:HOST` on another machine.

    Listens on loopback unless told otherwise, and elsewhere only with a token: from --credentials, or from the
    variable WATTBENCH_AGENT_TOKEN. Ctrl-C ends it.
    """
    if not 0 < rate_hz <= _RATE_MAX_HZ:
        raise UsageError(f"--power-rate {rate_hz:g} cannot be used", f"it is above 0 and at most {_RATE_MAX_HZ:g}")
    access = Access(listen=parse_listen(listen), token=find_token(credentials), tls=tls_of(tls_cert, tls_key))
    require_safe(access)
    if any(word.partition(":")[0] == "agent" for word in power):
        raise UsageError(
            "An agent does not serve another one", "its clock would be placed twice", "Name both in the run."
        )
    try:
        with interrupts_as_errors():
            return _serve(access, open_samplers(power or ("auto",), covers), rate_hz, once=once, as_json=as_json)
    except InterruptedRunError:
        return 0


def facts_lines(facts: AgentFacts) -> list[str]:
    """Return what an agent has, as lines."""
    machine = ", ".join(facts.machine.values()) or "unknown machine"
    lines = [f"{machine}; {facts.rate_hz:g} polls a second, the last {facts.depth_rows} values are kept"]
    what = [(c, f"{c.scope} {c.covers}" if c.covers else c.scope) for c in facts.channels]
    return [*lines, *(f"  {c.id}: {scope}, {c.kind} in {c.unit}" for c, scope in what)]


def _serve(access: Access, selection: Selection, rate_hz: float, *, once: bool, as_json: bool) -> int:
    if not selection.samplers:
        raise SensorError("There is nothing to serve", selection.unavailable_reason or "", "See bench doctor --power.")
    feed = Feed(selection, rate_hz)
    try:
        if once:
            _print_facts(feed.facts(), as_json)
            return 0
        with AgentServer(access, feed) as server:
            feed.start()
            _print_facts(feed.facts(), as_json)
            _say_where(server, access)
            server.serve_forever()
        return 0
    finally:
        feed.close()


def _print_facts(facts: AgentFacts, as_json: bool) -> None:
    print_json(facts) if as_json else print_lines(facts_lines(facts))


def _say_where(server: AgentServer, access: Access) -> None:
    click.echo(f"listening on {server.url}; Ctrl-C ends it", err=True)
    if access.tls is None and not access.listen.is_loopback:
        click.echo("note: the token travels unencrypted; --tls-cert and --tls-key, or a tunnel, protect it", err=True)
