"""The points of a sweep: the product of its lists, each one a request of its own with a name."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from wattbench.harness.request import RunRequest

__all__ = ["Axes", "Point", "product_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One combination of the lists; None: the knob has no list and is left to the request or to its default.

    `load` is a load's full name, with its lengths where they are varied ("qwen3-0.6b/chat@128").
    """

    load: str
    precision: str | None = None
    tuning: str | None = None
    threads: int | None = None
    power_limit_w: float | None = None
    batch: int | None = None
    concurrency: int | None = None
    rate_per_s: float | None = None

    @property
    def series(self) -> "Point":
        """Return the point without its batch: the points that share it differ in nothing but the batch."""
        return replace(self, batch=None)

    @property
    def name(self) -> str:
        """Return the point in words: "qwen3-0.6b/chat, bfloat16, 2 threads, batch 4"."""
        threads = None if self.threads is None else f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        limit = None if self.power_limit_w is None else f"limit {self.power_limit_w:.12g} W"
        batch = None if self.batch is None else f"batch {self.batch}"
        places = None if self.concurrency is None else f"concurrency {self.concurrency}"
        rate = None if self.rate_per_s is None else f"rate {self.rate_per_s:.12g}"
        parts = (self.load, self.precision, self.tuning, threads, limit, batch, places, rate)
        return ", ".join(part for part in parts if part is not None)

    @property
    def file_name(self) -> str:
        """Return the name of the point's result file."""
        parts = self.name.split(", ")
        return "_".join(re.sub(r"[^A-Za-z0-9.@]+", "-", part).strip("-") for part in parts) + ".json"

    def request(self, base: RunRequest) -> RunRequest:
        """Return the request of this point: `base` with the point's knobs."""
        return replace(
            base,
            load=self.load,
            precision=self.precision if self.precision is not None else base.precision,
            tuning=self.tuning if self.tuning is not None else base.tuning,
            threads=self.threads if self.threads is not None else base.threads,
            batch=self.batch if self.batch is not None else base.batch,
            concurrency=self.concurrency if self.concurrency is not None else base.concurrency,
            rate=f"{self.rate_per_s:.12g}" if self.rate_per_s is not None else base.rate,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """The lists of a sweep, an empty one for a knob that has none.

    `batch_auto` asks for powers of two up to the memory limit, and no further than `batch_max` where that is given;
    the batches of the list are measured as well.
    """

    load: tuple[str, ...]
    precision: tuple[str, ...] = ()
    tuning: tuple[str, ...] = ()
    threads: tuple[int, ...] = ()
    power_limit_w: tuple[float, ...] = ()
    batch: tuple[int, ...] = ()
    batch_auto: bool = False
    batch_max: int | None = None
    concurrency: tuple[int, ...] = ()
    rate_per_s: tuple[float, ...] = ()


def product_of(axes: Axes) -> Iterator[Point]:
    """Yield every combination of the lists but the batch: the series, whose points lie side by side in this order."""
    for load, limit, precision, tuning, threads, places, rate in product(
        axes.load,
        axes.power_limit_w or (None,),
        axes.precision or (None,),
        axes.tuning or (None,),
        axes.threads or (None,),
        axes.concurrency or (None,),
        axes.rate_per_s or (None,),
    ):
        yield Point(
            load=load,
            precision=precision,
            tuning=tuning,
            threads=threads,
            power_limit_w=limit,
            concurrency=places,
            rate_per_s=rate,
        )
