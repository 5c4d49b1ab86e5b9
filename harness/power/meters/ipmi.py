"""The IPMI sampler: the DCMI power reading of a server's management controller, by the command `ipmitool`."""

import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from wattbench.backends.clocks import Exchange, clock_offset
from wattbench.harness.power.contract import Availability, ChannelRecord, Reading, SamplerOptions
from wattbench.harness.power.meters.argument import Argument, parse_argument
from wattbench.harness.power.meters.channels import Facts, absent, broken, channel
from wattbench.harness.power.meters.credentials import Credentials, load_credentials
from wattbench.harness.power.meters.values import unless
from wattbench.harness.power.meters.watches import StampWatch
from wattbench.results.errors import SensorError, UsageError, WattbenchError

__all__ = ["IpmiSampler"]

_PERIOD_S = 1.0
_STAMP_S = 10.0
_KEYS = ("cipher", "interface", "port", "privilege", "stamps")
_HOST = re.compile(r"[A-Za-z0-9][\w.:-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Power:
    """One DCMI power reading: watts now, the period of its statistics, its time stamp as sent, and whether it is on."""

    power_w: float
    statistics_s: float | None
    stamp: str | None
    active: bool
    sent_s: float
    received_s: float


class IpmiSampler:
    """Reads `local` (the machine's own /dev/ipmi0) or `HOST` (by RMCP+) with one `ipmitool` process a poll.

    The password goes to that process by its environment, which only its user can read, never by its command line.
    """

    name = "ipmi"
    poll_period_s = _PERIOD_S

    def __init__(self, options: SamplerOptions) -> None:
        self._text = options.argument
        self._command: tuple[str, ...] = ()
        self._credentials = Credentials()
        self._timeout_s = 0.0
        self._stamps = StampWatch(_STAMP_S)
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Availability:
        """Read once, and record the period of the statistics and how far the controller's clock is from ours."""
        self.close()
        if self._text is None:
            return absent(self.name, "a management controller (local or by its address)")
        try:
            return self._open(parse_argument(self.name, self._text, _KEYS))
        except WattbenchError as exc:
            self.close()
            return broken(exc)

    def read(self) -> tuple[Reading, ...]:
        """Read the power in W. Raises SensorError when ipmitool fails or the controller measures no power."""
        if not self._command:
            raise SensorError("Cannot read IPMI", "it is closed")
        power = _ask(self._command, self._credentials, self._timeout_s)
        found = (Reading(channel=self.channels[0].id, value=power.power_w, sensor_ns=_stamp_ns(power.stamp)),)
        return unless(self._stamps.why_frozen(power.stamp), found)

    def close(self) -> None:
        """Forget the command and the password."""
        self._command = ()
        self._credentials = Credentials()

    def _open(self, argument: Argument) -> Availability:
        self.poll_period_s = argument.seconds("every", _PERIOD_S)
        self._timeout_s = argument.seconds("timeout", 3.0)
        watched = argument.choice("stamps", ("watch", "ignore"), "watch") == "watch"
        self._stamps = StampWatch(max(_STAMP_S, 3 * self.poll_period_s) if watched else float("inf"))
        self._credentials = Credentials() if argument.address == "local" else load_credentials(argument)
        self._command = _command(argument, self._credentials)
        first = _ask(self._command, self._credentials, self._timeout_s)
        period = "unknown" if first.statistics_s is None else f"{first.statistics_s:g} s"
        clock = _clock(first)
        basis = (
            f"DCMI states no accuracy, lag or update period; the polls' {self.poll_period_s:g} s stand for the latter; "
            f"period of its statistics {period}; whole watts (DCMI 1.5, Get Power Reading)"
        )
        known = Facts(basis=basis, scope="node", resolution=1.0, update_period_s=self.poll_period_s)
        self.channels = (channel(argument, "power", known),)
        reason = f"DCMI power of {argument.address}, statistics over {period}; {clock}"
        return Availability(state="present", reason=reason, facts={"statistics_period": period, "clock": clock})


def _command(argument: Argument, credentials: Credentials) -> tuple[str, ...]:
    """Return ipmitool's words up to its command. Raises UsageError for what it would misunderstand."""
    if argument.address == "local":
        return ("ipmitool", "-Z")
    if not _HOST.fullmatch(argument.address):
        raise UsageError(
            f"--power ipmi: {argument.address!r} is no address", remedy="Use local, a name or an IP address."
        )
    if credentials.user is None or credentials.password is None:
        raise UsageError(
            f"--power ipmi:{argument.address} needs credentials",
            "a management controller answers nobody without",
            "Set WATTBENCH_IPMI_USER and WATTBENCH_IPMI_PASSWORD, or credentials=FILE (docs/meters.md#credentials).",
        )
    if credentials.user.startswith("-"):
        raise UsageError("--power ipmi: a user's name does not begin with a dash")
    interface = argument.choice("interface", ("lanplus", "lan"), "lanplus")
    privilege = argument.choice("privilege", ("USER", "OPERATOR", "ADMINISTRATOR"), "USER")
    words = ["ipmitool", "-Z", "-I", interface, "-H", argument.address, "-U", credentials.user, "-L", privilege, "-E"]
    for key, flag in (("port", "-p"), ("cipher", "-C")):
        if key in argument.options:
            words += [flag, f"{argument.seconds(key, 0):.0f}"]
    return (*words, "-N", "1", "-R", "1")


def _ask(command: Sequence[str], credentials: Credentials, timeout_s: float) -> _Power:
    """Run ipmitool once. Raises SensorError with the cause in our words."""
    environment = {**os.environ, "LC_ALL": "C"}
    if credentials.password is not None:
        environment["IPMI_PASSWORD"] = credentials.password
    sent_s = time.time()
    done = _run((*command, "dcmi", "power", "reading"), environment, timeout_s)
    received_s = time.time()
    if done.returncode != 0 or "Instantaneous power reading" not in done.stdout:
        raise _refusal(credentials.scrub(f"{done.stderr}\n{done.stdout}"))
    return _parsed(done.stdout, sent_s, received_s)


def _run(words: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            words,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError:
        raise SensorError("Cannot run ipmitool", "it is not installed", "sudo apt install ipmitool") from None
    except subprocess.TimeoutExpired:
        why = f"no answer within {timeout_s:g} s"
        raise SensorError("The management controller is silent", why, "timeout=S waits longer.") from None
    except OSError as exc:
        raise SensorError("Cannot run ipmitool", exc.strerror or "") from None


_CAUSES = (
    (r"(?i)not known|resolve|lookup", "The management controller's name is not known", "Give its IP address."),
    (
        r"DCMI request failed.*\((c1|c2|cc|d4)\)|Invalid command",
        "This management controller gives no DCMI power reading",
        "Try redfish, or a meter at the wall.",
    ),
    (
        r"Unable to establish|RAKP|Invalid user name|Authentication type",
        "The management controller gives no session: address, user, password or privilege is wrong",
        "Check them (docs/meters.md#ipmi); ipmitool does not say which it is.",
    ),
    (
        r"Could not open device.*Permission denied",
        "The device /dev/ipmi0 is not open to this user",
        "sudo chmod a+rw /dev/ipmi0, until the next boot, or run as root.",
    ),
    (
        r"Could not open device",
        "This machine shows no management controller (/dev/ipmi0)",
        "sudo modprobe ipmi_si ipmi_devintf; in a virtual machine or container there is none.",
    ),
)


def _refusal(text: str) -> SensorError:
    said = " ".join(text.split())[:200] or "no output"
    for pattern, what, remedy in _CAUSES:
        if re.search(pattern, text):
            return SensorError(what, f"ipmitool: {said}", remedy)
    return SensorError("Cannot read IPMI", f"ipmitool: {said}", "docs/meters.md#ipmi")


def _parsed(text: str, sent_s: float, received_s: float) -> _Power:
    """Return what ipmitool printed. Raises SensorError when it is not understood, or the measuring is off."""
    watts = re.search(r"Instantaneous power reading:\s+(\d+) Watts", text)
    state = re.search(r"Power reading state is:\s+(\w+)", text)
    period = re.search(r"Sampling period:\s+(\d+) (Seconds|Milliseconds)", text)
    stamp = re.search(r"IPMI timestamp:\s+(\S.*?)\s*(?:Sampling period|$)", text, re.MULTILINE)
    if watts is None or state is None:
        raise SensorError("ipmitool's answer is not understood", " ".join(text.split())[:200])
    if state[1] != "activated":
        raise SensorError(
            "The management controller's power measurement is off", f"its state is {state[1]}", _SWITCH_ON
        )
    unit_s = 1.0 if period is not None and period[2] == "Seconds" else 0.001
    return _Power(
        power_w=float(watts[1]),
        statistics_s=None if period is None else int(period[1]) * unit_s,
        stamp=None if stamp is None else stamp[1],
        active=True,
        sent_s=sent_s,
        received_s=received_s,
    )


_SWITCH_ON = "Its owner can switch it on: see the vendor's pages for DCMI power management."


def _stamp_ns(stamp: str | None) -> int | None:
    """Return nanoseconds since 1970 of `09/21/26 14:13:20 UTC`, or None."""
    try:
        moment = datetime.strptime(" ".join((stamp or "").split()[:2]), "%m/%d/%y %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return round(moment.timestamp()) * 1_000_000_000


def _clock(power: _Power) -> str:
    stamp_ns = _stamp_ns(power.stamp)
    if stamp_ns is None:
        return "its clock is not set"
    asked = Exchange(
        sent_s=power.sent_s, received_s=power.received_s, remote_s=stamp_ns / 1e9, resolution_s=1.0 + _PERIOD_S
    )
    return str(clock_offset([asked]))
