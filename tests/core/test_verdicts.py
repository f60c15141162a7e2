"""What an agent says of a call: the script is read out, answers are kept, and a verdict has what it asks for."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from campaigns.config import parse
from campaigns.records import Dispositioned, NotesSaved, OptedOut
from campaigns.trials.keys import Arm, Trial
from cti.messages import (
    DialPreviewed,
    Dispose,
    LogIn,
    LogOut,
    ReadScript,
    Ready,
    SaveNotes,
    ScreenPop,
    Script,
)
from tests.campaigns.test_script import SCRIPT, TREE
from tests.core.test_in_call import talking
from tests.core.world import CAMPAIGN, World, config, lead, replace_config

FULL = parse(
    'name = "x"\nswitch = "main"\n[crm]\nurl = "https://crm.example/{number}"\n' + SCRIPT + TREE, "x"
)


def called() -> tuple[World, str]:
    world = World(config(script=FULL.script, dispositions=FULL.dispositions, crm=FULL.crm))
    return world, talking(world)


def test_the_page_asks_for_the_script_that_the_pop_names() -> None:
    world, call_id = called()
    [pop] = [m for m in world.told if isinstance(m, ScreenPop)]
    assert world.command(ReadScript(user_id=7, call_id=call_id)).ok
    [script] = [m for m in world.told if isinstance(m, Script)]
    assert script.script == pop.script != ""
    assert [step.code for step in script.steps] == ["greeting", "broadband", "bill", "until"]
    assert pop.crm is not None
    assert pop.crm.url == f"https://crm.example/{pop.number.replace('+', '%2B')}"
    assert [(c.code, c.within, c.required) for c in pop.dispositions][1] == (
        "dear",
        "no",
        ("notes", "broadband"),
    )


def test_another_ones_script_is_not_told() -> None:
    world, _ = called()
    assert world.command(ReadScript(user_id=7, call_id="f" * 32)).code == "not_your_call"


def test_answers_are_kept_as_they_are_given() -> None:
    world, call_id = called()
    assert world.command(SaveNotes(user_id=7, call_id=call_id, notes="", answers={"bill": "99"})).ok
    [saved] = [r for r in world.records if isinstance(r, NotesSaved)]
    assert saved.answers == '{"bill":"99"}'
    wrong = SaveNotes(user_id=7, call_id=call_id, notes="", answers={"bill": "lots"})
    assert (world.command(wrong).code, world.command(wrong).detail) == ("bad_answer", "bill")


def test_who_wants_no_more_calls_is_barred_without_a_verdict_whatever_was_written_down() -> None:
    """The time for one has run out: the next customer is there."""
    world, call_id = called()
    assert world.command(SaveNotes(user_id=7, call_id=call_id, notes="half")).ok
    assert not barred(world)
    world.hang_up(f"zdc-{call_id}")
    world.command(Ready(user_id=7))
    asked = SaveNotes(user_id=7, call_id=call_id, notes="half", answers={"bill": "lots"}, do_not_call=True)
    assert world.command(asked).code == "bad_answer"
    assert barred(world) == [(call_id, lead(1).number, "agent")]


@pytest.mark.parametrize("ends", ["not yet", "skipped", "phone lost", "refused"])
def test_who_is_previewed_and_wants_no_calls_is_barred_by_their_number(ends: str) -> None:
    """There is no attempt that would know it."""
    world = World(config(mode="preview"))
    world.seat(7)
    assert world.core.show(7, lead(1), CAMPAIGN, world.at)
    if ends == "phone lost":
        world.hang_up(world.core.seats.by_user[7].leg)
    elif ends != "not yet":
        assert world.command(DialPreviewed(user_id=7, call_id=lead(1).call_id, skip=ends == "skipped")).ok
    if ends == "refused":
        world.core.refused(lead(1).call_id, "dnc", world.at)
        world.run()
    assert world.command(SaveNotes(user_id=7, call_id=lead(1).call_id, notes="", do_not_call=True)).ok
    assert barred(world) == [(lead(1).call_id, lead(1).number, "agent")]


@pytest.mark.parametrize("at", ["preview", "call", "wrap-up"])
def test_what_was_ticked_when_the_seat_was_logged_out_holds_and_no_verdict_is_taken_of_it(at: str) -> None:
    """By a supervisor, say: the page hears of it when it is so."""
    world = World(config(mode="preview")) if at == "preview" else World()
    if at == "preview":
        world.seat(7)
        call_id = lead(1).call_id
        assert world.core.show(7, lead(1), CAMPAIGN, world.at)
    else:
        call_id = talking(world)
    if at == "wrap-up":
        world.hang_up(f"zdc-{call_id}")
    world.command(LogOut(user_id=7))
    said = SaveNotes(user_id=7, call_id=call_id, notes="half", do_not_call=True)
    assert world.command(said).ok
    assert barred(world) == [(call_id, lead(1).number, "agent")]
    assert [r.notes for r in world.records if isinstance(r, NotesSaved)] == ["half"]
    assert world.command(msgspec.structs.replace(said, call_id="f" * 32)).code == "not_your_call"
    assert world.command(Dispose(user_id=7, call_id=call_id, code="sold")).code == "not_at_seat"


def barred(world: World) -> list[tuple[str, str, str]]:
    return [(r.call_id, r.number, r.source) for r in world.records if isinstance(r, OptedOut)]


def test_a_verdict_waits_for_what_it_asks_for_and_a_heading_is_none() -> None:
    world, call_id = called()

    def say(**fields: object) -> str:
        return world.command(Dispose(user_id=7, call_id=call_id, **fields)).code  # type: ignore[arg-type]

    assert say(code="no") == "unknown_disposition"
    assert say(code="dear") == "needs_notes"
    assert say(code="dear", notes=" \n") == "needs_notes"
    assert say(code="dear", notes="99 elsewhere") == "needs_answer"
    assert not [r for r in world.records if isinstance(r, Dispositioned)]
    assert say(code="dear", notes="99 elsewhere", answers={"broadband": "ours"}) == "ok"
    [said] = [r for r in world.records if isinstance(r, Dispositioned)]
    assert said.answers == '{"broadband":"ours"}'


def test_each_arm_has_its_script_and_its_answers() -> None:
    arm = Arm("gift", script=FULL.script[:1])
    world = World(
        config(script=FULL.script, trial=Trial((Arm("plain"), arm)), dispositions=FULL.dispositions)
    )
    world.arm = "gift"
    call_id = talking(world)
    [pop] = [m for m in world.told if isinstance(m, ScreenPop)]
    assert world.command(ReadScript(user_id=7, call_id=call_id)).ok
    [script] = [m for m in world.told if isinstance(m, Script)]
    assert script.script == pop.script and [step.code for step in script.steps] == ["greeting"]
    asked = SaveNotes(user_id=7, call_id=call_id, notes="", answers={"bill": "99"})
    assert (
        world.command(asked).code == "bad_answer"
    )  # the campaign's own script asks for it, this one does not


def test_a_call_counts_as_a_machine_once_however_often_its_verdict_is_given() -> None:
    """Each one more would let more people be abandoned than the law allows."""
    law = parse('name = "x"\nswitch = "main"\n[abandon]\nprofile = "uk"\n', "x").abandon
    world = World(config(abandon=law))
    ledger = world.core.campaigns[CAMPAIGN].ledger
    ledger.seed(world.at, connected=9, hung_up=0, abandoned=0)
    first = talking(world)
    for code in ("machine", "sold", "machine"):
        assert world.command(Dispose(user_id=7, call_id=first, code=code)).ok
    assert ledger.answered == pytest.approx(9.0)  # ten were connected
    world.hang_up(f"zdc-{first}")
    world.command(Ready(user_id=7))
    [second] = world.dial()
    world.answer(f"zdc-{second}")
    world.join_all()
    assert world.command(Dispose(user_id=7, call_id=second, code="machine")).ok
    assert ledger.answered == pytest.approx(9.0)  # eleven


def test_a_verdict_that_comes_late_is_judged_by_its_own_customer() -> None:
    """The next one is there already: of another campaign, with other results, in another zone."""
    world = World(config(script=FULL.script, dispositions=FULL.dispositions))
    world.core.configure(2, replace_config(config(), name="summer"), world.at)
    world.command(LogIn(user_id=7, name="u7", phone="seat7", campaigns=("spring", "summer")))
    world.answer(world.core.seats.by_user[7].leg)
    world.command(Ready(user_id=7))
    [first] = world.dial()
    world.answer(f"zdc-{first}")
    world.join_all()
    world.hang_up(f"zdc-{first}")
    world.command(Ready(user_id=7))
    far = msgspec.structs.replace(lead(2), campaign_id=2, zones=("America/New_York",))
    world.core.reserve([far], "summer", world.at)
    world.run()
    world.core.permitted(far.call_id, "", world.at)
    world.run()
    world.answer(f"zdc-{far.call_id}")
    assert world.core.seats.by_user[7].call == far.call_id
    late = Dispose(user_id=7, call_id=first, code="dear", notes="99", answers={"broadband": "ours"})
    late = msgspec.structs.replace(late, callback_local="2026-11-25T15:30")
    assert world.command(late).code == "ok"
    [said] = [r for r in world.records if isinstance(r, Dispositioned)]
    assert said.callback_at == datetime(2026, 11, 25, 7, 30, tzinfo=UTC)  # in Shanghai
