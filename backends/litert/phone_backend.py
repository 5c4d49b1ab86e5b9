"""The backend `litert-android`: LiteRT's models on a phone behind adb, executed by LiteRT's `benchmark_model`."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from wattbench.backends.adb import Adb, connect
from wattbench.backends.contract import (
    Availability,
    Batch,
    Completion,
    DeviceFinding,
    DeviceInfo,
    Level,
    Outputs,
    Preparation,
    Prepared,
    Spanned,
)
from wattbench.backends.edge_sdk import NEVER_RUN, is_exportable, part_findings
from wattbench.backends.encoder_backend import EncoderBackend
from wattbench.backends.encoders import OpenEncoder, filled_up, inputs_of
from wattbench.backends.litert.maker import MAKER, REMEDY
from wattbench.backends.litert.phone_devices import DELEGATE, DEVICES, PhoneDevice, delegate_fault, delegate_files
from wattbench.backends.phone import PhoneFacts, phone_facts
from wattbench.backends.programs import versions_of
from wattbench.models.load import Load
from wattbench.results.covers import PHONE
from wattbench.results.errors import DeviceError
from wattbench.results.measurement import ToolTimes

if TYPE_CHECKING:
    import numpy

    from wattbench.backends.litert.phone_session import PhoneProgram, TimedSpan

__all__ = ["TOOL", "LitertPhoneBackend"]

NAME = "litert-android"

TOOL = "WATTBENCH_BENCHMARK_MODEL"
"""The variable that names `benchmark_model` for the phone's processor: nothing is downloaded here."""

UNITS_APART = 100.0
"""Executions fill a span but for what lies between them: times so far from it are in another unit than us."""

TOOL_REMEDY = f"Build benchmark_model for Android, or download LiteRT's own, and name it: {TOOL}=/path/benchmark_model"


class PhoneSdk:
    """What is special about LiteRT on a phone; adb is asked only where a tool is named, and then once."""

    name = NAME
    level = Level(name="program", description="a converted model, executed on the phone by LiteRT's benchmark_model")

    def __init__(self) -> None:
        self.program: PhoneProgram | None = None

    def probe(self) -> Availability:
        """Say whether a tool is named, models can be made, and a phone answers."""
        missing = [name for name in MAKER.packages if name not in versions_of(MAKER.packages)]
        if (refusal := self._no_tool()) is not None:
            return refusal
        if missing:
            reason = f"no model can be made without {' and '.join(missing)}"
            return Availability(state="absent", reason=reason, remedy=REMEDY, facts=NEVER_RUN)
        try:
            reason = f"{self._facts.text}, by adb"
        except DeviceError as exc:
            return Availability(state="broken", reason=f"{exc.what}: {exc.why}", remedy=exc.remedy, facts=NEVER_RUN)
        return Availability(state="present", reason=reason, facts=NEVER_RUN | {"abi": self._facts.abi})

    def devices(self) -> tuple[DeviceInfo, ...]:
        """Return the phone's devices that can be asked for; whether a delegate works is told by the first execution."""
        emulated_on = "an Android emulator" if self._facts.emulator else None
        return tuple(
            DeviceInfo(
                name=device.device,
                description=f"{self._facts.text}: {device.label}",
                memory_bytes=None,
                precisions=device.precisions,
                precision_default=device.precisions[0],
                power_covers=PHONE,
                emulated_on=emulated_on,
            )
            for device in DEVICES
            if _availability(device).usable
        )

    def findings(self) -> tuple[DeviceFinding, ...]:
        """Return what is known of each device of the phone."""
        return part_findings(DEVICES, _availability)

    def takes(self, load: Load) -> bool:
        """Return whether the encoder's export is written and tested."""
        return is_exportable(load)

    def open(self, preparation: Preparation, device: DeviceInfo, threads: int) -> OpenEncoder:
        """Make or find the model, push it and execute it once; the host's `threads` say nothing of a phone."""
        from wattbench.backends.litert.phone_session import PhoneProgram, open_on_phone

        opened = open_on_phone(preparation, device, self._adb, self._facts, Path(os.environ[TOOL]))
        assert isinstance(opened.program, PhoneProgram)
        self.program = opened.program
        return opened

    def _no_tool(self) -> Availability | None:
        """Return why there is no tool to push, None where there is one."""
        named = os.environ.get(TOOL)
        if not named:
            reason = "no benchmark_model for the phone is named"
            return Availability(state="absent", reason=reason, remedy=TOOL_REMEDY, facts=NEVER_RUN)
        if not Path(named).is_file():
            reason = f"{TOOL}={named} is no file"
            return Availability(state="broken", reason=reason, remedy=TOOL_REMEDY, facts=NEVER_RUN)
        return None

    @cached_property
    def _adb(self) -> Adb:
        return connect()

    @cached_property
    def _facts(self) -> PhoneFacts:
        return phone_facts(self._adb)


class LitertPhoneBackend:
    """Executes encoders on a phone; whole windows are the tool's own, which starts anew for every call."""

    name = NAME

    def __init__(self) -> None:
        self._sdk = PhoneSdk()
        self._encoder = EncoderBackend(lambda: self._sdk)
        self._requests = 0

    def probe(self) -> Availability:
        """Say whether the phone can be used."""
        return self._encoder.probe()

    def devices(self) -> tuple[DeviceInfo, ...]:
        """Return the phone's devices, the processor first."""
        return self._encoder.devices()

    def findings(self) -> tuple[DeviceFinding, ...]:
        """Return what is known of each device of the phone, and how to get a missing one."""
        return self._encoder.findings()

    def levels(self, load: Load, device: str, precision: str) -> tuple[Level, ...]:
        """Return the one level for encoders, none for other loads and precisions."""
        return self._encoder.levels(load, device, precision)

    def prepare(self, preparation: Preparation) -> Prepared:
        """Push everything, execute once, and prove where it ran; errors as the contract says."""
        self._requests = preparation.batch
        return self._encoder.prepare(preparation)

    def run(self, batch: Batch) -> Completion:
        """Execute one batch by a call of the tool; its times hold the whole call, starting and loading too."""
        return self._encoder.run(batch)

    def outputs(self, batch: Batch, forced_tokens: numpy.ndarray | None) -> Outputs:
        """Return the numbers of request 0 that the phone computed."""
        return self._encoder.outputs(batch, forced_tokens)

    def span(self, batch: Batch, seconds: float, warm_up_s: float) -> Spanned:
        """Let the tool execute a batch again and again for a span; see `contract.SpanRunner`."""
        if self._sdk.program is None:
            raise DeviceError(f"The {self.name} backend is not prepared", "it was closed or never prepared")
        return _spanned(self._sdk.program.span(filled_up(inputs_of(batch), self._requests), seconds, warm_up_s), batch)

    def close(self) -> None:
        """Remove everything from the phone; safe to call twice."""
        self._sdk.program = None
        self._encoder.close()


def _spanned(found: TimedSpan, batch: Batch) -> Spanned:
    """Return a span on this machine's clock: from the tool's line before its first execution to that after its last."""
    runs, clock = found.report.runs, found.clock
    start_ns, end_ns = (round((at_s - clock.offset_s) * 1e9) for at_s in (runs.start_s, runs.end_s))
    if end_ns <= start_ns:
        why = f"its {runs.count} executions took no time by the phone's clock, which counts in 10 ms"
        raise DeviceError("The span is too short", why, "Choose a larger --window or --batch.")
    told_s, clock_s = runs.mean_s * runs.count, runs.end_s - runs.start_s
    if not clock_s / UNITS_APART < told_s < clock_s * UNITS_APART:
        why = f"it tells of {runs.count} executions of {runs.mean_s:.3g} s in {clock_s:.3g} s of the phone's clock"
        raise DeviceError("benchmark_model's times cannot be", why, "Take benchmark_model from a current LiteRT.")
    return Spanned(
        start_ns=start_ns,
        end_ns=end_ns,
        requests=batch.requests * runs.count,
        input_tokens=batch.input_tokens * runs.count,
        times=ToolTimes(
            tool="benchmark_model",
            executions=runs.count,
            mean_s=runs.mean_s,
            min_s=runs.min_s,
            max_s=runs.max_s,
            std_s=runs.std_s,
            median_s=runs.median_s,
            init_s=found.report.init_s,
            clock_bound_s=clock.bound_s,
            thermal_status=found.thermal_status,
        ),
    )


def _availability(device: PhoneDevice) -> Availability:
    if device.external and not delegate_files():
        return Availability(
            state="absent",
            reason="no vendor's delegate is named",
            remedy=f"Name its files, the delegate first: {DELEGATE}=libQnnTFLiteDelegate.so:libQnnHtp.so:...",
            facts=NEVER_RUN,
        )
    if device.external and (fault := delegate_fault()) is not None:
        return Availability(state="broken", reason=fault, remedy=f"Correct {DELEGATE}.", facts=NEVER_RUN)
    return Availability(
        state="present",
        reason="whether it works is told by the first execution; wattbench never ran one",
        facts=NEVER_RUN,
    )
