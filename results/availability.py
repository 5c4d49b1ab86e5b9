"""The answer of every probe: usable or not, why not, and what to do."""

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Availability"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """What a probe found: `state`, the reason in plain words, the exact remedy, and facts such as versions."""

    state: Literal["present", "absent", "broken"]
    reason: str
    remedy: str = ""
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Return whether the thing can be used now."""
        return self.state == "present"
