"""The android sampler: what a whole phone draws from its battery, asked through adb while nothing charges it."""

import contextlib
import os
import selectors
import shlex
import subprocess
import time

from wattbench.backends.adb import Adb, connect
from wattbench.harness.power.contract import Availability, ChannelRecord, Reading, SamplerOptions
from wattbench.results.covers import PHONE
from wattbench.results.errors import DeviceError, SensorError

__all__ = ["AndroidSampler"]

_SUPPLIES = "/sys/class/power_supply"

_ANSWER_S = 5.0
"""How long one look may take before the phone is taken as lost (our choice)."""

_FIELD = "|"

_ANSWER_BYTES = 4096
"""A look is a line of few short words: what is longer is no answer."""

_SHOWN = 40
"""What a phone says is quoted so far."""

_LEAST_A, _MOST_A = 0.02, 20.0
"""No phone that is on draws less, none more, from one cell: a current outside is in another unit."""

_LEAST_V, _MOST_V = 2.0, 20.0
"""No phone's battery has less or more between its ends, whose cells are one or two in a row."""

_UNITS = {"uA": 1e-6, "mA": 1e-3}
"""What `current=` declares. The kernel's interface is in uA; some makers' drivers give mA (Samsung's are known to)."""

_UNPLUG = "Unplug the phone and reach it by network: `adb tcpip 5555`, then `adb connect ADDRESS:5555`."

_CHANNEL = ChannelRecord(
    id="android:battery",
    sampler="android",
    group="android:battery",
    scope="node",
    kind="power",
    provenance="measured",
    unit="W",
    covers=PHONE,
    resolution=None,
    update_period_s=None,
    averaging_window_s=None,
    lag_s=None,
    seen_share=None,
    wraps_at_j=None,
    limit_w=None,
    accuracy_rel=None,
    accuracy_basis="the phone's battery gauge states no accuracy; it updates every few hundred ms up to half a minute",
)


class AndroidSampler:
    """Reads current times voltage of the phone's battery; the argument is None, or `current=mA` where a driver lies.

    Makers differ in the sign of the current, so the battery's status says the direction: any other than "Discharging",
    or a charger that is online, is no view of what the phone draws, and such a look fails.
    """

    name = "android"
    poll_period_s = 0.25

    def __init__(self, options: SamplerOptions) -> None:
        self._argument, self._covers = options.argument, options.covers
        self._stream: _Asked | None = None
        self._ampere_per = _UNITS["uA"]
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Availability:
        """Find the battery; it is absent unless a phone is what is under test, and adb is not asked then."""
        self.close()
        if self._covers != PHONE:
            return Availability(
                state="absent",
                reason="no phone is under test",
                remedy="It is for a phone's run: --backend litert-android.",
            )
        try:
            self._ampere_per = _unit(self._argument)
            stream = self._stream = _Asked(connect())
            watts = self._watts(stream.ask(), checked=True)
        except (DeviceError, SensorError) as exc:
            self.close()
            return Availability(state="broken", reason=f"{exc.what}: {exc.why}", remedy=exc.remedy)
        self.channels = (_CHANNEL,)
        reason = f"{stream.battery} discharging at {watts:.2f} W"
        return Availability(state="present", reason=reason, facts={"battery": stream.battery})

    def read(self) -> tuple[Reading, ...]:
        """Look once; raises SensorError when the phone is lost, charges or says nothing of use."""
        if self._stream is None:
            raise SensorError("Cannot read the phone's battery", "it is closed")
        return (Reading(channel=_CHANNEL.id, value=self._watts(self._stream.ask())),)

    def close(self) -> None:
        """End the connection; safe to call twice."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _watts(self, answer: str, *, checked: bool = False) -> float:
        """Return the power of a look: status, current, voltage and the chargers' states. Raises SensorError."""
        status, current, voltage, *online = [word.strip() for word in (answer + 2 * _FIELD).split(_FIELD)]
        if status != "Discharging" or any(word not in ("", "0") for word in online):
            plugged = " and a charger is connected" if any(word not in ("", "0") for word in online) else ""
            shown = status[:_SHOWN] or "unknown"
            why = f"its status is {shown}{plugged}, so the battery does not give all that the phone draws"
            raise SensorError("The phone's battery does not carry it", why, _UNPLUG)
        try:
            amperes, volts = abs(int(current)) * self._ampere_per, int(voltage) * 1e-6
        except (ValueError, OverflowError):
            told = f"current_now is {current[:_SHOWN]!r}, voltage_now {voltage[:_SHOWN]!r}"
            why = f"{told}: the phone forbids it, or has none"
            remedy = "Try `adb root`, or measure with a meter in place of the battery."
            raise SensorError("The phone's battery tells no power", why, remedy) from None
        if amperes == 0:
            why = "current_now is 0 while the battery discharges: its gauge does not tell the current"
            remedy = "Measure with a meter in place of the battery, or without --power."
            raise SensorError("The phone's battery tells no power", why, remedy)
        if amperes > _MOST_A or (checked and amperes < _LEAST_A):
            raise _of_another_unit(current, amperes, self._ampere_per)
        if not _LEAST_V <= volts <= _MOST_V:
            why = f"voltage_now {voltage[:_SHOWN]} would be {volts:g} V"
            raise SensorError("The phone's voltage cannot be", why, "Report this with the phone's model.")
        return amperes * volts


class _Asked:
    """A shell on the phone that answers a line with what the battery and the chargers show."""

    def __init__(self, adb: Adb) -> None:
        self.battery, chargers = _supplies(adb)
        files = [f"{self.battery}/{name}" for name in ("status", "current_now", "voltage_now")]
        looks = [f"a{i}=; read -r a{i} <{shlex.quote(path)}" for i, path in enumerate((*files, *chargers))]
        told = _FIELD.join(f"$a{i}" for i in range(len(looks)))
        script = f'cd {_SUPPLIES}; while read -r asked; do {"; ".join(looks)}; echo "{told}"; done 2>/dev/null'
        self._process: subprocess.Popen[bytes] = adb.stream(script)

    def ask(self) -> str:
        """Return one answer. Raises SensorError where none comes."""
        source, sink = self._process.stdout, self._process.stdin
        assert source is not None
        assert sink is not None
        lost = SensorError("The phone was lost", "adb's connection ended", "Look at its cable or network.")
        if sink.closed:
            raise lost
        try:
            sink.write(b"\n")
        except OSError:
            raise lost from None
        line, deadline = b"", time.monotonic() + _ANSWER_S
        with selectors.DefaultSelector() as selector:
            selector.register(source, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    self.close()
                    raise SensorError("The phone does not answer", f"nothing within {_ANSWER_S:g} s", lost.remedy)
                if len(line) > _ANSWER_BYTES:
                    self.close()
                    raise SensorError("The phone's answer is not understood", "it does not end", lost.remedy)
                chunk = os.read(source.fileno(), 4096)
                if not chunk:
                    raise lost
                line += chunk
        return line.decode(errors="replace").strip().rpartition("\n")[2]

    def close(self) -> None:
        """End the shell; the one on the phone ends with its input."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                assert stream is not None
                stream.close()


def _supplies(adb: Adb) -> tuple[str, list[str]]:
    """Return the phone's battery, and the files that say whether a charger is connected. Raises SensorError."""
    each = 'for d in *; do t=; s=; read -r t <"$d/type"; read -r s <"$d/scope"; echo "$d|$t|$s"; done 2>/dev/null'
    rows = [line.strip().split(_FIELD) for line in adb.shell(f"cd {_SUPPLIES} && {each}; true").splitlines()]
    known = [row for row in rows if len(row) == 3]
    batteries = [name for name, kind, scope in known if kind == "Battery" and scope != "Device"]
    if not batteries:
        why = f"{_SUPPLIES} shows {', '.join(name for name, _, _ in known) or 'nothing'} to adb's user"
        raise SensorError("The phone shows no battery", why, "Try `adb root`, or measure with a meter in its place.")
    battery = "battery" if "battery" in batteries else batteries[0]
    chargers = [name for name, kind, _ in known if kind not in ("Battery", "")]
    return battery, [f"{name}/online" for name in chargers]


def _of_another_unit(current: str, amperes: float, ampere_per: float) -> SensorError:
    """Return the error for a current that no phone draws, with the unit that would make it one, if any does."""
    why = f"current_now {current[:_SHOWN]} would be {amperes:g} A, which no phone that is on draws"
    count = amperes / ampere_per
    unit = next((name for name, size in _UNITS.items() if _LEAST_A <= count * size <= _MOST_A), None)
    if unit is None:
        return SensorError("The phone's current cannot be", why, "Report this with the phone's model.")
    return SensorError("The phone's current is in another unit", why, f"Declare it: --power android:current={unit}")


def _unit(argument: str | None) -> float:
    """Return what one of the driver's current is in amperes. Raises SensorError for an argument of another kind."""
    name, _, unit = (argument or "current=uA").partition("=")
    if name != "current" or unit not in _UNITS:
        raise SensorError(
            "--power android says something unknown", f"{argument!r}", "Say android, or android:current=mA."
        )
    return _UNITS[unit]
