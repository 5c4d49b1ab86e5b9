"""The dimensions of an architecture: what every count of work and memory starts from."""

from dataclasses import dataclass

from wattbench.models.load import Modality

__all__ = ["Architecture", "Stack"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """One tower of equal transformer layers; parameters are counted per layer unless said otherwise.

    `vectors` are the layer's biases, norms and other vectors outside the feed-forward part; `mlp_vectors` the biases
    of one expert. A dense feed-forward part is one expert without a router. `memory_width` is the width of the other
    tower's outputs that cross-attention reads, None where there is none. `windowed_layers` of the layers see only
    the last `window` positions. `extra` counts what the whole tower has once (stem, positions added to every input,
    last norm) and `stem_flops` the stem's work on one request.
    """

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp_width: int
    mlp_matrices: int
    vectors: int
    mlp_vectors: int
    causal: bool
    extra: int
    stem_flops: int = 0
    experts: int = 1
    experts_active: int = 1
    router_vectors: int = 0
    memory_width: int | None = None
    window: int | None = None
    windowed_layers: int = 0

    @property
    def query_width(self) -> int:
        """Return the width of all query heads together."""
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        """Return the width of all key heads together, which is that of the values."""
        return self.kv_heads * self.head_dim

    @property
    def attention_matrices(self) -> int:
        """Return the weights of the query, key, value and output matrices."""
        return 2 * self.hidden * self.query_width + 2 * self.hidden * self.kv_width

    @property
    def cross_matrices(self) -> int:
        """Return the weights of cross-attention that each new position passes: query and output."""
        return 0 if self.memory_width is None else 2 * self.hidden * self.query_width

    @property
    def cross_memory_matrices(self) -> int:
        """Return the weights of cross-attention that only the other tower's outputs pass: key and value."""
        return 0 if self.memory_width is None else 2 * self.memory_width * self.kv_width

    @property
    def router_matrix(self) -> int:
        """Return the weights of the router; 0 without experts."""
        return self.hidden * self.experts if self.experts > 1 else 0

    @property
    def expert_matrices(self) -> int:
        """Return the weights of one expert's matrices."""
        return self.mlp_matrices * self.hidden * self.mlp_width

    @property
    def parameters(self) -> int:
        """Return all parameters of the tower."""
        per_layer = (
            self.attention_matrices
            + self.cross_matrices
            + self.cross_memory_matrices
            + self.vectors
            + self.router_matrix
            + self.router_vectors
            + self.experts * (self.expert_matrices + self.mlp_vectors)
        )
        return self.layers * per_layer + self.extra

    @property
    def position_matrices(self) -> int:
        """Return the weights, over all layers, that one position is multiplied with: activated experts only."""
        experts = self.experts_active * self.expert_matrices
        return self.layers * (self.attention_matrices + self.cross_matrices + self.router_matrix + experts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A whole model: its towers, tables and head.

    `lookup` counts parameters of tables of which a position reads one row; a table that the head shares is not
    among them. `head` is the last matrix (pooler, classifier or language-model head), applied to one position a
    request in the prefill and to each decoded token.
    `positions_fixed` are the only input positions the model takes, `positions_max` the most (None: no limit);
    `output_max` bounds the tokens out of an encoder-decoder.
    """

    encoder: Stack | None
    decoder: Stack | None
    vocabulary: int | None
    lookup: int
    head: int
    head_vectors: int
    modality: Modality = "tokens"
    positions_fixed: int | None = None
    positions_max: int | None = None
    output_max: int | None = None

    @property
    def parameters(self) -> int:
        """Return all distinct parameters, tied ones once."""
        towers = sum(stack.parameters for stack in (self.encoder, self.decoder) if stack)
        return towers + self.lookup + self.head + self.head_vectors
