"""The MLX backend: Apple's framework on a Mac's GPU, or on any CPU that it was built for."""

from functools import cached_property

from wattbench.backends.asking import ask
from wattbench.backends.contract import EAGER, Availability, DeviceFinding, DeviceInfo, Level, Preparation
from wattbench.backends.edge_sdk import NEVER_RUN, probed
from wattbench.backends.encoder_backend import EncoderBackend
from wattbench.backends.encoders import OpenEncoder
from wattbench.backends.host import cpu_model
from wattbench.backends.mlx.found import Found
from wattbench.backends.mlx.maker import MAKER
from wattbench.backends.programs import versions_of
from wattbench.models.load import Load
from wattbench.results.codec import decode
from wattbench.results.errors import DeviceError, DocumentError

__all__ = ["MlxSdk", "mlx_backend"]

CHILD = "wattbench.backends.mlx.probe_child"
ARCHITECTURES = ("BertConfig", "wattbench.tiny")
PACKAGES = ("mlx", "mlx-cpu", "mlx-metal", "mlx-cuda-12", "mlx-cuda-13")
GPU_PRECISIONS = ("float16", "bfloat16", "float32")
GPU_REMEDY = "Use a Mac with Apple silicon: pip install 'wattbench[mlx]'"


class MlxSdk:
    """What is special about MLX, which is imported by `open` alone."""

    name = "mlx"
    level = Level(name=EAGER, description="operations as MLX evaluates them, once a batch")

    def probe(self) -> Availability:
        """Say whether MLX can be loaded, by a child process."""
        parts = versions_of(PACKAGES)
        return probed("mlx", MAKER, self._said, title="MLX", facts=parts, repair="It needs a part for this system")

    def devices(self) -> tuple[DeviceInfo, ...]:
        """Return the GPU, where there is one, and the CPU."""
        cpu = DeviceInfo(
            name="cpu",
            description=cpu_model(),
            memory_bytes=None,
            precisions=("float32",),
            precision_default="float32",
            power_covers="cpu",
        )
        if not self._found.gpu:
            return (cpu,)
        gpu = DeviceInfo(
            name="gpu",
            description=self._found.gpu_name or ("Apple GPU" if self._found.metal else "GPU"),
            memory_bytes=self._found.gpu_memory_bytes,
            precisions=GPU_PRECISIONS,
            precision_default=GPU_PRECISIONS[0],
            power_covers=None,
        )
        return (gpu, cpu)

    def findings(self) -> tuple[DeviceFinding, ...]:
        """Return what is known of a GPU."""
        if self._found.gpu:
            found = Availability(state="present", reason="MLX has it; it was never run by wattbench", facts=NEVER_RUN)
        else:
            reason = "the installed MLX finds no GPU here"
            found = Availability(state="absent", reason=reason, remedy=GPU_REMEDY, facts=NEVER_RUN)
        return (DeviceFinding(name="gpu", label="GPU by Metal or CUDA", availability=found),)

    def takes(self, load: Load) -> bool:
        """Return whether the encoder is written in MLX."""
        activation = load.model.config.get("hidden_act", "gelu")
        return load.model.architecture in ARCHITECTURES and activation == "gelu"

    def open(self, preparation: Preparation, device: DeviceInfo, threads: int) -> OpenEncoder:
        """Read the weights and put them on the device."""
        from wattbench.backends.mlx.session import open_model

        return open_model(preparation, device)

    def _said(self) -> str:
        self._found  # noqa: B018 (asking is what matters)
        return f"MLX {versions_of(PACKAGES).get('mlx', '')}".strip()

    @cached_property
    def _found(self) -> Found:
        """Return MLX's devices; a child process is asked once."""
        try:
            return decode(ask(CHILD, "MLX"), Found)
        except DocumentError as exc:
            raise DeviceError("MLX's answer is not understood", str(exc)) from exc


def mlx_backend() -> EncoderBackend:
    """Return the backend `mlx`."""
    return EncoderBackend(MlxSdk)
