"""The SCPI sampler: laboratory power meters, a Yokogawa WT300 by its own commands and any other by one query."""

import contextlib

from wattbench.harness.power.contract import Availability, ChannelRecord, Reading, SamplerOptions
from wattbench.harness.power.meters.argument import Argument, parse_argument
from wattbench.harness.power.meters.channels import Facts, absent, broken, channel
from wattbench.harness.power.meters.values import WH_J
from wattbench.harness.power.meters.visa import Instrument, as_scpi_number, open_instrument
from wattbench.harness.power.meters.yokogawa import Setting, accuracy_rel, find_setting, is_wt300, over_range
from wattbench.results.errors import SensorError, UsageError, WattbenchError

__all__ = ["ScpiSampler"]

_KEYS = ("element", "integrate", "library", "period", "query", "unit")
_UNITS = {"W": 1.0, "mW": 1e-3, "kW": 1e3, "J": 1.0, "Wh": WH_J, "kWh": 1000 * WH_J}


class ScpiSampler:
    """Reads `RESOURCE[,query=TEXT,unit=W]`, RESOURCE as PyVISA writes it (TCPIP0::HOST::inst0::INSTR).

    A WT300 or WT300E is known by *IDN? and read with its ranges checked, its integrator too where it runs
    (`integrate=start` starts and later stops it). Any other meter needs `query` and `unit`.
    """

    name = "scpi"
    poll_period_s = 0.25

    def __init__(self, options: SamplerOptions) -> None:
        self._text = options.argument
        self._meter: Instrument | None = None
        self._setting: Setting | None = None
        self._query = ""
        self._factor = 1.0
        self._stop_integrating = False
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Availability:
        """Ask what the meter is and how it is set, and for one value."""
        self.close()
        if self._text is None:
            return absent(self.name, "a laboratory meter")
        try:
            return self._open(parse_argument(self.name, self._text, _KEYS))
        except WattbenchError as exc:
            self.close()
            return broken(exc)

    def read(self) -> tuple[Reading, ...]:
        """Ask once; power in W, and energy in J where the meter integrates. Raises SensorError when it is silent."""
        if self._meter is None:
            raise SensorError("Cannot read the meter", "it is closed")
        if self._setting is None:
            return (_reading(self.channels[0].id, self._meter.ask(self._query), self._factor),)
        return self._read_wt300(self._meter, self._setting)

    def close(self) -> None:
        """Stop the integrator if it was started here, and close the connection."""
        meter, self._meter = self._meter, None
        if meter is None:
            return
        if self._stop_integrating:
            self._stop_integrating = False
            with contextlib.suppress(SensorError):  # it is gone, and so is the integration
                meter.tell(":INTEGRATE:STOP")
        meter.close()

    def _read_wt300(self, meter: Instrument, setting: Setting) -> tuple[Reading, ...]:
        values = meter.ask(":NUMERIC:NORMAL:VALUE?").split(",")
        try:
            why = over_range(setting, values)
            places = (setting.power_item, setting.energy_item)
            words = [values[place - 1] for place in places if place is not None]
        except (ValueError, IndexError) as exc:
            why, words = f"{exc}", []
        if why is not None:
            return tuple(Reading(channel=c.id, value=None, error=why) for c in self.channels)
        factors = (1.0, WH_J)
        return tuple(_reading(c.id, w, f) for c, w, f in zip(self.channels, words, factors, strict=False))

    def _open(self, argument: Argument) -> Availability:
        self.poll_period_s = argument.seconds("every", type(self).poll_period_s)
        library = argument.options.get("library", "@py")
        meter = self._meter = open_instrument(argument.address, library, argument.timeout_s)
        identity = _identity(meter)
        model = is_wt300(identity)
        if "query" in argument.options or model is None:
            return self._open_generic(argument, meter, identity)
        return self._open_wt300(argument, meter, model)

    def _open_generic(self, argument: Argument, meter: Instrument, identity: str) -> Availability:
        if "query" not in argument.options or "unit" not in argument.options:
            raise UsageError(
                f"{meter.name} is no meter that we know ({identity or 'it does not say what it is'})",
                "how it is asked, and in which unit it answers, is not known",
                "Say so: query=MEAS:POW?,unit=W (docs/meters.md#scpi).",
            )
        unit = argument.choice("unit", tuple(_UNITS), "W")
        self._query, self._factor = argument.options["query"], _UNITS[unit]
        counter = unit in ("J", "Wh", "kWh")
        period_s = argument.seconds("period", self.poll_period_s)
        facts = Facts(
            basis=f"{identity or 'unknown meter'}: {self._query} in {unit}, as the user states; accuracy unknown",
            update_period_s=max(period_s, self.poll_period_s),
        )
        self.channels = (channel(argument, "counter" if counter else "power", facts),)
        first = self.read()[0]
        if first.value is None:
            raise SensorError(f"{meter.name}: {self._query} gives no number", first.error or "", "Check query=.")
        reason = f"{identity or 'a meter'} at {meter.name}, asked {self._query} in {unit}"
        return Availability(state="present", reason=reason, facts={"identity": identity})

    def _open_wt300(self, argument: Argument, meter: Instrument, model: str) -> Availability:
        element = int(argument.seconds("element", 1))
        setting = find_setting(meter, model, element)
        if argument.choice("integrate", ("use", "start"), "use") == "start" and not setting.integrating:
            meter.tell(":INTEGRATE:RESET")
            meter.tell(":INTEGRATE:START")
            self._stop_integrating = True
            setting = find_setting(meter, model, element)
        self._setting = setting
        self.poll_period_s = argument.seconds("every", max(setting.update_s / 2, 0.05))
        counts = setting.integrating and setting.energy_item is not None
        self.channels = _channels(argument, setting, None, counts=counts)
        first = self.read()[0]
        if first.value is None:
            raise SensorError(f"{model} at {meter.name} gives no power", first.error or "", _RANGES)
        self.channels = _channels(argument, setting, first.value, counts=counts)
        auto = " (auto range)" if setting.auto_range else ""
        ranges = f"{setting.voltage_range_v:g} V, {setting.current_range_a:g} A{auto}"
        energy = "integrator running" if counts else "integrator not used"
        reason = f"{model} at {meter.name}, element {element}, ranges {ranges}, every {setting.update_s:g} s, {energy}"
        return Availability(state="present", reason=reason, facts={"model": model, "ranges": ranges, "energy": energy})


_RANGES = "Choose ranges that hold the load, or auto range, before the run (docs/meters.md#scpi)."


def _identity(meter: Instrument) -> str:
    """Return the meter's answer to *IDN?, or "" for one that does not know the question."""
    try:
        return meter.ask("*IDN?")
    except SensorError as exc:
        if "does not answer" in exc.what:
            return ""
        raise


def _reading(name: str, text: str, factor: float) -> Reading:
    try:
        return Reading(channel=name, value=as_scpi_number(text) * factor)
    except ValueError as exc:
        return Reading(channel=name, value=None, error=str(exc))


def _channels(
    argument: Argument, setting: Setting, power_w: float | None, *, counts: bool
) -> tuple[ChannelRecord, ...]:
    """Return the channels of a WT300; its accuracy depends on the reading, so it is that of the power at the start."""
    known = None if power_w is None else accuracy_rel(setting, power_w)
    at = "" if power_w is None else f" at {power_w:g} W"
    auto = ", then auto range" if setting.auto_range else ""
    facts = Facts(
        basis=(
            f"{setting.model}: limits of reading and range (IM WT310-02EN and WT310E-02EN, 7.3.2; 45 to 66 Hz, power "
            f"factor 1, 12 months after calibration), taken as rectangular{at}; ranges {setting.voltage_range_v:g} V, "
            f"{setting.current_range_a:g} A{auto}; lag not published, at most one update"
        ),
        update_period_s=setting.update_s,
        averaging_window_s=setting.update_s,
        seen_share=1.0,
        limit_w=setting.voltage_range_v * setting.current_range_a,
        accuracy_rel=known,
    )
    power = channel(argument, "power", facts)
    return (power, channel(argument, "counter", facts)) if counts else (power,)
