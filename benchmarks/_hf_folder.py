"""Saving a load's seeded weights as a folder that `transformers` of either major version loads without a network."""

import json
from pathlib import Path

import torch

from wattbench.models.find import find_load
from wattbench.models.torch_build import build, quiet_transformers

__all__ = ["save_folder"]


def save_folder(load_name: str, folder: str) -> None:
    """Write config.json and model.safetensors of a load's model with seed 0, in float32."""
    model = find_load(load_name).model
    built = build(model, weights="synthetic", seed=0, dtype=torch.float32, device=torch.device("cpu"))
    with quiet_transformers():
        built.module.save_pretrained(folder)
    path = Path(folder) / "config.json"
    config = json.loads(path.read_text())
    rope = config.get("rope_parameters")
    if rope:  # the name in transformers 5; 4 reads two fields
        config["rope_theta"] = rope["rope_theta"]
        config["rope_scaling"] = None if rope.get("rope_type", "default") == "default" else rope
    config.pop("eos_token_id", None)  # random weights end where they like
    path.write_text(json.dumps(config, indent=2))
