"""The call centre itself: what happens at each event, and when the next one is. The only implementation there is.

Everything is a plain function over two long sequences of numbers, `n` of whole and `x` of real ones, so that the same
source runs twice: as it is over lists, for laws that are written in Python, and compiled by numba over arrays for the
plain ones (simulator/floor/compiled.py). Both take the same steps in the same order with the same arithmetic, so their
results agree to the bit. Hence the rules here: no objects, no strings, no random numbers (they come drawn, see
simulator/floor/fates.py), of arithmetic only what IEEE 754 fixes, and all of it with its columns' names in one file.

A seat, a call, a campaign, a group of seats is a *row*: the place in both sequences where its columns begin, so that
`n[seat + STATE]` is a seat's state and `x[seat + SINCE]` since when. simulator/floor/building.py lays the rows out.

Time is in seconds from the start. The agenda is a heap of (time, number, kind, row): events at one time come in the
order in which they were put there.
"""

from __future__ import annotations

from collections.abc import MutableSequence
from heapq import heappop, heappush
from math import floor

import numpy as np
from numpy.typing import NDArray

Whole = MutableSequence[int]
Real = MutableSequence[float]
Agenda = list[tuple[float, int, int, int]]

NONE = -1
BUCKET_S = 300.0  # figures are kept by five minutes
ROW = 16  # columns of a row

# The head of both sequences.
EVENTS, NUMBER, SERIAL, FREE_LINES, FREE_CALL, NOTES, IDLE_NUMBER, BUCKETS, SPENT, NOTEBOOK = range(10)
ORDER, SEATS, SEATS_END, CALLS, CALLS_END, CAMPAIGNS, CAMPAIGNS_END, GROUPS, GROUPS_END = range(10, 19)
END, ASK_EVERY, CALLS_PER_S, NOW, ASKED, TOKENS, TOKENS_AT = range(7)
HEAD = 19

# A seat.
GROUP, STATE, LEAVING, AHEAD, BEHIND, IDLE_SINCE_NUMBER, TURN_AT, TURNS_END, CUSTOMER = range(9)
SINCE, WRAP_S = range(2)
AWAY, IDLE, TALK, WRAP = range(4)  # its states

# A call, which is a line in use. A free one has the next free one in NEXT.
CAMPAIGN, ID, LEAD, DOING, OUTCOME, INBOUND, SEAT, NEXT, PREVIOUS, WRONG = range(10)
RINGS_S, LISTENS_S, TALK_S, THEN_WRAP_S, STAYS_S, WAITS_SINCE, LEAVES_AT, ENDS_AT = range(8)
FREE, IN_AIR, WAITING, TALKING = range(4)  # what it is doing
PERSON, MACHINE, NO_ANSWER, BUSY, FAILED = range(5)  # how its dial ends

# A campaign. MINUTES, FIGURES, NEXT_LEAD, … are places in `x`; SERVED_BY is one in `n`, of groups, ended by NONE.
PRIORITY, DIALED, LEADS, CALLS_IN_AIR, WAIT_FIRST, WAIT_LAST, WAIT_COUNT, LISTENS = range(8)
NEXT_LEAD, BLOCK_END, NEXT_CALLER, CALLERS_END, MINUTES, FIGURES, SERVED_BY = range(8, 15)
BUSY_AFTER_S, FAILED_AFTER_S, RING_LIMIT_S, CONNECT_LIMIT_S, PERSON_WRONG, MACHINE_WRONG = range(6)

# A group of seats. SERVES is the place in `n` of its campaigns, the highest priority first, ended by NONE.
IDLE_COUNT, IDLE_FIRST, IDLE_LAST, SERVES = range(4)

# A lead, a caller, a minute of a campaign's day: columns in `x` only.
(
    FATE,
    FACTOR,
    FATE_SETUP,
    FATE_RING,
    FATE_MACHINE_RING,
    FATE_TALK,
    FATE_WRAP,
    FATE_PATIENCE,
    FATE_VERDICT,
    FATE_DETECTION,
    FATE_MACHINE_TALK,
) = range(11)
LEAD_ROW = 11
CALLER_AT, CALLER_TALK, CALLER_WRAP, CALLER_PATIENCE = range(4)
CALLER_ROW = 4
SHARE_PERSON, SHARE_MACHINE, SHARE_BUSY, SHARE_FAILED = range(4)
MINUTE_ROW = 4

# A campaign's figures, each with a place for every bucket; of a person in the bucket in which they began to wait.
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

# Kinds of event, each with a call, a seat or a campaign.
RINGS, RUNG, VERDICT, GIVES_UP, TALKED, WRAPPED, TURN, CALLS_IN = range(8)

# What the law is told: a note is a row in the notebook. Stages are places in the table of simulator/floor/run.py.
NOTE_STAGE, NOTE_OF, NOTE_MORE, NOTE_CAMPAIGN, NOTE_LEAD = range(5)
NOTE_ROW = 5
MOST_NOTES = 16  # more than one event can bring
LEAVES, GONE = 1, 2  # more about a seat
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
    TOLD_SEAT,  # and the states of a seat from here on
) = range(14)

NO_RATE = 0.0
PLENTY = 1_000_000


def put(n: Whole, agenda: Agenda, at: float, kind: int, row: int) -> None:
    """Write an event into the agenda."""
    n[NUMBER] += 1
    heappush(agenda, (at, n[NUMBER], kind, row))


def tell_call(n: Whole, call: int, stage: int) -> None:
    """Keep a stage of a call to be told to the law."""
    note = n[NOTEBOOK] + n[NOTES] * NOTE_ROW
    n[NOTES] += 1
    n[note + NOTE_STAGE] = stage
    n[note + NOTE_OF] = n[call + ID]
    n[note + NOTE_MORE] = n[call + SEAT]
    n[note + NOTE_CAMPAIGN] = n[call + CAMPAIGN]
    n[note + NOTE_LEAD] = n[call + LEAD]


def tell_seat(n: Whole, seat: int, more: int) -> None:
    """Keep the state of a seat to be told to the law."""
    note = n[NOTEBOOK] + n[NOTES] * NOTE_ROW
    n[NOTES] += 1
    n[note + NOTE_STAGE] = TOLD_SEAT + n[seat + STATE]
    n[note + NOTE_OF] = seat
    n[note + NOTE_MORE] = more
    n[note + NOTE_CAMPAIGN] = n[seat + GROUP]


def tally(n: Whole, x: Real, campaign: int, figure: int, at: float, how_much: float) -> None:
    """Add to a campaign's figures."""
    x[n[campaign + FIGURES] + figure * n[BUCKETS] + int(at / BUCKET_S)] += how_much


def enter(n: Whole, x: Real, seat: int, state: int) -> None:
    """Change a seat's state; the time in the old one is booked to the buckets it lay in."""
    now = x[NOW]
    since = x[seat + SINCE]
    bucket = int(since / BUCKET_S)
    place = n[SPENT] + n[seat + STATE] * n[BUCKETS] + bucket
    edge = (bucket + 1) * BUCKET_S
    while edge < now:
        x[place] += edge - since
        since = edge
        place += 1
        edge += BUCKET_S
    if now > since:
        x[place] += now - since
    x[seat + SINCE] = now
    n[seat + STATE] = state


def leave_idle(n: Whole, seat: int) -> None:
    """Take a seat out of its group's idle ones."""
    group = n[seat + GROUP]
    ahead = n[seat + AHEAD]
    behind = n[seat + BEHIND]
    if ahead == NONE:
        n[group + IDLE_FIRST] = behind
    else:
        n[ahead + BEHIND] = behind
    if behind == NONE:
        n[group + IDLE_LAST] = ahead
    else:
        n[behind + AHEAD] = ahead
    n[group + IDLE_COUNT] -= 1


def leave_queue(n: Whole, call: int) -> None:
    """Take a person out of those who wait."""
    campaign = n[call + CAMPAIGN]
    before = n[call + PREVIOUS]
    after = n[call + NEXT]
    if before == NONE:
        n[campaign + WAIT_FIRST] = after
    else:
        n[before + NEXT] = after
    if after == NONE:
        n[campaign + WAIT_LAST] = before
    else:
        n[after + PREVIOUS] = before
    n[campaign + WAIT_COUNT] -= 1


def seat_for(n: Whole, campaign: int) -> int:
    """The seat that has been idle longest of those that serve the campaign."""
    best = NONE
    place = n[campaign + SERVED_BY]
    while n[place] != NONE:
        first = n[n[place] + IDLE_FIRST]
        if first != NONE and (best == NONE or n[first + IDLE_SINCE_NUMBER] < n[best + IDLE_SINCE_NUMBER]):
            best = first
        place += 1
    return best


def person_for(n: Whole, x: Real, seat: int) -> int:
    """The person who has waited longest for the highest priority that the seat serves."""
    best = NONE
    place = n[n[seat + GROUP] + SERVES]
    while n[place] != NONE:
        campaign = n[place]
        first = n[campaign + WAIT_FIRST]
        if first != NONE:
            if best == NONE:
                best = first
            elif n[campaign + PRIORITY] < n[n[best + CAMPAIGN] + PRIORITY]:
                return best
            elif x[first + WAITS_SINCE] < x[best + WAITS_SINCE]:
                best = first
        place += 1
    return best


def new_call(n: Whole, campaign: int, inbound: int, lead: int) -> int:
    """Take a line for a call."""
    call = n[FREE_CALL]
    n[FREE_CALL] = n[call + NEXT]
    n[FREE_LINES] -= 1
    n[SERIAL] += 1
    n[call + ID] = n[SERIAL]
    n[call + CAMPAIGN] = campaign
    n[call + INBOUND] = inbound
    n[call + LEAD] = lead
    n[call + SEAT] = NONE
    n[call + DOING] = IN_AIR
    n[call + WRONG] = 0
    return call


def release(n: Whole, call: int) -> None:
    """The call is over; its line is free."""
    n[call + DOING] = FREE
    n[call + NEXT] = n[FREE_CALL]
    n[FREE_CALL] = call
    n[FREE_LINES] += 1


def dial(n: Whole, x: Real, agenda: Agenda, campaign: int) -> None:
    """Dial the campaign's next lead. A line must be free and the lead's block be drawn."""
    now = x[NOW]
    call = new_call(n, campaign, 0, n[campaign + DIALED])
    lead = n[campaign + NEXT_LEAD]
    n[campaign + NEXT_LEAD] = lead + LEAD_ROW
    n[campaign + DIALED] += 1
    n[campaign + CALLS_IN_AIR] += 1
    tally(n, x, campaign, DIALS, now, 1.0)
    tell_call(n, call, TOLD_DIALED)

    share = x[lead + FATE]
    minute = n[campaign + MINUTES] + int(now / 60.0) * MINUTE_ROW
    machine = 1.0 - x[minute + SHARE_MACHINE]
    failed = machine - x[minute + SHARE_FAILED]
    rings = x[campaign + RING_LIMIT_S]
    outcome = NO_ANSWER
    if share < x[minute + SHARE_PERSON] * x[lead + FACTOR]:
        if x[lead + FATE_RING] <= rings:
            outcome = PERSON
            rings = x[lead + FATE_RING]
            x[call + TALK_S] = x[lead + FATE_TALK]
            x[call + THEN_WRAP_S] = x[lead + FATE_WRAP]
            x[call + STAYS_S] = x[lead + FATE_PATIENCE]
            if x[lead + FATE_VERDICT] < x[campaign + PERSON_WRONG]:
                n[call + WRONG] = 1
    elif share >= machine:
        if x[lead + FATE_MACHINE_RING] <= rings:
            outcome = MACHINE
            rings = x[lead + FATE_MACHINE_RING]
            x[call + TALK_S] = x[lead + FATE_MACHINE_TALK]
            x[call + THEN_WRAP_S] = 0.0
            x[call + STAYS_S] = x[lead + FATE_MACHINE_TALK]
            if x[lead + FATE_VERDICT] < x[campaign + MACHINE_WRONG]:
                n[call + WRONG] = 1
    elif share >= failed:
        outcome = FAILED
    elif share >= failed - x[minute + SHARE_BUSY]:
        outcome = BUSY
    n[call + OUTCOME] = outcome
    if outcome == FAILED:
        put(n, agenda, now + x[campaign + FAILED_AFTER_S], RUNG, call)
    elif outcome == BUSY:
        put(n, agenda, now + x[lead + FATE_SETUP] + x[campaign + BUSY_AFTER_S], RUNG, call)
    else:
        x[call + RINGS_S] = rings
        x[call + LISTENS_S] = x[lead + FATE_DETECTION]
        put(n, agenda, now + x[lead + FATE_SETUP], RINGS, call)


def rung(n: Whole, x: Real, agenda: Agenda, call: int) -> None:
    """It does not ring any more: somebody answers, or the dial has ended without."""
    outcome = n[call + OUTCOME]
    campaign = n[call + CAMPAIGN]
    if outcome <= MACHINE:
        tell_call(n, call, TOLD_ANSWERED)
        if n[campaign + LISTENS]:
            put(n, agenda, x[NOW] + x[call + LISTENS_S], VERDICT, call)
        else:
            judge(n, x, agenda, call)
        return
    n[campaign + CALLS_IN_AIR] -= 1
    tell_call(n, call, TOLD_NO_ANSWER + outcome - NO_ANSWER)
    release(n, call)


def judge(n: Whole, x: Real, agenda: Agenda, call: int) -> None:
    """Detection has its verdict, right or wrong: a person gets a seat, a machine is hung up on."""
    if (n[call + OUTCOME] == PERSON) == (n[call + WRONG] == 0):
        tell_call(n, call, TOLD_HUMAN)
        arrive(n, x, agenda, call)
        return
    campaign = n[call + CAMPAIGN]
    if n[call + WRONG]:
        tally(n, x, campaign, MISJUDGED, x[NOW], 1.0)
    n[campaign + CALLS_IN_AIR] -= 1
    tell_call(n, call, TOLD_MACHINE)
    release(n, call)


def arrive(n: Whole, x: Real, agenda: Agenda, call: int) -> None:
    """A person wants a seat: the longest idle one, or the end of the queue."""
    campaign = n[call + CAMPAIGN]
    now = x[NOW]
    x[call + WAITS_SINCE] = now
    seat = seat_for(n, campaign)
    if seat != NONE:
        match(n, x, agenda, call, seat)
        return
    last = n[campaign + WAIT_LAST]
    n[call + DOING] = WAITING
    n[call + PREVIOUS] = last
    n[call + NEXT] = NONE
    if last == NONE:
        n[campaign + WAIT_FIRST] = call
    else:
        n[last + NEXT] = call
    n[campaign + WAIT_LAST] = call
    n[campaign + WAIT_COUNT] += 1
    stays = x[call + STAYS_S]
    if n[call + INBOUND]:
        tally(n, x, campaign, QUEUED, now, 1.0)
    elif x[campaign + CONNECT_LIMIT_S] < stays:
        stays = x[campaign + CONNECT_LIMIT_S]
    x[call + LEAVES_AT] = now + stays
    put(n, agenda, now + stays, GIVES_UP, call)


def match(n: Whole, x: Real, agenda: Agenda, call: int, seat: int) -> None:
    """A person and an idle seat are joined; the connection itself takes no time."""
    now = x[NOW]
    campaign = n[call + CAMPAIGN]
    since = x[call + WAITS_SINCE]
    if n[call + DOING] == WAITING:
        leave_queue(n, call)
    leave_idle(n, seat)
    enter(n, x, seat, TALK)
    n[call + DOING] = TALKING
    n[call + SEAT] = seat
    n[seat + CUSTOMER] = call
    x[seat + WRAP_S] = x[call + THEN_WRAP_S]
    x[call + ENDS_AT] = now + x[call + TALK_S]
    if n[call + INBOUND]:
        tally(n, x, campaign, SERVED, since, 1.0)
        tally(n, x, campaign, INBOUND_WAITED_S, since, now - since)
    else:
        n[campaign + CALLS_IN_AIR] -= 1
        if n[call + OUTCOME] == PERSON:
            tally(n, x, campaign, CONNECTED, since, 1.0)
            tally(n, x, campaign, WAITED_S, since, now - since)
        else:
            tally(n, x, campaign, MACHINES_SEATED, since, 1.0)
    tell_seat(n, seat, 0)
    tell_call(n, call, TOLD_CONNECTED)
    put(n, agenda, x[call + ENDS_AT], TALKED, call)


def give_up(n: Whole, x: Real, call: int) -> None:
    """The wait is over, by the limit or by the person. One who has a seat by now is left alone."""
    if n[call + DOING] != WAITING or x[call + LEAVES_AT] != x[NOW]:
        return
    campaign = n[call + CAMPAIGN]
    since = x[call + WAITS_SINCE]
    leave_queue(n, call)
    if n[call + INBOUND]:
        tally(n, x, campaign, LEFT, since, 1.0)
        tally(n, x, campaign, INBOUND_WAITED_S, since, x[NOW] - since)
        tell_call(n, call, TOLD_HUNG_UP)
    else:
        n[campaign + CALLS_IN_AIR] -= 1
        by_limit = x[campaign + CONNECT_LIMIT_S] < x[call + STAYS_S]
        if n[call + OUTCOME] == PERSON:
            tally(n, x, campaign, ABANDONED if by_limit else HUNG_UP, since, 1.0)
        tell_call(n, call, TOLD_ABANDONED if by_limit else TOLD_HUNG_UP)
    release(n, call)


def talked(n: Whole, x: Real, agenda: Agenda, call: int) -> None:
    """The customer has hung up; the seat wraps up."""
    seat = n[call + SEAT]
    n[seat + CUSTOMER] = NONE
    tell_call(n, call, TOLD_ENDED)
    release(n, call)
    if x[seat + WRAP_S] > 0.0:
        enter(n, x, seat, WRAP)
        tell_seat(n, seat, LEAVES if n[seat + LEAVING] else 0)
        put(n, agenda, x[NOW] + x[seat + WRAP_S], WRAPPED, seat)
    else:
        done(n, x, agenda, seat)


def done(n: Whole, x: Real, agenda: Agenda, seat: int) -> None:
    """The seat has done with its customer: it goes where it wanted to go, or takes the next."""
    if n[seat + LEAVING]:
        go(n, x, seat)
    else:
        be_idle(n, x, agenda, seat)


def go(n: Whole, x: Real, seat: int) -> None:
    """The seat goes for its break, or home."""
    n[seat + LEAVING] = 0
    enter(n, x, seat, AWAY)
    tell_seat(n, seat, GONE if n[seat + TURN_AT] == n[seat + TURNS_END] else 0)


def be_idle(n: Whole, x: Real, agenda: Agenda, seat: int) -> None:
    """The seat is free, and takes who waits for it."""
    enter(n, x, seat, IDLE)
    group = n[seat + GROUP]
    last = n[group + IDLE_LAST]
    n[seat + AHEAD] = last
    n[seat + BEHIND] = NONE
    if last == NONE:
        n[group + IDLE_FIRST] = seat
    else:
        n[last + BEHIND] = seat
    n[group + IDLE_LAST] = seat
    n[group + IDLE_COUNT] += 1
    n[IDLE_NUMBER] += 1
    n[seat + IDLE_SINCE_NUMBER] = n[IDLE_NUMBER]
    tell_seat(n, seat, 0)
    person = person_for(n, x, seat)
    if person != NONE:
        match(n, x, agenda, person, seat)


def take_turn(n: Whole, x: Real, agenda: Agenda, seat: int) -> None:
    """The seat's timetable says that it comes or goes; one with a customer goes when it has done."""
    place = n[seat + TURN_AT]
    comes = (n[seat + TURNS_END] - place) % 2 == 0  # a seat's turns end with going home
    n[seat + TURN_AT] = place + 1
    if place + 1 < n[seat + TURNS_END]:
        put(n, agenda, x[place + 1], TURN, seat)
    if comes:
        if n[seat + STATE] == AWAY:
            be_idle(n, x, agenda, seat)
        else:
            n[seat + LEAVING] = 0
            tell_seat(n, seat, 0)
    elif n[seat + STATE] == IDLE:
        leave_idle(n, seat)
        go(n, x, seat)
    elif n[seat + STATE] != AWAY:
        n[seat + LEAVING] = 1
        tell_seat(n, seat, LEAVES)


def call_in(n: Whole, x: Real, agenda: Agenda, campaign: int) -> None:
    """Somebody calls in."""
    caller = n[campaign + NEXT_CALLER]
    n[campaign + NEXT_CALLER] = caller + CALLER_ROW
    if caller + CALLER_ROW < n[campaign + CALLERS_END]:
        put(n, agenda, x[caller + CALLER_ROW + CALLER_AT], CALLS_IN, campaign)
    now = x[NOW]
    tally(n, x, campaign, OFFERED, now, 1.0)
    if n[FREE_LINES] == 0:
        tally(n, x, campaign, TURNED_AWAY, now, 1.0)
        return
    call = new_call(n, campaign, 1, NONE)
    x[call + TALK_S] = x[caller + CALLER_TALK]
    x[call + THEN_WRAP_S] = x[caller + CALLER_WRAP]
    x[call + STAYS_S] = x[caller + CALLER_PATIENCE]
    tell_call(n, call, TOLD_OFFERED)
    arrive(n, x, agenda, call)


def advance(n: Whole, x: Real, agenda: Agenda) -> bool:
    """Go on to the next event, or to the time at which the law is asked anyway. False at the end of the day."""
    n[NOTES] = 0
    tick = x[ASKED] + x[ASK_EVERY]
    if len(agenda) == 0 or agenda[0][0] > tick:
        if tick >= x[END]:
            x[NOW] = x[END]
            return False
        x[NOW] = tick
        x[ASKED] = tick
        return True
    at, _, kind, row = agenda[0]
    if at >= x[END]:
        x[NOW] = x[END]
        return False
    heappop(agenda)
    n[EVENTS] += 1
    x[NOW] = at
    x[ASKED] = at
    if kind == RINGS:
        tell_call(n, row, TOLD_RINGING)
        put(n, agenda, at + x[row + RINGS_S], RUNG, row)
    elif kind == RUNG:
        rung(n, x, agenda, row)
    elif kind == TALKED:
        talked(n, x, agenda, row)
    elif kind == WRAPPED:
        done(n, x, agenda, row)
    elif kind == GIVES_UP:
        give_up(n, x, row)
    elif kind == VERDICT:
        judge(n, x, agenda, row)
    elif kind == CALLS_IN:
        call_in(n, x, agenda, row)
    else:
        take_turn(n, x, agenda, row)
    return True


def allowance(x: Real) -> int:
    """Whole calls that the limit on calls per second lets go now; a second's worth can be saved up."""
    if x[CALLS_PER_S] == NO_RATE:
        return PLENTY
    most = max(1.0, x[CALLS_PER_S])
    x[TOKENS] = min(most, x[TOKENS] + (x[NOW] - x[TOKENS_AT]) * x[CALLS_PER_S])
    x[TOKENS_AT] = x[NOW]
    return int(x[TOKENS] + 1e-9)


def dial_plainly(n: Whole, x: Real, agenda: Agenda, ratio: float) -> int:
    """Progressive and fixed ratio, as pacing/pacer.py has them: lines for each idle seat, less those in the air.

    Returns a campaign whose next block of leads must be drawn before it can go on, or NONE.
    """
    order = n[ORDER]
    while n[order] != NONE:
        campaign = n[order]
        order += 1
        idle = 0
        place = n[campaign + SERVED_BY]
        while n[place] != NONE:
            idle += n[n[place] + IDLE_COUNT]
            place += 1
        wanted = max(idle, floor(ratio * idle + 1e-9)) - n[campaign + CALLS_IN_AIR]
        while wanted > 0 and n[FREE_LINES] > 0 and n[campaign + DIALED] < n[campaign + LEADS]:
            if allowance(x) < 1:
                break
            if n[campaign + NEXT_LEAD] == n[campaign + BLOCK_END]:
                return campaign
            x[TOKENS] -= 1.0
            n[NOTES] = 0
            dial(n, x, agenda, campaign)
            wanted -= 1
    return NONE


def run_plainly(n: Whole, x: Real, agenda: Agenda, ratio: float) -> int:
    """Run on to the end of the day under a plain law. Returns as `dial_plainly` does; NONE is the end."""
    while True:
        campaign = dial_plainly(n, x, agenda, ratio)
        if campaign != NONE:
            return campaign
        if not advance(n, x, agenda):
            return NONE


def resume(n: Whole, x: Real, rows: NDArray[np.float64], ratio: float) -> tuple[int, NDArray[np.float64]]:
    """`run_plainly` with the agenda as rows of an array, which is how it goes in and out when this is compiled."""
    agenda = [(row[0], int(row[1]), int(row[2]), int(row[3])) for row in rows]
    campaign = run_plainly(n, x, agenda, ratio)
    left = np.empty((len(agenda), 4))
    for place, (at, number, kind, row) in enumerate(agenda):
        left[place, 0] = at
        left[place, 1] = number
        left[place, 2] = kind
        left[place, 3] = row
    return campaign, left


def close(n: Whole, x: Real) -> None:
    """The day is over: what seats are still doing is booked."""
    for seat in range(n[SEATS], n[SEATS_END], ROW):
        enter(n, x, seat, n[seat + STATE])
