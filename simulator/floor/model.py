"""The call centre itself: what happens at each event, and when the next one is. The only implementation there is.

Everything is a plain function over sequences of numbers, so that the same source runs twice: as it is over lists, for
laws that are written in Python, and compiled by numba over arrays for the plain ones (simulator/floor/compiled.py).
Both take the same steps in the same order with the same arithmetic, so their results agree to the bit. Hence the
rules here: no objects, no strings, no random numbers (they come drawn, see simulator/floor/fates.py), and of
arithmetic only what IEEE 754 fixes.

Time is in seconds from the start. The agenda is a heap of (time, number, kind, what): events at one time come in the
order in which they were put there.
"""

from __future__ import annotations

from collections.abc import MutableSequence
from heapq import heappop, heappush
from math import floor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = MutableSequence[int]
Floats = MutableSequence[float]
Agenda = list[tuple[float, int, int, int]]

BUCKET_S = 300.0
NONE = -1

# Kinds of event; `what` is a call, a seat or a campaign.
RINGS, RUNG, VERDICT, GIVES_UP, TALKED, WRAPPED, TURN, CALLS_IN = range(8)

# States of a seat.
AWAY, IDLE, TALK, WRAP = range(4)

# How a dial ends, and what a call is doing.
PERSON, MACHINE, NO_ANSWER, BUSY, FAILED = range(5)
FREE, IN_AIR, WAITING, TALKING = range(4)

# What is told to the law, as places in simulator/floor/run.py's table of stages.
(
    TOLD_DIALED,
    TOLD_RINGING,
    TOLD_ANSWERED,
    TOLD_HUMAN,
    TOLD_CONNECTED,
    TOLD_MACHINE,
    TOLD_NO_ANSWER,
    TOLD_BUSY,
    TOLD_FAILED,
    TOLD_HUNG_UP,
    TOLD_ABANDONED,
    TOLD_ENDED,
    TOLD_OFFERED,
) = range(13)
OF_SEAT, OF_CALL = 0, 1
LEAVING, GONE = 1, 2

# What is tallied for each campaign and bucket; of a person in the bucket in which they began to wait.
(
    DIALS,
    CONNECTED,
    ABANDONED,
    HUNG_UP,
    WAITED_S,
    MISJUDGED,  # people taken for machines
    MACHINES_SEATED,
    OFFERED,
    SERVED,
    LEFT,
    QUEUED,  # of those offered: found no free seat
    INBOUND_WAITED_S,
    TURNED_AWAY,  # no line was free
) = range(13)
TALLIES = 13

# Places in `count` and `clock`.
EVENTS, NUMBER, SERIAL, FREE_LINES, FREE_SLOT, NOTES, IDLE_NUMBER = range(7)
COUNTS = 7
NOW, ASKED, TOKENS, TOKENS_AT = range(4)
CLOCKS = 4

NO_RATE = 0.0
PLENTY = 1_000_000


class Floor(NamedTuple):
    """All there is to know of a floor at one moment."""

    end: float
    ask_every: float
    calls_per_s: float
    minutes: int
    buckets: int
    campaigns: int
    groups: int
    block: int
    count: Ints
    clock: Floats
    # seats
    group: Ints
    state: Ints
    since: Floats
    wrap_s: Floats
    leaving: Ints
    ahead: Ints  # idle seats of one group, the longest idle first
    behind: Ints
    idle_number: Ints
    turn: Ints  # place of the next turn in `turns`
    last_turn: Ints
    turns: Floats
    # groups of seats
    serves: Ints  # groups x campaigns
    idle_first: Ints
    idle_last: Ints
    idle: Ints
    # calls, by line
    of: Ints
    serial: Ints
    lead: Ints
    doing: Ints
    outcome: Ints
    inbound: Ints
    seat: Ints
    next: Ints  # people who wait for one campaign, the longest waiting first; or the next free line
    previous: Ints
    rings_s: Floats
    listens_s: Floats
    talk_s: Floats
    then_wrap_s: Floats
    stays_s: Floats
    wrong: Ints
    waits_since: Floats
    leaves_at: Floats
    # campaigns
    order: Ints  # the highest priority first
    priority: Ints
    dialed: Ints
    in_block: Ints
    leads: Ints
    in_air: Ints
    waiting_first: Ints
    waiting_last: Ints
    waiting: Ints
    next_caller: Ints
    last_caller: Ints
    busy_after_s: Floats
    failed_after_s: Floats
    ring_limit_s: Floats
    connect_limit_s: Floats
    person_wrong: Floats
    machine_wrong: Floats
    listens: Ints
    # campaigns x minutes
    person: Floats
    machine: Floats
    busy: Floats
    failed: Floats
    # campaigns x block: the leads at hand
    fate: Floats
    factor: Floats
    fate_setup: Floats
    fate_ring: Floats
    fate_machine_ring: Floats
    fate_talk: Floats
    fate_wrap: Floats
    fate_patience: Floats
    fate_verdict: Floats
    fate_detection: Floats
    fate_machine_talk: Floats
    # callers of all campaigns, one after the other
    caller_at: Floats
    caller_talk: Floats
    caller_wrap: Floats
    caller_patience: Floats
    # figures
    spent: Floats  # states x buckets, seconds of all seats
    tally: Floats  # campaigns x tallies x buckets
    # what is told to the law
    note_of: Ints
    note_id: Ints
    note_what: Ints
    note_more: Ints  # a call's seat, a seat's flags
    note_campaign: Ints
    note_lead: Ints


def put(s: Floor, agenda: Agenda, at: float, kind: int, what: int) -> None:
    """Write an event into the agenda."""
    s.count[NUMBER] += 1
    heappush(agenda, (at, s.count[NUMBER], kind, what))


def note(s: Floor, of: int, who: int, what: int, more: int, campaign: int, lead: int) -> None:
    """Keep something to be told to the law."""
    place = s.count[NOTES]
    s.note_of[place] = of
    s.note_id[place] = who
    s.note_what[place] = what
    s.note_more[place] = more
    s.note_campaign[place] = campaign
    s.note_lead[place] = lead
    s.count[NOTES] = place + 1


def tell_call(s: Floor, call: int, stage: int) -> None:
    """Tell a stage of a call."""
    note(s, OF_CALL, s.serial[call], stage, s.seat[call], s.of[call], s.lead[call])


def tell_seat(s: Floor, seat: int, flags: int) -> None:
    """Tell the state of a seat."""
    note(s, OF_SEAT, seat, s.state[seat], flags, s.group[seat], NONE)


def tally(s: Floor, campaign: int, what: int, at: float, how_much: float) -> None:
    """Add to a campaign's figures."""
    s.tally[(campaign * TALLIES + what) * s.buckets + min(int(at / BUCKET_S), s.buckets - 1)] += how_much


def enter(s: Floor, seat: int, state: int) -> None:
    """Change a seat's state; the time in the old one is booked to the buckets it lay in."""
    now = s.clock[NOW]
    since = s.since[seat]
    bucket = int(since / BUCKET_S)
    row = s.state[seat] * s.buckets
    edge = (bucket + 1) * BUCKET_S
    while edge < now:
        s.spent[row + bucket] += edge - since
        since = edge
        bucket += 1
        edge = (bucket + 1) * BUCKET_S
    if now > since:
        s.spent[row + bucket] += now - since
    s.since[seat] = now
    s.state[seat] = state


def leave_idle(s: Floor, seat: int) -> None:
    """Take a seat out of its group's idle ones."""
    group = s.group[seat]
    ahead = s.ahead[seat]
    behind = s.behind[seat]
    if ahead == NONE:
        s.idle_first[group] = behind
    else:
        s.behind[ahead] = behind
    if behind == NONE:
        s.idle_last[group] = ahead
    else:
        s.ahead[behind] = ahead
    s.idle[group] -= 1


def leave_queue(s: Floor, call: int) -> None:
    """Take a person out of those who wait."""
    campaign = s.of[call]
    before = s.previous[call]
    after = s.next[call]
    if before == NONE:
        s.waiting_first[campaign] = after
    else:
        s.next[before] = after
    if after == NONE:
        s.waiting_last[campaign] = before
    else:
        s.previous[after] = before
    s.waiting[campaign] -= 1


def seat_for(s: Floor, campaign: int) -> int:
    """The seat that has been idle longest of those that serve the campaign."""
    best = NONE
    for group in range(s.groups):
        if s.serves[group * s.campaigns + campaign]:
            first = s.idle_first[group]
            if first != NONE and (best == NONE or s.idle_number[first] < s.idle_number[best]):
                best = first
    return best


def person_for(s: Floor, seat: int) -> int:
    """The person who has waited longest for the highest priority that the seat serves."""
    best = NONE
    row = s.group[seat] * s.campaigns
    for place in range(s.campaigns):
        campaign = s.order[place]
        first = s.waiting_first[campaign]
        if first == NONE or not s.serves[row + campaign]:
            continue
        if best == NONE:
            best = first
        elif s.priority[campaign] < s.priority[s.of[best]]:
            break
        elif s.waits_since[first] < s.waits_since[best]:
            best = first
    return best


def new_call(s: Floor, campaign: int, inbound: int) -> int:
    """Take a line for a call."""
    call = s.count[FREE_SLOT]
    s.count[FREE_SLOT] = s.next[call]
    s.count[FREE_LINES] -= 1
    s.count[SERIAL] += 1
    s.serial[call] = s.count[SERIAL]
    s.of[call] = campaign
    s.inbound[call] = inbound
    s.seat[call] = NONE
    s.doing[call] = IN_AIR
    s.wrong[call] = 0
    return call


def release(s: Floor, call: int) -> None:
    """The call is over; its line is free."""
    s.doing[call] = FREE
    s.next[call] = s.count[FREE_SLOT]
    s.count[FREE_SLOT] = call
    s.count[FREE_LINES] += 1


def dial(s: Floor, agenda: Agenda, campaign: int) -> int:
    """Dial the campaign's next lead. A line must be free and the lead's block be drawn. Returns the call."""
    now = s.clock[NOW]
    call = new_call(s, campaign, 0)
    s.lead[call] = s.dialed[campaign]
    s.dialed[campaign] += 1
    place = campaign * s.block + s.in_block[campaign]
    s.in_block[campaign] += 1
    s.in_air[campaign] += 1
    tally(s, campaign, DIALS, now, 1.0)
    tell_call(s, call, TOLD_DIALED)

    share = s.fate[place]
    minute = campaign * s.minutes + int(now / 60.0)
    machine = 1.0 - s.machine[minute]
    failed = machine - s.failed[minute]
    limit = s.ring_limit_s[campaign]
    rings = limit
    outcome = NO_ANSWER
    if share < s.person[minute] * s.factor[place]:
        if s.fate_ring[place] <= limit:
            outcome = PERSON
            rings = s.fate_ring[place]
    elif share >= machine:
        if s.fate_machine_ring[place] <= limit:
            outcome = MACHINE
            rings = s.fate_machine_ring[place]
    elif share >= failed:
        outcome = FAILED
    elif share >= failed - s.busy[minute]:
        outcome = BUSY
    s.outcome[call] = outcome
    s.rings_s[call] = rings
    if outcome == FAILED:
        put(s, agenda, now + s.failed_after_s[campaign], RUNG, call)
        return call
    if outcome == BUSY:
        put(s, agenda, now + s.fate_setup[place] + s.busy_after_s[campaign], RUNG, call)
        return call
    if outcome == PERSON:
        s.talk_s[call] = s.fate_talk[place]
        s.then_wrap_s[call] = s.fate_wrap[place]
        s.stays_s[call] = s.fate_patience[place]
        s.wrong[call] = 1 if s.fate_verdict[place] < s.person_wrong[campaign] else 0
    elif outcome == MACHINE:
        s.talk_s[call] = s.fate_machine_talk[place]
        s.then_wrap_s[call] = 0.0
        s.stays_s[call] = s.fate_machine_talk[place]
        s.wrong[call] = 1 if s.fate_verdict[place] < s.machine_wrong[campaign] else 0
    s.listens_s[call] = s.fate_detection[place]
    put(s, agenda, now + s.fate_setup[place], RINGS, call)
    return call


def rung(s: Floor, agenda: Agenda, call: int) -> None:
    """It does not ring any more: somebody answers, or the dial has ended without."""
    outcome = s.outcome[call]
    if outcome == PERSON or outcome == MACHINE:
        tell_call(s, call, TOLD_ANSWERED)
        if s.listens[s.of[call]]:
            put(s, agenda, s.clock[NOW] + s.listens_s[call], VERDICT, call)
        else:
            judge(s, agenda, call)
        return
    s.in_air[s.of[call]] -= 1
    if outcome == NO_ANSWER:
        tell_call(s, call, TOLD_NO_ANSWER)
    elif outcome == BUSY:
        tell_call(s, call, TOLD_BUSY)
    else:
        tell_call(s, call, TOLD_FAILED)
    release(s, call)


def judge(s: Floor, agenda: Agenda, call: int) -> None:
    """Detection has its verdict, right or wrong: a person gets a seat, a machine is hung up on."""
    campaign = s.of[call]
    if (s.outcome[call] == PERSON) == (s.wrong[call] == 0):
        tell_call(s, call, TOLD_HUMAN)
        arrive(s, agenda, call)
        return
    if s.wrong[call]:
        tally(s, campaign, MISJUDGED, s.clock[NOW], 1.0)
    s.in_air[campaign] -= 1
    tell_call(s, call, TOLD_MACHINE)
    release(s, call)


def arrive(s: Floor, agenda: Agenda, call: int) -> None:
    """A person wants a seat: the longest idle one, or the end of the queue."""
    campaign = s.of[call]
    now = s.clock[NOW]
    s.waits_since[call] = now
    seat = seat_for(s, campaign)
    if seat != NONE:
        match(s, agenda, call, seat)
        return
    s.doing[call] = WAITING
    last = s.waiting_last[campaign]
    s.previous[call] = last
    s.next[call] = NONE
    if last == NONE:
        s.waiting_first[campaign] = call
    else:
        s.next[last] = call
    s.waiting_last[campaign] = call
    s.waiting[campaign] += 1
    stays = s.stays_s[call]
    if s.inbound[call]:
        tally(s, campaign, QUEUED, now, 1.0)
    elif s.connect_limit_s[campaign] < stays:
        stays = s.connect_limit_s[campaign]
    s.leaves_at[call] = now + stays
    if s.leaves_at[call] <= s.end:
        put(s, agenda, s.leaves_at[call], GIVES_UP, call)


def match(s: Floor, agenda: Agenda, call: int, seat: int) -> None:
    """A person and a seat are joined; the connection itself takes no time."""
    now = s.clock[NOW]
    campaign = s.of[call]
    waits_since = s.waits_since[call]
    if s.doing[call] == WAITING:
        leave_queue(s, call)
    leave_idle(s, seat)
    enter(s, seat, TALK)
    s.doing[call] = TALKING
    s.seat[call] = seat
    s.wrap_s[seat] = s.then_wrap_s[call]
    if s.inbound[call]:
        tally(s, campaign, SERVED, waits_since, 1.0)
        tally(s, campaign, INBOUND_WAITED_S, waits_since, now - waits_since)
    else:
        s.in_air[campaign] -= 1
        if s.outcome[call] == PERSON:
            tally(s, campaign, CONNECTED, waits_since, 1.0)
            tally(s, campaign, WAITED_S, waits_since, now - waits_since)
        else:
            tally(s, campaign, MACHINES_SEATED, waits_since, 1.0)
    tell_seat(s, seat, 0)
    tell_call(s, call, TOLD_CONNECTED)
    put(s, agenda, now + s.talk_s[call], TALKED, call)


def give_up(s: Floor, call: int) -> None:
    """The wait is over, by the limit or by the person. One who has a seat by now is left alone."""
    if s.doing[call] != WAITING or s.leaves_at[call] != s.clock[NOW]:
        return
    campaign = s.of[call]
    since = s.waits_since[call]
    leave_queue(s, call)
    if s.inbound[call]:
        tally(s, campaign, LEFT, since, 1.0)
        tally(s, campaign, INBOUND_WAITED_S, since, s.clock[NOW] - since)
        tell_call(s, call, TOLD_HUNG_UP)
    else:
        s.in_air[campaign] -= 1
        by_limit = s.connect_limit_s[campaign] < s.stays_s[call]
        if s.outcome[call] == PERSON:
            tally(s, campaign, ABANDONED if by_limit else HUNG_UP, since, 1.0)
        tell_call(s, call, TOLD_ABANDONED if by_limit else TOLD_HUNG_UP)
    release(s, call)


def talked(s: Floor, agenda: Agenda, call: int) -> None:
    """The customer has hung up; the seat wraps up."""
    seat = s.seat[call]
    tell_call(s, call, TOLD_ENDED)
    release(s, call)
    if s.wrap_s[seat] > 0.0:
        enter(s, seat, WRAP)
        tell_seat(s, seat, LEAVING if s.leaving[seat] else 0)
        put(s, agenda, s.clock[NOW] + s.wrap_s[seat], WRAPPED, seat)
    else:
        done(s, agenda, seat)


def done(s: Floor, agenda: Agenda, seat: int) -> None:
    """The seat has done with its customer: it goes where it wanted to go, or takes the next."""
    if s.leaving[seat]:
        go(s, seat)
    else:
        be_idle(s, agenda, seat)


def go(s: Floor, seat: int) -> None:
    """The seat goes for its break, or home."""
    s.leaving[seat] = 0
    enter(s, seat, AWAY)
    tell_seat(s, seat, GONE if s.turn[seat] == s.last_turn[seat] else 0)


def be_idle(s: Floor, agenda: Agenda, seat: int) -> None:
    """The seat is free, and takes who waits for it."""
    enter(s, seat, IDLE)
    group = s.group[seat]
    last = s.idle_last[group]
    s.ahead[seat] = last
    s.behind[seat] = NONE
    if last == NONE:
        s.idle_first[group] = seat
    else:
        s.behind[last] = seat
    s.idle_last[group] = seat
    s.idle[group] += 1
    s.count[IDLE_NUMBER] += 1
    s.idle_number[seat] = s.count[IDLE_NUMBER]
    tell_seat(s, seat, 0)
    person = person_for(s, seat)
    if person != NONE:
        match(s, agenda, person, seat)


def take_turn(s: Floor, agenda: Agenda, seat: int) -> None:
    """The seat's timetable says that it comes or goes; one with a customer goes when it has done."""
    place = s.turn[seat]
    comes = (s.last_turn[seat] - place) % 2 == 0  # a seat's turns end with going home
    s.turn[seat] = place + 1
    if place + 1 < s.last_turn[seat] and s.turns[place + 1] <= s.end:
        put(s, agenda, s.turns[place + 1], TURN, seat)
    if comes:
        if s.state[seat] == AWAY:
            be_idle(s, agenda, seat)
        else:
            s.leaving[seat] = 0
            tell_seat(s, seat, 0)
    elif s.state[seat] == IDLE:
        leave_idle(s, seat)
        go(s, seat)
    elif s.state[seat] != AWAY:
        s.leaving[seat] = 1
        tell_seat(s, seat, LEAVING)


def call_in(s: Floor, agenda: Agenda, campaign: int) -> None:
    """Somebody calls in."""
    caller = s.next_caller[campaign]
    s.next_caller[campaign] = caller + 1
    if caller + 1 < s.last_caller[campaign]:
        put(s, agenda, s.caller_at[caller + 1], CALLS_IN, campaign)
    now = s.clock[NOW]
    tally(s, campaign, OFFERED, now, 1.0)
    if s.count[FREE_LINES] == 0:
        tally(s, campaign, TURNED_AWAY, now, 1.0)
        return
    call = new_call(s, campaign, 1)
    s.lead[call] = NONE
    s.talk_s[call] = s.caller_talk[caller]
    s.then_wrap_s[call] = s.caller_wrap[caller]
    s.stays_s[call] = s.caller_patience[caller]
    tell_call(s, call, TOLD_OFFERED)
    arrive(s, agenda, call)


def advance(s: Floor, agenda: Agenda) -> bool:
    """Go on to the next event, or to the time at which the law is asked anyway. False at the end of the day."""
    s.count[NOTES] = 0
    tick = s.clock[ASKED] + s.ask_every
    if len(agenda) == 0 or agenda[0][0] > tick:
        if tick >= s.end:
            s.clock[NOW] = s.end
            return False
        s.clock[NOW] = tick
        s.clock[ASKED] = tick
        return True
    at, _, kind, what = agenda[0]
    if at >= s.end:
        s.clock[NOW] = s.end
        return False
    heappop(agenda)
    s.count[EVENTS] += 1
    s.clock[NOW] = at
    s.clock[ASKED] = at
    if kind == RINGS:
        tell_call(s, what, TOLD_RINGING)
        put(s, agenda, at + s.rings_s[what], RUNG, what)
    elif kind == RUNG:
        rung(s, agenda, what)
    elif kind == TALKED:
        talked(s, agenda, what)
    elif kind == WRAPPED:
        done(s, agenda, what)
    elif kind == GIVES_UP:
        give_up(s, what)
    elif kind == VERDICT:
        judge(s, agenda, what)
    elif kind == CALLS_IN:
        call_in(s, agenda, what)
    else:
        take_turn(s, agenda, what)
    return True


def allowance(s: Floor) -> int:
    """Whole calls that the limit on calls per second lets go now; a second's worth can be saved up."""
    if s.calls_per_s == NO_RATE:
        return PLENTY
    now = s.clock[NOW]
    most = max(1.0, s.calls_per_s)
    s.clock[TOKENS] = min(most, s.clock[TOKENS] + (now - s.clock[TOKENS_AT]) * s.calls_per_s)
    s.clock[TOKENS_AT] = now
    return int(s.clock[TOKENS] + 1e-9)


def dial_plainly(s: Floor, agenda: Agenda, ratio: float) -> int:
    """Progressive and fixed ratio, as pacing/modes.py has them: lines for each idle seat, less those in the air.

    Returns a campaign whose next block of leads must be drawn before it can go on, or NONE.
    """
    for place in range(s.campaigns):
        campaign = s.order[place]
        idle = 0
        for group in range(s.groups):
            if s.serves[group * s.campaigns + campaign]:
                idle += s.idle[group]
        wanted = max(idle, floor(ratio * idle + 1e-9)) - s.in_air[campaign]
        while wanted > 0 and s.count[FREE_LINES] > 0 and s.dialed[campaign] < s.leads[campaign]:
            if allowance(s) < 1:
                break
            if s.in_block[campaign] == s.block:
                return campaign
            s.clock[TOKENS] -= 1.0
            s.count[NOTES] = 0
            dial(s, agenda, campaign)
            wanted -= 1
    return NONE


def run_plainly(s: Floor, agenda: Agenda, ratio: float) -> int:
    """Run on to the end of the day under a plain law. Returns as `dial_plainly` does; NONE is the end."""
    while True:
        campaign = dial_plainly(s, agenda, ratio)
        if campaign != NONE:
            return campaign
        if not advance(s, agenda):
            return NONE


def close(s: Floor) -> None:
    """The day is over: what seats are still doing is booked."""
    for seat in range(len(s.state)):
        enter(s, seat, s.state[seat])


def resume(s: Floor, rows: NDArray[np.float64], ratio: float) -> tuple[int, NDArray[np.float64]]:
    """`run_plainly` with the agenda as rows of an array, which is how it can be handed in and out when compiled."""
    agenda = [(row[0], int(row[1]), int(row[2]), int(row[3])) for row in rows]
    campaign = run_plainly(s, agenda, ratio)
    left = np.empty((len(agenda), 4))
    for place, (at, number, kind, what) in enumerate(agenda):
        left[place, 0] = at
        left[place, 1] = number
        left[place, 2] = kind
        left[place, 3] = what
    return campaign, left
