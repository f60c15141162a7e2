"""What the parts of a campaign count is on record with the calls, once; who has lost the switch tells nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from sqlalchemy import Engine, text

from campaigns.parts import OVER_S, Figures, PartStore, Told, counted
from campaigns.records import AttemptConnected, AttemptEnded, Dispositioned
from tests.campaigns.test_journal_store import dialed
from tests.campaigns.test_ownership import owner, patient, runs_out
from tests.campaigns.world import NOON, Campaign, later


def on_record(db: Engine, campaign: Campaign) -> Mapping[str, Figures]:
    with db.connect() as connection:
        return counted(connection, campaign.id)


def test_each_call_counts_once_whoever_tells_of_it_again(db: Engine) -> None:
    campaign = Campaign(db, leads=5)
    sold, machine, left, lost, unjudged = (dialed(campaign) for _ in range(5))
    ended = [
        AttemptEnded(at=later(minutes=1), call_id=call.call_id, outcome=outcome, split=True)
        for call, outcome in ((sold, "connected"), (left, "hung_up"), (lost, "abandoned"))
    ]
    ended.append(  # while the detection listened
        AttemptEnded(
            at=later(minutes=1), call_id=unjudged.call_id, outcome="hung_up", amd="HANGUP", split=True
        )
    )
    connected = [
        AttemptConnected(at=NOON, call_id=call.call_id, user_id=7, split=True) for call in (sold, machine)
    ]
    verdict = Dispositioned(at=NOON, call_id=machine.call_id, user_id=7, code="machine", machine=True)
    campaign.record(*connected, *ended, verdict)
    assert on_record(db, campaign) == {"main": Figures(2, 1, 1, 1)}
    # An engine that was away replays what it knew: the first outcome is the one.
    campaign.record(connected[0], *ended, verdict)
    campaign.record(AttemptEnded(at=NOON, call_id=left.call_id, outcome="abandoned", split=True))
    assert on_record(db, campaign) == {"main": Figures(2, 1, 1, 1)}
    window, recorded = PartStore(db, dict).window(
        campaign.id, timedelta(days=1), later(minutes=2), ["machine"]
    )
    assert (window, recorded) == ((2, 1, 1, 1), {"main": Figures(2, 1, 1, 1)})


def test_a_campaign_on_one_switch_counts_nothing_there(db: Engine) -> None:
    campaign = Campaign(db)
    lead = dialed(campaign)
    campaign.record(AttemptEnded(at=NOON, call_id=lead.call_id, outcome="abandoned"))
    assert on_record(db, campaign) == {}


def _tells(store: PartStore, campaign: Campaign, held: float) -> Sequence[Told]:
    """Tell that the part on `main` holds so much; what was heard."""
    told = {"main": (held, Figures(connected=3))}
    found, _ = store.exchange(campaign.id, {"main": 5}, lambda parts: told)
    return found


def test_who_has_lost_the_switch_tells_nothing_of_its_part(db: Engine) -> None:
    campaign, a, b = Campaign(db), owner(db), owner(db, "b")
    a.turn()
    stores = {each: PartStore(db, lambda each=each: each.tokens) for each in (a, b)}  # type: ignore[misc]
    assert _tells(stores[a], campaign, 4.0) == []
    [told] = _tells(stores[a], campaign, 2.5)
    assert (told.switch, told.engine, told.alive, told.seats, told.held) == ("main", "a", True, 5, 4.0)
    runs_out(db)
    patient(b).turn()
    _tells(stores[a], campaign, 9.0)
    [told] = _tells(stores[b], campaign, 1.0)
    assert (told.engine, told.held, told.told) == ("b", 2.5, Figures(connected=3))


def test_a_part_whose_engine_is_long_gone_holds_nothing(db: Engine) -> None:
    """None of its calls can be in the air any more."""
    campaign, a = Campaign(db), owner(db)
    a.turn()
    _tells(PartStore(db, lambda: a.tokens), campaign, 4.0)
    for seconds, held in ((OVER_S - 10, 4.0), (OVER_S, 0.0)):
        gone = f"UPDATE switch_lease SET until = clock_timestamp() - interval '{seconds} s'"
        with db.begin() as connection:
            connection.execute(text(gone))
        [told] = _tells(PartStore(db, dict), campaign, 9.0)
        assert (told.held, told.alive) == (held, False)


def test_a_part_that_whoever_has_its_switch_now_tells_nothing_of_holds_nothing(db: Engine) -> None:
    """The campaign was taken off the switch between the two."""
    campaign, a, b = Campaign(db), owner(db), owner(db, "b")
    a.turn()
    _tells(PartStore(db, lambda: a.tokens), campaign, 4.0)
    runs_out(db)
    patient(b).turn()
    for seconds, seats, held in ((0, 5, 4.0), (OVER_S - 10, 5, 4.0), (OVER_S, 0, 0.0)):
        with db.begin() as connection:
            passed = f"clock_timestamp() - interval '{seconds} s'"
            connection.execute(text(f"UPDATE switch_lease SET since = {passed}"))
            connection.execute(text(f"UPDATE campaign_part SET at = {passed} - interval '5 s'"))
        [told] = _tells(PartStore(db, dict), campaign, 9.0)
        assert (told.engine, told.alive, told.seats, told.held) == ("b", True, seats, held)


def test_what_a_part_learned_is_kept_with_it(db: Engine) -> None:
    campaign, a = Campaign(db), owner(db)
    a.turn()
    store = PartStore(db, lambda: a.tokens)
    _tells(store, campaign, 0.0)
    store.keep_learned(campaign.id, "main", "{}")
    _tells(store, campaign, 1.0)
    assert store.learned(campaign.id) == {"main": "{}"}
