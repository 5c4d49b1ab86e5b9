"""The record of a meter's recording that was attached to a result after its run."""

from dataclasses import dataclass

from wattbench.results.checks import require_finite, require_not_negative
from wattbench.results.energy import Scope

__all__ = ["AttachmentRecord"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentRecord:
    """One attached recording: to which document, from which file, and how its clock was laid over the run's.

    `original` is the id of the document without it. `clock_offset_s` was added to the recording's times; it is known
    to `clock_uncertainty_s` (standard, k=1), and `clock_basis` says how. `fitted_offset_s` is where the edges of the
    load lie in the recording, to `fitted_uncertainty_s`, with the correlation there; None where they cannot be told.
    `wattbench` is the version that attached it.
    """

    original: str
    channel: str
    scope: Scope
    covers: str | None
    file: str
    file_sha256: str
    format: str
    samples: int
    time_reference: str
    clock_offset_s: float
    clock_uncertainty_s: float
    clock_basis: str
    fitted_offset_s: float | None
    fitted_uncertainty_s: float | None
    fitted_correlation: float | None
    wattbench: str

    def __post_init__(self) -> None:
        require_finite(clock_offset_s=self.clock_offset_s, fitted_offset_s=self.fitted_offset_s)
        require_not_negative(
            samples=self.samples,
            clock_uncertainty_s=self.clock_uncertainty_s,
            fitted_uncertainty_s=self.fitted_uncertainty_s,
        )
