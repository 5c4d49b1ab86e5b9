"""The formulas of published cases, put together from ours; `bench cost validate` calls them by name."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

from wattbench.results.economics import capital, efficiency, fleet, footprint, prices
from wattbench.results.economics.power import FacilityPower, ItPower

__all__ = ["FORMULAS"]

HOUR_S = 3600.0


def day_cost_usd(nodes: float, accelerators_per_node: float, usd_per_accelerator_h: float) -> float:
    """Return a day's rent of a cluster, in USD."""
    return nodes * accelerators_per_node * usd_per_accelerator_h * 24


def day_revenue_usd(
    input_billion: float,
    cached_billion: float,
    output_billion: float,
    usd_input: float,
    usd_cached: float,
    usd_output: float,
) -> float:
    """Return what a day's tokens bring at list prices, in USD."""
    mean = prices.cached_price(usd_input, usd_cached, cached_billion / input_billion)
    both = prices.TokenPrices(input_usd_per_million=mean, output_usd_per_million=usd_output)
    return prices.query_usd(both, input_tokens=input_billion * 1e9, output_tokens=output_billion * 1e9)


def markup_percent(revenue: float, cost: float) -> float:
    """Return profit over cost in percent."""
    return 100 * prices.markup(revenue, cost)


def margin_percent(cost: float, price: float) -> float:
    """Return profit over price in percent."""
    return 100 * prices.gross_margin(cost, price)


def usd_per_thousand(usd_per_year: float, queries_per_day: float) -> float:
    """Return the cost of a thousand queries, in USD."""
    return usd_per_year / (queries_per_day * 365) * 1000


def usd_per_run(usd_per_year: float, queries_per_day: float, calls_per_run: float) -> float:
    """Return the cost of one run of several calls, in USD."""
    return usd_per_year / (queries_per_day * 365) * calls_per_run


def usd_per_million_tokens(usd: float, tokens: float) -> float:
    """Return one price for all tokens, in USD per million."""
    return usd / tokens * 1e6


def input_price_by_ratio(usd: float, input_tokens: float, output_tokens: float, ratio: float) -> float:
    """Return the input price at a fixed ratio of output to input price, in USD per million."""
    found = prices.prices_by_ratio(usd, input_tokens=input_tokens, output_tokens=output_tokens, ratio=ratio)
    return found.input_usd_per_million


def output_price_by_ratio(usd: float, input_tokens: float, output_tokens: float, ratio: float) -> float:
    """Return the output price at a fixed ratio of output to input price, in USD per million."""
    found = prices.prices_by_ratio(usd, input_tokens=input_tokens, output_tokens=output_tokens, ratio=ratio)
    return found.output_usd_per_million


def regressed_gpu_kwh(
    output_tokens: float, active_billion: float, alpha: float, beta: float, gamma: float, batch: float
) -> float:
    """Return the accelerators' energy of a request by EcoLogits' regression, (alpha e^{beta B} P + gamma) each, kWh."""
    return output_tokens * (alpha * math.exp(beta * batch) * active_billion + gamma) / 1000


def regressed_request_kwh(
    output_tokens: float,
    active_billion: float,
    alpha: float,
    beta: float,
    gamma: float,
    batch: float,
    server_w: float,
    accelerators_per_server: float,
    accelerators: float,
    latency_s: float,
    pue: float,
) -> float:
    """Return a request's energy at the meter by EcoLogits' regression, its share of the server added, in kWh."""
    boards_kwh = accelerators * regressed_gpu_kwh(output_tokens, active_billion, alpha, beta, gamma, batch)
    share_w = server_w * accelerators / accelerators_per_server / batch
    it_kwh = ItPower(power_w=share_w).energy_kwh(latency_s) + boards_kwh
    return _from_kwh(it_kwh).facility(pue).energy_kwh(HOUR_S)


def carbon_kg(facility_kwh: float, grid_g_per_kwh: float) -> float:
    """Return the emissions of an energy at the building's meter, in kg CO2e."""
    return footprint.operational_g(FacilityPower(power_w=facility_kwh * 1000), HOUR_S, grid_g_per_kwh) / 1000


def water_litres(facility_kwh: float, pue: float, site_l_per_kwh: float, grid_l_per_kwh: float) -> float:
    """Return the water of an energy at the building's meter, in litres."""
    it = _from_kwh(facility_kwh / pue)
    return footprint.water_l(it, HOUR_S, pue=pue, site_l_per_kwh=site_l_per_kwh, grid_l_per_kwh=grid_l_per_kwh)


def overstated_water(facility_kwh: float, pue: float, site_l_per_kwh: float, grid_l_per_kwh: float) -> float:
    """Return by how much water is too high where the building's energy stands in E (WUE_site + PUE WUE_grid)."""
    twice_l = facility_kwh * (site_l_per_kwh + pue * grid_l_per_kwh)
    return twice_l / water_litres(facility_kwh, pue, site_l_per_kwh, grid_l_per_kwh)


def total(accelerators: float, host: float, idle_machines: float, overhead: float) -> float:
    """Return the sum of a fleet's parts."""
    return accelerators + host + idle_machines + overhead


def overhead_percent(accelerators: float, host: float, idle_machines: float, overhead: float) -> float:
    """Return the building's overhead over what its equipment takes, in percent."""
    return 100 * (pue_of_parts(accelerators, host, idle_machines, overhead) - 1)


def pue_of_parts(accelerators: float, host: float, idle_machines: float, overhead: float) -> float:
    """Return the energy of the building over that of its equipment."""
    return total(accelerators, host, idle_machines, overhead) / (accelerators + host + idle_machines)


def joules_per_unit(power_w: float, units_per_s: float) -> float:
    """Return the energy of one unit, in J."""
    return 1 / efficiency.per_joule(units_per_s, ItPower(power_w=power_w))


def joules_per_response(power_w: float, units_per_s: float, tokens: float) -> float:
    """Return the energy of one response, in J."""
    return joules_per_unit(power_w, units_per_s) * tokens


def blended_price(usd_input: float, usd_output: float, input_share: float) -> float:
    """Return one price for a mix of tokens, in USD per million."""
    both = prices.TokenPrices(input_usd_per_million=usd_input, output_usd_per_million=usd_output)
    return prices.blended_usd_per_million(both, input_share=input_share)


def ratio(above: float, below: float) -> float:
    """Return one figure over another."""
    return above / below


def tokens_millions(usd: float, usd_per_million: float) -> float:
    """Return the tokens that a sum buys, in millions."""
    return prices.tokens_for_usd(usd, usd_per_million) / 1e6


def wall_over_nameplates(wall_w: float, accelerators: float, nameplate_w: float) -> float:
    """Return the power of a whole machine at the wall over the nameplates of its accelerators."""
    return wall_w / (accelerators * nameplate_w)


def split_total_usd(cost_usd_per_h: float, prefill_s: float, decode_s: float, concurrency: float) -> float:
    """Return the sum of a query's input and output cost, in USD."""
    return prices.split_by_time(
        cost_usd_per_h=cost_usd_per_h, prefill_s=prefill_s, decode_s=decode_s, concurrency=concurrency
    ).total_usd


def tokens_per_joule(units_per_s: float, power_w: float) -> float:
    """Return tokens per joule."""
    return efficiency.per_joule(units_per_s, ItPower(power_w=power_w))


def tokens_per_kwh_millions(units_per_s: float, power_w: float) -> float:
    """Return millions of tokens per kWh of the equipment's own energy."""
    return efficiency.units_per_kwh(joules_per_unit(power_w, units_per_s), pue=1.0) / 1e6


def electricity_price(units_per_s: float, power_w: float, pue: float, usd_per_kwh: float) -> float:
    """Return the electricity of a million units, in USD."""
    return efficiency.electricity_usd_per_million(units_per_s, ItPower(power_w=power_w).facility(pue), usd_per_kwh)


def annual_millions_usd(queries_per_day: float, usd_per_query: float) -> float:
    """Return the yearly bill in millions of USD."""
    return prices.annual_usd(queries_per_day, usd_per_query) / 1e6


def _from_kwh(energy_kwh: float) -> ItPower:
    """Return the power that gives an energy in one hour."""
    return ItPower(power_w=energy_kwh * 1000)


FORMULAS: Mapping[str, Callable[..., float]] = MappingProxyType(
    {
        "accelerator_hour_usd": capital.per_accelerator_usd_per_h,
        "annual_millions_usd": annual_millions_usd,
        "blended_price": blended_price,
        "carbon_kg": carbon_kg,
        "day_cost_usd": day_cost_usd,
        "day_revenue_usd": day_revenue_usd,
        "electricity_price": electricity_price,
        "grid_intensity": footprint.grid_g_per_kwh,
        "input_price_by_ratio": input_price_by_ratio,
        "instances": fleet.instances_for_rate,
        "joules_per_response": joules_per_response,
        "joules_per_unit": joules_per_unit,
        "margin_percent": margin_percent,
        "markup_percent": markup_percent,
        "output_price_by_ratio": output_price_by_ratio,
        "overhead_percent": overhead_percent,
        "overstated_water": overstated_water,
        "peak_requests_per_s": fleet.peak_rate,
        "pue_of_parts": pue_of_parts,
        "ratio": ratio,
        "recovery_factor": capital.capital_recovery_factor,
        "regressed_gpu_kwh": regressed_gpu_kwh,
        "regressed_request_kwh": regressed_request_kwh,
        "server_year_usd": capital.yearly_server_usd,
        "servers": capital.servers_needed,
        "tokens_millions": tokens_millions,
        "tokens_per_joule": tokens_per_joule,
        "tokens_per_kwh_millions": tokens_per_kwh_millions,
        "split_total_usd": split_total_usd,
        "total": total,
        "usage_price": prices.usage_usd_per_million,
        "usd_per_million_tokens": usd_per_million_tokens,
        "usd_per_run": usd_per_run,
        "usd_per_thousand": usd_per_thousand,
        "wall_over_nameplates": wall_over_nameplates,
        "waiting_probability": fleet.erlang_c,
        "water_litres": water_litres,
    }
)
