"""The boundary ladder: how much power and energy stand behind a query, rung by rung, each with how it is known."""

import math
from dataclasses import dataclass
from typing import Literal

from wattbench.results.economics.capital import HOURS_PER_YEAR
from wattbench.results.economics.efficiency import JOULES_PER_KWH
from wattbench.results.economics.inputs import CostInputs
from wattbench.results.economics.measured import Measured, MeasuredPower, Quantity
from wattbench.results.economics.power import ItPower, two_state
from wattbench.results.errors import UsageError

__all__ = [
    "EmbodiedRung",
    "Ladder",
    "PowerRung",
    "Provenance",
    "RungEnergyPerQuery",
    "energy_u_rel",
    "idle_rung",
    "ladder_of",
    "machine_power_u_rel",
    "machine_rung",
    "power_rungs",
]

Provenance = Literal["measured", "declared", "absent"]

MEAN, BUILDING = "with idle hours", "building"
DEVICE_AND = "device +"
"""How the words of a machine begin that is a measured device beside a declared host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerRung:
    """One rung of the boundary ladder: mean power in W up to there, how it is known, and a word on it.

    `power_w` is None for an absent rung; all rungs above an absent one count without it, and say so.
    """

    name: str
    power_w: float | None
    provenance: Provenance
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RungEnergyPerQuery:
    """The energy of one query in J up to a rung; None with the rung's own words where it is absent."""

    rung: PowerRung
    energy_j: float | None
    queries_per_kwh: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbodiedRung:
    """A query's share of the emissions of making the machine, in g CO2e; None with words where it is absent."""

    embodied_g: float | None
    provenance: Provenance
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """Device, machine, idle share, building as energy of a query, and what the machine's making adds to them."""

    energies: tuple[RungEnergyPerQuery, ...]
    embodied: EmbodiedRung

    @property
    def widest(self) -> RungEnergyPerQuery | None:
        """Return the highest rung whose energy is known, None where no rung is."""
        known = [row for row in self.energies if row.energy_j is not None]
        return known[-1] if known else None


def ladder_of(measured: Measured, inputs: CostInputs) -> Ladder:
    """Return the ladder of one query."""
    utilisation = inputs.optional("use.utilisation")
    energies = tuple(_energy(rung, measured, utilisation) for rung in power_rungs(measured, inputs))
    return Ladder(energies=energies, embodied=_embodied(measured, inputs))


def power_rungs(measured: Measured, inputs: CostInputs) -> tuple[PowerRung, ...]:
    """Return the ladder device, machine, idle share, building; each rung includes those below it.

    Measured watts win over declared ones; what is neither is absent.
    """
    board, machine = _board(measured), machine_rung(measured, inputs)
    mean = _mean(measured, inputs, machine)
    pue = None if mean.power_w is None else inputs.optional("power.pue")
    if mean.power_w is None or pue is None:
        words = mean.words if mean.power_w is None else "power.pue is not given"
        building = PowerRung(name=BUILDING, power_w=None, provenance="absent", words=words)
    else:
        power_w = ItPower(power_w=mean.power_w).facility(pue).power_w
        building = PowerRung(name=BUILDING, power_w=power_w, provenance="declared", words=f"x {pue:g} (PUE)")
    return board, machine, mean, building


def machine_rung(measured: Measured, inputs: CostInputs) -> PowerRung:
    """Return the power at work behind the machine's plug."""
    wide = [p for p in measured.powers if p.whole_machine]
    if wide:
        return _measured("machine", wide[-1])
    board = _board(measured)
    host = None if board.power_w is None else inputs.optional("power.host_w")
    if board.power_w is not None and host is not None:
        words = f"{DEVICE_AND} {host:g} W of its host"
        return PowerRung(name="machine", power_w=board.power_w + host, provenance="declared", words=words)
    declared = inputs.optional("power.active_w")
    if declared is not None:
        return PowerRung(name="machine", power_w=declared, provenance="declared", words="power.active_w")
    missing = (
        "power.host_w is not given" if board.power_w is not None else "neither measured nor declared (power.active_w)"
    )
    return PowerRung(name="machine", power_w=None, provenance="absent", words=missing)


def idle_rung(measured: Measured, inputs: CostInputs) -> PowerRung:
    """Return the power at rest behind the machine's plug."""
    idle_w, provenance = _idle_w(measured, inputs)
    words = {
        "measured": "at rest, at the machine's plug",
        "declared": "power.idle_w" if inputs.has("power.idle_w") else "device at rest + its host",
        "absent": "power at rest is neither measured nor declared (power.idle_w)",
    }[provenance]
    return PowerRung(name="idle", power_w=idle_w, provenance=provenance, words=words)


def machine_power_u_rel(measured: Measured, machine: PowerRung) -> float | None:
    """Return the relative uncertainty of the machine's power by its measured part; None where none is measured.

    Of a device beside a declared host it is that of the device, weighed by its part: nothing states the host's.
    """
    wide: list[Quantity] = [p.active for p in measured.powers if p.whole_machine]
    if wide and machine.provenance == "measured":
        return wide[-1].u_rel
    narrow = [p.active for p in measured.powers if not p.whole_machine]
    if not narrow or not machine.words.startswith(DEVICE_AND) or not machine.power_w or narrow[0].u_rel is None:
        return None
    return narrow[0].u_rel * narrow[0].value / machine.power_w


def energy_u_rel(measured: Measured, inputs: CostInputs) -> float | None:
    """Return the uncertainty of a query's energy, by the rate's and the power's; None where the rate's is unknown."""
    if measured.queries_per_s.u_rel is None:
        return None
    u_power = machine_power_u_rel(measured, machine_rung(measured, inputs))
    return math.hypot(measured.queries_per_s.u_rel, u_power or 0.0)


def _board(measured: Measured) -> PowerRung:
    narrow = [p for p in measured.powers if not p.whole_machine]
    if not narrow:
        reason = measured.no_power_reason or "no sensor of the device alone"
        return PowerRung(name="device", power_w=None, provenance="absent", words=reason)
    return _measured("device", narrow[0])


def _mean(measured: Measured, inputs: CostInputs, machine: PowerRung) -> PowerRung:
    """Return the mean power over busy and idle hours."""
    utilisation = inputs.optional("use.utilisation")
    if machine.power_w is None or utilisation is None:
        words = f"no power of the machine: {machine.words}"
        words = "use.utilisation is not given" if machine.power_w is not None else words
        return PowerRung(name=MEAN, power_w=None, provenance="absent", words=words)
    idle = idle_rung(measured, inputs)
    if idle.power_w is None:
        return PowerRung(name=MEAN, power_w=None, provenance="absent", words=idle.words)
    _refuse_rest_above_work(idle, machine.power_w)
    power_w = two_state(idle_w=idle.power_w, active_w=machine.power_w, utilisation=utilisation).power_w
    words = f"{idle.power_w:.4g} W at rest for {1 - utilisation:.0%} of the hours"
    both = idle.provenance if machine.provenance == "measured" else machine.provenance
    return PowerRung(name=MEAN, power_w=power_w, provenance=both, words=words)


def _refuse_rest_above_work(idle: PowerRung, active_w: float) -> None:
    """Raise UsageError where a declared machine draws more at rest than at work: one of the two is a slip."""
    if idle.provenance == "declared" and idle.power_w is not None and idle.power_w > active_w:
        why = f"at rest {idle.power_w:.4g} W ({idle.words}), at work {active_w:.4g} W"
        raise UsageError("A machine draws more at rest than at work", why, "Correct power.idle_w or power.active_w.")


def _idle_w(measured: Measured, inputs: CostInputs) -> tuple[float | None, Provenance]:
    wide = [p for p in measured.powers if p.whole_machine and p.idle_w is not None]
    if wide:
        return wide[-1].idle_w, wide[-1].provenance
    declared = inputs.optional("power.idle_w")
    if declared is not None:
        return declared, "declared"
    board = [p.idle_w for p in measured.powers if not p.whole_machine and p.idle_w is not None]
    host = inputs.optional("power.host_w") if board else None
    return (board[0] + host, "declared") if board and host is not None else (None, "absent")


def _measured(name: str, power: MeasuredPower) -> PowerRung:
    return PowerRung(name=name, power_w=power.active.value, provenance=power.provenance, words=power.boundary)


def _energy(rung: PowerRung, measured: Measured, utilisation: float | None) -> RungEnergyPerQuery:
    """Return a query's energy up to a rung; from the idle rung on the busy share's queries carry all hours."""
    if rung.power_w is None:
        return RungEnergyPerQuery(rung=rung, energy_j=None, queries_per_kwh=None)
    share = utilisation if rung.name in (MEAN, BUILDING) and utilisation is not None else 1.0
    energy_j = rung.power_w / (measured.queries_per_s.value * share)
    per_kwh = JOULES_PER_KWH / energy_j if energy_j > 0 else None
    return RungEnergyPerQuery(rung=rung, energy_j=energy_j, queries_per_kwh=per_kwh)


def _embodied(measured: Measured, inputs: CostInputs) -> EmbodiedRung:
    """Return a query's share of the machine's making: its mass of emissions over the queries of its life."""
    paths = ("carbon.machine_kg", "hardware.life_years", "use.utilisation")
    missing = ", ".join(path for path in paths if not inputs.has(path))
    if missing:
        return EmbodiedRung(embodied_g=None, provenance="absent", words=f"{missing} not given")
    machine_kg, life_years, utilisation = (inputs.number(path, "The machine's making") for path in paths)
    queries = measured.queries_per_s.value * utilisation * life_years * HOURS_PER_YEAR * 3600
    words = f"{machine_kg:g} kg over {life_years:g} years"
    return EmbodiedRung(embodied_g=machine_kg * 1000 / queries, provenance="declared", words=words)
