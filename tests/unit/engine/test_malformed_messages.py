"""The error texts for malformed Bayeux messages; valid messages have none."""

from __future__ import annotations

import pytest

from cometreel.bayeux import BayeuxSettings
from cometreel.engine.bayeux_application import why_closed, why_refused
from cometreel.wire import Request

SETTINGS = BayeuxSettings(max_message_bytes=100)
SOUND = '[{"channel":"/meta/connect"}]'
NO_TRANSPORT = "no Bayeux transport sends such a request"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (SOUND, None),
        ('{"channel":"/meta/connect"}', None),
        ("[]", "found an empty array; expected a Bayeux message"),
        ('[{"channel":"/a"},{}]', "found a message without a channel; expected one, as /meta/connect"),
        ("[7]", "element 0 is a number; expected a Bayeux message"),
        ("x", "the body isn't JSON: Expecting value: line 1 column 1 (char 0)"),
        (" " * 101, "found 101 bytes; expected at most 100"),
    ],
)
def test_a_body_and_a_frame_have_the_same_errors(text: str, why: str | None) -> None:
    assert why_refused(Request(1, "POST", "/b", body=text.encode()), SETTINGS) == why
    assert why_closed(text, SETTINGS) == why


@pytest.mark.parametrize(
    ("method", "query", "why"),
    [("GET", "", NO_TRANSPORT), ("GET", "jsonp=cb&message=[]", None), ("PUT", "", NO_TRANSPORT)],
)
def test_only_get_and_post_have_a_transport(method: str, query: str, why: str | None) -> None:
    assert why_refused(Request(1, method, "/b", query), SETTINGS) == why


def test_long_polling_can_be_disabled() -> None:
    settings = BayeuxSettings(transports=("websocket",))
    why = why_refused(Request(1, "POST", "/b", body=SOUND.encode()), settings)
    assert why == "long-polling is not among the transports"
