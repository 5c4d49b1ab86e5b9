"""Contract tests for backends and samplers, our own and anybody's."""

from wattbench.testing.backends import BackendCase, BackendContract, check_backend
from wattbench.testing.batches import make_batch
from wattbench.testing.samplers import SamplerContract, check_sampler

__all__ = ["BackendCase", "BackendContract", "SamplerContract", "check_backend", "check_sampler", "make_batch"]
