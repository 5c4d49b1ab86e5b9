"""A session with a Redfish service: logging in and out where asked for, and reading resources."""

import contextlib
from urllib.parse import urlsplit

from wattbench.backends.clocks import Exchange
from wattbench.harness.power.meters.credentials import Credentials
from wattbench.harness.power.meters.http_client import HttpClient, Reply
from wattbench.harness.power.meters.values import parse_json
from wattbench.results.errors import SensorError, UsageError

__all__ = ["RedfishSession"]

_SESSIONS = "/redfish/v1/SessionService/Sessions"
_KEPT = 16
"""Exchanges that the clock's offset is taken from: those of the probe."""


class RedfishSession:
    """Reads resources; with `login` by a session's token (DSP0266, 13.3.4), renewed once when it has run out."""

    def __init__(self, client: HttpClient, credentials: Credentials, *, login: bool) -> None:
        self._client = client
        self._credentials = credentials
        self._login = login
        self._place: str | None = None
        self.exchanges: list[Exchange] = []

    @property
    def name(self) -> str:
        """Return the service's address."""
        return self._client.name

    def open(self) -> None:
        """Log in where asked for. Raises SensorError when that fails, UsageError without credentials."""
        if self._login:
            self._log_in()

    def get(self, path: str) -> Reply:
        """Return the answer at a path. Raises SensorError."""
        reply = self._client.request("GET", path)
        if self._login and reply.status == 401:  # the session ran out
            self._log_in()
            reply = self._client.request("GET", path)
        reply = self._client.checked(reply, path)
        if reply.exchange is not None and len(self.exchanges) < _KEPT:
            self.exchanges.append(reply.exchange)
        return reply

    def get_json(self, path: str) -> dict[str, object]:
        """Return the JSON object at a path. Raises SensorError."""
        return parse_json(self.get(path).body, f"{self.name}{path}")

    def close(self) -> None:
        """Log out, as far as the service is still there, and close the connection."""
        place, self._place = self._place, None
        if place is not None:
            with contextlib.suppress(SensorError):
                self._client.request("DELETE", place)
        self._client.extra_headers.clear()
        self._client.close()

    def _log_in(self) -> None:
        held = self._credentials
        if held.user is None or held.password is None:
            remedy = "Set WATTBENCH_REDFISH_USER and WATTBENCH_REDFISH_PASSWORD (docs/meters.md#credentials)."
            raise UsageError("--power redfish: auth=session needs a user and a password", remedy=remedy)
        self._client.extra_headers.clear()
        reply = self._client.request("POST", _SESSIONS, {"UserName": held.user, "Password": held.password})
        token = reply.headers.get("x-auth-token")
        if reply.status not in (200, 201) or not token:
            why = f"HTTP {reply.status}" if token or reply.status >= 400 else "it gave no token"
            remedy = "Check user and password, or use auth=basic (docs/meters.md#redfish)."
            raise SensorError(f"Cannot log in to {self.name}", why, remedy)
        held.token = token  # a secret from now on, scrubbed like the password
        self._client.extra_headers["X-Auth-Token"] = token
        self._place = urlsplit(reply.headers.get("location", "")).path or None
