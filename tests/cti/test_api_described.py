"""The running API against its own description: what schemathesis makes of each route, and nothing may surprise.

Every answer must be one that the description names, of its type and shape, and none a fault of ours. The streams of
events never end, and are followed in `tests/cti/test_seat_api.py`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy import Engine

from campaigns.people import People
from campaigns.users import UserStore
from cti.accounts import StoredAccounts
from cti.app import create_app
from cti.bus import Bus
from cti.openapi import ROUTES, described
from cti.server import serve
from tests.campaigns.world import Campaign
from tests.cti.fakes import ScriptedEngine
from tests.cti.running import DEADLINE_S, stored_in


@schemathesis.serializer("message/rfc822")
def mail(context: Any, value: object) -> bytes:
    """What schemathesis makes of a mail: a text, or what is none."""
    return str(value).encode("utf-8", "surrogatepass")


ENDLESS = {path for _, path in ROUTES if path.endswith("/events")}
JOBS = {"/api/lists", "/api/lists/undo", "/api/evidence", "/api/person"}  # a process each time
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture
def running(db: Engine, tmp_path: Path) -> Iterator[tuple[str, dict[str, str], dict[str, Any]]]:
    """An app over a database with a campaign, in a thread; an administrator's cookie; its description."""
    Campaign(db, leads=2, name="spring")
    user = People(db).add("", "root", "Root", "administrator", "", "seat1")
    users = UserStore(db)
    bus = Bus()
    ScriptedEngine(bus)
    app = create_app(
        bus,
        StoredAccounts(users),
        stored=replace(stored_in(db, tmp_path), imports=tmp_path / "imports", archive=tmp_path / "archive"),
    )
    loop = asyncio.new_event_loop()
    started, port = threading.Event(), []

    def ready(at: int) -> None:
        port.append(at)
        started.set()

    serving = loop.create_task(serve(app, "127.0.0.1", 0, ready))
    thread = threading.Thread(target=lambda: loop.run_until_complete(asyncio.wait({serving})))
    thread.start()
    assert started.wait(DEADLINE_S)
    headers = {"Cookie": f"zd_session={users.open_session(user, 'test')}"}
    yield f"http://127.0.0.1:{port[0]}", headers, described(app.routes)
    loop.call_soon_threadsafe(serving.cancel)
    thread.join(DEADLINE_S * 2)
    loop.close()


def surprises(
    url: str, headers: dict[str, str], document: dict[str, Any], only: str = ""
) -> tuple[list[str], set[tuple[str, str]]]:
    """What was found, and which routes were asked."""
    asked: set[tuple[str, str]] = set()
    faults: list[str] = []
    for found in schemathesis.openapi.from_dict(document).get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        if operation.path in ENDLESS or not operation.path.startswith(only):
            continue

        @settings(
            max_examples=10 if operation.path in JOBS else 40,
            database=None,
            derandomize=True,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def each(case: schemathesis.Case) -> None:
            asked.add((case.method.upper(), case.path))
            case.call_and_validate(base_url=url, headers=headers, checks=CHECKS, timeout=30)

        try:
            each()
        except (BaseExceptionGroup, AssertionError) as fault:
            faults.append(f"{operation.label}: {getattr(fault, 'exceptions', fault)}")
    return faults, asked


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nothing_of_the_api_surprises(running: tuple[str, dict[str, str], dict[str, Any]]) -> None:
    faults, asked = surprises(*running)
    assert faults == []
    assert asked == {(method, path) for method, path in ROUTES if path not in ENDLESS}


def test_a_wrong_description_is_found(running: tuple[str, dict[str, str], dict[str, Any]]) -> None:
    url, headers, document = running
    answers = document["paths"]["/api/caller-ids"]["get"]["responses"]
    answers["200"]["content"]["application/json"]["schema"] = {"type": "object"}
    assert surprises(url, headers, document, "/api/caller-ids")[0]
    del document["paths"]["/api/seat/commands"]["post"]["responses"]["409"]
    assert surprises(url, headers, document, "/api/seat/commands")[0]
