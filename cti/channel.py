"""One seat's events, numbered and remembered, so that a page can go and come back without losing one. No I/O."""

from __future__ import annotations

from collections import deque

from cti.messages import (
    Answers,
    CallStatus,
    Dispose,
    SaveNotes,
    ScreenPop,
    SeatCommand,
    SeatMessage,
    SeatStatus,
    SupervisorNote,
    encode,
)
from cti.wire import Draft, FullState, Written

MOST_UNREAD = 20  # notes kept for a seat; older ones are let go
IN_CALL = frozenset({"connecting", "talking", "asked"})


class SeatChannel:
    """What a seat's page has to know. `epoch` names the numbering: a new process starts a new one."""

    def __init__(self, user_id: int, epoch: str, ring_size: int) -> None:
        self.user_id = user_id
        self.epoch = epoch
        self.seq = 0
        self._ring: deque[tuple[int, str]] = deque(maxlen=ring_size)
        self.seat: SeatStatus | None = None
        self.pop: ScreenPop | None = None
        self.call: CallStatus | None = None
        self.notes = ""
        self.answers: dict[str, str] = {}
        self.disposed = False
        self.unread: dict[int, SupervisorNote] = {}

    @property
    def logged_in(self) -> bool:
        """Whether the engine holds a seat for this user."""
        return self.seat is not None and self.seat.state != "offline"

    @property
    def in_call(self) -> bool:
        return self.seat is not None and self.seat.state in IN_CALL

    @property
    def _is_asked(self) -> bool:
        """By a colleague: what is written down of the customer is theirs."""
        return self.seat is not None and self.seat.state == "asked"

    def number(self, message: SeatMessage | Written) -> str:
        """Take an event: number it, keep it, and return it as it goes over the socket."""
        self.seq += 1
        text = f'{{"type":"event","seq":{self.seq},"event":{encode(message).decode()}}}'
        self._ring.append((self.seq, text))
        self._remember(message)
        return text

    def since(self, epoch: str, seq: int) -> list[str] | None:
        """The events after `seq`, or None where they can't be replayed without a gap."""
        if epoch != self.epoch or seq > self.seq or seq == 0:
            return None
        if seq < self.seq and (not self._ring or self._ring[0][0] > seq + 1):
            return None
        return [text for number, text in self._ring if number > seq]

    def state(self, now: float, draft: Draft | None = None) -> FullState:
        """All of it. `now` is the server's clock, POSIX seconds; `draft` the seat's last one, for whatever call."""
        return FullState(
            epoch=self.epoch,
            seq=self.seq,
            time=now,
            seat=self.seat,
            pop=self.pop,
            call=self.call,
            notes=self.notes,
            answers=self.answers,
            disposed=self.disposed,
            draft=None if self._of_another(draft) else draft,
            unread=tuple(self.unread.values()),
        )

    def _of_another(self, draft: Draft | None) -> bool:
        """Whether it is of another call than the one on the screen; without one, its call may be found in a moment."""
        return draft is not None and self.pop is not None and draft.call_id != self.pop.call_id

    def accepted(self, command: SeatCommand) -> None:
        """The engine took this command: keep what a page would want to see again.

        A result that says nothing of notes, or of answers, leaves them.
        """
        if self.pop is None:
            return
        if isinstance(command, SaveNotes) and command.call_id == self.pop.call_id:
            self.notes, self.answers = command.notes, command.answers
        elif isinstance(command, Dispose) and command.call_id == self.pop.call_id:
            self.notes, self.answers = command.notes or self.notes, command.answers or self.answers
            self.disposed = True
            self._forget_if_done()

    def written(self, command: Dispose | SaveNotes) -> tuple[str, Answers]:
        """The notes and answers of its customer with this command, which the engine took."""
        shown = self.pop is not None and self.pop.call_id == command.call_id
        return (self.notes, self.answers) if shown else (command.notes, command.answers)

    def _remember(self, message: SeatMessage | Written) -> None:
        if isinstance(message, ScreenPop):
            new = self.pop is None or self.pop.call_id != message.call_id  # else: told again
            if new:
                self.call, self.disposed = None, False
            if new or self._is_asked:  # else what was typed here since is newer
                self.notes, self.answers = message.notes, message.answers
            self.pop = message
        elif isinstance(message, CallStatus):
            if self.pop is not None and self.pop.call_id == message.call_id:
                self.call = message
        elif isinstance(message, SeatStatus):
            self.seat = message
            self._forget_if_done()
        elif isinstance(message, SupervisorNote):
            self.unread[message.id] = message
            while len(self.unread) > MOST_UNREAD:
                del self.unread[next(iter(self.unread))]

    def _forget_if_done(self) -> None:
        """Drop the customer once the seat has moved on, or is free of the call and owes it nothing.

        Nothing is owed of who was only previewed, was a colleague's, or went before the two were joined: of the last
        two the engine takes no result.
        """
        if self.pop is None or self.seat is None:
            return
        moved_on = bool(self.seat.call_id) and self.seat.call_id != self.pop.call_id
        free = self.seat.state not in IN_CALL and self.seat.state not in ("preview", "wrap_up")
        gone = self.seat.state in ("ready", "offline") and not self.seat.call_id
        theirs = self.pop.call_id in (self.seat.call_id, self.seat.last_call)
        owes = theirs and not self.pop.preview and not self.disposed
        if moved_on or gone or (free and not owes):
            self.pop = self.call = None
            self.notes, self.answers, self.disposed = "", {}, False
