"""Several engines on one database: which of them has a switch, and what the others may not do."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from campaigns import database, ownership
from campaigns.hopper import Hopper
from campaigns.ownership import (
    CALM_S,
    MOST_HANDED,
    OFFER_S,
    OUT_OF_REACH_S,
    NameTaken,
    Ownership,
)
from campaigns.values import Ask, Lead, Permit, Refusal, RefusalReason
from tests.campaigns.test_by_hand import BY
from tests.campaigns.world import NOON, Campaign


def owner(db: Engine, name: str = "a", home: str | None = None) -> Ownership:
    return Ownership(db, name, home or f"folder of {name}", ("main",), f"http://{name}")


def runs_out(db: Engine) -> None:
    """Nobody renews for longer than a lease lasts."""
    with db.begin() as connection:
        connection.execute(text("UPDATE switch_lease SET until = clock_timestamp() - interval '1 s'"))
        connection.execute(text("UPDATE engine SET until = clock_timestamp() - interval '1 s'"))


def patient(each: Ownership) -> Ownership:
    """It has been there for longer than a lease lasts, and the database answered all the time."""
    each._answered_since = float("-inf")
    return each


def test_the_first_has_the_switch_and_the_second_stands_by(db: Engine) -> None:
    a, b = owner(db), patient(owner(db, "b"))
    assert a.turn().taken == {"main": "a"} and b.turn().taken == {}
    assert a.turn().lost == frozenset() and a.tokens == {"main": 1}
    seen = b.turn().engines
    assert [(each.name, each.address, each.alive, each.switches) for each in seen] == [
        ("a", "http://a", True, ("main",)),
        ("b", "http://b", True, ()),
    ]


def test_what_is_given_up_is_the_others_at_once_and_a_dead_ones_when_it_ran_out(db: Engine) -> None:
    a, b = owner(db), owner(db, "b")
    a.turn()
    a.release()
    assert b.turn().taken == {"main": "a"} and b.tokens == {"main": 2}
    runs_out(db)
    assert patient(a).turn().taken == {"main": "b"} and a.tokens == {"main": 3}
    assert b.turn().lost == {"main"} and b.tokens == {}


def test_after_the_database_was_away_the_owner_has_time_to_renew(db: Engine) -> None:
    a, b = owner(db), owner(db, "b")
    a.turn()
    runs_out(db)
    assert b.turn().taken == {}  # it has only just been answered
    assert a.turn().lost == frozenset() and patient(b).turn().taken == {}


def test_an_engine_that_starts_again_has_its_own_at_once_with_a_new_token(db: Engine) -> None:
    owner(db).turn()
    again = owner(db)
    assert again.turn().taken == {"main": "a"} and again.tokens == {"main": 2}


def test_a_taking_that_the_database_breaks_off_permits_nothing_and_is_done_once_more(
    db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(connection: object) -> None:
        raise OperationalError("", {}, Exception("gone"))

    a, b = owner(db), patient(owner(db, "b"))
    a.turn()
    runs_out(db)
    with monkeypatch.context() as broken:
        broken.setattr(ownership, "engines", gone)
        with pytest.raises(OperationalError):
            b.turn()
    assert b.tokens == {}
    assert b.turn().taken == {"main": "a"} and b.tokens == {"main": 3}


def test_a_name_is_one_engines(db: Engine) -> None:
    a = owner(db)
    a.turn()
    twin = owner(db, home="another folder")
    with pytest.raises(NameTaken, match="give this one another name"):
        twin.turn()
    runs_out(db)
    twin.turn()  # the first is gone: its folder may have been moved


def test_an_engine_that_slept_places_no_call(db: Engine) -> None:
    campaign = Campaign(db, leads=4)
    a, b = owner(db), patient(owner(db, "b"))
    a.turn()
    hopper = Hopper(db, "a", lambda: a.tokens)
    dialed, late = hopper.lease(campaign.id, 2, NOON)
    assert isinstance(_asked(hopper, dialed), Permit)
    runs_out(db)
    assert b.turn().taken == {"main": "a"}
    answer = _asked(hopper, late)
    assert isinstance(answer, Refusal) and answer.reason is RefusalReason.LEASE_LOST
    assert hopper.lease(campaign.id, 2, NOON) == [] and hopper.lease_callbacks(campaign.id, [1], NOON) == []
    by_hand = hopper.lease_number(campaign.id, "+8613800000003", BY, NOON)
    assert isinstance(by_hand, Refusal) and by_hand.reason is RefusalReason.LEASE_LOST
    assert campaign.one("SELECT count(*) FROM attempt")[0] == 1
    [other] = Hopper(db, "b", lambda: b.tokens).lease(campaign.id, 1, NOON)
    assert isinstance(_asked(Hopper(db, "b", lambda: b.tokens), other), Permit)


def test_what_a_sleeper_left_open_holds_nobody_up(db: Engine) -> None:
    asleep = database.connect(db.url.render_as_string(hide_password=False), name=database.session_name("a"))
    a, b = owner(asleep), patient(owner(db, "b"))
    a.turn()
    with asleep.connect() as connection:  # in the middle of an authorization, for as long as it sleeps
        connection.execute(text("SELECT FROM switch_lease FOR KEY SHARE"))
        runs_out(db)
        assert b.turn().taken == {"main": "a"}
        with pytest.raises(database.SQLAlchemyError):
            connection.execute(text("SELECT 1"))
    asleep.dispose()


def _asked(hopper: Hopper, lead: Lead) -> Permit | Refusal:
    return hopper.authorize([Ask(lead.call_id, "main")], NOON)[lead.call_id]


def longer(db: Engine, seconds: float, *columns: str) -> None:
    """So much time passes for these."""
    with db.begin() as connection:
        for column in columns:
            values = {"s": seconds}
            connection.execute(
                text(f"UPDATE switch_lease SET {column} = {column} - make_interval(secs => :s)"), values
            )


def out(seconds: float) -> dict[str, float]:
    return {"main": seconds}


def test_a_switch_that_its_engine_does_not_reach_goes_to_the_one_that_offers(db: Engine) -> None:
    a, b, c = owner(db), owner(db, "b"), owner(db, "c")
    a.turn()
    assert not a.turn(out(OUT_OF_REACH_S - 0.1)).offers and b.turn().asked == () and not b.offer("main")
    a.turn(out(OUT_OF_REACH_S))
    assert b.turn().asked == c.turn().asked == ("main",)
    assert b.offer("main") and b.offer("main") and not c.offer("main")  # one at a time, as long as it holds
    assert a.turn(out(12.0)).offers == {"main": "b"}
    a.hand({"main": "b"})
    assert a.tokens == {} and a.turn().taken == {} and c.turn().taken == {}  # the offerer's before anybody's
    assert b.turn().taken == {"main": "a"} and b.tokens == {"main": 2}
    assert a.turn().asked == ()


def test_who_reaches_it_again_keeps_it_and_an_offer_that_is_old_is_none(db: Engine) -> None:
    a, b = owner(db), owner(db, "b")
    a.turn()
    a.turn(out(OUT_OF_REACH_S))
    assert b.offer("main")
    assert not a.turn().offers and b.turn().asked == () and not b.offer("main")
    a.turn(out(OUT_OF_REACH_S))
    longer(db, OFFER_S, "offered_until")
    assert not a.turn(out(OUT_OF_REACH_S)).offers


def test_an_heir_that_is_gone_holds_nobody_up(db: Engine) -> None:
    a, b = owner(db), owner(db, "b")
    a.turn()
    a.turn(out(OUT_OF_REACH_S))
    b.offer("main")
    a.hand({"main": "b"})
    longer(db, OFFER_S, "offered_until")
    assert a.turn().taken == {"main": "a"}


def test_a_switch_that_goes_to_and_fro_is_handed_over_more_and_more_slowly(db: Engine) -> None:
    here, there = owner(db), owner(db, "b")
    here.turn()
    waits = []
    for _ in range(MOST_HANDED + 2):
        wait_s = OUT_OF_REACH_S
        while not (here.turn(out(wait_s)), there.offer("main"))[1]:
            wait_s *= 2
        waits.append(wait_s)
        here.hand({"main": here.turn(out(wait_s)).offers["main"]})
        here, there = there, here
        assert here.turn().taken
    assert waits == [10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 320.0]
    longer(db, CALM_S, "since")
    here.turn(out(OUT_OF_REACH_S))
    assert there.offer("main")


def test_what_an_engine_opened_since_it_gave_up_is_left_alone(db: Engine) -> None:
    """It has begun anew, under the same name, before the next one looks."""
    a, b = owner(db), owner(db, "b")
    a.turn()
    a.release()
    anew = database.connect(db.url.render_as_string(hide_password=False), name=database.session_name("a"))
    with anew.connect() as connection:
        connection.execute(text("SELECT 1"))
        assert b.turn().taken == {"main": "a"}
        assert connection.execute(text("SELECT 1")).scalar() == 1
    anew.dispose()


def _of_two(db: Engine, name: str, own: str, standby: str) -> Ownership:
    """It has one switch as its own, and stands by for the other."""
    return patient(Ownership(db, name, f"folder of {name}", (own, standby), f"http://{name}", (standby,)))


def test_who_stands_by_leaves_a_switch_to_the_engine_whose_own_it_is(db: Engine) -> None:
    a, b = _of_two(db, "a", "east", "west"), _of_two(db, "b", "west", "east")
    assert b.turn().taken == {"west": "b"}  # the other one may be about to start
    assert a.turn().taken == {"east": "a"}
    a.release()
    assert b.turn().taken == {}  # and to start anew, so for a while only
    assert a.turn().taken == {"east": "a"}
    b.turn()
    runs_out(db)
    assert b.turn().taken == {"east": "a"}  # it is dead: at once
    assert a.turn().lost == {"east"}


def test_a_switch_that_nobody_has_for_long_is_whose_is_there(
    db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = _of_two(db, "b", "west", "east")
    assert b.turn().taken == {"west": "b"} and b.turn().taken == {}
    monkeypatch.setattr("campaigns.ownership.STAND_BACK_S", 0.0)
    assert b.turn().taken == {"east": "b"}
