"""The Prometheus sampler: any exporter's metric of power or energy, in the unit and kind that the user states."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from wattbench.backends.clocks import clock_offset
from wattbench.harness.power.contract import Availability, ChannelRecord, Reading, SamplerOptions
from wattbench.harness.power.meters.argument import Argument, parse_argument
from wattbench.harness.power.meters.channels import Facts, absent, broken, channel
from wattbench.harness.power.meters.credentials import load_credentials
from wattbench.harness.power.meters.exposition import Sample, Scrape, scrape
from wattbench.harness.power.meters.http_client import HTTP_KEYS, HttpClient, Scheme, make_client, target_of
from wattbench.harness.power.meters.values import reading, unless
from wattbench.harness.power.meters.watches import StampWatch
from wattbench.results.errors import SensorError, UsageError, WattbenchError

__all__ = ["PrometheusSampler"]

_KEYS = ("kind", "label", "max_age", "metric", "period", "time_metric", "unit", "wraps", *HTTP_KEYS)

_UNITS = {"W": 1.0, "mW": 1e-3, "uW": 1e-6, "kW": 1e3, "J": 1.0, "mJ": 1e-3, "uJ": 1e-6, "kWh": 3.6e6, "Wh": 3600.0}
"""Watts or joules in each unit."""

_ENERGY = ("J", "mJ", "uJ", "kWh", "Wh")
_TEMPLATE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What the user wants of the exporter: which series, in which unit, and how old a value may be."""

    metric: str
    labels: Mapping[str, str]
    unit: str
    counter: bool
    time_metric: str | None
    period_s: float
    max_age_s: float
    wraps_at_j: float | None


class PrometheusSampler:
    """Reads `URL,metric=NAME,unit=UNIT[,label[KEY]=VALUE...]`: each series that matches is a channel.

    A sample older than `max_age`, or whose time stamp or counter stands still for that long, is no value.
    """

    name = "prometheus"
    poll_period_s = 1.0

    def __init__(self, options: SamplerOptions) -> None:
        self._text = options.argument
        self._client: HttpClient | None = None
        self._target = ""
        self._wanted: _Wanted | None = None
        self._series: tuple[tuple[str, Mapping[str, str]], ...] = ()
        self._watches: dict[str, StampWatch] = {}
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Availability:
        """Scrape once and name a channel for each series."""
        self.close()
        if self._text is None:
            return absent(self.name, "an exporter")
        try:
            return self._open(parse_argument(self.name, self._text, _KEYS))
        except WattbenchError as exc:
            self.close()
            return broken(exc)

    def read(self) -> tuple[Reading, ...]:
        """Scrape once; W or J of every series. Raises SensorError when the exporter does not answer."""
        if self._client is None or self._wanted is None:
            raise SensorError("Cannot read Prometheus", "it is closed")
        wanted = self._wanted
        found = scrape(self._client, self._target)
        return tuple(self._reading(found, wanted, name, labels) for name, labels in self._series)

    def close(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _reading(self, found: Scrape, wanted: _Wanted, name: str, labels: Mapping[str, str]) -> Reading:
        samples = [s for s in found.find(wanted.metric, labels) if s.labels == labels]
        if len(samples) != 1:
            return Reading(channel=name, value=None, error=f"{wanted.metric} was shown {len(samples)} times, not once")
        (sample,) = samples
        stamp_s = _stamp_s(found, wanted, sample)
        if stamp_s is None and wanted.time_metric is not None:
            return Reading(channel=name, value=None, error=f"{wanted.time_metric}, its time, was not shown")
        taken_ns = None if stamp_s is None else round(stamp_s * 1e9)
        seen = reading(name, sample.value, _UNITS[wanted.unit], sensor_ns=taken_ns)
        mark = sample.value if stamp_s is None and wanted.counter else stamp_s
        why = self._watches[name].why_frozen(mark)
        if why is None and stamp_s is not None:
            why = _too_old(found.age_s(stamp_s), wanted.max_age_s)
        return unless(why, (seen,))[0]

    def _open(self, argument: Argument) -> Availability:
        wanted = self._wanted = _wanted(argument)
        self.poll_period_s = argument.seconds("every", type(self).poll_period_s)
        credentials = load_credentials(argument)
        scheme: Scheme = "bearer" if credentials.token else "basic"
        client = self._client = make_client(argument, credentials, scheme)
        self._target = target_of(argument, "/metrics")
        found = scrape(client, self._target)
        samples = found.find(wanted.metric, wanted.labels)
        if not samples:
            raise _no_series(client, found, wanted)
        offset = clock_offset([] if found.exchange is None else [found.exchange])
        clock = str(offset or "its clock is not told")
        self.channels = tuple(_channel(argument, wanted, s, samples) for s in samples)
        self._series = tuple((c.id, s.labels) for c, s in zip(self.channels, samples, strict=True))
        self._watches = {c.id: StampWatch(wanted.max_age_s) for c in self.channels}
        stale = next((r for r in (self._reading(found, wanted, *s) for s in self._series) if r.value is None), None)
        if stale is not None:
            raise SensorError(f"{client.name} shows {wanted.metric}, but no value of it", stale.error or "", _STALE)
        facts = {"metric": wanted.metric, "series": str(len(samples)), "clock": clock}
        where = f"{client.name}{self._target.partition('?')[0]}"
        reason = f"{len(samples)} series of {wanted.metric} in {wanted.unit} at {where}; {clock}"
        return Availability(state="present", reason=reason, facts=facts)


_STALE = "See why the exporter does not update it, or allow its age: max_age=S."


def _wanted(argument: Argument) -> _Wanted:
    for key in ("metric", "unit"):
        if key not in argument.options:
            example = "metric=node_rapl_package_joules_total,unit=J"
            raise UsageError(f"--power prometheus needs {key}=", "an exporter shows many", f"For example {example}.")
    unit = argument.choice("unit", tuple(_UNITS), "")
    kind = argument.choice("kind", ("counter", "gauge"), "counter" if unit in _ENERGY else "gauge")
    if (kind == "counter") != (unit in _ENERGY):
        raise argument.wrong("kind", "a counter is in joules or watt-hours, a gauge in watts")
    labels = {key[6:-1]: value for key, value in argument.options.items() if key.startswith("label[")}
    period_s = argument.seconds("period", 1.0)
    return _Wanted(
        metric=argument.options["metric"],
        labels=labels,
        unit=unit,
        counter=kind == "counter",
        time_metric=argument.options.get("time_metric"),
        period_s=period_s,
        max_age_s=argument.seconds("max_age", max(5.0, 3 * period_s)),
        wraps_at_j=argument.seconds("wraps", 0) if "wraps" in argument.options else None,
    )


def _stamp_s(found: Scrape, wanted: _Wanted, sample: Sample) -> float | None:
    """Return when a sample was taken: its own time stamp, else the metric that the user names for it, in seconds."""
    if sample.stamp_s is not None or wanted.time_metric is None:
        return sample.stamp_s
    times = [s.value for s in found.find(wanted.time_metric, {}) if math.isfinite(s.value)]
    return max(times, default=None)


def _too_old(age_s: float, max_age_s: float) -> str | None:
    return None if age_s <= max_age_s else f"stale: it was {age_s:.0f} s old when it was sent (at most {max_age_s:g} s)"


def _no_series(client: HttpClient, found: Scrape, wanted: _Wanted) -> SensorError:
    here = found.find(wanted.metric, {})
    likely = sorted({s.name for s in found.samples if re.search("power|watt|joule|energy", s.name.lower())})[:8]
    if here:
        why = "none has these labels; the first has " + ", ".join(f"{k}={v}" for k, v in here[0].labels.items())
    else:
        why = f"of power or energy it shows: {', '.join(likely) or 'nothing'}"
    return SensorError(
        f"{client.name} shows no {wanted.metric} as asked for", why, "Check metric= and label[KEY]=VALUE."
    )


def _channel(argument: Argument, wanted: _Wanted, sample: Sample, samples: tuple[Sample, ...]) -> ChannelRecord:
    """Return a series' channel; the labels that tell the series apart stand in its name."""
    telling = {k: v for k, v in sample.labels.items() if any(s.labels.get(k) != v for s in samples)}
    part = ",".join((wanted.metric, *(f"{k}={v}" for k, v in telling.items())))
    covers = argument.options.get("covers")
    named = None if covers is None else _TEMPLATE.sub(lambda m: sample.labels.get(m[1], m[0]), covers)
    facts = Facts(
        basis=(
            f"{wanted.metric} in {wanted.unit}, as the user states; accuracy and lag are the source's, unknown here; "
            f"update period of {wanted.period_s:g} s as stated by period=, at most {wanted.max_age_s:g} s old"
        ),
        scope="other",
        update_period_s=max(wanted.period_s, argument.seconds("every", 1.0)),
        wraps_at_j=wanted.wraps_at_j if wanted.counter else None,
    )
    return channel(argument, "counter" if wanted.counter else "power", facts, part=part, covers=named)
