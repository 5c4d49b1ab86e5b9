"""Reading the configurations of `transformers` and of wattbench.tiny into dimensions."""

from collections.abc import Callable, Mapping

from wattbench.models.architecture import Architecture, Stack
from wattbench.models.load import ModelSpec
from wattbench.results.errors import UsageError
from wattbench.results.plugins import nearest_lines

__all__ = ["dimensions"]


def dimensions(model: ModelSpec) -> Architecture:
    """Return the dimensions of a model's architecture.

    Raises UsageError when its configuration class is not one of those with formulas, or a field is missing.
    """
    if model.architecture not in _READERS:
        what = f"The model {model.name!r} has an architecture without formulas: {model.architecture!r}"
        raise UsageError(what, *nearest_lines(model.architecture, _READERS))
    try:
        return _READERS[model.architecture](_Fields(model.config), model)
    except KeyError as exc:
        why = f"the table [config] of {model.architecture} has no {exc.args[0]!r}"
        raise UsageError(f"The model {model.name!r} is incomplete", why, "Add the field to its file.") from exc


class _Fields:
    """Integer access to a configuration table."""

    def __init__(self, config: Mapping[str, object]) -> None:
        self._config = config

    def __getitem__(self, key: str) -> int:
        value = self._config[key]
        if not isinstance(value, int):
            raise UsageError(f"The configuration field {key!r} must be an integer", f"got {value!r}")
        return value

    def get(self, key: str, default: int) -> int:
        return self[key] if key in self._config else default

    def count(self, key: str, value: str) -> int:
        found = self._config.get(key, [])
        return found.count(value) if isinstance(found, list) else 0


def _encoder_stack(c: _Fields, *, extra: int, stem_flops: int = 0) -> Stack:
    """Return the tower that BERT and ViT share: every matrix has a bias, two layer norms a layer."""
    h, i = c["hidden_size"], c["intermediate_size"]
    return Stack(
        layers=c["num_hidden_layers"],
        hidden=h,
        heads=c["num_attention_heads"],
        kv_heads=c["num_attention_heads"],
        head_dim=h // c["num_attention_heads"],
        mlp_width=i,
        mlp_matrices=2,
        vectors=4 * h + 4 * h,
        mlp_vectors=i + h,
        causal=False,
        extra=extra,
        stem_flops=stem_flops,
    )


def _bert(c: _Fields, _: ModelSpec) -> Architecture:
    """BertModel: three lookup tables, a norm, the layers, and the pooler as its head (arXiv:1810.04805)."""
    h = c["hidden_size"]
    return Architecture(
        encoder=_encoder_stack(c, extra=2 * h),
        decoder=None,
        vocabulary=c["vocab_size"],
        lookup=(c["vocab_size"] + c["max_position_embeddings"] + c["type_vocab_size"]) * h,
        head=h * h,
        head_vectors=h,
        positions_max=c["max_position_embeddings"],
    )


def _vit(c: _Fields, _: ModelSpec) -> Architecture:
    """ViTForImageClassification: patches by one matrix, class token, positions (arXiv:2010.11929, section 3.1)."""
    h, side = c["hidden_size"], c["image_size"] // c["patch_size"]
    patch = c["num_channels"] * c["patch_size"] ** 2
    positions = side**2 + 1
    stem = patch * h + h + h + positions * h  # matrix, bias, class token, positions
    return Architecture(
        encoder=_encoder_stack(c, extra=stem + 2 * h, stem_flops=2 * patch * h * side**2),
        decoder=None,
        vocabulary=None,
        lookup=0,
        head=h * c["num_labels"],
        head_vectors=c["num_labels"],
        modality="image",
        positions_fixed=positions,
    )


def _gpt2(c: _Fields, _: ModelSpec) -> Architecture:
    """GPT2LMHeadModel: every matrix has a bias, the head is the embedding table."""
    h, i = c["n_embd"], c.get("n_inner", 4 * c["n_embd"])
    stack = Stack(
        layers=c["n_layer"],
        hidden=h,
        heads=c["n_head"],
        kv_heads=c["n_head"],
        head_dim=h // c["n_head"],
        mlp_width=i,
        mlp_matrices=2,
        vectors=4 * h + 4 * h,
        mlp_vectors=i + h,
        causal=True,
        extra=2 * h,
    )
    positions = c["n_positions"]
    return _decoder_only(stack, c["vocab_size"], tied=True, positions=positions, lookup=positions * h)


def _llama(c: _Fields, model: ModelSpec) -> Architecture:
    """Llama and its kin: RMS norms, gated feed-forward, grouped queries, optionally experts (arXiv:2302.13971)."""
    h, heads = c["hidden_size"], c["num_attention_heads"]
    head_dim = c.get("head_dim", h // heads)
    experts = c.get("num_local_experts", 1)
    query_key_norms = 2 * head_dim if model.architecture == "Qwen3Config" else 0
    stack = Stack(
        layers=c["num_hidden_layers"],
        hidden=h,
        heads=heads,
        kv_heads=c["num_key_value_heads"],
        head_dim=head_dim,
        mlp_width=c["intermediate_size"],
        mlp_matrices=3,
        vectors=2 * h + query_key_norms,
        mlp_vectors=0,
        causal=True,
        extra=h,
        experts=experts,
        experts_active=c.get("num_experts_per_tok", 1),
    )
    tied = bool(c["tie_word_embeddings"])
    return _decoder_only(stack, c["vocab_size"], tied=tied, positions=c["max_position_embeddings"])


def _gpt_oss(c: _Fields, _: ModelSpec) -> Architecture:
    """GptOssForCausalLM: biases everywhere, a sink per head, a window in some layers (arXiv:2508.10925)."""
    h, i, heads, kv = c["hidden_size"], c["intermediate_size"], c["num_attention_heads"], c["num_key_value_heads"]
    head_dim, experts = c["head_dim"], c["num_local_experts"]
    biases = heads * head_dim + 2 * kv * head_dim + h
    stack = Stack(
        layers=c["num_hidden_layers"],
        hidden=h,
        heads=heads,
        kv_heads=kv,
        head_dim=head_dim,
        mlp_width=i,
        mlp_matrices=3,
        vectors=2 * h + biases + heads,
        mlp_vectors=2 * i + h,
        causal=True,
        extra=h,
        experts=experts,
        experts_active=c["num_experts_per_tok"],
        router_vectors=experts,
        window=c["sliding_window"],
        windowed_layers=c.count("layer_types", "sliding_attention"),
    )
    return _decoder_only(stack, c["vocab_size"], tied=False, positions=c["max_position_embeddings"])


def _decoder_only(stack: Stack, vocabulary: int, *, tied: bool, positions: int, lookup: int = 0) -> Architecture:
    table = vocabulary * stack.hidden
    return Architecture(
        encoder=None,
        decoder=stack,
        vocabulary=vocabulary,
        lookup=lookup + (0 if tied else table),
        head=table,
        head_vectors=0,
        positions_max=positions,
    )


def _whisper(c: _Fields, _: ModelSpec) -> Architecture:
    """WhisperForConditionalGeneration: two convolutions, of which the second halves the frames (arXiv:2212.04356)."""
    h, mels, positions = c["d_model"], c["num_mel_bins"], c["max_source_positions"]
    first, second = 3 * mels * h, 3 * h * h  # kernels of three frames
    encoder = Stack(
        layers=c["encoder_layers"],
        heads=c["encoder_attention_heads"],
        kv_heads=c["encoder_attention_heads"],
        head_dim=h // c["encoder_attention_heads"],
        mlp_width=c["encoder_ffn_dim"],
        vectors=3 * h + 4 * h,  # biases of query, value, output; two norms
        mlp_vectors=c["encoder_ffn_dim"] + h,
        causal=False,
        extra=first + second + 2 * h + positions * h + 2 * h,
        stem_flops=2 * first * 2 * positions + 2 * second * positions,
        hidden=h,
        mlp_matrices=2,
    )
    decoder = Stack(
        layers=c["decoder_layers"],
        heads=c["decoder_attention_heads"],
        kv_heads=c["decoder_attention_heads"],
        head_dim=h // c["decoder_attention_heads"],
        mlp_width=c["decoder_ffn_dim"],
        vectors=6 * h + 6 * h,  # the biases of both attentions; three norms
        mlp_vectors=c["decoder_ffn_dim"] + h,
        causal=True,
        extra=2 * h,
        memory_width=h,
        hidden=h,
        mlp_matrices=2,
    )
    return Architecture(
        encoder=encoder,
        decoder=decoder,
        vocabulary=c["vocab_size"],
        lookup=c["max_target_positions"] * h,
        head=c["vocab_size"] * h,
        head_vectors=0,
        modality="audio",
        positions_fixed=positions,
        output_max=c["max_target_positions"],
    )


def _t5(c: _Fields, _: ModelSpec) -> Architecture:
    """T5ForConditionalGeneration: no biases, relative positions without a limit (arXiv:1910.10683, section 2.1)."""
    h, heads = c["d_model"], c["num_heads"]
    buckets = c["relative_attention_num_buckets"] * heads

    def stack(layers: int, norms: int, memory_width: int | None) -> Stack:
        return Stack(
            layers=layers,
            hidden=h,
            heads=heads,
            kv_heads=heads,
            head_dim=c["d_kv"],
            mlp_width=c["d_ff"],
            mlp_matrices=2,
            vectors=norms * h,
            mlp_vectors=0,
            causal=memory_width is not None,
            extra=buckets + h,
            memory_width=memory_width,
        )

    return Architecture(
        encoder=stack(c["num_layers"], 2, None),
        decoder=stack(c.get("num_decoder_layers", c["num_layers"]), 3, h),
        vocabulary=c["vocab_size"],
        lookup=0,
        head=c["vocab_size"] * h,
        head_vectors=0,
    )


def _tiny(c: _Fields, model: ModelSpec) -> Architecture:
    """wattbench.tiny (models/tiny.py): no biases; a decoder's head is its token table, an encoder's a pooler."""
    h, table = c["hidden_size"], c["vocab_size"] * c["hidden_size"]
    causal = model.family == "decoder"
    stack = Stack(
        layers=c["layers"],
        hidden=h,
        heads=c["heads"],
        kv_heads=c["kv_heads"],
        head_dim=h // c["heads"],
        mlp_width=c["intermediate_size"],
        mlp_matrices=3,
        vectors=2 * h,
        mlp_vectors=0,
        causal=causal,
        extra=h,
    )
    return Architecture(
        encoder=None if causal else stack,
        decoder=stack if causal else None,
        vocabulary=c["vocab_size"],
        lookup=c["max_positions"] * h + (0 if causal else table),
        head=table if causal else h * h,
        head_vectors=0,
        positions_max=c["max_positions"],
    )


_READERS: dict[str, Callable[[_Fields, ModelSpec], Architecture]] = {
    "BertConfig": _bert,
    "GPT2Config": _gpt2,
    "GptOssConfig": _gpt_oss,
    "LlamaConfig": _llama,
    "MixtralConfig": _llama,
    "Qwen3Config": _llama,
    "T5Config": _t5,
    "ViTConfig": _vit,
    "WhisperConfig": _whisper,
    "wattbench.tiny": _tiny,
}
