"""Metrics in Prometheus's text format: one scrape, its samples with labels and time stamps, and how old they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wattbench.backends.clocks import Exchange
from wattbench.harness.power.meters.http_client import HttpClient
from wattbench.results.errors import SensorError

__all__ = ["Sample", "Scrape", "scrape"]

INSTALL = "pip install 'wattbench[meters]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One line: a metric's name, its labels, its value, and its own time stamp (UTC seconds) where it carries one."""

    name: str
    labels: Mapping[str, str]
    value: float
    stamp_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrape:
    """Everything that one answer held, and when it was asked for and came, in our UTC seconds."""

    samples: tuple[Sample, ...]
    exchange: Exchange | None
    received_s: float

    def find(self, name: str, labels: Mapping[str, str]) -> tuple[Sample, ...]:
        """Return the samples of a metric that carry all these labels."""
        return tuple(s for s in self.samples if s.name == name and labels.items() <= s.labels.items())

    def age_s(self, stamp_s: float) -> float:
        """Return how old a time stamp was when it was sent: by the server's own clock where it tells it, else ours."""
        now_s = self.received_s if self.exchange is None else self.exchange.remote_s
        return now_s - stamp_s


def scrape(client: HttpClient, target: str) -> Scrape:
    """Return what an exporter shows now. Raises SensorError when it does not answer, or not in this format."""
    parse = _parser()
    reply = client.get(target)
    try:
        families = list(parse(reply.body.decode()))
    except (ValueError, KeyError, IndexError) as exc:  # what the parser raises for text that is none of it
        why = f"{type(exc).__name__}: {exc}"[:120]
        remedy = "Is this the address of an exporter's metrics? Most end in /metrics."
        raise SensorError(f"{client.name}{target.partition('?')[0]} is no Prometheus text", why, remedy) from None
    samples = tuple(_sample(sample) for family in families for sample in family.samples)
    return Scrape(samples=samples, exchange=reply.exchange, received_s=reply.received_s)


def _parser() -> Any:  # any: a function of a package that may be missing
    try:
        from prometheus_client.parser import text_string_to_metric_families
    except ImportError as exc:
        raise SensorError("Cannot read Prometheus's format", "prometheus-client is not installed", INSTALL) from exc
    return text_string_to_metric_families


def _sample(sample: Any) -> Sample:  # any: a record of prometheus_client
    stamp_s = None if sample.timestamp is None else float(sample.timestamp)
    return Sample(name=sample.name, labels=dict(sample.labels), value=float(sample.value), stamp_s=stamp_s)
