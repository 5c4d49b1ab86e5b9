"""A conversation with an instrument by PyVISA: ask, be answered, every failure in our words."""

import contextlib
import warnings
from typing import Any

from wattbench.results.errors import SensorError

__all__ = ["Instrument", "as_scpi_number", "open_instrument"]

_INSTALL = "pip install 'wattbench[meters]'"
_ADDRESS = "Check the resource string, the cable, and that nobody else holds the instrument (docs/meters.md#scpi)."

_NO_DATA = 9.91e37
"""SCPI's not-a-number (SCPI-1999, 7.2.1.5)."""

_INFINITY = 9.9e37
"""SCPI's infinity (SCPI-1999, 7.2.1.4): the value is over the range."""


class Instrument:
    """An instrument, connected when it is first asked. Belongs to one thread at a time."""

    def __init__(self, manager: Any, name: str, timeout_s: float) -> None:  # any: PyVISA may be missing
        self._manager = manager
        self._resource: Any = None  # any: as above
        self._timeout_ms = round(timeout_s * 1000)
        self.name = name

    def ask(self, query: str) -> str:
        """Return the answer to a query. Raises SensorError.

        After a failure the connection is opened anew, so that a late answer is not taken for the next one's.
        """
        try:
            return str(self._connected().query(query)).strip()
        except Exception as exc:  # noqa: BLE001 - PyVISA's backends raise VisaIOError, OSError, ValueError and others
            what = f"Cannot open {self.name}" if self._resource is None else f"{self.name} does not answer {query}"
            self._disconnect()
            raise _failed(what, exc) from None

    def tell(self, command: str) -> None:
        """Send a command that has no answer. Raises SensorError."""
        try:
            self._connected().write(command)
        except Exception as exc:  # noqa: BLE001 - as in `ask`
            self._disconnect()
            raise _failed(f"{self.name} does not take {command}", exc) from None

    def close(self) -> None:
        """Close the instrument and the library."""
        self._disconnect()
        with contextlib.suppress(Exception):  # whatever the backend makes of it: it is over
            self._manager.close()

    def _connected(self) -> Any:  # any: a resource of PyVISA
        if self._resource is None:
            opened = self._manager.open_resource(self.name, open_timeout=self._timeout_ms)
            opened.timeout = self._timeout_ms
            opened.read_termination = opened.write_termination = "\n"
            self._resource = opened
        return self._resource

    def _disconnect(self) -> None:
        resource, self._resource = self._resource, None
        if resource is not None:
            with contextlib.suppress(Exception):  # the connection may be gone already
                resource.close()


def open_instrument(resource: str, library: str, timeout_s: float) -> Instrument:
    """Return an instrument. Raises SensorError when PyVISA or the library that it is to use is missing."""
    try:
        import pyvisa
    except ImportError as exc:
        raise SensorError("Cannot talk to instruments", "PyVISA is not installed", _INSTALL) from exc
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyVISA-py warns of interfaces that are not installed
            manager = pyvisa.ResourceManager(library)
    except Exception as exc:  # noqa: BLE001 - as in `Instrument.ask`
        raise _failed(f"Cannot open the VISA library {library}", exc) from None
    return Instrument(manager, resource, timeout_s)


def as_scpi_number(text: str) -> float:
    """Return a number in an instrument's answer. Raises ValueError for its marks of no data and over range."""
    word = text.strip().upper()
    if word in ("NAN", "+NAN"):
        raise ValueError("the meter has no value (NAN)")
    if word.lstrip("+-") in ("INF", "INFINITY"):
        raise ValueError("the meter is over its range (INF)")
    try:
        value = float(word)
    except ValueError:
        raise ValueError(f"it gave {text[:40]!r} where a number belongs") from None
    if abs(value) >= _NO_DATA:
        raise ValueError(f"the meter has no value ({text.strip()})")
    if abs(value) >= _INFINITY:
        raise ValueError(f"the meter is over its range ({text.strip()})")
    return value


def _failed(what: str, exc: Exception) -> SensorError:
    text = " ".join(str(exc).split())
    why = "no answer in time" if "VI_ERROR_TMO" in text else f"{type(exc).__name__}: {text[:160]}"
    return SensorError(what, why, _ADDRESS)
