"""Arrow arrays of plain values, without pandas: `pyarrow.array` imports it, and a run would wait for it at its end."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow

__all__ = ["array_of", "number_array", "text_array"]


def array_of(values: Sequence[Any], kind: pyarrow.DataType) -> pyarrow.Array:  # any: what the kind takes
    """Return values as an array of a kind: int64, float64, bool, lists of int64, or text in a dictionary.

    None is null, but for bool and lists, which have none.
    """
    import pyarrow

    if pyarrow.types.is_dictionary(kind):
        return text_array(values)
    if pyarrow.types.is_boolean(kind):
        return pyarrow.Array.from_buffers(kind, len(values), [None, _bits(values)])
    if pyarrow.types.is_list(kind):
        ends = list(accumulate(map(len, values), initial=0))
        inner = number_array([value for part in values for value in part], pyarrow.int64())
        return pyarrow.ListArray.from_arrays(number_array(ends, pyarrow.int64()).cast(pyarrow.int32()), inner)
    return number_array(values, kind)


def number_array(values: Sequence[float | None], kind: pyarrow.DataType) -> pyarrow.Array:
    """Return whole numbers (int64) or others (float64) as an array of that kind, None as null."""
    import numpy
    import pyarrow

    whole = kind == pyarrow.int64()
    plain = [0 if value is None else value for value in values]
    numbers = numpy.array(plain, dtype=numpy.int64 if whole else numpy.float64)
    return pyarrow.Array.from_buffers(kind, len(values), [_present(values), pyarrow.py_buffer(numbers)])


def text_array(values: Sequence[str | None]) -> pyarrow.DictionaryArray:
    """Return texts as an array that holds each of them once, in the order of their first use, None as null."""
    import numpy
    import pyarrow

    places = {text: place for place, text in enumerate(dict.fromkeys(text for text in values if text is not None))}
    indices = number_array([None if text is None else places[text] for text in values], pyarrow.int64())
    encoded = [text.encode() for text in places]
    ends = numpy.cumsum([0, *map(len, encoded)]).astype(numpy.int32)
    texts = pyarrow.StringArray.from_buffers(
        len(encoded), pyarrow.py_buffer(ends), pyarrow.py_buffer(b"".join(encoded))
    )
    return pyarrow.DictionaryArray.from_arrays(indices.cast(pyarrow.int32()), texts)


def _present(values: Sequence[object]) -> pyarrow.Buffer | None:
    """Return Arrow's bitmap of the values that are no null; None where none is."""
    present = [value is not None for value in values]
    return None if all(present) else _bits(present)


def _bits(flags: Sequence[bool]) -> pyarrow.Buffer:
    import numpy
    import pyarrow

    return pyarrow.py_buffer(numpy.packbits(numpy.array(flags, dtype=bool), bitorder="little"))
