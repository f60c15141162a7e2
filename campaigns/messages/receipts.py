"""Receipts by the ids of the other end: a text in several parts has arrived when all of them have."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine, text

from campaigns.messages.answers import Event, kept, take

PART = text("""
UPDATE message_part SET delivered = delivered OR :delivered WHERE remote_id = :id RETURNING message_id
""")
ARRIVED = text("""
UPDATE message SET delivered_at = COALESCE(delivered_at, :at) WHERE id = :message
    AND NOT EXISTS (SELECT FROM message_part WHERE message_id = :message AND NOT delivered)
""")
LOST = text("""
UPDATE message SET bounced_at = COALESCE(bounced_at, :at), reason = 'bounced', detail = :detail WHERE id = :message
""")


class Receipts:
    """What comes back by a channel that has a session of its own. Every method blocks."""

    def __init__(self, engine: Engine, channel: str) -> None:
        self._engine = engine
        self._channel = channel

    def receipt(self, remote_id: str, delivered: bool, why: str, at: datetime) -> bool:
        """Put on record that a part arrived, or did not; whether it is one of ours. Again, it changes nothing."""
        with self._engine.begin() as connection:
            values = {"id": kept(remote_id), "delivered": delivered}
            message = connection.execute(PART, values).scalar_one_or_none()
            if message is not None:
                values = {"message": message, "at": at, "detail": kept(why)}
                connection.execute(ARRIVED if delivered else LOST, values)
        return message is not None

    def reply(self, sender: str, said: str, at: datetime) -> None:
        """Put on record what somebody answered; who asks for no more has no more."""
        take(self._engine, self._channel, [Event(kind="reply", sender=sender, text=said)], at)
