"""The request handler: repeats, guards, roles, responders, misses, faults, bad requests."""

from __future__ import annotations

import pytest

from cometreel.engine import Notification, ResponderRequest, Response
from cometreel.jsonvalue import JSON
from tests.unit.engine.conftest import Talk
from tests.unit.engine.conversation import Client


def replies_to(client: Client, method: str, path: str, times: int, body: JSON = None) -> list[JSON]:
    for _ in range(times):
        client.sends(method, path, body)
    heard, client.received = client.received, []
    return [body if what == 200 else what for _, what, body in heard]


def numbered(repeat: str = "") -> str:
    last = f", repeat: {repeat}" if repeat else ""
    return f"""
exchanges:
  - {{name: one, request: {{method: GET, path: /n}}, reply: {{body: 1}}}}
  - {{name: two, request: {{method: GET, path: /n}}, reply: {{body: 2}}{last}}}
"""


@pytest.mark.parametrize(
    ("on_exchange", "setting", "answers"),
    [
        ("", "last", ["1", "2", "2", "2", "2"]),
        ("", "cycle", ["1", "2", "1", "2", "1"]),
        ("", "fail", ["1", "2", 404, 404, 404]),
        ("cycle", "fail", ["1", "2", "1", "2", "1"]),
        ("last", "cycle", ["1", "2", "2", "2", "2"]),
        ("fail", "last", ["1", "2", 404, 404, 404]),
    ],
)
def test_equal_requests_are_answered_in_order_and_then_by_repeat(
    conversation: Talk, on_exchange: str, setting: str, answers: list[JSON]
) -> None:
    talk = conversation(numbered(on_exchange), repeat=setting)
    assert replies_to(talk.client(), "GET", "/n", 5) == answers
    talk.logs.clear()


def test_a_second_handshake_keeps_the_play_state(conversation: Talk) -> None:
    a = conversation(numbered()).client().handshakes()
    assert replies_to(a, "GET", "/n", 1) == ["1"]
    a.handshakes()
    assert replies_to(a, "GET", "/n", 1) == ["2"]


GUARDED = """
exchanges:
  - {name: empty, when: {before: [add]}, request: {method: GET, path: /n}, reply: {body: {n: 0}}}
  - {name: full, when: {after: [add]}, request: {method: GET, path: /n}, reply: {body: {n: 1}}}
  - {name: add, request: {method: POST, path: /n}, reply: {body: {}}}
"""


def test_an_exchange_is_not_played_before_its_guard_allows_it(conversation: Talk) -> None:
    a = conversation(GUARDED).client()
    assert replies_to(a, "GET", "/n", 3) == [{"n": 0}] * 3
    assert replies_to(a, "POST", "/n", 1) == [{}]
    assert replies_to(a, "GET", "/n", 3) == [{"n": 1}] * 3


ROLES = """
roles: {agent-1: {user: ann}, agent-2: {user: ben}}
exchanges:
  - {name: stats 1, as: agent-1, request: {method: POST, path: /s}, reply: {body: {n: 1}}}
  - {name: stats 2, as: agent-2, request: {method: POST, path: /s}, reply: {body: {n: 2}}}
  - {name: all, request: {method: GET, path: /all}, reply: {body: {}}}
  - {name: only 2, as: agent-2, request: {method: GET, path: /two}, reply: {body: {}}}
"""


def test_a_login_assigns_the_role_of_its_user_in_any_order(conversation: Talk) -> None:
    talk = conversation(ROLES)
    ben, ann = talk.client("b", user="ben"), talk.client("a", user="ann")
    assert replies_to(ben, "POST", "/s", 2) == [{"n": 2}] * 2
    assert replies_to(ann, "POST", "/s", 2) == [{"n": 1}] * 2


def test_sessions_without_a_role_get_the_next_free_one_then_round_robin(conversation: Talk) -> None:
    talk = conversation(ROLES)
    clients = [talk.client(str(number)) for number in range(4)]
    for client in reversed(clients):
        assert replies_to(client, "GET", "/all", 1) == [{}]
    assert [call.role for call in talk.backend.calls] == [None] * 4
    assert [replies_to(client, "POST", "/s", 1)[0] for client in clients] == [{"n": 1}, {"n": 2}, {"n": 1}, {"n": 2}]


def test_a_miss_names_the_role_that_the_exchange_is_for(conversation: Talk) -> None:
    talk = conversation(ROLES)
    ann = talk.client(user="ann")
    assert replies_to(ann, "GET", "/two", 1) == [404]
    talk.logged(
        "warning: no exchange answers GET /two; nearest: 'only 2' (test.yaml:11:5) matches, "
        "but it is for agent-2 and this session plays agent-1"
    )


def test_a_miss_lists_the_closest_exchanges_with_agreements_and_differences(conversation: Talk) -> None:
    talk = conversation(
        """
exchanges:
  - {name: a, request: {method: POST, path: /p, body: {op: Stats, owner: {name: Place1, n: 1}}}, reply: {body: 1}}
  - {name: b, request: {method: POST, path: /q, body: {op: Other}}, reply: {body: 1}}
"""
    )
    a = talk.client()
    a.sends("POST", "/p", {"op": "Stats", "owner": {"name": "Place2", "n": True}})
    message = (
        "o exchange answers POST /p; nearest: 'a' (test.yaml:7:5): body.owner.name is Place2, expected Place1; "
        "body.owner.n is true, expected 1; agreed: method, path, query, body.op"
    )
    differs: JSON = [
        {"where": "/body/owner/name", "expected": "Place1", "found": "Place2"},
        {"where": "/body/owner/n", "expected": "1", "found": "true"},
    ]
    agreed: JSON = ["/method", "/path", "/query", "/body/op"]
    a.receives(
        (
            0.0,
            404,
            {
                "statusCode": 6,
                "statusMessage": "N" + message,
                "nearest": [{"exchange": "a", "agreed": agreed, "differs": differs}],
            },
        )
    )
    talk.logged("warning: n" + message)


@pytest.mark.parametrize(
    ("method", "path", "text", "status", "said"),
    [
        ("GET", "/n", None, 404, "it is used up: played 1 times in this session, and `repeat: fail`"),
        ("DELETE", "/n", None, 405, "method is DELETE, expected GET"),
        ("GET", "/guarded", None, 404, "it comes after 'never', which was not played yet in this session"),
        ("POST", "/n/", b"{", 405, "method is POST, expected GET"),
        ("POST", "/json", b"{not json", 400, "its body isn't JSON, though its Content-Type says so"),
        ("POST", "/json", b'{"a": NaN}', 400, "its body isn't JSON"),
        ("POST", "/json", b'{"a": 1e999}', 400, "its body isn't JSON"),
        ("HEAD", "/guarded", None, 404, "it comes after 'never', which was not played yet in this session"),
        ("HEAD", "/never", None, 405, "method is HEAD, expected POST"),
        ("POST", "/json", b'{"a":1,"a":2}', 400, "its body isn't JSON"),
        ("POST", "/json", b"\xff\xfe", 400, "its body isn't JSON"),
        ("POST", "/json", b"[" * 100_000, 400, "its body isn't JSON"),
        ("BREW", "/%zz/%00/../x", b"", 404, "no exchange answers BREW"),
    ],
)
def test_unmatched_requests_get_an_error_that_names_the_cause(
    conversation: Talk, method: str, path: str, text: bytes | None, status: int, said: str
) -> None:
    talk = conversation(
        """
exchanges:
  - {name: n, request: {method: GET, path: /n}, reply: {body: 1}, repeat: fail}
  - {name: guarded, when: {after: [never]}, request: {method: GET, path: /guarded}, reply: {body: 1}}
  - {name: never, request: {method: POST, path: /never}, reply: {body: 1}}
  - {name: json, request: {method: POST, path: /json, body: {a: 1}}, reply: {body: 1}}
"""
    )
    a = talk.client()
    assert replies_to(a, "GET", "/n", 1) == ["1"]
    a.headers["Content-Type"] = "application/json"
    a.sends(method, path, text=text)
    (_, found, body) = a.received.pop()
    assert isinstance(body, dict)
    assert (found, body["statusCode"]) == (status, 2 if status == 400 else 6)
    assert said in talk.logs.pop()


def test_a_request_with_a_body_that_is_too_large_gets_413(conversation: Talk) -> None:
    a = conversation(numbered(), max_body=10).client()
    a.sends("GET", "/n", text=b"x" * 11)
    a.receives((0.0, 413, {"statusCode": 10, "statusMessage": "the body has 11 bytes; expected at most 10"}))


def test_a_template_that_fails_is_logged_and_answered_500(conversation: Talk) -> None:
    talk = conversation(
        """
exchanges:
  - {name: bad, request: {method: POST, path: /x, body: {n: {$capture: n}}}, reply: {body: {x: {$t: "{{ 1 / n }}"}}}}
"""
    )
    a = talk.client()
    a.sends("POST", "/x", {"n": 0})
    assert a.received.pop()[1] == 500
    talk.logged("error: 'bad' can't be played: ")
    assert replies_to(a, "POST", "/x", 1, {"n": 2}) == [{"x": 0.5}]


# ---------------------------------------------------------------------------------------------- responders
def test_a_responder_answers_before_the_exchanges_with_its_own_events(conversation: Talk) -> None:
    talk = conversation(numbered())

    def respond(request: ResponderRequest) -> Response | None:
        if request.path != "/n":
            return None
        count = request.session["count"] = int(str(request.session.get("count", 0))) + 1
        return Response({"count": count, "user": request.user}, status=202, events=[Notification("/c", count, 0.5)])

    talk.backend.register(respond)
    a = talk.client(user="ann").connects()
    a.sends("GET", "/n")
    talk.at(1.0)
    a.sends("GET", "/n")
    talk.at(2.0)
    a.receives(
        (0.0, 202, {"count": 1, "user": "ann"}), (0.5, "/c", 1), (1.0, 202, {"count": 2, "user": "ann"}), (1.5, "/c", 2)
    )


def test_a_responder_that_fails_is_logged_and_answered_500(conversation: Talk) -> None:
    talk = conversation(numbered())

    def broken(request: ResponderRequest) -> Response | None:
        raise LookupError(request.path)

    talk.backend.register(broken)
    a = talk.client()
    assert replies_to(a, "GET", "/n", 1) == [500]
    talk.logged("error: the responder broken failed: LookupError: /n")


# ---------------------------------------------------------------------------------------------- faults
FAULTY = """
exchanges:
  - name: x
    request: {method: POST, path: /x}
    reply: {after: 1s, body: {}}
    events:
      - {after: 2s, channel: /c, data: 1}
      - {after: 3s, channel: /d, data: 2}
"""


@pytest.mark.parametrize(
    ("fault", "heard"),
    [
        ("status: 503, body: {statusCode: 4}", [(0.0, 503, {"statusCode": 4})]),
        ("delay: 5s", [(2.0, "/c", 1), (3.0, "/d", 2), (6.0, 200, {})]),
        ("drop-event: 1", [(1.0, 200, {}), (3.0, "/d", 2)]),
        ("drop-event: true", [(1.0, 200, {})]),
        ("drop-event: /d", [(1.0, 200, {}), (2.0, "/c", 1)]),
        ("duplicate-event: 2", [(1.0, 200, {}), (2.0, "/c", 1), (3.0, "/d", 2), (3.0, "/d", 2)]),
        ("broken: true", [(1.0, "Drop", None), (2.0, "/c", 1), (3.0, "/d", 2)]),
        ("nth: 2, status: 503", [(1.0, 200, {}), (2.0, "/c", 1), (3.0, "/d", 2)]),
        ("rate: 0.0, status: 503", [(1.0, 200, {}), (2.0, "/c", 1), (3.0, "/d", 2)]),
        ("rate: 1.0, status: 503", [(0.0, 503, "")]),
    ],
)
def test_a_fault_on_an_exchange_performs_its_action(
    conversation: Talk, fault: str, heard: list[tuple[float, str, JSON]]
) -> None:
    talk = conversation(f"{FAULTY}faults: [{{exchange: x, {fault}}}]\n")
    a = talk.client().connects()
    a.sends("POST", "/x")
    talk.at(9.0)
    a.receives(*heard)


def test_a_disconnect_fault_ends_the_clients_with_the_reply(conversation: Talk) -> None:
    talk = conversation(f"{FAULTY}faults: [{{exchange: x, disconnect: true}}]\n")
    a = talk.client().connects()
    a.sends("POST", "/x")
    talk.at(1.5)
    a.receives((1.0, 200, {}))
    assert a.meta[-1]["advice"] == {"reconnect": "none"}


def test_faults_are_counted_per_session(conversation: Talk) -> None:
    talk = conversation(f"{FAULTY}faults: [{{exchange: x, every: 2, status: 500}}]\n", speed=0)
    a, b = talk.client("a"), talk.client("b")
    assert replies_to(a, "POST", "/x", 4) == [{}, 500, {}, 500]
    assert replies_to(b, "POST", "/x", 1) == [{}]


@pytest.mark.parametrize(
    ("fault", "reply"),
    [
        (
            "meta: /meta/subscribe, channel: /d, error: '403::no', ext: {why: 1}",
            {"successful": False, "error": "403::no", "subscription": "/d", "ext": {"why": 1}},
        ),
        ("meta: /meta/subscribe, channel: /e, error: '403::no'", {"successful": True, "subscription": "/d"}),
    ],
)
def test_a_fault_denies_a_subscription_to_its_channel(conversation: Talk, fault: str, reply: dict[str, JSON]) -> None:
    talk = conversation(f"{FAULTY}faults: [{{{fault}}}]\n")
    a = talk.client().handshakes()
    a.sends_messages({"channel": "/meta/subscribe", "subscription": "/d"})
    assert a.meta[-1] == {"channel": "/meta/subscribe", **reply}


def test_a_fault_makes_a_session_unknown_after_some_polls(conversation: Talk) -> None:
    talk = conversation(f"{FAULTY}faults: [{{meta: /meta/connect, nth: 3, error: '402::Unknown client'}}]\n")
    a = talk.client().connects()
    talk.at(31.0)
    assert a.meta[-1]["error"] == "402::Unknown client"
    assert a.meta[-1]["advice"] == {"reconnect": "handshake", "interval": 0}


def test_a_connect_fails_with_the_text_and_advice_of_the_scenario(conversation: Talk) -> None:
    advice = "{reconnect: none, hosts: [a]}"
    talk = conversation(f"{FAULTY}faults: [{{meta: /meta/connect, nth: 2, error: '500::gone', advice: {advice}}}]\n")
    a = talk.client().connects()
    assert a.meta[-1] == {
        "channel": "/meta/connect",
        "successful": False,
        "error": "500::gone",
        "advice": {"reconnect": "none", "hosts": ["a"]},
    }


def test_a_fault_delays_a_meta_reply_or_breaks_the_poll(conversation: Talk) -> None:
    faults = "[{meta: /meta/subscribe, delay: 2s}, {meta: /meta/connect, nth: 2, broken: true}]"
    talk = conversation(f"{FAULTY}faults: {faults}\n")
    a = talk.client().handshakes()
    a.sends_messages({"channel": "/meta/subscribe", "subscription": "/d"})
    assert a.meta[-1]["channel"] == "/meta/handshake"
    talk.at(2.0)
    assert a.meta[-1]["channel"] == "/meta/subscribe"
    a.polls = True
    a.poll()
    a.receives((2.0, "Drop", None))


def test_head_is_answered_from_the_get_without_playing_it(conversation: Talk) -> None:
    """HEAD gets the reply of the next GET, with its length, and changes nothing."""
    talk = conversation(
        """
exchanges:
  - name: first
    request: {method: GET, path: /list, query: {page: "1"}}
    reply: {after: 30ms, headers: {ETag: '"1"'}, body: {items: [1]}}
    events: [{channel: /news, data: 1}]
  - name: second
    request: {method: GET, path: /list, query: {page: "1"}}
    reply: {status: 410, text: gone}
"""
    )
    a = talk.client()
    for _ in range(2):
        a.sends("HEAD", "/list", query="page=1")
        talk.at(talk.now - talk.start + 0.03)
    a.receives((0.03, 200, {"items": [1]}), (0.06, 200, {"items": [1]}))  # the server sends only the head
    a.sends("GET", "/list", query="page=1")
    talk.at(0.09)
    a.receives((0.09, 200, {"items": [1]}))
    a.sends("HEAD", "/list", query="page=1")
    talk.at(0.09)
    a.receives((0.09, 410, "gone"))
    assert talk.backend.calls[0].exchange == "first"


@pytest.mark.parametrize(
    ("reply", "length"),
    [
        ("{headers: {Content-Length: '1234'}}", "1234"),
        ("{}", "15"),  # that of the body of the GET
        ("{status: 304}", None),
    ],
)
def test_the_length_of_a_recorded_head_is_kept_or_that_of_the_get(
    conversation: Talk, reply: str, length: str | None
) -> None:
    talk = conversation(
        f"""
exchanges:
  - {{name: head, request: {{method: HEAD, path: /list}}, reply: {reply}}}
  - {{name: get, request: {{method: GET, path: /list}}, reply: {{body: {{items: [1, 2]}}}}}}
"""
    )
    a = talk.client()
    a.sends("HEAD", "/list")
    a.received.clear()
    assert a.last is not None
    assert a.last.headers.get("content-length") == length
