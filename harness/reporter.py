"""What a run tells whoever watches it: phases, repeats, watts; the command line draws it, Python may stay silent."""

from collections.abc import Callable
from typing import Protocol

from wattbench.harness.plan import Resolved

__all__ = ["Reporter", "SilentReporter"]


class Reporter(Protocol):
    """Watches a run; every method returns at once and never raises."""

    def started(self, resolved: Resolved, path: str, watts: Callable[[], float | None]) -> None:
        """Take note of the plan, of the result's path, and of how to ask for the watts of this moment."""
        ...

    def phase(self, name: str, expected_s: float | None, detail: str = "") -> None:
        """Take note that a phase begins, and how long it should take (None: unknown)."""
        ...

    def repeat(self, index: int, of: int, rates: str, watts: float | None) -> None:
        """Take note of a finished repeat: its number, how many there may be, its rates as text, its mean watts."""
        ...

    def note(self, text: str) -> None:
        """Take note of a choice or an event that the user should know of."""
        ...

    def ended(self) -> None:
        """Take note that nothing more will come."""
        ...


class SilentReporter:
    """A reporter that says nothing."""

    def started(self, resolved: Resolved, path: str, watts: Callable[[], float | None]) -> None:
        """Say nothing."""

    def phase(self, name: str, expected_s: float | None, detail: str = "") -> None:
        """Say nothing."""

    def repeat(self, index: int, of: int, rates: str, watts: float | None) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def ended(self) -> None:
        """Say nothing."""
