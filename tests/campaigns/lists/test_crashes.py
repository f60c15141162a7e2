"""An import that is killed at any moment leaves nothing, and the next one finds the tables as they were."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from campaigns.lists.importing import Request, import_list
from tests.campaigns.world import NOON, Campaign
from tests.database import fresh_url

ROWS = 30_000
KILLS = 5
COUNTS = """
SELECT (SELECT count(*) FROM lead) AS leads, (SELECT count(*) FROM number) AS numbers,
    (SELECT COALESCE(sum(accepted), 0) FROM list WHERE finished_at IS NOT NULL) AS told,
    (SELECT count(*) FROM lead l WHERE NOT EXISTS (SELECT FROM number n WHERE n.lead_id = l.id)) AS mute
"""
CHILD = """
import sys
from campaigns import database
from campaigns.lists.importing import Request, import_list
from datetime import UTC, datetime
print("began", flush=True)
import_list(database.connect(sys.argv[1]), Request(sys.argv[2], "list", int(sys.argv[3])), datetime.now(UTC))
"""


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_an_import_that_is_killed_leaves_all_or_nothing(tmp_path: Path) -> None:
    from campaigns import database

    url = fresh_url()
    db: Engine = database.connect(url)
    campaign = Campaign(db, leads=0)
    file = tmp_path / "list.csv"
    file.write_text("手机,姓名\n" + "".join(f"1380{n:07d},客户{n}\n" for n in range(ROWS)), "utf-8")
    chance = random.Random(1)
    for _ in range(KILLS):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, url, str(file), str(campaign.id)], stdout=subprocess.PIPE
        )
        assert child.stdout is not None and child.stdout.readline() == b"began\n"
        moment = time.monotonic() + chance.uniform(0.0, 1.2)
        while time.monotonic() < moment and child.poll() is None:
            pass  # the moment itself is what is tried
        child.kill()
        child.wait()
        child.stdout.close()
        with db.begin() as connection:  # waits for the dead one's transaction to be gone
            connection.execute(
                text("SELECT pg_advisory_xact_lock(CAST(:key AS int), 0)"), {"key": 0x7A686C69}
            )
            found = connection.execute(text(COUNTS)).one()
        assert found.leads == found.numbers == found.told and found.leads in (0, ROWS) and found.mute == 0
    result = import_list(db, Request(str(file), "list", campaign.id), NOON)
    assert result.accepted + result.duplicates == ROWS
    found = campaign.one(COUNTS)
    assert found.leads == found.numbers == found.told == ROWS
    db.dispose()
