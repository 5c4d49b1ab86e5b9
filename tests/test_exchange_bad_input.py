"""Files of other tools that are not what they should be: each gets a clear error, none a made-up figure."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wattbench.harness.exchange.stated_import import TOOLS, import_file
from wattbench.results.errors import DocumentError, TruncatedError, UsageError
from wattbench.results.exchange.foreign import SIZE_MAX_BYTES, Tree, entries
from wattbench.results.files import read_document, write_result

DATA = Path(__file__).parent / "data" / "exchange"
FILES = {
    "aiperf": "aiperf.json",
    "guidellm": "guidellm.json",
    "inferencex": "inferencex.json",
    "llama-bench": "llama_bench.json",
    "vllm": "vllm_bench.json",
}
HOSTILE = '<script>alert(1)</script>\x1b[2J\r\n=cmd|" /C calc"!A0\u202e../../etc/passwd'


@pytest.fixture
def edit(tmp_path: Path) -> Callable[[str, Callable[[Any], object]], Path]:
    """Give a function that edits the tree of a tool's file and returns the path of the copy."""

    def edited(tool: str, change: Callable[[Any], object]) -> Path:
        tree = json.loads((DATA / FILES[tool]).read_text())
        change(tree)
        path = tmp_path / f"{tool}.json"
        path.write_text(json.dumps(tree))
        return path

    return edited


def test_every_tool_has_a_file() -> None:
    """Each tool that is imported has a genuine file here, and tests below see them all."""
    assert TOOLS.keys() == FILES.keys()


@pytest.mark.parametrize("tool", sorted(FILES))
@pytest.mark.parametrize("other", sorted(FILES))
def test_the_wrong_tools_file_is_named(tool: str, other: str) -> None:
    """A file of another tool is refused with the command that reads it."""
    if tool == other:
        assert import_file(tool, DATA / FILES[other])
        return
    with pytest.raises(DocumentError) as caught:
        import_file(tool, DATA / FILES[other])

    assert f"it is a file of {TOOLS[other].name}" == caught.value.why
    assert f"Use: bench import {other}" == caught.value.remedy


@pytest.mark.parametrize("tool", sorted(FILES))
def test_a_truncated_file(tool: str, tmp_path: Path) -> None:
    """A file that was cut short is called truncated, by name."""
    data = (DATA / FILES[tool]).read_bytes()
    path = tmp_path / "cut.json"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(TruncatedError, match=r"cut\.json"):
        import_file(tool, path)
    whole = data.rstrip()
    for end in (*range(1, len(whole), 97), *(i + 1 for i in range(len(whole)) if whole[i : i + 1] == b".")):
        with pytest.raises(TruncatedError):
            entries(whole[:end], tool)


def test_a_file_of_100_mb(tmp_path: Path) -> None:
    """A huge file is refused by its size, before it is read."""
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    with pytest.raises(DocumentError, match="too large") as caught:
        import_file("vllm", path)

    assert f"100000000 bytes, more than the {SIZE_MAX_BYTES}" in caught.value.why


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deeply_nested(opening: str, tmp_path: Path) -> None:
    """Nesting without end is refused, and takes no stack."""
    path = tmp_path / "deep.json"
    path.write_text(opening * 200_000)
    with pytest.raises(DocumentError):
        import_file("guidellm", path)
    path.write_text(opening * 100 + "1" + ("]" if opening == "[" else "}") * 100)
    with pytest.raises(DocumentError, match="nested too deeply"):
        import_file("guidellm", path)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_no_number_is_said(word: str, tmp_path: Path) -> None:
    """What Python writes for what it could not compute is named, not taken for a number."""
    path = tmp_path / "nan.json"
    path.write_text((DATA / FILES["vllm"]).read_text().replace('"duration": ', f'"duration": {word}, "x": '))
    with pytest.raises(DocumentError, match="JSON has no NaN and no Infinity"):
        import_file("vllm", path)


@pytest.mark.parametrize("value", [1e999, -1.0, "12", True, [], {}])
def test_values_that_cannot_be(value: object) -> None:
    """A value of another kind, a negative and an infinite one are refused with their path."""
    tree = Tree(tool="vLLM bench", path="$", members={"duration": value})
    with pytest.raises(DocumentError, match=r"\$\.duration"):
        tree.number("duration")


def test_lists_that_cannot_be() -> None:
    """A missing list is empty; what is no list, object, flag or text is refused with its path."""
    tree = Tree(tool="x", path="$", members={"a": 1, "b": [1], "c": "yes", "d": None})

    assert () == tree.trees("d") == tree.trees("e") == tree.numbers("d")
    for read, key in ((tree.trees, "a"), (tree.trees, "b"), (tree.flag, "c"), (tree.tree, "a"), (tree.text, "a")):
        with pytest.raises(DocumentError, match=rf"\$\.{key}"):
            read(key)


@pytest.mark.parametrize(
    ("tool", "change", "path"),
    [
        ("vllm", lambda t: t.update(mean_ttft_ms=-1), r"\$\.mean_ttft_ms"),
        ("vllm", lambda t: t.update(completed=1.5), r"\$\.completed"),
        ("vllm", lambda t: t.update(duration="long"), r"\$\.duration"),
        ("vllm", lambda t: t.update(model_id=7), r"\$\.model_id"),
        ("llama-bench", lambda t: t[0].update(samples_ns=[1, -1]), r"samples_ns\.1"),
        ("llama-bench", lambda t: t[0].update(samples_ns=[0]), "no repetition, or one that took no time"),
        ("llama-bench", lambda t: t[0].update(samples_ns=[]), "no repetition"),
        ("llama-bench", lambda t: t[0].update(samples_ns=[None]), "is null"),
        ("llama-bench", lambda t: t[0].update(samples_ns=3), "not a list"),
        ("llama-bench", lambda t: t[0].update(n_prompt=0, n_gen=0), "without a token"),
        ("guidellm", lambda t: t["benchmarks"][0].update(duration=-1), r"benchmarks\[0\]\.duration"),
        (
            "guidellm",
            lambda t: t["benchmarks"][0]["metrics"].update(tokens_per_second=[]),
            r"metrics\.tokens_per_second",
        ),
        ("guidellm", lambda t: t.update(benchmarks=7), "has not the fields"),
        ("guidellm", lambda t: t.update(benchmarks=[]), "list of runs is empty"),
        ("aiperf", lambda t: t["effective_latency"].update(avg=-2.5), r"effective_latency\.avg"),
        ("aiperf", lambda t: t["request_count"].update(avg="many"), r"request_count\.avg"),
        ("inferencex", lambda t: t.update(median_tpot=-0.1), r"\$\.median_tpot"),
        ("inferencex", lambda t: t.update(is_multinode="no"), r"\$\.is_multinode"),
        ("inferencex", lambda t: t.update(conc=-4), r"\$\.conc"),
    ],
)
def test_a_wrong_value_is_named(
    edit: Callable[..., Path], tool: str, change: Callable[[Any], object], path: str
) -> None:
    """The error names the file and where in it the value stands."""
    file = edit(tool, change)
    with pytest.raises(DocumentError) as caught:
        import_file(tool, file)

    assert str(file) in caught.value.what
    assert caught.match(path)


@pytest.mark.parametrize(
    "content", ["", "   ", "null", "7", '"text"', "[]", "[1]", "[[]]", "{}", '{"a": 1}\n{"b"', "\xff"]
)
def test_what_is_no_result(content: str, tmp_path: Path) -> None:
    """Anything else is refused, whoever's it is said to be."""
    path = tmp_path / "x.json"
    path.write_bytes(content.encode("latin-1"))
    for tool in TOOLS:
        with pytest.raises(DocumentError):
            import_file(tool, path)


def test_no_file(tmp_path: Path) -> None:
    """A missing file, a folder, and a path that cannot be are named."""
    for path, why in ((tmp_path / "none", "No such file"), (tmp_path, "it is a folder"), (Path("a\0b"), "null")):
        with pytest.raises(DocumentError, match=why):
            import_file("vllm", path)


def test_no_such_entry() -> None:
    """A number that the file does not have is refused with how many it has."""
    with pytest.raises(UsageError, match="the file states 1"):
        import_file("vllm", DATA / FILES["vllm"], entry=2)


def test_too_many_runs(tmp_path: Path) -> None:
    """A list of more runs than anybody sweeps is refused."""
    line = json.dumps(json.loads((DATA / FILES["vllm"]).read_text()))
    path = tmp_path / "many.jsonl"
    path.write_text(f"{line}\n" * 1001)
    with pytest.raises(DocumentError, match="1001 runs"):
        import_file("vllm", path)


def test_lines_of_json() -> None:
    """Runs that were appended one a line are as many entries; a broken line is no entry."""
    assert 2 == len(entries(b'{"a": 1}\n\n{"b": 2}\n', "vLLM bench"))
    with pytest.raises(DocumentError):
        entries(b'{"a": 1}\n{"b": 2,}\n', "vLLM bench")


@pytest.mark.parametrize(
    ("tool", "change"),
    [
        ("vllm", lambda t: t.update(model_id=HOSTILE, label=HOSTILE, backend=HOSTILE)),
        ("llama-bench", lambda t: [x.update(model_filename=HOSTILE, gpu_info=HOSTILE, test_time=HOSTILE) for x in t]),
        ("inferencex", lambda t: t.update(hw=HOSTILE, model=HOSTILE, image=HOSTILE, precision=HOSTILE)),
    ],
)
def test_hostile_texts(edit: Callable[..., Path], tmp_path: Path, tool: str, change: Callable[[Any], object]) -> None:
    """Hostile names are kept as data: the document is read back, and no terminal sees a control character."""
    path = edit(tool, change)
    done = subprocess.run(
        [sys.executable, "-m", "wattbench.harness.cli.main", "import", tool, str(path), "-o", str(tmp_path / "out")],
        capture_output=True,
        timeout=60,
        check=True,
    )
    found = [read_document(each) for each in (tmp_path / "out").iterdir()]

    assert found
    assert not set(range(32)) & set(done.stdout) - {10}
    assert b"\xe2\x80\xae" not in done.stdout
    assert {"out", path.name} == {each.name for each in tmp_path.iterdir()}


def test_a_long_name_is_cut(edit: Callable[..., Path], tmp_path: Path) -> None:
    """A name of a megabyte does not make a document of one."""
    (found,) = import_file("vllm", edit("vllm", lambda t: t.update(model_id="x" * 1_000_000)))
    write_result(found.result, tmp_path / "a.json")

    assert 20_000 > (tmp_path / "a.json").stat().st_size


def test_half_a_surrogate(tmp_path: Path) -> None:
    """Text that UTF-8 cannot hold is refused where it stands."""
    path = tmp_path / "a.json"
    path.write_text((DATA / FILES["vllm"]).read_text().replace('"model_id": "', '"model_id": "\\ud800'))
    with pytest.raises(DocumentError):
        import_file("vllm", path)


def test_a_key_twice(tmp_path: Path) -> None:
    """One key with two values is refused: nobody knows which is meant."""
    path = tmp_path / "a.json"
    path.write_text((DATA / FILES["vllm"]).read_text().replace('"duration": ', '"duration": 1, "duration": ', 1))
    with pytest.raises(DocumentError, match="two meanings"):
        import_file("vllm", path)
