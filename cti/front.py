"""What every page shares: who is signed in, a form's fields, the templates in the reader's language, the cookies."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import parse_qs

import jinja2
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, Response

from campaigns.passwords import LONGEST
from campaigns.rights import Right
from campaigns.users import User
from cti.guard import bearer_of
from cti.identity import Accounts
from cti.language import COOKIE as LANGUAGE_COOKIE
from cti.language import LANGUAGES, Catalogue, catalogue, choose
from cti.settings import WebSettings

FIELDS = 10  # of a form
SESSION_COOKIE = "zd_session"

templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class Front:
    """Shared by everything that makes pages."""

    def __init__(self, accounts: Accounts, settings: WebSettings) -> None:
        self._accounts = accounts
        self._settings = settings

    async def user(self, connection: HTTPConnection) -> User | None:
        """Who is logged in here; None: nobody."""
        if bearer_of(connection.headers) is not None:  # a program's: its cookies count for nothing
            return None
        token = connection.cookies.get(SESSION_COOKIE)
        return await self._accounts.session(token) if token else None

    async def program(self, connection: HTTPConnection) -> User | None:
        """Who asks the API: by a token, and then no cookie counts, or signed in as for the pages."""
        token = bearer_of(connection.headers)
        return (
            await self._accounts.token(token, source_of(connection))
            if token is not None
            else await self.user(connection)
        )

    async def form(self, request: Request, most: int = FIELDS) -> dict[str, str]:
        """The fields of a form, the first of each name. Raises HTTP 413 or 400 for what no page of ours sends."""
        body = await self.body(request, self._settings.max_form_bytes)
        try:
            fields = parse_qs(
                body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=most
            )
        except ValueError as fault:
            raise HTTPException(400) from fault
        return {name: values[0] for name, values in fields.items()}

    async def body(self, request: Request, most: int) -> bytearray:
        """A body of so many bytes at most. Raises HTTP 413."""
        body = bytearray()
        async with asyncio.timeout(self._settings.hello_limit_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise HTTPException(413)
        return body

    def page(self, request: Request, template: str, status: int = 200, **values: object) -> HTMLResponse:
        """A page of a template, for the `user` among its values."""
        user = values.get("user")
        texts = self.texts(request, user if isinstance(user, User) else None)
        html = templates.get_template(template).render(
            {"user": None} | values,
            t=texts,
            path=request.url.path,
            languages=LANGUAGES,
            longest_password=LONGEST,
        )
        return HTMLResponse(
            html, status, headers={"Content-Language": texts.tag, "Vary": "Accept-Language, Cookie"}
        )

    def texts(self, connection: HTTPConnection, user: User | None) -> Catalogue:
        """The catalogue for this browser and user."""
        return catalogue(
            choose(
                connection.cookies.get(LANGUAGE_COOKIE),
                user.language if user else "",
                connection.headers.get("accept-language"),
                self._settings.default_language,
            )
        )

    def set(
        self, request: Request, response: Response, name: str, value: str, max_age: int | None = None
    ) -> None:
        """Set a cookie that no script reads; over https it goes over https alone."""
        secure = self._settings.secure_cookie or request.url.scheme == "https"
        response.set_cookie(
            name,
            value,
            max_age=max_age,
            httponly=True,
            samesite="lax",
            secure=secure,
            domain=self._settings.cookie_domain or None,
        )

    def unset(self, response: Response, name: str) -> None:
        """Take such a cookie back."""
        response.delete_cookie(name, domain=self._settings.cookie_domain or None)

    def not_allowed(self, request: Request, user: User) -> Response:
        """What a browser sees of a page that this user's role has no right to."""
        return self.page(
            request,
            "message.html",
            403,
            user=user,
            title="message.not_allowed",
            text="message.not_allowed_why",
            home=home_of(user),
        )


def home_of(user: User) -> str:
    """Where this user's work is."""
    return "/status" if user.may(Right.WATCH) or not user.may(Right.SEAT) else "/"


def source_of(connection: HTTPConnection) -> str:
    """The address of whoever asks."""
    return connection.client.host if connection.client else "unknown"


def browser_of(connection: HTTPConnection) -> str:
    """What the browser says it is."""
    return connection.headers.get("user-agent", "")
