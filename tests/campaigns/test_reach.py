"""Row-level security: SQL as each role over every table of two branches, with nothing of ours between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from campaigns import database
from campaigns.people import People
from campaigns.reach import REPORTS, WEB, as_role, held, reaching
from campaigns.rights import REACHING, Role
from campaigns.units import Units
from tests.campaigns.world import Campaign
from tests.database import fresh_url

BRANCHES = {"兰州分公司": "mine", "天水分公司": "theirs"}
# What stands for a value of a type.
OF_TYPE = {
    "bigint": "{n}", "integer": "{n}", "smallint": "1", "real": "0.1", "double precision": "0.1", "numeric": "1",
    "text": "'x{n}'", "boolean": "false", "timestamp with time zone": "now()", "date": "date '2026-11-01'",
    "uuid": "gen_random_uuid()", "bytea": "'\\x00'", "jsonb": "'{{}}'", "interval": "interval '1 hour'",
    "time without time zone": "'06:00'",
}  # fmt: skip
# Tables without anything of a customer or of a campaign; what is in them is for all.
SHARED = {"unit", "permit_basis", "archived_month", "caller_id_use", "caller_id_watch", "rollup_due",
          "rollup_seen"}  # fmt: skip
# Tables that neither role has any business in; of `app_user` they see who is who, and no secret.
CLOSED = {"alembic_version", "api_token", "app_user", "audit", "audit_link", "campaign_counted", "campaign_part",
          "draft", "engine", "journal_cursor", "message_part", "outside_call", "recovery_code", "seat_now", "session",
          "sign_on", "switch_lease"}  # fmt: skip
COMPANYS = {"erasure", "message_choice", "webhook_delivery"}  # of no branch at all
COLUMNS = text("""
SELECT column_name, data_type, is_nullable, column_default, is_identity FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = :table ORDER BY ordinal_position
""")
OF_BRANCH = text("""
SELECT c.id AS campaign_id, c.unit_id, u.id AS user_id, i.id AS list_id, n.lead_id, n.e164, n.e164 AS party
FROM campaign c JOIN app_user u ON u.unit_id = c.unit_id AND u.role = 'branch_manager'
JOIN list i ON i.campaign_id = c.id JOIN number n ON n.campaign_id = c.id WHERE c.name = :name
""")
TABLES = text("""
SELECT c.relname, c.relrowsecurity FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1
""")
CHECKS = text("""
SELECT conrelid::regclass AS table, conname FROM pg_constraint
WHERE contype = 'c' AND connamespace = 'public'::regnamespace AND coninhcount = 0
""")
PARTITIONS = text("SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'")


@dataclass(frozen=True, slots=True)
class Company:
    """Two branches, each with a manager, a campaign and one row in every table that is scoped."""

    owner: Engine
    roles: dict[str, Engine]
    scoped: tuple[str, ...]
    users: dict[str, int]

    def as_(self, role: str, user: str) -> Engine:
        return reaching(self.roles[role], self.users.get(user, 0))

    def count(self, engine: Engine, table: str) -> int | None:
        """How many rows are seen; None: none may be looked for."""
        with engine.connect() as connection:
            try:
                return connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            except DBAPIError as fault:
                assert "permission denied" in str(fault)
                return None


@pytest.fixture(scope="module")
def company() -> Iterator[Company]:
    owner = database.connect(url := fresh_url())
    for number, (unit, name) in enumerate(BRANCHES.items(), 1):
        Units(owner).add(unit)
        Campaign(owner, leads=1, name=name, more=f'unit = "{unit}"\n')
        People(owner).add(unit, name, name, "branch_manager", "")
        if number == 2:  # the world numbers its customers alike in each campaign
            with owner.begin() as connection:
                connection.execute(text("UPDATE number SET e164 = '+8613999999999' WHERE campaign_id = 2"))
    People(owner).add("", "root", "Root", "administrator", "")
    People(owner).add("", "served", "Served", "supervisor", "", campaigns=["mine"])
    with owner.connect() as connection:
        tables = connection.execute(TABLES).all()
        users = {row.login: row.id for row in connection.execute(text("SELECT id, login FROM app_user"))}
    scoped = tuple(row.relname for row in tables if row.relrowsecurity)
    with owner.begin() as connection:  # what makes sense in a row is not asked here, but who sees it
        for row in connection.execute(CHECKS).all():
            connection.execute(text(f"ALTER TABLE {row.table} DROP CONSTRAINT {row.conname}"))
    for branch, name in enumerate(BRANCHES.values(), 1):
        fill(owner, scoped, branch, name)
    roles = {role: held(database.connect(as_role(url, role), pool_size=1), role) for role in (WEB, REPORTS)}
    yield Company(owner, roles, scoped, users)
    for engine in (owner, *roles.values()):
        engine.dispose()


def fill(owner: Engine, tables: tuple[str, ...], branch: int, name: str) -> None:
    """Put a row of the branch into every table; what hangs together by keys is not looked at."""
    with owner.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        values = connection.execute(OF_BRANCH, {"name": name}).one()._asdict() | {"segment_id": branch}
        values |= {"call_id": f"00000000-0000-4000-8000-{branch:012d}", "n": branch}
        for table in tables:
            names, made = [], []
            for column in connection.execute(COLUMNS, {"table": table}).all():
                known = values.get(column.column_name)
                if column.is_identity == "YES" and (table, column.column_name) != ("segment", "id"):
                    continue
                if known is None and (column.is_nullable == "YES" or column.column_default):
                    continue
                names.append(column.column_name)
                if known is not None:
                    made.append(f"'{known}'")
                elif column.data_type == "ARRAY":
                    made.append("'{}'")
                else:
                    made.append(OF_TYPE[column.data_type].format(**values))
            always = " OVERRIDING SYSTEM VALUE" if table == "segment" else ""
            if table in ("campaign", "campaign_version", "list", "lead", "number"):
                continue  # there is one already
            into = f"INSERT INTO {table} ({', '.join(names)}){always} VALUES ({', '.join(made)})"
            connection.execute(text(f"{into} ON CONFLICT DO NOTHING"))


def test_every_table_is_scoped_shared_or_closed(company: Company) -> None:
    """A new table is one of these: see campaigns/migrations/versions/0034_reach.py."""
    with company.owner.connect() as connection:
        found = {row.relname for row in connection.execute(TABLES)}
    assert found == {*company.scoped, *SHARED, *CLOSED}
    assert not {*SHARED, *CLOSED} & {*company.scoped}


def test_a_branch_sees_its_half_of_every_table_and_the_company_the_whole(company: Company) -> None:
    wrong = {}
    for table in company.scoped:
        whole = company.count(company.owner, table) or 0
        half = 0 if table in COMPANYS else whole // 2
        for role in (WEB, REPORTS):
            users = ("mine", "theirs", "root", "nobody")
            seen = [company.count(company.as_(role, user), table) for user in users]
            if seen == [None] * 4 and role == REPORTS:
                continue  # reports have no business there
            if not whole or whole % 2 or seen != [half, half, whole, 0]:
                wrong[role, table] = whole, seen
    assert wrong == {}


def test_who_serves_a_campaign_sees_it_and_no_other(company: Company) -> None:
    for table in ("campaign", "lead", "number", "attempt", "disposition", "list", "rollup_call"):
        whole = company.count(company.owner, table)
        assert whole is not None and company.count(company.as_(WEB, "served"), table) == whole // 2, table
    assert company.count(company.as_(WEB, "served"), "segment") == 0  # a unit's, and they reach none


def test_who_is_shut_out_sees_nothing(company: Company) -> None:
    People(company.owner).change("served", enabled=False)
    assert company.count(company.as_(WEB, "served"), "lead") == 0
    People(company.owner).change("served", enabled=True)


@pytest.mark.parametrize("role", [WEB, REPORTS])
def test_what_is_closed_or_a_part_of_a_table_is_denied(company: Company, role: str) -> None:
    with company.owner.connect() as connection:
        parts = connection.execute(PARTITIONS).scalars().all()
    assert len(parts) > 3
    for table in (*CLOSED, *parts):
        assert company.count(company.as_(role, "root"), f"(SELECT * FROM {table}) t") is None, table


def test_nothing_of_another_branch_is_changed_or_put_there(company: Company) -> None:
    changed = 0
    for table in company.scoped:
        with company.owner.connect() as connection:
            columns = connection.execute(COLUMNS, {"table": table}).all()
        plain = next(c.column_name for c in columns if c.is_identity == "NO")
        whole = company.count(company.owner, table) or 0
        with company.as_(WEB, "mine").connect() as connection:
            try:
                told = connection.execute(text(f"UPDATE {table} SET {plain} = {plain}")).rowcount
                assert told == whole // 2, table
                changed += 1
            except DBAPIError as fault:
                assert "permission denied" in str(fault), table
                continue
            connection.rollback()
            for mark in ("campaign_id", "unit_id"):
                if mark in {c.column_name for c in columns} and table != "campaign":
                    theirs = f"(SELECT {2 if mark == 'campaign_id' else 3})"
                    with pytest.raises(DBAPIError, match=r"row-level security|permission denied"):
                        connection.execute(text(f"UPDATE {table} SET {mark} = {theirs}"))
                    connection.rollback()
    assert changed >= 15
    with company.as_(REPORTS, "root").connect() as connection:
        for statement in ("UPDATE lead SET open = false", "DELETE FROM attempt", "TRUNCATE rollup_call"):
            with pytest.raises(DBAPIError, match="permission denied"):
                connection.execute(text(statement))
            connection.rollback()


def test_what_an_agent_changes_is_kept_for_their_customers_alone(company: Company) -> None:
    kept = text(
        "INSERT INTO lead_edit (lead_id, at, user_id, field, before, after) "
        "SELECT id, now(), 1, 'name', '', 'x' FROM lead WHERE campaign_id = :campaign"
    )
    other = text(
        "INSERT INTO lead_edit (lead_id, at, user_id, field, before, after) VALUES (:lead, now(), 1, 'name', '', 'x')"
    )
    with company.owner.connect() as connection:
        theirs = connection.execute(text("SELECT id FROM lead WHERE campaign_id = 2")).scalar_one()
    with company.as_(WEB, "served").connect() as connection:
        assert [connection.execute(kept, {"campaign": n}).rowcount for n in (1, 2)] == [1, 0]
        for denied in ("UPDATE lead_edit SET after = ''", "DELETE FROM lead_edit"):
            connection.rollback()
            with pytest.raises(DBAPIError, match="permission denied"):
                connection.execute(text(denied))
        connection.rollback()
        with pytest.raises(DBAPIError, match="row-level security"):
            connection.execute(other, {"lead": theirs})


def test_a_segment_a_purchase_and_a_plan_are_ones_own_units(company: Company) -> None:
    """As the pages' role they are put where the asker reaches, and nowhere else."""
    units = "(SELECT unit_id FROM app_user WHERE login = '{}')"
    puts = (
        f"INSERT INTO segment (id, unit_id, name, version) OVERRIDING SYSTEM VALUE VALUES (9, {units}, 'new', 1)",
        f"INSERT INTO purchase (unit_id, customer_id, at, amount, reference) VALUES ({units}, 'C', now(), 1, 'r')",
    )
    for put in puts:
        with company.as_(WEB, "mine").connect() as connection:
            assert connection.execute(text(put.format("mine"))).rowcount == 1
            connection.rollback()
            with pytest.raises(DBAPIError, match="row-level security"):
                connection.execute(text(put.format("theirs")))
    with company.as_(WEB, "mine").connect() as connection:
        with pytest.raises(DBAPIError, match="row-level security"):
            connection.execute(
                text(
                    "INSERT INTO plan SELECT 2, based_on, segment, arm, hours, until, customers, seats, talked, "
                    "conversions, conversions_low, conversions_high, revenue, seat_hours, known_from, made_by, made_at "
                    "FROM plan"
                )
            )
        connection.rollback()
        with pytest.raises(DBAPIError, match="permission denied"):
            connection.execute(text("UPDATE plan SET seats = 0"))


def test_orders_of_the_units_above_are_seen_for_ones_own_customers_alone(company: Company) -> None:
    """They count for the campaigns below; K is who is on a campaign's list, H who was held out of one."""
    orders = "SELECT customer_id FROM purchase WHERE reference LIKE 'above %' ORDER BY 1"
    with company.owner.connect() as connection:
        connection.execute(text("UPDATE lead SET customer_id = 'K' || campaign_id"))
        connection.execute(
            text(
                "INSERT INTO segment_member (campaign_id, party, take_id, held_out) "
                "SELECT campaign_id, 'customer H' || campaign_id, id, true FROM segment_take"
            )
        )
        connection.execute(
            text(
                "INSERT INTO purchase (unit_id, customer_id, at, amount, reference) "
                "SELECT u.id, c, now(), 1, 'above ' || c FROM unit u, unnest(ARRAY['K1', 'K2', 'H1', 'H2', 'X']) c "
                "WHERE u.parent_id IS NULL"
            )
        )
        for user, seen in (
            ("mine", ["H1", "K1"]),
            ("theirs", ["H2", "K2"]),
            ("served", ["H1", "K1"]),
            ("root", ["H1", "H2", "K1", "K2", "X"]),
            ("nobody", []),
        ):
            connection.execute(text(f"SET LOCAL zhudong.asker = '{company.users.get(user, 0)}'"))
            connection.execute(text(f"SET LOCAL ROLE {WEB}"))
            assert connection.execute(text(orders)).scalars().all() == seen, user
            changed = connection.execute(
                text("UPDATE purchase SET amount = 2 WHERE reference LIKE 'above %'")
            )
            assert changed.rowcount == (5 if user == "root" else 0)
            connection.execute(text(f"SET LOCAL ROLE {REPORTS}"))
            assert len(connection.execute(text(orders)).all()) == (5 if user == "root" else 0)
            connection.execute(text("RESET ROLE"))
        connection.rollback()


def test_a_campaign_is_put_into_ones_own_unit_alone(company: Company) -> None:
    into = "INSERT INTO campaign (name, version, unit_id) SELECT 'new', 1, unit_id FROM app_user WHERE login = '{}'"
    with company.as_(WEB, "mine").connect() as connection:
        assert connection.execute(text(into.format("mine"))).rowcount == 1
        connection.rollback()
        with pytest.raises(DBAPIError, match="row-level security"):
            connection.execute(text(into.format("theirs")))


def test_a_campaign_leaves_its_unit_for_ones_own_alone_and_stays(company: Company) -> None:
    """Who serves a campaign steers it where it is; whose unit it is in may move it within their units."""
    move = (
        "UPDATE campaign SET version = version, unit_id = (SELECT unit_id FROM app_user WHERE login = '{}')"
    )
    for user, to, told in (("served", "mine", 1), ("served", "theirs", None), ("mine", "theirs", None)):
        with company.as_(WEB, user).connect() as connection:
            if told is None:
                with pytest.raises(DBAPIError, match="row-level security"):
                    connection.execute(text(move.format(to)))
            else:
                assert connection.execute(text(move.format(to))).rowcount == told
            connection.rollback()
    with (
        company.as_(WEB, "root").connect() as connection,
        pytest.raises(DBAPIError, match="permission denied"),
    ):
        connection.execute(text("DELETE FROM campaign"))


def test_numbers_for_all_campaigns_are_everybodys_and_taken_off_by_the_company(company: Company) -> None:
    entry = text(
        "INSERT INTO dnc (e164, layer, source, reason, at) VALUES ('+8613911111111', 'company', 'x', '', now())"
    )
    gone = text("DELETE FROM dnc WHERE e164 = '+8613911111111'")
    with company.as_(WEB, "mine").begin() as connection:
        connection.execute(entry)
        assert connection.execute(gone).rowcount == 0
    with company.as_(WEB, "root").begin() as connection:
        assert connection.execute(gone).rowcount == 1


def test_numbers_by_their_beginning_are_barred_for_all_campaigns_by_the_company(company: Company) -> None:
    entry = "INSERT INTO dnc_prefix (prefix, layer, campaign_id, source, at) VALUES ('+86', {}, 'x', now())"
    campaign = "(SELECT id FROM campaign WHERE name = '{}')"
    for user, where, told in (
        ("mine", "'company', 0", False),
        ("mine", f"'campaign', {campaign.format('mine')}", True),
        ("root", "'company', 0", True),
    ):
        with company.as_(WEB, user).connect() as connection:
            if told:
                assert connection.execute(text(entry.format(where))).rowcount == 1
            else:
                with pytest.raises(DBAPIError, match="row-level security"):
                    connection.execute(text(entry.format(where)))
            connection.rollback()


@pytest.mark.parametrize(("table", "column"), [("dnc", "e164"), ("dnc_prefix", "prefix")])
def test_an_entry_for_all_campaigns_is_ended_by_the_company_alone(
    company: Company, table: str, column: str
) -> None:
    """In whatever way: its time made shorter, or itself made another."""
    added = text(
        f"INSERT INTO {table} ({column}, layer, source, at) VALUES ('+8613911', 'company', 'x', now())"
    )
    ways = (
        "expires_at = now()",
        f"{column} = '+8613912'",
        "source = 'y'",
        "campaign_id = 1, layer = 'campaign'",
    )
    ended = [text(f"UPDATE {table} SET {way} WHERE {column} = '+8613911'") for way in ways]
    many = table == "dnc_prefix"
    with company.as_(WEB, "root" if many else "mine").begin() as connection:
        connection.execute(added)
    for each in ended:
        with (
            company.as_(WEB, "mine").connect() as connection,
            pytest.raises(DBAPIError, match="by who sees them all"),
        ):
            connection.execute(each)
    with company.as_(WEB, "mine").connect() as connection:
        same = text(f"UPDATE {table} SET reason = 'asked', expires_at = NULL WHERE {column} = '+8613911'")
        if many:
            with pytest.raises(DBAPIError, match="row-level security"):
                connection.execute(same)
        else:
            assert connection.execute(same).rowcount == 1
        connection.rollback()
    with company.as_(WEB, "root").connect() as connection:
        for each in ended:
            assert connection.execute(each).rowcount == 1
            connection.rollback()
    with company.owner.begin() as connection:
        connection.execute(text(f"DELETE FROM {table} WHERE {column} = '+8613911'"))


@pytest.mark.parametrize("role", [WEB, REPORTS])
@pytest.mark.parametrize(
    "way",
    [
        "RESET ROLE",
        "SET row_security = off",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
        "ALTER TABLE lead DISABLE ROW LEVEL SECURITY",
        "DROP POLICY reach ON lead",
        "CREATE POLICY all_of_it ON lead USING (true)",
        "ALTER ROLE CURRENT_USER BYPASSRLS",
        "GRANT postgres TO CURRENT_USER",
        "CREATE OR REPLACE FUNCTION zhudong_whole() RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        "CREATE FUNCTION peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM lead'",
    ],
)
def test_there_is_no_way_around(company: Company, role: str, way: str) -> None:
    with company.as_(role, "nobody").connect() as connection:
        try:
            connection.execute(text(way))
        except DBAPIError:
            connection.rollback()
        try:
            assert connection.execute(text("SELECT count(*) FROM lead")).scalar_one() == 0
        except DBAPIError as fault:  # with row_security off a query that would be held to it is refused
            assert "row-level security" in str(fault) or "permission denied" in str(fault)
        connection.rollback()
        connection.exec_driver_sql("RESET row_security")
        connection.commit()


def test_the_roles_have_no_power_of_their_own(company: Company) -> None:
    with company.owner.connect() as connection:
        rows = connection.execute(
            text("""
            SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb AS any FROM pg_roles
            WHERE rolname LIKE 'zhudong_%'""")
        )
        assert [row.any for row in rows] == [False, False]


def test_the_database_reaches_as_far_as_the_table_of_rights(company: Company) -> None:
    with company.owner.connect() as connection:
        source = connection.execute(
            text("SELECT prosrc FROM pg_proc WHERE proname = 'zhudong_units'")
        ).scalar_one()
    assert {role for role in Role if f"'{role}'" in source} == set(REACHING)


def test_the_engine_is_not_held_and_a_branch_still_finds_by_index(company: Company) -> None:
    """The owner's plans have no filter of reach; a branch's works out its campaigns once."""
    asked = "EXPLAIN SELECT id FROM lead WHERE campaign_id = 1 AND open"
    with company.owner.connect() as connection:
        plan = " ".join(connection.execute(text(asked)).scalars())
        assert "zhudong" not in plan
    with company.as_(WEB, "mine").connect() as connection:
        plan = " ".join(connection.execute(text(asked)).scalars())
        assert "InitPlan" in plan
