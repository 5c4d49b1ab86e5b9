"""The built-in catalogue as a whole: its sources, its documentation, its versions."""

import re
from pathlib import Path

import pytest

from wattbench.models.catalogue import directory
from wattbench.models.configurations import dimensions
from wattbench.models.find import find_load, list_loads
from wattbench.models.load import ModelSpec, RequestShape
from wattbench.models.work import PRECISION_BYTES

OURS = {path.stem for path in directory().rglob("*.toml")}
LOADS = tuple(load for load in list_loads() if {load.model.name, load.shape.name} <= OURS)
MODELS = tuple({load.model.name: load.model for load in LOADS}.values())
SHAPES = tuple(sorted({load.shape.name: load.shape for load in LOADS}.values(), key=lambda shape: shape.name))
DOCS = Path(__file__).parent.parent / "docs" / "loads.md"

DIGESTS = {
    "bert-base/classify-128": (1, "ca5a7240cde34609"),
    "bert-large/classify-128": (1, "599afdeec91d7027"),
    "gpt-oss-120b/chat": (1, "a387d04b5333e5a2"),
    "gpt-oss-20b/chat": (1, "771a3e0a4e8ae036"),
    "gpt2/chat": (1, "eb9cb19f2e4f4bbc"),
    "llama-2-70b/chat": (1, "abc18f111e89fb43"),
    "llama-3.1-8b/chat": (1, "7a8565a9048b6656"),
    "llama-3.2-1b/chat": (1, "7512df86ac217863"),
    "llama-3.3-70b/chat": (1, "3f9aa4b265cb9ab1"),
    "minilm-l6/classify-128": (1, "6253d9a89e1d2f3f"),
    "mixtral-8x7b/chat": (1, "3bd4fc66893756d5"),
    "qwen3-0.6b/chat": (1, "66e9bd8732f3ed5d"),
    "smollm2-135m/chat": (1, "dad8fec6c4bb5e0e"),
    "t5-base/translate": (1, "1df55856e5e18634"),
    "tiny-decoder/tiny": (1, "b566637551a6f501"),
    "tiny-encoder/tiny-encode": (1, "184d3dfa0d82ad51"),
    "vit-b16/image-224": (1, "0b941dc6d02b3b55"),
    "whisper-large-v3/transcribe": (1, "8c4b396f71538b12"),
}
"""Version and digest of every model's default load: raise the version in the file when a digest changes."""


def model_line(model: ModelSpec) -> str:
    """Return a model's row of the table in docs/loads.md."""
    positions = dimensions(model).positions_fixed or dimensions(model).positions_max
    cells = (
        f"`{model.name}`",
        model.family,
        f"`{model.architecture}`",
        f"{model.parameters:,}",
        f"{positions:,}" if positions else "no limit",
        ", ".join(model.precisions),
        ", ".join(load.shape.name for load in LOADS if load.model == model),
    )
    return f"| {' | '.join(cells)} |"


def shape_line(shape: RequestShape) -> str:
    """Return a request shape's row of the table in docs/loads.md."""
    turns = f"{shape.turns}, each later one adds {shape.turn_input_tokens}" if shape.turns > 1 else "1"
    cells = (f"`{shape.name}`", shape.modality, f"{shape.input_tokens:,}", f"{shape.output_tokens:,}", turns)
    return f"| {' | '.join((*cells, ', '.join(shape.families)))} |"


@pytest.mark.parametrize(
    "line", [*map(model_line, MODELS), *map(shape_line, SHAPES)], ids=lambda line: line.split("`")[1]
)
def test_the_documentation_has_every_entry(line: str) -> None:
    """Each model and shape has its row, with the figures of its file."""
    assert line in DOCS.read_text().splitlines()


def test_the_documentation_has_no_other_entry() -> None:
    """The tables hold nothing that the catalogue lacks."""
    rows = [line for line in DOCS.read_text().splitlines() if re.match(r"\| `", line)]

    assert len(MODELS) + len(SHAPES) == len(rows)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_definition_changes_only_with_its_version(model: ModelSpec) -> None:
    """A changed field or shape is another load, so that results of both are never mixed."""
    load = find_load(model.name)

    assert DIGESTS[load.name] == (load.version, load.digest[7:23])


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_model_names_where_its_fields_come_from(model: ModelSpec) -> None:
    """A real model names the published configuration or what stood in for it, and a paper; ours says it is ours."""
    published = f"https://huggingface.co/{model.checkpoint}/blob/main/config.json (accessed 2026-"
    sources = " ".join(model.sources)

    if model.checkpoint is None:
        assert "own definition" in sources
    else:
        stand_in = model.name in ("bert-base", "gpt2", "vit-b16", "t5-base")
        assert ("defaults of" in sources or "was not seen whole" in sources) if stand_in else published in sources
        assert len(model.sources) >= 2


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_precision_has_a_reasoned_tolerance(model: ModelSpec) -> None:
    """The gate has a bound with a reason for whatever a model may be run in."""
    assert all((tolerance := model.tolerance(p)) and tolerance.reason for p in model.precisions)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_narrower_precision_is_allowed_no_less(model: ModelSpec) -> None:
    """The bounds widen from float32 to tf32, to 16 bits, and from int8 to int4."""
    errors = {t.precision: t.relative_error for t in model.tolerances}
    orders = (("float32", "tf32", "bfloat16"), ("float32", "float16", "bfloat16"), ("tf32", "int8", "int4"))

    for order in orders:
        bounds = [errors[precision] for precision in order if precision in errors]
        assert sorted(bounds) == bounds


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_the_precisions_are_those_of_the_family(model: ModelSpec) -> None:
    """Decoders have every precision, encoders all but four bits, encoder-decoders none with quantised weights."""
    quantised = {"decoder": {"float8", "int8", "int4"}, "encoder-decoder": set()}
    narrow = quantised.get(model.family, {"float8", "int8"})

    assert {"float32", "tf32", "bfloat16", *narrow} == set(model.precisions) - {"float16"}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_precisions_and_tolerances_stand_in_one_order(model: ModelSpec) -> None:
    """Files list precisions as the documentation does: from the most to the fewest bits."""
    order = [precision for precision in PRECISION_BYTES if precision in model.precisions]

    assert (order, order) == (list(model.precisions), [t.precision for t in model.tolerances])
