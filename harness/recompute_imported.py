"""An imported result computed again from the meter's samples that it keeps: which of our figures do not follow."""

from wattbench.harness.exchange.mlperf_metrics import RATES, power_metrics
from wattbench.harness.exchange.mlperf_power import window_energy
from wattbench.harness.recompute import Pair, Recomputation, differences_of, leaves_of, rules_note, same_rules
from wattbench.results.energy import ChannelEnergy
from wattbench.results.errors import DocumentError
from wattbench.results.imported import ImportedResult

__all__ = ["recompute_imported"]


def recompute_imported(result: ImportedResult) -> Recomputation:
    """Compute our energy of an imported window, and the power and efficiency that follow from it, again and compare.

    Raises DocumentError for one without a window or a sample of power: nothing in it was computed by us.
    """
    count = sum(len(log.value) for log in result.power.polls)
    channel = next(iter(result.power.channels), None)
    if result.window is None or channel is None or not count:
        why = f"it was imported without power: {result.power.unavailable_reason or 'it keeps no sample'}"
        remedy = f"Import it again with the logs of its meter, where {result.source.tool} keeps any."
        raise DocumentError("This result cannot be computed again", why, remedy)
    energy = window_energy(channel, result.power.polls, result.window)
    leaves = same_rules(result.power, leaves_of([("energy", result.energy, energy), *_metric_pairs(result, energy)]))
    stated = f"what {result.source.tool} states (official figures, rates, latencies)"
    return Recomputation(
        polls=count,
        windows=1,
        figures=len(leaves),
        differences=tuple(differences_of(leaves)),
        note=" ".join(
            filter(None, (f"Not computed again: {stated}; its logs are not in the file.", rules_note(result.power)))
        ),
    )


def _metric_pairs(result: ImportedResult, energy: ChannelEnergy) -> list[Pair]:
    """Return the metrics that rest on the energy beside those that follow from it and from the stated work."""
    stated = {unit: result.metric(name) for name, unit in RATES}
    rates = {unit: metric.value for unit, metric in stated.items() if metric is not None and metric.value is not None}
    computed = power_metrics(energy, result.work.requests, rates, "there is no energy")
    throughputs = {name for name, _ in RATES}
    known = {metric.name: metric for metric in result.metrics if metric.name not in throughputs}
    names = dict.fromkeys((*known, *(metric.name for metric in computed)))
    anew = {metric.name: metric for metric in computed}
    return [(f"metrics.{name}", known.get(name), anew.get(name)) for name in names]
