"""The Kasa sampler: metering plugs of TP-Link, through python-kasa."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

from wattbench.harness.power.contract import Availability, ChannelRecord, Reading, SamplerOptions
from wattbench.harness.power.meters.argument import Argument, parse_argument
from wattbench.harness.power.meters.channels import Facts, absent, broken, channel
from wattbench.harness.power.meters.credentials import Credentials, load_credentials
from wattbench.harness.power.meters.values import WH_J, reading, require_value, unless
from wattbench.harness.power.meters.watches import CounterWatch
from wattbench.results.errors import SensorError, UsageError, WattbenchError

__all__ = ["KasaSampler"]

_UPDATE_S = 1.0
_STEP_J = WH_J
"""`total_wh` counts whole watt-hours."""

_BASIS = (
    "TP-Link publishes neither accuracy nor update period of the meter in these plugs; 1 s as seen by others; "
    "power in mW, energy in whole Wh (python-kasa)"
)
_INSTALL = "pip install 'wattbench[meters]'"


class KasaSampler:
    """Reads `HOST[,child=N]`: power in W and the energy counter, by the local protocol (TCP port 9999).

    With credentials the plug is looked for at that address by python-kasa's own discovery, as newer ones and Tapo
    need it.
    """

    name = "kasa"
    poll_period_s = 0.5

    def __init__(self, options: SamplerOptions) -> None:
        self._text = options.argument
        self._loop: asyncio.AbstractEventLoop | None = None
        self._plug: Any = None  # any: a device of python-kasa, which may be missing
        self._energy: Any = None  # any: its energy module
        self._child: int | None = None
        self._timeout_s = 0.0
        self._watch = CounterWatch(0.0, 0.0)
        self._credentials = Credentials()
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Availability:
        """Connect, and see whether the plug meters."""
        self.close()
        if self._text is None:
            return absent(self.name, "a TP-Link plug")
        try:
            return self._open(parse_argument(self.name, self._text, ("child", "port")))
        except WattbenchError as exc:
            self.close()
            return broken(exc)

    def read(self) -> tuple[Reading, ...]:
        """Read power in W and energy in J. Raises SensorError when the plug does not answer."""
        if self._plug is None:
            raise SensorError("Cannot read Kasa", "it is closed")
        status = _values(self._await(self._energy.get_status()))
        power = reading(self.channels[0].id, status.get("power"))
        if len(self.channels) == 1:
            return (power,)
        energy = reading(self.channels[1].id, status.get("total"), 1000 * WH_J)
        return unless(self._watch.why_frozen(energy.value, power.value), (power, energy))

    def close(self) -> None:
        """Disconnect."""
        loop, self._loop = self._loop, None
        plug, self._plug = self._plug, None
        if loop is None:
            return
        if plug is not None:
            with contextlib.suppress(Exception):  # whatever a broken connection raises: it is over
                loop.run_until_complete(asyncio.wait_for(plug.disconnect(), self._timeout_s))
        loop.close()

    def _open(self, argument: Argument) -> Availability:
        self.poll_period_s = argument.seconds("every", type(self).poll_period_s)
        self._timeout_s = argument.timeout_s
        child = argument.options.get("child")
        if child is not None and not child.isdecimal():
            raise argument.wrong("child", "it is a socket's number, from 0")
        self._child = None if child is None else int(child)
        self._credentials = load_credentials(argument)
        self._loop = asyncio.new_event_loop()
        self._plug = self._connect(argument)
        self._await(self._plug.update())
        self._energy = _energy_of(self._plug, self._child)
        status = _values(self._await(self._energy.get_status()))
        facts = Facts(basis=_BASIS, update_period_s=_UPDATE_S, resolution=0.001)
        counter = Facts(basis=_BASIS, update_period_s=_UPDATE_S, resolution=_STEP_J)
        counters = () if status["total"] is None else (channel(argument, "counter", counter),)  # newer ones have none
        self.channels = (channel(argument, "power", facts), *counters)
        self._watch = CounterWatch(_STEP_J, _UPDATE_S)
        model = str(self._plug.model)
        require_value(self.read(), f"The plug at {argument.address}")
        return Availability(state="present", reason=f"TP-Link {model} at {argument.address}", facts={"model": model})

    def _connect(self, argument: Argument) -> Any:  # any: a device of python-kasa
        try:
            from kasa import Credentials as Login
            from kasa import DeviceConfig, Discover
            from kasa.iot import IotPlug, IotStrip
        except ImportError as exc:
            raise SensorError("Cannot read Kasa plugs", "python-kasa is not installed", _INSTALL) from exc
        held = self._credentials
        port = int(argument.seconds("port", 9999)) if "port" in argument.options else None
        if held.user is not None and held.password is not None:
            login = Login(held.user, held.password)
            wait_s = max(int(self._timeout_s), 1)
            found = self._await(
                Discover.discover_single(argument.address, port=port, discovery_timeout=wait_s, credentials=login)
            )
            if found is None:
                raise SensorError(f"No plug answers at {argument.address}", "", _ADDRESS)
            return found
        config = DeviceConfig(host=argument.address, timeout=max(int(self._timeout_s), 1), port_override=port)
        return (IotPlug if self._child is None else IotStrip)(argument.address, config=config)

    def _await(self, work: Coroutine[Any, Any, Any]) -> Any:  # any: python-kasa's answers
        """Wait for one exchange, no longer than the time-out. Raises SensorError."""
        assert self._loop is not None, "probe comes before read"
        try:
            return self._loop.run_until_complete(asyncio.wait_for(work, self._timeout_s))
        except TimeoutError:
            raise SensorError("The plug is silent", f"no answer within {self._timeout_s:g} s", _ADDRESS) from None
        except Exception as exc:  # noqa: BLE001 - garbage from a plug makes python-kasa raise anything
            said = self._credentials.scrub(f"{type(exc).__name__}: {exc}")[:200]
            raise SensorError("The plug cannot be read", said, _ADDRESS) from None


_ADDRESS = "Check its address; newer plugs and Tapo need credentials (docs/meters.md#kasa)."


def _energy_of(plug: Any, child: int | None) -> Any:  # any: an energy module of python-kasa
    """Return what meters in a plug, or in one socket of a strip. Raises an error where nothing does."""
    source = plug
    if child is not None:
        children = list(plug.children)
        if child >= len(children):
            raise SensorError(f"The strip has no socket {child}", f"it has {len(children)}", "Sockets count from 0.")
        source = children[child]
    energy = next((module for name, module in source.modules.items() if str(name) == "Energy"), None)
    if energy is None:
        raise UsageError(
            "The plug does not meter", f"{plug.model} has no energy module", "Take one that does (HS110, KP115)."
        )
    return energy


def _values(status: Any) -> dict[str, object]:  # any: an EmeterStatus, which is a dict with conversions of its own
    """Return power (W) and total (kWh) as the plug gave them: newer hardware sends mW and Wh."""
    plain = dict(status)
    power, total = (plain.get(k) if k in plain else _scaled(plain.get(f"{k}_{u}")) for k, u in _FIELDS)
    return {"power": power, "total": total}


_FIELDS = (("power", "mw"), ("total", "wh"))


def _scaled(value: object) -> object:
    """Return a thousandth of a number (mW, Wh), and anything else as it is, to be refused at the border."""
    return value / 1000 if isinstance(value, int | float) and not isinstance(value, bool) else value
