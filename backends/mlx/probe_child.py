"""Says which devices MLX has, in a process that may die of it.

`python -m wattbench.backends.mlx.probe_child FILE` writes them to FILE as JSON.
"""

import mlx.core as mx

from wattbench.backends.asking import answer
from wattbench.backends.mlx.found import Found
from wattbench.backends.serving import die_with_parent

__all__: list[str] = []

if __name__ == "__main__":
    die_with_parent()
    gpu = bool(mx.is_available(mx.gpu))
    facts = mx.device_info(mx.gpu) if gpu else {}
    answer(
        Found(
            gpu=gpu,
            metal=bool(mx.metal.is_available()),
            gpu_name=str(facts["device_name"]) if "device_name" in facts else None,
            gpu_memory_bytes=int(facts["memory_size"]) if facts.get("memory_size") else None,
        )
    )
