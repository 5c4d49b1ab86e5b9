"""Opening an ONNX Runtime session on one device, so that nothing happens elsewhere without being seen."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime
import onnxruntime.capi.onnxruntime_pybind11_state as state

from wattbench.backends.onnxruntime.listing import Library, library_of, list_here, plugin_modules, words
from wattbench.backends.onnxruntime.offers import Offer, offers
from wattbench.backends.onnxruntime.placement import NEEDED, Placement, assignments_of, judge
from wattbench.backends.onnxruntime.portable import written_out
from wattbench.backends.onnxruntime.providers import CPU, provider_of
from wattbench.backends.onnxruntime.settings import Settings, settings_for
from wattbench.results.errors import DeviceError, UsageError
from wattbench.results.plugins import nearest_lines

__all__ = ["NOWHERE_ELSE", "RUNTIME_ERRORS", "OpenSession", "find_offer", "open_session", "release", "runtime_errors"]

RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    *(e for e in vars(state).values() if isinstance(e, type) and issubclass(e, Exception)),
)
"""What ONNX Runtime raises: its own errors share no class but Exception, and some faults stay plain RuntimeErrors."""

STRICT = "session.disable_cpu_ep_fallback"
RECORDED = "session.record_ep_graph_assignment_info"
SPINNING = "session.intra_op.allow_spinning"

WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"

REFUSED = "fallback to CPU EP has been explicitly disabled"
"""ONNX Runtime's words for nodes that only its CPU provider would take, with `STRICT` set."""

NOWHERE_ELSE = "Nothing was tried on another device. `bench doctor` lists the devices."

LOG_ERRORS = 3
"""ONNX Runtime's severity "error": its reasons for not starting a provider are only logged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession:
    """A session whose placement is proven.

    `compute_precision` is what the provider multiplies in where that is not the graph's own precision. `threads` is
    the number of those that compute on the CPU (None: another device computes). `device_type` and `device_id` are ONNX
    Runtime's names for where inputs and outputs are bound, `settings` says in words what was set, and `library` is the
    plug-in to `release` when the session is gone.
    """

    session: Any  # any: onnxruntime is untyped here
    placement: str
    share: float
    fallback: str | None
    compute_precision: str | None
    threads: int | None
    device_type: str
    device_id: int
    settings: str
    library: str | None


def find_offer(device: str) -> Offer:
    """Return the device of that name as this process can use it; loads no other provider's library.

    Raises UsageError with the known names when there is none, DeviceError when its plug-in cannot be loaded.
    """
    prefix = device.partition(":")[0]
    modules = [m for m in plugin_modules() if device != "cpu" and prefix in _prefixes(m)]
    listing = list_here(tuple(modules))
    for offer in offers(listing):
        if offer.info.name == device:
            return offer
    for module, reason in listing.refused.items():
        raise DeviceError(
            f"The device {device!r} of {module} cannot be used", reason, "`bench doctor` lists all devices."
        )
    known = offers(list_here(plugin_modules()))
    raise UsageError(f"onnxruntime has no device {device!r}", *nearest_lines(device, [o.info.name for o in known]))


def open_session(
    path: Path,
    offer: Offer,
    *,
    threads: int,
    precision: str,
    allow_fallback: bool,
    dimensions: Mapping[str, int] | None = None,
) -> OpenSession:
    """Return a session for the graph in a file, opened on a device, with the proof of where its nodes are.

    `threads` compute where the device is a CPU. `dimensions` fixes free dimensions of the graph by name, for providers
    that need it. Raises DeviceError, with ONNX Runtime's own words, when the session cannot be made or the placement is
    not as asked; nothing is tried again elsewhere.
    """
    if not hasattr(onnxruntime.InferenceSession, "get_provider_graph_assignment_info"):
        why = f"ONNX Runtime {onnxruntime.__version__} does not tell which provider was given a node"
        raise DeviceError("The placement of a graph cannot be proven", why, NEEDED)
    settings = settings_for(offer, precision, threads)
    library = _register(offer)
    pool = threads if offer.unit == "cpu" and not settings.owns_threads else 1
    strict = offer.provider.name != CPU and not allow_fallback
    try:
        session = _create(path, offer, settings, _options(pool, strict, dimensions))
    except DeviceError as exc:
        if strict and REFUSED in exc.why:  # opened once more, and not run, to say how many nodes and which
            _proven(_create(path, offer, settings, _options(pool, False, dimensions)), offer, allow_fallback=False)
        raise
    placed = _proven(session, offer, allow_fallback=allow_fallback)
    bound = "cuda" if offer.provider.counted == "nvidia" else "cpu"
    return OpenSession(
        session=session,
        placement=placed.text,
        share=placed.share,
        fallback=placed.fallback,
        compute_precision=settings.computes,
        threads=threads if offer.unit == "cpu" else None,
        device_type=bound,
        device_id=0 if bound == "cpu" else offer.place,
        settings=_in_words(settings, pool, strict),
        library=None if library is None else library.names[0],
    )


@contextmanager
def runtime_errors(what: str) -> Iterator[None]:
    """Turn whatever ONNX Runtime raises into a DeviceError that says `what` failed, with its own words."""
    try:
        yield
    except RUNTIME_ERRORS as exc:
        raise DeviceError(what, words(exc), NOWHERE_ELSE) from exc


def release(library: str | None) -> None:
    """Let go of a plug-in's library; every session that used it must be gone, or the process would crash."""
    if library is not None and any(device.ep_name == library for device in onnxruntime.get_ep_devices()):
        onnxruntime.unregister_execution_provider_library(library)


def _prefixes(module: str) -> set[str]:
    """Return the device prefixes of a plug-in; one that is broken is taken by its module's name."""
    try:
        return {provider_of(name, module).prefix for name in library_of(module).names}
    except DeviceError:
        return {provider_of(module, module).prefix}


def _register(offer: Offer) -> Library | None:
    """Load an offer's plug-in unless it is loaded. Raises DeviceError when it cannot be."""
    if offer.module is None:
        return None
    library = library_of(offer.module)
    if not any(device.ep_name in library.names for device in onnxruntime.get_ep_devices()):
        with runtime_errors(f"The library of {offer.module} cannot be loaded"):
            onnxruntime.register_execution_provider_library(library.names[0], library.path)
    return library


def _options(threads: int, strict: bool, dimensions: Mapping[str, int] | None) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = LOG_ERRORS
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry(SPINNING, "1")
    options.add_session_config_entry(RECORDED, "1")
    if strict:
        options.add_session_config_entry(STRICT, "1")
    for name, size in (dimensions or {}).items():
        options.add_free_dimension_override_by_name(name, size)
    return options


def _create(path: Path, offer: Offer, settings: Settings, options: Any) -> Any:
    """Return a session. Raises DeviceError when it cannot be made or ONNX Runtime left the provider out."""
    name, provider = offer.info.name, offer.provider.name
    providers: list[str | tuple[str, dict[str, str]]] | None = [(provider, settings.options)]
    with runtime_errors(f"ONNX Runtime cannot open the graph on {name} ({provider})"):
        graph = written_out(path) if offer.provider.lacks_newer else None
        if graph is not None:
            options.add_session_config_entry(WEIGHTS_FOLDER, str(path.parent))
        if offer.listed and provider != CPU:
            options.add_provider_for_devices([_listed(offer)], settings.options)
            providers = None
        session = onnxruntime.InferenceSession(graph or path, options, providers=providers, enable_fallback=0)
    session.disable_fallback()
    if provider not in session.get_providers():
        why = f"it silently took {', '.join(session.get_providers())} instead; its log has the reason"
        raise DeviceError(f"ONNX Runtime could not start {provider}", why, f"It needs {offer.provider.needs}.")
    return session


def _listed(offer: Offer) -> Any:
    """Return ONNX Runtime's own object for a listed device."""
    alike = [
        device
        for device in onnxruntime.get_ep_devices()
        if device.ep_name == offer.provider.name and device.device.type.name.lower() == offer.unit
    ]
    if offer.place >= len(alike):
        raise DeviceError(f"The device {offer.info.name!r} is gone", f"{offer.provider.name} no longer lists it")
    return alike[offer.place]


def _proven(session: Any, offer: Offer, *, allow_fallback: bool) -> Placement:
    with runtime_errors("ONNX Runtime does not say where the graph's nodes are"):
        assigned = assignments_of(session)
    return judge(offer.provider.name, assigned, device=offer.info.name, allow_fallback=allow_fallback)


def _in_words(settings: Settings, pool: int, strict: bool) -> str:
    given = ", ".join(f"{key} {value}" for key, value in settings.options.items())
    alone = "no node may fall back" if strict else "no retry on the CPU"
    text = f"all graph optimisations, {pool} intra-op (spinning) and 1 inter-op threads, {alone}"
    return f"{text}; provider options: {given}" if given else text
