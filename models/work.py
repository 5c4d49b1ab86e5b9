"""Counting the work of a load from its shape alone: arithmetic, weight traffic, KV cache, memory.

Conventions, stated once (docs/loads.md repeats them with the formulas):
- A multiply-add is two FLOPs; only matrix products and convolutions count (Kaplan et al. 2020, arXiv:2001.08361,
  section 2.1; Chowdhery et al. 2022, arXiv:2204.02311, appendix B, call them model FLOPs).
- Model FLOPs are what the mathematics needs, not what a kernel does: a causal position attends to itself and those
  before it, so causal attention counts half a square. PyTorch's flop counter counts the full square.
- The language-model head is needed at the last position of a prefill only, and at every decoded token.
- The prefill gives the first token out, so a request of n tokens out has n - 1 decode steps.
- Agent loads keep the KV cache between turns: a turn's prefill processes its new tokens and the last token of the
  turn before, which is not in the cache yet.
- Bytes are nominal: what the numbers themselves take. Weights in a quantised precision count their own bits without the
  scales that belong to them (int4 in blocks of 32 with a 16-bit scale: 4.5 bits a weight), and their caches and
  activations count 16 bits, since engines keep those so. What an engine really reads is in its own record.
"""

from collections.abc import Iterator

from wattbench.models.architecture import Architecture, Stack
from wattbench.models.configurations import dimensions
from wattbench.models.load import Load, ModelSpec
from wattbench.models.served import AS_SERVED
from wattbench.models.shards import head_is_cut
from wattbench.results.errors import UsageError
from wattbench.results.plugins import nearest_lines
from wattbench.results.subject import LoadRecord, WorkRecord

__all__ = [
    "PRECISION_BYTES",
    "decode_flops",
    "decode_kv_bytes",
    "kv_bytes_per_token",
    "load_record",
    "memory_needed_bytes",
    "prefill_flops",
    "weight_bytes",
    "work",
]

PRECISION_BYTES: dict[str, float] = {
    "float32": 4,
    "tf32": 4,
    "bfloat16": 2,
    "float16": 2,
    "float8": 1,
    "int8": 1,
    "int4": 0.5,
}
"""Bytes of one weight in each precision that the catalogue declares; tf32 is float32 in memory."""

_NARROWEST_CACHE_BYTES = 2
"""Bytes of one number of caches and activations where the weights take fewer."""


def work(load: Load, precision: str) -> WorkRecord:
    """Return the arithmetic and traffic of one request of a load; the bytes are those of `precision`."""
    return WorkRecord(
        prefill_flops=prefill_flops(load),
        decode_flops=decode_flops(load),
        weight_bytes=weight_bytes(load.model, precision),
        kv_bytes_per_token=kv_bytes_per_token(load.model, precision),
        decode_kv_bytes=decode_kv_bytes(load, precision),
    )


def load_record(load: Load, precision: str) -> LoadRecord:
    """Return the record of a load for a result; the bytes of its work are those of `precision`.

    What an endpoint serves may be any model in any precision, whatever the load is called: its work is not known.
    """
    known = precision != AS_SERVED
    model, shape = load.model, load.shape
    return LoadRecord(
        name=load.name,
        version=load.version,
        digest=load.digest,
        model=model.name,
        family=model.family,
        parameters=model.parameters if known else None,
        shape=shape.name,
        input_tokens=shape.input_tokens,
        output_tokens=shape.output_tokens,
        turns=shape.turns,
        work=work(load, precision) if known else None,
        sources=(*model.sources, *shape.sources),
    )


def prefill_flops(load: Load, *, full_square: bool = False) -> float:
    """Return the model FLOPs of one request's prefills, from its inputs to the first token (or vector) of each turn.

    `full_square` counts causal and windowed attention as kernels do that compute every pair and mask: the convention
    of `torch.utils.flop_counter`. An encoder-decoder's prefill is its encoder, the keys and values of
    cross-attention, and the decoder's first position.
    """
    architecture = dimensions(load.model)
    total = 0
    for new, past in _prefills(load):
        total += 2 * architecture.head
        if architecture.encoder:
            total += _encoder_flops(architecture, new)
        if architecture.decoder:
            memory = new if architecture.encoder else 0
            first, cached = (1, 0) if memory else (new, past)
            total += _decoder_flops(architecture.decoder, first, cached, memory=memory, full_square=full_square)
    return float(total)


def decode_flops(load: Load) -> float | None:
    """Return the model FLOPs of all decode steps of one request, None for loads without tokens out.

    A step costs 2 x the weights its position passes (activated experts, head included) plus, per layer,
    4 x query width x positions seen for QK^T and AV, and the same over the encoder's positions in cross-attention.
    """
    architecture = dimensions(load.model)
    if load.shape.output_tokens == 0 or architecture.decoder is None:
        return None
    stack = architecture.decoder
    memory = load.shape.input_tokens if architecture.encoder else 0
    contexts = list(_decode_contexts(load))
    seen = sum(_positions_seen(stack, context) for context in contexts)
    per_step = 2 * (stack.position_matrices + architecture.head)
    across = stack.layers * memory if memory else 0
    return float(len(contexts) * (per_step + 4 * stack.query_width * across) + 4 * stack.query_width * seen)


def weight_bytes(model: ModelSpec, precision: str, tokens: int = 1) -> int:
    """Return the bytes of weights that one decode step reads; for encoders, those that one execution reads.

    Tables of which only rows are read (input embeddings, learned positions) are left out; a table that is also the
    head counts once. An encoder-decoder's step reads its decoder without the keys and values of cross-attention,
    which the prefill has stored. With experts, `tokens` decoded together touch on average
    E (1 - (1 - k/E)^tokens) of E experts if routing is uniform and each takes k (expectation of a union of
    independent choices): k for one token, nearly all for a large batch.
    """
    architecture = dimensions(model)
    stack = architecture.decoder or architecture.encoder
    assert stack is not None, "an architecture has a tower"
    idle = stack.experts - stack.experts * (1 - (1 - stack.experts_active / stack.experts) ** tokens)
    unread = stack.layers * (idle * (stack.expert_matrices + stack.mlp_vectors))
    if architecture.encoder and architecture.decoder:
        unread += stack.layers * stack.cross_memory_matrices
    read = stack.parameters - unread + architecture.head + architecture.head_vectors
    return round(read * _bytes_of(precision))


def kv_bytes_per_token(model: ModelSpec, precision: str) -> int | None:
    """Return the bytes that one token adds to the KV cache of one request, None for models without a decoder.

    2 (key and value) x layers x key heads x head width x bytes (Shazeer 2019, arXiv:1911.02150; with grouped queries
    Ainslie et al. 2023, arXiv:2305.13245). Layers with a window stop growing at their window but count here in full;
    `decode_kv_bytes` counts what is read.
    """
    stack = dimensions(model).decoder
    return None if stack is None else 2 * stack.layers * stack.kv_width * _cache_bytes_of(precision)


def decode_kv_bytes(load: Load, precision: str) -> int | None:
    """Return the bytes of KV cache that all decode steps of one request read, None for loads without tokens out.

    Each step reads the keys and values of every position that it sees: windows are respected, and cross-attention's
    stored keys and values are read at every step.
    """
    architecture = dimensions(load.model)
    if load.shape.output_tokens == 0 or architecture.decoder is None:
        return None
    stack = architecture.decoder
    memory = stack.layers * load.shape.input_tokens if architecture.encoder else 0
    seen = sum(_positions_seen(stack, context) + memory for context in _decode_contexts(load))
    return 2 * seen * stack.kv_width * _cache_bytes_of(precision)


def memory_needed_bytes(load: Load, batch: int, precision: str, ranks: int = 1) -> int:
    """Return an estimate of the memory that a load needs at a batch size: weights, KV cache and activations.

    Weights are all parameters. The cache holds the longest context of each request (and cross-attention's keys and
    values). Activations are an estimate of the widest moment of a prefill layer: the residual, its normed copy, and
    the wider of attention (queries, keys, values, output) and feed-forward (one row per matrix), for every position
    of the batch, plus one row of logits per request in float32. Attention scores are taken to be tiled away
    (Dao et al. 2022, arXiv:2205.14135). What the framework and its libraries hold themselves is not counted, nor what
    quantising needs on the way to the weights that stay. With several `ranks` it is what each of them needs: the
    matrices, heads and feed-forward rows are shared out (wattbench.models.shards), everything else is on every rank.
    """
    architecture = dimensions(load.model)
    size = _cache_bytes_of(precision)
    cache = 0
    if architecture.decoder:
        own = load.shape.output_tokens if architecture.encoder else load.context_tokens
        across = load.shape.input_tokens if architecture.encoder else 0
        cache = 2 * architecture.decoder.layers * architecture.decoder.kv_width * (own + across) * size // ranks
    stack = architecture.encoder or architecture.decoder
    assert stack is not None, "an architecture has a tower"
    attention = 2 * stack.query_width + 2 * stack.kv_width
    feed_forward = stack.mlp_matrices * stack.mlp_width * stack.experts_active
    row = (2 * stack.hidden + max(attention, feed_forward) // ranks) * size
    activations = load.shape.input_tokens * row + 4 * (architecture.vocabulary or 0)
    parameters = architecture.parameters - _cut_parameters(load.model, ranks) * (ranks - 1) // ranks
    return round(parameters * _bytes_of(precision)) + batch * (cache + activations)


def _cut_parameters(model: ModelSpec, ranks: int) -> int:
    """Return how many parameters are shared out over several ranks; biases, which are few, count as whole."""
    architecture = dimensions(model)
    stacks = [stack for stack in (architecture.encoder, architecture.decoder) if stack is not None]
    matrices = sum(s.layers * (s.attention_matrices + s.experts * s.expert_matrices) for s in stacks)
    return matrices + (architecture.head if head_is_cut(model, ranks) else 0)


def _encoder_flops(architecture: Architecture, positions: int) -> int:
    stack = architecture.encoder
    assert stack is not None, "asked for the work of an encoder"
    pairs = stack.layers * positions * positions
    return stack.stem_flops + 2 * positions * stack.position_matrices + 4 * stack.query_width * pairs


def _decoder_flops(stack: Stack, new: int, past: int, *, memory: int, full_square: bool) -> int:
    """Return the FLOPs of `new` positions after `past` cached ones, reading `memory` positions of an encoder."""
    if full_square:
        seen = stack.layers * new * (past + new)
    else:
        seen = sum(_positions_seen(stack, past + i) for i in range(1, new + 1))
    across = stack.layers * new * memory
    stored = stack.layers * memory * stack.cross_memory_matrices
    return 2 * new * stack.position_matrices + 2 * stored + 4 * stack.query_width * (seen + across)


def _positions_seen(stack: Stack, context: int) -> int:
    """Return, summed over the layers, how many positions the last of `context` positions attends to."""
    if stack.window is None:
        return stack.layers * context
    full = stack.layers - stack.windowed_layers
    return full * context + stack.windowed_layers * min(context, stack.window)


def _prefills(load: Load) -> Iterator[tuple[int, int]]:
    """Yield the new and the cached positions of each turn's prefill."""
    shape = load.shape
    yield shape.input_tokens, 0
    for turn in range(1, shape.turns):
        before = shape.input_tokens + turn * shape.output_tokens + (turn - 1) * shape.turn_input_tokens
        yield shape.turn_input_tokens + 1, before - 1


def _decode_contexts(load: Load) -> Iterator[int]:
    """Yield the context length, itself included, of every decode step of one request."""
    if load.model.family == "encoder-decoder":
        yield from range(2, load.shape.output_tokens + 1)  # the start token is the first position
        return
    for new, past in _prefills(load):
        yield from range(past + new + 1, past + new + load.shape.output_tokens)


def _bytes_of(precision: str) -> float:
    if precision not in PRECISION_BYTES:
        raise UsageError(f"Unknown precision {precision!r}", *nearest_lines(precision, PRECISION_BYTES))
    return PRECISION_BYTES[precision]


def _cache_bytes_of(precision: str) -> int:
    """Return the bytes of one number of the KV cache or of the activations."""
    return max(_NARROWEST_CACHE_BYTES, round(_bytes_of(precision)))
