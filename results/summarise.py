"""The summary of a run from its raw repeats: a pure function, so that anyone can compute it again."""

from collections.abc import Mapping, Sequence

from wattbench.results.ceilings import CeilingsRecord
from wattbench.results.energy_figures import energy_metrics
from wattbench.results.figures import figure
from wattbench.results.kept_limits import goodput_metrics
from wattbench.results.latency import latency_metrics
from wattbench.results.measurement import Repeat
from wattbench.results.metrics import Metric, Summary
from wattbench.results.rates import throughput_metrics, work_of
from wattbench.results.rungs import PhaseEnergies, RungEnergy
from wattbench.results.subject import BackendRecord, LoadRecord
from wattbench.results.traffic_figures import traffic_latencies, traffic_metrics
from wattbench.results.traffic_plan import TrafficPlan
from wattbench.results.utilisation import utilisation_metrics

__all__ = ["RungEnergy", "summarise"]


def summarise(
    load: LoadRecord,
    repeats: Sequence[Repeat],
    *,
    rung_energies: Sequence[Sequence[RungEnergy]],
    idle_power_w: Mapping[str, float],
    memory_peak_bytes: int | None,
    no_energy_reason: str | None,
    backend: BackendRecord | None = None,
    ceilings: CeilingsRecord | None = None,
    phases: Sequence[PhaseEnergies | None] = (),
    traffic: TrafficPlan | None = None,
) -> Summary:
    """Return every metric of docs/metrics.md; what is not known stands there as None with a reason.

    `rung_energies` has one sequence per repeat in their order, the primary rung first; empty without a sensor, and then
    `no_energy_reason` says why. `idle_power_w` is the idle power by rung name that net energy was counted from.
    `phases` has the energies of prefill and decode at the primary rung, one entry a repeat; empty where they were not
    told apart. `backend` and `ceilings` are what utilisation is counted from; None where the run has none.
    `traffic` has the limits that goodput is counted by.
    """
    works = [work_of(repeat) for repeat in repeats]
    failed = sum(work.failed for work in works)
    reason = no_energy_reason or "no power sensor gave an energy"
    return Summary(
        metrics=(
            *throughput_metrics(load, repeats),
            *energy_metrics(load, works, rung_energies, idle_power_w, reason, phases),
            _memory(memory_peak_bytes),
            *utilisation_metrics(load, repeats, backend, ceilings),
            *traffic_metrics(repeats),
            *goodput_metrics(repeats, traffic),
        ),
        latencies=(*latency_metrics(load, repeats), *traffic_latencies(repeats)),
        requests=failed + sum(work.requests for work in works),
        failed_requests=failed,
        repeats=len(repeats),
        measured_s=sum(work.duration_s for work in works),
    )


def _memory(peak_bytes: int | None) -> Metric:
    samples = [] if peak_bytes is None else [float(peak_bytes)]
    method = "peak over the run; backend.memory_source says where it comes from"
    return figure("memory.peak", "By", samples, method, reason="the backend cannot tell its peak memory")
