"""Traces are read line by line in four formats, refused in words where they cannot be, and replayed."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from traffic_case import drawn

from wattbench.backends.traffic import NONE
from wattbench.harness.traffic import trace_file
from wattbench.harness.traffic.trace_file import Trace, read_trace
from wattbench.harness.traffic.trace_formats import Row
from wattbench.results.errors import UsageError

OWN = """{"at_s": 0.5, "input_tokens": 20, "output_tokens": 4, "prefix_group": "tools", "prefix_tokens": 8}

{"at_s": 2.0, "input_tokens": 30, "output_tokens": 5, "session": "a", "prefix_group": "tools", "prefix_tokens": 8}
{"at_s": 2.5, "input_tokens": 40, "output_tokens": 6, "session": "a", "pause_s": 1.5, "prefix_tokens": 35}
"""
MOONCAKE = """{"timestamp": 0, "input_length": 1500, "output_length": 50, "hash_ids": [3, 4, 5]}
{"timestamp": 250, "input_length": 1100, "output_length": 49, "hash_ids": [3, 4, 9]}
{"timestamp": 3000, "input_length": 400, "output_length": 7, "hash_ids": [11]}
"""
BURSTGPT = """Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
7,ChatGPT,410,19,429,Conversation log
9.5,GPT-4,88,0,88,Conversation log
41,ChatGPT,1100,220,1320,API log
"""
BURSTGPT_SESSIONS = """Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type
7,4e1,3.25,ChatGPT,410,19,429,Conversation log
8,,1.0,GPT-4,88,3,91,API log
"""
AZURE_2023 = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
"""
AZURE_2024 = """TIMESTAMP,ContextTokens,GeneratedTokens
2024-05-10 00:00:00.009930+00:00,2162,5
2024-05-10 00:00:01+00:00,2399,6
"""


def written(folder: Path, text: str | bytes) -> Path:
    """Write a trace and return its path."""
    path = folder / "calls.trace"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "name", "times", "tokens"),
    [
        (OWN, "wattbench", [0, 1.5, 2], [(20, 4), (30, 5), (40, 6)]),
        (MOONCAKE, "mooncake", [0, 0.25, 3], [(1500, 50), (1100, 49), (400, 7)]),
        (BURSTGPT, "burstgpt", [0, 34], [(410, 19), (1100, 220)]),
        (BURSTGPT_SESSIONS, "burstgpt", [0, 1], [(410, 19), (88, 3)]),
        (AZURE_2023, "azure", [0, 4.314579], [(374, 44), (396, 109)]),
        (AZURE_2024, "azure", [0, 0.99007], [(2162, 5), (2399, 6)]),
    ],
)
def test_formats(tmp_path: Path, text: str, name: str, times: list[float], tokens: list[tuple[int, int]]) -> None:
    """Each format is known by its first line; times are seconds from the first call."""
    trace = read_trace(written(tmp_path, text))

    assert name == trace.format
    assert pytest.approx(times, abs=1e-5) == [row.at_s for row in trace.rows]
    assert tokens == [(row.input_tokens, row.output_tokens) for row in trace.rows]


def test_a_byte_order_mark_and_line_ends_of_windows_are_no_matter(tmp_path: Path) -> None:
    """A file that came through a spreadsheet is read as it was."""
    trace = read_trace(written(tmp_path, "\ufeff" + AZURE_2023.replace("\n", "\r\n")))

    assert ("azure", 2) == (trace.format, len(trace.rows))


def test_notes(tmp_path: Path) -> None:
    """Failures that were left out, disorder and a late start are said."""
    shuffled = BURSTGPT + "3,GPT-4,5,6,11,API log\n"
    trace = read_trace(written(tmp_path, shuffled))

    assert [
        "1 rows without tokens were left out: calls that failed",
        "1 rows came before the row above them: sorted by time",
        "its first call at 3 s was made the start",
    ] == list(trace.notes)
    assert [0, 4, 38] == [row.at_s for row in trace.rows]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n", "has no call"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-01-01,0,0\n", "1 rows without tokens"),
        ("hello\n", "line 1 .* begins none of"),
        ("[1]\n", "begins none of"),
        ("{" * 100_000, "begins none of"),
        ('{"a": ' * 50_000, "begins none of"),
        (OWN + "{", "line 5"),
        (OWN + "[" * 100_000, "line 5"),
        (OWN + "7\n", "no JSON object"),
        (OWN.replace("2.0", "-2.0"), "line 3 .*at_s -2.0 must lie within"),
        (OWN.replace("2.0", "NaN"), "line 3 .*at_s nan"),
        (OWN.replace("2.0", "1e400"), "line 3 .*at_s inf"),
        (OWN.replace("2.0", '"now"'), "at_s must be a number"),
        (OWN.replace("2.0", "true"), "at_s must be a number"),
        (OWN.replace(": 30", ": 30000000000"), "input_tokens 30000000000 must lie within"),
        (OWN.replace(": 30", ": 3.5"), "whole number"),
        (OWN.replace(": 30", ": 0"), "at least 1"),
        (OWN.replace(": 30", ": " + "9" * 5000), "line 3"),
        (OWN.replace('"input_tokens": 30, ', ""), "input_tokens is missing"),
        (OWN.replace("35", "41"), "prefix_tokens is more"),
        (
            OWN.replace('"prefix_group": "tools", "prefix_tokens": 8}\n\n', '"prefix_tokens": 8}\n'),
            "needs the prefix_group",
        ),
        (OWN.replace("pause_s", "pause"), "unknown key 'pause'"),
        (OWN.replace('"a"', '["a"]'), "session must be"),
        (MOONCAKE.replace("[11]", "11"), "hash_ids"),
        (MOONCAKE.replace("3000", "-1"), "timestamp -1"),
        (BURSTGPT.replace("41,", "x,"), "line 4 .*Timestamp 'x' is no number"),
        (BURSTGPT + "50,ChatGPT\n", "it has 2 cells, the header has 6"),
        (AZURE_2023.replace("2023-11-16 18:15:50", "yesterday"), "no date and time"),
        (AZURE_2023.replace("396", "1e308"), "ContextTokens"),
        (AZURE_2023.encode() + b"\xff\xfe\n", "no UTF-8"),
        (b"{" + b" " * 2**21, "more than 1048576 bytes"),
        (b"\0" * 100, "begins none of"),
    ],
)
def test_refuses(tmp_path: Path, text: str | bytes, words: str) -> None:
    """A line that cannot be is named by its number, whatever is wrong with it."""
    with pytest.raises(UsageError, match=words):
        read_trace(written(tmp_path, text))


def test_refuses_what_is_no_file(tmp_path: Path) -> None:
    """Folders, pipes, devices and missing files are refused before anything is read."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero"), tmp_path / "missing", tmp_path / "nul\0"):
        with pytest.raises(UsageError, match="cannot be read"):
            read_trace(path)


def test_refuses_a_gigabyte_unread(tmp_path: Path) -> None:
    """The size alone is enough; this file has no bytes on disk."""
    path = written(tmp_path, OWN)
    os.truncate(path, 2**30)

    with pytest.raises(UsageError, match="1024 MiB"):
        read_trace(path)


def test_refuses_too_many_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading stops at the first call too many."""
    monkeypatch.setattr(trace_file, "CALLS_MAX", 2)

    with pytest.raises(UsageError, match="more than 2 calls"):
        read_trace(written(tmp_path, OWN))


def test_replay(tmp_path: Path) -> None:
    """Times are scaled, sessions chained, groups numbered; planned starts are the trace's."""
    trace = read_trace(written(tmp_path, OWN))
    schedule = drawn("trace", trace=trace, planned=("calls.trace", trace.digest), trace_scale=2.0)

    assert [0, 3e9, 4e9] == schedule.due_ns.tolist()
    assert [NONE, NONE, 1] == schedule.after.tolist()
    assert [0, 0, 3e9] == schedule.pause_ns.tolist()
    assert [NONE, 0, 0] == schedule.session.tolist()
    assert [0, 0, NONE] == schedule.prefix_group.tolist()
    assert [8, 8, 35] == schedule.prefix_tokens.tolist()
    assert (True, None) == (schedule.open_loop, schedule.issue_until_ns)


def test_shared_blocks(tmp_path: Path) -> None:
    """Mooncake's calls that begin with the same blocks share a prefix of these; one alone shares nothing."""
    schedule = drawn("trace", trace=read_trace(written(tmp_path, MOONCAKE)))

    assert [0, 0, NONE] == schedule.prefix_group.tolist()
    assert [1024, 1024, 0] == schedule.prefix_tokens.tolist()


def test_clipping(tmp_path: Path) -> None:
    """What lies outside the clip, or past the window, is not replayed; the clip's start is the window's."""
    trace = read_trace(written(tmp_path, MOONCAKE))

    assert [0.15e9, 2.9e9] == drawn("trace", trace=trace, trace_clip_s=(0.1, 9.0)).due_ns.tolist()
    assert 2 == len(drawn("trace", trace=trace, window_s=1.0))
    with pytest.raises(UsageError, match="window is empty"):
        drawn("trace", trace=trace, trace_clip_s=(100.0, 200.0))


def test_a_trace_that_changed_is_refused(tmp_path: Path) -> None:
    """The plan's digest is that of the bytes."""
    trace = read_trace(written(tmp_path, OWN))

    with pytest.raises(UsageError, match="has changed"):
        drawn("trace", trace=trace, planned=("calls.trace", "sha256:0"))


@given(
    st.lists(st.tuples(st.integers(0, 9_000_000), st.integers(1, 5000), st.integers(0, 500)), min_size=1, max_size=50),
    st.floats(0.1, 1.0),
)
@settings(max_examples=60, deadline=None)
def test_written_and_read(calls: list[tuple[int, int, int]], scale: float) -> None:
    """A trace of our own is replayed call by call at its times, whatever the order of its lines."""
    rows = tuple(Row(at_s=us / 1e6, input_tokens=i, output_tokens=o) for us, i, o in sorted(calls, key=lambda c: c[0]))
    trace = Trace(name="t", digest="sha256:1", format="wattbench", rows=rows, notes=())
    schedule = drawn("trace", trace=trace, trace_scale=scale)

    assert len(calls) == len(schedule)
    assert pytest.approx([row.at_s * scale * 1e9 for row in rows], abs=1) == schedule.due_ns.tolist()
    assert sorted((i, o) for _, i, o in calls) == sorted(
        zip(schedule.input_tokens.tolist(), schedule.output_tokens.tolist(), strict=True)
    )


def test_any_order_of_lines_is_one_trace(tmp_path: Path) -> None:
    """Lines out of order are sorted by time, and the calls are the same."""
    lines = [json.dumps({"at_s": i / 4, "input_tokens": i + 1, "output_tokens": 1}) for i in range(8)]
    ordered = read_trace(written(tmp_path, "\n".join(lines)))
    reverse = read_trace(written(tmp_path, "\n".join(reversed(lines))))

    assert ordered.rows == reverse.rows
    assert ordered.digest != reverse.digest
