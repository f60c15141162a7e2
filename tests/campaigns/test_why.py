"""Why a lead is not called: whatever the world, the answer is what leasing and dialing would have said."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from campaigns.caller_ids.choosing import BUCKET_S
from campaigns.consents import ConsentError, ConsentStore
from campaigns.dnc import DncStore, Layer
from campaigns.evidence import write_evidence
from campaigns.history.files import Files
from campaigns.history.query import History
from campaigns.ids import as_uuid, new_call_id
from campaigns.records import AttemptEnded
from campaigns.values import Ask, Permit, Refusal
from campaigns.why import EXACT, Explainer, NoSuchLead
from tests.campaigns.test_callbacks import LI, promised
from tests.campaigns.world import NOON, Campaign, later

OUR_NUMBERS = {"beijing": "+861088880001", "others": "+8640088880001"}
FULL = 10_000  # calls in an hour
MORE = (
    f"""
caller_ids = ["{OUR_NUMBERS["others"]}"]
[[caller_id_pools]]
regions = ["CN-11"]
numbers = ["{OUR_NUMBERS["beijing"]}"]
[caller_id]
per_hour = {FULL}
"""
    + """
[rules]
profile = "cn-marketing"
holidays = "CN"
attempts = 4
[rules.number]
days_30 = 3
[rules.customer_here]
hours_24 = 2
[[rules.regions]]
code = "CN-50"
prefixes = ["+86138000000"]
windows = { tue = { from = 10:00:00, to = 18:00:00 }, wed = { from = 10:00:00, to = 18:00:00 } }
"""
)
LEADS = 24
ZONES = (["Asia/Shanghai"], ["Asia/Shanghai", "Asia/Urumqi"], ["Europe/Paris"], [])
WIPED = ("attempt", "called", "consent", "dnc", "dnc_prefix", "lock_out")


def near(draw: st.DrawFn, at: datetime) -> datetime:
    return at + timedelta(minutes=draw(st.integers(-40 * 1440, 2 * 1440)))


@st.composite
def worlds(draw: st.DrawFn) -> tuple[datetime, set[str], list[dict[str, Any]]]:
    """A time, our numbers that have no calls left, and what is on record of each lead."""
    at = later(minutes=draw(st.integers(-3 * 1440, 3 * 1440)))

    def some(share: int, value: Any) -> Any:
        return value() if draw(st.integers(0, 9)) < share else None

    leads = []
    for _ in range(LEADS):
        calls = sorted(near(draw, at) for _ in range(draw(st.integers(0, 3))))
        leads.append(
            {
                "zones": draw(st.sampled_from(ZONES)),
                "region": draw(st.sampled_from(["", "", "CN-50", "CN-11", "Chongqing"])),
                "customer": some(3, lambda: draw(st.sampled_from(["K1", "K2"]))),
                "attempts": draw(st.integers(0, 4)),
                "next_at": some(2, lambda: near(draw, at)),
                "open": draw(st.integers(0, 9)) > 0,
                "calls": [c for c in calls if c <= at],
                "in_call": some(1, lambda: draw(st.sampled_from(["number", "customer"]))),
                "callback": draw(st.integers(0, 9)) == 0,
                "dnc": some(1, lambda: some(5, lambda: near(draw, at)) or later(days=900)),
                "prefix": draw(st.integers(0, 19)) == 0,
                "locked": some(1, lambda: near(draw, at)),
                "consent": some(8, lambda: (near(draw, at), some(3, lambda: near(draw, at)))),
            }
        )  # fmt: skip
    full = draw(st.sampled_from([set(), set(), {"beijing"}, {"others"}, {"beijing", "others"}]))
    return at, full, leads


def put(db: Engine, campaign: Campaign, at: datetime, full: set[str], leads: list[dict[str, Any]]) -> None:
    """Make the tables say so."""
    with db.begin() as connection:

        def run(sql: str, **values: object) -> None:
            connection.execute(text(sql), values)

        run(f"TRUNCATE {', '.join(WIPED)}")
        for n, each in enumerate(leads):
            number = f"+8613800{n:06d}"
            run(
                """UPDATE lead SET zones = :zones, region = :region, customer_id = :customer, open = :open,
                lease = NULL, ready_at = NULL, next_at = COALESCE(:next, '-infinity'::timestamptz), lane = :lane
                WHERE id = (SELECT lead_id FROM number WHERE e164 = :number AND campaign_id = :campaign)""",
                zones=each["zones"], region=each["region"], customer=each["customer"], open=each["open"],
                next=each["next_at"], number=number, lane=0 if each["callback"] else 1, campaign=campaign.id,
            )  # fmt: skip
            run("UPDATE number SET attempts = :n WHERE e164 = :number", n=each["attempts"], number=number)
            if each["dnc"]:
                run(
                    """INSERT INTO dnc (e164, layer, source, at, expires_at)
                    VALUES (:number, 'national', 'x', :at, :until)""",
                    number=number, at=NOON, until=each["dnc"],
                )  # fmt: skip
            if each["prefix"]:
                run("INSERT INTO dnc_prefix VALUES (:p, 'company', 0, 'x', '', :at)", p=number[:14], at=NOON)
            if each["locked"]:
                run("INSERT INTO lock_out VALUES (:number, :until)", number=number, until=each["locked"])
            if each["consent"]:
                given, ends = each["consent"]
                run(
                    """INSERT INTO consent (e164, source, given_at, withdrawn_at)
                    VALUES (:number, 'form', :given, :ends)""",
                    number=number, given=given, ends=ends,
                )  # fmt: skip
        run("UPDATE lead SET lease = gen_random_uuid() WHERE campaign_id <> :c", c=campaign.id)
        for name, number in OUR_NUMBERS.items():
            calls = {int(at.timestamp()) // BUCKET_S: FULL if name in full else 0}
            run(
                """INSERT INTO caller_id_use (caller_id, hour_calls, last_at, owner, change)
                VALUES (:number, :calls, :at, 'engine-2', nextval('caller_id_change'))
                ON CONFLICT (caller_id) DO UPDATE SET hour_calls = excluded.hour_calls, owner = excluded.owner,
                change = excluded.change, last_at = excluded.last_at""",
                number=number, calls=json.dumps(calls), at=at - timedelta(days=1),
            )  # fmt: skip
        run("INSERT INTO campaign_zone SELECT :c, 'Asia/Urumqi' ON CONFLICT DO NOTHING", c=campaign.id)
        run("INSERT INTO campaign_zone SELECT :c, 'Europe/Paris' ON CONFLICT DO NOTHING", c=campaign.id)
    count(db, campaign, leads)


def count(db: Engine, campaign: Campaign, leads: list[dict[str, Any]]) -> None:
    """Have the calls to each party counted as the world says."""
    with db.begin() as connection:
        connection.execute(text("TRUNCATE called"))
        for n, each in enumerate(leads):
            for party in (
                f"+8613800{n:06d}",
                *([f"customer {each['customer']}"] if each["customer"] else []),
            ):
                connection.execute(
                    text("""INSERT INTO called (party, life, at, campaigns) VALUES (:party, :n, :at, :by)
                    ON CONFLICT (party) DO UPDATE SET at = called.at || excluded.at,
                    campaigns = called.campaigns || excluded.campaigns"""),
                    {
                        "party": party,
                        "n": len(each["calls"]),
                        "at": each["calls"],
                        "by": [campaign.id + n % 2 for _ in each["calls"]],
                    },
                )
                if each["in_call"] == ("customer" if party.startswith("customer") else "number"):
                    connection.execute(
                        text("""UPDATE called SET last_call = (SELECT lease FROM lead WHERE campaign_id <> :campaign
                        ORDER BY id LIMIT 1) WHERE party = :party"""),
                        {"campaign": campaign.id, "party": party},
                    )


_kept: dict[int, tuple[Campaign, Explainer]] = {}


@pytest.mark.timeout(300)  # beside other work
@given(world=worlds())
@settings(
    max_examples=12,
    phases=(Phase.explicit, Phase.generate),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
def test_the_answer_is_what_leasing_and_dialing_say(
    db: Engine, world: tuple[datetime, set[str], list[dict[str, Any]]]
) -> None:
    if id(db) not in _kept:
        _kept[id(db)] = (Campaign(db, leads=LEADS, more=MORE), Explainer(db))
        Campaign(db, leads=1, name="summer")  # whose call is not over
    campaign, explainer = _kept[id(db)]
    at, full, leads = world
    put(db, campaign, at, full, leads)
    told = {n: explainer.number(f"+8613800{n:06d}", at)[0] for n in range(LEADS)}
    over = explainer.campaign("spring", at)
    assert over.looked_at == over.leads == LEADS
    assert over.callable == sum(why.permitted for why in told.values())
    for reason, held in over.held.items():
        holding = [
            w for n, w in told.items() if leads[n]["open"] and any(r.reason == reason for r in w.reasons)
        ]
        assert (held.leads, held.alone) == (
            len(holding),
            sum(len({r.reason for r in why.reasons}) == 1 for why in holding),
        )
    when = [why.next_at for n, why in told.items() if why.next_at and leads[n]["open"]]
    assert over.next_at == min(when, default=None)

    asked = {n: new_call_id(at) for n in told}
    with db.begin() as connection:
        for n, call_id in asked.items():
            connection.execute(
                text("UPDATE lead SET lease = :lease, lease_owner = 'engine-1' WHERE id = :lead"),
                {"lease": as_uuid(call_id), "lead": told[n].lead_id},
            )
    for n, call_id in asked.items():
        answer = campaign.hopper.authorize([Ask(call_id, "main")], at)[call_id]
        if isinstance(answer, Permit):
            assert told[n].permitted
            count(db, campaign, leads)  # of a customer's next lead nothing has changed
        else:
            assert isinstance(answer, Refusal)
            assert (told[n].reasons[0].reason, told[n].reasons[0].until) == (
                answer.reason.value,
                answer.until,
            )
    put(db, campaign, at, full, leads)
    leased = {lead.number for lead in campaign.hopper.lease(campaign.id, LEADS, at)}
    assert leased == {why.number for why in told.values() if why.permitted}


def test_a_callback_is_told_with_its_person_and_counted(db: Engine) -> None:
    campaign, explainer = Campaign(db, leads=3), Explainer(db)
    lead = promised(campaign, LI, due=later(hours=2))
    [why] = explainer.lead(lead.lead_id, later(hours=2, minutes=5))
    [reason] = why.reasons
    assert (reason.reason, reason.until) == ("callback", later(hours=2, minutes=30))
    assert (
        f"for user {LI} until" in reason.detail
        and "06:00:00Z" in reason.detail
        and "06:30:00Z" in reason.detail
    )
    assert why.next_at == later(hours=2, minutes=30)
    told = explainer.campaign("spring", later(hours=2, minutes=5))
    assert told.callable == 2 and told.held["callback"].alone == 1
    [why] = explainer.lead(lead.lead_id, later(hours=2, minutes=30))
    assert why.permitted


def test_a_pool_without_calls_left_is_told_and_nothing_is_leased_for_nothing(db: Engine) -> None:
    more = 'caller_ids = ["+8640088880001"]\n[caller_id]\nper_hour = 2\n'
    campaign, explainer = Campaign(db, leads=5, more=more), Explainer(db)
    free_again = later(hours=1, minutes=5)
    assert len(campaign.dial(campaign.lease(2))) == 2
    told = explainer.campaign("spring", NOON)
    assert (told.callable, told.in_hand, told.held["caller_id"].alone, told.next_at) == (0, 2, 3, free_again)
    [why] = explainer.number("+8613800000004", NOON)
    assert [r.reason for r in why.reasons] == ["caller_id"] and why.next_at == free_again
    assert campaign.lease(3) == [] and campaign.one("SELECT count(ready_at) FROM lead")[0] == 0
    assert len(campaign.lease(3, free_again)) == 3


def test_a_supervisor_is_told_of_their_campaigns_only(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    Campaign(db, leads=1, name="summer")
    explainer, number = Explainer(db), "+8613800000000"
    assert [why.campaign for why in explainer.number(number, NOON)] == ["spring", "summer"]
    assert [why.campaign for why in explainer.number(number, NOON, ["summer"])] == ["summer"]
    [why] = explainer.number(number, NOON, ["spring"])
    assert explainer.lead(why.lead_id, NOON, ["spring"]) == [why]
    for missing in (
        lambda: explainer.number("+8613800000001", NOON),
        lambda: explainer.number(number, NOON, ["autumn"]),
        lambda: explainer.lead(why.lead_id, NOON, ["summer"]),
        lambda: explainer.campaign("autumn", NOON),
    ):
        with pytest.raises(NoSuchLead):
            missing()
    campaign.lease()
    assert explainer.lead(why.lead_id, NOON)[0].in_hand_of == "engine-1"


def test_of_a_large_campaign_a_sample_tells(db: Engine) -> None:
    campaign = Campaign(db, leads=3 * EXACT)
    with db.begin() as connection:
        connection.execute(
            text("""INSERT INTO dnc (e164, layer, source, at) SELECT e164, 'national', 'x', now() FROM number
            WHERE right(e164, 1) IN ('1', '4', '7')""")
        )
    why = Explainer(db).campaign("spring", NOON)
    assert why.leads == 3 * EXACT and EXACT / 4 < why.looked_at < EXACT
    assert abs(why.held["dnc"].leads / why.leads - 0.3) < 0.03
    assert abs(why.callable / why.leads - 0.7) < 0.03
    assert campaign.lease()


def test_a_consent_opens_what_needs_one_and_its_end_closes_it(db: Engine) -> None:
    campaign = Campaign(db, leads=1, more='[rules]\nprofile = "cn-marketing"\n')
    consents, number = ConsentStore(db), "+8613800000000"
    assert campaign.lease() == []
    [first] = consents.give(number, "form 7", later(hours=1), later(days=30))
    assert consents.give(number, "form 7", later(hours=1)) == []
    [why] = Explainer(db).number(number, NOON)
    assert (why.reasons[0].reason, why.next_at) == ("consent", later(hours=1))
    [lead] = campaign.lease(at=later(hours=1))
    assert campaign.dial([lead], later(hours=1))
    assert campaign.one("SELECT consent_id FROM attempt")[0] == first
    campaign.record(AttemptEnded(at=later(hours=1), call_id=lead.call_id, outcome="busy", retry_at=NOON))
    assert consents.withdraw(number, later(hours=2)) == 1 and consents.withdraw(number, later(hours=3)) == 0
    assert campaign.lease(at=later(hours=2)) == []
    assert [c.withdrawn_at for c in consents.of(number)] == [later(hours=2)]


def test_consents_come_as_a_file_all_or_none(db: Engine, tmp_path: Path) -> None:
    consents, path = ConsentStore(db), tmp_path / "form.csv"
    path.write_text(
        "number,given,expires\n13800138000,2026-11-01,\n13800138001,2026-11-01T09:00+08:00,2027-11-01\n"
    )
    assert consents.load(path, "form 7") == 2 and consents.load(path, "form 7") == 0
    assert consents.of("+8613800138001")[0].expires_at == datetime.fromisoformat("2027-11-01T00:00+00:00")
    path.write_text("13800138002,2026-11-01\n13800138003\n")
    with pytest.raises(ConsentError, match="line 2: the second column"):
        consents.load(path, "form 7")
    assert consents.of("+8613800138002") == []


def test_every_attempt_says_what_allowed_it(db: Engine, tmp_path: Path) -> None:
    more = 'caller_ids = ["+862168880001"]\n[rules]\nprofile = "cn-insurance"\n'
    campaign = Campaign(db, leads=2, more=more)
    first, second = campaign.lease(2)
    assert campaign.dial([first, second]) == [first.call_id, second.call_id]
    with db.begin() as connection:  # a cell that a spreadsheet would run
        planted = text("UPDATE attempt SET caller_id = :cell WHERE call_id = CAST(:call AS uuid)")
        connection.execute(planted, {"cell": "=cmd|' /C calc'!A0", "call": second.call_id})
    campaign.record(AttemptEnded(at=NOON, call_id=first.call_id, outcome="busy"))
    assert campaign.one("SELECT count(*), count(DISTINCT basis_id) FROM attempt, permit_basis") == (2, 1)
    out = io.StringIO()
    calls = History(db, Files(tmp_path)).calls(later(hours=-1), later(hours=1), campaign_id=campaign.id)
    assert write_evidence(db, calls, out) == 2
    rows = {row["call_id"]: row for row in csv.DictReader(io.StringIO(out.getvalue()))}
    told = rows[first.call_id]
    assert (told["number"], told["caller_id"], told["outcome"]) == (first.number, "+862168880001", "busy")
    assert (told["profile"], told["profile_version"], told["campaign_version"]) == ("cn-insurance", "1", "1")
    assert (told["zones"], told["hours"]) == ("Asia/Shanghai", "tue 09:00-21:00")
    assert told["data"].startswith("tzdata ") and told["dialed_at"] == NOON.isoformat()
    assert rows[second.call_id]["caller_id"] == "'=cmd|' /C calc'!A0"


def test_a_layer_of_one_campaign_is_told_for_it(db: Engine) -> None:
    campaign = Campaign(db, leads=1)
    DncStore(db).add("+8613800000000", Layer("campaign", "x", campaign.id), NOON, "asked us")
    [why] = Explainer(db).number("+8613800000000", NOON)
    assert [r.detail for r in why.reasons] == ["on the campaign do-not-call list (x): asked us"]
    assert why.next_at is None and not why.permitted
