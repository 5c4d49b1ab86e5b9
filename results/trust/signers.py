"""Whose signatures count: keys that somebody vouches for, and what signatures say in their light."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from wattbench.results.errors import SignatureError, SignatureToolError, UsageError
from wattbench.results.trust.keys import fingerprint, key_line
from wattbench.results.trust.signing import signer_of
from wattbench.results.trust.sshsig import NAMESPACE
from wattbench.results.trust.verification import Check, failed, ok, unknown

__all__ = ["Allowed", "Expectation", "Findings", "Signed", "parse_allowed", "signature_findings"]

LINES_MAX = 10_000
OPTION = re.compile(r'([a-z-]+)(?:="([^"]*)")?(?:,|$)', re.IGNORECASE)
DATE = re.compile(r"(\d{8})(\d{4}|\d{6})?Z?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """One line of a file of allowed signers: identities, their key, and from when to when it counts (None: always)."""

    identities: tuple[str, ...]
    public_key: str
    valid_after: datetime | None = None
    valid_before: datetime | None = None

    def counts(self, at: datetime) -> bool:
        """Return whether the key counts at an instant."""
        early = self.valid_after is not None and at < self.valid_after
        return not early and (self.valid_before is None or at < self.valid_before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """Who is expected to have signed: allowed signers, or the key that an uploader signed with first (`pinned`).

    With `required` a document that none of them signed has failed; so it is when the reader names signers himself.
    `at` is the time at which keys have to count.
    """

    allowed: tuple[Allowed, ...] = ()
    pinned: str | None = None
    pinned_as: str | None = None
    required: bool = False
    at: datetime = field(default_factory=lambda: datetime.now(tz=UTC))

    def identity_of(self, public_key: str) -> str | None:
        """Return the name that a key is known by, or None for a key that nobody vouches for."""
        for line in self.allowed:
            if line.public_key == public_key and line.counts(self.at):
                return line.identities[0]
        return self.pinned_as or "pinned key" if public_key == self.pinned else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A signature that holds, by a key that is known: the name it is known by and its fingerprint."""

    identity: str
    public_key: str

    @property
    def fingerprint(self) -> str:
        """Return the key's fingerprint as ssh-keygen prints it."""
        return fingerprint(self.public_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What the signatures of one document come to: the checks, and the known signers whose signatures hold."""

    checks: tuple[Check, ...]
    signers: tuple[Signed, ...]


def signature_findings(
    message: bytes, texts: Sequence[str], expected: Expectation, *, strangers: bool = False
) -> Findings:
    """Return what signatures of a document's canonical bytes say; `texts` are those that lie with it.

    With `strangers` anybody could have put a text there, as in a shared store: one that does not hold is then ignored,
    else it has failed.
    """
    holding, broken, unchecked = [], [], []
    for text in texts:
        try:
            holding.append(signer_of(message, text))
        except SignatureToolError as exc:
            unchecked.append(f"{exc.what}: {exc.why}")
        except SignatureError as exc:
            broken.append(f"{exc.what}: {exc.why}" if exc.why else exc.what)
    known = tuple(
        Signed(identity=name, public_key=key) for key in holding if (name := expected.identity_of(key)) is not None
    )
    first = _signature_check(holding, broken, unchecked, strangers=strangers)
    return Findings(checks=(first, _signer_check(holding, known, expected, unchecked)), signers=known)


def parse_allowed(text: str, where: str) -> tuple[Allowed, ...]:
    """Return the lines of an allowed_signers file (ssh-keygen(1), ALLOWED SIGNERS), or of a list of public keys.

    Lines for certificate authorities, for other namespaces, or with an option that is not known here do not count. A
    line that is a public key alone is known by its comment. Raises UsageError for a line that is neither.
    """
    lines = text.splitlines()
    if len(lines) > LINES_MAX:
        raise UsageError(f"{where} has too many lines", f"{len(lines)} of at most {LINES_MAX}", "Give a shorter list.")
    found: list[Allowed] = []
    for number, line in enumerate(lines, start=1):
        words = line.strip()
        if words and not words.startswith("#"):
            found += _line(words, f"{where}, line {number}")
    return tuple(found)


def _line(line: str, where: str) -> Iterator[Allowed]:
    words = line.split()
    try:
        if _is_kind(words[0]):
            comment = " ".join(words[2:])
            key = key_line(line)
            yield Allowed(identities=(comment or fingerprint(key),), public_key=key)
            return
        index = next((n for n, word in enumerate(words) if n and _is_kind(word)), None)
        if index is None:
            raise SignatureError("This is no line of allowed signers", f"{line!r:.60}")
        dates = _dates(" ".join(words[1:index]))
        if dates is not None:
            key = key_line(" ".join(words[index : index + 2]))
            identities = tuple(name for name in words[0].strip('"').split(",") if name)
            yield Allowed(
                identities=identities or (where,), public_key=key, valid_after=dates[0], valid_before=dates[1]
            )
    except (SignatureError, ValueError) as exc:
        why = f"{exc.what}: {exc.why}" if isinstance(exc, SignatureError) else str(exc)
        remedy = "Each line is: IDENTITY ssh-ed25519 AAAA... (man ssh-keygen, ALLOWED SIGNERS)."
        raise UsageError(f"{where} cannot be read", why, remedy) from exc


def _dates(options: str) -> tuple[datetime | None, datetime | None] | None:
    """Return from when to when a line counts, or None when it does not count for our signatures at all."""
    after = before = None
    for name, value in OPTION.findall(options):
        match name.lower():
            case "namespaces" if NAMESPACE in value.split(","):
                pass
            case "valid-after":
                after = _instant(value)
            case "valid-before":
                before = _instant(value)
            case _:
                return None
    return after, before


def _instant(text: str) -> datetime:
    match = DATE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r:.40} is no date (YYYYMMDD or YYYYMMDDHHMM[SS])")
    time = (match[2] or "0000").ljust(6, "0")
    return datetime.strptime(match[1] + time, "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def _is_kind(word: str) -> bool:
    return word.startswith(("ssh-", "sk-ssh-", "ecdsa-", "sk-ecdsa-"))


def _signature_check(holding: list[str], broken: list[str], unchecked: list[str], *, strangers: bool) -> Check:
    if broken and not strangers:
        return failed("signature", broken[0])
    if holding:
        ignored = f"; {len(broken)} beside it do not hold and are ignored" if broken else ""
        return ok("signature", f"{', '.join(map(fingerprint, holding))}{ignored}")
    if unchecked:
        return unknown("signature", unchecked[0])
    if broken:
        return unknown("signature", f"none that holds; ignored: {broken[0]}")
    return unknown("signature", "it is not signed")


def _signer_check(holding: list[str], known: tuple[Signed, ...], expected: Expectation, unchecked: list[str]) -> Check:
    if known:
        return ok("signer", ", ".join(f"{one.identity} ({one.fingerprint})" for one in known))
    if unchecked and not holding:
        return failed("signer", unchecked[0]) if expected.required else unknown("signer", unchecked[0])
    whose = ", ".join(map(fingerprint, holding))
    if expected.required:
        why = f"signed by {whose}, which is none of the signers expected" if holding else "it is not signed"
        return failed("signer", why)
    if expected.pinned is not None:
        theirs = f"{expected.pinned_as or 'the uploader'} signs with {fingerprint(expected.pinned)}"
        return (
            failed("signer", f"signed by {whose}; {theirs}") if holding else unknown("signer", f"not signed; {theirs}")
        )
    return unknown("signer", f"nobody here vouches for {whose}" if holding else "it is not signed")
