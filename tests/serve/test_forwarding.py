"""Unmatched GET requests are forwarded to the real server, unchanged, if the settings say so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from cometreel.engine import Backend, ReplaySettings
from cometreel.engine.driver import Driver
from cometreel.errors import OptionInvalid
from cometreel.scenario import loads
from cometreel.serve import BackgroundServer, ReplayApp, replay_app, serve_in_background
from cometreel.serve.forwarding import checked_upstream
from tests.serve.conftest import SCENARIO

FORWARD = ReplaySettings(unmatched="forward")


@pytest.fixture
def upstream() -> Iterator[tuple[str, list[Any]]]:
    """A real server, and the requests that it received."""
    asked: list[Any] = []

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        fields = {name.decode(): value.decode() for name, value in scope["headers"]}
        asked.append((scope["method"], scope["raw_path"], scope["query_string"], fields))
        cookie = (b"set-cookie", b"SERVER=1")
        hop = [(b"connection", b"X-Server-Hop"), (b"x-server-hop", b"1")]
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"4"), cookie, (b"x-answer", b"yes"), *hop]
        await send({"type": "http.response.start", "status": 203, "headers": headers})
        await send({"type": "http.response.body", "body": b"real"})

    @asynccontextmanager
    async def opening() -> AsyncIterator[ASGIApp]:
        yield app

    with serve_in_background(opening) as server:
        yield server.url, asked


@pytest.fixture
def served(upstream: tuple[str, list[Any]]) -> Iterator[BackgroundServer[ReplayApp]]:
    with serve_in_background(replay_app(loads(SCENARIO), FORWARD, upstream=upstream[0] + "/base/")) as running:
        yield running


def test_an_unmatched_get_is_forwarded_with_the_fields_of_the_client(
    served: BackgroundServer[ReplayApp], upstream: tuple[str, list[Any]]
):
    url, asked = upstream
    fields = {"Authorization": "Basic YTpi", "Cookie": "mine=1", "TE": "trailers", "Accept": "*/*", "User-Agent": "me"}
    reply = httpx.get(served.url + "/api/v2/a%20b?x=1", headers=fields, trust_env=False)
    assert (reply.status_code, reply.text, reply.headers["x-answer"]) == (203, "real", "yes")
    assert reply.headers["set-cookie"] == "SERVER=1"
    sent = {"authorization": "Basic YTpi", "cookie": "mine=1", "accept": "*/*", "user-agent": "me"}
    encoding = {"accept-encoding": httpx.Client().headers["accept-encoding"]}
    assert asked == [("GET", b"/base/api/v2/a%20b", b"x=1", {**sent, **encoding, "host": url.removeprefix("http://")})]


def test_fields_that_connection_lists_are_dropped_in_both_directions(
    served: BackgroundServer[ReplayApp], upstream: tuple[str, list[Any]]
):
    fields = {"Connection": "keep-alive, X-Hop", "X-Hop": "1", "Proxy-Authorization": "Basic YTpi"}
    reply = httpx.get(served.url + "/elsewhere", headers=fields, trust_env=False)
    assert not {"x-hop", "connection", "proxy-authorization"} & upstream[1][0][3].keys()
    assert reply.status_code == 203
    assert "x-server-hop" not in reply.headers


def test_cookies_of_the_server_are_not_shared_between_clients(
    served: BackgroundServer[ReplayApp], upstream: tuple[str, list[Any]]
):
    for _ in range(2):
        httpx.get(served.url + "/api/v2/elsewhere", trust_env=False)
    assert ["cookie" in fields for *_, fields in upstream[1]] == [False, False]


def test_matched_requests_and_other_methods_are_not_forwarded(
    served: BackgroundServer[ReplayApp], upstream: tuple[str, list[Any]]
):
    assert httpx.get(served.url + "/api/v2/page", trust_env=False).text == "a page"
    assert httpx.post(served.url + "/api/v2/elsewhere", trust_env=False).status_code == 404
    assert upstream[1] == []


def test_an_unreachable_server_is_a_502_with_the_reason():
    with serve_in_background(replay_app(loads(SCENARIO), FORWARD, upstream="http://127.0.0.1:9")) as served:
        reply = httpx.get(served.url + "/elsewhere", trust_env=False)
    text = "http://127.0.0.1:9 could not be reached: ConnectError All connection attempts failed"
    assert (reply.status_code, reply.json()) == (502, {"statusCode": 4, "statusMessage": text})


def test_without_an_upstream_forwarding_is_a_502():
    @asynccontextmanager
    async def opening() -> AsyncIterator[ReplayApp]:
        yield ReplayApp(Driver(Backend(loads(SCENARIO), FORWARD)))

    with serve_in_background(opening) as served:
        reply = httpx.get(served.url + "/elsewhere", trust_env=False)
    text = "no exchange answers this request, and there is no server to forward it to; start with --upstream URL"
    assert (reply.status_code, reply.json()) == (502, {"statusCode": 4, "statusMessage": text})


@pytest.mark.parametrize("url", ["gws.example", "ftp://gws.example", "http://", "http://gws.example?a=1"])
def test_an_upstream_is_a_url_with_a_host(url: str):
    with pytest.raises(OptionInvalid) as refused:
        checked_upstream(url)
    assert str(refused.value) == (
        f"upstream: {url!r} is not the base URL of a server; expected a URL like http://gws.example:8080"
    )


def test_forwarding_needs_an_upstream():
    with pytest.raises(OptionInvalid, match=r"^upstream: missing; expected the URL of the real server"):
        replay_app(loads(SCENARIO), FORWARD)
