"""Identifiers of machines and people in text: found by their shape or because they are known, and hashed with a key."""

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable, Mapping

__all__ = ["LEFT_OUT", "METHOD", "Hasher", "is_distinctive", "is_hashed"]

METHOD = "HMAC-SHA256 with a secret key of the uploader's, its first 64 bits (of a UUID 86)"

LEFT_OUT = "(left out)"

PUBLIC_HOSTS = (
    *("github.com", "pypi.org", "huggingface.co", "arxiv.org", "doi.org", "docs.nvidia.com", "kernel.org"),
    *("intel.com", "amd.com", "mlcommons.org", "pytorch.org", "onnxruntime.ai"),
)
"""Whose pages are read by anybody, so that their address tells nothing of this machine."""

COMMON = frozenset(
    (
        *("board", "module", "package", "dram", "psys", "node", "wall", "other", "cpu", "gpu", "cuda", "soc", "all"),
        *("power", "energy", "meter", "device", "supply", "machine", "host", "local", "localhost", "counter", "model"),
        *("root", "user", "admin", "ubuntu", "debian", "fedora", "centos", "runner", "nobody", "guest", "test", "ann"),
        *("bench", "wattbench", "torch", "mock", "replay", "nvml", "rapl", "none", "auto", "linux", "worker", "load"),
    )
)
"""Names that many machines and accounts have: they tell nothing, and replacing them would spoil our own words."""

_NOT_IN_WORD, _WORD_ENDS = r"(?<![0-9A-Za-z])", r"(?![0-9A-Za-z])"
_HEX = "[0-9A-Fa-f]"

HASHED = rf"id-[0-9a-f]{{16}}{_WORD_ENDS}|00000000-{_HEX}{{4}}-8{_HEX}{{3}}-{_HEX}{{4}}-{_HEX}{{12}}{_WORD_ENDS}"
"""What a hash looks like, so that nothing is hashed twice: `id-` and 16 digits, or a UUID of version 8 from 0 on."""

UUID = rf"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}{_WORD_ENDS}"
BOARD = rf"(?P<vendor>GPU|MIG)-(?P<board>{_HEX}[0-9A-Fa-f-]{{6,}}{_HEX}){_WORD_ENDS}"
_IN_PATH = r"[^\s'\"<>|,:;()\[\]]"
PATHS = (
    rf"/dev/{_IN_PATH}*/by-{_IN_PATH}+",
    r"(?<=')(?!/(?:sys|proc|dev|etc|usr|lib|lib64|bin|sbin)/)(?:/|[A-Za-z]:\\)[^'\n]+(?=')",
    r"(?<![\w.~/)\]}-])/(?!(?:sys|proc|dev|etc|usr|lib|lib64|bin|sbin)/)[\w.@~+-]+/" + rf"{_IN_PATH}+",
    rf"(?<![0-9A-Za-z])[A-Za-z]:\\{_IN_PATH}+",
    rf"file://{_IN_PATH}+",
)
URL = r"[a-z][a-z0-9+.-]*://[^\s'\"<>|,;()\[\]]+"
VISA = r"(?:USB|TCPIP|GPIB|ASRL|PXI|VXI)\d*::[\w.:/-]*\w"
MAIL = r"[\w.+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
PRIVATE_HOST = r"(?:[A-Za-z0-9-]+\.)+(?:lan|local|localdomain|internal|intranet|corp|home|private|cluster)" + _WORD_ENDS
MAC = rf"{_HEX}{{2}}(?:[:-]{_HEX}{{2}}){{5}}(?![0-9A-Fa-f:-])"
IPV4 = r"\d{1,3}(?:\.\d{1,3}){3}(?!\.?\w)"
IPV6 = rf"(?:{_HEX}{{0,4}}:){{2,7}}{_HEX}{{0,4}}(?![\w:.])"
SERIAL = r"(?i:serial(?: number| no\.?)?|s/n|asset tag|machine[- ]id)[\s:=#]+(?P<serial>[\w-]*\d[\w-]*)"
DIGITS = "|".join(
    rf"(?=[0-9{letters}]*\d)(?=[0-9{letters}]*[{letters}])[0-9{letters}]{{12,40}}{_WORD_ENDS}"
    for letters in ("a-f", "A-F")
)
"""Addresses of network cards without colons, machine-ids, AMD's unique ids."""


class Hasher:
    """Replaces identifiers in text by hashes with a key; the same one becomes the same hash wherever it stands.

    `known` maps what is hashed because it is known to be an identifier to what stands in its place; `homes` are folders
    whose paths are hashed whole.
    """

    def __init__(self, key: bytes, homes: Iterable[str] = ()) -> None:
        self._key = key
        self._homes = tuple(homes)
        self._known: dict[str, str] = {}
        self._text = self._cited = re.compile("(?!)")
        self.learn({})

    def learn(self, known: Mapping[str, str]) -> None:
        """Know more identifiers from now on, and what is to stand in their place."""
        self._known |= {word.lower(): place for word, place in known.items() if word}
        self._text, self._cited = self._pattern(urls=True), self._pattern(urls=False)

    def hash_of(self, identifier: str) -> str:
        """Return what stands for an identifier: `id-` and 16 hexadecimal digits; a hash stands for itself."""
        if re.fullmatch(HASHED, identifier):
            return identifier
        return f"id-{self._digest(identifier.lower())[:16]}"

    def uuid_of(self, uuid: str) -> str:
        """Return what stands for a UUID: one of version 8 (RFC 9562) that begins with eight zeros."""
        d = self._digest(uuid.lower())
        return f"00000000-{d[:4]}-8{d[4:7]}-{'89ab'[int(d[7], 16) % 4]}{d[8:11]}-{d[11:23]}"

    def text(self, text: str) -> str:
        """Return a text in which every identifier is hashed."""
        return self._text.sub(self._replaced, text)

    def cited(self, text: str) -> str:
        """Return a text in which every identifier but the address of a page is hashed."""
        return self._cited.sub(self._replaced, text)

    def _digest(self, identifier: str) -> str:
        return hmac.new(self._key, b"wattbench.privacy/1\0" + identifier.encode(), hashlib.sha256).hexdigest()

    def _pattern(self, *, urls: bool) -> re.Pattern[str]:
        """Return what finds identifiers; at one place the first alternative wins, of known words the longest."""
        words = sorted(self._known, key=lambda word: (-len(word), word))
        known = "|".join(re.escape(word) for word in words) or "(?!)"
        homes = [f"{re.escape(home)}(?:[/\\\\]{_IN_PATH}*)?{_WORD_ENDS}" for home in self._homes]
        paths = "|".join((*homes, *PATHS))
        parts = (
            rf"{_NOT_IN_WORD}(?P<keep>{HASHED})",
            rf"{_NOT_IN_WORD}(?P<known>(?i:{known})){_WORD_ENDS}",
            f"(?P<url>{URL})" if urls else "(?P<url>(?!))",
            f"(?P<path>{paths})",
            rf"{_NOT_IN_WORD}(?:{BOARD})",
            rf"{_NOT_IN_WORD}(?P<uuid>{UUID})",
            *(rf"{_NOT_IN_WORD}(?P<whole{i}>{kind})" for i, kind in enumerate((VISA, MAIL, PRIVATE_HOST, MAC))),
            rf"{_NOT_IN_WORD}(?:{SERIAL})",
            rf"(?<![\w.])(?P<ip>{IPV4}|{IPV6})",
            rf"{_NOT_IN_WORD}(?P<digits>{DIGITS})",
        )
        return re.compile("|".join(parts))

    def _replaced(self, match: re.Match[str]) -> str:
        found = match[0]
        if match["keep"]:
            return found
        if match["known"]:
            return self._known[found.lower()]
        if match["url"]:
            return self._url(found)
        if match["board"]:
            board = match["board"]
            return f"{match['vendor']}-{board if re.fullmatch(HASHED, board) else self.uuid_of(board)}"
        if match["uuid"]:
            return self.uuid_of(found)
        if match["serial"]:
            return found.removesuffix(match["serial"]) + self.hash_of(match["serial"])
        if match["ip"] and not _is_address(found):
            return found
        return self.hash_of(found)

    def _url(self, url: str) -> str:
        scheme, _, rest = url.partition("://")
        host = re.split(r"[/?#:]", rest)[0].lower()
        if any(host == known or host.endswith(f".{known}") for known in PUBLIC_HOSTS):
            return url
        return f"{scheme}://{self.hash_of(rest)}"


def is_distinctive(name: str) -> bool:
    """Return whether a name of a host or user tells anything, and is no word that texts are made of."""
    return len(name) >= 3 and name.lower() not in COMMON and not name.isdecimal()


def is_hashed(text: str) -> bool:
    """Return whether a text has a hash in it."""
    return re.search(HASHED, text) is not None


def _is_address(text: str) -> bool:
    """Return whether a text is the address of a machine; those that stand for this or any one are not."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)
