"""`bench push, pull, sync, log, note, withdraw`: what they do, refuse and print, whatever a store says."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner
from click.testing import Result as Answer

from wattbench.harness.cli.group import bench
from wattbench.harness.cli.sharing import combined_code
from wattbench.results.errors import DocumentError, MissingKeyError, StoreError, UsageError
from wattbench.results.files import read_document, read_result, write_result
from wattbench.results.sidecar import read_polls, write_with_polls
from wattbench.results.store.annotate import annotate
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.layout import object_key
from wattbench.results.store.open import init_store, open_store
from wattbench.results.store.publish import package_of, publish
from wattbench.results.store.read import entries, log_keys, notes
from wattbench.results.store.records import Note, to_bytes

HOSTILE = "\x1b[2J\x1b]0;x\x07 \u202e\u0085\n2026-11-28 sha256:0 all is well"


@pytest.fixture(autouse=True)
def _own_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep spool and key of these tests out of the user's folders."""
    monkeypatch.setenv("WATTBENCH_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("WATTBENCH_UPLOADER", raising=False)


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> str:
    """Return the name of an empty store."""
    return init_store(str(tmp_path / "store"))[0].uri


@pytest.fixture(name="result")
def _result(factories: ModuleType, tmp_path: Path) -> Path:
    """Return the path of a result with polls beside it."""
    (tmp_path / "mine").mkdir()
    write_with_polls(factories.make_result(), tmp_path / "mine" / "r.json")
    return tmp_path / "mine" / "r.json"


def call(*arguments: str) -> Answer:
    """Return what `bench` answers."""
    return CliRunner().invoke(bench, arguments, standalone_mode=False)


def code(answer: Answer) -> int:
    """Return the exit code, after any error was raised again."""
    if answer.exception is not None:
        raise answer.exception
    return int(answer.return_value)


def pushed(result: Path, store: str, *flags: str) -> str:
    """Push a result and return the document's id."""
    assert 0 == code(call("push", str(result), "--to", store, *flags))
    return [entry.id for entry in entries(open_store(store))][-1]


def test_a_pushed_result_is_pulled_as_a_normal_one(result: Path, store: str, tmp_path: Path) -> None:
    """What comes out is a result file with its id and its polls beside it, named by digests, every figure as it was."""
    result_id = pushed(result, store)
    answer = call("pull", result_id, "--from", store, "-o", str(tmp_path / "theirs"))
    path = tmp_path / "theirs" / f"{result_id.removeprefix('sha256:')}.json"

    assert 0 == code(answer)
    assert result_id == json.loads(path.read_text())["id"]
    mine, theirs = read_result(result), read_result(path)
    assert mine.summary == replace(theirs, summary=mine.summary).summary
    assert [log.value for log in read_polls(mine, result)] == [log.value for log in read_polls(theirs, path)]
    assert 2 == len(os.listdir(path.parent))


def test_nothing_is_left_in_the_spool(result: Path, store: str) -> None:
    """After a push the spool is empty, and pushing again finds everything there."""
    pushed(result, store)
    again = call("push", str(result), "--to", store)

    assert 0 == code(again)
    assert again.stderr.startswith("note") or again.stderr.startswith("there already")
    assert "there already" in again.stderr
    assert "Nothing is waiting" in call("push", "--pending").stdout
    assert "Nothing is waiting" in call("push").stderr


def test_a_dry_run_shows_the_very_bytes(result: Path, store: str) -> None:
    """Standard output is the document that would be stored, whose digest is its id; nothing is written or spooled."""
    answer = call("push", str(result), "--dry-run")
    digest = hashlib.sha256(answer.stdout.encode()).hexdigest()

    assert 0 == code(answer)
    assert f"id              sha256:{digest}" in answer.stderr
    assert object_key(f"sha256:{digest}") in answer.stderr
    assert "hashed          power.channels[].id" in answer.stderr
    assert [] == list(log_keys(open_store(store)))
    assert f"sha256:{digest}" == pushed(result, store)


def test_a_dry_run_writes_a_file_and_says_all_for_machines(result: Path, tmp_path: Path) -> None:
    """With --out the document is in a file, once; with --json keys, sizes and digests are data."""
    out = tmp_path / "public.json"
    answer = call("push", str(result), "--dry-run", "-o", str(out), "--json")
    shown = json.loads(answer.stdout)
    document = next(write for write in shown["writes"] if "/objects/" in write["key"])

    assert hashlib.sha256(out.read_bytes()).hexdigest() == document["sha256"]
    assert len(out.read_bytes()) == document["size_bytes"]
    assert 4 == len(shown["writes"])
    with pytest.raises(UsageError, match="exists already"):
        code(call("push", str(result), "--dry-run", "-o", str(out)))


def test_a_dry_run_names_every_key(result: Path, store: str) -> None:
    """What a push then writes is what was shown, but for the time in the log entry's name."""
    shown = json.loads(call("push", str(result), "--dry-run", "-o", f"{result}.public", "--json").stdout)
    opened = open_store(store)
    before = set(opened.keys(""))
    result_id = pushed(result, store)
    written = [key for key in opened.keys("") if key not in before]
    digits = result_id.removeprefix("sha256:")
    named = [f"v1/log/<day>/<time>-{digits}.json" if key.startswith("v1/log/") else key for key in written]

    assert sorted(write["key"] for write in shown["writes"]) == sorted(named)


def test_identifiers_stay_where_that_is_wanted(result: Path, store: str) -> None:
    """With --keep-identifiers the document in the store is the one in the file: nothing is hashed."""
    assert package_of(result).id == pushed(result, store, "--keep-identifiers")


def test_the_log_names_the_uploader_where_he_wants_it(
    result: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is named unless asked for."""
    pushed(result, store)
    monkeypatch.setenv("WATTBENCH_UPLOADER", "team-a")
    pushed(result, store, "--keep-identifiers")

    assert [None, "team-a"] == [entry.uploader for entry in entries(open_store(store))]


def test_one_bad_result_does_not_stop_the_others(result: Path, store: str, tmp_path: Path) -> None:
    """A result that cannot be trusted is named and left out; the exit code is 1, the others are uploaded."""
    altered = tmp_path / "altered.json"
    altered.write_text(result.read_text().replace('"mock"', '"real"', 1))
    lonely = tmp_path / "lonely.json"
    shutil.copy(result, lonely)
    answer = call("push", str(altered), str(lonely), str(tmp_path / "none.json"), str(result), "--to", store)

    assert 1 == code(answer)
    assert 1 == len(list(log_keys(open_store(store))))
    assert [True] * 3 == [word in answer.stderr for word in ("was altered", "polls are missing", "none.json")]


def test_a_store_that_is_gone_leaves_the_upload_pending(result: Path, store: str, tmp_path: Path) -> None:
    """A push that does not arrive exits with 4 and says how to go on; without a result it goes on."""
    assert 0 == code(call("push", str(result), "--to", store))
    other = init_store(str(tmp_path / "other"))[0].uri
    (tmp_path / "other").rename(tmp_path / "away")
    with pytest.raises(StoreError, match="bench store init"):
        code(call("push", str(result), "--to", other))
    (tmp_path / "away").rename(tmp_path / "other")
    marker = tmp_path / "other" / "v1" / "store.json"
    kept = marker.read_bytes()
    objects = tmp_path / "other" / "v1" / "objects"
    objects.write_text("in the way")
    answer = call("push", str(result), "--to", other)

    assert 4 == code(answer)
    assert "go on           bench push" == answer.stderr.splitlines()[-1]
    assert 1 == len(json.loads(call("push", "--pending", "--json").stdout))
    objects.unlink()
    assert 0 == code(call("push"))
    assert (1, kept) == (len(list(log_keys(open_store(other)))), marker.read_bytes())


def test_an_upload_can_be_forgotten(result: Path, store: str, tmp_path: Path) -> None:
    """--forget takes a document out of the spool; an unknown one is refused by name."""
    (tmp_path / "store" / "v1" / "objects").write_text("in the way")
    assert 4 == code(call("push", str(result), "--to", store))
    (item,) = json.loads(call("push", "--pending", "--json").stdout)
    with pytest.raises(UsageError, match="is not in the spool"):
        code(call("push", "--forget", "sha256:" + "0" * 64))

    assert 0 == code(call("push", "--forget", item["id"]))
    assert [] == json.loads(call("push", "--pending", "--json").stdout)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("push", "r.json"), "--to is missing"),
        (("push", "--dry-run"), "0 are named"),
        (("pull", "--from", "store"), "name ids, or say --all"),
        (("log", "store", "--since", "yesterday"), "no date"),
        (("note", "store", "sha256:" + "0" * 64, "--text", " "), "--text is empty"),
        (("note", "store", "sha256:" + "0" * 64, "--text", "x", "--kind", "reproduced-by"), "--other"),
        (("note", "store", "sha256:" + "0" * 64, "--text", "x", "--other", "sha256:" + "1" * 64), "--other"),
    ],
)
def test_wrong_usage_is_refused(
    arguments: tuple[str, ...], words: str, store: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A missing, contradictory or senseless argument is answered with what to do, and nothing is done."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(UsageError) as refused:
        code(call(*arguments))
    assert words in str(refused.value)
    assert [] == list(log_keys(open_store(store)))


@pytest.mark.parametrize("command", ["pull", "note", "withdraw"])
@pytest.mark.parametrize("result_id", ["../../etc/passwd", "sha256:0", "sha256:" + "g" * 64])
def test_an_id_is_never_a_path(command: str, result_id: str, store: str, tmp_path: Path) -> None:
    """What is no digest is refused before anything is asked of the store."""
    arguments = {
        "pull": ("pull", result_id, "--from", store, "-o", str(tmp_path / "out")),
        "note": ("note", store, result_id, "--text", "x"),
        "withdraw": ("withdraw", store, result_id, "--reason", "x"),
    }

    with pytest.raises(UsageError, match="is no result's id"):
        code(call(*arguments[command]))
    assert not (tmp_path / "out").exists()


def test_the_start_of_an_id_is_enough(result: Path, store: str, tmp_path: Path) -> None:
    """Every command that takes an id takes its first digits, with or without its prefix."""
    result_id = pushed(result, store)
    short = result_id.removeprefix("sha256:")[:12]
    called = [
        call("pull", short, "--from", store, "-o", str(tmp_path / "out")),
        call("note", store, result_id[:15], "--text", "good"),
        call("withdraw", store, short.upper(), "--reason", "bad"),
    ]
    verified = call("verify", short, "--store", store)

    assert [0, 0, 0] == [code(answer) for answer in called]
    assert result_id in verified.stdout
    assert ["comment", "withdrawn"] == [note.kind for note in notes(open_store(store), result_id)]


def test_digits_that_begin_several_results_are_refused(result: Path, store: str, tmp_path: Path) -> None:
    """What fits several results, or none, is wrong usage, and the candidates are named."""
    result_id = pushed(result, store)
    twin = f"{result_id[:-1]}{'0' if result_id[-1] != '0' else '1'}"
    open_store(store).create(object_key(twin), b"{}")
    several = call("pull", result_id[:20], "--from", store, "-o", str(tmp_path / "out"))
    none = call("pull", "0" * 6 if result_id[7:13] != "0" * 6 else "1" * 6, "--from", store)

    assert isinstance(several.exception, UsageError)
    assert result_id in str(several.exception)
    assert twin in str(several.exception)
    assert "nothing that it has begins so" in str(none.exception)


def test_an_unknown_id_is_named(store: str, tmp_path: Path) -> None:
    """A digest that the store does not have is pulled by nobody, and nothing is noted about it."""
    unknown = "sha256:" + "0" * 64
    answer = call("pull", unknown, "--from", store, "-o", str(tmp_path / "out"))

    assert 1 == code(answer)
    assert answer.stdout.startswith("refused")
    assert [] == os.listdir(tmp_path / "out")
    with pytest.raises(MissingKeyError, match="a note is about what is there"):
        code(call("withdraw", store, unknown, "--reason", "x"))


def spoil_object(store: ObjectStore, result_id: str, change: Callable[[bytes], bytes]) -> None:
    """Change the bytes of a document in a local store."""
    path = Path(store.uri, object_key(result_id))
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    "change", [lambda data: data[:-9], lambda data: data.replace(b'"mock"', b'"real"', 1), lambda data: b""]
)
def test_an_altered_document_is_refused_and_the_others_come(
    change: Callable[[bytes], bytes], result: Path, store: str, tmp_path: Path
) -> None:
    """--all goes on past a document that was truncated or edited in the store, names it, and exits with 1."""
    first = pushed(result, store)
    second = pushed(result, store, "--keep-identifiers")
    spoil_object(open_store(store), first, change)
    answer = call("pull", "--all", "--from", store, "-o", str(tmp_path / "out"), "--json")
    found = {done["id"]: done["standing"] for done in json.loads(answer.stdout)}

    assert 1 == code(answer)
    assert {first: "refused", second: "new"} == found
    assert [True] == [
        (tmp_path / "out" / name).is_file() for name in os.listdir(tmp_path / "out") if second[7:] in name
    ]


def test_altered_polls_are_refused(result: Path, store: str, tmp_path: Path) -> None:
    """A document whose polls were exchanged in the store is not written."""
    result_id = pushed(result, store)
    (blob,) = Path(store).rglob("*.polls.parquet")
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    answer = call("pull", result_id, "--from", store, "-o", str(tmp_path / "out"))

    assert 1 == code(answer)
    assert "was altered" in answer.stdout
    assert [] == os.listdir(tmp_path / "out")


def test_a_pull_overwrites_nothing(result: Path, store: str, tmp_path: Path) -> None:
    """A file that is there with the same content is left; one of another content stops the pull."""
    result_id = pushed(result, store)
    out = tmp_path / "out"
    path = out / f"{result_id.removeprefix('sha256:')}.json"
    assert 0 == code(call("pull", result_id, "--from", store, "-o", str(out)))
    again = call("pull", result_id, "--from", store, "-o", str(out))

    assert 0 == code(again)
    assert again.stdout.startswith("there already")
    path.write_text("mine")
    with pytest.raises(Exception, match="nothing is overwritten"):
        code(call("pull", result_id, "--from", store, "-o", str(out)))
    assert "mine" == path.read_text()


def test_a_withdrawn_result_is_marked_and_kept(result: Path, store: str, tmp_path: Path) -> None:
    """A withdrawal is a note that every reader of the log sees; the document stays and can be pulled."""
    result_id = pushed(result, store)
    answer = call("withdraw", store, result_id, "--reason", "the meter was not calibrated", "--by", "team-a")
    log = call("log", store)

    assert "Nothing was deleted" in answer.stdout
    assert "WITHDRAWN" in log.stdout.splitlines()[0]
    assert "by team-a): the meter was not calibrated" in log.stdout
    assert 0 == code(call("pull", result_id, "--from", store, "-o", str(tmp_path / "out")))
    assert [True] == [entry["withdrawn"] for entry in json.loads(call("log", store, "--json").stdout)]


def test_a_withdrawal_in_another_name_is_a_dispute(result: Path, store: str) -> None:
    """Who is not the uploader is told that his withdrawal is a dispute; the log shows the note and no mark."""
    result_id = pushed(result, store, "--uploader", "ann")
    answer = call("withdraw", store, result_id, "--reason", "a rival's", "--by", "mallory")
    log = call("log", store)

    assert answer.stdout.startswith("Disputed: ")
    assert "uploaded by ann" in answer.stdout
    assert "WITHDRAWN" not in log.stdout
    assert "by mallory): a rival's" in log.stdout


def test_what_was_pushed_without_a_name_is_withdrawn_from_there_alone(
    result: Path, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere, under any name, a withdrawal is a dispute: the key of the machine that pushed is what counts."""
    result_id = pushed(result, store)
    monkeypatch.setenv("WATTBENCH_STATE", str(tmp_path / "elsewhere"))
    answers = [call("withdraw", store, result_id, "--reason", "a rival's", *by) for by in ((), ("--by", "ann"))]
    note = call("note", store, result_id, "--kind", "withdrawn", "--text", "a rival's", "--json")
    row = json.loads(call("query", result_id, "--store", store, "--json").stdout)[0]

    assert ["Disputed: ", "Disputed: "] == [answer.stdout[:10] for answer in answers]
    assert "in nobody's name and not from here" in answers[0].stdout
    assert json.loads(note.stdout)["proof"] is None
    assert not (tmp_path / "elsewhere").exists()
    assert (False, True) == (row["withdrawn"], row["disputed"])
    assert "WITHDRAWN" not in call("log", store).stdout


def test_a_proof_of_another_document_withdraws_nothing(result: Path, store: str, tmp_path: Path) -> None:
    """The proof that a withdrawal shows is good for its own document alone, whoever copies it."""
    first, mine = pushed(result, store), read_result(result)
    write_with_polls(replace(mine, run=replace(mine.run, id="another")), tmp_path / "mine" / "second.json")
    second = pushed(tmp_path / "mine" / "second.json", store)
    opened = open_store(store)
    call("withdraw", store, first, "--reason", "wrong")
    shown = notes(opened, first)[0].proof
    annotate(opened, second, "withdrawn", "a copied proof", proof=shown)
    withdrawn = {each["id"]: each["withdrawn"] for each in json.loads(call("log", store, "--json").stdout)}

    assert shown is not None
    assert {first: True, second: False} == withdrawn


def test_an_unnamed_upload_is_withdrawn_for_every_reader(result: Path, store: str, tmp_path: Path) -> None:
    """Log, index and verification agree on a withdrawal from where a result was pushed, in a copy of the store too."""
    origin, result_id = store, pushed(result, store)
    call("withdraw", origin, result_id, "--reason", "wrong")
    store = init_store(str(tmp_path / "copy"))[0].uri
    assert 0 == code(call("sync", origin, store))
    row = json.loads(call("query", result_id, "--store", store, "--json").stdout)[0]
    found = json.loads(call("verify", result_id, "--store", store, "--json").stdout)[0]

    assert "WITHDRAWN" in call("log", store).stdout
    assert (True, False) == (row["withdrawn"], row["disputed"])
    assert "withdrawn" in row["reasons"].split(",")
    assert "withdrawn" in [barrier["code"] for barrier in found["verification"]["barriers"]]


def test_notes_are_added_never_changed(result: Path, store: str) -> None:
    """Two notes of the same words are two notes, the oldest first; a reproduction names the other result."""
    result_id = pushed(result, store)
    other = pushed(result, store, "--keep-identifiers")
    for _ in range(2):
        call("note", store, result_id, "--kind", "disputed", "--text", "looks too good")
    call("note", store, result_id, "--kind", "reproduced-by", "--other", other, "--text", "same here")
    found = notes(open_store(store), result_id)

    assert ["disputed", "disputed", "reproduced-by"] == [note.kind for note in found]
    assert [None, None, other] == [note.other for note in found]


def test_the_log_shows_the_newest_first_and_few(result: Path, store: str, factories: ModuleType) -> None:
    """--limit counts from the newest; --since takes whole days, and an empty log says so."""
    assert "The log is empty." in call("log", store).stdout
    first, second = pushed(result, store), pushed(result, store, "--keep-identifiers")

    lines = call("log", store).stdout.splitlines()
    assert [second, first] == [next(word for word in line.split() if word.startswith("sha256:")) for line in lines]
    assert [second] == [entry["id"] for entry in json.loads(call("log", store, "--limit", "1", "--json").stdout)]
    assert "Nothing came since 2999-01-01." in call("log", store, "--since", "2999-01-01").stdout


def test_hostile_words_of_a_store_are_shown_as_escapes(result: Path, store: str) -> None:
    """Uploaders, notes and ids of strangers cannot move the cursor, hide, or fake another line of the log."""
    opened = open_store(store)
    package = package_of(result)
    publish(opened, package, uploader=HOSTILE, wattbench=HOSTILE)
    note = Note(about=package.id, kind="comment", text=HOSTILE, other=None, at=HOSTILE, by=HOSTILE)
    opened.create(f"v1/notes/{package.id.removeprefix('sha256:')}/x.json", to_bytes(note))
    shown = call("log", store).stdout

    assert all(line.isprintable() for line in shown.splitlines())
    assert 2 == len(shown.splitlines())
    assert "\\x1b[2J" in shown


def test_a_record_that_cannot_be_read_is_named(result: Path, store: str) -> None:
    """An entry or note that is damaged does not hide the others."""
    result_id = pushed(result, store)
    folder = Path(store, "v1", "notes", result_id.removeprefix("sha256:"))
    folder.mkdir(parents=True)
    (folder / "x.json").write_text("{}")
    (entry,) = Path(store, "v1", "log").rglob("*.json")
    entry.write_text("no JSON")
    answer = call("log", store)

    assert 0 == code(answer)
    assert result_id in answer.stdout.splitlines()[0]
    assert "cannot be read" in answer.stdout
    assert "its notes cannot be read" in answer.stdout


def test_a_pulled_result_is_pushed_on_as_it_is(result: Path, store: str, tmp_path: Path) -> None:
    """What is public already keeps its id in another store, though another machine with another key pushes it."""
    result_id = pushed(result, store)
    assert 0 == code(call("pull", result_id, "--from", store, "-o", str(tmp_path / "out")))
    (tmp_path / "state" / "privacy.key").unlink()
    other = init_store(str(tmp_path / "other"))[0].uri

    assert result_id == pushed(tmp_path / "out" / f"{result_id.removeprefix('sha256:')}.json", other)
    assert read_document(tmp_path / "out" / f"{result_id.removeprefix('sha256:')}.json").privacy is not None


@pytest.mark.parametrize(
    ("measured", "uploaded", "together"),
    [(0, 0, 0), (3, 0, 3), (0, 4, 4), (3, 4, 4), (1, 4, 1), (2, 4, 2), (1, 0, 1)],
)
def test_an_upload_that_is_left_goes_before_the_verdict(measured: int, uploaded: int, together: int) -> None:
    """A failed run's code stands; that something is not uploaded tells more than that it is invalid."""
    assert together == combined_code(measured, uploaded)


def test_incomplete_results_need_a_word(factories: ModuleType, store: str, tmp_path: Path) -> None:
    """A partial result is refused with exit code 1, and uploaded with --allow-incomplete."""
    made = factories.make_result()
    path = tmp_path / "partial.json"
    write_result(replace(made, status="partial", verdict=factories.judge(made.doubts, finished=False)), path)

    assert 1 == code(call("push", str(path), "--to", store))
    assert 0 == code(call("push", str(path), "--to", store, "--allow-incomplete"))
    with pytest.raises(DocumentError):
        code(call("push", str(path), "--dry-run"))


def test_a_sync_copies_what_another_store_lacks(result: Path, store: str, tmp_path: Path) -> None:
    """Documents and notes come over once; what was altered in the source is named, left out, and the exit code is 1."""
    first = pushed(result, store)
    second = pushed(result, store, "--keep-identifiers")
    call("withdraw", store, second, "--reason", "a test")
    other = init_store(str(tmp_path / "other"))[0].uri
    spoil_object(open_store(store), first, lambda data: data[:-9])
    answer = call("sync", store, other)
    again = json.loads(call("sync", store, other, "--json", "--quiet").stdout)

    assert 1 == code(answer)
    assert "documents       1 copied, 0 there already; left out of everything: 1" == answer.stdout.splitlines()[0]
    assert [second] == [entry.id for entry in entries(open_store(other))]
    assert "WITHDRAWN" in call("log", other).stdout
    assert (0, 1, 0) == (again["copied"], again["present"], again["notes"])
