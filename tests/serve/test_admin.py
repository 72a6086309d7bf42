"""The admin API over a real server; its authentication is tested in test_admin_auth."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from cometreel.serve.admin.serializers import LONGEST_BODY
from tests.serve.admin_client import TOKEN, Administered, administered
from tests.serve.conftest import ASKED, GIVES_UP, Desktop, until

CHANNEL = "/v2/me/workbins"
FILTERS = "operation, owner_type, owner, method, path, body, exchange, session, user, role, outcome"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def reel() -> Iterator[Administered]:
    with administered() as found:
        yield found


def problems(reply: httpx.Response) -> tuple[int, list[str]]:
    """Return the status of a refusal and its problems."""
    return reply.status_code, [problem["text"] for problem in reply.json()["problems"]]


def without_time(value: Any) -> Any:
    """Check each time in a value; return the value without them."""
    if isinstance(value, dict):
        return {key: without_time(member) for key, member in value.items()}
    if isinstance(value, list):
        return [without_time(item) for item in value]
    return "TIME" if isinstance(value, str) and TIME.fullmatch(value) else value


# ---------------------------------------------------------------------- what is shown
def test_the_overview_counts(reel: Administered):
    reel.app.get("/api/v2/page")
    reel.app.get("/nowhere")
    assert reel.get("/") == {
        "title": "",
        "sessions": 1,
        "held_polls": 0,
        "calls": 2,
        "unmatched": 1,
        "unplayed": 3,
        "given_up": 0,
        "faults": 0,
        "speed": 1.0,
    }


def test_sessions_are_shown_without_cookies_tokens_and_client_ids(reel: Administered):
    desktop = Desktop(reel.app).handshakes()
    desktop.bayeux(channel="/meta/subscribe", subscription="/v2/me/*")
    (session,) = reel.get("/sessions")["sessions"]
    (client,) = session["clients"]
    assert re.fullmatch("[0-9a-f]{8}", client.pop("label"))
    assert client == {"transport": "long-polling", "polls": False, "subscriptions": ["/v2/me/*"], "waiting": 0}
    assert without_time({**session, "clients": []}) == {
        "number": 1,
        "kind": "full",
        "role": None,
        "user": None,
        "authenticated": False,
        "started": "TIME",
        "last_asked": "TIME",
        "clients": [],
        "waiting": 0,
    }
    shown = json.dumps(session)
    assert [secret for secret in (desktop.client_id, *reel.app.cookies.values()) if secret in shown] == []


def test_sessions_are_listed_in_pages(reel: Administered):
    for _ in range(5):
        httpx.get(f"{reel.served.url}/nothing", trust_env=False)
    pages, page = [], {"next": 0}
    while "next" in page:
        page = reel.get(f"/sessions?limit=2&after={page['next']}")
        pages.append([(session["number"], session["kind"]) for session in page["sessions"]])
    kind = "provisional"
    assert pages == [[(1, kind), (2, kind)], [(3, kind), (4, kind)], [(5, kind)]]


@pytest.mark.parametrize(
    ("query", "found", "expected"),
    [
        ("limit=0", "0 is out of range", "a number from 1 to 500"),
        ("limit=501", "501 is out of range", "a number from 1 to 500"),
        ("limit=x", "'x' is not a number", "a whole number, 0 or more"),
        ("after=-1", "'-1' is not a number", "a whole number, 0 or more"),
    ],
)
def test_an_invalid_page_is_refused(reel: Administered, query: str, found: str, expected: str):
    reply = reel.admin.get(f"/sessions?{query}")
    assert reply.status_code == 400
    (problem,) = reply.json()["problems"]
    assert f"{query.partition('=')[0]}: {found}; expected {expected}" in problem["text"]


def test_a_call_is_shown_with_all_properties(reel: Administered):
    reel.app.post("/api/v2/workbins?x=1", json=ASKED)
    reel.app.post("/api/v2/workbins", json=ASKED, auth=("kate", "very secret"))
    calls = reel.get("/calls")["calls"]
    assert [call["number"] for call in calls] == [1, 2]
    assert without_time(calls[1]) == {
        "number": 2,
        "at": "TIME",
        "session": 1,
        "role": None,
        "user": "kate",
        "method": "POST",
        "target": "/api/v2/workbins",
        "body": ASKED,
        "operation": "RequestAgentStats",
        "owner_type": "Place",
        "owner": "Place1",
        "exchange": "stats of place Place1",
        "status": 200,
        "outcome": "played",
        "miss": None,
    }
    assert "very secret" not in reel.admin.get("/calls").text


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", [1, 2, 3]),
        ("operation=RequestAgentStats&owner_type=Place", [1]),
        ("exchange=", [3]),
        ("method=GET&path=/api/v2/page", [2]),
        ("session=1&outcome=missed", [3]),
        ("since=1", [2, 3]),
        ("since=2&method=POST", []),
        (f"token={TOKEN}&method=POST", [1]),
    ],
)
def test_calls_are_filtered_by_the_query(reel: Administered, query: str, numbers: list[int]):
    reel.app.post("/api/v2/workbins", json=ASKED)
    reel.app.get("/api/v2/page")
    reel.app.get("/nowhere")
    assert [call["number"] for call in reel.get(f"/calls?{query}")["calls"]] == numbers


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (
            "operatoin=x",
            f"operatoin: calls can't be filtered by it; expected one of {FILTERS} (did you mean 'operation'?)",
        ),
        ("since=x", "since: 'x' is not a number; expected a whole number, 0 or more"),
        ("session=-1", "session: '-1' is not a number; expected a whole number, 0 or more"),
    ],
)
def test_an_invalid_query_is_refused(reel: Administered, query: str, text: str):
    assert problems(reel.admin.get(f"/calls?{query}")) == (400, [text])


def test_secrets_of_a_client_are_masked(reel: Administered):
    reel.app.post("/login?access_token=s3cret&x=1", json={"userName": "kate", "password": "s3cret", "n": [{"pin": 1}]})
    reel.app.post("/login", data={"user": "kate", "password": "s3cret"})
    one, two = reel.get("/unmatched")["unmatched"]
    assert one["target"] == "/login?access_token=[hidden]&x=1"
    assert one["body"] == {"userName": "kate", "password": "[hidden]", "n": [{"pin": "[hidden]"}]}
    assert two["body"] == "user=kate&password=[hidden]"


def test_a_long_body_is_truncated_and_a_missing_one_is_null(reel: Administered):
    reel.app.post("/api/v2/page", content=b"[" + b"1" * LONGEST_BODY)
    reel.app.get("/api/v2/page")
    long, none = reel.get("/calls")["calls"]
    assert long["body"] == "[" + "1" * (LONGEST_BODY - 1) + "…"
    assert none["body"] is None


def test_an_unmatched_call_is_shown_with_its_near_misses(reel: Administered):
    reel.app.post("/api/v2/workbins", json={**ASKED, "workbinOwner": "Place2"})
    (call,) = reel.get("/unmatched")["unmatched"]
    assert (call["status"], call["outcome"]) == (404, "missed")
    assert call["miss"]["text"].startswith(
        "no exchange answers POST /api/v2/workbins; nearest: 'stats of place Place1'"
    )
    assert call["miss"]["nearest"][0]["differs"] == [
        {"where": "/body/workbinOwner", "expected": "Place1", "found": "Place2"}
    ]


def test_unplayed_exchanges_are_listed(reel: Administered):
    reel.app.get("/api/v2/page")
    assert reel.get("/unplayed") == {"unplayed": ["stats of place Place1", "a slow answer", "nothing"]}


def test_notifications_that_were_given_up_are_listed(reel: Administered):
    assert reel.admin.put("/scenario", content=GIVES_UP).status_code == 200
    reel.app.post("/note")
    assert [without_time(event) for event in reel.get("/given-up")["given_up"]] == [
        {
            "at": "TIME",
            "session": 1,
            "exchange": "note",
            "entry": None,
            "event": 1,
            "call": 1,
            "channel": "/news",
            "reason": "no subscriber",
            "remedy": "let a client subscribe, or set deliver: asker for the event",
            "position": "scenario.yaml:4:5",
        }
    ]
    assert reel.get("/")["given_up"] == 1


def test_the_current_settings_are_shown(reel: Administered):
    assert reel.get("/settings") == {
        "scenario": {"title": "", "files": ["test.yaml"], "exchanges": 4, "roles": []},
        "seed": None,
        "speed": 1.0,
        "repeat": "last",
        "unmatched": "fail",
        "auth": "open",
        "cors": [],
        "node": None,
        "max_body": 16777216,
        "max_waiting": 1000,
        "max_calls": 10000,
    }


# ---------------------------------------------------------------------- what is done
def test_a_push_reaches_the_client_that_polls(reel: Administered):
    desktop = Desktop(reel.app).handshakes()
    reply = reel.admin.post("/push", json={"channel": CHANNEL, "data": {"n": 1}, "session": 1})
    assert (reply.status_code, reply.json()) == (200, {"sessions": [1]})
    assert [m.get("data") for m in desktop.poll()] == [{"n": 1}, None]


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ("{", ["body: it is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"]),
        ("[]", ["body: it is not a JSON object; expected a JSON object"]),
        ('{"channel": "/c"}', ["push: `data` is missing; add one, for example `data: {m"]),
        (
            '{"chanel": "/c", "data": 1, "session": "x"}',
            [
                "push: `channel` is missing; add one, for example `channel: /v",
                "push: chanel: unknown key 'chanel'; expected one of channel, data, ext, session, user (did you",
                "push: session: the text 'x'; expected a whole number",
            ],
        ),
        ('{"channel": "c", "data": 1}', ["channel: the text 'c'; expected a channel such as /v2/me/workbins"]),
        (
            '{"channel": "/c", "data": 1, "user": "kate"}',
            ["user: 'kate' has no live session; expected none: there is no live session"],
        ),
    ],
)
def test_an_invalid_push_is_refused_with_all_problems(reel: Administered, body: str, texts: list[str]):
    status, found = problems(reel.admin.post("/push", content=body))
    assert status == 400
    assert [text[: len(expected)] for text, expected in zip(found, texts, strict=True)] == texts


def test_a_fault_is_added_listed_and_removed(reel: Administered):
    reel.app.get("/api/v2/page")
    reply = reel.admin.post("/faults?session=1", json={"exchange": "a page", "status": 503, "text": "down"})
    fault = {
        "number": 1,
        "fault": {"exchange": "a page", "status": 503, "text": "down"},
        "session": 1,
        "position": None,
    }
    assert (reply.status_code, reply.json()) == (201, fault)
    assert reel.get("/faults") == {"faults": [fault]}
    assert (reel.app.get("/api/v2/page").status_code, httpx.get(f"{reel.served.url}/api/v2/page").status_code) == (
        503,
        200,
    )
    assert reel.admin.delete("/faults/1").status_code == 204
    assert reel.app.get("/api/v2/page").status_code == 200
    assert problems(reel.admin.delete("/faults/1")) == (
        400,
        ["fault: no active fault has the number 1; expected none: no fault is active"],
    )


def test_an_invalid_fault_is_refused_with_all_problems(reel: Administered):
    reply = reel.admin.post("/faults", json={"exchange": "a pag", "as": "agent", "status": 503})
    assert problems(reply) == (
        400,
        [
            "fault: as: unknown role 'agent'; expected no role, as the scenario has none",
            "fault: exchange: unknown exchange 'a pag'; expected the name of an exchange (did you mean 'a page'?)",
        ],
    )


def test_a_replaced_scenario_is_played_immediately(reel: Administered):
    reply = reel.admin.put(
        "/scenario",
        content="""\
cometreel: 1
title: another
exchanges:
  - {name: page, request: {method: GET, path: /api/v2/page}, reply: {text: another page}}
""",
    )
    assert (reply.status_code, reply.json()["scenario"]) == (
        200,
        {"title": "another", "files": ["scenario.yaml"], "exchanges": 1, "roles": []},
    )
    assert reel.app.get("/api/v2/page").text == "another page"


def test_an_invalid_scenario_is_refused_with_all_positions_and_the_old_one_is_kept(
    reel: Administered,
):
    reply = reel.admin.put("/scenario", content="cometreel: 1\nexchanges:\n  - {name: a}\nsetings: {}\n")
    assert (reply.status_code, reply.json()) == (
        400,
        {
            "problems": [
                {
                    "text": "scenario.yaml:3:5: `request` is missing; "
                    "add one, for example `request: {method: GET, path: /api/v2/me}`",
                    "file": "scenario.yaml",
                    "line": 3,
                    "column": 5,
                },
                {
                    "text": "scenario.yaml:4:1: unknown key 'setings'; expected one of bayeux, cometreel, correlation, "
                    "exchanges, faults, ignore, reply_headers, roles, session, settings, source, timeline, title "
                    "(did you mean 'settings'?)",
                    "file": "scenario.yaml",
                    "line": 4,
                    "column": 1,
                },
            ]
        },
    )
    assert reel.app.get("/api/v2/page").text == "a page"


def test_the_speed_is_changed(reel: Administered):
    reply = reel.admin.put("/speed", json={"speed": 0})
    assert (reply.status_code, reply.json()["speed"]) == (200, 0.0)
    assert reel.app.get("/api/v2/slow").json() == {"statusCode": 0}
    assert problems(reel.admin.put("/speed", json={"speed": -1})) == (
        400,
        ["speed: -1.0 can't be used; expected a number, 0 or more"],
    )
    assert problems(reel.admin.put("/speed", json={"speed": "fast"})) == (
        400,
        ["speed: speed: the text 'fast'; expected a number"],
    )


def test_a_reset_clears_everything(reel: Administered):
    reel.app.get("/api/v2/page")
    reel.admin.post("/faults", json={"exchange": "a page", "status": 503})
    assert reel.admin.post("/reset").status_code == 204
    found = [reel.get(path) for path in ("/sessions", "/calls", "/faults")]
    assert found == [{"sessions": []}, {"calls": []}, {"faults": []}]
    assert len(reel.get("/unplayed")["unplayed"]) == 4


# ---------------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("GET", "/push", 405), ("PUT", "/sessions", 405), ("DELETE", "/faults/x", 404)],
)
def test_an_unknown_path_is_refused(reel: Administered, method: str, path: str, status: int):
    text = f"{method} /__reel__{path} is not part of the admin API; see docs/admin.md"
    assert problems(reel.admin.request(method, path)) == (status, [text])


def test_a_websocket_is_refused(reel: Administered):
    url = reel.served.url.replace("http", "ws")
    with pytest.raises(InvalidStatus) as caught:
        connect(f"{url}/__reel__/events", additional_headers={"Authorization": f"Bearer {TOKEN}"})
    assert caught.value.response.status_code == 403


def test_a_body_that_is_too_long_is_refused_without_reading_it(reel: Administered, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("cometreel.serve.admin.api.MAX_BODY", 9_999)
    assert problems(reel.admin.put("/scenario", content=b"#" * 10_000)) == (
        413,
        ["the body has 10000 bytes; expected at most 9999 bytes"],
    )


def test_a_client_that_disconnects_during_its_body_changes_nothing(
    reel: Administered, dial: Any, caplog: pytest.LogCaptureFixture
):
    with dial(reel.served.url) as line:
        head = f"PUT /__reel__/scenario HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
        line.sendall(f"{head}Content-Length: 100\r\n\r\ncometreel: 1".encode())
    assert reel.app.get("/api/v2/page").text == "a page"
    reel.served.stop()
    assert caplog.messages == []


def test_admin_requests_are_not_in_the_journal_and_start_no_session(reel: Administered):
    reel.get("/sessions")
    assert reel.get("/calls") == {"calls": []}
    assert reel.get("/sessions") == {"sessions": []}
    assert reel.admin.get("/").headers.get("set-cookie") is None


def test_without_an_admin_app_its_paths_are_like_any_other(serve: Any, http: Any):
    reply = http(serve().url).get("/__reel__/sessions")
    assert (reply.status_code, reply.json()["statusCode"]) == (404, 6)


# ---------------------------------------------------------------------- the stream
def events(lines: Iterator[str]) -> Iterator[tuple[str, str, Any]]:
    """Read server-sent events: id, kind and data."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line and name:
            fields[name] = value
        elif fields:
            yield fields.pop("id"), fields.pop("event"), json.loads(fields.pop("data"))


def test_the_stream_sends_each_call_immediately(reel: Administered):
    reel.app.get("/api/v2/page")
    with reel.admin.stream("GET", "/events") as reply:
        lines = reply.iter_lines()
        assert (reply.headers["content-type"], next(lines)) == (
            "text/event-stream; charset=utf-8",
            ": the calls of this replay, as they come",
        )
        reel.app.post("/api/v2/workbins", json=ASKED)
        number, kind, call = next(events(lines))
    assert (number, kind, call["operation"]) == ("2", "call", "RequestAgentStats")
    assert call == reel.get("/calls?since=1")["calls"][0]


@pytest.mark.parametrize(
    ("query", "headers"), [("?since=1", {}), ("", {"Last-Event-ID": "1"}), ("?since=9", {"Last-Event-ID": "1"})]
)
def test_a_stream_resumes_after_the_last_event(reel: Administered, query: str, headers: dict[str, str]):
    for _ in range(3):
        reel.app.get("/api/v2/page")
    with reel.admin.stream("GET", f"/events{query}", headers=headers) as reply:
        stream = events(reply.iter_lines())
        assert [next(stream)[0], next(stream)[0]] == ["2", "3"]


def test_the_stream_ends_when_the_server_stops():
    with administered() as reel, reel.admin.stream("GET", "/events") as reply:
        lines = reply.iter_lines()
        next(lines)
        reel.served.stop()
        assert [line for line in lines if line] == []


def test_a_client_that_disconnects_from_the_stream_is_removed(reel: Administered):
    journal = reel.served.backend.journal
    with reel.admin.stream("GET", "/events") as reply:
        lines = reply.iter_lines()
        next(lines)
        assert reel.served.call(lambda: len(journal._listeners)) == 1
    until(lambda: reel.served.call(lambda: not journal._listeners), "the listener is gone")


# ---------------------------------------------------------------------- the clock
def test_a_manual_clock_is_read_advanced_resumed_and_frozen():
    with administered(clock="manual") as reel:
        before = reel.get("/clock")
        assert without_time(before) == {"clock": "manual", "frozen": True, "now": "TIME"}
        assert reel.get("/clock") == before
        advanced = reel.admin.post("/clock/advance", json={"by": "90s"}).json()
        passed = datetime.fromisoformat(advanced["now"]) - datetime.fromisoformat(before["now"])
        assert (passed, advanced["seconds"]) == (timedelta(seconds=90), 90.0)
        assert reel.admin.post("/clock/advance", json={"by": 1.5, "settle": 0}).json()["seconds"] == 1.5
        assert reel.admin.post("/clock/resume").json()["frozen"] is False
        assert reel.admin.post("/clock/freeze").json()["frozen"] is True


def test_an_advance_reports_what_happened():
    with administered(clock="manual") as reel:
        Desktop(reel.app).handshakes()
        advanced = reel.admin.post("/clock/advance", json={"by": "30m"}).json()
        assert (advanced["sessions_expired"], advanced["notifications"], advanced["polls_timed_out"]) == (1, 0, 0)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "advance: `by` is missing"),
        ({"by": "8"}, "advance: '8' is not a duration; expected a duration of at most a year"),
        ({"by": -1}, "advance: -1.0; expected a duration of at most a year"),
        ({"by": "1s", "settle": "x"}, "settle: 'x' is not a duration"),
        ({"by": "1s", "until": "2s"}, "until"),
        ([], "body: it is not a JSON object"),
    ],
)
def test_an_invalid_advance_is_refused(body: Any, problem: str):
    with administered(clock="manual") as reel:
        status, texts = problems(reel.admin.post("/clock/advance", json=body))
        assert status == 400
        assert problem in texts[0]


def test_the_real_clock_is_read_only(reel: Administered):
    assert without_time(reel.get("/clock")) == {"clock": "real", "frozen": False, "now": "TIME"}
    refusal = "clock: the replay uses the real clock; expected a replay that was started with a manual one"
    for path, body in (("advance", {"by": "1s"}), ("freeze", None), ("resume", None)):
        assert problems(reel.admin.post(f"/clock/{path}", json=body)) == (400, [refusal])
