"""Joules per token by regression over mixes, and the t distribution behind its intervals."""

import math
import random
from dataclasses import replace

import pytest

from wattbench.results.energy_split import Mix, split_energy
from wattbench.results.student import student_coverage, student_half_width

IN_J, OUT_J, IDLE_W = 0.02, 0.5, 80.0
SHAPES = ((64, 16), (64, 256), (512, 16), (512, 256), (2048, 64), (128, 128), (1024, 32), (32, 512))


def mix(tokens: tuple[int, int], *, noise: float = 0.0, idle_w: float | None = IDLE_W) -> Mix:
    """Return 100 requests of a shape at known prices, its energy off by a share `noise`."""
    inputs, outputs = 100 * tokens[0], 100 * tokens[1]
    duration_s = 1e-4 * inputs + 1e-2 * outputs + 3.0
    return Mix(
        name=f"{tokens[0]}/{tokens[1]}",
        input_tokens=inputs,
        output_tokens=outputs,
        duration_s=duration_s,
        energy_j=(IN_J * inputs + OUT_J * outputs + IDLE_W * duration_s) * (1 + noise),
        idle_power_w=idle_w,
        idle_power_u_w=0.0,
        u_absolute_rel=0.03,
    )


def test_exact_mixes_give_their_prices() -> None:
    """Without noise both prices come back, with a residual of nothing."""
    split = split_energy([mix(shape) for shape in SHAPES])
    assert split.input_token_j is not None
    assert split.output_token_j is not None

    assert (IN_J, OUT_J) == (pytest.approx(split.input_token_j.value), pytest.approx(split.output_token_j.value))
    assert 0.0 == pytest.approx(split.residual_rel, abs=1e-12)
    assert ("measured", IDLE_W) == (split.idle_source, pytest.approx(split.idle_power_w))
    assert 0.03 == pytest.approx(split.output_token_j.u_absolute_rel)


def test_the_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Of 400 fits with 1 % noise about 95 % hold each price."""
    draw = random.Random(3)
    held = [0, 0]
    for _ in range(400):
        split = split_energy([mix(shape, noise=draw.gauss(0, 0.01)) for shape in SHAPES])
        for k, (found, truth) in enumerate(((split.input_token_j, IN_J), (split.output_token_j, OUT_J))):
            assert found is not None
            held[k] += found.interval.low <= truth <= found.interval.high

    assert all(0.92 <= count / 400 <= 0.985 for count in held), held


def test_an_unmeasured_idle_power_is_fitted_where_the_mixes_tell() -> None:
    """Mixes whose time does not follow from their tokens give the idle power as a third unknown."""
    mixes = [mix(shape, idle_w=None) for shape in SHAPES]
    paused = [
        replace(m, duration_s=m.duration_s + 40.0 * (n % 3), energy_j=m.energy_j + IDLE_W * 40.0 * (n % 3))
        for n, m in enumerate(mixes)
    ]
    split = split_energy(paused)

    assert ("fitted", pytest.approx(IDLE_W)) == (split.idle_source, split.idle_power_w)


def test_mixes_that_are_too_alike_are_refused() -> None:
    """Tokens in and out that rise together cannot be told apart, and the reason says so."""
    split = split_energy([mix((n * 64, n * 16 + n % 2)) for n in range(20, 28)])

    assert (None, True) == (split.input_token_j, "too alike" in str(split.reason))


def test_a_time_that_follows_from_the_tokens_hides_the_idle_power() -> None:
    """Without a measured idle power back-to-back mixes are refused when their time is a sum of their tokens."""
    mixes = [replace(mix(s, idle_w=None), duration_s=1e-2 * s[0] + s[1]) for s in SHAPES]

    assert "no idle power was measured" in str(split_energy(mixes).reason)


def test_five_mixes_are_too_few() -> None:
    """At least six different mixes are needed; the same one again does not count."""
    five = [mix(shape) for shape in SHAPES[:5]]

    assert "at least 6" in str(split_energy([*five, five[0]]).reason)


def test_tokens_of_one_kind_have_no_split() -> None:
    """Encoders have no token out."""
    mixes = [replace(mix(shape), output_tokens=0) for shape in SHAPES]

    assert "tokens of one kind" in str(split_energy(mixes).reason)


def test_an_unsure_idle_power_widens_the_intervals() -> None:
    """What the idle power may be off by counts in both prices."""
    sure, unsure = (
        split_energy([replace(mix(shape), idle_power_u_w=u) for shape in SHAPES]).output_token_j for u in (0.0, 5.0)
    )
    assert sure is not None
    assert unsure is not None

    assert unsure.interval.half_width > sure.interval.half_width + 0.01


def test_an_unstated_accuracy_leaves_the_absolute_uncertainty_unknown() -> None:
    """One mix without it is enough."""
    mixes = [mix(shape) for shape in SHAPES]
    split = split_energy([replace(mixes[0], u_absolute_rel=None), *mixes[1:]])
    assert split.input_token_j is not None

    assert split.input_token_j.u_absolute_rel is None


@pytest.mark.parametrize(
    ("freedom", "expected"), [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (10, 2.2281), (30, 2.0423)]
)
def test_student_half_widths(freedom: int, expected: float) -> None:
    """The printed 95 % values of the t table."""
    assert expected == pytest.approx(student_half_width(0.95, freedom), abs=1e-4)


def test_student_tends_to_the_normal_distribution() -> None:
    """Many degrees of freedom leave the normal distribution."""
    assert math.erf(1.5 / math.sqrt(2)) == pytest.approx(student_coverage(1.5, 100_001), abs=1e-5)
