"""Where requests go: the server's address, its API and model, and how long one call may take."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args
from urllib.parse import SplitResult, quote, urlsplit

from wattbench.results.errors import UsageError
from wattbench.results.plugins import nearest_lines

__all__ = ["Api", "Target", "make_target"]

Api = Literal["chat", "completions", "kserve"]

PATHS: Mapping[Api, str] = {"chat": "/chat/completions", "completions": "/completions"}

MODELS = "/models"
OTHERS = ("/responses", "/embeddings", "/messages", "/audio/transcriptions", "/rerank", "/generate")
"""Paths of calls that are none of ours, as documentations show them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One model of one server; made by `make_target`, which checks it.

    `api` is OpenAI's chat or completions, or KServe's inference (version 2), which knows no streams here.

    `timeout_s` is what one call may take from its first byte out to its end. `ca_file` names the authorities that a
    TLS certificate is verified against (None: the system's). `extra` are fields added to every request's body.
    """

    url: str
    api: Api
    model: str
    stream: bool = True
    timeout_s: float = 600.0
    ca_file: str | None = None
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def parts(self) -> SplitResult:
        """Return the parts of the URL."""
        return urlsplit(self.url)

    @property
    def tls(self) -> bool:
        """Return whether the connection is encrypted."""
        return self.parts.scheme == "https"

    @property
    def host(self) -> str:
        """Return the host's name or address."""
        return self.parts.hostname or ""

    @property
    def port(self) -> int:
        """Return the port, that of the scheme where the URL names none."""
        return self.parts.port or (443 if self.tls else 80)

    @property
    def base(self) -> str:
        """Return the path before an API's own: "/v1" or "/v2", which the URL may have already, or what it ends with."""
        path = self.parts.path.rstrip("/")
        if self.api == "kserve":
            return path if path.endswith("/v2") else f"{path}/v2"
        if _called(path) == self.api:
            return path.removesuffix(PATHS[self.api])
        path = path.removesuffix(MODELS) if path.endswith(f"/v1{MODELS}") else path
        return path if path.endswith("/v1") else f"{path}/v1"

    @property
    def path(self) -> str:
        """Return the path that requests are posted to."""
        if self.api == "kserve":
            return f"{self.described}/infer"
        return f"{self.base}{PATHS[self.api]}"

    @property
    def described(self) -> str:
        """Return the path at which KServe describes the model."""
        return f"{self.base}/models/{quote(self.model, safe='')}"

    @property
    def ready(self) -> str:
        """Return the path that answers well once the server is up."""
        return f"{self.base}/health/ready" if self.api == "kserve" else f"{self.base}/models"


def make_target(
    url: str,
    *,
    api: str = "chat",
    model: str,
    stream: bool = True,
    timeout_s: float = 600.0,
    ca_file: str | None = None,
    extra: Mapping[str, object] | None = None,
) -> Target:
    """Return a target; an address may be that of the API's own calls (".../v1/chat/completions").

    Raises UsageError for an address that is none, holds a secret or is that of another API, and for an unknown API.
    """
    _refuse_bad_url(url)
    known: tuple[Api, ...] = get_args(Api)
    for name in known:
        if name == api:
            _refuse_other_path(url, name)
            extra, stream = dict(extra or {}), stream and name != "kserve"
            return Target(
                url=url, api=name, model=model, stream=stream, timeout_s=timeout_s, ca_file=ca_file, extra=extra
            )
    raise UsageError(f"Unknown API {api!r}", *nearest_lines(api, known))


def _refuse_bad_url(url: str) -> None:
    remedy = "Give http://HOST:PORT or https://HOST, with a path if the API lies below one."
    what = "The endpoint's address is not understood"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise UsageError(what, str(exc), remedy) from exc
    if parts.username is not None or parts.password is not None:
        why = "it holds a user or a password, which would show in the process list and in the result"
        raise UsageError("The endpoint's address holds a secret", why, "Give the key by --key-env or --key-file.")
    if parts.scheme not in ("http", "https"):
        raise UsageError(what, f"{parts.scheme or 'no scheme'!r} is neither http nor https", remedy)
    if not parts.hostname or port == 0 or any(c.isspace() or ord(c) < 32 for c in url):
        raise UsageError(what, "it names no host and port", remedy)
    if not url.isascii():
        raise UsageError(what, "it has letters beyond ASCII", "Write a host as xn--..., and a path with %XX.")
    if parts.query or parts.fragment:
        raise UsageError(what, "it has a query or a fragment", remedy)


def _called(path: str) -> Api | None:
    """Return the API whose own calls an address is that of, as in ".../v1/chat/completions"; None for a mere base."""
    return next((api for api, own in PATHS.items() if path.endswith(own)), None)


def _refuse_other_path(url: str, api: Api) -> None:
    """Refuse the address of another API's calls, or of one model: what we ask for is not to be found below it."""
    path = urlsplit(url).path.rstrip("/")
    what, called = f"The endpoint's address is not one of --api {api}", _called(path)
    if api == "kserve":
        if "/v2/" in path:
            remedy = f"Give {url.partition('/v2/')[0]}, and the model by --model."
            raise UsageError(what, f"{path} lies below /v2", remedy)
    elif called is not None and called != api:
        remedy = f"Give --api {called}, or {url.rstrip('/').removesuffix(PATHS[called])}."
        raise UsageError(what, f"{PATHS[called]} is that of --api {called}", remedy)
    elif (other := next((end for end in OTHERS if path.endswith(f"/v1{end}")), None)) is not None:
        remedy = f"Give {url.rstrip('/').removesuffix(other)}: requests go to {PATHS[api]} below it."
        raise UsageError(what, f"{other} is that of other calls", remedy)
