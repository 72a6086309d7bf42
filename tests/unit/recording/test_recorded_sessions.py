"""The sessions of recorded traffic: cookies of any name, tokens, broadcasts, and calls without identity."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from cometreel.jsonvalue import JSON
from cometreel.recording import distill
from cometreel.scenario import dump, loads
from cometreel.wire import Headers

GWS, COMETD = "http://gws.corp:8080", "/api/v2/notifications"
HANDSHAKE: JSON = [{"channel": "/meta/handshake", "version": "1.0", "id": "1"}]
ADVICE: JSON = {"reconnect": "retry", "interval": 0, "timeout": 30000}


CONNECTED: JSON = {"channel": "/meta/connect", "id": "9", "successful": True}


def accepted(client: str, **members: JSON) -> JSON:
    """The reply to a handshake."""
    return [{"channel": "/meta/handshake", "id": "1", "successful": True, "clientId": client, **members}]


def cookies(**values: str) -> list[tuple[str, str]]:
    """The Cookie field of a request."""
    return [("Cookie", "; ".join(f"{name}={value}" for name, value in values.items()))] if values else []


def connect(wire: Any, at: float, client: str, *channels: str, **sent: str) -> None:
    """Shake hands and subscribe; the server sets Bayeux's own cookie for a client that sends cookies."""
    flow = wire.bayeux(at, HANDSHAKE, headers=cookies(**sent))
    wire.reply(at, flow, accepted(client, advice=ADVICE))
    for number, channel in enumerate(channels):
        message: JSON = {"channel": "/meta/subscribe", "id": "2", "clientId": client, "subscription": channel}
        flow = wire.bayeux(at + number, [message], headers=cookies(**sent))
        reply: JSON = {"channel": "/meta/subscribe", "id": "2", "successful": True, "subscription": channel}
        wire.reply(at + number, flow, [reply])


def poll(wire: Any, until: float, client: str, *delivered: JSON, **sent: str) -> None:
    """A held poll that ends at this time with these messages."""
    message: JSON = {"channel": "/meta/connect", "id": "9", "clientId": client}
    flow = wire.bayeux(until - 0.05, [message], headers=cookies(**sent))
    wire.reply(until, flow, [*delivered, CONNECTED])


def event(channel: str, **data: JSON) -> JSON:
    return {"channel": channel, "data": data}


def timeline(distilled: Any) -> list[tuple[Any, Any, str]]:
    return [(entry.since, entry.as_, entry.channel) for entry in distilled.file.timeline or []]


# --- the session cookie -------------------------------------------------------------------------------------


def desktop(wire: Any, *, referenced: bool) -> None:
    """Two agents; the server sets WWE_CODE at the sign-in, a load balancer sets ROUTE, and a page sets a theme."""
    for number in (1, 2):
        sent = {"WWE_CODE": f"code-{number}-9f8e7d6c", "ROUTE": "node1", "theme": "dark"}
        set_cookie = [("Set-Cookie", f"{name}={value}; Path=/") for name, value in sent.items() if name != "theme"]
        wire.call(number / 10, "POST", "/sign-in", {"agentId": f"A{number}"}, {"ok": True}, reply_headers=set_cookie)
        connect(wire, number / 10 + 0.05, f"c{number}", "/agent", **sent, BAYEUX_BROWSER=f"b{number}-0a1b2c3d")
    for number in (1, 2):
        sent = {"WWE_CODE": f"code-{number}-9f8e7d6c", "ROUTE": "node1", "theme": "dark"}
        for step, second in (("ready", 1), ("break", 3), ("ready", 5)):
            at = second + number / 10
            body: JSON = {"agentId": f"A{number}", "state": step}
            wire.call(at, "POST", "/state", body, {"referenceId": at}, headers=cookies(**sent))
            pushed = event("/agent", state=step, at=at, referenceId=at if referenced else at + 1000)
            poll(wire, at + 0.3, f"c{number}", pushed, **sent, BAYEUX_BROWSER=f"b{number}-0a1b2c3d")


def test_the_cookie_that_joins_calls_with_cometd_is_found(wire: Any) -> None:
    desktop(wire, referenced=True)
    distilled = wire.distil()
    assert distilled.file.session.cookie == "WWE_CODE"
    assert distilled.summary.sessions == 2
    assert distilled.summary.correlated["reference"] == 6
    assert not timeline(distilled)


def test_the_journal_contains_tokens_of_the_cookies_and_no_value(wire: Any) -> None:
    desktop(wire, referenced=True)
    wire.recorder.close()
    lines = [json.loads(line) for line in wire.text().splitlines()[1:]]
    assert {name for line in lines for name in line.get("cookies", {})} == {"WWE_CODE", "ROUTE"}
    assert "9f8e7d6c" not in wire.text()
    assert "node1" not in wire.text()


def test_a_known_cookie_is_preferred(wire: Any) -> None:
    sent = {"JSESSIONID": "j1-0a1b2c3d", "WWE_CODE": "code-1-9f8e7d6c"}
    wire.call(
        0, "GET", "/page", None, {}, reply_headers=[("Set-Cookie", f"{name}={value}") for name, value in sent.items()]
    )
    connect(wire, 1, "c1", "/agent", **sent)
    wire.call(2, "GET", "/page", None, {}, headers=cookies(**sent))
    assert wire.distil().file.session is None


def test_a_known_cookie_that_joins_nothing_is_not_preferred(wire: Any) -> None:
    own = {"WWE_CODE": "code-1-9f8e7d6c"}
    wire.call(0, "GET", "/page", None, {}, reply_headers=[("Set-Cookie", "WWE_CODE=code-1-9f8e7d6c")])
    connect(wire, 1, "c1", "/agent", JSESSIONID="j1-0a1b2c3d", **own)
    wire.call(2, "GET", "/page", None, {}, headers=cookies(**own))
    assert wire.distil().file.session.cookie == "WWE_CODE"


def test_of_several_joining_cookies_the_one_with_more_calls_is_chosen(wire: Any) -> None:
    connect(wire, 0, "c1", "/agent", early="e1-0a1b2c3d", late="l1-0a1b2c3d")
    wire.call(1, "GET", "/page", None, {}, headers=cookies(early="e1-0a1b2c3d", late="l1-0a1b2c3d"))
    wire.call(2, "GET", "/page", None, {}, headers=cookies(late="l1-0a1b2c3d"))
    assert wire.distil().file.session.cookie == "late"


def test_the_cookie_of_bayeux_is_no_session_cookie(wire: Any) -> None:
    connect(wire, 0, "c1", "/agent", BAYEUX_BROWSER="b1-0a1b2c3d")
    wire.call(1, "GET", "/page", None, {}, headers=cookies(BAYEUX_BROWSER="b1-0a1b2c3d"))
    assert wire.distil().file.session.cookie == "none"


def test_a_cookie_whose_name_a_scenario_cannot_contain_is_no_session_cookie(tmp_path: Path) -> None:
    """No recording has such a name, but an edited journal may."""
    request = {"t": 0, "kind": "request", "flow": "f1", "method": "GET", "path": "/me", "who": {"my session": "s1"}}
    journal = tmp_path / "a.jsonl"
    journal.write_text('{"journal":1,"cometreel":"0.1.0","started":0,"profile":"gws-v2","policy":"default"}\n')
    with journal.open("a") as lines:
        print(json.dumps(request), '{"t":1,"kind":"reply","flow":"f1","status":200}', sep="\n", file=lines)
    session = distill(journal).file.session
    assert session is not None
    assert session.cookie == "none"


def test_a_cookie_of_a_load_balancer_joins_nobody(wire: Any) -> None:
    for number in (1, 2):
        wire.call(number, "GET", "/page", None, {}, reply_headers=[("Set-Cookie", "ROUTE=node1-0a1b2c3d")])
        connect(wire, number, f"c{number}", "/agent", ROUTE="node1-0a1b2c3d", BAYEUX_BROWSER=f"b{number}-0a1b2c3d")
        wire.call(number + 5, "GET", "/page", None, {}, headers=cookies(ROUTE="node1-0a1b2c3d"))
    distilled = wire.distil()
    assert (distilled.file.session.cookie, distilled.summary.sessions) == ("none", 2)


def test_a_session_that_started_before_the_recording_is_found(wire: Any) -> None:
    sent = {"sid": "0a1b2c3d4e5f"}
    connect(wire, 0, "c1", "/agent", **sent)
    wire.call(1, "POST", "/state", {}, {"referenceId": 7}, headers=cookies(**sent))
    poll(wire, 2, "c1", event("/agent", referenceId=7), **sent)
    distilled = wire.distil()
    assert (distilled.file.session.cookie, distilled.summary.correlated["reference"]) == ("sid", 1)


# --- tokens -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second"), [("Bearer", "Bearer"), ("OAuth", "Bearer")])
def test_calls_and_polls_with_the_same_token_are_one_session(wire: Any, first: str, second: str) -> None:
    token = "00Dxx!AQ0AQKf8.sNv3rVq"  # invented
    on_calls, on_polls = [("Authorization", f"{first} {token}")], [("Authorization", f"{second} {token}")]
    flow = wire.bayeux(0, HANDSHAKE, headers=on_polls)
    wire.reply(0, flow, accepted("c1", advice=ADVICE))
    wire.call(1, "POST", "/query", {"q": 1}, {"referenceId": 5}, headers=on_calls)
    flow = wire.bayeux(1.1, [{"channel": "/meta/connect", "id": "9", "clientId": "c1"}], headers=on_polls)
    wire.reply(1.2, flow, [event("/q", referenceId=5), CONNECTED])
    distilled = wire.distil()
    assert (distilled.summary.sessions, distilled.summary.correlated["reference"]) == (1, 1)
    assert token not in wire.text()


def test_a_call_with_a_token_alone_belongs_to_the_client_that_sends_the_token_and_a_cookie(wire: Any) -> None:
    """The cookie was set before the recording started, so its first request is joined by the token, as in a replay."""
    token = [("Authorization", "Bearer 00Dxx!AQ0AQKf8.sNv3rVq")]  # invented
    both = [*token, *cookies(JSESSIONID="s1-0a1b2c3d")]
    wire.call(0, "POST", "/query", {"q": 1}, {"referenceId": 5}, headers=token)
    flow = wire.bayeux(0.1, HANDSHAKE, headers=both)
    wire.reply(0.2, flow, accepted("c1", advice=ADVICE))
    flow = wire.bayeux(0.3, [{"channel": "/meta/connect", "id": "9", "clientId": "c1"}], headers=both)
    wire.reply(1, flow, [event("/q", referenceId=5), CONNECTED])
    distilled = wire.distil()
    assert (distilled.summary.sessions, distilled.summary.correlated["reference"]) == (1, 1)


def test_a_token_that_clients_with_cookies_share_joins_none_of_them(wire: Any) -> None:
    token = [("Authorization", "Bearer 00Dxx!AQ0AQKf8.sNv3rVq")]  # invented
    for number in (1, 2):
        both = [*token, *cookies(JSESSIONID=f"s{number}-0a1b2c3d")]
        flow = wire.bayeux(number, HANDSHAKE, headers=both)
        wire.reply(number, flow, accepted(f"c{number}", advice=ADVICE))
    assert wire.distil().summary.sessions == 2


def test_a_session_that_is_known_by_its_cookie_is_not_joined_with_one_of_a_token(wire: Any) -> None:
    token = [("Authorization", "Bearer 00Dxx!AQ0AQKf8.sNv3rVq")]  # invented
    connect(wire, 0, "c1", "/q", JSESSIONID="s1-0a1b2c3d")
    wire.call(1, "POST", "/query", {"q": 1}, {}, headers=token)
    wire.call(2, "POST", "/query", {"q": 2}, {}, headers=[*token, *cookies(JSESSIONID="s1-0a1b2c3d")])
    assert wire.distil().summary.sessions == 2


def test_two_users_stay_two_sessions_although_a_later_request_has_the_cookies_of_both(wire: Any) -> None:
    kate, ann = (
        [("Authorization", "Basic " + b64encode(f"{name}:tr0ub4dor9".encode()).decode())] for name in ("kate", "ann")
    )
    wire.call(1, "GET", "/a", None, {"n": 1}, headers=[*kate, *cookies(JSESSIONID="s1-0a1b2c3d")])
    wire.call(2, "GET", "/a", None, {"n": 2}, headers=[*ann, *cookies(BAYEUX_BROWSER="b2-0a1b2c3d")])
    wire.call(3, "GET", "/b", None, {}, headers=cookies(JSESSIONID="s1-0a1b2c3d", BAYEUX_BROWSER="b2-0a1b2c3d"))
    distilled = wire.distil()
    assert distilled.summary.sessions == 2
    assert [one.as_ for one in distilled.file.exchanges] == ["agent-1", "agent-2", None]


# --- calls without identity ---------------------------------------------------------------------------------


def test_a_call_without_cookie_belongs_to_the_only_listener(wire: Any) -> None:
    connect(wire, 0, "c1", "/q", JSESSIONID="s1-0a1b2c3d")
    wire.call(1, "POST", "/query", {}, {"referenceId": 5})
    poll(wire, 2, "c1", event("/q", referenceId=5), JSESSIONID="s1-0a1b2c3d")
    assert wire.distil().summary.correlated["reference"] == 1


def test_a_call_without_cookie_is_not_joined_if_two_clients_listen(wire: Any) -> None:
    for number in (1, 2):
        connect(wire, number / 10, f"c{number}", "/q", JSESSIONID=f"s{number}-0a1b2c3d")
    wire.call(1, "POST", "/query", {}, {"referenceId": 5})
    poll(wire, 2, "c1", event("/q", referenceId=5), JSESSIONID="s1-0a1b2c3d")
    poll(wire, 2, "c2", JSESSIONID="s2-0a1b2c3d")
    distilled = wire.distil()
    assert (distilled.summary.correlated["reference"], timeline(distilled)) == (0, [("subscribe", "agent-1", "/q")])


@pytest.mark.parametrize(("disconnects", "joined"), [(True, 2), (False, 1)])
def test_a_client_that_has_disconnected_is_no_listener(wire: Any, disconnects: bool, joined: int) -> None:
    """A page that was reloaded starts another client; the calls have no identity."""
    connect(wire, 0, "c1", "/q")
    wire.call(1, "POST", "/query", {"q": 1}, {"referenceId": 5})
    poll(wire, 2, "c1", event("/q", referenceId=5))
    if disconnects:
        leave: JSON = {"channel": "/meta/disconnect", "id": "7", "clientId": "c1"}
        wire.reply(3.1, wire.bayeux(3, [leave]), [{"channel": "/meta/disconnect", "id": "7", "successful": True}])
    connect(wire, 4, "c2", "/q")
    wire.call(5, "POST", "/query", {"q": 2}, {"referenceId": 6})
    poll(wire, 6, "c2", event("/q", referenceId=6))
    assert wire.distil().summary.correlated["reference"] == joined


def test_the_notification_of_a_call_without_cookie_is_for_the_asker(wire: Any) -> None:
    for number in (1, 2):
        connect(wire, number / 10, f"c{number}", "/q", JSESSIONID=f"s{number}-0a1b2c3d")
    wire.call(0.5, "GET", "/me", None, {}, session="s2-0a1b2c3d")
    wire.call(1, "POST", "/query", {}, {"referenceId": 5})
    poll(wire, 2, "c1", event("/q", referenceId=5), JSESSIONID="s1-0a1b2c3d")
    assert [(one.name, receivers_of(one)) for one in wire.distil().file.exchanges] == [
        ("me", []),
        ("post query", [(None, "1s")]),
    ]


def test_the_only_listener_gets_the_answers_of_a_session_without_a_client(wire: Any) -> None:
    """An equal notification of a session that has one, with the same reference, is not the same."""
    for number in (1, 3):
        connect(wire, number / 10, f"c{number}", "/q", JSESSIONID=f"s{number}-0a1b2c3d")
    for number, at in ((1, 1.0), (2, 1.1)):
        wire.call(at, "POST", "/query", {"n": number}, {"referenceId": 5}, session=f"s{number}-0a1b2c3d")
    for number, at in ((1, 1.0), (3, 1.1)):
        poll(wire, at, f"c{number}", event("/q", referenceId=5), JSESSIONID=f"s{number}-0a1b2c3d")
    distilled = wire.distil()
    assert [(one.name, len(one.events or [])) for one in distilled.file.exchanges] == [
        ("post query", 1),
        ("post query (2)", 1),
    ]
    assert distilled.summary.correlated["reference"] == 2


def test_a_listener_with_calls_of_its_own_gets_nothing_of_others(wire: Any) -> None:
    connect(wire, 0, "c1", "/q", JSESSIONID="s1-0a1b2c3d")
    wire.call(0.5, "GET", "/me", None, {}, session="s1-0a1b2c3d")
    wire.call(1, "POST", "/query", {}, {"referenceId": 5})
    poll(wire, 2, "c1", event("/q", referenceId=5), JSESSIONID="s1-0a1b2c3d")
    assert wire.distil().summary.correlated["reference"] == 0


# --- several receivers --------------------------------------------------------------------------------------


def users(wire: Any, count: int) -> None:
    """Sign in several users, who subscribe to the chat."""
    for number in range(1, count + 1):
        connect(wire, number / 10, f"c{number}", "/chat", JSESSIONID=f"s{number}-0a1b2c3d")


def test_a_broadcast_is_one_event_for_the_subscribers(wire: Any) -> None:
    users(wire, 2)
    wire.call(1, "POST", "/say", {"text": "hello"}, {"referenceId": 5}, session="s1-0a1b2c3d")
    for number in (2, 1):
        poll(
            wire, 2 + number / 10, f"c{number}", event("/chat", text=1, referenceId=5), JSESSIONID=f"s{number}-0a1b2c3d"
        )
    distilled = wire.distil()
    (said,) = distilled.file.exchanges
    assert [(one.channel, one.deliver, one.after) for one in said.events] == [("/chat", "subscribers", "1.1s")]
    assert not timeline(distilled)
    assert [line for line in distilled.summary.lines() if "notifications" in line] == [
        "notifications: 1 by reference, 1 by broadcast, 0 unsolicited"
    ]
    assert loads(dump(distilled.file)).exchanges[0].name == said.name


def test_a_publish_that_all_subscribers_receive_is_one_event(wire: Any) -> None:
    users(wire, 2)
    message: JSON = {"channel": "/chat", "id": "5", "clientId": "c1", "data": {"text": 1}}
    flow = wire.bayeux(1, [message], session="s1-0a1b2c3d")
    wire.reply(1.01, flow, [{"channel": "/chat", "id": "5", "successful": True}])
    for number in (1, 2):
        poll(wire, 1.1, f"c{number}", event("/chat", text=1), JSESSIONID=f"s{number}-0a1b2c3d")
    (published,) = wire.distil().file.exchanges
    assert [one.deliver for one in published.events] == ["subscribers"]


@pytest.mark.parametrize(
    ("channel", "deliver"),
    [
        ("/chat", "subscribers"),
        ("/news/today", "subscribers"),  # the receivers subscribed to the pattern
        ("/sport/today", "all"),  # only another session did
        ("/service/chat", "all"),
        ("/elsewhere", "all"),
    ],
)
def test_a_broadcast_whose_receivers_have_no_subscription_is_for_all(wire: Any, channel: str, deliver: str) -> None:
    for number in (1, 2):
        connect(wire, number / 10, f"c{number}", "/chat", "/news/*", JSESSIONID=f"s{number}-0a1b2c3d")
    connect(wire, 0.5, "c3", "/sport/*", JSESSIONID="s3-0a1b2c3d")
    wire.call(1, "POST", "/say", {"text": "hello"}, {"referenceId": 5}, session="s1-0a1b2c3d")
    for number in (1, 2):
        pushed = event(channel, text=1, referenceId=5)
        poll(wire, 2 + number / 10, f"c{number}", pushed, JSESSIONID=f"s{number}-0a1b2c3d")
    (said,) = wire.distil().file.exchanges
    assert [one.deliver for one in said.events] == [deliver]


def test_a_message_for_another_session_alone_names_its_role(wire: Any) -> None:
    users(wire, 2)
    wire.call(1, "POST", "/transfer", {"to": "other"}, {"referenceId": 5}, session="s1-0a1b2c3d")
    poll(wire, 2, "c2", event("/chat", offered=True, referenceId=5), JSESSIONID="s2-0a1b2c3d")
    distilled = wire.distil()
    (transfer,) = distilled.file.exchanges
    assert [one.deliver for one in transfer.events] == ["agent-2"]
    assert list(distilled.file.roles) == ["agent-2"]


def test_equal_references_of_two_sessions_are_no_broadcast(wire: Any) -> None:
    users(wire, 2)
    for number in (1, 2):
        wire.call(1, "POST", "/say", {"room": number}, {"referenceId": 5}, session=f"s{number}-0a1b2c3d")
        poll(wire, 2, f"c{number}", event("/chat", room=number, referenceId=5), JSESSIONID=f"s{number}-0a1b2c3d")
    assert [[one.deliver for one in said.events] for said in wire.distil().file.exchanges] == [[None], [None]]


def say(wire: Any, at: float, user: int, reference: int = 5, **more: Any) -> None:
    """Let a user say something; its notification has this reference."""
    wire.call(at, "POST", "/say", {"by": user}, {"referenceId": reference}, session=f"s{user}-0a1b2c3d", **more)


def hear(wire: Any, until: float, user: int, **data: JSON) -> None:
    """Deliver a notification of the chat to a user."""
    poll(wire, until, f"c{user}", event("/chat", **data), JSESSIONID=f"s{user}-0a1b2c3d")


def receivers(distilled: Any) -> list[list[tuple[str | None, str]]]:
    """Return the receiver and the time of each event by exchange."""
    return [receivers_of(said) for said in distilled.file.exchanges]


def receivers_of(exchange: Any) -> list[tuple[str | None, str]]:
    """Return the receiver and the time of each event."""
    return [(one.deliver, one.after) for one in exchange.events or []]


def test_a_message_for_two_of_three_sessions_without_the_asker_is_one_event(wire: Any) -> None:
    users(wire, 3)
    say(wire, 1, 1)
    for user in (2, 3):
        hear(wire, 2, user, offered=True, referenceId=5)
    assert receivers(wire.distil()) == [[("subscribers", "1s")]]


def test_a_message_that_a_session_receives_twice_is_a_copy_only_once(wire: Any) -> None:
    users(wire, 2)
    say(wire, 1, 1)
    for until, user in ((2, 1), (2.1, 2), (2.3, 2)):
        hear(wire, until, user, n=1, referenceId=5)
    assert receivers(wire.distil()) == [[("subscribers", "1s"), ("agent-2", "1.3s")]]


@pytest.mark.parametrize(("later", "copies"), [(5, 1), (5.1, 0)])
def test_an_equal_message_for_another_client_of_a_session_is_a_copy_for_five_seconds(
    wire: Any, later: float, copies: int
) -> None:
    for client in ("c1", "c2"):
        connect(wire, 0, client, "/chat", JSESSIONID="s1-0a1b2c3d")
    for until, client in ((7, "c1"), (7 + later, "c2")):
        poll(wire, until, client, event("/chat", n=1), JSESSIONID="s1-0a1b2c3d")
    distilled = wire.distil()
    assert len(timeline(distilled)) == 2 - copies
    assert len([line for line in distilled.summary.left_out if "a copy for another CometD client" in line]) == copies


def test_an_equal_message_long_afterwards_is_no_copy(wire: Any) -> None:
    users(wire, 2)
    say(wire, 1, 1)
    hear(wire, 2, 1, n=1, referenceId=5)
    hear(wire, 12, 2, n=1, referenceId=5)
    assert receivers(wire.distil()) == [[(None, "1s"), ("agent-2", "11s")]]


def test_the_notifications_of_a_request_are_in_the_order_of_their_times_whoever_received_them(wire: Any) -> None:
    users(wire, 2)
    say(wire, 1, 1)
    hear(wire, 2, 2, offered=True, referenceId=5)
    hear(wire, 3, 1, accepted=True, referenceId=5)
    assert receivers(wire.distil()) == [[("agent-2", "1s"), (None, "2s")]]


def test_a_late_answer_to_a_request_of_its_own_is_no_broadcast_of_another_session(wire: Any) -> None:
    users(wire, 2)
    say(wire, 1, 2)
    say(wire, 35, 1)
    hear(wire, 36, 2, n=1, referenceId=5)
    distilled = wire.distil()
    assert (receivers(distilled), timeline(distilled)) == ([[], []], [("post say", "agent-2", "/chat")])


def test_a_message_that_two_sessions_may_have_caused_is_no_broadcast(wire: Any) -> None:
    users(wire, 3)
    say(wire, 1, 1)
    say(wire, 1, 2)
    hear(wire, 2, 3, n=1, referenceId=5)
    assert receivers(wire.distil()) == [[], []]


def test_a_broadcast_of_one_of_two_equal_publishes_belongs_to_the_latest(wire: Any) -> None:
    users(wire, 2)
    for at in (1, 2):
        message: JSON = {"channel": "/chat", "id": str(at), "clientId": "c1", "data": {"n": 1}}
        flow = wire.bayeux(at, [message], session="s1-0a1b2c3d")
        wire.reply(at + 0.01, flow, [{"channel": "/chat", "id": str(at), "successful": True}])
    hear(wire, 3, 2, n=1)
    assert receivers(wire.distil()) == [[], [("subscribers", "1s")]]


# --- order --------------------------------------------------------------------------------------------------


def test_without_any_reference_each_notification_follows_the_call_before_it(wire: Any) -> None:
    desktop(wire, referenced=False)
    distilled = wire.distil()
    named = [exchange.name for exchange in distilled.file.exchanges]
    assert [(entry.since, entry.as_, entry.after) for entry in distilled.file.timeline] == [
        (named[2], None, "300ms"), (named[3], None, "300ms"), (named[4], None, "300ms"),
        (named[5], None, "300ms"), (named[6], None, "300ms"), (named[7], None, "300ms"),
    ]  # fmt: skip
    assert [line for line in distilled.summary.lines() if "notifications" in line] == [
        "notifications: 6 by order, 0 unsolicited"
    ]


def test_a_role_has_the_literal_by_which_its_requests_name_it(wire: Any) -> None:
    desktop(wire, referenced=False)
    for number in (1, 2):
        sent = {"WWE_CODE": f"code-{number}-9f8e7d6c", "ROUTE": "node1"}
        wire.call(8 + number, "POST", "/next", {}, {"ok": True}, headers=cookies(**sent))
        poll(wire, 8.3 + number, f"c{number}", event("/agent", item=number), **sent)
    distilled = wire.distil()
    assert {name: role.id for name, role in distilled.file.roles.items()} == {"agent-1": "A1", "agent-2": "A2"}
    assert timeline(distilled)[-2:] == [("post next", "agent-1", "/agent"), ("post next", "agent-2", "/agent")]


@pytest.mark.parametrize(("asks_about", "written"), [(2, [True, True]), (1, [False, True])])
def test_an_id_that_another_session_sends_too_names_no_role(wire: Any, asks_about: int, written: list[bool]) -> None:
    """The statistics of another agent are requested by the id of that agent."""
    for number in (1, 2):
        wire.login(number / 10, f"s{number}", f"c{number}", f"agent.{number}")
        me: JSON = {"user": {"id": f"user-{number}", "userName": f"agent.{number}"}}
        wire.call(number, "GET", "/api/v2/me", None, me, session=f"s{number}")
    wire.call(3, "POST", f"/api/v2/users/user-{asks_about}/workbins", {}, {"statusCode": 0}, session="s2")
    roles = wire.distil().file.roles
    assert [roles[f"agent-{number}"].id == f"user-{number}" for number in (1, 2)] == written


@pytest.mark.parametrize(
    ("name", "values", "ids"),
    [
        ("agentId", (1001, 1002), ["1001", "1002"]),
        ("agentCount", (1001, 1002), [None, None]),
        ("agentId", (1, 2), [None, None]),
    ],
)
def test_a_role_has_a_numeric_id(wire: Any, name: str, values: tuple[int, int], ids: list[str | None]) -> None:
    users(wire, 2)
    for number, value in enumerate(values, start=1):
        wire.call(number, "POST", "/state", {name: value}, {"ok": True}, session=f"s{number}-0a1b2c3d")
        wire.call(number + 0.2, "GET", "/page", None, {"ok": True}, session=f"s{number}-0a1b2c3d")
        poll(wire, number + 0.4, f"c{number}", event("/chat", hello=number), JSESSIONID=f"s{number}-0a1b2c3d")
    assert [role.id for role in wire.distil().file.roles.values()] == ids


def test_a_literal_that_another_session_sends_under_another_name_names_no_role(wire: Any) -> None:
    users(wire, 2)
    for number in (1, 2):
        sent: JSON = {"agentId": f"A{number}", **({"watched": "A1"} if number == 2 else {})}
        wire.call(number, "POST", "/state", sent, {"ok": True}, session=f"s{number}-0a1b2c3d")
        wire.call(number + 0.2, "GET", "/page", None, {"ok": True}, session=f"s{number}-0a1b2c3d")
        poll(wire, number + 0.4, f"c{number}", event("/chat", hello=number), JSESSIONID=f"s{number}-0a1b2c3d")
    assert [role.id for role in wire.distil().file.roles.values()] == [None, "A2"]


@pytest.mark.parametrize(
    ("sent", "ids"),
    [
        ([{"agentId": "A1"}, {"agentId": "A2"}], ["A1", "A2"]),
        ([{"agentId": "A1"}, {"agentId": ["A2", "A3"]}], [None, None]),
        ([{"agentId": "A1"}, {"agentId": "A1"}], [None, None]),
        ([{"color": "red"}, {"color": "blue"}], [None, None]),
        ([{"color": ["red", "red"]}, {"color": ["blue", "blue"]}], ["red", "blue"]),
        ([{"agentId": "A1"}, {}], [None, None]),
        ([{"agentId": "A1", "personId": "P1"}, {"agentId": "A1", "personId": "P2"}], ["P1", "P2"]),
        ([{"agentEmail": "ann@corp.example"}, {"agentEmail": "bob@corp.example"}], [None, None]),
    ],
)
def test_the_id_of_a_role_is_the_only_value_under_a_name_and_different_in_each_session(
    wire: Any, sent: list[JSON], ids: list[str | None]
) -> None:
    """Under a name that isn't that of a user, each session sends it twice."""
    users(wire, 2)
    for number, body in enumerate(sent, start=1):
        wire.call(number, "POST", "/state", body, {"ok": True}, session=f"s{number}-0a1b2c3d")
        wire.call(number + 0.2, "GET", "/page", None, {"ok": True}, session=f"s{number}-0a1b2c3d")
        poll(wire, number + 0.4, f"c{number}", event("/chat", hello=number), JSESSIONID=f"s{number}-0a1b2c3d")
    assert [role.id for role in wire.distil().file.roles.values()] == ids


def test_a_value_that_equals_the_name_of_a_later_user_stays_under_other_keys(wire: Any) -> None:
    wire.call(0, "GET", "/places", None, {"kind": "sales", "owner": "sales"}, session="s1")
    wire.login(1, "s1", "c1", "sales")
    body = wire.distil().file.exchanges[0].reply.body
    assert (body["kind"], body["owner"] == "sales") == ("sales", False)


def test_the_user_of_a_session_is_that_of_its_first_reply(wire: Any) -> None:
    wire.login(0, "s1", "c1", "agent.1")
    for at, number in ((1, 1), (2, 2)):
        me: JSON = {"user": {"id": f"user-{number}", "userName": "agent.1"}}
        wire.call(at, "GET", "/api/v2/me", None, me, session="s1")
    (role,) = wire.distil().file.roles.values()
    assert role.id == "user-1"


def test_each_of_several_equal_reads_has_the_notification_that_followed_it(wire: Any) -> None:
    connect(wire, 0, "c1", "/job", JSESSIONID="s1-0a1b2c3d")
    for number in (1, 2, 3):
        at = 10.0 * number
        wire.call(at, "GET", "/job", None, {"ok": True}, session="s1-0a1b2c3d")
        poll(wire, at + 0.5, "c1", event("/job", step=number), JSESSIONID="s1-0a1b2c3d")
    distilled = wire.distil()
    named = [exchange.name for exchange in distilled.file.exchanges]
    assert [(entry.since, entry.after) for entry in distilled.file.timeline] == [(name, "500ms") for name in named]
    assert len(named) == 3


def test_two_listeners_without_calls_have_one_role_each(wire: Any) -> None:
    users(wire, 2)
    for number in (1, 2):
        poll(wire, 1, f"c{number}", event("/chat", greeting=number), JSESSIONID=f"s{number}-0a1b2c3d")
    assert timeline(wire.distil()) == [("subscribe", "agent-1", "/chat"), ("subscribe", "agent-2", "/chat")]


def test_an_entry_names_the_subscription_to_its_channel(wire: Any) -> None:
    connect(wire, 0, "c1", "/a", "/b", JSESSIONID="s1-0a1b2c3d")
    poll(wire, 3, "c1", event("/b", n=1), event("/a", n=1), JSESSIONID="s1-0a1b2c3d")
    distilled = wire.distil()
    assert [(entry.since, entry.after) for entry in distilled.file.timeline] == [
        ({"subscribe": "/b"}, "2s"),
        ("subscribe", "3s"),
    ]
    assert len(loads(dump(distilled.file)).timeline) == 2


# --- an exchange that can't be written ----------------------------------------------------------------------


def test_the_notification_of_an_exchange_that_cannot_be_written_stays(wire: Any) -> None:
    connect(wire, 0, "c1", "/q", JSESSIONID="s1-0a1b2c3d")
    wire.call(1, "POST", "/query", {}, {"referenceId": 5}, status=999, session="s1-0a1b2c3d")
    poll(wire, 2, "c1", event("/q", referenceId=5), JSESSIONID="s1-0a1b2c3d")
    distilled = wire.distil()
    assert timeline(distilled) == [("subscribe", None, "/q")]
    assert distilled.summary.lines()[:2] == ["0 exchanges, 1 timeline entry, 1 session", "notifications: 1 unsolicited"]
    assert any("status is the number 999" in line for line in distilled.summary.left_out)


def test_the_notifications_of_an_exchange_that_cannot_be_written_stay_in_order_and_for_all(wire: Any) -> None:
    users(wire, 2)
    say(wire, 1, 1, status=999)
    for user in (1, 2):
        hear(wire, 2, user, n=1, referenceId=5)
    for user in (1, 2):
        hear(wire, 3, user, n=2)
    found = wire.distil().file.timeline
    assert [(entry.as_, entry.since, entry.after, entry.data["n"]) for entry in found] == [
        (None, "subscribe", "1.9s", 1),
        (None, "subscribe", "2.9s", 2),
    ]


def test_a_notification_that_only_follows_an_exchange_that_cannot_be_written_is_unsolicited(wire: Any) -> None:
    users(wire, 1)
    say(wire, 1, 1, status=999)
    hear(wire, 2, 1, n=1)
    assert wire.distil().summary.lines()[1] == "notifications: 1 unsolicited"


# --- the handshake and other encodings ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "written"),
    [
        ({"advice": ADVICE}, None),
        ({"advice": ADVICE, "ext": {"replay": True, "payload.format": True}},
         {"ext": {"replay": True, "payload.format": True}, "advice": ADVICE}),
        ({"ext": {"replay": True}}, {"ext": {"replay": True}}),
        ({}, {}),
        ({"advice": {"reconnect": "retry", "interval": 0, "timeout": 110000, "hosts": ["a"]}},
         {"advice": {"reconnect": "retry", "interval": 0, "timeout": 110000, "hosts": ["a"]}}),
    ],
)  # fmt: skip
def test_ext_and_advice_of_the_handshake_are_kept(wire: Any, reply: dict[str, JSON], written: JSON) -> None:
    flow = wire.bayeux(0, HANDSHAKE)
    wire.reply(0, flow, accepted("c1", **reply))
    file = wire.distil().file
    found = file.bayeux.handshake
    assert (None if found is None else found.model_dump(exclude_none=True)) == written
    again = loads(dump(file)).bayeux.handshake
    assert (again is None) == (written is None)


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain;charset=UTF-8", ""])
def test_bayeux_in_a_form_is_recorded(wire: Any, content_type: str) -> None:
    def post(at: float, message: JSON, reply: JSON) -> None:
        wire.now = 1_700_000_000.0 + at
        body = b"message=" + quote(json.dumps([message])).encode()
        fields = Headers([("Content-Type", content_type)] if content_type else [])
        wire.recorder.request(f"f{at}", "POST", f"{GWS}{COMETD}", fields, body)
        wire.reply(at, f"f{at}", reply)

    post(0, {"channel": "/meta/handshake", "version": "1.0", "id": "1"},
         accepted("c1", advice=ADVICE))  # fmt: skip
    post(1, {"channel": "/chat", "id": "2", "clientId": "c1", "data": {"text": 1}},
         [{"channel": "/chat", "id": "2", "successful": True}])  # fmt: skip
    file = wire.distil().file
    assert (file.bayeux.form, [one.request.publish for one in file.exchanges]) == (True, ["/chat"])


def test_only_the_unusable_message_of_a_reply_is_left_out(wire: Any) -> None:
    connect(wire, 0, "c1", "/q", JSESSIONID="s1-0a1b2c3d")
    reply = (b'[{"channel":"/q","data":{"a":"\\ud83d"}},{"channel":"/q","data":{"a":1}},'
             b'{"channel":"/meta/connect","id":"9","successful":true}]')  # fmt: skip
    flow = wire.bayeux(1, [{"channel": "/meta/connect", "id": "9", "clientId": "c1"}], session="s1-0a1b2c3d")
    wire.reply(2, flow, reply)
    distilled = wire.distil()
    assert len(distilled.file.timeline) == 1
    assert distilled.summary.left_out == ["1 of 3 messages can't be replayed: nested too deeply, or a lone surrogate"]


def test_a_reply_in_the_declared_character_set_is_read(wire: Any) -> None:
    connect(wire, 0, "c1", "/q", JSESSIONID="s1-0a1b2c3d")
    reply = '[{"channel":"/q","data":{"label":"Köln"}},{"channel":"/meta/connect","id":"9","successful":true}]'
    flow = wire.bayeux(1, [{"channel": "/meta/connect", "id": "9", "clientId": "c1"}], session="s1-0a1b2c3d")
    wire.reply(2, flow, reply.encode("latin-1"), headers=[("Content-Type", "application/json;charset=ISO-8859-1")])
    (entry,) = wire.distil().file.timeline
    assert entry.data == {"label": "Köln"}


def test_a_bayeux_reply_that_is_no_json_has_its_true_reason(wire: Any) -> None:
    connect(wire, 0, "c1", "/q", JSESSIONID="s1-0a1b2c3d")
    flow = wire.bayeux(1, [{"channel": "/meta/connect", "id": "9", "clientId": "c1"}], session="s1-0a1b2c3d")
    wire.reply(2, flow, b'[{"channel": "/q"', headers=[("Content-Type", "application/json")])
    assert wire.distil().summary.left_out == [
        "the reply to a Bayeux request: invalid JSON, or JSON that can't be stored"
    ]


def test_a_user_of_requests_without_identity_gets_no_role(wire: Any) -> None:
    users(wire, 2)
    wire.call(3, "GET", "/api/v2/me", None, {"user": {"id": "u1", "userName": "kate"}})
    say(wire, 4, 1)
    assert wire.distil().file.roles is None


def test_a_request_with_credentials_only_belongs_to_the_latest_session_of_its_user(wire: Any) -> None:
    kate = [("Authorization", "Basic " + b64encode(b"kate:tr0ub4dor9").decode())]
    for number in (1, 2):
        session = cookies(JSESSIONID=f"s{number}-0a1b2c3d")
        wire.call(number, "GET", "/a", None, {}, headers=[*kate, *session])
        connect(wire, number, f"c{number}", "/q", JSESSIONID=f"s{number}-0a1b2c3d")
    wire.call(5, "POST", "/query", {}, {"referenceId": 5}, headers=kate)
    poll(wire, 6, "c2", event("/q", referenceId=5), JSESSIONID="s2-0a1b2c3d")
    assert receivers(wire.distil()) == [[], [(None, "1s")]]


def test_a_message_before_a_request_is_no_copy_of_its_answer(wire: Any) -> None:
    users(wire, 2)
    hear(wire, 2, 2, n=1, referenceId=5)
    say(wire, 3, 1)
    hear(wire, 4, 1, n=1, referenceId=5)
    distilled = wire.distil()
    assert (receivers(distilled), timeline(distilled)) == ([[(None, "1s")]], [("subscribe", "agent-2", "/chat")])


# --- receivers, roles and CometD sessions ---------------------------------------------------------------------


def test_a_message_that_the_only_subscriber_received_is_for_the_subscribers(wire: Any) -> None:
    connect(wire, 0.1, "c1", "/chat", JSESSIONID="s1-0a1b2c3d")
    connect(wire, 0.2, "c2", JSESSIONID="s2-0a1b2c3d")
    say(wire, 1, 2)
    hear(wire, 2, 1, n=1, referenceId=5)
    assert receivers(wire.distil()) == [[("subscribers", "1s")]]


def test_a_message_that_the_only_client_received_is_for_all(wire: Any) -> None:
    connect(wire, 0.1, "c1", JSESSIONID="s1-0a1b2c3d")
    say(wire, 1, 2)
    hear(wire, 2, 1, n=1, referenceId=5)
    assert receivers(wire.distil()) == [[("all", "1s")]]


def test_a_broadcast_that_others_than_subscribers_received_is_for_all(wire: Any) -> None:
    connect(wire, 0.1, "c1", "/chat", JSESSIONID="s1-0a1b2c3d")
    connect(wire, 0.2, "c2", JSESSIONID="s2-0a1b2c3d")
    say(wire, 1, 1)
    for user in (1, 2):
        hear(wire, 2, user, n=1, referenceId=5)
    assert receivers(wire.distil()) == [[("all", "1s")]]


def test_a_client_that_has_disconnected_is_no_receiver(wire: Any) -> None:
    users(wire, 2)
    leave: JSON = {"channel": "/meta/disconnect", "id": "7", "clientId": "c1"}
    flow = wire.bayeux(0.8, [leave], session="s1-0a1b2c3d")
    wire.reply(0.9, flow, [{"channel": "/meta/disconnect", "id": "7", "successful": True}])
    say(wire, 1, 1)
    hear(wire, 2, 2, n=1, referenceId=5)
    connect(wire, 3, "c3", "/chat", JSESSIONID="s1-0a1b2c3d")
    assert receivers(wire.distil()) == [[("subscribers", "1s")]]


def test_a_session_that_could_receive_nothing_has_the_answer_of_the_others(wire: Any) -> None:
    wire.call(0.5, "POST", "/say", {}, {"referenceId": 4}, session="s9-0a1b2c3d")
    users(wire, 1)
    wire.call(1, "POST", "/say", {}, {"referenceId": 5}, session="s1-0a1b2c3d")
    hear(wire, 2, 1, n=1, referenceId=5)
    distilled = wire.distil()
    assert [(one.as_, len(one.events or [])) for one in distilled.file.exchanges] == [(None, 1)]


def test_a_session_that_could_receive_a_notification_and_did_not_has_its_own_answer(wire: Any) -> None:
    users(wire, 2)
    for user in (2, 1):
        wire.call(1, "POST", "/say", {}, {"referenceId": 5}, session=f"s{user}-0a1b2c3d")
    hear(wire, 2, 1, n=1, referenceId=5)
    distilled = wire.distil()
    assert [(one.as_, len(one.events or [])) for one in distilled.file.exchanges] == [("agent-2", 0), ("agent-1", 1)]


def test_roles_are_in_the_order_in_which_sessions_need_them(wire: Any) -> None:
    users(wire, 2)
    for user in (2, 1):
        wire.call(3 - user, "GET", "/state", None, {"state": user}, session=f"s{user}-0a1b2c3d")
    distilled = wire.distil()
    assert list(distilled.file.roles) == ["agent-2", "agent-1"]
    assert distilled.summary.left_out == [
        "the users of the roles agent-1, agent-2: nothing names them; the first sessions that need a role get it"
    ]


def test_answers_that_differ_only_in_a_session_id_are_one_exchange(wire: Any) -> None:
    for user in (1, 2):
        wire.call(user, "POST", "/sign-in", {}, {"ok": True, "sessionId": f"value-{user}-0a1b2c3d"})
        headers = [("X-Session", f"value-{user}-0a1b2c3d")]
        wire.call(user + 0.5, "GET", "/state", None, {"state": 1}, headers=headers)
    distilled = wire.distil()
    assert [(one.name, one.as_) for one in distilled.file.exchanges] == [("post sign-in", None), ("state", None)]
    assert distilled.summary.sessions == 2


def test_a_notification_before_its_session_gets_a_role_is_for_all_who_reached_its_start(wire: Any) -> None:
    users(wire, 2)
    say(wire, 1, 1)
    hear(wire, 2, 1, news=1)
    say(wire, 2.5, 2, 7)
    hear(wire, 2.6, 2, referenceId=7)
    for user in (1, 2):
        wire.call(2 + user, "GET", "/state", None, {"state": user}, session=f"s{user}-0a1b2c3d")
    distilled = wire.distil()
    assert timeline(distilled) == [("post say", None, "/chat")]


def test_the_end_of_a_cometd_session_by_the_server_is_named(wire: Any) -> None:
    users(wire, 1)
    poll(wire, 1, "c1", {"channel": "/meta/disconnect", "successful": True}, JSESSIONID="s1-0a1b2c3d")
    assert wire.distil().summary.left_out == [
        "a CometD session that the server ended (add an event with `disconnect: true` to replay it)"
    ]
