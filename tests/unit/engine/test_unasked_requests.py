"""Requests that browsers and crawlers send by themselves: no miss, no session, no call, unless a scenario has them."""

from __future__ import annotations

import pytest

from cometreel.engine import Backend, ReplaySettings, Response
from cometreel.scenario import loads
from cometreel.wire import Effect, Forward, Headers, Log, Reply, Request
from tests.unit.engine.conversation import whole

STATS = "exchanges: [{name: stats, request: {method: GET, path: /api/v2/stats}, reply: {body: {statusCode: 0}}}]"
ICON = "exchanges: [{name: icon, request: {method: GET, path: PATH}, reply: {body: {statusCode: 0}}}]"
PATHS = [
    "/favicon.ico",
    "/robots.txt",
    "/apple-touch-icon.png",
    "/apple-touch-icon-120x120-precomposed.png",
    "/.well-known/appspecific/com.chrome.devtools.json",
    "/.well-known/security.txt",
]


def backend(scenario: str = STATS, **settings: object) -> Backend:
    return Backend(loads(whole(scenario), "test.yaml"), ReplaySettings(**settings))  # type: ignore[arg-type]  # a test's


def get(engine: Backend, path: str, method: str = "GET") -> list[Effect]:
    return engine.receive(Request(1, method, path, "", Headers(), b"", "http://replay:1"), 0.0)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", PATHS)
def test_they_get_a_404_and_leave_nothing(path: str, method: str):
    engine = backend()
    (reply,) = get(engine, path, method)
    assert isinstance(reply, Reply)
    assert (reply.status, reply.body, reply.headers.get("set-cookie")) == (
        404,
        b'{"statusCode":6,"statusMessage":"no exchange has this path"}',
        None,
    )
    assert (len(engine.sessions), list(engine.calls), list(engine.journal.unmatched)) == (0, [], [])


@pytest.mark.parametrize("auth", ["session", "csrf"])
def test_they_need_no_login(auth: str):
    (reply,) = get(backend(auth=auth), "/favicon.ico")
    assert isinstance(reply, Reply)
    assert reply.status == 404


@pytest.mark.parametrize("path", ["/favicon.ico", "{$any: string}", '{$regex: "/favicon.*"}'])
def test_an_exchange_with_the_path_answers(path: str):
    engine = backend(ICON.replace("PATH", path))
    reply = get(engine, "/favicon.ico")[-1]
    assert isinstance(reply, Reply)
    assert (reply.status, [call.outcome for call in engine.calls], len(engine.sessions)) == (200, ["played"], 1)


def test_an_exchange_with_the_path_makes_other_requests_for_it_misses():
    engine = backend(ICON.replace("PATH", "/robots.txt, query: {v: '1'}"))
    log, reply = get(engine, "/robots.txt")
    assert (type(log), [call.outcome for call in engine.calls]) == (Log, ["missed"])
    assert isinstance(reply, Reply)
    assert (reply.status, len(engine.sessions)) == (404, 1)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/favicon.ico"), ("GET", "/app/favicon.ico"), ("GET", "/robots.txt.bak"), ("GET", "/.well-knownx")],
)
def test_other_requests_are_misses(method: str, path: str):
    engine = backend()
    get(engine, path, method)
    assert [call.outcome for call in engine.calls] == ["missed"]


def test_they_are_forwarded_as_other_requests_are():
    assert get(backend(unmatched="forward"), "/favicon.ico") == [Forward(1)]


def test_a_responder_is_asked_first_and_otherwise_they_are_no_misses():
    engine = backend()
    engine.register(lambda asked: Response({"icon": True}) if asked.path == "/favicon.ico" else None)
    replies = [get(engine, path)[-1] for path in ("/favicon.ico", "/robots.txt")]
    assert [reply.status for reply in replies if isinstance(reply, Reply)] == [200, 404]
    assert [call.outcome for call in engine.calls] == ["responder"]
    assert list(engine.journal.unmatched) == []
