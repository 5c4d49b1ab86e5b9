"""Whether a run calls itself what it is: a mock, an emulation, a recording, a model."""

from collections.abc import Iterator

from wattbench.results.document import Result
from wattbench.results.trust.verification import Check, failed, ok

__all__ = ["identity_check"]

DECLARED = {"replay": "replayed", "model": "modelled", "neuron": "declared"}
"""Samplers that measure nothing, and what their channels are."""


def identity_check(result: Result) -> Check:
    """Say whether what is made up, emulated, replayed, modelled or declared is called so."""
    backend = result.backend
    problems = list(_provenance_problems(result))
    if backend is not None and (backend.name == "mock" or result.plan.backend == "mock") and not backend.mock:
        problems.append("the backend is the mock and says that it is not")
    codes = {doubt.code: doubt.severity for doubt in result.doubts}
    kinds = {channel.provenance for channel in result.power.channels}
    if "replayed" in kinds and codes.get("replayed_power") != "severe":
        problems.append("watts are replayed without the severe doubt that says so")
    if kinds & {"modelled", "declared"} and "modelled_power" not in codes:
        problems.append("watts are modelled without the doubt that says so")
    if problems:
        return failed("identity", "; ".join(problems))
    return ok("identity", "nothing is called what it is not")


def _provenance_problems(result: Result) -> Iterator[str]:
    """Yield channels of samplers that replay, model or are declared, and do not say so."""
    for channel in result.power.channels:
        wanted = DECLARED.get(channel.sampler)
        if wanted is not None and channel.provenance == "measured":
            yield f"{channel.id} is of the sampler {channel.sampler} and says that it was measured"
    asked = {name.partition(":")[0] for name in result.plan.power} & set(DECLARED)
    said = {channel.provenance for channel in result.power.channels}
    for name in sorted(asked):
        if result.power.channels and DECLARED[name] not in said and not said & {"replayed", "modelled"}:
            yield f"the plan asks for {name}, no channel is {DECLARED[name]}"
