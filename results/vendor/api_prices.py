"""What providers ask for tokens of a model: copied price lists with source and date, none of them a default."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from wattbench.results.checks import require_not_negative
from wattbench.results.errors import UsageError
from wattbench.results.plugins import nearest_lines
from wattbench.results.vendor.records import Grade

__all__ = ["ApiPrice", "api_price", "api_prices", "of_model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiPrice:
    """The prices of one model at one provider, in USD per million tokens; `cached_usd_per_million` None: not listed."""

    model: str
    provider: str
    input_usd_per_million: float
    output_usd_per_million: float
    source: str
    grade: Grade
    date: str
    cached_usd_per_million: float | None = None

    def __post_init__(self) -> None:
        require_not_negative(
            input_usd_per_million=self.input_usd_per_million,
            output_usd_per_million=self.output_usd_per_million,
            cached_usd_per_million=self.cached_usd_per_million,
        )

    @property
    def name(self) -> str:
        """Return the name by which a command asks for it."""
        return f"{self.provider}:{self.model}"


@cache
def api_prices() -> tuple[ApiPrice, ...]:
    """Return every price of the package's list."""
    text = files("wattbench.results.vendor").joinpath("api_prices.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    common = {key: table[key] for key in ("source", "grade", "date")}
    return tuple(ApiPrice(**row, **common) for row in table["price"])


def api_price(name: str) -> ApiPrice:
    """Return the prices that PROVIDER:MODEL names, in upper or lower case.

    Raises UsageError for any other name, with the providers of the model, or the models, and the nearest name.
    """
    wanted = _plain(name)
    found = [price for price in api_prices() if _plain(price.name) == wanted]
    if found:
        return found[0]
    same = of_model(name.rpartition(":")[2])
    why, remedy = nearest_lines(name, [price.name for price in same or api_prices()])
    raise UsageError(f"No price list is stored for {name!r:.80}", why, remedy or "`bench cost prices` has them all.")


def of_model(model: str) -> tuple[ApiPrice, ...]:
    """Return what all providers ask for a model, in upper or lower case; empty for one that none lists."""
    return tuple(price for price in api_prices() if _plain(price.model) == _plain(model))


def _plain(name: str) -> str:
    return "".join(name.split()).casefold()
