"""An import that is in stays in, and does not get in the way of who keeps the tables in order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event, text

from campaigns import database
from campaigns.lists.loading import store_rows
from campaigns.lists.rows import Row
from tests.campaigns.world import NOON, Campaign

LEADS = "SELECT count(*) FROM lead"


def bring(db: Engine, campaign: Campaign, first: int, count: int) -> int:
    rows = [
        Row(n, (f"+8613900{n:06d}",), "客户", {}, ("Asia/Shanghai",)) for n in range(first, first + count)
    ]
    return store_rows(db, campaign.id, f"from {first}", "test", NOON, rows).accepted


@contextmanager
def analyzing(db: Engine, instead: str = "") -> Iterator[list[str]]:
    """What is said to the planner meanwhile, or what is said instead."""
    said: list[str] = []

    def say(connection, cursor, statement, parameters, context, many):  # type: ignore[no-untyped-def]
        if not statement.startswith("ANALYZE"):
            return statement, parameters
        said.append(statement)
        return instead or statement, parameters

    event.listen(db, "before_cursor_execute", say, retval=True)
    yield said
    event.remove(db, "before_cursor_execute", say)


def test_an_import_waits_for_no_vacuum(db: Engine) -> None:
    campaign = Campaign(db, leads=0)
    hasty = database.connect(db.url.render_as_string(hide_password=False), 2, "-c lock_timeout=500")
    with db.begin() as vacuum:
        vacuum.execute(text("LOCK TABLE lead, number IN SHARE UPDATE EXCLUSIVE MODE"))
        assert bring(hasty, campaign, 0, 5) == 5
    hasty.dispose()


def test_an_import_that_is_in_is_told_as_such_when_the_planner_can_not_be(db: Engine) -> None:
    campaign = Campaign(db, leads=0)
    with analyzing(db, instead="SELECT 1 / 0") as said:
        assert bring(db, campaign, 0, 5) == 5
    assert said and campaign.one(LEADS) == (5,)


def test_the_planner_is_told_of_imports_that_change_the_picture(db: Engine) -> None:
    campaign = Campaign(db, leads=0)
    with analyzing(db) as said:
        bring(db, campaign, 0, 500)
        assert len(said) == 1
        bring(db, campaign, 500, 4)
        assert len(said) == 1
        bring(db, campaign, 600, 50)
        assert len(said) == 2
