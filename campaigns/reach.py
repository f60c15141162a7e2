"""The database as one user reaches it: by a role that row-level security holds to their units and campaigns.

The checks of pages and API come first (campaigns/rights.py, cti/entry.py) and say a clear no; this is what holds when
one of them was forgotten. The policies are in campaigns/migrations/versions/0034_reach.py.
"""

from __future__ import annotations

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import make_url

WEB, REPORTS = "zhudong_web", "zhudong_reports"
NOBODY = 0


def as_role(url: str, role: str) -> str:
    """The same database by the role's own log-in, which asks for no password: on our embedded server."""
    return make_url(url).set(username=role, password=None).render_as_string(hide_password=False)


def held(engine: Engine, role: str) -> Engine:
    """Have all sessions of this engine be of the role, and each transaction that of :func:`reaching`'s user.

    Where the log-in is another's, as on a server that has no log-in for the role, the session takes the role.
    """

    @event.listens_for(engine, "connect")
    def take(session, record) -> None:  # type: ignore[no-untyped-def]
        with session.cursor() as cursor:
            cursor.execute(f"SET ROLE {role}")
        session.commit()

    @event.listens_for(engine, "begin")
    def reach(connection: Connection) -> None:
        user = connection.get_execution_options().get("reach", NOBODY)
        # No query: a transaction's isolation may still be chosen after it.
        connection.exec_driver_sql(f"SET LOCAL zhudong.asker = '{int(user)}'")

    return engine


def reaching(engine: Engine, user_id: int) -> Engine:
    """The same database with the same pool, as far as this user reaches."""
    return engine.execution_options(reach=user_id)
