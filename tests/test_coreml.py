"""Core ML's models are made here, and never run: `make test-edge` has coremltools, Core ML itself is a Mac's."""

from zipfile import ZipFile

import pytest

pytest.importorskip("coremltools", reason="Core ML's models are made by make test-edge")

from edge_case import BERT

from wattbench.backends.coreml.maker import MAKER
from wattbench.backends.programs import ProgramRequest, program_for


@pytest.mark.usefixtures("kept_graphs")
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_model_is_made(precision: str) -> None:
    """BERT is converted with our names of the outputs, and kept as one archive of a package."""
    made = program_for(
        ProgramRequest(
            model=BERT.model,
            weights="synthetic",
            seed=0,
            precision=precision,
            target="every part of the chip",
            requests=2,
            positions=20,
        ),
        MAKER,
    )
    with ZipFile(made.path) as archive:
        names = archive.namelist()
        (text,) = [archive.read(name) for name in names if name.endswith(".mlmodel")]

    assert "program.mlpackage/Manifest.json" in names
    assert all(name.encode() in text for name in ("inputs", "last_hidden_state", "pooler_output"))
