"""Values that a reply hands out and that identify a session: `session.bind` in distilled scenarios."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cometreel.jsonvalue import JSON
from cometreel.recording import read_journal
from cometreel.scenario import dump, loads

LATER = "9f8e7d6c5b4a"


def rules(distilled: Any) -> list[dict[str, JSON]]:
    session = distilled.file.session
    found: list[dict[str, JSON]] = json.loads(session.model_dump_json(by_alias=True, exclude_none=True)).get("bind", [])
    return found


def test_a_session_id_in_the_path_identifies_the_session(wire: Any) -> None:
    for number in (1, 2):
        value = f"{LATER}{number}"
        links: JSON = {"sessionId": value, "links": {"orders": f"/sessions/{value}/orders"}}
        wire.call(number, "POST", "/sessions", {"app": number}, links)
    for number in (1, 2):
        wire.call(number + 2, "GET", f"/sessions/{LATER}{number}/orders", None, {"orders": number})
    distilled = wire.distil()
    assert distilled.summary.sessions == 2
    assert rules(distilled) == [{"from": "$response.body#/sessionId", "in": ["$request.path.sessionId"]}]
    opened, _, orders, _ = distilled.file.exchanges
    assert orders.name == "sessions orders", "without a token of the session"
    assert opened.reply.body["links"] == {"orders": {"$t": "/sessions/{{ session.sessionId }}/orders"}}
    assert orders.request.path == ["sessions", {"$capture": "sessionId"}, "orders"]
    assert LATER not in wire.text()
    assert loads(dump(distilled.file)).session.bind


@pytest.mark.parametrize("url", ["http://gws.corp:8080/callback#access_token={}&state=a", "/app?a=1#access_token={}"])
def test_a_token_in_the_fragment_of_a_redirect_identifies_the_session(url: str, wire: Any) -> None:
    for number in (1, 2):
        location = [("Location", url.format(f"{LATER}{number}"))]
        wire.call(number, "POST", "/sign-in", {"app": number}, b"", status=302, reply_headers=location)
    for number in (1, 2):
        headers = [("X-Token", f"{LATER}{number}")]
        wire.call(number + 2, "GET", "/orders", None, {"orders": number}, headers=headers)
    distilled = wire.distil()
    (rule,) = rules(distilled)
    assert (rule["from"], rule["in"]) == ("$response.header.Location?access_token", ["$request.header.X-Token"])
    assert distilled.summary.sessions == 2
    assert LATER not in wire.text()
    assert loads(dump(distilled.file)).session.bind


def test_a_rule_has_no_name_that_templates_use(wire: Any) -> None:
    location = [("Location", f"/app?session={LATER}1")]
    wire.call(1, "POST", "/sign-in", {}, b"", status=302, reply_headers=location)
    wire.call(2, "GET", f"/app/{LATER}1/orders", None, {"orders": 1})
    distilled = wire.distil()
    assert rules(distilled) == [
        {"name": "session_2", "from": "$response.header.Location?session", "in": ["$request.path.session_2"]}
    ]
    assert loads(dump(distilled.file)).session.bind


def test_the_code_of_a_redirect_and_the_token_of_the_next_reply_are_bound(wire: Any) -> None:
    for number in (1, 2):
        code, token = f"{LATER}c{number}", f"{LATER}t{number}"
        form = f"user=u{number}&password=geheim{number}".encode()
        location = [("Location", f"http://gws.corp:8080/callback?state=a&code={code}")]
        content = [("Content-Type", "application/x-www-form-urlencoded")]
        wire.call(number, "POST", "/login", form, b"", status=302, reply_headers=location, headers=content)
        wire.call(number + 0.2, "GET", f"/callback?state=a&code={code}", None, {"access_token": token})
        wire.call(number + 0.4, "GET", "/profile", None, {"n": number}, headers=[("Authorization", f"Bearer {token}")])
    distilled = wire.distil()
    assert rules(distilled) == [
        {"from": "$response.header.Location?code", "in": ["$request.query.code"]},
        {"from": "$response.body#/access_token", "in": ["$request.header.Authorization"]},
    ]
    assert distilled.summary.sessions == 2
    assert not {LATER, "geheim1"} & set(wire.text().replace('"', " ").split())
    assert LATER not in wire.text()


def test_a_value_of_a_session_that_a_cookie_identifies_needs_no_rule(wire: Any) -> None:
    reply_headers = [("X-CSRF-HEADER", "X-CSRF-TOKEN"), ("X-CSRF-TOKEN", LATER)]
    wire.call(1, "GET", "/me", None, {}, session="s1", reply_headers=reply_headers)
    wire.call(2, "POST", "/state", {}, {}, session="s1", headers=[("X-CSRF-TOKEN", LATER)])
    assert wire.distil().file.session is None


@pytest.mark.parametrize("name", ["password", "newPassword", "userPwd", "passphrase"])
def test_a_password_in_a_reply_gets_no_token(wire: Any, name: str) -> None:
    wire.call(1, "POST", "/users", {}, {name: "Quite-Secret-1"})
    wire.call(2, "POST", "/login", {name: "Quite-Secret-1"}, {})
    wire.recorder.close()
    assert all("values" not in json.loads(line) for line in wire.text().splitlines())


def test_a_password_that_a_user_types_gets_no_token(wire: Any) -> None:
    wire.call(1, "POST", "/login", {"token": "Quite-Secret-1"}, {"ok": True})
    wire.call(2, "POST", "/login", {"token": "Quite-Secret-1"}, {"ok": True})
    wire.recorder.close()
    assert all("values" not in json.loads(line) for line in wire.text().splitlines())


def test_two_rules_have_different_names(wire: Any) -> None:
    for number in (1, 2):
        answer: JSON = {"own": {"sessionId": f"{LATER}a{number}"}, "shared": {"sessionId": f"{LATER}b{number}"}}
        wire.call(number, "POST", "/sessions", {"app": number}, answer)
    for number in (1, 2):
        wire.call(number + 2, "GET", f"/own/{LATER}a{number}", None, {"n": number})
        wire.call(number + 4, "GET", "/shared", None, {"n": number}, headers=[("X-Shared", f"{LATER}b{number}")])
    assert rules(wire.distil()) == [
        {"from": "$response.body#/own/sessionId", "in": ["$request.path.sessionId"]},
        {"name": "sessionId_2", "from": "$response.body#/shared/sessionId", "in": ["$request.header.X-Shared"]},
    ]


def test_a_place_that_carries_the_value_of_several_sessions_is_listed_once(wire: Any) -> None:
    for number in (1, 2):
        wire.call(number, "POST", "/sessions", {"app": number}, {"sessionId": f"{LATER}{number}"})
    for at, number in enumerate((1, 2, 1, 2), start=3):
        wire.call(at, "GET", "/orders", None, {"n": at}, headers=[("X-Session", f"{LATER}{number}")])
    assert rules(wire.distil()) == [{"from": "$response.body#/sessionId", "in": ["$request.header.X-Session"]}]


def test_a_referer_is_no_place_of_a_value(wire: Any) -> None:
    wire.call(1, "POST", "/sessions", {}, {"sessionId": LATER})
    wire.request(2, "GET", "/orders", headers=[("Referer", LATER), ("X-Session", LATER)])
    (sent,) = [event for event in read_journal(wire.path)[1] if event.method == "GET"]
    assert [*sent.values] == ["$request.header.X-Session"]


def test_beyond_the_limit_the_value_that_was_handed_out_longest_ago_is_forgotten(
    wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cometreel.recording.handed_out._LIMIT", 2)
    for at, number in enumerate((1, 2, 1, 3)):
        wire.call(at, "POST", "/sessions", {}, {"sessionId": f"{LATER}{number}"})
    for number in (1, 2, 3):
        wire.request(10 + number, "GET", f"/sessions/{LATER}{number}")
    sent = [event for event in read_journal(wire.path)[1] if event.method == "GET"]
    assert [[*event.values] for event in sent] == [["$request.path.2"], [], ["$request.path.2"]]


def test_a_third_rule_gets_the_next_number(wire: Any) -> None:
    answer: JSON = {name: {"sessionId": f"{LATER}{name}"} for name in ("a", "b", "c")}
    wire.call(1, "POST", "/sessions", {}, answer)
    for at, name in enumerate("abc", start=2):
        wire.call(at, "GET", f"/{name}", None, {}, headers=[(f"X-{name}", f"{LATER}{name}")])
    assert [rule.get("name") for rule in rules(wire.distil())] == [None, "sessionId_2", "sessionId_3"]


def test_the_name_of_a_rule_for_an_item_of_a_list_begins_with_a_letter(wire: Any) -> None:
    wire.call(1, "POST", "/sessions", {}, {"tokens": [f"{LATER}1"]})
    wire.call(2, "GET", "/orders", None, {}, headers=[("X-Token", f"{LATER}1")])
    distilled = wire.distil()
    assert rules(distilled) == [
        {"name": "value_0", "from": "$response.body#/tokens/0", "in": ["$request.header.X-Token"]}
    ]
    assert loads(dump(distilled.file)).session.bind
