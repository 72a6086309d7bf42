"""The identity of an agent: cookies, credentials, and the CSRF token under the announced name."""

from __future__ import annotations

import pytest

from cometreel.locust_agents.agent_identity import CookieJar, Identity, UserCredentials
from cometreel.locust_agents.http_client import HttpReply
from cometreel.locust_agents.login import LoginMode, LoginRequest

ANN = UserCredentials("ann", "s\u00e9cret")
BASIC = "Basic YW5uOnPDqWNyZXQ="


def cookies(*fields: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"set-cookie", field) for field in fields]


def test_cookies_are_merged_by_name():
    jar = CookieJar()
    assert jar.update(cookies(b"JSESSIONID=a; Path=/; HttpOnly", b"BAYEUX_BROWSER=b;Path=/"))
    assert jar.header == "JSESSIONID=a; BAYEUX_BROWSER=b"
    assert jar.update(cookies(b"JSESSIONID=c"))
    assert jar.header == "BAYEUX_BROWSER=b; JSESSIONID=c"
    assert not jar.update([(b"content-type", b"x")])


@pytest.mark.parametrize(
    "field", [b"a=; Max-Age=0", b"a=x; max-age=-1", b"a=x; Expires=Thu, 01-Jan-1970 00:00:00 GMT; Path=/"]
)
def test_a_cookie_can_be_deleted(field: bytes):
    jar = CookieJar()
    jar.update(cookies(b"a=1", b"b=2"))
    assert jar.update(cookies(field))
    assert jar.header == "b=2"


def test_invalid_cookies_are_ignored():
    jar = CookieJar()
    assert not jar.update(cookies(b"nonsense", b"=x"))
    assert jar.header == ""


def test_secrets_are_not_in_repr():
    jar = CookieJar()
    jar.update(cookies(b"JSESSIONID=secret-cookie"))
    assert repr([ANN, jar]) == "[UserCredentials('ann'), CookieJar(['JSESSIONID'])]"


@pytest.mark.parametrize(
    ("login", "step", "other"),
    [("open", False, False), ("basic", True, True), ("session", True, False)],
)
def test_requests_with_credentials(login: LoginMode, step: bool, other: bool):  # a table
    identity = Identity("gws", login, ANN)
    field = f"Authorization: {BASIC}\r\n".encode()
    assert (field in identity.request(LoginRequest("/me", credentials=True))) is step
    assert (field in identity.request(LoginRequest("/services"))) is other
    assert (field in identity.head.post("/x", b"{}")) is other


def test_the_csrf_token_is_sent_under_the_announced_name():
    identity = Identity("gws", "session", ANN)
    fields = ((b"x-csrf-header", b"X-MY-TOKEN"), (b"x-csrf-token", b"t1"), (b"set-cookie", b"JSESSIONID=a"))
    identity.update(HttpReply(403, fields, b"", last=False))
    assert identity.request(LoginRequest("/api/v2/me", body={"a": 1})) == (
        b"POST /api/v2/me HTTP/1.1\r\nHost: gws\r\nAccept: application/json\r\nCookie: JSESSIONID=a\r\n"
        b"X-MY-TOKEN: t1\r\nContent-Type: application/json;charset=UTF-8\r\nContent-Length: 7\r\n\r\n"
        b'{"a":1}'
    )
    assert identity.websocket_headers() == {"Cookie": "JSESSIONID=a"}
