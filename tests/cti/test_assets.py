"""The pages' files on their way: packed for who takes it, the same bytes for everyone, asked about each time."""

from __future__ import annotations

import pytest

from cti.app import STATIC
from tests.cti.client import cookie
from tests.cti.running import AGENT, open_door
from tests.loopback import http_client


async def test_a_file_is_packed_for_a_browser_and_plain_for_others() -> None:
    plain = {"Accept-Encoding": "identity"}
    async with open_door() as door, http_client(base_url=door.url) as browser:
        packed = await browser.get("/static/agent.js", headers={"Accept-Encoding": "gzip, br"})
        whole = await browser.get("/static/agent.js", headers=plain)
        assert packed.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in whole.headers
        assert packed.content == whole.content == (STATIC / "agent.js").read_bytes()
        assert int(packed.headers["content-length"]) < len(whole.content) / 2
        for answer, encoding in ((packed, "gzip"), (whole, "identity")):
            assert answer.headers["cache-control"] == "no-cache"
            assert answer.headers["content-type"].startswith("text/javascript")
            again = {"Accept-Encoding": encoding, "If-None-Match": answer.headers["etag"]}
            assert (await browser.get("/static/agent.js", headers=again)).status_code == 304


async def test_the_page_itself_is_packed() -> None:
    async with open_door() as door, http_client(base_url=door.url) as browser:
        answer = await browser.get("/", headers=await cookie(door, AGENT) | {"Accept-Encoding": "gzip"})
        assert answer.headers["content-encoding"] == "gzip"
        assert "<!doctype html>" in answer.text.lower()


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/vendor", "/static/none.js"]
)
async def test_what_is_no_file_of_a_page_is_not_there(path: str) -> None:
    async with open_door() as door, http_client(base_url=door.url) as browser:
        assert (await browser.get(path, headers={"Accept-Encoding": "gzip"})).status_code == 404
