"""The record of which endpoint was to serve a load, and how it was to be asked."""

from dataclasses import dataclass

from wattbench.results.checks import require

__all__ = ["EndpointPlan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPlan:
    """Which endpoint was to serve, and how it was to be asked; never its key, only where the key came from.

    `model` is the name for the server (None: the only one that it has, which the backend's record names). `timeout_s`
    is what one request may take, `workers` how many processes send (at first, with `workers_auto`), `tokenizer` the
    folder of the tokenizer that counts beside the server (None: nothing does). `server_command` started the server for
    the run.
    """

    url: str
    api: str
    model: str | None
    stream: bool
    timeout_s: float
    workers: int
    tokenizer: str | None = None
    key_env: str | None = None
    key_file: str | None = None
    ca_file: str | None = None
    server_command: str | None = None
    workers_auto: bool = False

    def __post_init__(self) -> None:
        require(self.timeout_s > 0, "timeout_s must be positive")
        require(self.workers >= 1, "workers must be at least 1")
        require(self.key_env is None or self.key_file is None, "a key has one source")
