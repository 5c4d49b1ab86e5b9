"""What a result says of this backend: the facts of either engine, as a `BackendRecord`."""

from dataclasses import dataclass

from wattbench.backends.contract import Preparation
from wattbench.backends.onnxruntime.genai import GenaiPrepared
from wattbench.backends.onnxruntime.graphs import Graph
from wattbench.backends.onnxruntime.installed import version_facts
from wattbench.backends.onnxruntime.offers import Offer
from wattbench.backends.onnxruntime.session import OpenSession
from wattbench.results.subject import BackendRecord, WeightsRecord

__all__ = ["Facts", "genai_facts", "graph_facts", "record_of"]

FLOATS = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known once an engine is open; but for `weights` the fields are those of `BackendRecord`."""

    weights: WeightsRecord
    versions: dict[str, str]
    precision_effective: str
    compute_precision: str | None
    weight_bytes: int | None
    kv_bytes_per_token: int | None
    threads: int | None
    tuning: str
    synchronisation: str
    placement: str
    placement_share: float
    fallback: str | None
    token_source: str


def genai_facts(prepared: GenaiPrepared) -> Facts:
    """Return the facts of the engine `genai`."""
    found = prepared.facts
    return Facts(
        weights=prepared.weights,
        versions=found.versions,
        precision_effective=found.precision_effective,
        compute_precision=found.compute_precision,
        weight_bytes=found.weight_bytes,
        kv_bytes_per_token=found.kv_bytes_per_token,
        threads=found.threads,
        tuning=found.tuning,
        synchronisation=found.synchronisation,
        placement=found.placement,
        placement_share=found.placement_share,
        fallback=found.fallback,
        token_source=found.token_source,
    )


def graph_facts(graph: Graph, opened: OpenSession) -> Facts:
    """Return the facts of a graph in a session.

    A provider may multiply a graph of float32 weights in fewer bits: then that is the precision in effect. Weights of
    fewer bits than they are multiplied in keep theirs, and the products' is told apart.
    """
    computes = opened.compute_precision or graph.compute_precision
    effective = computes if graph.precision in FLOATS else graph.precision
    on_host = opened.device_type == "cpu"
    return Facts(
        weights=graph.weights,
        versions=version_facts() | graph.versions,
        precision_effective=effective,
        compute_precision=computes if computes != effective else None,
        weight_bytes=graph.weight_bytes,
        kv_bytes_per_token=graph.kv_bytes_per_token,
        threads=opened.threads,
        tuning="; ".join((*graph.steps, opened.settings)),
        synchronisation=(
            f"a run {'returns when done' if on_host else 'is followed by synchronize_outputs'} before each time stamp; "
            "outputs are read on the host in every execution"
        ),
        placement=opened.placement,
        placement_share=opened.share,
        fallback=opened.fallback,
        token_source="counted from the tokens that the graph wrote and read",
    )


def record_of(p: Preparation, offer: Offer, facts: Facts, peak_bytes: int | None) -> BackendRecord:
    """Return the record of a prepared load."""
    on_cpu = offer.unit == "cpu"
    plugin = {} if offer.module is None else version_facts((offer.module,))
    return BackendRecord(
        name="onnxruntime",
        engine=p.tuning,
        versions=facts.versions | plugin,
        device=offer.info.name,
        device_name=offer.info.description,
        precision_requested=p.precision,
        precision_effective=facts.precision_effective,
        threads=facts.threads,
        affinity=tuple(sorted(p.affinity)) if p.affinity is not None else None,
        tuning=facts.tuning,
        synchronisation=facts.synchronisation,
        placement=facts.placement,
        token_source=facts.token_source,
        memory_peak_bytes=peak_bytes,
        memory_source=(
            "peak resident set of the worker process since its start; graphs are made in a process of their own"
            if on_cpu
            else "unknown: ONNX Runtime does not tell how much of a device's memory it took"
        ),
        mock=False,
        emulated=offer.simulates is not None,
        true_device=offer.simulates,
        compute_precision=facts.compute_precision,
        weight_bytes=facts.weight_bytes,
        kv_bytes_per_token=facts.kv_bytes_per_token,
        placement_share=facts.placement_share,
        fallback=facts.fallback,
    )
