"""The content view of Bayeux, called through the API of this mitmproxy version."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from mitmproxy import contentviews, ctx, exceptions, http
from mitmproxy.test import taddons, tflow
from mitmproxy.websocket import WebSocketMessage
from wsproto.frame_protocol import Opcode

from cometreel.mitmproxy_support.content_view import PromisedNotifications, messages_in
from cometreel.proxy_addons.bayeux_view import BayeuxView
from cometreel.scenario import Profile

RULE = Profile(
    "test", reply=("/referenceId",), map=("/referenceIds",), event=("/referenceId",), operation="/operationName"
)
STATS = {"messageType": "WorkbinStatsMessage", "referenceId": 66, "workbinStats": {}}
CONNECT = {"channel": "/meta/connect", "id": "5", "successful": True}


@pytest.fixture
async def view() -> AsyncIterator[BayeuxView]:  # asynchronous, because mitmproxy wants a running loop
    addon = BayeuxView()
    addon.view.notifications = PromisedNotifications(RULE)
    with taddons.context(addon):
        yield addon
    addon.done()


def flow(asked: object, answered: object, *, session: str = "s1", at: float = 100.0, sets: str = "") -> http.HTTPFlow:
    """Return a finished flow of a session."""
    kinds = http.Headers(content_type="application/json", set_cookie=sets)
    made = tflow.tflow(
        req=http.Request.make(
            "POST",
            "http://gws/api/v2/workbins?secret=1" if "channel" not in str(asked) else "http://gws/api/v2/notifications",
            json.dumps(asked),
            http.Headers(cookie=f"JSESSIONID={session}", content_type="application/json"),
        ),
        resp=http.Response.make(200, json.dumps(answered), kinds),
    )
    made.request.timestamp_start = made.request.timestamp_end = at
    assert made.response
    made.response.timestamp_start = made.response.timestamp_end = at + 1
    return made


def poll(*events: object, **extra: Any) -> http.HTTPFlow:
    """Return a poll whose reply contains notifications with these data."""
    messages = [{"channel": "/v2/me/workbins", "data": event} for event in events]
    return flow([{"channel": "/meta/connect", "id": "5", "clientId": "c"}], [*messages, CONNECT], **extra)


def shown(message: http.Message | WebSocketMessage, of: http.HTTPFlow, view: str = "auto") -> tuple[str, str]:
    """Return the view that mitmproxy chooses for a message, and the text."""
    if hasattr(contentviews, "prettify_message"):  # mitmproxy 12
        result = contentviews.prettify_message(message, of, view)
        return str(result.view_name), result.text
    version_11: Any = contentviews
    description, lines, error = version_11.get_message_content_view(view, message, of)
    assert not error
    return description, "\n".join("".join(text for _, text in line) for line in lines)


def reply_of(made: http.HTTPFlow) -> tuple[str, str]:
    assert made.response
    return shown(made.response, made)


def test_a_notification_names_the_call_that_it_answers(view: BayeuxView) -> None:
    view.response(flow({"operationName": "RequestAgentStats"}, {"statusCode": 0, "referenceId": 66}))
    assert reply_of(poll(STATS, at=101.0)) == (
        "Bayeux",
        """\
- channel: /v2/me/workbins  # answers POST /api/v2/workbins RequestAgentStats
  data: {"messageType": "WorkbinStatsMessage", "referenceId": 66, "workbinStats": {}}
- channel: /meta/connect
  id: "5"
  successful: true""",
    )


def test_messages_of_requests_are_shown(view: BayeuxView) -> None:
    made = poll(STATS)
    assert shown(made.request, made) == ("Bayeux", '- channel: /meta/connect\n  id: "5"\n  clientId: "c"')


@pytest.mark.parametrize(
    ("what", "posts", "answered"),
    [
        ("another session's reference is not ours", [({"referenceId": 66}, "s2", 100.0)], None),
        ("another reference is not ours", [({"referenceId": 67}, "s1", 100.0)], None),
        ("an id of the map", [({"referenceIds": {"a": 65, "b": 66}}, "s1", 100.0)], "op0"),
        ("a reference that comes again: the latest before", [({"referenceId": 66}, "s1", 90.0)] * 2, "op1"),
        ("a call that was made later", [({"referenceId": 66}, "s1", 200.0)], None),
        ("a text is no number", [({"referenceId": "66"}, "s1", 100.0)], None),
    ],
)
def test_the_call_that_a_notification_answers(
    view: BayeuxView, what: str, posts: list[tuple[dict[str, object], str, float]], answered: str | None
) -> None:
    for number, (reply, session, at) in enumerate(posts):
        view.response(flow({"operationName": f"op{number}"}, reply, session=session, at=at + number))
    note = f"  # answers POST /api/v2/workbins {answered}" if answered else ""
    assert reply_of(poll(STATS, at=101.0))[1].splitlines()[0] == f"- channel: /v2/me/workbins{note}", what


def test_a_session_is_identified_by_a_cookie_that_the_first_reply_sets(view: BayeuxView) -> None:
    first = flow({"operationName": "first"}, {"referenceId": 66}, sets="JSESSIONID=new; Path=/")
    del first.request.headers["cookie"]
    view.response(first)
    assert "answers POST /api/v2/workbins first" in reply_of(poll(STATS, session="new"))[1]


def test_websocket_frames_are_shown(view: BayeuxView) -> None:
    view.response(flow({"operationName": "RequestStats"}, {"referenceId": 66}))
    made = tflow.twebsocketflow()
    made.request.headers["cookie"] = "JSESSIONID=s1"
    frame = WebSocketMessage(
        Opcode.TEXT, False, json.dumps([{"channel": "/x", "clientId": "c", "data": STATS}]).encode(), timestamp=101.0
    )
    assert "/x  # answers POST /api/v2/workbins RequestStats" in shown(frame, made)[1]


@pytest.mark.parametrize(
    ("body", "channels"),
    [
        (b'[{"channel":"/meta/connect"}]', ["/meta/connect"]),
        (b'{"channel":"/meta/connect"}', ["/meta/connect"]),
        (b'cb([{"channel":"/meta/connect"}]);', ["/meta/connect"]),
        (b'/**/a.b[0]([{"channel":"/meta/connect"}])', ["/meta/connect"]),
        (b"message=%5B%7B%22channel%22%3A%22%2Fmeta%2Fconnect%22%7D%5D", ["/meta/connect"]),
        (b'{"statusCode":0}', []),
        (b"[]", []),
        (b"[1]", []),
        (b"", []),
        (b"\xff\xfe", []),
        (b'[{"channel":"/meta/connect"', []),
        (b"[" * 100_000, []),
    ],
)
def test_messages_are_found_in_json_jsonp_and_forms(body: bytes, channels: list[str]) -> None:
    assert [message["channel"] for message in messages_in(body)] == channels


def test_other_data_is_shown_by_other_views(view: BayeuxView) -> None:
    made = flow({"operationName": "x"}, {"statusCode": 0})
    assert reply_of(made)[0] == "JSON"
    assert made.response
    assert "statusCode" in shown(made.response, made, "bayeux")[1]


def test_a_long_value_has_several_lines_and_control_characters_are_escaped(view: BayeuxView) -> None:
    text = reply_of(poll({"one": "a" * 80, "two": "\x1b[31m" + "b" * 80}))[1]
    assert text.splitlines()[1:5] == [
        "  data: {",
        f'    "one": "{"a" * 80}",',
        f'    "two": "\\u001b[31m{"b" * 80}"',
        "  }",
    ]


def test_an_unknown_profile_is_rejected_and_the_old_one_is_kept(view: BayeuxView, caplog: Any) -> None:
    sentence = "reel_profile: 'gws-v9'; expected detect, gws-v2, workspace-v3, or a YAML file with a profile"
    old = view.view.notifications
    ctx.options.reel_profile = "gws-v9"
    assert caplog.messages == [sentence], "while mitmproxy starts: one line in the log"
    view.running()
    with pytest.raises(exceptions.OptionsError, match=re.escape(sentence)):
        view.configure({"reel_profile"})
    assert view.view.notifications is old


def test_another_profile_can_be_set_while_running(view: BayeuxView) -> None:
    view.running()
    ctx.options.reel_profile = "workspace-v3"
    assert [each.name for each in view.view.notifications.profiles] == ["workspace-v3"]
