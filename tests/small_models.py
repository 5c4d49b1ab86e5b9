"""Architectures of the catalogue with few and narrow layers, for tests that execute them."""

from dataclasses import replace

from wattbench.models.find import find_load
from wattbench.models.load import Load

NARROW: dict[str, object] = {
    "vocab_size": 160,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "max_position_embeddings": 128,
    "initializer_range": 0.1,
}


def small_load(name: str, **own: object) -> Load:
    """Return a load of a catalogue's architecture in a tiny size, 20 tokens in and 12 out; `own` are its own fields.

    What is not named here is as in the catalogue, but for the width of a head, which follows from the rest.
    """
    load = find_load(name)
    config = {k: v for k, v in (load.model.config | NARROW).items() if k in load.model.config or k in ("vocab_size",)}
    config = {k: v for k, v in config.items() if k != "head_dim"} | own
    shape = replace(load.shape, input_tokens=20, output_tokens=12 if load.shape.output_tokens else 0)
    return replace(load, model=replace(load.model, config=config, parameters=1), shape=shape)
