"""What one hour of the machine costs, and how much power stands behind it, rung by rung."""

from dataclasses import dataclass
from typing import Literal

from wattbench.results.economics.capital import HOURS_PER_YEAR, capital_usd_per_h, energy_usd_per_h
from wattbench.results.economics.inputs import CostInputs
from wattbench.results.economics.measured import Measured, MeasuredPower, Quantity
from wattbench.results.economics.power import ItPower, two_state
from wattbench.results.errors import UsageError

__all__ = ["Hourly", "PowerRung", "hourly_cost", "power_rungs"]

Provenance = Literal["measured", "declared", "absent"]

OPEX = ("opex.hosting_usd_per_year", "opex.licence_usd_per_year", "opex.staff_usd_per_year")


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
class Hourly:
    """An hour's cost in USD, busy and on the average of paid hours, and its parts.

    `busy_usd` has the energy of a working hour, `mean_usd` that of an hour with its idle share. `energy_share_busy` is
    the part of `busy_usd` that is energy, `u_power_rel` the power's relative standard uncertainty. `notes` say what is
    missing.
    """

    kind: Literal["owned", "rented"]
    busy_usd: float
    mean_usd: float
    capital_usd: float
    energy_busy_usd: float | None
    energy_mean_usd: float | None
    opex_usd: float
    u_power_rel: float | None
    notes: tuple[str, ...]


def power_rungs(measured: Measured, inputs: CostInputs) -> tuple[PowerRung, ...]:
    """Return the ladder board, machine, idle share, building; each rung includes those below it.

    Measured watts win over declared ones; what is neither is absent.
    """
    board, machine = _board(measured), _machine(measured, inputs)
    mean = _mean(measured, inputs, machine)
    pue = inputs.optional("power.pue")
    if mean.power_w is None or pue is None:
        words = "power.pue is not given" if pue is None else "nothing is known below it"
        building = PowerRung(name="building", power_w=None, provenance="absent", words=words)
    else:
        power_w = ItPower(power_w=mean.power_w).facility(pue).power_w
        building = PowerRung(name="building", power_w=power_w, provenance="declared", words=f"x {pue:g} (PUE)")
    return board, machine, mean, building


def hourly_cost(measured: Measured, inputs: CostInputs) -> Hourly:
    """Return what an hour costs: rented at its price, or owned as capital, energy and running costs.

    Raises UsageError when neither or both are given, or when a number that the chosen way needs is missing.
    """
    owned, rented = inputs.has_section("hardware"), inputs.has_section("cloud")
    if owned and rented:
        raise UsageError(
            "The machine is both owned and rented",
            "hardware.* and cloud.* are given",
            "Keep one of the two sections, or compare them with `bench cost breakeven`.",
        )
    opex = sum(inputs.optional(path) or 0.0 for path in OPEX) / HOURS_PER_YEAR
    missing = [path for path in OPEX if inputs.optional(path) is None]
    notes = (f"not in this cost, since not given: {', '.join(missing)}",) if missing else ()
    if not owned:
        price = inputs.number("cloud.usd_per_h", "A cost per hour (without hardware.* it is rented)")
        return Hourly(
            kind="rented",
            busy_usd=price + opex,
            mean_usd=price + opex,
            capital_usd=price,
            energy_busy_usd=None,
            energy_mean_usd=None,
            opex_usd=opex,
            u_power_rel=None,
            notes=("electricity is in the rent, and is not added", *notes),
        )
    return _owned(measured, inputs, opex, notes)


def _owned(measured: Measured, inputs: CostInputs, opex: float, opex_notes: tuple[str, ...]) -> Hourly:
    capital = capital_usd_per_h(
        price_usd=inputs.number("hardware.price_usd", "Owning the machine"),
        residual_usd=inputs.number("hardware.residual_usd", "Owning the machine"),
        rate=inputs.number("hardware.interest_rate", "Owning the machine"),
        years=inputs.number("hardware.life_years", "Owning the machine"),
    )
    _, machine, mean, _ = power_rungs(measured, inputs)
    notes = list(opex_notes)
    busy_usd = mean_usd = None
    if machine.power_w is None:
        notes.append(f"no energy is in this cost: {machine.words}")
    else:
        price = inputs.number("power.usd_per_kwh", "The cost of energy")
        pue = inputs.number("power.pue", "The cost of energy")
        busy_usd = energy_usd_per_h(ItPower(power_w=machine.power_w).facility(pue), price)
        if mean.power_w is None:
            notes.append(f"idle hours are counted without energy: {mean.words}")
        else:
            mean_usd = energy_usd_per_h(ItPower(power_w=mean.power_w).facility(pue), price)
    return Hourly(
        kind="owned",
        busy_usd=capital + opex + (busy_usd or 0.0),
        mean_usd=capital + opex + (mean_usd or 0.0),
        capital_usd=capital,
        energy_busy_usd=busy_usd,
        energy_mean_usd=mean_usd,
        opex_usd=opex,
        u_power_rel=_u_power(measured, machine),
        notes=tuple(notes),
    )


def _board(measured: Measured) -> PowerRung:
    narrow = [p for p in measured.powers if not p.whole_machine]
    if not narrow:
        reason = measured.no_power_reason or "no sensor of the device alone"
        return PowerRung(name="device", power_w=None, provenance="absent", words=reason)
    return _measured("device", narrow[0])


def _machine(measured: Measured, inputs: CostInputs) -> PowerRung:
    wide = [p for p in measured.powers if p.whole_machine]
    if wide:
        return _measured("machine", wide[-1])
    board, host, declared = _board(measured), inputs.optional("power.host_w"), inputs.optional("power.active_w")
    if board.power_w is not None and host is not None:
        words = f"device + {host:g} W of its host"
        return PowerRung(name="machine", power_w=board.power_w + host, provenance="declared", words=words)
    if declared is not None:
        return PowerRung(name="machine", power_w=declared, provenance="declared", words="power.active_w")
    missing = (
        "power.host_w is not given" if board.power_w is not None else "neither measured nor declared (power.active_w)"
    )
    return PowerRung(name="machine", power_w=None, provenance="absent", words=missing)


def _mean(measured: Measured, inputs: CostInputs, machine: PowerRung) -> PowerRung:
    """Return the mean power over busy and idle hours."""
    name, utilisation = "with idle hours", inputs.optional("use.utilisation")
    if machine.power_w is None or utilisation is None:
        words = "use.utilisation is not given" if utilisation is None else "nothing is known below it"
        return PowerRung(name=name, power_w=None, provenance="absent", words=words)
    idle_w, provenance = _idle_w(measured, inputs)
    if idle_w is None:
        words = "power at rest is neither measured nor declared (power.idle_w)"
        return PowerRung(name=name, power_w=None, provenance="absent", words=words)
    power_w = two_state(idle_w=idle_w, active_w=machine.power_w, utilisation=utilisation).power_w
    words = f"{idle_w:.4g} W at rest for {1 - utilisation:.0%} of the hours"
    return PowerRung(name=name, power_w=power_w, provenance=provenance, words=words)


def _idle_w(measured: Measured, inputs: CostInputs) -> tuple[float | None, Provenance]:
    wide = [p for p in measured.powers if p.whole_machine and p.idle_w is not None]
    if wide:
        return wide[-1].idle_w, "measured"
    declared, host = inputs.optional("power.idle_w"), inputs.optional("power.host_w")
    if declared is not None:
        return declared, "declared"
    board = [p.idle_w for p in measured.powers if not p.whole_machine and p.idle_w is not None]
    return (board[0] + host, "declared") if board and host is not None else (None, "absent")


def _measured(name: str, power: MeasuredPower) -> PowerRung:
    return PowerRung(name=name, power_w=power.active.value, provenance="measured", words=power.boundary)


def _u_power(measured: Measured, machine: PowerRung) -> float | None:
    """Return the uncertainty of the machine's power; None where it is declared: nothing states it then."""
    wide: list[Quantity] = [p.active for p in measured.powers if p.whole_machine]
    return wide[-1].u_rel if wide and machine.provenance == "measured" else None
