"""Trust in a store: pins, re-signed results, withdrawals, reproductions, audits, and what strangers put there."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from click.testing import Result as Answer
from trust_case import BOARD, NOW, make_case, make_key, package, rederived

from wattbench.harness.cli.group import bench
from wattbench.harness.trust.sign_stored import audit_stored, sign_stored
from wattbench.harness.trust.stored import inspect_stored
from wattbench.results.document import Result
from wattbench.results.errors import MissingKeyError, UsageError
from wattbench.results.files import document_of
from wattbench.results.store.check import check_store
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.layout import AUDITORS, note_key, signature_key
from wattbench.results.store.memory import MemoryStore
from wattbench.results.store.open import init_store
from wattbench.results.store.publish import Blob, package_of_bytes, publish
from wattbench.results.store.records import BlobRef, Note, Signature, to_bytes
from wattbench.results.trust.keys import key_line
from wattbench.results.trust.likeness import unlike
from wattbench.results.trust.signers import Expectation
from wattbench.results.trust.tiers import Trust, tier_text

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs OpenSSH's client")


@pytest.fixture(scope="module", name="keys")
def _keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a key for each who signs here."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ann", "bob", "mallory"):
        make_key(folder, name)
    return folder


@pytest.fixture(name="store")
def _store() -> MemoryStore:
    """Give an empty store."""
    return MemoryStore()


def pushed(store: ObjectStore, result: Result, uploader: str | None) -> str:
    """Push a result as somebody and return its id."""
    data, blobs = package(result)
    files = tuple(Blob(ref=BlobRef(name=n, size_bytes=len(b)), data=b) for n, b in blobs.items())
    whole = package_of_bytes(data, document_of(data), files)
    return publish(store, whole, uploader=uploader, wattbench="0.1.0").id


def signed(store: MemoryStore, result_id: str, key: Path, **options: Any) -> list[str]:  # any: who signs
    """Sign a result in a store."""
    return sign_stored(store, result_id, key, None, signer=options.get("signer"), now=datetime.now(tz=UTC))


def noted(store: MemoryStore, about: str, kind: str, *, by: str | None = None, other: str | None = None) -> Note:
    """Put a note into a store."""
    note = Note(about=about, kind=kind, text="", other=other, at="2026-03-01T00:00:00Z", by=by)  # type: ignore[arg-type]  # a kind
    store.create(note_key(about, f"n{len(list(store.keys('v1/notes/')))}"), to_bytes(note))
    return note


def seen(store: MemoryStore, result_id: str, **options: Any) -> Any:  # any: an inspection, and what it is asked with
    """Return the inspection of a result by somebody who expects nobody."""
    return inspect_stored(store, result_id, options.pop("expected", Expectation()), **options)


def elsewhere(seed: int = 3) -> Result:
    """Return another run of the same on another board of the same kind."""
    text = repr(seed)
    other = f"GPU-{text * 8}"[:12] + BOARD[12:]
    result = make_case(seed)
    boards = tuple(replace(board, uuid=other) for board in result.environment.accelerators)
    power = result.power
    channels = tuple(replace(channel, covers=other) for channel in power.channels)
    moved = replace(
        result,
        environment=replace(result.environment, accelerators=boards),
        power=replace(power, channels=channels, covers=other),
    )
    return rederived(moved)


def test_a_pushed_result_is_self_reported(store: MemoryStore) -> None:
    """What anybody pushed is consistent and nobody's word."""
    found = seen(store, pushed(store, make_case(), "ann"))

    assert ("consistent", "self-reported") == (found.verification.standing, tier_text(found.trust))


def test_the_first_key_of_an_uploader_counts(store: MemoryStore, keys: Path) -> None:
    """Who signs his own result first is pinned to his key, and known by it from then on."""
    result_id = pushed(store, make_case(), "ann")
    signed(store, result_id, keys / "ann")

    assert Trust(tier="signed", basis="by ann") == seen(store, result_id).trust


def test_a_second_key_is_refused(store: MemoryStore, keys: Path) -> None:
    """Nobody signs as ann with another key than hers: nothing is written."""
    result_id = pushed(store, make_case(), "ann")
    signed(store, result_id, keys / "ann")
    with pytest.raises(UsageError, match="does not count for ann"):
        signed(store, pushed(store, make_case(2), "ann"), keys / "mallory")

    assert 1 == len(list(store.keys("v1/signatures/")))


def test_a_result_signed_again_by_another_key_has_failed(store: MemoryStore, keys: Path) -> None:
    """A forged copy pushed in ann's name and signed by mallory is told apart, though its signature holds."""
    signed(store, pushed(store, make_case(), "ann"), keys / "ann")
    forged = pushed(store, make_case(2), "ann")
    signed(store, forged, keys / "mallory", signer="mallory")
    found = seen(store, forged)

    assert ["signer"] == [check.code for check in found.verification.failures()]
    assert ("self-reported", False) == (found.trust.tier, found.verification.rankable)


def test_strangers_cannot_spoil_a_signed_result(store: MemoryStore, keys: Path) -> None:
    """Other signatures, broken ones and rubbish beside ann's change nothing."""
    result_id = pushed(store, make_case(), "ann")
    signed(store, result_id, keys / "ann")
    signed(store, result_id, keys / "mallory", signer="mallory")
    broken = Signature(
        about=result_id, method="ssh", public_key="x", signer="ann", signature="no signature", at="2026-03-01T00:00:00Z"
    )
    store.create(signature_key(result_id, "broken"), to_bytes(broken))
    store.create(signature_key(result_id, "rubbish"), b"{")
    found = seen(store, result_id)

    assert ("consistent", "signed by ann") == (found.verification.standing, tier_text(found.trust))


def test_only_the_uploader_withdraws(store: MemoryStore) -> None:
    """A withdrawn result is kept and not ranked; what others call withdrawn is not."""
    result_id = pushed(store, make_case(), "ann")
    noted(store, result_id, "withdrawn", by="mallory")
    before = seen(store, result_id).verification
    noted(store, result_id, "withdrawn", by="ann")
    after = seen(store, result_id).verification

    assert ([], ["withdrawn"]) == ([b.code for b in before.barriers], [b.code for b in after.barriers])
    assert "consistent" == after.standing


def test_another_machine_s_result_reproduces(store: MemoryStore) -> None:
    """A consistent result of another board, noted as a reproduction, raises the tier and is named."""
    result_id = pushed(store, make_case(), "ann")
    other = pushed(store, elsewhere(), "bob")
    noted(store, result_id, "reproduced-by", other=other, by="bob")

    assert Trust(tier="reproduced", basis=f"by {other[7:19]}") == seen(store, result_id).trust


def test_another_signer_reproduces_on_the_same_machine(store: MemoryStore, keys: Path) -> None:
    """Another known signer's run on the same board counts as well."""
    result_id, other = pushed(store, make_case(), "ann"), pushed(store, make_case(3), "bob")
    signed(store, result_id, keys / "ann")
    signed(store, other, keys / "bob")
    noted(store, result_id, "reproduced-by", other=other, by="bob")

    assert "reproduced" == seen(store, result_id).trust.tier


def slower(result: Result) -> Result:
    """Return an honest result of the same on another board, at another pace."""
    repeats = []
    for repeat in result.repeats:
        done = repeat.completions
        names = ("planned_start_ns", "start_ns", "first_output_ns", "step_end_ns", "end_ns", "requests")
        kept = {name: getattr(done, name)[:5] for name in (*names, "input_tokens", "output_tokens", "error")}
        repeats.append(replace(repeat, completions=replace(done, **kept)))
    return rederived(replace(result, repeats=tuple(repeats)))


@pytest.mark.parametrize(
    "other",
    [make_case(1), make_case(3), slower(elsewhere()), replace(elsewhere(), run=make_case(1).run)],
    ids=["itself", "the same machine", "another pace", "the same run"],
)
def test_what_is_no_reproduction_does_not_count(store: MemoryStore, other: Result) -> None:
    """The same run, the same machine without another signer, and figures apart reproduce nothing."""
    result_id, second = pushed(store, make_case(), "ann"), pushed(store, other, "ann")
    noted(store, result_id, "reproduced-by", other=second)

    assert "self-reported" == seen(store, result_id).trust.tier


def test_a_forged_reproduction_does_not_count(store: MemoryStore) -> None:
    """A reproduction is verified itself: one that contradicts its raw data raises nothing."""
    result_id = pushed(store, make_case(), "ann")
    result = elsewhere()
    swapped = replace(result, power=replace(result.power, polls=make_case(5).power.polls))
    noted(store, result_id, "reproduced-by", other=pushed(store, swapped, "bob"))
    noted(store, result_id, "reproduced-by", other="sha256:" + "0" * 64)

    assert "self-reported" == seen(store, result_id).trust.tier


def test_an_auditor_s_note_is_the_highest_tier(store: MemoryStore, keys: Path) -> None:
    """A note signed by a key on the owner's list of auditors makes a result audited; anybody else's does not."""
    result_id = pushed(store, make_case(), "ann")
    line = key_line((keys / "bob.pub").read_text())
    store.create(AUDITORS, f"bob@example.org {line}\n".encode())
    audit_stored(store, result_id, keys / "mallory", None, text="fine", signer="bob", now=NOW)
    noted(store, result_id, "audited", by="bob")
    before = seen(store, result_id).trust
    audit_stored(store, result_id, keys / "bob", None, text="watched it run", signer="bob", now=NOW)

    assert ("self-reported", "audited by bob@example.org") == (before.tier, tier_text(seen(store, result_id).trust))


def test_what_counts_for_nobody_yet_is_said(store: MemoryStore, keys: Path) -> None:
    """Whoever audits without being listed, or signs what has no uploader, is told for whom that counts."""
    store.create(AUDITORS, f"bob@example.org {key_line((keys / 'bob.pub').read_text())}\n".encode())
    result_id = pushed(store, make_case(), None)
    listed = audit_stored(store, result_id, keys / "bob", None, text="fine", signer="bob", now=NOW)
    unlisted = audit_stored(store, result_id, keys / "mallory", None, text="fine", signer="mallory", now=NOW)
    unnamed = sign_stored(store, result_id, keys / "ann", None, signer=None, now=NOW)

    assert [1, 2, 2] == [len(lines) for lines in (listed, unlisted, unnamed)]
    assert "lists no such auditor" in unlisted[1]
    assert "nobody's name" in unnamed[1]


def test_what_trust_writes_is_no_stranger_to_the_store(store: MemoryStore, keys: Path) -> None:
    """Pins, signatures and audits leave nothing for `bench store check` to find."""
    result_id = pushed(store, make_case(), "ann")
    signed(store, result_id, keys / "ann")
    audit_stored(store, result_id, keys / "bob", None, text="fine", signer="bob", now=NOW)
    report = check_store(store, wattbench="0.1.0")

    assert ((), 2, 1) == (report.findings, report.signatures, report.notes)


def test_an_upload_before_the_run_ended_is_told_apart(store: MemoryStore) -> None:
    """A run cannot end after the store took it in, by the store's own clock."""
    result_id = pushed(store, make_case(), "ann")
    standings = {check.code: check.standing for check in seen(store, result_id).verification.checks}

    assert "ok" == standings["started_at"]


def asked(*words: str) -> Answer:
    """Return what the command line answers."""
    return CliRunner().invoke(bench, list(words), standalone_mode=False)


def test_the_command_line_signs_and_verifies_in_a_folder(keys: Path, tmp_path: Path) -> None:
    """In a folder `bench sign` pins the uploader's key and `bench verify` names the tier; a stranger is refused."""
    folder = str(tmp_path / "store")
    opened, _ = init_store(folder)
    result_id = pushed(opened, make_case(), "ann")
    before = asked("verify", result_id, "--store", folder, "--brief")
    signing = asked("sign", result_id, "--store", folder, "--key", str(keys / "ann"))
    stranger = asked("sign", result_id, "--store", folder, "--key", str(keys / "mallory"))
    after = asked("verify", result_id.removeprefix("sha256:"), "--store", folder, "--brief")

    assert (0, None, 0) == (before.return_value, signing.exception, after.return_value)
    assert isinstance(stranger.exception, UsageError)
    assert f"{result_id}: CONSISTENT, self-reported" == before.output.splitlines()[0]
    assert f"{result_id}: CONSISTENT, signed by ann" == after.output.splitlines()[0]


def test_the_command_line_audits(keys: Path, tmp_path: Path) -> None:
    """`bench sign --audit` puts a signed note into the store, which counts for whoever lists the auditor."""
    folder = str(tmp_path / "store")
    opened, _ = init_store(folder)
    result_id = pushed(opened, make_case(), "ann")
    asked("sign", result_id, "--store", folder, "--key", str(keys / "bob"), "--audit", "watched it", "--as", "bob")
    listed = asked("verify", result_id, "--store", folder, "--auditors", str(keys / "bob.pub"))
    unlisted = asked("verify", result_id, "--store", folder)

    assert "audited by bob@example.org" in listed.output.splitlines()[0]
    assert "self-reported" in unlisted.output.splitlines()[0]


def test_a_name_that_is_no_id_is_wrong_usage(tmp_path: Path) -> None:
    """With --store results are named by their ids; what a store does not have is an error that says so."""
    folder = str(tmp_path / "store")
    init_store(folder)

    assert isinstance(asked("verify", "r.json", "--store", folder).exception, UsageError)
    assert isinstance(asked("sign", "r.json", "--store", folder, "--key", "k").exception, UsageError)
    assert isinstance(asked("verify", "sha256:" + "0" * 64, "--store", folder).exception, MissingKeyError)


def test_the_owner_names_auditors_when_the_store_is_made(tmp_path: Path) -> None:
    """`bench store init --auditors` keeps the list, no option makes an empty one, nonsense is refused."""
    keys, named, plain = tmp_path / "keys", str(tmp_path / "a"), str(tmp_path / "b")
    keys.write_text(f"bob@example.org {key_line((make_key(tmp_path, 'bob').with_suffix('.pub')).read_text())}\n")
    (tmp_path / "nonsense").write_text("no key\n")
    init = ["store", "init"]
    done = [
        CliRunner().invoke(bench, [*init, named, "--auditors", str(keys)]).exit_code,
        CliRunner().invoke(bench, [*init, plain]).exit_code,
    ]
    refused = CliRunner().invoke(bench, [*init, str(tmp_path / "c"), "--auditors", str(tmp_path / "nonsense")])

    assert [0, 0] == done
    assert (keys.read_bytes(), b"") == tuple(init_store(name)[0].get(AUDITORS) for name in (named, plain))
    assert isinstance(refused.exception, UsageError)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"plan": {"batch": 7}}, "batch"),
        ({"plan": {"slots": 7}}, "slots"),
        ({"load": {"digest": "sha256:" + "1" * 64}}, "load_digest"),
        ({"backend": {"device_name": "NVIDIA H100 80GB HBM3"}}, "class"),
        ({"backend": {"precision_effective": "int8", "compute_precision": "bfloat16"}}, "precision"),
    ],
)
def test_a_reproduction_is_of_the_same(change: dict[str, dict[str, object]], field: str) -> None:
    """What differs in a field of the comparability key, or in batch or slots, reproduces nothing."""
    one = make_case()
    ((name, values),) = change.items()
    part: Any = getattr(one, name)  # any: a record of the result
    other = replace(one, **{name: replace(part, **values)})

    assert () == unlike(one, one)
    assert (field,) == unlike(one, other)
