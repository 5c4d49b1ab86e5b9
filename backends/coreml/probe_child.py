"""Says which parts of an Apple chip Core ML has, in a process that may die of it.

`python -m wattbench.backends.coreml.probe_child FILE` writes the names of their classes to FILE as JSON.
"""
# pyright: reportMissingImports=false
# The SDK has an environment of its own.

from coremltools.models.compute_device import MLComputeDevice

from wattbench.backends.asking import answer
from wattbench.backends.serving import die_with_parent

__all__: list[str] = []

if __name__ == "__main__":
    die_with_parent()
    answer([type(device).__name__ for device in MLComputeDevice.get_all_compute_devices()])
