"""Prints what `libtpu.sdk.tpumonitoring` says, a line of JSON a second, in a process that may hang or die of it.

`python -m wattbench.harness.telemetry.tpu_child METRIC...`; without TPU_SKIP_MDS_QUERY=1 the library was seen to hang.
"""

import json
import sys
import time
from importlib import import_module
from typing import Any

from wattbench.backends.serving import die_with_parent, private_answers

__all__ = ["main"]

PERIOD_S = 1.0


def main(metrics: list[str]) -> None:
    """Ask and print until the reader is gone."""
    die_with_parent()
    answers = private_answers()
    monitoring = import_module("libtpu.sdk").tpumonitoring
    known = set(monitoring.list_supported_metrics())
    while True:
        told = {name: _ask(monitoring, name) for name in metrics if name in known}
        answers.write(json.dumps(told).encode() + b"\n")
        time.sleep(PERIOD_S)


def _ask(monitoring: Any, name: str) -> list[Any] | None:  # any: libtpu is untyped, and so is what it says
    try:
        return list(monitoring.get_metric(name).data())
    except Exception:  # noqa: BLE001 (foreign code: a metric that fails is one that it does not tell)
        return None


if __name__ == "__main__":
    main(sys.argv[1:])
