"""Signing on by the company's own account: to its OpenID provider, back with an answer, and in as who that is.

Where somebody goes afterwards is decided by their role alone: no address comes with the request, so none can lead away.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from time import monotonic

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from campaigns.sign_on import NewPeople, SignOns
from cti.desk import Desk, Stored
from cti.front import Front, source_of
from cti.log_in import LogIn
from cti.provider import NotBegun, Pending, Provider, SignOnFault
from cti.settings import OidcSettings
from cti.throttle import LogInThrottle

log = structlog.get_logger(__name__)

COOKIE = "zd_sign_on"
PATIENCE_S = 600  # to log in at the provider
LONGEST = 8_192  # characters of what the browser brings back


class SignOnDesk(Desk):
    """The endpoints."""

    def __init__(
        self, front: Front, stored: Stored, log_in: LogIn, provider: Provider, settings: OidcSettings
    ) -> None:
        super().__init__(stored, "sign-on")
        self._front = front
        self._log_in = log_in
        self._provider = provider
        self._new = NewPeople(settings.new_role, settings.new_unit) if settings.new_role else None
        self._throttle = LogInThrottle()

    async def begin(self, request: Request) -> Response:
        """GET /login/oidc: to the provider."""
        try:
            url, pending = await self._provider.begin()
        except SignOnFault as fault:
            return self._failed(request, fault)
        response = RedirectResponse(url, 303)
        kept = urlsafe_b64encode(msgspec.json.encode(pending)).decode()
        self._front.set(request, response, COOKIE, kept, PATIENCE_S)
        return response

    async def back(self, request: Request) -> Response:
        """GET /login/oidc/back: from the provider, with a code or a refusal. What was kept is good once."""
        source = source_of(request)
        wait_s = self._throttle.wait_s("", source, monotonic())
        if wait_s > 0:
            return self._log_in.shown(request, 429, "login.throttled", wait_s=wait_s)
        try:
            signed_on = await self._provider.finish(_kept(request), _answer(request))
        except SignOnFault as fault:
            # Where nothing was begun nothing was guessed; that the provider is away is its own doing.
            if not isinstance(fault, NotBegun) and fault.code != "oidc.away":
                self._throttle.failed(source, monotonic())
                why, ons = str(fault), SignOns(self._stored.engine)
                await self.run(lambda: ons.refused("", source, why))
            return self._failed(request, fault)
        ons = SignOns(self._stored.engine)
        user = await self.run(lambda: ons.user(signed_on.vouched, source, self._new))
        if user is None:
            return self._failed(request, SignOnFault("oidc.nobody", f"nobody: {signed_on.vouched.login!r}"))
        response = await self._log_in.let_in(request, user, "", signed_on.second_factor, signed_on.id_token)
        self._front.unset(response, COOKIE)
        return response

    def _failed(self, request: Request, fault: SignOnFault) -> Response:
        log.warning("a sign-on came to nothing", reason=str(fault), source=source_of(request))
        response = self._log_in.shown(request, 503 if fault.code == "oidc.away" else 401, fault.code)
        self._front.unset(response, COOKIE)
        return response


def _kept(request: Request) -> Pending:
    """What the browser was to keep. Raises :class:`NotBegun`."""
    try:
        raw = urlsafe_b64decode(request.cookies.get(COOKIE, "")[:LONGEST])
        pending = msgspec.json.decode(raw, type=Pending)
    except (ValueError, msgspec.DecodeError) as fault:
        raise NotBegun("the browser kept nothing of a sign-on") from fault
    if not (pending.state and pending.nonce and pending.verifier):
        raise NotBegun("the browser kept nothing of a sign-on")
    return pending


def _answer(request: Request) -> dict[str, str]:
    """The query, each name once (RFC 6749, 3.1). Raises :class:`NotBegun`."""
    pairs = request.query_params.multi_items() if len(request.url.query) <= LONGEST else []
    answer = dict(pairs)
    if len(answer) != len(pairs) or not pairs:
        raise NotBegun("the answer is too long, empty, or says something twice")
    return answer
