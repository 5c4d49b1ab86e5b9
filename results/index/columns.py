"""Queries over the Parquet files of the index's Delta table: the only file that knows duckdb."""

from __future__ import annotations

from collections.abc import Sequence

from wattbench.results.errors import StoreAccessError

__all__ = ["ColumnEngine"]


class ColumnEngine:
    """Answers queries over the table `rows`, which is the files together; they are read anew by each query."""

    def __init__(self, files: Sequence[str], *, threads: int | None = None) -> None:
        import duckdb

        self._errors = duckdb.Error
        try:
            self._connection = duckdb.connect()
            if threads is not None:
                self._connection.execute(f"SET threads = {int(threads)}")
            self._connection.execute("SET parquet_metadata_cache = true")
            self._connection.execute("CREATE MACRO middle(figure) AS quantile_disc(figure, 0.5)")
            names = ", ".join("'" + name.replace("'", "''") + "'" for name in files)
            self._connection.execute(f"CREATE VIEW rows AS SELECT * FROM read_parquet([{names}])")
        except duckdb.Error as exc:
            raise self._error(exc) from exc

    def select(self, query: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Return what a query finds. Raises StoreAccessError."""
        try:
            return list(self._connection.execute(query, list(values)).fetchall())
        except self._errors as exc:
            raise self._error(exc) from exc

    def close(self) -> None:
        """Let go of the files."""
        self._connection.close()

    def _error(self, exc: Exception) -> StoreAccessError:
        remedy = "`bench store compact` writes the table anew; `bench query --engine sqlite` does without it."
        return StoreAccessError("The index's Delta table cannot be read", str(exc), remedy)
