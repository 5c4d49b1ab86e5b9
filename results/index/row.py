"""One row of the index: what leaderboards, history and lists need of a document at one scope of power."""

from dataclasses import dataclass, fields

__all__ = ["BINARY", "COLUMNS", "ROW_VERSION", "IndexRow"]

ROW_VERSION = 2
"""Raised when rows of the same document come out differently: an index of another version is built anew."""

BINARY = ("id", "fingerprint", "comparability_key", "load_digest")
"""The columns that tables keep as the 32 bytes of a digest; in records and output they are "sha256:<hex>"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexRow:
    """A document at one scope, flat; docs/query.md#columns explains each column, unknown is None.

    `primary_scope` marks the document's own scope, so that counting those rows counts documents. A document that could
    not be read is a row too, with nothing but what its log entry says, and the reason in `problem`.
    """

    id: str
    scope: str
    primary_scope: bool
    schema: str | None
    kind: str | None
    status: str | None
    problem: str | None
    started_at: str | None
    time_us: int | None
    logged_at: str | None
    uploader: str | None
    size_bytes: int | None
    harness_version: str | None
    load: str | None = None
    load_version: str | None = None
    load_digest: str | None = None
    model: str | None = None
    precision: str | None = None
    compute_precision: str | None = None
    weights: str | None = None
    scenario: str | None = None
    batch: int | None = None
    slots: int | None = None
    parallelism: int | None = None
    backend: str | None = None
    engine: str | None = None
    tuning: str | None = None
    device: str | None = None
    class_id: str | None = None
    hardware: str | None = None
    devices: int | None = None
    fingerprint: str | None = None
    comparability_key: str | None = None
    boundary: str | None = None
    repeats: int | None = None
    requests: int | None = None
    tokens: str | None = None
    requests_per_s: float | None = None
    requests_per_s_low: float | None = None
    requests_per_s_high: float | None = None
    tokens_per_s: float | None = None
    tokens_per_s_low: float | None = None
    tokens_per_s_high: float | None = None
    tokens_per_j: float | None = None
    tokens_per_j_low: float | None = None
    tokens_per_j_high: float | None = None
    u_tokens_per_j_rel: float | None = None
    energy_per_request_j: float | None = None
    energy_per_request_j_low: float | None = None
    energy_per_request_j_high: float | None = None
    power_w: float | None = None
    power_w_low: float | None = None
    power_w_high: float | None = None
    latency_p50_s: float | None = None
    latency_p99_s: float | None = None
    latency_p99_bound_s: float | None = None
    ttft_p50_s: float | None = None
    ttft_p50_s_low: float | None = None
    ttft_p50_s_high: float | None = None
    ttft_p99_s: float | None = None
    ttft_p99_bound_s: float | None = None
    tpot_p50_s: float | None = None
    tpot_p50_s_low: float | None = None
    tpot_p50_s_high: float | None = None
    tpot_p99_s: float | None = None
    tpot_p99_bound_s: float | None = None
    verdict: str | None = None
    doubts: str = ""
    tier: str = "self-reported"
    standing: str = "unchecked"
    rankable: bool = False
    reasons: str = ""
    withdrawn: bool = False
    disputed: bool = False


COLUMNS: dict[str, type] = {
    field.name: next(kind for kind in (bool, int, float, str) if kind.__name__ in str(field.type))
    for field in fields(IndexRow)
}
"""Each column's type, in order."""
