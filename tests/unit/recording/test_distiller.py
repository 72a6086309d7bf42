"""Distilling: the exchanges of a scenario, and the summary of what is left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario import dump, loads

ME, BIN = "/api/v2/me", "861640a2-0000-4000-8000-000000000001"
REFUSED: JSON = {"statusCode": 20, "statusMessage": "Access denied"}


def names(distilled: Any) -> list[str]:
    return [exchange.name for exchange in distilled.file.exchanges or []]


def exchange(distilled: Any, name: str) -> Any:
    return next(one for one in distilled.file.exchanges if one.name == name)


def test_a_refused_request_and_its_repetition_after_the_login_are_two_exchanges(wire: Any) -> None:
    wire.call(0, "GET", ME, None, REFUSED, status=403)
    wire.login(1, "s1", "c1", "kate.smith")
    distilled = wire.distil()
    assert names(distilled) == ["me, refused", "me"]
    assert [one.request.authenticated for one in distilled.file.exchanges] == [False, True]


def test_a_read_that_changed_after_a_write_is_guarded_on_both_sides(wire: Any) -> None:
    for at, count in ((1, 0), (2, 0), (4, 1), (5, 1), (7, 2)):
        wire.call(at, "GET", "/api/v2/workbins?fields=*", None, {"count": count}, session="s1")
    for at, item in ((3, "A"), (6, "B")):
        body: JSON = {"operationName": "AddWorkitem", "id": item}
        wire.call(at, "POST", f"/api/v2/workbins/{BIN}", body, {"statusCode": 0}, session="s1")
    distilled = wire.distil()
    whens = {one.name: one.when and (one.when.after, one.when.before) for one in distilled.file.exchanges}
    assert whens == {
        "workbins": (None, "add workitem workbin 1"),
        "add workitem workbin 1": None,
        "workbins (2)": ("add workitem workbin 1", "add workitem workbin 1 (2)"),
        "add workitem workbin 1 (2)": None,
        "workbins (3)": ("add workitem workbin 1 (2)", None),
    }


def test_a_read_that_changed_without_a_write_becomes_a_sequence(wire: Any) -> None:
    for at, count in ((1, 0), (2, 0), (3, 1)):
        wire.call(at, "GET", "/api/v2/workbins", None, {"count": count}, session="s1")
    distilled = wire.distil()
    assert [(one.name, one.when) for one in distilled.file.exchanges] == [("workbins", None), ("workbins (2)", None)]
    assert distilled.summary.left_out == [
        "the repeated answer 'workbins': nothing shows why it changed then, so a replay changes it at once"
    ]


def test_all_answers_between_two_writes_have_the_same_guards(wire: Any) -> None:
    for at, count in ((1, 0), (2, 1), (4, 2), (5, 1), (6, 0)):
        sees(wire, at, count)
    changes(wire, 3, "A")
    assert guards(wire.distil()) == {
        "workbins": (None, "add workitem workbin 1"),
        "workbins (2)": (None, "add workitem workbin 1"),
        "workbins (3)": ("add workitem workbin 1", None),
        "workbins (4)": ("add workitem workbin 1", None),
        "workbins (5)": ("add workitem workbin 1", None),
    }


def test_equal_requests_with_equal_answers_are_written_once(wire: Any) -> None:
    for at in range(5):
        body: JSON = {"operationName": "RequestAgentStats"}
        wire.call(at, "POST", "/api/v2/workbins", body, {"statusCode": 0, "referenceId": 60 + at}, session="s1")
        wire.call(at + 0.5, "GET", "/api/v2/services/", None, {"services": []}, session=f"s{at}")
    assert names(wire.distil()) == ["stats of my workbins", "services"]


def test_equal_writes_are_merged_only_after_the_last_different_answer(wire: Any) -> None:
    for at, status in ((1, 500), (2, 500), (3, 200), (4, 200)):
        wire.call(at, "POST", ME, {"operationName": "Ready"}, {"statusCode": 0}, status=status, session="s1")
    distilled = wire.distil()
    assert [one.reply.status for one in distilled.file.exchanges] == [500, 500, 200]
    assert names(distilled) == ["ready, failed", "ready, failed (2)", "ready"]


def test_a_role_is_written_only_if_the_answer_depends_on_the_session(wire: Any) -> None:
    for number in (1, 2):
        wire.login(number / 10, f"s{number}", f"c{number}", f"agent.{number}")
        wire.call(1, "GET", "/api/v2/services", None, {"services": []}, session=f"s{number}")
        wire.call(2, "GET", "/api/v2/me/channels", None, {"channels": number}, session=f"s{number}")
    distilled = wire.distil()
    assert [(one.name, one.as_) for one in distilled.file.exchanges] == [
        ("me", None),
        ("services", None),
        ("my channels", "agent-1"),
        ("my channels (2)", "agent-2"),
    ]
    assert list(distilled.file.roles) == ["agent-1", "agent-2"]


def test_a_session_with_fewer_requests_shares_the_exchanges(wire: Any) -> None:
    for session, counts in (("s1", [1]), ("s2", [1, 2]), ("s3", [1, 2, 3])):
        for count in counts:
            wire.call(count, "GET", "/api/v2/x", None, {"count": count}, session=session)
    assert [one.as_ for one in wire.distil().file.exchanges] == [None, None, None]


def test_an_exchange_for_two_of_three_sessions_names_both_roles(wire: Any) -> None:
    for session, count in (("s1", 1), ("s2", 2), ("s3", 1)):
        wire.call(1, "GET", "/api/v2/me/channels", None, {"channels": count}, session=session)
    found = [(one.as_, one.reply.body) for one in wire.distil().file.exchanges]
    assert found == [(["agent-1", "agent-3"], {"channels": 1}), ("agent-2", {"channels": 2})]


def test_the_answer_without_identity_comes_after_those_of_roles(wire: Any) -> None:
    """An exchange without `as` answers every session, so it would hide the others."""
    for at, session, count in ((1, "", 0), (2, "s1", 1), (3, "s2", 2), (4, "", 0)):
        wire.call(at, "GET", "/api/v2/me/channels", None, {"channels": count}, session=session)
    found = [(one.as_, one.reply.body["channels"]) for one in wire.distil().file.exchanges]
    assert found == [("agent-1", 1), ("agent-2", 2), (None, 0)]


def test_the_answers_of_a_group_are_those_of_the_session_with_the_most(wire: Any) -> None:
    for at, session, count in ((1, "s1", 1), (2, "s2", 1), (3, "s2", 2)):
        wire.call(at, "GET", "/api/v2/x", None, {"count": count}, session=session)
    assert [one.reply.body["count"] for one in wire.distil().file.exchanges] == [1, 2]


def changes(wire: Any, at: float, item: str, session: str = "s1") -> None:
    """Change a workbin."""
    body: JSON = {"operationName": "AddWorkitem", "id": item}
    wire.call(at, "POST", f"/api/v2/workbins/{BIN}", body, {"statusCode": 0}, session=session)


def sees(wire: Any, at: float, count: int, session: str = "s1") -> None:
    """Read the number of items."""
    wire.call(at, "GET", "/api/v2/workbins?fields=*", None, {"count": count}, session=session)


def guards(distilled: Any) -> dict[str, Any]:
    """Return `after` and `before` of the reads."""
    exchanges = [one for one in distilled.file.exchanges if one.request.method == "GET"]
    return {one.name: one.when and (one.when.after, one.when.before) for one in exchanges}


def test_the_last_write_between_two_answers_guards_them(wire: Any) -> None:
    sees(wire, 1, 0)
    changes(wire, 2, "A")
    changes(wire, 3, "B")
    sees(wire, 4, 2)
    assert guards(wire.distil()) == {
        "workbins": (None, "add workitem workbin 1 (2)"),
        "workbins (2)": ("add workitem workbin 1 (2)", None),
    }


def test_a_write_that_was_made_before_both_answers_guards_neither(wire: Any) -> None:
    changes(wire, 1, "A")
    sees(wire, 2, 1)
    changes(wire, 3, "A")
    sees(wire, 4, 2)
    assert guards(wire.distil()) == {"workbins": None, "workbins (2)": None}


def test_a_write_that_not_all_sessions_made_between_two_answers_guards_neither(wire: Any) -> None:
    for session in ("s1", "s2"):
        sees(wire, 1, 0, session)
        sees(wire, 3, 1, session)
    changes(wire, 2, "A", "s2")
    assert guards(wire.distil()) == {"workbins": None, "workbins (2)": None}


def test_a_write_that_another_session_made_before_the_first_answer_guards_neither(wire: Any) -> None:
    sees(wire, 1, 0, "s1")
    changes(wire, 2, "A", "s1")
    sees(wire, 3, 1, "s1")
    changes(wire, 4, "A", "s2")
    sees(wire, 5, 0, "s2")
    assert guards(wire.distil()) == {"workbins": None, "workbins (2)": None}


def test_each_role_is_guarded_by_its_own_write(wire: Any) -> None:
    """Two agents make the same change; the answers are equal, but one agent made another change before."""
    wire.call(0, "POST", "/api/v2/me/state", {}, {"accepted": 0}, session="s1")
    for number, session in enumerate(("s1", "s2")):
        wire.call(1, "GET", "/api/v2/me/state", None, {"state": number}, session=session)
        wire.call(2, "POST", "/api/v2/me/state", {}, {"accepted": 1}, session=session)
        wire.call(3, "GET", "/api/v2/me/state", None, {"state": 5 + number}, session=session)
    distilled = wire.distil()
    roles = {one.name: one.as_ for one in distilled.file.exchanges if one.request.method == "POST"}
    assert roles == {"post my state": "agent-1", "post my state (2)": "agent-2", "post my state (3)": "agent-1"}
    assert guards(distilled) == {
        "my state": (None, "post my state (3)"),
        "my state (2)": (None, "post my state (2)"),
        "my state (3)": ("post my state (3)", None),
        "my state (4)": ("post my state (2)", None),
    }


def test_personal_data_in_a_request_matches_anything(wire: Any) -> None:
    body: JSON = {"operationName": "AddEmail", "userData": {"a": "b"}, "nickname": "kate", "dnis": 123456, "id": "x"}
    wire.call(1, "POST", f"/api/v2/workbins/{BIN}?emailAddress=a@b.de&agentGroup=G&code=xyz123", body, {}, session="s1")
    request = wire.distil().file.exchanges[0].request
    anything: JSON = {"$any": "string"}
    assert request.body == {
        "operationName": "AddEmail",
        "userData": {"$any": "object"},
        "nickname": anything,
        "dnis": {"$any": "number"},
        "id": "x",
    }
    assert request.query == {"emailAddress": anything, "agentGroup": "G", "code": anything}


def test_strict_names_the_identifiers_that_clients_send(wire_of: Callable[..., Any]) -> None:
    wire = wire_of("strict")
    other = BIN.replace("1", "2")
    wire.login(0, "s1", "c1")
    wire.call(
        1, "GET", f"/api/v2/workbins?workbinIds={BIN},{other}", None, {"workbins": {BIN: {"id": BIN}}}, session="s1"
    )
    wire.call(2, "POST", f"/api/v2/workbins/{BIN}", {"operationName": "RequestStats"}, {"referenceId": 1}, session="s1")
    wire.poll(2, 3, "c1", {"channel": "/v2/me/workbins", "data": {"referenceId": 1, "id": BIN}}, session="s1")
    distilled = wire.distil()
    found = exchange(distilled, "workbins 1, 2")
    assert found.request.query == {"workbinIds": {"$csv": [{"$id": "workbin-1"}, {"$id": "workbin-2"}]}}
    assert found.reply.body == {"workbins": {"$entries": [[{"$id": "workbin-1"}, {"id": {"$id": "workbin-1"}}]]}}
    stats = exchange(distilled, "stats of workbin 1")
    assert stats.request.path == ["api", "v2", "workbins", {"$id": "workbin-1"}]
    assert stats.events[0].data == {"referenceId": 1, "id": {"$id": "workbin-1"}}
    assert loads(dump(distilled.file)).exchanges[1].name == "stats of workbin 1"


def test_strict_gives_an_identifier_one_name_in_all_urls(wire_of: Callable[..., Any]) -> None:
    wire = wire_of("strict")
    other = BIN.replace("1", "2")
    wire.login(0, "s1", "c1")
    wire.call(1, "POST", f"{ME}/workbins?workbinIds={BIN},{other}", {"operationName": "Subscribe"}, {}, session="s1")
    wire.call(2, "POST", f"/api/v2/workbins/{other}", {"operationName": "Subscribe"}, {}, session="s1")
    body: JSON = {"operationName": "RequestAgentStats", "workbinOwner": "Big Sales"}
    wire.call(3, "GET", "/api/v2/places/Big%20Sales?place=Big%20Sales,Small+Sales", None, {}, session="s1")
    wire.call(4, "POST", "/api/v2/workbins", body, {}, session="s1")
    many, one, place, stats = (exchange.request for exchange in wire.distil().file.exchanges)
    assert many.query == {"workbinIds": {"$csv": [{"$id": "workbin-1"}, {"$id": "workbin-2"}]}}
    assert one.path == ["api", "v2", "workbins", {"$id": "workbin-2"}]
    assert place.path == ["api", "v2", "places", {"$id": "place-1"}]
    assert place.query == {"place": {"$csv": [{"$id": "place-1"}, {"$id": "place-2"}]}}
    assert stats.body["workbinOwner"] == {"$id": "place-1"}


def test_strict_uses_templates_for_identifiers_in_addresses(wire_of: Callable[..., Any]) -> None:
    wire = wire_of("strict")
    address: JSON = {"uri": f"http://gws.corp:8080/api/v2/workbins/{BIN}", "next": f"/w/{BIN}?fields=*", "in": "{a}/b"}
    wire.call(1, "GET", f"/api/v2/workbins/{BIN}", None, address, session="s1")
    body = wire.distil().file.exchanges[0].reply.body
    host = body["uri"]["$t"].split("/")[2]
    assert body == {
        "uri": {"$t": f"http://{host}/api/v2/workbins/{{{{ ids['workbin-1'] }}}}"},
        "next": body["next"],
        "in": "{a}/b",
    }
    assert BIN not in str(body)


def test_generalise_replaces_the_id_and_name_of_the_user_by_templates(wire: Any) -> None:
    for number in (1, 2):
        user: JSON = {"id": f"{number}" * 32, "userName": f"agent.{number}"}
        wire.call(number, "GET", ME, None, {"user": user}, session=f"s{number}")
        path = f"/api/v2/users/{number * 11111111111111111111111111111111}/devices"
        wire.call(number + 5, "GET", path, None, {"Owner": f"{number}" * 32}, session=f"s{number}")
    plain, general = wire.distil(), wire.distil(generalise=True)
    assert len(plain.file.exchanges) == 4
    assert [one.reply.body for one in general.file.exchanges] == [
        {"user": {"id": {"$t": "{{ user.id }}"}, "userName": {"$t": "{{ user.name }}"}}},
        {"Owner": {"$t": "{{ user.id }}"}},
    ]
    assert general.file.exchanges[1].request.path == ["api", "v2", "users", {"$any": "string"}, "devices"]


def test_a_value_that_looks_like_a_marker_is_escaped(wire: Any) -> None:
    wire.call(1, "POST", "/api/v2/x", {"$any": "string", "a": [{"$t": "{{ 1 }}"}]}, {"$id": 1})
    one = wire.distil().file.exchanges[0]
    assert (one.request.body, one.reply.body) == ({"$$any": "string", "a": [{"$$t": "{{ 1 }}"}]}, {"$$id": 1})


def test_the_bayeux_section_is_taken_from_the_replies_of_the_server(wire: Any) -> None:
    handshake: JSON = [{"channel": "/meta/handshake", "id": "1", "ext": {"ack": True}}]
    browser = [("Cookie", "BAYEUX_BROWSER=b1")]
    flow = wire.request(0, "POST", "/genesys/cometd/handshake", handshake, wanted=False, headers=browser)
    wire.reply(0.1, flow, [{"channel": "/meta/handshake", "id": "1", "successful": True, "clientId": "c1",
                             "supportedConnectionTypes": ["websocket", "long-polling"], "ext": {"ack": True},
                             "advice": {"timeout": 60000, "interval": 5, "reconnect": "retry"}}])  # fmt: skip
    block = wire.distil().file.bayeux
    assert block.model_dump(exclude_none=True) == {
        "endpoint": "/genesys/cometd",
        "advice": {"timeout": 60000, "interval": 5},
        "ack": True,
        "transports": ["long-polling", "websocket"],
    }


def test_an_unsolicited_notification_follows_the_last_exchange_before_it(wire: Any) -> None:
    item: JSON = {"channel": "/v2/me/workbins", "data": {"action": "ItemAdded"}}
    wire.login(0, "s1", "c1")
    wire.poll(0.1, 1, "c1", item, session="s1")
    wire.call(2, "GET", "/api/v2/a", None, {"a": 1}, session="s1")
    wire.call(3, "GET", "/api/v2/b", None, {"b": 1}, session="s1")
    wire.poll(3, 8, "c1", item, session="s1")
    timeline = wire.distil().file.timeline
    assert [(entry.since, entry.after) for entry in timeline] == [("connect", "900ms"), ("b", "5s")]


def test_a_timeline_entry_names_its_roles_unless_all_sessions_got_it(wire: Any) -> None:
    for number in (1, 2):
        wire.login(number / 10, f"s{number}", f"c{number}", f"agent.{number}")
        both: JSON = {"channel": "/notifications/services", "data": {"up": True}}
        own: JSON = {"channel": "/v2/me/workbins", "data": {"moved": number}}
        wire.poll(1, 2, f"c{number}", both, own, session=f"s{number}")
    timeline = wire.distil().file.timeline
    assert [(entry.as_, entry.channel) for entry in timeline] == [
        (None, "/notifications/services"),
        ("agent-1", "/v2/me/workbins"),
        ("agent-2", "/v2/me/workbins"),
    ]


def test_everything_left_out_is_listed_with_its_reason(wire: Any) -> None:
    wire.request(1, "GET", "/api/v2/slow")
    wire.bayeux(1, [{"channel": "/meta/connect", "id": "1", "clientId": "c"}])
    wire.call(2, "GET", "/logo", None, b"\x89PNG....", reply_headers=[("Content-Type", "image/png")])
    wire.call(3, "GET", "/page", None, b"<p>", reply_headers=[("Content-Type", "text/html")])
    wire.call(4, "GET", "/twice", None, b'{"a":1,"a":2}')
    wire.call(5, "GET", "/torn", None, b'{"a":')
    wire.call(6, "GET", "/deep", None, b"[" * 400 + b"]" * 400)
    wire.call(6, "GET", "/half", None, b'["\\ud83d"]')
    wire.call(7, "GET", "/huge", None, b"[1e999]")
    wire.call(8, "GET", "/words", None, b"Hello Kate", reply_headers=[("Content-Type", "text/plain")])
    wire.call(
        9,
        "GET",
        "/csrf",
        None,
        b"Missing or invalid Csrf token",
        status=403,
        reply_headers=[("Content-Type", "text/plain")],
    )
    distilled = wire.distil()
    reasons = set(distilled.summary.left_out)
    assert {
        "a request without a reply: GET /api/v2/slow",
        "a Bayeux request that is still open (no data is missing)",
        "the body of the reply to 'logo': not JSON: image/png, 8 bytes",
        "the body of the reply to 'page': not JSON: text/html, 3 bytes",
        "the body of the reply to 'twice': JSON with a duplicate key",
        "the body of the reply to 'torn': invalid JSON, or JSON that can't be stored",
        "the body of the reply to 'deep': JSON that can't be replayed: nested too deeply, or a lone surrogate",
        "the body of the reply to 'half': JSON that can't be replayed: nested too deeply, or a lone surrogate",
        "the body of the reply to 'huge': JSON that can't be stored",
        "the body of the reply to 'words': a text that can't be redacted safely, 10 characters",
    } <= reasons
    assert exchange(distilled, "csrf, refused").reply.text == "Missing or invalid Csrf token"
    assert len(loads(dump(distilled.file)).exchanges) == len(distilled.file.exchanges)


def test_traffic_that_the_caller_leaves_out_is_counted(wire: Any) -> None:
    for _ in range(3):
        wire.recorder.leave_out("a request that the filter excludes")
    assert wire.distil().summary.left_out == ["3 times a request that the filter excludes"]


def test_the_upgrade_to_a_websocket_is_no_exchange(wire: Any) -> None:
    """A file of a browser contains it as a request, besides the messages."""
    wire.call(1, "GET", "/cometd", None, b"", status=101, reply_headers=[("Upgrade", "websocket")])
    distilled = wire.distil()
    assert (names(distilled), distilled.summary.left_out) == ([], [])


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        ([("Content-Type", "application/json; charset=utf-8")], None),
        ([("Content-Type", "application/hal+json")], {"content-type": "application/hal+json"}),
        (
            [("Content-Type", "application/json"), ("Retry-After", "3"), ("X-Odd", "1"), ("Date", "x")],
            {"retry-after": "3", "x-odd": "1"},
        ),
        ([("Location", "http://gws:80/login?code=abcdef#x")], {"location": "http://HOST/login?code=hidden"}),
    ],
)
def test_relevant_headers_of_replies_are_kept(wire: Any, headers: Any, kept: Any) -> None:
    wire.call(1, "GET", "/api/v2/x", None, {"a": 1}, reply_headers=headers)
    found = wire.distil().file.exchanges[0].reply.headers
    if found and "location" in found:
        host = found["location"].split("/")[2]
        assert host.endswith(".example.invalid")
        found = {"location": found["location"].replace(host, "HOST")}
    assert found == kept


@pytest.mark.parametrize("policy", ["default", "strict"])
def test_the_same_traffic_recorded_again_gives_the_same_scenario(wire_of: Callable[..., Any], policy: str) -> None:
    """The keys and pseudonyms of two recordings differ, but their scenarios are equal."""
    texts = []
    for name in ("one", "two"):
        wire, session = wire_of(policy, name=name), f"session-{name}"
        wire.login(0, session, f"client-{name}", "kate.smith")
        me: JSON = {
            "user": {"id": BIN, "userName": "kate.smith", "firstName": "Kate", "phoneNumber": "+49 30 123456", "dn": 7},
            "uri": f"http://10.0.0.5:8080/api/v2/users/{BIN}",
            "userData": {"WWE_PARTY_4930123456": "Kate", "Amount": 120, "Mail": "kate@corp.example", "n": 1.5},
            "statusMessage": "Device '7001' of kate@corp.example is busy",
            "Owner": "Place1",
        }
        wire.call(1, "GET", f"/api/v2/users/{BIN}?userName=kate.smith", None, me, session=session)
        wire.call(
            2, "POST", "/api/v2/workbins", {"operationName": "RequestAgentStats"}, {"referenceId": 1}, session=session
        )
        distilled = wire.distil()
        texts.append(dump(distilled.file.model_copy(update={"title": ""})))
        if policy == "default":
            body = exchange(distilled, "user 1").reply.body
            key = next(iter(body["userData"]))
            assert key.removeprefix("WWE_PARTY_") != "4930123456"
            assert body["user"]["firstName"] == body["userData"][key]
            assert (body["user"]["id"], body["uri"].rpartition("/")[2]) == (BIN, BIN)
    assert texts[0] == texts[1]


def test_a_recording_continued_after_a_restart_is_one_recording(wire_of: Callable[..., Any]) -> None:
    wire = wire_of()
    wire.login(0, "s1", "c1", "kate.smith")
    left = wire.request(0.5, "GET", "/api/v2/lost", session="s1")
    wire.recorder.close()
    again = wire_of()
    again.call(60, "POST", "/api/v2/workbins", {"operationName": "RequestAgentStats"}, {"referenceId": 1}, session="s1")
    again.reply(61, left, {})
    again.poll(60.1, 62, "c1", {"channel": "/v2/me/workbins", "data": {"referenceId": 1}}, session="s1")
    distilled = again.distil()
    assert distilled.summary.left_out == ["a request without a reply: GET /api/v2/lost"]
    assert (names(distilled), distilled.summary.sessions, distilled.summary.correlated["reference"]) == (
        ["me", "stats of my workbins"],
        1,
        1,
    )


WEAK = "shorter than 8 characters, or equal to a name used elsewhere"


def test_the_summary_counts_and_never_shows_a_value(wire: Any) -> None:
    wire.login(0, "s1", "c1", "kate.smith")
    wire.call(1, "GET", ME + "?userName=kate.smith", None, {"user": {"userName": "kate.smith"}}, session="s1")
    lines = wire.distil().summary.lines()
    assert lines == [
        "2 exchanges, 0 timeline entries, 1 session",
        "notifications: 0 unsolicited",
        "replaced secret values: 5 (clientId 1, header authorization 1, header cookie 3)",
        "replaced personal values: 2 (query userName 1, userName 1)",
        f"hidden in its own place only ({WEAK}): cookie JSESSIONID, clientId",
    ]


def test_an_empty_journal_gives_an_empty_scenario(wire: Any) -> None:
    distilled = wire.distil()
    assert (distilled.file.exchanges, distilled.file.timeline, distilled.summary.left_out) == ([], None, [])


def test_a_null_body_is_kept(wire: Any) -> None:
    wire.call(1, "POST", "/api/v2/x", b"null", b"null")
    assert dump(wire.distil().file).count("body: null\n") == 2


@pytest.mark.parametrize("path", ["//", "/proxy/http://gws.corp/x", "/connect", "/subscribe", "/handshake?a=b", "/%2F"])
def test_any_path_becomes_an_exchange(wire: Any, path: str) -> None:
    wire.call(1, "GET", path, None, {"x": 1}, session="s1")
    distilled = wire.distil()
    assert len(loads(dump(distilled.file)).exchanges) == 1
    assert distilled.summary.left_out == []


def test_a_channel_may_be_written_in_any_language(wire: Any) -> None:
    wire.login(0, "s1", "c1")
    wire.poll(1, 2, "c1", {"channel": "/chat/Größe", "data": 1}, session="s1")
    distilled = wire.distil()
    assert len(loads(dump(distilled.file)).timeline) == 1
    assert [entry.channel for entry in distilled.file.timeline] == ["/chat/Größe"]


def test_only_events_that_no_scenario_can_express_are_left_out(wire: Any) -> None:
    wire.login(0, "s1", "c1")
    wire.call(1, "GET", "/blocked", None, {"x": 1}, status=999, session="s1")
    wire.call(2, "POST", "/api/v2/workbins", {"operationName": "RequestAgentStats"}, {"referenceId": 7}, session="s1")
    answered: JSONObject = {"channel": "/v2/me/work bins", "data": {"referenceId": 7}}
    unsolicited: JSON = {"channel": "/v2/me/a b", "data": 1}
    wire.poll(2, 3, "c1", answered, unsolicited, {**answered, "channel": "/v2/me/workbins"}, session="s1")
    wire.poll(4, 5, "c1", unsolicited, session="s1")
    distilled = wire.distil()
    assert len(loads(dump(distilled.file)).exchanges) == 1
    assert [(one.name, [event.channel for event in one.events]) for one in distilled.file.exchanges] == [
        ("stats of my workbins", ["/v2/me/workbins"])
    ]
    assert distilled.summary.left_out == [
        "GET /blocked: status is the number 999; expected an HTTP status from 200 to 599",
        "a notification: channel is the text '/v2/me/work bins'; expected a channel such as /v2/me/workbins",
        "2 times a notification: channel is the text '/v2/me/a b'; expected a channel such as /v2/me/workbins",
    ]


def test_a_clock_change_during_a_call_gives_a_delay_of_0(wire: Any) -> None:
    """A virtual machine that starts in 1970 and sets its clock later."""
    flow = wire.request(1, "GET", "/slow", None, session="s1")
    wire.reply(56 * 365 * 86400, flow, {"x": 1})
    assert wire.distil().file.exchanges[0].reply.after == "0s"


def test_invalid_advice_is_left_out(wire: Any) -> None:
    flow = wire.bayeux(0, [{"channel": "/meta/handshake", "version": "1.0", "id": "1"}], session="s1")
    advice: JSON = {"timeout": -1, "interval": 2000, "reconnect": "retry"}
    answer: JSON = {"channel": "/meta/handshake", "successful": True, "id": "1", "clientId": "c", "advice": advice}
    wire.reply(1, flow, [answer])
    assert wire.distil().file.bayeux.advice.model_dump(exclude_none=True) == {"interval": 2000}


def test_a_slash_at_the_end_of_a_path_makes_no_difference(wire: Any) -> None:
    wire.call(1, "GET", "/api/v2/services", None, {"services": []}, session="s1")
    wire.call(2, "GET", "/api/v2/services/", None, {"services": []}, session="s1")
    assert names(wire.distil()) == ["services"]


def test_a_request_that_gets_401_is_one_without_a_session(wire: Any) -> None:
    for at, status in ((1, 401), (2, 200)):
        wire.call(at, "GET", "/orders", None, {"status": status}, status=status)
    distilled = wire.distil()
    assert [(one.reply.status, one.request.authenticated) for one in distilled.file.exchanges] == [
        (401, False),
        (200, True),
    ]


def test_header_fields_that_all_replies_have_are_written_once_except_those_of_a_single_reply(wire: Any) -> None:
    fields = [("Content-Type", "text/csv"), ("Location", "/next"), ("X-Version", "9")]
    for at, path in enumerate(("/a", "/b")):
        wire.call(at, "GET", path, None, b"x", reply_headers=fields)
    distilled = wire.distil()
    assert distilled.file.reply_headers == {"x-version": "9"}
    assert [one.reply.headers for one in distilled.file.exchanges] == [
        {"content-type": "text/csv", "location": "/next"}
    ] * 2


def test_the_pseudonym_of_a_name_keeps_its_capital_letter(wire: Any) -> None:
    wire.call(1, "GET", "/a", None, {"firstName": "Kate", "lastName": "smith"})
    wire.call(2, "GET", "/b", None, {"firstName": "kate", "lastName": "Smith"})
    bodies = [one.reply.body for one in wire.distil().file.exchanges]
    assert [[text[:1].isupper() for text in body.values()] for body in bodies] == [[True, False], [False, True]]
