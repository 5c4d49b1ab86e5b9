"""The points of a sweep: names, files, and the order of their product."""

from wattbench.harness.request import RunRequest
from wattbench.harness.sweep.points import Axes, Point, product_of


def test_the_product_has_every_combination_in_order() -> None:
    """Two loads, two precisions and two thread counts give eight series, the last list running fastest."""
    axes = Axes(load=("a/x", "b/x"), precision=("float32", "bfloat16"), threads=(1, 2))
    series = [(p.load, p.precision, p.threads) for p in product_of(axes)]

    assert 8 == len(set(series))
    assert [("a/x", "float32", 1), ("a/x", "float32", 2), ("a/x", "bfloat16", 1)] == series[:3]


def test_a_name_says_what_was_varied() -> None:
    """Knobs without a list do not stand in the name."""
    point = Point(load="a/x", precision="int8", threads=1, power_limit_w=250.0, batch=4)

    assert "a/x, int8, 1 thread, limit 250 W, batch 4" == point.name
    assert "a-x_int8_1-thread_limit-250-W_batch-4.json" == point.file_name
    assert "a/x" == Point(load="a/x").name


def test_points_of_a_series_differ_in_nothing_but_the_batch() -> None:
    """The series of a point has no batch."""
    assert Point(load="a/x", threads=2, batch=1).series == Point(load="a/x", threads=2, batch=8).series


def test_a_points_request_has_its_knobs_and_the_shared_ones() -> None:
    """What a point leaves open is what all points were asked for."""
    base = RunRequest(seed=7, threads=2, precision="float32")

    assert RunRequest(load="a/x", seed=7, threads=2, precision="int8", batch=4) == Point(
        load="a/x", precision="int8", batch=4
    ).request(base)
