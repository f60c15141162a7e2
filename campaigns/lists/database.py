"""A list that another database's query gives, by its SQLAlchemy URL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import create_engine, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from campaigns.database import reason
from campaigns.lists.reading import Record, Table, open_values
from campaigns.lists.sources import ImportFailed

AT_A_TIME = 2_000  # rows


@contextmanager
def opened_query(url: str, query: str, given: Mapping[str, str]) -> Iterator[Table]:
    """A query's rows, counted from 1, as they come from the server. Raises :class:`ImportFailed`."""
    try:
        engine = create_engine(url)
    except (ArgumentError, NoSuchModuleError, ImportError) as fault:
        raise ImportFailed(f"--sql: {fault}") from fault
    try:
        with engine.connect().execution_options(stream_results=True, yield_per=AT_A_TIME) as connection:
            result = connection.execute(text(query))
            if not result.returns_rows:
                raise ImportFailed("--query: gives no rows; it must be a SELECT")

            def records() -> Iterator[Record]:
                for row, values in enumerate(result, 1):
                    yield row, tuple(values), None

            yield open_values(records(), list(result.keys()), given, "--query", "SQL")
    except SQLAlchemyError as fault:
        raise ImportFailed(f"the list's database: {reason(fault)}") from fault
    finally:
        engine.dispose()
