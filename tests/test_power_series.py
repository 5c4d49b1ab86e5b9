"""The usable samples of a channel: where its update period comes from."""

from dataclasses import replace
from types import ModuleType

import pytest

from wattbench.harness.power.series import make_series

MS = 1_000_000


@pytest.mark.parametrize(
    ("stated_s", "values", "expected_s"),
    [
        (0.1, (1.0, 2.0, 3.0, 4.0), 0.1),
        (None, (1.0, 2.0, 2.0, 3.0, 3.0, 4.0), 0.1),
        (None, (5.0, 5.0, 5.0, 5.0), 0.05),
        (None, (), 0.0),
    ],
)
def test_the_update_period(
    factories: ModuleType, stated_s: float | None, values: tuple[float, ...], expected_s: float
) -> None:
    """The stated one, else that between changes, else the spacing of the polls, which is 0 without any."""
    channel = replace(factories.make_power().channels[0], update_period_s=stated_s)
    times = tuple(n * 50 * MS for n in range(len(values)))

    assert expected_s == make_series(channel, times, values).period_s
