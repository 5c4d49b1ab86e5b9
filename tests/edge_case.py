"""What tests of SDKs with programs made ahead of time share: small encoders, and how the reference judges them."""

import subprocess
import sys
from dataclasses import dataclass

from preparations import small_preparation
from small_models import small_load

from wattbench.backends.contract import Preparation, Prepared
from wattbench.backends.encoder_backend import EncoderBackend
from wattbench.harness.quality import compare
from wattbench.models.load import Load
from wattbench.models.torch_reference import reference_outputs
from wattbench.results.subject import QualityRecord
from wattbench.testing import make_batch

BERT = small_load("bert-base/classify-128")
IMAGES = small_load("vit-b16/image-224", image_size=32, patch_size=16)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a backend said of a load, what the gate said of its outputs, and the digest of the reference's weights."""

    made: Prepared
    quality: QualityRecord
    weights_digest: str


def preparation(load: Load, **knobs: object) -> Preparation:
    """Return a preparation of a load for two requests on the CPU, one program by one thread."""
    return small_preparation(load, **{"tuning": "program"} | knobs)


def judged(backend: EncoderBackend, asked: Preparation) -> Judged:
    """Prepare a load in float32, hold its outputs against the reference, and close the backend."""
    load, batch = asked.load, make_batch(asked.load)
    made = backend.prepare(asked)
    found = backend.outputs(batch, None)
    backend.close()
    wanted = reference_outputs(load.model, batch.arrays, 0, weights=asked.weights, seed=asked.seed)
    quality = compare(found.values, wanted.values, load.model.tolerance("float32"), "float32")
    return Judged(made=made, quality=quality, weights_digest=wanted.weights_digest)


def assert_asked_lightly(name: str, device: str, *heavy: str) -> None:
    """Assert in a fresh process that an SDK is asked without its heavy modules, and says how to get what is absent.

    Its first device is `device`; it has a level for an encoder and none for a decoder.
    """
    code = f"""
import sys
from wattbench.models.find import find_load
from wattbench.results.plugins import load_plugin
backend = load_plugin("wattbench.backends", {name!r}, "backend")()
assert backend.probe().usable
assert {device!r} == backend.devices()[0].name
assert backend.levels(find_load("tiny-encoder"), {device!r}, "float32")
assert not backend.levels(find_load("tiny-decoder"), {device!r}, "float32")
assert all(f.availability.remedy for f in backend.findings() if not f.availability.usable)
assert not {set(heavy)!r} & set(sys.modules), "it imports what is heavy"
"""

    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode
