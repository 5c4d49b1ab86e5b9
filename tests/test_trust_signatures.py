"""Signatures by the real ssh-keygen and by Ed25519: whose holds, whose does not, and whose counts."""

import base64
import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from click.testing import Result as Answer
from trust_case import make_case, make_key

from wattbench.harness.cli.group import bench
from wattbench.results.errors import SignatureError, UsageError
from wattbench.results.files import document_bytes
from wattbench.results.sidecar import write_with_polls
from wattbench.results.trust.keys import fingerprint, key_id, key_line
from wattbench.results.trust.signers import Expectation, parse_allowed, signature_findings
from wattbench.results.trust.signing import sign, signer_of

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs OpenSSH's client")

MESSAGE = b'{"kind":"measured"}'


@pytest.fixture(scope="module", name="keys")
def _keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the keys of ann and mallory, an ECDSA key, and a PEM key that openssl would make."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    folder = tmp_path_factory.mktemp("keys")
    for name in ("ann", "mallory"):
        make_key(folder, name)
    make_key(folder, "curve", "ecdsa")
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "plain.pem").write_bytes(pem)
    return folder


def public(keys: Path, name: str) -> str:
    """Return the public key of a pair, without its comment."""
    return key_line((keys / f"{name}.pub").read_text())


@pytest.mark.parametrize(("name", "method"), [("ann", "ssh"), ("curve", "ssh"), ("ann", "dsse"), ("plain.pem", None)])
def test_a_signature_holds(keys: Path, name: str, method: str | None) -> None:
    """What was signed is verified to be the key's, by either method, and by no other bytes."""
    made = sign(MESSAGE, keys / name, method)  # type: ignore[arg-type]  # one of the methods

    assert made.public_key == signer_of(MESSAGE, made.text)
    with pytest.raises(SignatureError):
        signer_of(MESSAGE + b" ", made.text)


def test_ssh_keygen_itself_verifies_ours(keys: Path, tmp_path: Path) -> None:
    """Anybody can check a signature without wattbench: ssh-keygen -Y verify over the canonical bytes."""
    (tmp_path / "sig").write_text(sign(MESSAGE, keys / "ann").text)
    (tmp_path / "allowed").write_text(f"ann@example.org {public(keys, 'ann')}\n")
    words = [
        "ssh-keygen",
        "-Y",
        "verify",
        "-f",
        "allowed",
        "-I",
        "ann@example.org",
        "-n",
        "wattbench-result",
        "-s",
        "sig",
    ]
    done = subprocess.run(words, input=MESSAGE, cwd=tmp_path, capture_output=True, check=False)

    assert (0, True) == (done.returncode, b'Good "wattbench-result" signature for ann@example.org' in done.stdout)


def test_a_signature_for_something_else_does_not_count(keys: Path) -> None:
    """A signature of the same bytes for another purpose, such as a git commit, is refused."""
    words = ["ssh-keygen", "-Y", "sign", "-q", "-n", "git", "-f", str(keys / "ann")]
    done = subprocess.run(words, input=MESSAGE, capture_output=True, check=True)

    with pytest.raises(SignatureError, match="for something else"):
        signer_of(MESSAGE, done.stdout.decode())


def test_our_fingerprint_is_ssh_keygen_s(keys: Path) -> None:
    """A key is called what ssh-keygen calls it; in a store its file has letters that any name may have."""
    done = subprocess.run(["ssh-keygen", "-l", "-f", str(keys / "ann.pub")], capture_output=True, text=True, check=True)
    line = public(keys, "ann")

    assert done.stdout.split()[1] == fingerprint(line)
    assert key_id(line).replace("_", "").replace("-", "").isalnum()


def envelope(keys: Path) -> dict[str, object]:
    """Return a DSSE envelope as JSON has it."""
    found: dict[str, object] = json.loads(sign(MESSAGE, keys / "plain.pem").text)
    return found


def test_an_envelope_is_what_its_standards_say(keys: Path) -> None:
    """The payload is an in-toto statement whose subject is the sha256 of the document's canonical bytes."""
    whole = envelope(keys)
    statement = json.loads(base64.b64decode(str(whole["payload"])))

    assert "application/vnd.in-toto+json" == whole["payloadType"]
    assert "https://in-toto.io/Statement/v1" == statement["_type"]
    assert [64] == [len(subject["digest"]["sha256"]) for subject in statement["subject"]]


def test_an_altered_statement_does_not_hold(keys: Path) -> None:
    """A statement about another digest under the old signature is found."""
    whole = envelope(keys)
    statement = base64.b64decode(str(whole["payload"])).replace(b"sha256", b"sha257", 1)
    whole["payload"] = base64.b64encode(statement).decode()

    with pytest.raises(SignatureError, match="does not hold"):
        signer_of(MESSAGE, json.dumps(whole))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[" * 5000,
        '{"payload":"","payloadType":"x","signatures":[]}',
        "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n",
        "-----BEGIN SSH SIGNATURE-----\n" + "A" * 100_000,
        "-----BEGIN SSH SIGNATURE-----\n"
        + base64.b64encode(b"SSHSIG\0\0\0\1\xff\xff\xff\xff").decode()
        + "\n-----END SSH SIGNATURE-----\n",
    ],
)
def test_rubbish_is_no_signature(text: str) -> None:
    """What is no signature is refused by name."""
    with pytest.raises(SignatureError):
        signer_of(MESSAGE, text)


def listed(*lines: str) -> Expectation:
    """Return the expectation of a file of allowed signers."""
    return Expectation(
        allowed=parse_allowed("\n".join(lines), "allowed"), required=True, at=datetime(2026, 3, 1, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    ("head", "standing"),
    [
        ("ann@example.org", "ok"),
        ('ann@example.org namespaces="wattbench-result"', "ok"),
        ('ann@example.org namespaces="git"', "failed"),
        ("ann@example.org cert-authority", "failed"),
        ('ann@example.org valid-before="20260101"', "failed"),
        ('ann@example.org valid-after="20260101",valid-before="20270101"', "ok"),
        ('ann@example.org something="new"', "failed"),
    ],
)
def test_allowed_signers_are_read_as_ssh_keygen_reads_them(keys: Path, head: str, standing: str) -> None:
    """A line counts for its identity, within its namespaces and dates; with an unknown option it does not count."""
    text = sign(MESSAGE, keys / "ann").text
    checks = signature_findings(MESSAGE, [text], listed(f"{head} {public(keys, 'ann')}")).checks

    assert ("ok", standing) == tuple(check.standing for check in checks)


def test_a_list_that_cannot_be_read_is_wrong_usage() -> None:
    """A line that is no line of allowed signers is named, with its number."""
    with pytest.raises(UsageError, match="allowed, line 2"):
        listed("# a comment", "ann@example.org nothing")


def test_nobody_vouches_for_a_stranger(keys: Path) -> None:
    """A signature that holds by a key that nobody knows makes nobody a signer."""
    found = signature_findings(MESSAGE, [sign(MESSAGE, keys / "mallory").text], Expectation())

    assert (["ok", "unknown"], ()) == ([check.standing for check in found.checks], found.signers)


def test_without_ssh_keygen_a_signature_is_unknown(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be checked here is unknown, and has failed for whoever expects a signer."""
    text = sign(MESSAGE, keys / "ann").text
    monkeypatch.setenv("PATH", "")
    found = [signature_findings(MESSAGE, [text], Expectation(required=required)).checks for required in (False, True)]

    assert [("unknown", "unknown"), ("unknown", "failed")] == [tuple(c.standing for c in checks) for checks in found]


@pytest.fixture(name="signed")
def _signed(keys: Path, tmp_path: Path) -> Path:
    """Write a result with its polls and ann's signature beside it."""
    path = tmp_path / "r.json"
    write_with_polls(make_case(), path)
    asked("sign", str(path), "--key", str(keys / "ann"))
    return path


def asked(*words: str) -> Answer:
    """Return what the command line answers."""
    return CliRunner().invoke(bench, list(words), standalone_mode=False)


def code_of(answer: Answer) -> object:
    """Return the exit code of an answer, or the error that it ended with."""
    return answer.return_value if answer.exception is None else answer.exception


def test_a_file_s_signature_is_checked(signed: Path, keys: Path) -> None:
    """Beside a result lies its signature, and whoever names the key sees the tier that it gives."""
    answer = asked("verify", str(signed), "--signer-key", str(keys / "ann.pub"))

    assert 0 == code_of(answer), answer.output
    assert f"{signed}: CONSISTENT, signed by ann@example.org" == answer.output.splitlines()[0]
    assert signer_of(document_bytes(signed), Path(f"{signed}.sig").read_text()) == public(keys, "ann")


def test_another_s_signature_is_told_apart(signed: Path, keys: Path) -> None:
    """A result that was signed again by another key fails for whoever expects the first."""
    Path(f"{signed}.sig").write_text(sign(document_bytes(signed), keys / "mallory").text)
    answer = asked("verify", str(signed), "--signer-key", str(keys / "ann.pub"))

    assert 1 == code_of(answer)
    assert "which is none of the signers expected" in answer.output


def test_a_signature_of_other_bytes_is_told_apart(signed: Path, keys: Path) -> None:
    """A forged result with new digests under the old signature fails even for whoever expects nobody."""
    other = make_case(2)
    write_with_polls(other, signed)
    answer = asked("verify", str(signed), "--brief")

    assert (1, True) == (code_of(answer), "FAILED signature" in answer.output)


def test_a_missing_signature_fails_only_where_one_is_expected(signed: Path, keys: Path) -> None:
    """Without expectations an unsigned result is self-reported; with them it has failed."""
    Path(f"{signed}.sig").unlink()
    expected = asked("verify", str(signed), "--signer-key", str(keys / "ann.pub"))
    plain = asked("verify", str(signed))

    assert (1, 0) == (code_of(expected), code_of(plain))
    assert "self-reported" in plain.output.splitlines()[0]


def test_a_signature_is_never_overwritten(signed: Path, keys: Path) -> None:
    """A second signature is refused; a key that is none is wrong usage."""
    again = asked("sign", str(signed), "--key", str(keys / "mallory"))
    Path(f"{signed}.sig").unlink()
    no_key = asked("sign", str(signed), "--key", str(signed))

    assert isinstance(again.exception, UsageError)
    assert isinstance(no_key.exception, UsageError)
    assert not Path(f"{signed}.sig").exists()


def test_machines_get_every_check(signed: Path, keys: Path) -> None:
    """--json has the checks, the barriers, the tier and the signers."""
    (found,) = json.loads(asked("verify", str(signed), "--signer-key", str(keys / "ann.pub"), "--json").output)

    assert ("signed", ["ann@example.org"]) == (found["trust"]["tier"], [s["identity"] for s in found["signers"]])
    assert {"code", "standing", "detail"} == set(found["verification"]["checks"][0])


def test_show_names_the_tier(signed: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signature beside a result is shown with its figures: whose it is, or that nobody here vouches for it."""
    stranger = asked("show", "--no-roofline", str(signed)).output
    monkeypatch.setenv("WATTBENCH_ALLOWED_SIGNERS", str(keys / "ann.pub"))
    known = asked("show", "--no-roofline", str(signed)).output
    Path(f"{signed}.sig").unlink()

    assert "trust           self-reported; signer: nobody here vouches for SHA256:" in stranger
    assert "trust           signed by ann@example.org" == known.splitlines()[-1]
    assert "trust  " not in asked("show", "--no-roofline", str(signed)).output
