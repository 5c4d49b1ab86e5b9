"""The contract of a kind of store as checks: each raises AssertionError with what is wrong."""

import threading
from collections.abc import Callable
from datetime import timedelta

from wattbench.results.errors import MissingKeyError
from wattbench.results.store.contract import ObjectStore

__all__ = ["CHECKS", "StoreContract", "check_store"]

MakeStore = Callable[[], ObjectStore]

WRITERS = 12


def check_store(make_store: MakeStore) -> tuple[str, ...]:
    """Run every check of the contract and return their names. Raises AssertionError for the first broken promise.

    `make_store` opens the same store anew each time, or a fresh one; the checks write below `v1/contract/`, which must
    be empty.
    """
    for check in CHECKS:
        check(make_store)
    return tuple(check.__name__ for check in CHECKS)


class StoreContract:
    """Every check as a pytest test: inherit it in a class `Test...` and define `make_store`."""

    def make_store(self) -> ObjectStore:
        """Return a store that can be written to, with nothing below `v1/contract/` but what the checks wrote."""
        raise NotImplementedError

    def test_bytes_come_back(self) -> None:
        """What is created is read back, empty, binary or large."""
        bytes_come_back(self.make_store)

    def test_nothing_is_overwritten(self) -> None:
        """A key that is there keeps its bytes and its time, and the writer is told."""
        nothing_is_overwritten(self.make_store)

    def test_missing_is_said(self) -> None:
        """A key that is not there is an error of its own."""
        missing_is_said(self.make_store)

    def test_keys_are_sorted(self) -> None:
        """The keys below a prefix are listed, sorted, and no others."""
        keys_are_sorted(self.make_store)

    def test_times_are_the_stores(self) -> None:
        """A key's time is in UTC, the same for everybody, and not before that of a key written earlier."""
        times_are_the_stores(self.make_store)

    def test_one_writer_wins(self) -> None:
        """Of many writers of one key at most one is told that it was new, and its bytes are there."""
        one_writer_wins(self.make_store)

    def test_close_is_safe(self) -> None:
        """Closing twice is allowed."""
        close_is_safe(self.make_store)


def bytes_come_back(make_store: MakeStore) -> None:
    """Check that what is created is read back, empty, binary or large, by another opening too."""
    store = make_store()
    assert store.uri, "a store has a name for people"
    samples = {"empty": b"", "binary": bytes(range(256)), "large": bytes(range(251)) * 8000}
    for name, data in samples.items():
        key = f"v1/contract/bytes/{name}.json"
        assert store.create(key, data) is True, f"create() of the new key {key} must return True"
        found = store.get(key)
        assert isinstance(found, bytes), f"get() must return bytes, not {type(found).__name__}"
        assert found == data, f"{key} was written with {len(data)} bytes and read with {len(found)} other ones"


def nothing_is_overwritten(make_store: MakeStore) -> None:
    """Check that a key that is there keeps its bytes and its time."""
    store, key = make_store(), "v1/contract/once/a.json"
    store.create(key, b"first")
    at = store.stamp(key)
    assert store.create(key, b"second") is False, "create() of a key that is there must return False"
    assert store.get(key) == b"first", "create() must not change what is there"
    assert store.create(key, b"first") is False, "create() looks at the key, not at the bytes"
    assert store.stamp(key) == at, "create() must not change the time of what is there"


def missing_is_said(make_store: MakeStore) -> None:
    """Check that a key that is not there is a MissingKeyError, a prefix with nothing below it an empty list."""
    store = make_store()
    for ask in (store.get, store.stamp):
        try:
            ask("v1/contract/nothing/here.json")
        except MissingKeyError:
            continue
        raise AssertionError(f"{ask.__name__}() of a missing key must raise MissingKeyError")
    assert list(store.keys("v1/contract/nothing/")) == [], "nothing lies below a prefix that nobody wrote to"


def keys_are_sorted(make_store: MakeStore) -> None:
    """Check that the keys below a prefix are listed, sorted, and no others."""
    store, base = make_store(), "v1/contract/keys/"
    names = [f"{n % 7:02d}/{n:03d}.json" for n in range(40)]
    for name in names:
        store.create(base + name, b"x")
    store.create("v1/contract/keys.json", b"x")
    assert list(store.keys(base)) == sorted(base + name for name in names), "keys() lists what is below, sorted"
    below = sorted(base + name for name in names if name.startswith("03/"))
    assert list(store.keys(f"{base}03/")) == below, "keys() lists what is below a deeper prefix alone"
    assert set(below) < set(store.keys("")), "the empty prefix lists everything"


def times_are_the_stores(make_store: MakeStore) -> None:
    """Check that a key's time is in UTC, the same for everybody, and not before that of a key written earlier."""
    store = make_store()
    store.create("v1/contract/times/a.json", b"")
    store.create("v1/contract/times/b.json", b"")
    first, second = store.stamp("v1/contract/times/a.json"), store.stamp("v1/contract/times/b.json")
    assert first.utcoffset() == timedelta(0), "stamp() is in UTC and says so"
    assert first <= second, "the store's clock does not go back from one write to the next"
    assert store.stamp("v1/contract/times/a.json") == first, "stamp() says the same each time"


def one_writer_wins(make_store: MakeStore) -> None:
    """Check that of many writers of one key at most one is told that it was new, and its bytes are there."""
    store, key = make_store(), "v1/contract/race/a.json"
    told: dict[int, bool] = {}
    start = threading.Barrier(WRITERS)

    def write(number: int) -> None:
        start.wait()
        told[number] = store.create(key, str(number).encode())

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [number for number, new in told.items() if new]
    assert len(told) == WRITERS, "create() failed where several write at once"
    assert len(winners) == 1, f"{len(winners)} of {WRITERS} writers were told that the key was new"
    assert store.get(key) == str(winners[0]).encode(), "the bytes are those of the writer who was told so"


def close_is_safe(make_store: MakeStore) -> None:
    """Check that closing twice is allowed."""
    store = make_store()
    store.close()
    store.close()


CHECKS: tuple[Callable[[MakeStore], None], ...] = (
    bytes_come_back,
    nothing_is_overwritten,
    missing_is_said,
    keys_are_sorted,
    times_are_the_stores,
    one_writer_wins,
    close_is_safe,
)
"""Every check, in the order of `check_store`."""
