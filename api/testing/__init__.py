"""Contract tests for backends, samplers and kinds of stores, our own and anybody's."""

from wattbench.testing.backends import BackendCase, BackendContract, check_backend
from wattbench.testing.batches import make_batch
from wattbench.testing.samplers import SamplerContract, check_sampler
from wattbench.testing.stores import StoreContract, check_store

__all__ = [
    "BackendCase",
    "BackendContract",
    "SamplerContract",
    "StoreContract",
    "check_backend",
    "check_sampler",
    "check_store",
    "make_batch",
]
