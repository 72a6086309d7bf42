"""The request handler: repeats, guards, roles, responders, misses, faults, bad requests."""

from __future__ import annotations

import pytest

from cometreel.engine import Notification, ResponderRequest, Response
from cometreel.engine.responders import responder_request
from cometreel.errors import OptionInvalid
from cometreel.http_fields import head_length
from cometreel.jsonvalue import JSON
from cometreel.scenario import loads, normalize_request
from cometreel.wire import Headers, Request
from tests.unit.engine.conftest import Talk
from tests.unit.engine.conversation import Client, Conversation, Received, whole


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
""",
        repeat="fail",
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


def test_a_head_uses_the_values_of_its_request_and_keeps_none(conversation: Talk) -> None:
    talk = conversation("""
exchanges:
  - name: user
    request: {method: GET, path: [users, {$capture: session.who}, {$id: desk}]}
    reply: {body: {who: {$t: "{{ session.who }}"}, desk: {$id: desk}, referenceId: {$t: "{{ ref }}"}}}
""")
    a = talk.client()
    for method, path in (("HEAD", "/users/ann/d1"), ("HEAD", "/users/ben/d2"), ("GET", "/users/zoe/d3")):
        a.sends(method, path)
    users = (("ann", "d1", 1), ("ben", "d2", 1), ("zoe", "d3", 1))
    replies: list[Received] = [(0.0, 200, {"who": who, "desk": desk, "referenceId": ref}) for who, desk, ref in users]
    a.receives(*replies)


@pytest.mark.parametrize("own", ["", "  - {name: head, request: {method: HEAD, path: /n}, reply: {}}\n"])
@pytest.mark.parametrize(
    "body",
    [
        '{n: {$t: "{{ ref }}"}}',  # 10 from the second GET on, since 9 is recorded
        "{referenceId: 9}",
        '{n: {$t: "{{ uuid() }}"}, m: {$t: "{{ randint(1, 100000) }}"}}',
    ],
)
def test_the_length_of_a_head_is_that_of_the_next_get(conversation: Talk, body: str, own: str) -> None:
    talk = conversation(f"""
correlation: gws-v2
exchanges:
  - {{name: other, request: {{method: GET, path: /other}}, reply: {{body: {{referenceId: 9}}}}}}
  - {{name: get, request: {{method: GET, path: /n}}, reply: {{body: {body}}}}}
{own}""")
    a = talk.client()
    lengths = []
    for _ in range(3):
        for method in ("HEAD", "GET"):
            a.sends(method, "/n")
            assert a.last is not None
            lengths.append(head_length(a.last))
    a.received.clear()
    assert lengths[::2] == lengths[1::2]


@pytest.mark.parametrize("own", ["", "  - {name: head, request: {method: HEAD, path: /n}, reply: {}}\n"])
def test_a_head_has_no_length_if_its_get_hands_out_a_new_value(conversation: Talk, own: str) -> None:
    """RFC 9110, section 8.6: the length must be that of the GET, whose value does not exist yet."""
    talk = conversation(f"""
session: {{bind: [{{from: "$response.body#/sid", in: ["$request.header.X-Session"]}}]}}
exchanges:
  - {{name: get, request: {{method: GET, path: /n}}, reply: {{body: {{sid: recorded}}}}}}
{own}""")
    a = talk.client()
    a.sends("HEAD", "/n")
    a.receives((0.0, 200, ""))
    assert a.last is not None
    assert head_length(a.last) is None
    assert a.last.headers.get("content-type") == (None if own else "application/json;charset=UTF-8")


def test_a_head_whose_template_fails_gets_the_status_of_its_get(conversation: Talk) -> None:
    talk = conversation("""
exchanges:
  - {name: bad, request: {method: GET, path: /x}, reply: {text: {$t: "{{ 1 / 0 }}"}}}
  - {name: own, request: {method: HEAD, path: /y}, reply: {status: 200}}
  - {name: bad too, request: {method: GET, path: /y}, reply: {text: {$t: "{{ 1 / 0 }}"}}}
""")
    a = talk.client()
    assert [replies_to(a, method, "/x", 1)[0] for method in ("HEAD", "GET")] == [500, 500]
    talk.logged("error: 'bad' can't be played: ", "error: 'bad' can't be played: ")
    a.sends("HEAD", "/y")
    a.receives((0.0, 200, ""))


def test_a_head_requires_the_login_of_its_get(conversation: Talk) -> None:
    a = conversation(numbered(), auth="session").client()
    assert [replies_to(a, method, "/n", 1)[0] for method in ("HEAD", "GET")] == [403, 403]


# ---------------------------------------------------------------------------------------------- near misses
def nearest(talk: Conversation) -> list[str]:
    """Return the names of the exchanges that the last miss lists."""
    miss = talk.backend.calls[-1].miss
    assert miss is not None
    return [near.exchange.name for near in miss.nearest]


def misses(conversation: Talk, scenario: str, method: str, path: str, body: JSON = None) -> Conversation:
    """Send a request that no exchange answers."""
    talk = conversation(scenario)
    a = talk.client()
    a.sends(method, path, body)
    talk.logs.clear()
    a.received.clear()
    return talk


def test_the_three_exchanges_with_the_fewest_differences_are_listed_closest_first(conversation: Talk) -> None:
    bodies = ["{a: 9, b: 9, c: 9, d: 9}", "{a: 1, b: 9, c: 9, d: 9}", "{a: 1, b: 1, c: 1, d: 9}", "{a: 1, b: 1}"]
    scenario = "exchanges:\n" + "".join(
        f"  - {{name: {name}, request: {{method: POST, path: /p, body: {body}}}}}\n"
        for name, body in zip("wxyz", bodies, strict=True)
    )
    talk = misses(conversation, scenario, "POST", "/p", {"a": 1, "b": 1, "c": 1, "d": 1})
    assert nearest(talk) == ["y", "z", "x"]


def test_of_equally_close_exchanges_the_one_that_agrees_in_more_comes_first(conversation: Talk) -> None:
    talk = misses(
        conversation,
        """
exchanges:
  - {name: less, request: {method: POST, path: /p, body: {$partial: {n: 2}}}}
  - {name: more, request: {method: POST, path: /p, body: {$partial: {n: 2, a: 1, b: 1}}}}
""",
        "POST",
        "/p",
        {"n": 1, "a": 1, "b": 1},
    )
    assert nearest(talk) == ["more", "less"]


def test_an_exchange_with_a_similar_path_is_closer_than_one_with_another_path(conversation: Talk) -> None:
    paths = ["/zzz/qqq", "/api/v2/workbin", "/xxx/yyy"]
    scenario = "exchanges:\n" + "".join(f"  - {{name: {p}, request: {{method: GET, path: {p}}}}}\n" for p in paths)
    assert nearest(misses(conversation, scenario, "GET", "/api/v2/workbins"))[0] == "/api/v2/workbin"


@pytest.mark.parametrize(("number", "more"), [(10, False), (11, True)])
def test_ten_differences_of_an_exchange_are_listed(conversation: Talk, number: int, more: bool) -> None:
    body = ", ".join(f"m{n}: 1" for n in range(number))
    talk = conversation(f"exchanges:\n  - {{name: x, request: {{method: POST, path: /p, body: {{{body}}}}}}}\n")
    a = talk.client()
    a.sends("POST", "/p", {f"m{n}": 2 for n in range(number)})
    (_, _, reply) = a.received.pop()
    assert isinstance(reply, dict)
    assert isinstance(reply["nearest"], list)
    (near,) = reply["nearest"]
    assert isinstance(near, dict)
    assert isinstance(near["differs"], list)
    (log,) = talk.logs
    talk.logs.clear()
    assert (len(near["differs"]), log.count("is 2, expected 1"), "and more" in log) == (10, 10, more)


def test_a_near_miss_that_matches_has_the_reason_in_its_json(conversation: Talk) -> None:
    talk = conversation(numbered("fail"))
    a = talk.client()
    assert replies_to(a, "GET", "/n", 2) == ["1", "2"]
    a.sends("GET", "/n")
    (_, _, reply) = a.received.pop()
    assert isinstance(reply, dict)
    why = "it is used up: played 1 times in this session, and `repeat: fail`"
    assert reply["nearest"] == [{"exchange": "one", "agreed": [], "differs": [], "but": why}]
    talk.logs.clear()


def test_a_used_up_group_is_reported_with_the_plays_of_its_last_exchange(conversation: Talk) -> None:
    talk = conversation(numbered("last"))
    a = talk.client()
    assert replies_to(a, "GET", "/n", 4) == ["1", "2", "2", "2"]
    talk.do(talk.backend.replace(loads(whole(numbered("fail")), "test.yaml"), talk.now))
    assert replies_to(a, "GET", "/n", 1) == [404]
    used_up = "it is used up: played 3 times in this session"
    talk.logged(f"warning: no exchange answers GET /n; nearest: 'one' (test.yaml:7:5) matches, but {used_up}")


def test_a_method_that_another_exchange_of_the_path_has_is_no_wrong_method(conversation: Talk) -> None:
    talk = conversation("""
exchanges:
  - {name: get, request: {method: GET, path: /p}}
  - {name: post, request: {method: POST, path: /p, body: {a: 1}}}
""")
    a = talk.client()
    assert replies_to(a, "POST", "/p", 1, {"a": 2}) == [404]
    assert replies_to(a, "PUT", "/p", 1, {"a": 2}) == [405]
    assert a.last is not None
    assert a.last.headers.get("allow") == "GET, POST"
    talk.logs.clear()


# ---------------------------------------------------------------------------------------------- roles, refusals
def test_a_session_keeps_its_role_if_a_request_has_the_value_of_another_role(conversation: Talk) -> None:
    any_body = "  - {name: any, request: {method: POST, path: /any, body: {$any: anything}}, reply: {text: ok}}\n"
    talk = conversation(f"{ROLES}{any_body}  - {{name: say, request: {{publish: /say, data: {{$any: anything}}}}}}\n")
    a = talk.client(user="ann").connects()
    assert replies_to(a, "POST", "/any", 1, {"about": "ben"}) == ["ok"]
    a.sends_messages({"channel": "/say", "data": {"about": "ben"}})
    assert replies_to(a, "POST", "/s", 1) == [{"n": 1}]


def test_the_values_of_one_form_assign_no_role_to_the_sender_of_another(conversation: Talk) -> None:
    talk = conversation(ROLES)
    roles = []
    for kind, user in (("text/plain", "ann"), (FORM, "ann"), (FORM, "ben")):
        client = talk.client(user)
        client.headers["Content-Type"] = kind
        client.sends("POST", "/sign-in", text=f"user={user}".encode())
        client.received.clear()
        roles.append(talk.backend.calls[-1].role)
    talk.logs.clear()
    assert roles == [None, "agent-1", "agent-2"]


FORM = "application/x-www-form-urlencoded"


def test_a_session_without_a_role_does_not_get_the_answer_of_one_with_a_role(conversation: Talk) -> None:
    """Both send equal requests, whose candidates are remembered."""
    talk = conversation(ROLES)
    ben, first, second = talk.client("b", user="ben"), talk.client("1"), talk.client("2")
    for _ in range(2):
        assert replies_to(ben, "POST", "/s", 2) == [{"n": 2}] * 2
    assert replies_to(first, "POST", "/s", 2) == [{"n": 1}] * 2
    assert replies_to(second, "GET", "/two", 1) == [{}]
    assert replies_to(first, "GET", "/two", 1) == [404]
    assert replies_to(ben, "GET", "/two", 1) == [{}]
    talk.logs.clear()


def test_two_roles_of_one_user_are_assigned_as_the_first_one(conversation: Talk) -> None:
    talk = conversation(ROLES.replace("user: ben", "user: ann"))
    assert replies_to(talk.client(user="ann"), "POST", "/s", 1) == [{"n": 1}]


def test_a_role_that_a_login_replaces_is_free_again(conversation: Talk) -> None:
    talk = conversation(ROLES)
    a = talk.client("a")
    assert replies_to(a, "POST", "/s", 1) == [{"n": 1}]
    a.user = "ben"
    assert replies_to(a, "POST", "/s", 1) == [{"n": 2}]
    assert replies_to(talk.client("b"), "POST", "/s", 1) == [{"n": 1}]


def test_the_round_of_one_group_does_not_start_another_one_again(conversation: Talk) -> None:
    scenario = numbered("cycle") + numbered().partition("exchanges:\n")[2].replace("/n", "/m").replace(
        "name: ", "name: m"
    )
    a = conversation(scenario).client()
    assert replies_to(a, "GET", "/m", 1) == ["1"]
    assert replies_to(a, "GET", "/n", 3) == ["1", "2", "1"]
    assert replies_to(a, "GET", "/m", 1) == ["2"]


def test_a_responder_is_not_asked_before_the_login(conversation: Talk) -> None:
    talk = conversation(numbered(), auth="session")
    talk.backend.register(lambda _: Response({"secret": 1}))
    assert replies_to(talk.client("a"), "GET", "/n", 1) == [403]
    assert replies_to(talk.client("b", user="ann"), "GET", "/n", 1) == [{"secret": 1}]


def test_a_responder_can_change_what_it_gets_without_effect_on_other_sessions(conversation: Talk) -> None:
    talk = conversation("""
exchanges:
  - name: keep
    request: {method: POST, path: /keep, body: {list: {$capture: session.list}}}
    reply: {body: {$t: "{{ session.list }}"}}
""")
    seen: list[JSON] = []

    def respond(request: ResponderRequest) -> Response | None:
        assert isinstance(request.body, dict)
        kept = request.session.get("list")
        seen.append([kept and [*kept] if isinstance(kept, list) else kept, request.headers.get("x-field")])
        for value in (kept, request.body["list"]):
            if isinstance(value, list):
                value.append("changed")
        return None

    talk.backend.register(respond)
    a, b = talk.client("a"), talk.client("b")
    for client in (a, a, b, b):
        client.sends("POST", "/keep", {"list": [1]})
        client.receives((0.0, 200, [1]))
    assert seen == [[None, None], [[1], None]] * 2


def test_the_first_value_of_a_repeated_field_is_that_of_a_responder() -> None:
    request = Request(1, "GET", "/x", "", Headers([("X-Field", "one"), ("x-field", "two")]))
    seen = responder_request(normalize_request(request), None, None, {})
    assert seen.headers == {"x-field": "one"}


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"a": 1}, "return value: a mapping; expected a Response or None"),
        (Response, "return value: "),
    ],
)
def test_a_responder_that_returns_something_else_is_reported(conversation: Talk, answer: object, text: str) -> None:
    talk = conversation(numbered())

    def wrong(_: ResponderRequest) -> Response | None:
        return answer  # type: ignore[return-value]  # wrong on purpose

    talk.backend.register(wrong)
    assert replies_to(talk.client(), "GET", "/n", 1) == [500]
    talk.logged(f"error: the responder wrong failed: OptionInvalid: {text}")


def test_an_async_responder_is_refused(conversation: Talk) -> None:
    async def respond(_: ResponderRequest) -> Response | None:
        return None

    with pytest.raises(OptionInvalid, match="respond is an async function; expected a function without async"):
        conversation(numbered()).backend.register(respond)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("after", [float("inf"), float("nan"), -1, True, "1s"])
def test_a_delay_that_is_no_number_of_seconds_is_refused(after: float) -> None:
    with pytest.raises(OptionInvalid, match="expected a number of seconds, 0 or more"):
        Notification("/c", 1, after_seconds=after)


# ---------------------------------------------------------------------------------------------- faults together
@pytest.mark.parametrize(
    ("faults", "heard"),
    [
        (["delay: 2s", "delay: 3s"], [(2.0, "/c", 1), (3.0, "/d", 2), (6.0, 200, {})]),
        (["drop-event: 1", "duplicate-event: true"], [(1.0, 200, {}), (3.0, "/d", 2), (3.0, "/d", 2)]),
        (["duplicate-event: true", "drop-event: 1"], [(1.0, 200, {}), (3.0, "/d", 2), (3.0, "/d", 2)]),
        (
            ["duplicate-event: 2", "duplicate-event: 2"],
            [(1.0, 200, {}), (2.0, "/c", 1), *[(3.0, "/d", 2)] * 4],
        ),
    ],
)
def test_several_faults_of_one_request_add_up(
    conversation: Talk, faults: list[str], heard: list[tuple[float, str, JSON]]
) -> None:
    talk = conversation(FAULTY + "faults:\n" + "".join(f"  - {{exchange: x, {fault}}}\n" for fault in faults))
    a = talk.client().connects()
    a.sends("POST", "/x")
    talk.at(9.0)
    a.receives(*heard)


def test_a_disconnect_fault_comes_with_the_delayed_reply_and_before_its_events(conversation: Talk) -> None:
    faulty = FAULTY.replace("after: 2s", "after: 1s").replace("after: 3s", "after: 500ms")
    talk = conversation(f"{faulty}faults: [{{exchange: x, disconnect: true}}]\n")
    a = talk.client().connects()
    a.sends("POST", "/x")
    talk.at(4.0)
    a.receives((0.5, "/d", 2), (1.0, 200, {}))
    assert a.meta[-1]["advice"] == {"reconnect": "none"}
    talk.logged("warning: test.yaml:7:5: event 1 of 'x' on /c for session 1 is given up: client gone;")


def test_a_broken_connection_has_no_status_in_the_journal(conversation: Talk) -> None:
    talk = conversation(f"{FAULTY}faults: [{{exchange: x, broken: true}}]\n", speed=0)
    a = talk.client()
    a.sends("POST", "/x")
    a.receives((0.0, "Drop", None))
    assert [(call.outcome, call.status) for call in talk.backend.calls] == [("played", None)]


def test_a_fault_for_a_role_has_no_effect_on_others(conversation: Talk) -> None:
    roles = "roles: {agent-1: {user: ann}, agent-2: {user: ben}}\n"
    talk = conversation(f"{roles}{FAULTY}faults: [{{exchange: x, as: agent-1, status: 503}}]\n", speed=0)
    answers = [replies_to(talk.client(str(user), user=user), "POST", "/x", 1)[0] for user in ("ann", "ben", None)]
    assert answers == [503, {}, {}]


def test_a_fault_on_the_nth_subscription_to_a_channel_does_not_count_other_channels(conversation: Talk) -> None:
    talk = conversation("exchanges: []\nfaults: [{meta: /meta/subscribe, channel: /d, nth: 2, error: '403::no'}]\n")
    a = talk.client().handshakes()
    subscriptions: list[JSON] = ["/c", "/d", "/e", ["/e", "/d"], "/d"]
    for subscription in subscriptions:
        a.sends_messages({"channel": "/meta/subscribe", "subscription": subscription})
    assert [message["successful"] for message in a.meta[1:]] == [True, True, True, False, True]


def test_a_rate_hits_other_requests_of_each_user_and_some_of_each(conversation: Talk) -> None:
    talk = conversation(f"{FAULTY}faults: [{{exchange: x, rate: 0.5, status: 503}}]\n", speed=0)
    ann, ben = (replies_to(talk.client(user, user=user), "POST", "/x", 40) for user in ("ann", "ben"))
    assert ann != ben
    assert all(10 < answers.count(503) < 30 for answers in (ann, ben))
    again = conversation(f"{FAULTY}faults: [{{exchange: x, rate: 0.5, status: 503}}]\n", speed=0)
    assert replies_to(again.client("ben", user="ben"), "POST", "/x", 40) == ben, "in each run the same"


def test_a_content_type_in_lower_case_is_the_only_one(conversation: Talk) -> None:
    text = "{name: x, request: {method: GET, path: /x}, reply: {headers: {content-type: text/x}, body: TEXT}}"
    for body in ("1", "{$t: x}"):
        a = conversation(f"exchanges:\n  - {text.replace('TEXT', body)}\n").client()
        a.sends("GET", "/x")
        a.received.clear()
        assert a.last is not None
        assert a.last.headers.get_all("content-type") == ["text/x"]


def test_a_body_of_exactly_the_maximum_size_is_accepted(conversation: Talk) -> None:
    a = conversation(numbered(), max_body=10).client()
    a.sends("GET", "/n", text=b"x" * 10)
    a.received.clear()
    assert a.last is not None
    assert a.last.status != 413
    a.talk.logs.clear()
