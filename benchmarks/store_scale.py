"""Time the questions that people ask of a store of a million results, by columns, in SQLite, and by reading JSON.

Run: python benchmarks/store_scale.py [--full] [--times N] [--folder FOLDER] [--sides SIDE ...] [--documents 300]
A hundred thousand rows are drawn from a seed, say so, and go the way of every result; each then stands there ten times
(--full: a hundred times) with other ids, times and figures. What is going on is told on standard error.
With --folder rows and times are kept and found again: `--sides` alone builds, `--sides json` times one side, and the
table shows all that were timed, so that ten million rows can be gone through in parts of some minutes; a part that was
killed goes on where it was. Without it everything is built and timed at once, and removed.
Goals: leaderboard < 200 ms at 1 million rows and < 500 ms at 10 million (--full), point lookup < 50 ms, and an index
that was killed while it was built is the same in the end.
"""

import argparse
import hashlib
import json
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import _synthetic_rows as synthetic

from wattbench.results.codec import to_builtins
from wattbench.results.document import Result
from wattbench.results.files import canonical_bytes, read_document
from wattbench.results.index import lake
from wattbench.results.index.board import Board, leaderboard
from wattbench.results.index.columns import ColumnEngine
from wattbench.results.index.database import IndexDatabase
from wattbench.results.index.filters import Filters
from wattbench.results.index.history import histories
from wattbench.results.index.lake import lake_files, mirror
from wattbench.results.index.place import OpenIndex, open_index
from wattbench.results.index.row import BINARY, COLUMNS
from wattbench.results.store.open import init_store, open_store
from wattbench.results.store.publish import package_of_bytes, publish

SEED = 20_261_128
BASE, ROUNDS, LOOKUPS = 100_000, 12, 200
EXAMPLE = Path(__file__).parents[1] / "examples/results/bert-base-classify-128_cpu_bfloat16.json"
CHANGED = ("id", "time_us", "tokens_per_s", "tokens_per_j")
STEP = 0.0078125
"""By which share of a figure the copies of a row differ: 1/128, so that every engine computes the same."""

TURNS_S = 20.0
"""No further turn of a question is begun after this: SQLite takes a minute for one of ten million rows."""

ROW_BYTES = 1500
"""More than a row takes on disk, in SQLite with its write-ahead log and in the Delta table together."""


def main() -> None:
    """Build, time each side in a process of its own, and try the restart."""
    arguments = parsed()
    if arguments.side is not None:
        print(json.dumps(SIDES[arguments.side](arguments.folder, arguments.times)))
        return
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="wattbench-scale-"))
    try:
        build(folder)
        multiply(folder, arguments.times)
        for side in arguments.sides:
            keep(folder, arguments.times, side)
        report(folder, arguments.times)
        if arguments.documents:
            restart(folder, arguments.documents)
    finally:
        if arguments.folder is None:
            shutil.rmtree(folder)


def parsed() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=10, help="how many times each of the rows stands there, to 256")
    parser.add_argument("--full", action="store_true", help="--times 100")
    parser.add_argument("--folder", type=Path, help="keep what was built and timed here, and find it again")
    parser.add_argument("--sides", nargs="*", choices=tuple(SIDES), help="which to time now; unless said, all")
    parser.add_argument("--documents", type=int, default=300, help="whole documents for the restart; 0: no restart")
    parser.add_argument("--side", choices=tuple(SIDES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.times = 100 if arguments.full else arguments.times
    if not 1 <= arguments.times <= 256:
        parser.error("--times goes from 1 to 256")
    if arguments.sides is None:
        arguments.sides = list(SIDES)
    return arguments


def tell(text: str) -> None:
    """Say on standard error what is going on, and when."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def build(folder: Path) -> None:
    """Write the rows as an index, as its Delta table, and as lines of JSON, unless they are there."""
    done = folder / "built"
    if done.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    store, _ = init_store(str(folder / "store"))
    place = open_index(store, folder / "cache")
    start = time.perf_counter()
    with (folder / "rows.jsonl").open("w") as lines:
        for chunk in synthetic.synthetic_rows(BASE, SEED):
            place.index.put([(row.id, [row]) for row in chunk], 0, progress=None)
            lines.writelines(json.dumps(asdict_shallow(row)) + "\n" for row in chunk)
    indexed = time.perf_counter()
    how = mirror(place.lake, place.index)
    print(f"{BASE} rows: drawn, into SQLite and JSON {indexed - start:.0f} s, ", end="")
    print(f"Delta table ({how}) {time.perf_counter() - indexed:.0f} s; memory {peak_mb():.0f} MB at most")
    place.index.close()
    done.touch()


def multiply(folder: Path, times: int) -> None:
    """Write every row so many times into SQLite and the Delta table; the first has the id of the one that was drawn."""
    done = folder / f"times-{times}"
    if done.exists() or times == 1:
        return
    missing = times * BASE * ROW_BYTES - shutil.disk_usage(folder).free
    if missing > 0:
        sys.exit(
            f"{times * BASE} rows do not fit into {folder}: {missing / 1e9:.1f} GB are missing. Name another --folder."
        )
    place = open_index(open_store(str(folder / "store")), folder / "cache")
    files = lake_files(place.lake, place.index)
    assert files is not None, "a folder can be multiplied once"
    start = time.perf_counter()
    kept = [name for name in COLUMNS if name not in CHANGED]
    # by `||` SQLite joins text, which ends at a zero byte
    place.index._connection.create_function("copy_id", 2, copy_id, deterministic=True)
    for k in range(1, times):
        if place.index.select("SELECT 1 FROM rows WHERE seq = ?", (k * BASE + 1,)):
            continue  # a statement is done or not: this one was, when a build was killed
        tell(f"SQLite: rows {k * BASE} to {(k + 1) * BASE}")
        place.index.select(
            f"INSERT INTO rows ({', '.join((*kept, *CHANGED))}, log_key, generation, seq, first_seq)"
            f" SELECT {', '.join(kept)}, copy_id(id, {k}), {', '.join(changed(str(k)))},"
            f" log_key, generation, seq + {k * BASE}, seq + {k * BASE} FROM rows WHERE seq <= {BASE}"
        )
    place.index.set_meta("seq", times * BASE)
    inserted = time.perf_counter()
    for n in range(synthetic.LOADS):
        tell(f"Delta table: load {n + 1} of {synthetic.LOADS}")
        write_load(place, files, synthetic.load_name(n), times, first=n == 0)
    print(f"{times * BASE} rows: SQLite {inserted - start:.0f} s, ", end="")
    print(f"Delta table {time.perf_counter() - inserted:.0f} s; memory {peak_mb():.0f} MB at most")
    place.index.close()
    done.touch()


def changed(k: str) -> list[str]:
    """Return in SQL what the k-th copy of a row has instead of its time and figures."""
    return [f"time_us + {k}", *(f"{name} * (1 + {STEP} * {k})" for name in CHANGED[2:])]


def write_load(place: OpenIndex, files: Sequence[str], load: str, times: int, *, first: bool) -> None:
    """Append the rows of one load, so many times each and in order, to the Delta table; the first one empties it."""
    import duckdb
    from deltalake import CommitProperties, Transaction, WriterProperties, write_deltalake

    head = "CASE k " + " ".join(f"WHEN {k} THEN unhex('{k:02x}')" for k in range(1, times)) + " END"
    own = f"CASE WHEN k = 0 THEN id ELSE {head} || id[1:31] END"
    fresh = dict(zip(CHANGED, [own, *changed("k")], strict=True))
    chosen = ", ".join(f"{fresh.get(name, name)} AS {name}" for name in COLUMNS)
    sources = f"read_parquet({list(files)}), range({times}) AS t(k)"
    query = f"SELECT {chosen} FROM {sources} WHERE load = ? ORDER BY {lake.ORDER}"
    rows = duckdb.connect().sql(query, params=[load])
    layout = WriterProperties(compression="ZSTD", max_row_group_size=lake.ROW_GROUP)
    commit = CommitProperties(app_transactions=[Transaction(lake._app(place.index), times * BASE)])
    mode = "overwrite" if first else "append"
    write_deltalake(place.lake, rows.to_arrow_reader(), mode=mode, commit_properties=commit, writer_properties=layout)


def asdict_shallow(row: object) -> dict[str, object]:
    """Return a flat record as a dict."""
    return {name: getattr(row, name) for name in COLUMNS}


def keep(folder: Path, times: int, side: str) -> None:
    """Time a side in a process of its own, unless that was done before, and keep what it says."""
    path = kept(folder, times, side)
    if path.exists():
        tell(f"{side}: timed before, {path} tells")
        return
    command = [sys.executable, __file__, "--side", side, "--folder", str(folder), "--times", str(times)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    path.parent.mkdir(exist_ok=True)
    path.write_text(said)


def kept(folder: Path, times: int, side: str) -> Path:
    """Return the file of what a side said."""
    return folder / f"timed-{times}" / f"{side.replace(' ', '-')}.json"


def report(folder: Path, times: int) -> None:
    """Print a table of the sides that were timed; all must give the same board."""
    found = {side: json.loads(path.read_text()) for side in SIDES if (path := kept(folder, times, side)).exists()}
    if not found:
        return
    sizes = {
        "lake": sum(Path(f).stat().st_size for f in open_files(folder)),
        "sqlite": (folder / "store/v1/index/index.sqlite").stat().st_size,
        "json": times * (folder / "rows.jsonl").stat().st_size,
    }
    boards = {json.dumps(each.pop("board")) for each in found.values()}
    assert len(boards) == 1, "the sides disagree"
    print(f"{times * BASE} rows, {synthetic.LOADS} loads; milliseconds, median (greatest) of the turns")
    questions = ("opening", "board of a load", "board of all", "history of a machine", "lookup")
    print(f"{'':22}" + "".join(f"{side:>26}" for side in found))
    for question in questions:
        print(f"{question:22}" + "".join(f"{cell(each['times'].get(question)):>26}" for each in found.values()))
    print(f"{'on disk, MB':22}" + "".join(f"{sizes[side] / 1e6:>26.0f}" for side in found))
    print(f"{'memory of boards, MB':22}" + "".join(f"{each['of_load_mb']:>26.0f}" for each in found.values()))
    print(f"{'memory at most, MB':22}" + "".join(f"{each['peak_mb']:>26.0f}" for each in found.values()))


def cell(times_s: list[float] | None) -> str:
    """Return times as a cell: median, greatest, how many."""
    if times_s is None:
        return "-"
    return f"{1e3 * statistics.median(times_s):.1f} ({1e3 * max(times_s):.1f}), {len(times_s)}"


def open_files(folder: Path) -> tuple[str, ...]:
    """Return the files of the Delta table as it is."""
    place = open_index(open_store(str(folder / "store")), folder / "cache")
    files = lake_files(place.lake, place.index)
    place.index.close()
    assert files is not None
    return files


def lake_side(folder: Path, times: int) -> dict:
    """Time the Delta table by DuckDB."""
    place = open_index(open_store(str(folder / "store")), folder / "cache")

    def opened() -> ColumnEngine:
        files = lake_files(place.lake, place.index)
        assert files is not None
        return ColumnEngine(files)

    opening = turns("opening", lambda _: opened().close(), 3)
    engine = opened()
    ids = some_ids(times)
    columns = ", ".join(COLUMNS)
    lookup = turns("lookup", lambda n: engine.select(f"SELECT {columns} FROM rows WHERE id = ?", (ids[n],)), 3)
    return answers(engine, opening, lookup)


def sqlite_side(folder: Path, times: int) -> dict:
    """Time the same questions in SQLite."""
    path = folder / "store/v1/index/index.sqlite"
    opening = turns("opening", lambda _: IndexDatabase(path).close(), 3)
    index = IndexDatabase(path)
    ids = some_ids(times)
    lookup = turns("lookup", lambda n: index.rows("sha256:" + ids[n].hex()), LOOKUPS)
    return answers(index, opening, lookup)


def answers(engine: object, opening: list[float], lookup: list[float]) -> dict:
    """Time what both engines are asked."""
    boards: list[Board] = []

    def board(n: int) -> None:
        boards.append(leaderboard(engine, Filters(load=synthetic.load_name(n % synthetic.LOADS))))

    of_load = turns("board of a load", board, ROUNDS)
    of_load_mb = peak_mb()
    of_all = turns("board of all", lambda _: leaderboard(engine, Filters()), 3)
    machines = [synthetic._digest(f"machine {n * 1000}")[7:] for n in range(ROUNDS)]
    history = turns("history", lambda n: histories(engine, Filters(machine=machines[n])), ROUNDS)
    times = {"opening": opening, "board of a load": of_load, "board of all": of_all}
    times |= {"history of a machine": history, "lookup": lookup}
    board_ids = [line.id.hex() for line in boards[0].lines]
    return {"times": times, "board": board_ids, "of_load_mb": of_load_mb, "peak_mb": peak_mb()}


def json_side(folder: Path, times: int) -> dict:
    """Time a leaderboard, and on the way how soon a row comes, by reading every line: less than files would cost."""
    wanted, groups, lookup = f"sha256:{some_ids(times)[0].hex()}", {}, []
    start = time.perf_counter()
    for row in json_rows(folder, times):
        if row["id"] == wanted:
            lookup.append(time.perf_counter() - start)
        if row["load"] == synthetic.load_name(0) and row["rankable"] and row["tokens_per_j"] is not None:
            key = row["comparability_key"]
            group = (key, row["backend"], row["engine"], row["batch"], -1 if row["slots"] is None else row["slots"])
            groups.setdefault(group, []).append((row["tokens_per_j"], row["id"]))
    middles: dict[str, tuple] = {}
    for group, values in groups.items():
        values.sort()
        middle = values[(len(values) - 1) // 2][0]
        shown = next(result_id for figure, result_id in values if figure == middle)
        middles[group[0]] = min(middles.get(group[0], (0, group, "")), (-middle, group, shown))
    board = [result_id[7:] for _, _, result_id in sorted(middles.values())[:20]]
    times_s = {"board of a load": [time.perf_counter() - start], "lookup": lookup}
    return {"times": times_s, "board": board, "of_load_mb": peak_mb(), "peak_mb": peak_mb()}


def json_rows(folder: Path, times: int) -> Iterator[dict]:
    """Yield the rows of the file of lines, which is read so many times."""
    for k in range(times):
        tell(f"JSON: rows {k * BASE} to {(k + 1) * BASE}")
        with (folder / "rows.jsonl").open() as lines:
            for row in map(json.loads, lines):
                if k:
                    row["id"] = f"sha256:{k:02x}{row['id'][7:69]}"
                    row["tokens_per_j"] *= 1 + STEP * k
                yield row


def some_ids(times: int) -> list[bytes]:
    """Return the digests of some rows."""
    draw = random.Random(SEED)
    drawn = [(draw.randrange(BASE), draw.randrange(times)) for _ in range(LOOKUPS)]
    digests = [(hashlib.sha256(f"synthetic {SEED} {n}".encode()).digest(), k) for n, k in drawn]
    return [copy_id(digest, k) if k else digest for digest, k in digests]


def copy_id(digest: bytes, k: int) -> bytes:
    """Return the id of the k-th copy of a row."""
    return bytes([k]) + digest[:31]


def turns(question: str, ask: Callable[[int], object], count: int) -> list[float]:
    """Return how long each turn of a question takes, in seconds: so many, or fewer where they take long."""
    tell(f"{question}: {count} turns, none begun after {TURNS_S:.0f} s")
    times_s: list[float] = []
    while len(times_s) < count and sum(times_s) < TURNS_S:
        start = time.perf_counter()
        ask(len(times_s))
        times_s.append(time.perf_counter() - start)
    return times_s


def peak_mb() -> float:
    """Return the most memory that this program had, in megabytes (VmHWM: what was before its exec does not count)."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1e3


def restart(folder: Path, documents: int) -> None:
    """Index whole documents, kill it with SIGKILL on the way several times, and compare with an unbroken build."""
    shutil.rmtree(folder / "documents", ignore_errors=True)
    store, _ = init_store(str(folder / "documents"))
    example = read_document(EXAMPLE)
    assert isinstance(example, Result)
    for n in range(documents):
        document = replace(example, run=replace(example.run, id=f"synthetic-{n}"))
        publish(
            store,
            package_of_bytes(canonical_bytes(to_builtins(document)), document, ()),
            uploader="synthetic",
            wattbench="0",
        )
    command = [sys.executable, "-m", "wattbench.harness.cli.main", "store", "reindex", store.uri, "--full", "--quiet"]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    whole_s = time.perf_counter() - start
    place = open_index(store, folder / "cache")
    whole = content(place.index)
    kills = 0
    for share in (0.3, 0.5, 0.4, 0.6):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        time.sleep(share * whole_s)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    subprocess.run(command, check=True, capture_output=True)
    same = whole == content(place.index)
    place.index.close()
    size_mb = EXAMPLE.stat().st_size / 1e6
    print(f"{documents} whole documents of {size_mb:.2f} MB: reindex --full {whole_s:.1f} s, ", end="")
    print(f"{documents / whole_s:.0f} a second; after {kills} kills and one more run the index is the same: {same}")
    assert same


def content(index: IndexDatabase) -> set[tuple[object, ...]]:
    """Return every row of an index."""
    names = ", ".join(f"hex({name})" if name in BINARY else name for name in COLUMNS)
    return set(index.select(f"SELECT {names} FROM rows"))


SIDES = {"lake": lake_side, "sqlite": sqlite_side, "json": json_side}

if __name__ == "__main__":
    main()
