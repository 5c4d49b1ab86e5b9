"""The levels of the torch backend: which ones there are for a load, and the engine that each one makes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import Tensor

from wattbench.backends.contract import EAGER, Level
from wattbench.backends.host import reduces_range
from wattbench.backends.torch.compile import Options, can_compile, compiled, compiled_static
from wattbench.backends.torch.decoder import DecoderEngine
from wattbench.backends.torch.encoder import EncoderEngine
from wattbench.backends.torch.engine import Engine, Setup
from wattbench.backends.torch.forward import CompiledForward, LeanForward, ModuleForward
from wattbench.backends.torch.graphs import GraphForward, called_once, cuda_capture
from wattbench.backends.torch.lean import LeanDecoder
from wattbench.backends.torch.lean_build import MakeMatrix, fits_lean, lean_decoder
from wattbench.backends.torch.linears import float8_linear, int8_linear, packed_linear, replace_linears
from wattbench.backends.torch.matrices import FEW_ROWS, Matrix, Packed, Plain, PlainAndPacked, can_pack
from wattbench.backends.torch.precision import ENCODERS, PLAIN, Numbers
from wattbench.backends.torch.quantised import Float8, Int4, Int8
from wattbench.backends.torch.stamps import EventStamps, event_maker
from wattbench.backends.torch.vendors import vendor_of
from wattbench.models.load import Load, ModelSpec
from wattbench.models.torch_build import TINY

__all__ = [
    "CONTINUOUS",
    "Made",
    "batches_continuously",
    "cheaper_levels",
    "level_list",
    "level_refusal",
    "make_engine",
    "make_matrix",
]

COMPILED, MAX, CONTINUOUS = "compiled", "max", "continuous"

CPU_STEP: Options = {"realize_reads_threshold": 1}
"""Inductor stores what many outputs read instead of computing it for each of them again."""

CPU_PROMPT: Options = {}
"""What surrounds the products of a prompt is fused; the products themselves are oneDNN's."""

OPTIONS: dict[tuple[str, str], Options] = {
    ("cpu", COMPILED): CPU_STEP,
    ("cpu", MAX): {**CPU_STEP, "cpp_wrapper": True},
    ("cuda", COMPILED): {},
    ("cuda", MAX): {"max_autotune": True, "coordinate_descent_tuning": True},
}

WORDS = {
    ("cpu", EAGER): "call by call, weights laid out once for oneDNN where it multiplies their type",
    ("cpu", COMPILED): "torch.compile",
    ("cpu", MAX): "torch.compile with a C++ wrapper; prompts compiled too, their weights laid out once for oneDNN",
    ("cuda", EAGER): "call by call",
    ("cuda", COMPILED): "torch.compile",
    ("cuda", MAX): "torch.compile with autotuning, replayed as CUDA graphs",
}


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An engine, the module whose tensors it computes with, and what was done in words.

    `freezes` says that parameters become constants of the compiled code. `step_bytes` is what a decode step reads of
    the weights and `kv_bytes` what a position takes in the cache; None: as the load's own count says.
    `close` ends what the engine keeps running beside memory.
    """

    engine: Engine
    module: Any  # any: a transformers or tiny module, or a lean decoder
    words: str
    freezes: bool = False
    stamps: EventStamps | None = None
    step_bytes: int | None = None
    kv_bytes: int | None = None
    close: Callable[[], None] = _nothing


def batches_continuously(load: Load, precision: str) -> bool:
    """Return whether the level "continuous" can execute a load: one turn of Llama's kind, weights in a plain type.

    It has transformers' modules, of which only those are tested that the lean decoder knows too.
    """
    model = load.model
    known = fits_lean(model) and model.architecture != TINY and load.shape.turns == 1
    return known and precision in (*PLAIN, "tf32", "float8")


def level_list(model: ModelSpec, device: str) -> tuple[Level, ...]:
    """Return the levels of a model on a device type in which requests go in step, the cheapest to prepare first."""
    names = [EAGER]
    if vendor_of(device) is not None and can_compile(device):
        names += [COMPILED] if fits_lean(model) or model.family in ENCODERS else []
    elif device in ("cpu", "cuda") and can_compile(device):
        if fits_lean(model) or (model.family in ENCODERS and device == "cuda"):
            names += [COMPILED, MAX]
        elif model.family in ENCODERS:
            names += [COMPILED]
    return tuple(Level(name=name, description=words_of(device, name)) for name in names)


def words_of(device: str, level: str) -> str:
    """Return what a level does on a device type, in words."""
    vendor = vendor_of(device)
    if vendor is None or level == EAGER:
        return WORDS.get((device, level), "call by call")
    shapes = ", fixed shapes, decode steps by spans of positions" if vendor.static else ""
    return f"torch.compile by {vendor.compiler}{shapes}"


def cheaper_levels(model: ModelSpec, device: str, level: str) -> tuple[str, ...]:
    """Return a level and those that it falls back to, in that order; requests go in step in all of them or in none."""
    if level == CONTINUOUS:
        return (level,)
    names = [known.name for known in level_list(model, device)]
    return tuple(reversed(names[: names.index(level) + 1]))


def level_refusal(level: str, model: ModelSpec, device: str, requests: int) -> str | None:
    """Return why a level is of no use for so many requests at once, or None; asked before weights are built."""
    if level in (EAGER, CONTINUOUS) or device != "cpu" or not fits_lean(model) or requests <= FEW_ROWS:
        return None
    why = f"the compiled step is made for at most {FEW_ROWS} requests at once, not for {requests}"
    return f"{why}: its weights would be read once for each"


def make_engine(level: str, model: ModelSpec, setup: Setup, numbers: Numbers) -> Made:
    """Return a level's engine; `setup.module` may be taken apart."""
    if level == CONTINUOUS:
        return _continuous(setup, numbers)
    if fits_lean(model):
        return _lean(level, setup, numbers)
    words = words_of(setup.device.type, level)
    if model.family in ENCODERS:
        return _encoder(level, setup, numbers, words)
    if model.family == "decoder":
        return Made(engine=DecoderEngine(setup, ModuleForward(setup)), module=setup.module, words="call by call")
    from wattbench.backends.torch.encoder_decoder import EncoderDecoderEngine

    replace_linears(setup.module, packed_linear)
    return Made(engine=EncoderDecoderEngine(setup), module=setup.module, words=words)


def make_matrix(level: str, numbers: Numbers, requests: int) -> MakeMatrix:
    """Return how a level keeps the matrices of a lean decoder for so many requests at once."""

    def make(weight: Tensor, head: bool) -> Matrix:
        few = head and requests <= FEW_ROWS
        if numbers.rounded_to == "float8":
            return Float8(weight) if Float8.fits(weight) and not head else Plain(weight)
        if numbers.rounded_to == "int4" and Int4.fits(weight) and not head:
            return Int4(weight, _rows)
        if numbers.rounded_to:
            return Int8(weight, None if few else _rows)
        return _dense(level, weight, few)

    return make


def _rows(weight: Tensor) -> Matrix:
    """Return a dense matrix for many rows."""
    return Packed(weight) if can_pack(weight) else Plain(weight)


def _dense(level: str, weight: Tensor, few: bool) -> Matrix:
    """Return a matrix of plain numbers; a compiled step reads the weights as they are, and so do `few` rows."""
    if level == COMPILED or not can_pack(weight):
        return Plain(weight)
    if level == MAX:
        return Plain(weight) if few else PlainAndPacked(weight)
    return Packed(weight)


def _lean(level: str, setup: Setup, numbers: Numbers) -> Made:
    device, requests = setup.device, setup.requests
    lean = lean_decoder(setup.module, setup.context, make_matrix(level, numbers, requests), setup.ranks)
    setup = replace(setup, module=lean)
    stamps = None
    if level == EAGER:
        engine = DecoderEngine(setup, LeanForward(setup))
    elif level == MAX and device.type == "cuda":
        stamps = EventStamps(setup.synchronise, event_maker(device))
        step = partial(compiled, options=OPTIONS["cuda", MAX])
        engine = DecoderEngine(setup, GraphForward(setup, cuda_capture(device), step), stamps)
    elif (compiler := static_compiler(device.type)) is not None:
        step = partial(compiled_static, compiler=compiler)
        engine = DecoderEngine(setup, GraphForward(setup, called_once, step, symbolic=False))
    else:
        prompt_options = CPU_PROMPT if level == MAX and setup.ranks is None else None
        engine = DecoderEngine(setup, CompiledForward(setup, OPTIONS.get((device.type, level), {}), prompt_options))
    words = f"{words_of(device.type, level)}, fused layers of our own{_rounding(numbers)}"
    rounded = numbers.rounded_to is not None
    return Made(
        engine=engine,
        module=lean,
        words=words,
        stamps=stamps,
        step_bytes=lean.step_bytes(requests) if rounded else None,
        kv_bytes=_kv_bytes(lean) if rounded else None,
    )


def static_compiler(device: str) -> str | None:
    """Return the compiler of a device type whose compiled code has fixed shapes; None for all others."""
    vendor = vendor_of(device)
    return vendor.compiler if vendor is not None and vendor.static else None


def _continuous(setup: Setup, numbers: Numbers) -> Made:
    from wattbench.backends.torch.continuous import ContinuousEngine

    if numbers.rounded_to:
        replace_linears(setup.module.model, float8_linear)  # the head stays as it is
    elif setup.device.type == "cpu":
        replace_linears(setup.module.model, packed_linear)
    engine = ContinuousEngine(setup)
    return Made(engine=engine, module=setup.module, words=f"{engine.words}{_rounding(numbers)}", close=engine.close)


def _encoder(level: str, setup: Setup, numbers: Numbers, words: str) -> Made:
    cpu = setup.device.type == "cpu"
    if numbers.rounded_to:
        replace_linears(setup.module, int8_linear if cpu else float8_linear)
        bits = " (weights of seven bits: no VNNI)" if cpu and reduces_range() else ""
        words += f"; weights and activations in {numbers.rounded_to}{bits}, one scale a row each"
    elif level == EAGER:
        replace_linears(setup.module, packed_linear)
    step: Callable[..., Any] | None = None
    if level != EAGER and (compiler := static_compiler(setup.device.type)) is not None:
        step = compiled_static(setup.module, compiler)
    elif level != EAGER:
        options = dict(OPTIONS.get((setup.device.type, level), {}))
        if level == MAX:
            options["triton.cudagraphs"] = True
        step = compiled(setup.module, {} if cpu else options)
    return Made(engine=EncoderEngine(setup, step), module=setup.module, words=words, freezes=cpu and level != EAGER)


def _rounding(numbers: Numbers) -> str:
    """Return what was done to the weights, as the rest of a sentence."""
    if numbers.rounded_to == "float8":
        return "; weights and activations in float8 with one scale a row, the head is not"
    if numbers.rounded_to is None:
        return ""
    scale = "one scale an output" if numbers.rounded_to == "int8" else "scale and offset for each 32 inputs, head int8"
    return f"; weights {numbers.rounded_to}, {scale}; more than {FEW_ROWS} rows read a dense copy of the same numbers"


def _kv_bytes(lean: LeanDecoder) -> int:
    """Return the bytes that one position of one request takes in the cache."""
    return 2 * len(lean.layers) * lean.shape.kv_heads * lean.shape.head_dim * int(lean.norm.element_size())
