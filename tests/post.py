"""A real mail server on this machine, and what it took."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller


class Box:
    """What a mail server took. `answers` are what it says to the next mails instead of taking them, `nobody` those of
    whom it never heard.
    """

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.answers: list[str] = []
        self.nobody: set[str] = set()
        self.unknown: str | bytes = "550 5.1.1 nobody of that name"  # what it says to those
        self.senders: list[str] = []  # where those that were taken come back to

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str | bytes:
        if address in self.nobody:
            return self.unknown
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answers:
            return self.answers.pop(0)
        self.senders.append(envelope.mail_from)
        self.mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=default)))
        return "250 OK"


@contextmanager
def post_office() -> Iterator[tuple[Box, int]]:
    """The server's box and port."""
    box = Box()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield box, port
    finally:
        controller.stop()
