"""Statements of the hot paths, planned once a connection, and only with the indexes they were written for.

A plan that is kept outlives the statistics it was made with: a table that was empty then may have millions of rows
now. So what is prepared here is planned as if no table were small.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

# Holds until the transaction ends. The planner's time for the facts of leads is of the order of reading them.
PLANNED = """
SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off;
SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_memoize = off
"""
# The same, and the commit does not wait for the disk: for what a later transaction that is waited for rests upon.
UNHURRIED = f"{PLANNED}; SET LOCAL synchronous_commit = off"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement with parameters `$1` … of these types. The transaction must have run :data:`PLANNED`.

    Or `settings` are that: the first statement of a transaction has them in its own message, and spares a way to the
    database and back, which beside other work is what a small statement's time is made of.
    """

    name: str
    types: str
    sql: str
    settings: str = ""

    def run(self, connection: Connection, *values: Any) -> Sequence[tuple[Any, ...]]:
        """Execute it; the rows as the driver gives them, none where it gives no rows. Raises SQLAlchemyError."""
        known = connection.info.setdefault("prepared", set())
        if self.name not in known:
            connection.exec_driver_sql(f"PREPARE {self.name} ({self.types}) AS {self.sql}")
            known.add(self.name)
        places = ", ".join(["%s"] * len(values))
        settings = f"{self.settings}; " if self.settings else ""
        result = connection.exec_driver_sql(f"{settings}EXECUTE {self.name} ({places})", values)
        if result.cursor is None or result.cursor.description is None:
            return ()
        return result.cursor.fetchall()


def array(values: Iterable[object]) -> str:
    """Numbers or ids as PostgreSQL reads an array: one constant, where a list would be an expression for each."""
    return "{" + ",".join(map(str, values)) + "}"


def text_array(values: Iterable[str]) -> str:
    """The same of texts, whatever is in them."""
    quoted = list(values)
    together = "".join(quoted)
    if "\\" in together or '"' in together:
        quoted = [value.replace("\\", "\\\\").replace('"', '\\"') for value in quoted]
    return '{"' + '","'.join(quoted) + '"}' if quoted else "{}"
