"""The tier of a result file that has a signature beside it, as a line for people."""

import os
from pathlib import Path

from wattbench.harness.cli.figures import labelled
from wattbench.harness.cli.trust_options import expectation_of
from wattbench.harness.trust.inspecting import signature_path, signature_texts
from wattbench.results.files import document_bytes
from wattbench.results.trust.signers import signature_findings
from wattbench.results.trust.tiers import TierFacts, tier_of, tier_text

__all__ = ["trust_lines"]

LISTED = "WATTBENCH_ALLOWED_SIGNERS"


def trust_lines(path: Path) -> list[str]:
    """Return what the signature beside a result comes to; nothing without one: such a result is self-reported.

    That the figures follow from the raw data is for `bench verify` to say.
    """
    texts = signature_texts(signature_path(path))
    if not texts:
        return []
    listed = os.environ.get(LISTED)
    expected = expectation_of(Path(listed) if listed else None, ())
    found = signature_findings(document_bytes(path), texts, expected)
    problems = [check for check in found.checks if check.standing != "ok"]
    facts = TierFacts(standing="unverifiable", signers=found.signers)
    words = f"{problems[0].code}: {problems[0].detail}" if problems else tier_text(tier_of(facts))
    return [labelled("trust", f"{'self-reported; ' if problems else ''}{words}")]
