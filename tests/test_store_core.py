"""A store: what is put in comes out, once, checked, whoever else writes at the same time."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from wattbench.results.errors import MissingKeyError, StoreError, TamperedError
from wattbench.results.files import read_document
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.layout import blob_key, entry_key, id_of_log_key, log_key, object_key
from wattbench.results.store.local import LocalStore
from wattbench.results.store.memory import MemoryStore
from wattbench.results.store.open import init_store, open_store
from wattbench.results.store.publish import LATE_AFTER, Package, Published, package_of, publish
from wattbench.results.store.read import entries, log_keys, read_object, read_stored
from wattbench.testing import check_store

EXAMPLE = Path(__file__).parents[1] / "examples/results/bert-base-classify-128_cpu_bfloat16.json"


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """Return an empty store of each kind that needs no service."""
    return MemoryStore() if request.param == "memory" else init_store(str(tmp_path / "store"))[0]


def push(store: ObjectStore, package: Package) -> Published:
    """Push as anybody would."""
    return publish(store, package, uploader="a", wattbench="0.1.0")


def test_what_is_published_is_read_back(store: ObjectStore) -> None:
    """The document comes out of the store as it is in its file, named by the digest of its bytes."""
    package = package_of(EXAMPLE)
    done = push(store, package)

    assert "new" == done.standing
    assert package.id == done.id == "sha256:" + hashlib.sha256(package.data).hexdigest()
    assert read_document(EXAMPLE) == read_stored(store, done.id)
    assert [package.id] == [entry.id for entry in entries(store)]


def test_a_second_push_changes_nothing(store: ObjectStore) -> None:
    """Pushing again finds everything there, and makes no second log entry."""
    first, second = push(store, package_of(EXAMPLE)), push(store, package_of(EXAMPLE))

    assert "present" == second.standing
    assert [first.log_key] == list(log_keys(store)) == [second.log_key]


def test_twelve_writers_of_one_document_make_one_entry(store: ObjectStore) -> None:
    """Writers that race agree on one log entry, which exactly one of them wrote."""
    package, done = package_of(EXAMPLE), []
    threads = [threading.Thread(target=lambda: done.append(push(store, package))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 12 == len(done)
    assert 1 == len({each.log_key for each in done}) == len(list(log_keys(store)))
    assert 1 == [each.standing for each in done].count("new")


class DyingStore(MemoryStore):
    """A store whose writer dies before its n-th write."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        super().__init__(clock=clock)
        self.left = 10**9

    def create(self, key: str, data: bytes) -> bool:
        """Die instead of writing when the writes are used up."""
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return super().create(key, data)


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_a_push_that_died_is_completed_by_the_next(writes: int) -> None:
    """After a death before any write readers see nothing, and the same push again ends with one entry."""
    store, package = DyingStore(), package_of(EXAMPLE)
    store.left = writes
    with pytest.raises(KeyboardInterrupt):
        push(store, package)
    assert [] == list(entries(store))

    store.left = 10**9
    done = push(store, package)

    assert [done.log_key] == list(log_keys(store))
    assert package.data == read_object(store, package.id)


class Clock:
    """A clock turned by hand."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 28, 22, 15, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the time that it shows."""
        return self.time


def half_pushed(clock: Clock) -> tuple[DyingStore, Package]:
    """Return a store whose writer died with its entry agreed upon and not in the log."""
    store, package = DyingStore(clock), package_of(EXAMPLE)
    store.left = 2
    with pytest.raises(KeyboardInterrupt):
        publish(store, package, uploader="a", wattbench="0.1.0", now=clock)
    store.left = 10**9
    return store, package


def test_an_entry_agreed_long_ago_is_agreed_anew() -> None:
    """When the log may have been read past the agreed time, a new attempt is logged at the present time."""
    clock = Clock()
    store, package = half_pushed(clock)
    clock.time += LATE_AFTER + timedelta(minutes=1)

    done = publish(store, package, uploader="a", wattbench="0.1.0", now=clock)

    assert [done.log_key] == list(log_keys(store)) == [log_key(package.id, clock.time)]
    assert b"" != store.get(entry_key(package.id, 1))


def test_a_writer_whose_clock_is_wrong_agrees_with_the_others() -> None:
    """Whether an attempt is old is the store's clock to say: writers that are days ahead make no second entry."""
    clock = Clock()
    store, package = half_pushed(clock)

    def ahead() -> datetime:
        return clock.time + timedelta(days=3)

    times = [ahead, clock, ahead]
    done = {publish(store, package, uploader="a", wattbench="0.1.0", now=now).log_key for now in times}

    assert list(done) == list(log_keys(store)) == [log_key(package.id, clock.time)]


def test_an_agreed_entry_that_is_none_is_passed_over(store: ObjectStore) -> None:
    """Whoever takes the place of a document's entry with something else does not keep the document out of the log."""
    package = package_of(EXAMPLE)
    store.create(entry_key(package.id, 0), b"{}")

    first, second = push(store, package), push(store, package)

    assert [first.log_key] == list(log_keys(store)) == [second.log_key]
    assert ["new", "present"] == [first.standing, second.standing]


def test_the_log_is_read_by_days() -> None:
    """Readers that follow the log list the days since they looked, and miss nothing of the present day."""
    store = MemoryStore()
    push(store, package_of(EXAMPLE))
    old = log_key("sha256:" + "ab" * 32, datetime.now(UTC) - timedelta(days=9))
    store.create(old, b"")

    assert [old] == list(log_keys(store))[:1]
    assert list(log_keys(store))[1:] == list(log_keys(store, datetime.now(UTC) - timedelta(days=2)))
    assert list(log_keys(store)) == list(log_keys(store, datetime.now(UTC) - timedelta(days=900)))
    assert [] == list(log_keys(store, datetime.now(UTC) + timedelta(days=9)))


def test_altered_bytes_are_named(store: ObjectStore) -> None:
    """An object whose bytes are not those of its name is never returned, and never overwritten."""
    package = package_of(EXAMPLE)
    store.create(object_key(package.id), package.data[:-1])

    with pytest.raises(TamperedError, match="was altered"):
        read_object(store, package.id)
    with pytest.raises(TamperedError, match="holds something else"):
        push(store, package)


def test_what_is_not_there_is_missing(store: ObjectStore) -> None:
    """An unknown id is an error of its own."""
    with pytest.raises(MissingKeyError):
        read_object(store, "sha256:" + "0" * 64)


@pytest.mark.parametrize("name", ["sha256:..", "../x", "sha256:" + "G" * 64])
def test_foreign_ids_are_no_keys(name: str) -> None:
    """Nothing but a digest becomes the key of a document."""
    with pytest.raises(StoreError):
        object_key(name)
    with pytest.raises(StoreError):
        blob_key(name)


def test_no_key_leads_out_of_the_folder(tmp_path: Path) -> None:
    """A store in a folder writes and reads below it alone."""
    with pytest.raises(StoreError, match="leads out"):
        LocalStore(tmp_path).create("v1/../../x", b"")


def test_a_log_key_tells_its_document() -> None:
    """The key of a log entry says when and about what."""
    digits = "ab" * 32
    key = log_key(f"sha256:{digits}", datetime(2026, 11, 28, 22, 15, 1, 7000, UTC))

    assert f"v1/log/2026-11-28/20261128T221501.007Z-{digits}.json" == key
    assert f"sha256:{digits}" == id_of_log_key(key)


def test_a_folder_that_is_no_store_is_refused(tmp_path: Path) -> None:
    """A wrong folder is named with what to do, and stays empty."""
    with pytest.raises(StoreError, match="is no store of results"):
        open_store(str(tmp_path))

    assert [] == list(tmp_path.iterdir())


class Overwriting(MemoryStore):
    """Lets the last writer win."""

    def create(self, key: str, data: bytes) -> bool:
        new = super().create(key, data)
        self._data[key] = (data, self._data[key][1])
        return new


class TellingEverybody(MemoryStore):
    """Tells every writer that he was the first."""

    def create(self, key: str, data: bytes) -> bool:
        super().create(key, data)
        return True


class LocalTime(MemoryStore):
    """Gives times without their zone."""

    def stamp(self, key: str) -> datetime:
        return super().stamp(key).replace(tzinfo=None)


class Touching(MemoryStore):
    """Gives the present as the time of everything."""

    def stamp(self, key: str) -> datetime:
        super().stamp(key)
        return datetime.now(UTC)


class EmptyForMissing(MemoryStore):
    """Gives nothing where nothing is."""

    def get(self, key: str) -> bytes:
        return super().get(key) if key in self._data else b""


class PrefixByText(MemoryStore):
    """Takes a prefix for the beginning of a text, not of a path."""

    def keys(self, prefix: str) -> Iterator[str]:
        yield from super().keys(prefix.removesuffix("/"))


class Reversed(MemoryStore):
    """Lists backwards."""

    def keys(self, prefix: str) -> Iterator[str]:
        yield from sorted(super().keys(prefix), reverse=True)


class Truncating(MemoryStore):
    """Keeps the first megabyte."""

    def create(self, key: str, data: bytes) -> bool:
        return super().create(key, data[:1_000_000])


@pytest.mark.parametrize(
    ("kind", "broken"),
    [
        (Overwriting, "must not change what is there"),
        (TellingEverybody, "must return False"),
        (LocalTime, "UTC"),
        (Touching, "must not change the time"),
        (EmptyForMissing, "must raise MissingKeyError"),
        (PrefixByText, "lists what is below"),
        (Reversed, "sorted"),
        (Truncating, "was written with"),
    ],
)
def test_the_contract_finds_what_is_wrong_with_a_store(kind: type[MemoryStore], broken: str) -> None:
    """Each promise of a kind of store is checked: a store that breaks it is named."""
    store = kind()

    with pytest.raises(AssertionError, match=broken):
        check_store(lambda: store)
