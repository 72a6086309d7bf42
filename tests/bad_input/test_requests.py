"""Bad requests to a replay: each gets its HTTP status and one log line, and the next valid request is answered."""

from __future__ import annotations

import pytest

from cometreel.jsonvalue import JSON
from cometreel.wire import Frame, Reply, Request
from tests.unit.engine.conftest import Talk
from tests.unit.engine.conversation import ENDPOINT, Client, Conversation

SCENARIO = f"""
bayeux: {{endpoint: {ENDPOINT}, max_message_bytes: 2000}}
exchanges:
  - name: workbins
    request: {{method: GET, path: /api/v2/workbins, query: {{fields: "*"}}}}
    reply: {{body: {{statusCode: 0, workbins: []}}}}
  - name: stats
    request: {{method: POST, path: /api/v2/workbins, body: {{operationName: RequestAgentStats}}}}
    reply: {{body: {{statusCode: 0, referenceId: 67}}}}
    events:
      - {{channel: /v2/me/workbins, data: {{messageType: WorkbinStatsMessage, referenceId: 67}}}}
"""
REFUSED = f"warning: POST {ENDPOINT} is refused: "
NO_JSON = REFUSED + "the body isn't JSON: "
NO_CHANNEL = REFUSED + "found a message without a channel; expected one, as /meta/connect"

NOT_BAYEUX: dict[str, tuple[bytes, int, str]] = {
    "truncated": (
        b'[{"channel":"/meta/hand',
        400,
        NO_JSON + "Unterminated string starting at: line 1 column 13 (char 12)",
    ),
    "a page": (b"<html>", 400, NO_JSON + "Expecting value: line 1 column 1 (char 0)"),
    "bytes": (
        b"\xff\xfe",
        400,
        NO_JSON + "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
    ),
    "not a number": (b'[{"channel":"/meta/handshake","id":NaN}]', 400, NO_JSON + "NaN is not JSON"),
    "a key twice": (
        b'[{"channel":"/a","channel":"/b"}]',
        400,
        NO_JSON + "the key 'channel' occurs twice in one object",
    ),
    "too deep": (b"[" * 1999, 400, REFUSED),
    "numbers": (b"[1,2]", 400, REFUSED + "element 0 is a number; expected a Bayeux message"),
    "strings": (b'["/meta/handshake"]', 400, REFUSED + "element 0 is a string; expected a Bayeux message"),
    "arrays": (b"[[]]", 400, REFUSED + "element 0 is an array; expected a Bayeux message"),
    "a string": (b'"x"', 400, REFUSED + "found a string; expected a Bayeux message or an array of them"),
    # 500 is what the Java server answers to these
    "nulls": (b"[null]", 500, REFUSED + "element 0 is null; expected a Bayeux message"),
    "nothing": (b"[]", 500, REFUSED + "found an empty array; expected a Bayeux message"),
    "no message": (b"{}", 500, NO_CHANNEL),
    "foreign objects": (b'[{"operationName":"Subscribe"}]', 500, NO_CHANNEL),
    "a channel that is none": (b'[{"channel":5}]', 500, NO_CHANNEL),
    "huge": (b" " * 2001, 413, REFUSED + "found 2001 bytes; expected at most 2000"),
}


def is_as_ever(talk: Conversation, client: Client) -> None:
    """The same client continues: no message is lost or pending, and its session is alive."""
    client.sends("POST", "/api/v2/workbins", {"operationName": "RequestAgentStats"})
    at = talk.now - talk.start
    accepted: JSON = {"statusCode": 0, "referenceId": 67}
    client.receives(
        (at, 200, accepted), (at, "/v2/me/workbins", {"messageType": "WorkbinStatsMessage", "referenceId": 67})
    )


@pytest.mark.parametrize(("body", "status", "line"), NOT_BAYEUX.values(), ids=NOT_BAYEUX.keys())
def test_invalid_bayeux_messages_are_rejected_with_the_reason_in_the_log(
    conversation: Talk, body: bytes, status: int, line: str
) -> None:
    talk = conversation(SCENARIO)
    agent = talk.client().connects("/v2/me/workbins")
    talk.at(1.0)
    agent.sends("POST", ENDPOINT, text=body)
    agent.receives((1.0, status, ""))
    talk.logged(line)
    is_as_ever(talk, agent)


@pytest.mark.parametrize("body", [b"", b" ", b"null"], ids=["empty", "blank", "null"])
def test_a_body_without_messages_gets_an_empty_answer(conversation: Talk, body: bytes) -> None:
    """CometD 3.1 answers it with status 200 and no body."""
    talk = conversation(SCENARIO)
    agent = talk.client().connects("/v2/me/workbins")
    talk.at(1.0)
    agent.sends("POST", ENDPOINT, text=body)
    agent.receives((1.0, 200, ""))
    is_as_ever(talk, agent)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "BREW"])
def test_a_wrong_method_at_the_endpoint_is_rejected(conversation: Talk, method: str) -> None:
    talk = conversation(SCENARIO)
    agent = talk.client().connects("/v2/me/workbins")
    agent.sends(method, ENDPOINT)
    assert agent.received.pop()[1] == 400
    talk.logged(f"warning: {method} {ENDPOINT} is refused: no Bayeux transport sends such a request")
    is_as_ever(talk, agent)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "the body isn't JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("[]", "found an empty array; expected a Bayeux message"),
        ("[{}]", "found a message without a channel; expected one, as /meta/connect"),
        (" " * 2001, "found 2001 bytes; expected at most 2000"),
    ],
)
def test_a_websocket_with_invalid_messages_is_closed_with_the_reason_in_the_log(
    conversation: Talk, text: str, why: str
) -> None:
    talk = conversation(SCENARIO)
    agent = talk.client()
    number = talk.number()
    talk.send(agent, Request(number, "GET", ENDPOINT, websocket=True))
    talk.do(talk.backend.frame(number, text, talk.now))
    agent.receives((0.0, "Accept", None), (0.0, "Drop", None))
    talk.logged(f"warning: a WebSocket is closed: {why}")
    is_as_ever(talk, talk.client().connects("/v2/me/workbins"))


UNANSWERED: dict[str, tuple[str, str, bytes, int, str]] = {
    "an unknown path": (
        "POST",
        "/api/v2/workbin",
        b'{"operationName":"RequestAgentStats"}',
        404,
        (
            "no exchange answers POST /api/v2/workbin; nearest: 'stats' (test.yaml:10:5): path is /api/v2/workbin, "
            "expected /api/v2/workbins; agreed: method, query, body"
        ),
    ),
    "a wrong method": (
        "DELETE",
        "/api/v2/workbins",
        b"",
        405,
        "no exchange answers DELETE /api/v2/workbins; nearest: ",
    ),
    "a wrong operation": (
        "POST",
        "/api/v2/workbins",
        b'{"operationName":"RequestAgentStat"}',
        404,
        (
            "no exchange answers POST /api/v2/workbins; nearest: 'stats' (test.yaml:10:5): body.operationName is "
            "RequestAgentStat, expected RequestAgentStats; agreed: method, path, query | "
        ),
    ),
    "truncated JSON": (
        "POST",
        "/api/v2/workbins",
        b'{"operationName":"RequestAg',
        404,
        (
            "no exchange answers POST /api/v2/workbins; nearest: 'stats' (test.yaml:10:5): body is a text of 27 "
            "characters, expected {operationName: RequestAgentStats}; agreed: method, path"
        ),
    ),
    "an array of bytes": (
        "POST",
        "/api/v2/workbins",
        b"\xff\xfe\x00",
        404,
        "no exchange answers POST /api/v2/workbins",
    ),
    "a path of dots": ("GET", "/../..//%2e%2e/%00", b"", 404, "no exchange answers GET /"),
    "no path": ("GET", "", b"", 404, "no exchange answers GET /"),
}


@pytest.mark.parametrize(("method", "path", "body", "status", "line"), UNANSWERED.values(), ids=UNANSWERED.keys())
def test_an_unmatched_request_names_the_nearest_exchange(
    conversation: Talk, method: str, path: str, body: bytes, status: int, line: str
) -> None:
    """The reply has the text of the log."""
    talk = conversation(SCENARIO)
    agent = talk.client().connects("/v2/me/workbins")
    agent.sends(method, path, text=body)
    ((_, found, told),) = agent.received
    assert found == status
    assert isinstance(told, dict)
    message = str(told["statusMessage"])
    assert message.startswith("N" + line[1:])
    agent.received.clear()
    talk.logged("warning: n" + message[1:])
    is_as_ever(talk, agent)


def test_a_huge_body_is_rejected(conversation: Talk) -> None:
    talk = conversation(SCENARIO, max_body=5000)
    agent = talk.client().connects("/v2/me/workbins")
    for path in ("/api/v2/workbins", ENDPOINT):
        agent.sends("POST", path, text=b"[" * 5001)
    refusal: JSON = {"statusCode": 10, "statusMessage": "the body has 5001 bytes; expected at most 5000"}
    agent.receives((0.0, 413, refusal), (0.0, 413, refusal))
    is_as_ever(talk, agent)


BAD_COOKIES = {
    "empty": {"JSESSIONID": ""},
    "foreign": {"JSESSIONID": "0123456789abcdef0123456789abcdef"},
    "a path": {"JSESSIONID": "../../etc/passwd"},
    "huge": {"JSESSIONID": "x" * 100_000},
    "of another node": {"JSESSIONID": "abc.node2"},
    "no text": {"JSESSIONID": "\udcff\x00"},
    "a browser that is none": {"BAYEUX_BROWSER": "never given"},
}


@pytest.mark.parametrize("cookies", BAD_COOKIES.values(), ids=BAD_COOKIES.keys())
def test_an_invalid_cookie_starts_a_new_session(conversation: Talk, cookies: dict[str, str]) -> None:
    """It is answered, gets a valid cookie, and receives no notifications of other sessions."""
    talk = conversation(SCENARIO)
    honest = talk.client("honest").connects("/v2/me/workbins")
    odd = talk.client("odd")
    odd.cookies = dict(cookies)
    odd.sends("GET", "/api/v2/workbins", query="fields=*")
    odd.receives((0.0, 200, {"statusCode": 0, "workbins": []}))
    assert isinstance(odd.last, Reply)
    assert str(odd.last.headers.get("set-cookie")).startswith("JSESSIONID=")
    assert odd.cookies["JSESSIONID"] not in (*cookies.values(), honest.cookies["JSESSIONID"])
    is_as_ever(talk, honest)
    odd.receives()


def test_a_client_id_without_its_cookie_is_rejected(conversation: Talk) -> None:
    """As on the real server, a clientId alone is not enough to poll."""
    talk = conversation(SCENARIO)
    agent, thief = talk.client("agent").connects("/v2/me/workbins"), talk.client("thief")
    thief.client_id = agent.client_id
    thief.poll()
    assert thief.meta == [
        {
            "channel": "/meta/connect",
            "successful": False,
            "error": "402::Unknown client",
            "advice": {"reconnect": "handshake", "interval": 0},
        }
    ]
    is_as_ever(talk, agent)
    thief.receives()


def test_a_frame_for_a_finished_request_is_ignored(conversation: Talk) -> None:
    talk = conversation(SCENARIO)
    assert [effect for effect in talk.backend.frame(99, "[]", talk.now) if isinstance(effect, Frame)] == []
