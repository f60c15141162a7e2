"""Many leads asked about at one instant: each is answered as if it were the only one."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from campaigns.rules.alike import Alike
from campaigns.rules.decision import NEVER_CALLED, Barred, Called, Consent, may_call
from campaigns.rules.facts import LeadRow, facts_of
from campaigns.rules.keys import Rules
from campaigns.rules.known import NOTHING, Known
from campaigns.rules.terms import terms_of
from tests.campaigns.test_rules import INSTANTS, NUMBERS, RULES, UNHURRIED, ZONES

SELDOM = st.sampled_from([False] * 5 + [True])


@st.composite
def many(draw: st.DrawFn) -> tuple[datetime, list[tuple[LeadRow, Known]]]:
    now = draw(INSTANTS)
    near = st.builds(lambda s: now + timedelta(seconds=s), st.integers(-90_000, 90_000))
    long_ago = st.builds(lambda h: now - timedelta(hours=h), st.integers(24, 24 * 32))
    calls = st.builds(
        lambda at, older: Called(tuple((each, 1) for each in at), len(at) + older),
        st.lists(near | long_ago, max_size=4),
        st.integers(0, 3),
    )

    def row(at: int) -> tuple[LeadRow, Known]:
        customer = draw(st.sampled_from([None, "K7"]))
        lead = LeadRow(
            lead_id=at,
            call_id="",
            lease_owner=None,
            lease_number=None,
            campaign_id=1,
            customer_id=customer,
            region=draw(st.sampled_from(["", "", "US-FL", "Florida"])),
            zones=" ".join(draw(st.lists(st.sampled_from(ZONES), max_size=2))),
            open=not draw(SELDOM),
            next_at=draw(near) if draw(SELDOM) else now,
            number_id=at,
            e164=draw(NUMBERS),
            attempts=draw(st.integers(1, 4)) if draw(SELDOM) else 0,
            ordinal=1,
            done=draw(SELDOM),
            change=1,
            place=at,
            name="",
            attributes="{}",
            list_id=1,
            lane=draw(st.integers(0, 1)),
            promised=at if draw(SELDOM) else None,
        )
        if draw(SELDOM):
            return lead, NOTHING
        return lead, Known(
            locked_until=draw(near) if draw(SELDOM) else None,
            lock="abandoned",
            dnc=(Barred("national", "+1", "x", "", draw(near)),) if draw(SELDOM) else (),
            consents=(Consent(1, draw(near)),) if draw(SELDOM) else (),
            called=draw(calls),
            customer=draw(calls) if customer else NEVER_CALLED,
        )

    return now, [row(at) for at in range(draw(st.integers(1, 12)))]


@UNHURRIED
@given(asked=many(), rules=RULES, others=st.integers(0, 2), in_call=st.frozensets(st.integers(0, 11)))
def test_each_is_answered_as_if_it_were_the_only_one(
    asked: tuple[datetime, list[tuple[LeadRow, Known]]], rules: Rules, others: int, in_call: frozenset[int]
) -> None:
    now, rows = asked
    terms = terms_of(rules)
    alike = Alike(terms, now)
    for row, known in rows:
        attempts = row.attempts + others
        busy = row.lead_id in in_call
        alone = may_call(facts_of(row, known, attempts, "", in_call=busy), terms, now)
        assert alike.ask(row, known, attempts, busy) == alone
