"""NVML's calls as a poll makes them: prepared once, answered into the same memory, decoded without pynvml's structures.

A call through pynvml builds its arguments anew and looks up every member in Python; after 50 ms of sleep, with cold
caches, that was most of a poll's processor time (docs/performance.md). The layouts are those of nvml.h
(nvmlFieldValue_t, nvmlSample_t), the functions those that pynvml has loaded.
"""

import ctypes
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wattbench.harness.power.contract import Block, Reading

__all__ = ["FieldAsk", "FieldsCall", "NumberCall", "SamplesCall"]

_UNKNOWN = 999  # NVML_ERROR_UNKNOWN: an answer that the driver did not write may not look like a good one
_MEMBERS = tuple(struct.Struct(form) for form in "dILQqiH")  # nvmlValue_t by nvmlValueType_t
_SAMPLES = tuple(struct.Struct(f"Q{form}{8 - struct.calcsize(form)}x") for form in "dILQqiH")  # nvmlSample_t, likewise
_ASK = struct.Struct("IIqqiIQ")  # nvmlFieldValue_t: id, scope, stamp in us, latency, value type, return code, value
_ANSWER = struct.Struct("8xq8xiI8x")
_VALUE_AT = 32
_WHOLE = struct.Struct("8xq8xiIQ")  # the same answer with its value as 64 bits
_WIDTHS = {1: 0xFFFFFFFF, 2: (1 << 8 * struct.calcsize("L")) - 1, 3: (1 << 64) - 1}
"""The bits of the whole numbers among the value types; on a little-endian machine they are the lowest of the 64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldAsk:
    """One field of one power scope, and the channel that it fills."""

    channel: str
    code: int
    scope: int


class FieldsCall:
    """All fields of one board in one call of `nvmlDeviceGetFieldValues`."""

    def __init__(self, nvml: Any, handle: Any, asks: Sequence[FieldAsk]) -> None:  # any: NVML's module and handle
        self._nvml = nvml
        self._channels = tuple(ask.channel for ask in asks)
        self._asks = b"".join(_ASK.pack(ask.code, ask.scope, 0, 0, 0, _UNKNOWN, 0) for ask in asks)
        self._answers = ctypes.create_string_buffer(self._asks, len(self._asks))
        self._call = nvml._nvmlGetFunctionPointer("nvmlDeviceGetFieldValues")
        self._arguments = (handle, ctypes.c_int(len(asks)), self._answers)

    def look(self) -> tuple[int, bytes]:
        """Make the call and return its code and the answers' memory."""
        self._answers.raw = self._asks
        return self._call(*self._arguments), self._answers.raw

    def readings(self, look: tuple[int, bytes]) -> list[Reading]:
        """Return every field's reading of a look, in J and W."""
        code, answers = look
        if code:
            return [_failed(self._nvml, channel, code) for channel in self._channels]
        readings, at = [], 0
        for channel in self._channels:
            stamp_us, kind, code = _ANSWER.unpack_from(answers, at)
            if code:
                readings.append(_failed(self._nvml, channel, code))
            elif not 0 <= kind < len(_MEMBERS):
                readings.append(Reading(channel=channel, value=None, error=f"NVML: value type {kind} is not known"))
            else:
                (thousandths,) = _MEMBERS[kind].unpack_from(answers, at + _VALUE_AT)
                sensor_ns = stamp_us * 1000 if stamp_us > 0 else None  # NVML stamps in us
                readings.append(Reading(channel=channel, value=thousandths / 1000, sensor_ns=sensor_ns))  # mW or mJ
            at += _ANSWER.size
        return readings

    def block(self, looks: Sequence[tuple[int, bytes]]) -> Block | None:
        """Return every field of many looks, or None when one failed or is no whole number."""
        if any(code for code, _ in looks) or sys.byteorder != "little":
            return None
        every = list(_WHOLE.iter_unpack(b"".join(answers for _, answers in looks)))
        values: dict[str, list[float]] = {}
        stamps_ns: dict[str, list[int | None]] = {}
        for number, channel in enumerate(self._channels):
            rows = every[number :: len(self._channels)]
            width = _WIDTHS.get(rows[0][1])
            if width is None or any(code or kind != rows[0][1] for _, kind, code, _ in rows):
                return None
            values[channel] = [(bits & width) / 1000 for _, _, _, bits in rows]  # mW or mJ
            stamps_ns[channel] = [stamp_us * 1000 if stamp_us > 0 else None for stamp_us, _, _, _ in rows]
        return Block(values=values, stamps_ns=stamps_ns, samples=[])


class NumberCall:
    """The energy counter (mJ, 64 bits) or, where `counter` is false, the old power call (mW, 32 bits) of one board."""

    def __init__(self, nvml: Any, handle: Any, channel: str, *, counter: bool) -> None:  # any: NVML's module and handle
        self._nvml = nvml
        self._channel = channel
        name = "nvmlDeviceGetTotalEnergyConsumption" if counter else "nvmlDeviceGetPowerUsage"
        self._call = nvml._nvmlGetFunctionPointer(name)
        self._answer = ctypes.c_ulonglong() if counter else ctypes.c_uint()
        self._arguments = (handle, ctypes.byref(self._answer))

    def look(self) -> tuple[int, int]:
        """Make the call and return its code and its answer."""
        return self._call(*self._arguments), self._answer.value

    def readings(self, look: tuple[int, int]) -> list[Reading]:
        """Return the reading of a look, in J or W."""
        code, thousandths = look
        if code:
            return [_failed(self._nvml, self._channel, code)]
        return [Reading(channel=self._channel, value=thousandths / 1000)]  # mJ or mW

    def block(self, looks: Sequence[tuple[int, int]]) -> Block | None:
        """Return the values of many looks, or None when one failed."""
        if any(code for code, _ in looks):
            return None
        values: list[float] = [thousandths / 1000 for _, thousandths in looks]  # mJ or mW
        return Block(values={self._channel: values}, stamps_ns={}, samples=[])


class SamplesCall:
    """The driver's log of samples of one board (`nvmlDeviceGetSamples`), fetched into memory that holds all of it."""

    def __init__(self, nvml: Any, handle: Any, kind: int) -> None:  # any: NVML's module and handle
        self._nvml = nvml
        self._handle = handle
        self._kind = ctypes.c_int(kind)
        self._seen_us = ctypes.c_ulonglong()
        self._value_type = ctypes.c_int()
        self._count = ctypes.c_uint()
        self._room = 0
        self._samples: Any = ctypes.create_string_buffer(0)  # any: a ctypes array
        self._call: Any = None  # any: a ctypes function, looked up when first wanted, so that a failure is an answer

    @property
    def value_type(self) -> int:
        """Return the nvmlValueType_t of the last fetch."""
        return self._value_type.value

    @property
    def room(self) -> int:
        """Return how many samples the driver says that its log can hold."""
        return self._room

    def fetch(self, seen_us: int) -> list[tuple[int, float | None]]:
        """Return the stamps (us) and values (mW; None: of a type that nobody knows) of what is newer than `seen_us`.

        Raises NVMLError.
        """
        self._seen_us.value = seen_us
        if not self._room:
            self._make_room()
        code = self._ask()
        if code == self._nvml.NVML_ERROR_INSUFFICIENT_SIZE:
            self._make_room()
            code = self._ask()
        if code:
            raise self._nvml.NVMLError(code)
        count, kind = self._count.value, self._value_type.value
        filled = self._samples.raw[: count * 16]
        if count == self._room:
            self._make_room()  # the log may have grown past what it said it holds
        if not 0 <= kind < len(_SAMPLES):
            return [(stamp_us, None) for stamp_us, _ in _SAMPLES[3].iter_unpack(filled)]
        return list(_SAMPLES[kind].iter_unpack(filled))

    def _ask(self) -> int:
        self._count.value = self._room
        return int(self._call(*self._arguments(self._samples)))

    def _make_room(self) -> None:
        """Ask how many samples there can be, and take memory for so many."""
        if self._call is None:
            self._call = self._nvml._nvmlGetFunctionPointer("nvmlDeviceGetSamples")
        code = self._call(*self._arguments(None))
        if code:
            raise self._nvml.NVMLError(code)
        self._room = max(self._count.value, self._room)
        self._samples = ctypes.create_string_buffer(16 * self._room)

    def _arguments(self, samples: Any) -> tuple[Any, ...]:  # any: ctypes
        kind, count = ctypes.byref(self._value_type), ctypes.byref(self._count)
        return (self._handle, self._kind, self._seen_us, kind, count, samples)


def _failed(nvml: Any, channel: str, code: int) -> Reading:
    return Reading(channel=channel, value=None, error=f"NVML: {nvml.NVMLError(code)}")
