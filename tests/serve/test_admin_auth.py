"""Authentication of the admin API: first as functions, then over a server."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from cometreel.errors import OptionInvalid
from cometreel.serve.admin.auth import TOKEN_VARIABLE, AdminAuth, AuthenticatedApp, Peers, token_from
from tests.serve.admin_client import TOKEN, administered

BEARER = {"authorization": f"Bearer {TOKEN}"}
HERE = {"host": "127.0.0.1:8080", **BEARER}
FOREIGN = (403, "only this machine may use the admin API (see: cometreel serve --admin-from)")
WRONG_HOST = (403, "the Host of the request is not this machine; use 127.0.0.1 or localhost")
OTHER_PAGE = (403, "another web page may not use the admin API")
NO_TOKEN = (
    401,
    (
        "the token of this run is missing or wrong; "
        "send Authorization: Bearer TOKEN, or open /__reel__/?token=TOKEN in a browser"
    ),
)


def scope(headers: dict[str, str], client: str | None = "127.0.0.1", query: str = "") -> Scope:
    return {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/__reel__/",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": None if client is None else (client, 50000),
        "server": ("127.0.0.1", 8080),
    }


@pytest.mark.parametrize(
    ("client", "refusal"),
    [
        ("127.0.0.1", None),
        ("127.8.9.1", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("::ffff:192.0.2.1", FOREIGN),
        ("192.0.2.1", FOREIGN),
        ("fe80::1", FOREIGN),
        ("somewhere", FOREIGN),
        (None, FOREIGN),
    ],
)
def test_only_this_machine_is_allowed(client: str | None, refusal: tuple[int, str] | None):
    assert AdminAuth(TOKEN).refusal(scope(HERE, client)) == refusal


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded"])
def test_forwarded_requests_count_as_remote(name: str):
    passed_on = {**HERE, name: "127.0.0.1"}
    assert AdminAuth(TOKEN).refusal(scope(passed_on)) == FOREIGN
    assert AdminAuth(TOKEN, "any").refusal(scope(passed_on)) is None


@pytest.mark.parametrize(
    ("host", "refusal"),
    [
        ("localhost", None),
        ("LocalHost:8080", None),
        ("reel.localhost:1", None),
        ("[::1]:8080", None),
        ("127.0.0.1", None),
        ("evil.example:8080", WRONG_HOST),
        ("127.0.0.1.evil.example", WRONG_HOST),
        ("evil.example@127.0.0.1.evil.example", WRONG_HOST),
        ("192.0.2.1", WRONG_HOST),
        ("[::1", WRONG_HOST),
        ("", WRONG_HOST),
        (None, WRONG_HOST),
    ],
)
def test_a_name_that_may_be_rebound_to_this_machine_is_refused(host: str | None, refusal: tuple[int, str] | None):
    headers = BEARER if host is None else {"host": host, **BEARER}
    assert AdminAuth(TOKEN).refusal(scope(headers)) == refusal


@pytest.mark.parametrize(
    ("origin", "refusal"),
    [
        ("http://127.0.0.1:8080", None),
        ("https://127.0.0.1:8080", None),
        ("http://127.0.0.1:8081", OTHER_PAGE),
        ("http://localhost:8080", OTHER_PAGE),
        ("http://evil.example", OTHER_PAGE),
        ("null", OTHER_PAGE),
        ("http://[", OTHER_PAGE),
        ("", OTHER_PAGE),
    ],
)
@pytest.mark.parametrize("peers", ["loopback", "any"])
def test_requests_of_other_web_pages_are_refused(origin: str, refusal: tuple[int, str] | None, peers: Peers):
    assert AdminAuth(TOKEN, peers).refusal(scope({**HERE, "origin": origin})) == refusal


@pytest.mark.parametrize(
    ("headers", "query", "refusal"),
    [
        ({}, "", NO_TOKEN),
        ({"authorization": f"bearer  {TOKEN}"}, "", None),
        ({"authorization": f"Basic {TOKEN}"}, "", NO_TOKEN),
        ({"authorization": "Bearer"}, "", NO_TOKEN),
        ({"authorization": f"Bearer {TOKEN}x"}, "", NO_TOKEN),
        ({"authorization": "Bearer \xe9"}, "", NO_TOKEN),
        ({}, f"a=1&token={TOKEN}", None),
        ({}, "token=", NO_TOKEN),
        ({"cookie": f"a=1; reel-admin-8080={TOKEN}"}, "", None),
        ({"cookie": f"reel-admin-9090={TOKEN}"}, "", NO_TOKEN),
        ({"cookie": "=;;reel-admin-8080"}, "", NO_TOKEN),
        ({"cookie": f"a,b=1; reel-admin-8080={TOKEN}"}, "", None),
        ({"cookie": f'a="\\; reel-admin-8080={TOKEN}; [x]=(y)'}, "", None),
        ({"cookie": f"\x00\x7fé=ü; reel-admin-8080={TOKEN}"}, "", None),
        ({"cookie": f"reel-admin-8080=planted; reel-admin-8080={TOKEN}"}, "", None),
        ({"cookie": "reel-admin-8080=é,"}, "", NO_TOKEN),
    ],
)
@pytest.mark.parametrize("peers", ["loopback", "any"])
def test_the_token_is_required(headers: dict[str, str], query: str, refusal: tuple[int, str] | None, peers: Peers):
    assert AdminAuth(TOKEN, peers).refusal(scope({"host": "127.0.0.1:8080", **headers}, query=query)) == refusal


def test_with_any_peer_only_the_token_is_required():
    headers = {"host": "reel.example", **BEARER}
    assert AdminAuth(TOKEN, "any").refusal(scope(headers, "192.0.2.1")) is None
    assert AdminAuth(TOKEN, "any").refusal(scope({"host": "reel.example"}, "192.0.2.1")) == NO_TOKEN


def test_the_representation_does_not_show_the_token():
    assert TOKEN not in repr(AdminAuth(TOKEN))


# ---------------------------------------------------------------------- the token of a run
def test_a_new_token_is_generated_for_each_run():
    one, two = token_from({}), token_from({TOKEN_VARIABLE: ""})
    assert one != two
    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", one)
    assert token_from({TOKEN_VARIABLE: TOKEN}) == TOKEN


@pytest.mark.parametrize("given", ["short", "with a space in it", "é" * 20, "x" * 201])
def test_an_invalid_token_is_refused_without_showing_it(given: str):
    with pytest.raises(OptionInvalid) as caught:
        token_from({TOKEN_VARIABLE: given})
    assert str(caught.value) == (
        f"COMETREEL_ADMIN_TOKEN: its value of {len(given)} characters is not a token; expected 16 to 200 letters, "
        "digits and . _ ~ - (unset it to get a new token for each run)"
    )


# ---------------------------------------------------------------------- a browser
async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("hello")(scope, receive, send)


def browser(base: str = "http://127.0.0.1:8080") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(AuthenticatedApp(hello, AdminAuth(TOKEN)), client=("127.0.0.1", 1))
    return httpx.AsyncClient(transport=transport, base_url=base)


async def test_the_first_visit_with_the_token_gives_a_cookie_and_the_next_needs_no_token():
    async with browser() as client:
        first = await client.get("/__reel__/", params={"token": TOKEN})
        cookie = f"reel-admin-8080={TOKEN}; Path=/__reel__; HttpOnly; SameSite=Strict"
        assert first.headers["set-cookie"] == cookie
        second = await client.get("/__reel__/")
        assert (second.status_code, "set-cookie" in second.headers) == (200, False)


async def test_over_tls_the_cookie_is_for_tls_only():
    async with browser("https://127.0.0.1:8080") as client:
        reply = await client.get("/__reel__/", params={"token": TOKEN})
    assert reply.headers["set-cookie"].endswith("; Secure")


async def test_a_wrong_token_gives_no_cookie():
    async with browser() as client:
        reply = await client.get("/__reel__/", params={"token": "wrong"})
    assert (reply.status_code, "set-cookie" in reply.headers) == (401, False)
    assert reply.headers["www-authenticate"] == 'Bearer realm="cometreel"'


async def test_every_response_forbids_caching_referrers_and_cross_origin_use():
    async with browser() as client:
        replies = [await client.get("/__reel__/", params={"token": token}) for token in (TOKEN, "wrong")]
    wanted = {
        "cache-control": "no-store",
        "cross-origin-resource-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
    assert [wanted.items() <= dict(reply.headers).items() for reply in replies] == [True, True]


# ---------------------------------------------------------------------- over a server
def test_a_server_requires_the_token_and_does_not_log_it(caplog: pytest.LogCaptureFixture):
    with administered() as reel:
        refused = reel.app.get("/__reel__/calls")
        assert (refused.status_code, refused.json()) == (401, {"problems": [{"text": NO_TOKEN[1]}]})
        reset = reel.app.post("/__reel__/reset", headers={"Origin": "http://evil.example", **BEARER})
        assert (reset.status_code, reset.json()) == (403, {"problems": [{"text": OTHER_PAGE[1]}]})
        assert reel.app.get(f"/__reel__/calls?token={TOKEN}").status_code == 200
        assert reel.app.get("/__reel__/calls").status_code == 200, "by its cookie"
    assert TOKEN not in caplog.text


def test_the_cookie_of_the_admin_api_never_reaches_the_application():
    with administered() as reel:
        reel.app.get(f"/__reel__/?token={TOKEN}")
        seen: list[Any] = []
        reel.app.event_hooks["request"] = [lambda request: seen.append(request.headers.get("cookie"))]
        reel.app.get("/api/v2/page")
    assert seen == [None]
