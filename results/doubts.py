"""The records of distrust: doubts with facts and advice, and the verdict that follows from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["note", "doubt", "severe"]
Standing = Literal["valid", "doubtful", "invalid"]

__all__ = ["DOUBT_CODES", "Doubt", "Severity", "Standing", "Verdict", "judge"]

DOUBT_CODES: dict[str, str] = {
    "quick": "The run was asked to be quick: windows are shorter than the protocol's.",
    "short_window": "A measured window is shorter than the protocol's floor.",
    "few_repeats": "Fewer repeats than the protocol asks for.",
    "warm_up_cap": "Warm-up ended at its cap, not by its steadiness test.",
    "wide_interval": "The 95 % interval of a main figure is wider than the goal.",
    "sampling_gap": "Power samples are too far apart somewhere in a window.",
    "low_coverage": "Power samples cover less than 99 % of a window.",
    "counter_residual": "Energy counter and integrated power disagree.",
    "alias": "The sensor sees only part of the time and the load may beat against it.",
    "throttled": "The device slowed itself down (power, heat or a brake).",
    "thermal_drift": "The device was still heating up or cooling down.",
    "power_drift": "The device's power moved within a measured window.",
    "idle_drift": "Idle power before and after the run differ.",
    "power_limit_changed": "The power limit differs from its default or changed during the run.",
    "foreign_process": "Somebody else used the device or the CPU during a window.",
    "cpu_fallback": "Part of the work ran on the CPU instead of the device.",
    "tuning_fallback": "Another level of tuning than the one asked for was used.",
    "over_ceiling": "A rate lies above the device's measured ceiling, so one of the two is wrong.",
    "quality": "The outputs differ from the float32 reference beyond the load's tolerance.",
    "modelled_power": "Power is a model's estimate, not a measurement.",
    "declared_power": "Power was declared by the user, not measured.",
    "replayed_power": "Power comes from a recording, not from this run.",
    "unmeasured_scope": "No sensor sees some or all of the machine's draw.",
    "sensor_failed": "A power sensor failed or went silent during the run.",
    "sensor_absurd": "A power sensor gave a value that cannot be true.",
    "sensor_frozen": "A power sensor repeated one value where it should have changed.",
    "scope_contradiction": "A sensor of more of the machine shows less than one of a part of it.",
    "sensor_behaviour": "A power sensor does not behave as it is stated to; the observed figures are used.",
    "calibration": "A calibration is old, was made with another driver, or does not reach the power of the run.",
    "clock_unsynchronised": "The wall clock jumped or drifted against the monotonic clock during the run.",
    "host_noise": "The machine was busy with other things, or its hypervisor took time away.",
    "battery": "The machine ran on battery.",
    "official_differs": "Another tool's own figure differs from ours of the same logs.",
    "truncated_log": "A log that was imported ends before its run does, or cannot be read whole.",
    "altered_log": "A log that was imported is not the one that its session noted.",
    "imported_invalid": "The tool that made an imported run called it invalid or noted errors.",
    "stated_only": "Figures of an imported result are as its tool states them: no log to compute them from again.",
    "latency_from_send": "Latencies of an imported result count from the sending, not from the planned start.",
    "inferred_scenario": "An imported figure was published for another scenario than the one that ran.",
    "meter_uncertainty": "The uncertainty of an external meter is unknown, or above its limit for part of the samples.",
    "attached_power": "Power of an external meter was attached to the result after the run.",
    "mock": "The backend is a mock: its figures are made up.",
    "emulated": "The device is emulated: its figures say nothing about hardware.",
    "failed_requests": "Some requests failed.",
    "client_late": "The load generator itself sent requests later than planned.",
    "client_starved": "The load generator had to wait for a processor.",
    "usage_mismatch": "The server counts other tokens than our own tokenizer.",
    "token_count": "The server's counts of tokens cannot be right.",
    "cached_prompts": "The server answered from a cache of prompts that were meant to be new.",
    "slo_missed": "A limit that was to hold does not, or too few requests prove it.",
    "rate_not_reached": "The server did not serve requests at the rate that they came.",
    "interrupted": "The run was interrupted before its plan was done.",
    "worker_died": "The worker process died during the run.",
    "out_of_memory": "The worker ran out of memory.",
    "storage": "The result could not be written to the place asked for.",
    "unproven_completion": "The device's synchronise call could not be shown to wait for the work.",
}
"""Every doubt code with its plain meaning; docs/protocol.md describes each, and a test compares the two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """One reason to trust a result less: its code, severity, the facts as text, and advice that fits what was done."""

    code: str
    severity: Severity
    facts: str
    advice: str

    def __post_init__(self) -> None:
        if self.code not in DOUBT_CODES:
            raise ValueError(f"unknown doubt code {self.code!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What may be done with a result: valid, doubtful or invalid, with reasons in plain words."""

    standing: Standing
    reasons: tuple[str, ...]


def judge(doubts: Sequence[Doubt], *, finished: bool) -> Verdict:
    """Return the verdict that follows from the doubts.

    Any severe doubt, or a run that did not finish, makes it invalid; any plain doubt makes it doubtful; notes only
    add reasons.
    """
    reasons = tuple(f"{d.code}: {d.facts}" for d in doubts)
    severities = {d.severity for d in doubts}
    if "severe" in severities or not finished:
        unfinished = () if finished else ("the run did not finish",)
        return Verdict(standing="invalid", reasons=unfinished + reasons)
    if "doubt" in severities:
        return Verdict(standing="doubtful", reasons=reasons)
    return Verdict(standing="valid", reasons=reasons)
