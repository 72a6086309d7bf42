"""The receivers of notifications, the roles of the timeline, and the report of notifications that no client gets."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from cometreel.engine import Control, Notification, ResponderRequest, Response
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.wire import Headers, Request
from tests.unit.engine.conftest import Talk
from tests.unit.engine.conversation import ENDPOINT, Client, Conversation

BAYEUX = "bayeux: {endpoint: /api/v2/notifications, "


def note(*events: str) -> str:
    """Return a scenario whose only exchange, in line 6, has these events."""
    return "exchanges:\n  - {name: note, request: {method: POST, path: /x}, events: [" + ", ".join(events) + "]}\n"


def given_up(talk: Conversation) -> list[tuple[str, int, str, str]]:
    """Return the cause, the session, the channel and the reason of all notifications that were given up."""
    events = talk.backend.journal.given_up.latest
    return [(event.cause, event.session, event.channel, event.reason) for event in events]


def stop(talk: Conversation) -> None:
    """Stop the server; its clients don't poll any more."""
    for client in talk.clients:
        client.polls = False
    talk.do(talk.backend.release_all(talk.now))


def roles_of(talk: Conversation) -> list[str | None]:
    """Return the roles of the sessions, in the order of their arrival."""
    return [session.role for session in sorted(talk.backend.sessions, key=lambda one: one.number)]


# ---------------------------------------------------------------------- deliver
def test_subscribers_get_the_same_message_as_the_asker(conversation: Talk) -> None:
    talk = conversation(note("{after: 1s, channel: /b, data: {id: {$t: '{{ uuid() }}'}}, deliver: subscribers}"))
    a, b, c = (talk.client(name).connects(*channels) for name, channels in (("a", ["/b"]), ("b", ["/*"]), ("c", [])))
    a.sends("POST", "/x")
    talk.at(2.0)
    (_, (_, _, data)) = a.received
    a.receives((0.0, 200, ""), (1.0, "/b", data))
    b.receives((1.0, "/b", data))
    c.receives()
    assert given_up(talk) == []


def test_a_broadcast_publish_is_delivered_to_all_subscribers(conversation: Talk) -> None:
    talk = conversation("""
exchanges:
  - name: say
    request: {publish: /chat, data: {$any: string}}
    events: [{after: 100ms, channel: /chat, data: said, deliver: subscribers}]
""")
    a, b = talk.client("a").connects("/chat"), talk.client("b").connects("/chat")
    a.sends_messages({"channel": "/chat", "data": "hello"})
    talk.at(1.0)
    a.receives((0.1, "/chat", "said"))
    b.receives((0.1, "/chat", "said"))


def test_a_batch_for_subscribers_is_one_batch_for_each_of_them(conversation: Talk) -> None:
    events = [f"{{channel: /{name}, data: {name}, batch: x, deliver: subscribers}}" for name in ("a", "b", "c")]
    talk = conversation(note(*events))
    a, b = talk.client("a").connects("/a", "/b"), talk.client("b").connects("/b")
    a.sends("POST", "/x")
    a.receives((0.0, 200, ""), (0.0, "/a", "a"), (0.0, "/b", "b"))
    b.receives((0.0, "/b", "b"))
    talk.logged(
        "warning: test.yaml:6:5: event 3 of 'note' on /c for session 1 is given up: no subscriber; let a client"
    )
    assert given_up(talk) == [("'note'", 1, "/c", "no subscriber")]


def test_all_live_clients_get_a_notification_for_all(conversation: Talk) -> None:
    talk = conversation(note("{channel: /c, data: 1, deliver: all}"))
    a, b = talk.client("a"), talk.client("b").connects()
    a.sends("POST", "/x")
    a.connects()
    a.receives((0.0, 200, ""))
    b.receives((0.0, "/c", 1))
    a.sends("POST", "/x")
    a.receives((0.0, 200, ""), (0.0, "/c", 1))
    b.receives((0.0, "/c", 1))


TWO_ROLES = "roles: {agent-1: {user: ann}, agent-2: {user: ben}}\n"


def test_a_notification_for_a_role_goes_to_its_sessions_only(conversation: Talk) -> None:
    talk = conversation(TWO_ROLES + note("{channel: /c, data: 1, deliver: agent-2}"))
    ann, ben, other = talk.client("ann", "ann").connects(), talk.client("ben", "ben").connects(), talk.client("c", "c")
    other.connects()
    ann.sends("POST", "/x")
    ann.receives((0.0, 200, ""))
    ben.receives((0.0, "/c", 1))
    other.receives()


def test_a_notification_for_a_role_without_a_session_is_given_up(conversation: Talk) -> None:
    talk = conversation(TWO_ROLES + note("{channel: /c, data: 1, deliver: agent-2}"))
    ann = talk.client("ann", "ann").connects()
    ann.sends("POST", "/x")
    ann.receives((0.0, 200, ""))
    talk.logged("warning: test.yaml:7:5: event 1 of 'note' on /c for session 1 is given up: role never assigned; ")
    assert given_up(talk) == [("'note'", 1, "/c", "role never assigned")]


@pytest.mark.parametrize("others", [1, 2])
def test_a_role_that_only_deliver_names_is_that_of_the_only_other_session(conversation: Talk, others: int) -> None:
    """A recording of users without names: one asks, another gets the notification."""
    talk = conversation("roles: {agent-2: {}}\n" + note("{channel: /c, data: 1, deliver: agent-2}"))
    a, b = talk.client("a").connects(), talk.client("b").connects()
    c = talk.client("c").connects() if others == 2 else None
    for _ in range(2):
        a.sends("POST", "/x")
    a.receives((0.0, 200, ""), (0.0, 200, ""))
    if c is None:
        b.receives((0.0, "/c", 1), (0.0, "/c", 1))
    else:
        b.receives()
        talk.logged("warning: test.yaml:7:5: event 1 of 'note' on /c for session 1 is given up: role never assigned; ")


def test_a_disconnect_for_all_ends_all_clients(conversation: Talk) -> None:
    talk = conversation(note("{after: 1s, disconnect: true, deliver: all}"))
    a, b = talk.client("a").connects(), talk.client("b").connects()
    a.sends("POST", "/x")
    talk.at(2.0)
    a.receives((0.0, 200, ""))
    assert [client.meta[-2]["channel"] for client in (a, b)] == ["/meta/disconnect"] * 2


def test_a_responder_can_deliver_to_subscribers(conversation: Talk) -> None:
    def answer(_: ResponderRequest) -> Response:
        return Response({}, events=[Notification("/c", 1, deliver="subscribers")])

    talk = conversation(note())
    talk.backend.register(answer)
    a, b = talk.client("a").connects(), talk.client("b").connects("/c")
    a.sends("POST", "/x")
    a.receives((0.0, 200, {}))
    b.receives((0.0, "/c", 1))


# ---------------------------------------------------------------------- the timeline
def timeline(*entries: str, head: str = "") -> str:
    return head + "timeline:\n" + "".join(f"  - {{{entry}}}\n" for entry in entries)


def test_a_timeline_entry_assigns_its_role_if_nothing_else_does(conversation: Talk) -> None:
    roles = "roles: {agent-1: {}, agent-2: {}}\n"
    entries = [f"as: agent-{n}, since: connect, after: {n}s, channel: /c, data: {n}" for n in (1, 2)]
    talk = conversation(timeline(*entries, head=roles))
    a, b, c = (talk.client(name).connects() for name in "abc")
    talk.at(5.0)
    a.receives((1.0, "/c", 1))
    b.receives((2.0, "/c", 2))
    c.receives((1.0, "/c", 1))
    assert roles_of(talk) == ["agent-1", "agent-2", "agent-1"]


def test_a_login_ends_the_entries_of_a_role_that_an_entry_assigned(conversation: Talk) -> None:
    entries = [f"as: {role}, since: connect, after: 1s, channel: /c, data: {role}" for role in ("boss", "guest")]
    talk = conversation(timeline(*entries, head="roles: {boss: {user: boss}, guest: {}}\n"))
    a = talk.client().connects()
    assert roles_of(talk) == ["guest"]
    a.user = "boss"
    a.sends("GET", "/x")
    a.received.clear()
    talk.logged("warning: no exchange")
    talk.at(5.0)
    a.receives((1.0, "/c", "boss"))


def test_a_role_that_waits_for_a_later_anchor_is_not_passed_over(conversation: Talk) -> None:
    entries = ["as: early, since: connect, channel: /c, data: 1", "as: late, since: subscribe, channel: /c, data: 2"]
    talk = conversation(timeline(*entries, head="roles: {late: {}, early: {}}\n"))
    a, b = talk.client("a"), talk.client("b")
    for client in (a, b):
        client.connects()
        client.sends_messages({"channel": "/meta/subscribe", "subscription": "/c"})
    a.receives((0.0, "/c", 1))
    b.receives((0.0, "/c", 2))


def test_a_subscription_to_several_channels_starts_their_entries_in_the_order_of_the_scenario(
    conversation: Talk,
) -> None:
    channels = [f"/{name}" for name in "hbfdagce"]
    roles = "roles: {" + ", ".join(f"of-{channel[1:]}: {{}}" for channel in channels) + "}\n"
    entries = [f"as: of-{each[1:]}, since: {{subscribe: {each}}}, channel: {each}, data: 1" for each in channels]
    talk = conversation(timeline(*entries, head=roles))
    a = talk.client().connects("/**")
    a.receives((0.0, "/h", 1))
    assert roles_of(talk) == ["of-h"]


@pytest.mark.parametrize(
    "head",
    [
        "roles: {agent-1: {user: ann}}\n",
        "roles: {agent-1: {id: '77'}}\n",
        "roles: {agent-1: {}}\nexchanges:\n  - {name: x, as: agent-1, request: {method: GET, path: /x}}\n",
    ],
)
def test_a_timeline_entry_waits_for_its_role_if_something_else_assigns_it(conversation: Talk, head: str) -> None:
    talk = conversation(timeline("as: agent-1, since: connect, channel: /c, data: 1", head=head))
    a = talk.client().connects()
    talk.at(1.0)
    a.receives()
    stop(talk)
    assert given_up(talk) == [("timeline entry 1", 1, "/c", "role never assigned")]
    (line,) = talk.logs
    talk.logs.clear()
    assert "the event of timeline entry 1 on /c for session 1 is given up: role never assigned; give the role" in line


def test_an_entry_whose_role_another_session_had_is_not_reported(conversation: Talk) -> None:
    talk = conversation(timeline("as: a, since: connect, channel: /c, data: 1", head="roles: {a: {user: ann}}\n"))
    ann, other = talk.client("ann", "ann").connects(), talk.client("b").connects()
    stop(talk)
    ann.receives((0.0, "/c", 1))
    other.receives()
    assert given_up(talk) == []


def test_an_entry_can_start_and_end_with_the_subscription_to_one_channel(conversation: Talk) -> None:
    talk = conversation(
        timeline(
            "since: {subscribe: /b/x}, until: {unsubscribe: /b/x}, after: 1s, count: 9, gap: 1s, channel: /b/x, data: 1"
        )
    )
    a, b = talk.client("a").connects("/a"), talk.client("b").connects("/b/*")
    talk.at(2.5)
    b.sends_messages({"channel": "/meta/unsubscribe", "subscription": "/b/*"})
    talk.at(9.0)
    a.receives()
    b.receives((1.0, "/b/x", 1), (2.0, "/b/x", 1))


def test_an_entry_can_start_when_a_client_unsubscribes(conversation: Talk) -> None:
    talk = conversation(timeline("since: {unsubscribe: /a}, until: disconnect, after: 1s, channel: /c, data: 1"))
    a = talk.client().connects("/a", "/b")
    a.sends_messages({"channel": "/meta/unsubscribe", "subscription": "/b"})
    talk.at(2.0)
    a.receives()
    a.sends_messages({"channel": "/meta/unsubscribe", "subscription": "/a"})
    talk.at(4.0)
    a.receives((3.0, "/c", 1))


# ---------------------------------------------------------------------- roles by value
@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("GET", "/users/ben/calls", "", None),
        ("GET", "/calls", "agent=b-2", None),
        ("POST", "/calls", "", {"call": {"agents": ["x", "b-2"]}}),
        ("POST", "/calls", "", {"agentId": 1002}),
    ],
)
def test_a_request_with_the_id_of_one_role_assigns_it(
    conversation: Talk, method: str, path: str, query: str, body: JSON
) -> None:
    identity = "'1002'" if body == {"agentId": 1002} else "b-2"
    roles = f"roles: {{agent-1: {{user: ann, id: a-1}}, agent-2: {{user: ben, id: {identity}}}}}\n"
    request = f"method: {method}, path: {{$regex: .}}, query: {{$any: object}}"
    if body is not None:
        request += ", body: {$any: anything}"
    anything = f"exchanges:\n  - {{name: any, request: {{{request}}}}}\n"
    entries = [f"as: agent-{n}, since: any, after: 1s, channel: /c, data: {n}" for n in (1, 2)]
    talk = conversation(timeline(*entries, head=roles + anything))
    a = talk.client().connects()
    a.sends(method, path, body, query=query)
    talk.at(2.0)
    a.receives((0.0, 200, ""), (1.0, "/c", 2))


def test_a_form_and_a_publish_assign_a_role_too(conversation: Talk) -> None:
    roles = "roles: {agent-1: {id: a-1}, agent-2: {id: b-2}}\nexchanges:\n  - {name: say, request: {publish: /s}}\n"
    talk = conversation(roles)
    a, b = talk.client("a").connects(), talk.client("b")
    a.sends_messages({"channel": "/s", "data": {"who": "b-2"}})
    b.headers["Content-Type"] = "application/x-www-form-urlencoded"
    b.sends("POST", "/login", text=b"agent=a-1&x=1")
    b.received.clear()
    talk.logs.clear()
    assert roles_of(talk) == ["agent-2", "agent-1"]


def test_values_of_several_roles_and_parts_of_a_value_assign_none(conversation: Talk) -> None:
    talk = conversation("roles: {a: {id: x-1, user: same}, b: {id: x-2, user: same}}\n")
    bodies: list[JSON] = [["x-1", "x-2"], "x-10", "same", {"x-1": 1}]
    for number, body in enumerate(bodies):
        client = talk.client(str(number))
        client.sends("POST", "/calls", body)
        client.received.clear()
    talk.logs.clear()
    assert roles_of(talk) == [None] * 4


# ---------------------------------------------------------------------- when_gone
def expired(talk: Conversation) -> Client:
    """Return a client whose CometD session expires before its notification is due, and that connects again."""
    a = talk.client().connects()
    a.sends("POST", "/x")
    talk.at(1.0)
    a.disconnects()
    talk.at(25.0)
    a.connects()
    talk.at(26.0)
    return a


LATE = note("{after: 20s, channel: /c, data: 1}")


def test_a_notification_for_an_expired_client_is_dropped_and_reported(conversation: Talk) -> None:
    talk = conversation(LATE)
    expired(talk).receives((0.0, 200, ""))
    talk.logged("warning: test.yaml:6:5: event 1 of 'note' on /c for session 1 is given up: client gone; set ")
    assert given_up(talk) == [("'note'", 1, "/c", "client gone")]


def test_when_gone_keep_delivers_it_to_the_next_client(conversation: Talk) -> None:
    talk = conversation(LATE + "session: {when_gone: keep}\n")
    expired(talk).receives((0.0, 200, ""), (25.0, "/c", 1))
    assert given_up(talk) == []


def test_notifications_in_the_queue_of_an_expired_client_are_reported(conversation: Talk) -> None:
    talk = conversation(note("{after: 2s, channel: /c, data: 1}"))
    expired(talk).receives((0.0, 200, ""))
    talk.logged(
        "warning: test.yaml:6:5: event 1 of 'note' on /c for session 1 is given up: client gone; raise bayeux.m"
    )
    assert given_up(talk) == [("'note'", 1, "/c", "client gone")]


def test_a_client_that_disconnects_gets_its_queue_and_nothing_is_reported(conversation: Talk) -> None:
    talk = conversation(note("{channel: /c, data: 1}"))
    a = talk.client().handshakes()
    a.sends("POST", "/x")
    a.sends_messages({"channel": "/meta/disconnect"})
    a.receives((0.0, 200, ""), (0.0, "/c", 1))
    assert given_up(talk) == []


def test_a_waiting_notification_of_an_anonymous_session_goes_to_the_only_client(conversation: Talk) -> None:
    talk = conversation(note("{channel: /c, data: 1}") + "session: {cookie: none}\n")
    a, b = talk.client("a"), talk.client("b")
    a.sends("POST", "/x")
    b.connects()
    a.receives((0.0, 200, ""))
    b.receives((0.0, "/c", 1))


def test_a_waiting_notification_of_a_provisional_session_waits_for_its_own_client(conversation: Talk) -> None:
    talk = conversation(note("{channel: /c, data: 1}"))
    a, b = talk.client("a"), talk.client("b")
    a.sends("POST", "/x")
    b.connects()
    b.receives()
    a.connects()
    a.receives((0.0, 200, ""), (0.0, "/c", 1))


def test_notifications_of_a_session_that_never_connects_wait_until_it_ends(conversation: Talk) -> None:
    talk = conversation(note("{channel: /c, data: 1}") + "session: {max_idle: 60s}\n")
    a, b = talk.client("a"), talk.client("b")
    a.sends("POST", "/x")
    talk.at(100.0)
    b.sends("POST", "/x")
    a.receives((0.0, 200, ""))
    b.receives((100.0, 200, ""))
    talk.logged(
        "warning: test.yaml:6:5: event 1 of 'note' on /c for session 1 is given up: no connection in time; bind"
    )
    assert given_up(talk) == [("'note'", 1, "/c", "no connection in time")]
    stop(talk)
    assert given_up(talk)[1:] == [("'note'", 2, "/c", "no connection in time")], "and none is logged twice"


def test_a_notification_due_after_its_session_has_ended_is_reported(conversation: Talk) -> None:
    talk = conversation(note("{after: 90s, channel: /c, data: 1}") + "session: {max_idle: 60s}\n")
    a, b = talk.client("a"), talk.client("b")
    a.sends("POST", "/x")
    talk.at(70.0)
    b.sends("GET", "/y")
    talk.at(100.0)
    a.receives((0.0, 200, ""))
    b.received.clear()
    talk.logged(
        "warning: no exchange",
        "warning: test.yaml:6:5: event 1 of 'note' on /c for session 1 is given up: session ended;",
    )
    assert given_up(talk) == [("'note'", 1, "/c", "session ended")]


@pytest.mark.parametrize(
    ("session", "reason"),
    [
        ("{cookie: none, anonymous: each}", "no connection in time; bind the request"),
        ("{max_provisional: 1}", "session ended; raise session.max_idle, or session.max_provisional"),
    ],
)
def test_the_report_of_a_session_that_ended_early_names_the_key_that_helps(
    conversation: Talk, session: str, reason: str
) -> None:
    talk = conversation(note("{after: 1s, channel: /c, data: 1}") + f"session: {session}\n")
    a, b = talk.client("a"), talk.client("b")
    a.sends("POST", "/x")
    b.sends("GET", "/y")
    talk.at(2.0)
    a.receives((0.0, 200, ""))
    b.received.clear()
    talk.logged(
        "warning: no exchange",
        f"warning: test.yaml:6:5: event 1 of 'note' on /c for session 1 is given up: {reason}",
    )


def test_a_full_queue_reports_what_it_drops(conversation: Talk) -> None:
    talk = conversation(note("{channel: /c, data: 1, count: 3}") + BAYEUX + "max_queue: 2}\n")
    a = talk.client().handshakes()
    a.sends("POST", "/x")
    a.polls = True
    a.poll()
    a.receives((0.0, 200, ""), (0.0, "/c", 1), (0.0, "/c", 1))
    talk.logged(
        "warning: test.yaml:5:5: event 1 of 'note' on /c for session 1 is given up: queue full; raise bayeux.max_queue",
        "warning: more than 2 messages wait",
    )
    assert given_up(talk) == [("'note'", 1, "/c", "queue full")]


def test_a_channel_without_a_subscription_is_reported_if_subscriptions_are_checked(conversation: Talk) -> None:
    talk = conversation(note("{channel: /c, data: 1}") + BAYEUX + "deliver: subscribed}\n")
    a = talk.client().connects("/d")
    a.sends("POST", "/x")
    a.receives((0.0, 200, ""))
    talk.logged(
        "warning: test.yaml:5:5: event 1 of 'note' on /c for session 1 is given up: no subscriber; let the clie"
    )
    assert given_up(talk) == [("'note'", 1, "/c", "no subscriber")]


def test_the_reports_have_the_call_and_are_counted_by_reason(conversation: Talk) -> None:
    talk = conversation(note("{channel: /c, data: 1, deliver: subscribers}"))
    a = talk.client().connects()
    for _ in range(3):
        a.sends("POST", "/x")
    a.received.clear()
    talk.logged(
        "warning: test.yaml:6:5: event 1 of 'note' on /c for session 1 is given up: no subscriber; let a client"
    )
    report = talk.backend.journal.given_up
    assert [(event.call, event.exchange, event.event, event.position) for event in report.latest] == [
        (number, "note", 1, "test.yaml:6:5") for number in (1, 2, 3)
    ]
    assert report.counts == {"no subscriber": 3}
    talk.do(talk.backend.reset(talk.now))
    assert (report.latest, report.counts) == ((), {"no subscriber": 3})
    a.received.clear()


# ---------------------------------------------------------------------- bayeux.handshake and bayeux.form
def handshake_of(talk: Conversation, **fields: JSON) -> JSONObject:
    client = talk.client()
    client.sends_messages({"channel": "/meta/handshake", "supportedConnectionTypes": ["long-polling"], **fields})
    return client.meta[-1]


@pytest.mark.parametrize(
    ("written", "members"),
    [
        ("", {"advice": {"reconnect": "retry", "interval": 0, "timeout": 30000}, "ext": {"ack": True}}),
        (", handshake: {}", {}),
        (", handshake: {ext: {replay: true, payload.format: true}}", {"ext": {"replay": True, "payload.format": True}}),
        (
            ", handshake: {advice: {reconnect: retry}, ext: {ack: true}}",
            {"advice": {"reconnect": "retry"}, "ext": {"ack": True}},
        ),
    ],
)
def test_ext_and_advice_of_a_handshake_are_sent_as_written(
    conversation: Talk, written: str, members: JSONObject
) -> None:
    talk = conversation(f"{BAYEUX[:-2]}{written}}}\n")
    reply = handshake_of(talk, ext={"ack": True})
    assert {key: value for key, value in reply.items() if key in ("ext", "advice")} == members
    (client,) = talk.backend.server.client_ids()
    assert reply["clientId"] == client


def sends_form(client: Client, message: JSON, content_type: str = "text/plain;charset=UTF-8") -> None:
    talk, number = client.talk, client.talk.number()
    client.bayeux.add(number)
    body = f"message={quote(json.dumps([message]))}".encode()
    headers = Headers([("Content-Type", content_type), *[("Cookie", f"{k}={v}") for k, v in client.cookies.items()]])
    talk.send(client, Request(number, "POST", ENDPOINT, "", headers, body, "http://replay:1"))


@pytest.mark.parametrize("content_type", ["text/plain;charset=UTF-8", "application/x-www-form-urlencoded"])
def test_messages_in_a_form_are_accepted_with_form_true(conversation: Talk, content_type: str) -> None:
    talk = conversation(note("{channel: /c, data: 'ü & +'}") + BAYEUX + "form: true}\n")
    a = talk.client()
    sends_form(a, {"channel": "/meta/handshake", "supportedConnectionTypes": ["long-polling"]}, content_type)
    a.client_id = str(a.meta[-1]["clientId"])
    a.sends("POST", "/x")
    sends_form(a, {"channel": "/meta/connect", "connectionType": "long-polling", "clientId": a.client_id}, content_type)
    a.receives((0.0, 200, ""), (0.0, "/c", "ü & +"))


def test_messages_in_a_form_get_400_otherwise(conversation: Talk) -> None:
    talk = conversation(note())
    a = talk.client()
    sends_form(a, {"channel": "/meta/handshake"})
    a.receives((0.0, 400, ""))
    talk.logged(f"warning: POST {ENDPOINT} is refused: found a form; expected JSON, or form: true under bayeux:")


def test_a_form_without_a_message_gets_400(conversation: Talk) -> None:
    talk = conversation(note() + BAYEUX + "form: true}\n")
    a = talk.client()
    a.sends("POST", ENDPOINT, text=b"mesage=[]")
    a.receives((0.0, 400, ""))
    talk.logged(f"warning: POST {ENDPOINT} is refused: found neither JSON nor a form with the field message; expected")


# ---------------------------------------------------------------------- order and receivers
@pytest.mark.parametrize("text", ["1", "{$t: '1'}"], ids=["static", "template"])
def test_an_event_and_a_disconnect_for_a_role_go_to_its_sessions_only(conversation: Talk, text: str) -> None:
    events = [f"{{channel: /c, data: {text}, deliver: agent-2}}", "{after: 1s, disconnect: true, deliver: agent-2}"]
    talk = conversation(TWO_ROLES + note(*events).replace("events:", "reply: {text: ok}, events:"))
    ann, ben = talk.client("ann", "ann").connects(), talk.client("ben", "ben").connects()
    ann.sends("POST", "/x")
    talk.at(2.0)
    ann.receives((0.0, 200, "ok"))
    ben.receives((0.0, "/c", 1 if text == "1" else "1"))
    assert ann.meta[-1]["channel"] != "/meta/disconnect"
    assert [message["channel"] for message in ben.meta[-2:]] == ["/meta/disconnect", "/meta/connect"]


def test_a_batch_is_delivered_together_to_each_kind_of_receiver(conversation: Talk) -> None:
    events = [f"{{channel: /c, data: {n}, batch: x, deliver: {to}}}" for n, to in enumerate(["all", "asker", "all"])]
    talk = conversation(note(*events))
    a, b = talk.client("a").connects(), talk.client("b").connects()
    polls = len(b.meta)
    a.sends("POST", "/x")
    a.receives((0.0, 200, ""), (0.0, "/c", 0), (0.0, "/c", 2), (0.0, "/c", 1))
    b.receives((0.0, "/c", 0), (0.0, "/c", 2))
    assert len(b.meta) - polls == 1, "one reply to a poll has both"
    assert talk.backend.counters.events == 5


def test_a_session_of_the_role_without_a_client_gets_the_notification_later(conversation: Talk) -> None:
    talk = conversation(TWO_ROLES + note("{channel: /c, data: 1, deliver: agent-2}"))
    ann, ben = talk.client("ann", "ann").connects(), talk.client("ben", "ben")
    ben.sends("POST", "/x")
    ann.sends("POST", "/x")
    talk.at(1.0)
    ben.connects()
    ben.receives((0.0, 200, ""), (1.0, "/c", 1), (1.0, "/c", 1))
    ann.receives((0.0, 200, ""))


def test_a_role_that_only_deliver_names_is_not_given_to_a_session_with_a_role(conversation: Talk) -> None:
    talk = conversation(
        "roles: {agent-1: {user: kim}, agent-2: {}}\n" + note("{channel: /c, data: 1, deliver: agent-2}")
    )
    a, b, kim = talk.client("a").connects(), talk.client("b").connects(), talk.client("kim", "kim").connects()
    a.sends("POST", "/x")
    a.receives((0.0, 200, ""))
    b.receives((0.0, "/c", 1))
    kim.receives()


def test_an_event_for_a_publisher_that_has_gone_goes_to_the_other_clients_of_its_session(conversation: Talk) -> None:
    talk = conversation(
        "exchanges:\n  - {name: say, request: {publish: /s}, events: [{after: 1s, channel: /c, data: 1}]}\n"
        + BAYEUX
        + "max_sessions_per_browser: 5}\n"
    )
    a, b = talk.client("a").connects(), talk.client("b")
    b.cookies.update(a.cookies)
    b.connects()
    a.sends_messages({"channel": "/s"})
    a.polls = False
    a.sends_messages({"channel": "/meta/disconnect"})
    talk.at(2.0)
    a.receives()
    b.receives((1.0, "/c", 1))


@pytest.mark.parametrize("deliver", ["asker", "all", "subscribers"])
def test_the_notifications_of_a_responder_are_in_the_order_of_their_delays_at_any_speed(
    conversation: Talk, deliver: str
) -> None:
    def answer(_: ResponderRequest) -> Response:
        return Response({}, events=[Notification("/c", n, after, deliver=deliver) for n, after in ((2, 2.0), (1, 1.0))])

    for speed in (0.0, 1.0):
        talk = conversation(note(), speed=speed)
        talk.backend.register(answer)
        a, b = talk.client("a").connects("/c"), talk.client("b").connects("/c")
        a.sends_messages({"channel": "/s", "data": 1})
        a.sends("POST", "/x")
        talk.at(5.0)
        assert [data for _, what, data in a.received if what == "/c"] == ([1, 2, 1, 2] if not speed else [1, 1, 2, 2])
        assert len(b.received) == (0 if deliver == "asker" else 4)
        a.received.clear()
        b.received.clear()


def test_the_report_names_the_event_of_a_responder(conversation: Talk) -> None:
    def answer(_: ResponderRequest) -> Response:
        return Response({}, events=[Notification(f"/{name}", 1, deliver="subscribers") for name in "ab"])

    talk = conversation(note())
    talk.backend.register(answer)
    a = talk.client().connects("/a")
    a.sends("POST", "/x")
    a.receives((0.0, 200, {}), (0.0, "/a", 1))
    assert [(event.cause, event.event, event.channel) for event in talk.backend.journal.given_up.latest] == [
        ("the responder of call 1", 2, "/b")
    ]
    talk.logs.clear()


@pytest.mark.parametrize(("status", "successful"), [(399, True), (400, False)])
def test_a_responder_refuses_a_publish_with_an_error_status(conversation: Talk, status: int, successful: bool) -> None:
    talk = conversation(note())
    talk.backend.register(lambda _: Response({}, status=status))
    a = talk.client().handshakes()
    a.sends_messages({"channel": "/s", "data": 1})
    assert a.meta[-1]["successful"] is successful


# ---------------------------------------------------------------------- more of the timeline
LATER = (
    "exchanges:\n"
    + "".join(f"  - {{name: {name}, request: {{method: POST, path: /{name}}}}}\n" for name in ("come", "go"))
    + "  - {name: one, as: one, request: {method: POST, path: /who}, reply: {text: one}}\nroles: {one: {}, two: {}}\n"
)


def posts(client: Client, *paths: str) -> None:
    for path in paths:
        client.sends("POST", path)
    client.received = [each for each in client.received if each[1] != 200]


def test_entries_for_all_roles_continue_when_a_session_gets_its_role(conversation: Talk) -> None:
    talk = conversation(timeline("since: come, after: 2s, channel: /c, data: all", head=LATER))
    a = talk.client().connects()
    posts(a, "/come")
    talk.at(1.0)
    posts(a, "/who", "/come")
    talk.at(9.0)
    a.receives((2.0, "/c", "all"))


def test_a_session_with_a_role_gets_the_entries_for_all_roles_too(conversation: Talk) -> None:
    entries = ["since: come, channel: /c, data: all", "as: one, since: come, channel: /c, data: one"]
    talk = conversation(timeline(*entries, head=LATER))
    a = talk.client().connects()
    posts(a, "/who", "/come")
    a.receives((0.0, "/c", "all"), (0.0, "/c", "one"))


@pytest.mark.parametrize(
    ("steps", "heard"),
    [
        ([("/come", 0.0), ("/who", 1.0)], True),
        ([("/come", 0.0), ("/go", 0.0), ("/who", 1.0)], False),
        ([("/come", 0.0), ("/go", 1.0), ("/who", 2.0)], False),
        ([("/come", 0.0), ("/go", 1.0), ("/come", 2.0), ("/who", 3.0)], True),
    ],
)
def test_an_entry_of_a_role_starts_when_it_is_assigned_unless_the_entry_is_over(
    conversation: Talk, steps: list[tuple[str, float]], heard: bool
) -> None:
    talk = conversation(timeline("as: one, since: come, until: go, channel: /c, data: 1", head=LATER))
    a = talk.client().connects()
    for path, at in steps:
        talk.at(at)
        posts(a, path)
    talk.at(5.0)
    assert [data for _, _, data in a.received] == [1] * heard
    a.received.clear()


def test_a_publish_starts_and_ends_timeline_entries(conversation: Talk) -> None:
    exchanges = (
        "exchanges: [{name: say, request: {publish: /s, data: 1}}, {name: stop, request: {publish: /s, data: 2}}]\n"
    )
    talk = conversation(
        timeline("since: say, until: stop, after: 1s, count: 9, gap: 1s, channel: /c, data: 1", head=exchanges)
    )
    a = talk.client().connects()
    a.sends_messages({"channel": "/s", "data": 1})
    talk.at(2.5)
    a.sends_messages({"channel": "/s", "data": 2})
    talk.at(9.0)
    a.receives((1.0, "/c", 1), (2.0, "/c", 1))


def test_a_client_that_expires_has_not_disconnected(conversation: Talk) -> None:
    talk = conversation(timeline("since: disconnect, channel: /c, data: 1, deliver: all"))
    a, b, witness = talk.client("a").connects(), talk.client("b").connects(), talk.client("witness").connects()
    a.disconnects()
    talk.at(60.0)
    witness.receives()
    b.polls = False
    b.sends_messages({"channel": "/meta/disconnect"})
    witness.receives((60.0, "/c", 1))
    a.receives()


def test_an_entry_starts_with_the_subscription_to_any_channel(conversation: Talk) -> None:
    talk = conversation(timeline("since: subscribe, after: 1s, channel: /c, data: 1"))
    a = talk.client().connects("/a")
    talk.at(2.0)
    a.receives((1.0, "/c", 1))


# ---------------------------------------------------------------------- more of the reports
def test_an_entry_whose_role_was_never_assigned_is_reported_once_and_only_if_it_was_reached(conversation: Talk) -> None:
    entries = [f"as: a, since: {since}, channel: /{since}, data: 1" for since in ("connect", "subscribe")]
    talk = conversation(timeline(*entries, "since: connect, channel: /c, data: 1", head="roles: {a: {user: ann}}\n"))
    a, b = talk.client("a").connects(), talk.client("b").connects()
    stop(talk)
    a.receives((0.0, "/c", 1))
    b.receives((0.0, "/c", 1))
    assert given_up(talk) == [("timeline entry 1", 1, "/connect", "role never assigned")]
    talk.logs.clear()


def test_each_reason_of_each_cause_is_logged_once_until_a_reset(conversation: Talk) -> None:
    talk = conversation(
        timeline(
            *[f"as: {name}, since: handshake, channel: /c, data: 1" for name in "ab"],
            head="roles: {a: {user: ann}, b: {user: ben}}\n" + note("{channel: /c, data: 1}"),
        ),
        max_waiting=1,
    )
    for _ in range(2):
        for _ in range(3):
            talk.client().sends("POST", "/x")
            talk.clients[-1].sends("POST", "/x")
            talk.clients[-1].received.clear()
        talk.client().handshakes()
        stop(talk)
        assert [line.partition("given up: ")[2].partition(";")[0] for line in talk.logs] == [
            "queue full",
            "no connection in time",
            "role never assigned",
            "role never assigned",
        ]
        talk.logs.clear()
        talk.do(talk.backend.reset(talk.now))


def test_a_push_that_no_client_gets_is_reported(conversation: Talk) -> None:
    talk = conversation(note())
    a = talk.client().connects()
    a.sends_messages({"channel": "/meta/disconnect"})
    talk.do(Control(talk.backend).push("/c", 1, now=talk.now))
    assert given_up(talk) == [("a push", 1, "/c", "client gone")]
    talk.logged("warning: the event of a push on /c for session 1 is given up: client gone; ")
    a.receives()
