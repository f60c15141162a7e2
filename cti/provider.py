"""The company's OpenID provider: what it says of itself, its keys, a code exchanged, and each ID token checked.

The authorization code flow with PKCE (RFC 7636) by OpenID Connect Core 1.0. The provider is configured; what comes from
it, or in its name through somebody's browser, is checked all the same: the issuer of its own description, the scheme
of every address in it, algorithm, key, issuer, audience, nonce and times of each token. No redirect of it is followed.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any
from urllib.parse import urlencode

import httpx2
import msgspec
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from campaigns.sign_on import LONGEST, Vouched
from cti.settings import OidcSettings, safe

LIMIT_S = 10.0  # for one answer of the provider
MOST_BYTES = 1 << 20  # of one answer
KEPT_S = 3_600.0  # how long its description and keys are believed
KEYS_AGAIN_S = 10.0  # a key nobody knows has them fetched anew, and no more often than this
LEEWAY_S = 60  # between its clock and ours
SECRET_BYTES = 32
# Asymmetric ones alone: with HS256, who knows the client's secret could sign as the provider.
ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "Ed25519",
    "EdDSA",
)
MANY_FACTORS = "mfa"  # RFC 8176: the person was asked for more than one factor


class SignOnFault(Exception):
    """A sign-on that came to nothing. `code` is a text of the catalogues; the text of the fault is for the log."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class NotBegun(SignOnFault):
    """What a browser is back with answers nothing that it was sent out with. Any page can have a browser ask so."""

    def __init__(self, text: str) -> None:
        super().__init__("oidc.failed", text)


class Pending(msgspec.Struct, frozen=True):
    """What a browser keeps until it is back: its answer is held against this."""

    state: str
    nonce: str
    verifier: str


class Description(msgspec.Struct, frozen=True):
    """What the provider says of itself (OpenID Connect Discovery 1.0, 3), as far as it is used."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    end_session_endpoint: str = ""
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


@dataclass(frozen=True, slots=True)
class SignedOn:
    """Who it is, the token that says so, and whether the provider asked for a second factor itself."""

    vouched: Vouched
    id_token: str
    second_factor: bool


class Provider:
    """The provider. Nothing is asked of it before somebody wants to sign on."""

    def __init__(self, settings: OidcSettings) -> None:
        self._settings = settings
        self._trust = ssl.create_default_context()  # this machine's authorities; made once, as it takes 20 ms
        self._description: tuple[float, Description] | None = None
        self._keys: tuple[float, KeySet] | None = None

    async def begin(self) -> tuple[str, Pending]:
        """Where to send the browser, and what it is to keep. Raises :class:`SignOnFault`."""
        description = await self._described()
        pending = Pending(*(secrets.token_urlsafe(SECRET_BYTES) for _ in range(3)))
        async with self._client(description) as client:
            url, _ = client.create_authorization_url(
                description.authorization_endpoint,
                state=pending.state,
                nonce=pending.nonce,
                code_verifier=pending.verifier,
            )
        return url, pending

    async def finish(self, pending: Pending, answer: Mapping[str, str]) -> SignedOn:
        """Who is back, by the query that the provider gave the browser. Raises :class:`SignOnFault`."""
        if not hmac.compare_digest(answer.get("state", "").encode(), pending.state.encode()):
            raise NotBegun("the state is not the one that was given")
        description = await self._described()
        issuer = answer.get("iss")
        named = issuer is not None or description.authorization_response_iss_parameter_supported
        if named and issuer != self._settings.issuer:  # RFC 9207
            raise SignOnFault("oidc.failed", f"the answer is of another issuer: {issuer!r}")
        if "error" in answer:
            code = "oidc.denied" if answer["error"] == "access_denied" else "oidc.failed"
            raise SignOnFault(code, f"the provider says {answer['error'][:200]!r}")
        if not answer.get("code"):
            raise SignOnFault("oidc.failed", "there is no code")
        tokens = await self._exchanged(description, answer["code"], pending.verifier)
        claims = await self._checked(description, tokens, pending.nonce)
        return await self._signed_on(description, tokens, claims)

    async def end_url(self, id_token: str) -> str | None:
        """Where a browser ends the provider's own session, too; None: it has no such place, or is away."""
        try:
            description = await self._described()
        except SignOnFault:
            return None
        if not description.end_session_endpoint:
            return None
        after = self._settings.redirect_uri.rpartition("/oidc/")[0]  # the log-in
        query = {
            "id_token_hint": id_token,
            "client_id": self._settings.client_id,
            "post_logout_redirect_uri": after,
        }
        joint = "&" if "?" in description.end_session_endpoint else "?"
        return f"{description.end_session_endpoint}{joint}{urlencode(query)}"

    # --- within ---------------------------------------------------------------------------------------------------

    def _client(self, description: Description | None = None) -> Any:  # a type that is made at its import
        settings, method = self._settings, "none"
        if settings.secret and description is not None:
            offered = description.token_endpoint_auth_methods_supported
            method = "client_secret_basic" if "client_secret_basic" in offered else "client_secret_post"
        return AsyncOAuth2Client(
            settings.client_id,
            settings.secret or None,
            token_endpoint_auth_method=method,
            redirect_uri=settings.redirect_uri,
            scope=" ".join(settings.scopes),
            code_challenge_method="S256",
            timeout=LIMIT_S,
            follow_redirects=False,
            trust_env=False,
            transport=_Bounded(verify=self._trust),
        )

    async def _described(self) -> Description:
        if self._description is not None and monotonic() - self._description[0] < KEPT_S:
            return self._description[1]
        issuer = self._settings.issuer
        raw = await self._get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        try:
            description = msgspec.json.decode(raw, type=Description)
        except (msgspec.DecodeError, UnicodeDecodeError) as fault:
            raise SignOnFault("oidc.away", f"the provider's description can't be read: {fault}") from fault
        if description.issuer != issuer:
            raise SignOnFault("oidc.away", f"the description of {issuer} is of {description.issuer!r}")
        for url in (
            description.authorization_endpoint,
            description.token_endpoint,
            description.jwks_uri,
            description.userinfo_endpoint,
            description.end_session_endpoint,
        ):
            if url and not safe(url):
                raise SignOnFault("oidc.away", f"the provider names {url!r}, which is no https address")
        self._description = monotonic(), description
        return description

    async def _key_set(self, description: Description, anew: bool = False) -> KeySet:
        age = monotonic() - self._keys[0] if self._keys is not None else KEPT_S
        if self._keys is not None and age < (KEYS_AGAIN_S if anew else KEPT_S):
            return self._keys[1]
        try:
            keys = KeySet.import_key_set(msgspec.json.decode(await self._get(description.jwks_uri)))
        except (msgspec.DecodeError, JoseError, UnicodeDecodeError, ValueError, TypeError, KeyError) as fault:
            raise SignOnFault("oidc.away", f"the provider's keys can't be read: {fault}") from fault
        self._keys = monotonic(), keys
        return keys

    async def _get(self, url: str, token: str = "") -> bytes:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            async with asyncio.timeout(LIMIT_S), self._client() as client:
                response = await client.request("GET", url, headers=headers, withhold_token=True)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as fault:
            raise SignOnFault("oidc.away", f"{url} does not answer: {fault}") from fault
        if response.status_code != 200:
            raise SignOnFault("oidc.away", f"{url} answers {response.status_code}")
        return response.content

    async def _exchanged(self, description: Description, code: str, verifier: str) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(LIMIT_S), self._client(description) as client:
                return await client.fetch_token(description.token_endpoint, code=code, code_verifier=verifier)
        except AuthlibBaseError as fault:  # the code is not good (any more), or the client is not
            raise SignOnFault("oidc.failed", f"the code was not taken: {fault}") from fault
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, TypeError) as fault:
            raise SignOnFault("oidc.away", f"the code could not be exchanged: {fault}") from fault

    async def _checked(
        self, description: Description, tokens: Mapping[str, Any], nonce: str
    ) -> Mapping[str, Any]:
        """The claims of the ID token (OpenID Connect Core, 3.1.3.7)."""
        raw = tokens.get("id_token")
        if not isinstance(raw, str):
            raise SignOnFault("oidc.failed", "there is no ID token")
        keys = await self._key_set(description)
        try:
            try:
                token = jwt.decode(raw, keys, algorithms=ALGORITHMS)
            except InvalidKeyIdError:  # the provider has taken a new key
                token = jwt.decode(raw, await self._key_set(description, anew=True), algorithms=ALGORITHMS)
            claims = CodeIDToken(
                token.claims,
                token.header,
                {
                    "iss": {"essential": True, "value": self._settings.issuer},
                    "aud": {"essential": True, "value": self._settings.client_id},
                },
                {
                    "nonce": nonce,
                    "client_id": self._settings.client_id,
                    "access_token": tokens.get("access_token"),
                },
            )
            claims.validate(leeway=LEEWAY_S)
        except (JoseError, AuthlibBaseError, ValueError, TypeError, KeyError) as fault:
            raise SignOnFault("oidc.failed", f"the ID token is not good: {fault!r}") from fault
        return claims

    async def _signed_on(
        self, description: Description, tokens: Mapping[str, Any], claims: Mapping[str, Any]
    ) -> SignedOn:
        said, claim = dict(claims), self._settings.claim
        if claim not in said and description.userinfo_endpoint and tokens.get("access_token"):
            try:
                more = msgspec.json.decode(
                    await self._get(description.userinfo_endpoint, str(tokens["access_token"])),
                    type=dict[str, Any],
                )
            except (msgspec.DecodeError, UnicodeDecodeError) as fault:
                raise SignOnFault(
                    "oidc.away", f"what the provider says of them can't be read: {fault}"
                ) from fault
            if more.get("sub") != claims["sub"]:  # OpenID Connect Core, 5.3.2
                raise SignOnFault("oidc.failed", "what the provider says of them is of another subject")
            said = more | said
        subject, login = claims["sub"], said.get(claim)
        for value in (subject, login):
            if not isinstance(value, str) or not value or len(value) > LONGEST:
                raise SignOnFault("oidc.nobody", f"the claim {claim!r} says nothing usable: {value!r:.100}")
        if claim == "email" and said.get("email_verified") is not True:
            raise SignOnFault("oidc.nobody", f"the provider did not verify the address {login!r}")
        name = said.get("name")
        name = name[:LONGEST] if isinstance(name, str) and name.strip() and name.isprintable() else str(login)
        amr = claims.get("amr")
        return SignedOn(
            Vouched(self._settings.issuer, subject, str(login), name),
            tokens["id_token"],
            isinstance(amr, list) and MANY_FACTORS in amr,
        )


class _Bounded(httpx2.AsyncHTTPTransport):
    """A transport that takes no more than so many bytes of an answer."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.headers["Accept-Encoding"] = (
            "identity"  # what unpacks to more than it says is not taken at all
        )
        response = await super().handle_async_request(request)
        response.stream = _Stream(response.stream)  # type: ignore[arg-type]
        return response


class _Stream(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._stream:
            size += len(part)
            if size > MOST_BYTES:
                raise httpx2.ReadError(f"the answer has more than {MOST_BYTES:,} bytes")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()
