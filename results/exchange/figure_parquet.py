"""Every figure of some results as the bytes of a Parquet file; pyarrow is imported only when one is asked for."""

import json
from collections.abc import Sequence

from wattbench.results.exchange.exported import Exported
from wattbench.results.exchange.figure_table import COLUMNS, rows_of

__all__ = ["FORMAT", "parquet_bytes"]

FORMAT = "wattbench.figures/1"


def parquet_bytes(results: Sequence[Exported]) -> bytes:
    """Return a Parquet file (zstd) with the columns of the CSV and `samples`, one row a figure.

    The metadata key "wattbench" names the format and the results. Raises ImportError without pyarrow.
    """
    import pyarrow
    import pyarrow.parquet

    kinds = {"text": pyarrow.string(), "number": pyarrow.float64(), "whole": pyarrow.int64()}
    fields = [(column.name, kinds[column.kind]) for column in COLUMNS]
    facts = {"format": FORMAT, "results": [result.subject.result_id for result in results]}
    schema = pyarrow.schema(
        [*fields, ("samples", pyarrow.list_(pyarrow.float64()))], metadata={b"wattbench": json.dumps(facts).encode()}
    )
    samples = [list(figure.samples) for result in results for figure in result.figures]
    rows = [dict(row) | {"samples": each} for row, each in zip(rows_of(results), samples, strict=True)]
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), sink, compression="zstd")
    return bytes(sink.getvalue())
