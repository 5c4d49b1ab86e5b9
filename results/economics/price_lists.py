"""A stored price list as inputs of a cost: only the one that was asked for by name, with its source and date."""

from collections.abc import Sequence
from dataclasses import replace

from wattbench.results.economics.inputs import CostInputs, Given
from wattbench.results.errors import UsageError
from wattbench.results.vendor.api_prices import ApiPrice, api_price, of_model

__all__ = ["spread_words", "with_list"]


def with_list(inputs: CostInputs, name: str) -> CostInputs:
    """Return the inputs with the prices of PROVIDER:MODEL.

    Raises UsageError for an unknown name, and where prices were given beside it.
    """
    if inputs.has_section("api"):
        given = ", ".join(path for path in inputs.given if path.startswith("api."))
        raise UsageError("Two price lists were given", f"--api {name:.80}, and {given}", "Keep one of the two.")
    price = api_price(name)
    pairs = [
        ("input", price.input_usd_per_million),
        ("cached", price.cached_usd_per_million if inputs.has("workload.cached_share") else None),
        ("output", price.output_usd_per_million),
    ]
    for kind, value in pairs:
        if value is not None:
            inputs = _with(inputs, f"api.usd_per_million_{kind}", value, price)
    return inputs


def spread_words(name: str) -> tuple[str, ...]:
    """Return what is to be known of a listed price: what others ask for the same model, and how old it is."""
    price = api_price(name)
    others = of_model(price.model)
    ends = (
        _ends([each.input_usd_per_million for each in others]),
        _ends([each.output_usd_per_million for each in others]),
    )
    spread = f"{len(others)} providers list {price.model}: {ends[0]} in, {ends[1]} out (USD per million tokens)"
    return (
        f"{spread}; precision, speed and promises differ"
        if len(others) > 1
        else f"only {price.provider} lists {price.model} here: what others ask is not known",
        f"the list is of {price.date} or later, and was copied: look at the provider's page before relying on it",
    )


def _with(inputs: CostInputs, path: str, value: float, price: ApiPrice) -> CostInputs:
    given = Given(path=path, value=value, place=f"--api {price.name}", source=price.source, date=price.date)
    return replace(inputs, given={**inputs.given, path: given})


def _ends(values: Sequence[float]) -> str:
    return f"{min(values):g}" if min(values) == max(values) else f"{min(values):g} .. {max(values):g}"
