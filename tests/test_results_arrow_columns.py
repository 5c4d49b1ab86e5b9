"""Arrow arrays that are made without pandas are those that `pyarrow.array` makes."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.results.arrow_columns import array_of, number_array, text_array

pyarrow = pytest.importorskip("pyarrow")

HERE = str(Path(__file__).parent)

WHOLE = st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=40)
OTHERS = st.lists(st.none() | st.floats(allow_nan=False), max_size=40)
TEXTS = st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=40)


@given(WHOLE, OTHERS)
def test_numbers(whole: list[int | None], others: list[float | None]) -> None:
    """Whole numbers keep all of their digits, and None is null."""
    for values, kind in ((whole, pyarrow.int64()), (others, pyarrow.float64())):
        found = number_array(values, kind)
        found.validate(full=True)

        assert pyarrow.array(values, type=kind).equals(found)


@given(TEXTS)
def test_texts(values: list[str | None]) -> None:
    """Any text, empty or with a null character, is kept once, and None is null."""
    kind = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    found = text_array(values)
    found.validate(full=True)

    assert kind == found.type
    assert pyarrow.array(values, type=kind).equals(found)


@given(st.lists(st.booleans(), max_size=40), st.lists(st.lists(st.integers(0, 2**62), max_size=4), max_size=20))
def test_flags_and_lists(flags: list[bool], lists: list[list[int]]) -> None:
    """Each kind of column is made by its name, empty lists too."""
    text = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    of_whole = pyarrow.list_(pyarrow.int64())
    columns = ((flags, pyarrow.bool_()), (lists, of_whole), (["a", None], text), ([1.5], pyarrow.float64()))
    for values, kind in columns:
        found = array_of(values, kind)
        found.validate(full=True)

        assert pyarrow.array(values, type=kind).equals(found)


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from traffic_rows import make_traffic_repeat
from wattbench.results.requests_file import encode_requests
assert encode_requests([make_traffic_repeat(errors={1: "timeout"})])
from wattbench.results.energy import Polls
from wattbench.results.polls_file import decode_polls, encode_polls
log = Polls(channel="c", before_ns=(1, 2), after_ns=(2, 3), value=(5.0, None), sensor_ns=None, errors={"1": "gone"})
assert decode_polls(encode_polls([log]), 2) == (log,)
sys.exit("pandas" in sys.modules)
"""


def test_polls_and_requests_are_written_without_pandas() -> None:
    """A run that is asked to end has seconds for its file: importing pandas takes them on a busy machine."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, HERE], capture_output=True, text=True, timeout=120, check=False
    )

    assert (0, "") == (done.returncode, done.stderr)
