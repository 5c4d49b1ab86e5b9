"""What every text field of a document may hold, and so what is done to it before the document leaves its machine."""

from typing import Literal

__all__ = ["RULES", "Rule", "rule_of"]

Rule = Literal["plain", "text", "cited", "path", "weights", "power", "command", "gone"]
"""What is done to a text.

plain: words of ours, models, versions, digests and times, which are left as they are; text: whatever in it identifies a
machine or person is hashed; cited: the same, but addresses of pages are kept; path: hashed as a whole; weights, power,
command: by their own grammar; gone: removed.
"""

RULES: dict[str, dict[Rule, str]] = {
    "AcceleratorFacts": {"plain": "vendor name driver", "text": "uuid"},
    "AttachmentRecord": {
        "plain": "original file_sha256 format wattbench",
        "text": "channel covers time_reference clock_basis",
        "path": "file",
    },
    "BackendRecord": {
        "plain": "name engine versions precision_requested precision_effective compute_precision",
        "text": "device device_name tuning synchronisation placement token_source memory_source true_device fallback"
        " tuning_fallback served_model",
        "path": "compile_cache",
    },
    "BudgetTerm": {"plain": "name", "cited": "basis"},
    "CalibrationLevel": {"plain": "name"},
    "CalibrationRecord": {"plain": "driver sampler calibrated_at", "text": "device device_name group"},
    "Calls": {"plain": "error_kind"},
    "CeilingEntry": {"plain": "precision shape unit library", "text": "energy_scope energy_reason"},
    "CeilingsRecord": {"plain": "measured_at versions", "text": "device device_name skipped"},
    "ChannelEnergy": {"text": "channel covers reason notes"},
    "ChannelRecord": {"plain": "sampler", "text": "id group covers", "cited": "accuracy_basis"},
    "ClientHealth": {"plain": "stamps"},
    "ClockRecord": {"plain": "source origin_utc"},
    "Completions": {"text": "error"},
    "CpuFacts": {"plain": "model architecture features governor"},
    "CrewStep": {"plain": "reason"},
    "Doubt": {"plain": "code", "text": "facts", "cited": "advice"},
    "EndpointPlan": {
        "plain": "api key_env",
        "text": "url model server_command",
        "path": "tokenizer key_file ca_file",
    },
    "Environment": {"plain": "python packages", "text": "variables"},
    "ErrorRecord": {"plain": "kind phase", "text": "what why remedy", "gone": "worker_log_tail"},
    "HarnessRecord": {"plain": "name version source_sha256"},
    "HostFacts": {"plain": "virtualization container", "text": "os kernel machine"},
    "IdleRecord": {"plain": "state"},
    "ImportedClock": {"plain": "origin_utc", "text": "basis"},
    "ImportedResult": {"plain": "schema id started_at"},
    "Interval": {"plain": "method"},
    "LoadRecord": {"plain": "name digest model shape", "cited": "sources"},
    "MeterRecord": {"text": "identity", "cited": "accuracy_basis"},
    "Metric": {"plain": "name unit", "text": "reason method scope boundary"},
    "ObservedRecord": {"text": "channel reason contradictions"},
    "OfficialFigure": {"plain": "scenario performance_unit efficiency_unit", "cited": "method"},
    "PeerEnergy": {"plain": "peer", "text": "part ours reason"},
    "PeerPart": {"plain": "scope", "text": "name covers method"},
    "PeerRecord": {"plain": "name version"},
    "PhaseRecord": {"plain": "name"},
    "Plan": {
        "plain": "load backend precision tuning ceilings cross_check",
        "text": "device devices",
        "weights": "weights",
        "power": "power",
        "path": "cross_check_python",
    },
    "Polls": {"text": "channel errors"},
    "PollsFile": {"plain": "digest"},
    "PowerRecord": {"text": "unavailable_reason covers"},
    "PrivacyRecord": {"plain": "method hashed removed"},
    "QualityRecord": {"text": "reference reason"},
    "QuantileMetric": {"plain": "name unit method", "text": "reason"},
    "RankRecord": {"text": "device device_name covers"},
    "RateProbe": {"plain": "step", "text": "reason"},
    "RateSearch": {"plain": "slo ended", "text": "reason"},
    "RecorderHealth": {"plain": "sampler"},
    "RemoteClock": {"plain": "boot", "text": "source"},
    "RequestsFile": {"plain": "digest"},
    "Result": {"plain": "schema id"},
    "RunRecord": {"plain": "id started_at", "command": "command"},
    "SamplerRecord": {"plain": "name", "text": "reason", "cited": "remedy"},
    "SourceFile": {"plain": "sha256", "text": "path"},
    "SourceRecord": {"plain": "tool format version", "text": "session"},
    "StatedSystem": {"plain": "division", "text": "name submitter accelerator processor meter basis software"},
    "StatedWork": {"plain": "precision scenario scenario_published tool_verdict", "text": "model settings"},
    "StepResponse": {"plain": "probed_at driver"},
    "TelemetryRecord": {"text": "source reason"},
    "ToolTimes": {"plain": "tool"},
    "TrafficPlan": {
        "plain": "ramp slo trace_digest trace_format session input_lengths output_lengths",
        "path": "trace",
    },
    "TrafficRecord": {"plain": "schedule_digest"},
    "TrialRecord": {"plain": "backend device precision tuning", "text": "reason"},
    "TuningRecord": {"plain": "chosen fastest_prefill fastest_decode measured_at"},
    "Verdict": {"text": "reasons"},
    "WarmupRecord": {"plain": "test moving"},
    "WeightsRecord": {"plain": "revision digest", "weights": "source", "text": "distribution"},
}
"""By record and rule, the names of its text fields; words of fixed lists (scopes, kinds) are not among them.

A run's own id is random, and tells only that two documents are of one run. The name of a load is the user's to give
away, as is what MLPerf's submitters state of themselves, unless it is also the name of the machine.
"""

_BY_FIELD: dict[tuple[str, str], Rule] = {
    (record, field): rule
    for record, rules in RULES.items()
    for rule, fields in rules.items()
    for field in fields.split()
}


def rule_of(record: str, field: str) -> Rule | None:
    """Return what is done to a field's text; None for a field that holds none."""
    return _BY_FIELD.get((record, field))
