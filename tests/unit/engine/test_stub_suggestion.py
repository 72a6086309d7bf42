"""Suggested stubs: pasted into the scenario, they answer the unmatched request."""

from __future__ import annotations

import pytest

from cometreel.engine import Backend, Control
from cometreel.errors import OptionInvalid
from cometreel.jsonvalue import JSON, decode, encode
from cometreel.scenario import find, loads
from cometreel.wire import Headers, Reply, Request

SCENARIO = """\
cometreel: 1
bayeux: {endpoint: /cometd}
correlation: gws-v2
exchanges:
  - name: RequestAgentStats Place Place2
    request:
      method: POST
      path: /api/v2/workbins
      body: {operationName: RequestAgentStats, workbinType: Place, workbinOwner: Place1}
    repeat: fail
"""
HOSTILE = "<script>\"'\u2028\u2029: #\t{{ x }} ${y} \\ \x00 é \U0001f600"


def status_of(control: Control, backend: Backend, method: str, target: str, body: bytes = b"") -> int | None:
    """Send a request, and return the status of the reply."""
    path, _, query = target.partition("?")
    effects = backend.receive(Request(1, method, path, query, Headers(), body), 0.0)
    (reply,) = (effect for effect in effects if isinstance(effect, Reply))
    assert control.calls[-1].method == method
    return reply.status


def replaying(text: str) -> tuple[Control, Backend]:
    backend = Backend(loads(text))
    return Control(backend), backend


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("POST", "/api/v2/workbins", {"operationName": "RequestAgentStats", "workbinOwner": "Place2"}),
        ("POST", "/api/v2/workbins?force=yes&force=no&$any=string&empty=", {"a": None}),
        ("GET", "/api/v2/me/devices/", None),
        ("get", "/", None),
        ("GET", "//", None),
        ("GET", "/a%20b/%2F/%00/%ff#x", None),
        ("GET", "/é\udcff\x01", None),
        ("GET", f"/{HOSTILE}", None),
        ("GET", "/x;jsessionid=secret", None),
        ("DELETE", "/api/http://x?q=%3Cscript%3E", None),
        ("POST", "/x", {HOSTILE: [HOSTILE], "$any": "x", "$$t": {"$t": HOSTILE}, "n": [1.0, -0.5, True, None, {}, []]}),
        ("POST", "/x", [[[]], "2026-11-23", "no", "12:30:45"]),
        ("POST", "/x", {"k" * 2000: "v"}),
    ],
)
def test_the_suggested_stub_answers_the_request(method: str, target: str, body: JSON):
    check(method, target, b"" if body is None else encode(body))


@pytest.mark.parametrize(
    "body",
    [
        HOSTILE.encode(),
        b"a=1&b=2",
        b"\xff\xfe",
        b"[" * 300 + b"]" * 300,
        b"[" * 95 + b"]" * 95,
        b"{",
        b'{"a": "\\ud800"}',
    ],
)
def test_the_suggested_stub_answers_bodies_that_are_not_plain_json(body: bytes):
    check("POST", "/x", body)


def check(method: str, target: str, body: bytes) -> None:
    control, backend = replaying(SCENARIO)
    assert status_of(control, backend, method, target, body) in (400, 404, 405)
    control, backend = replaying(SCENARIO + control.suggested_stub(1))
    assert status_of(control, backend, method, target, body) == 200


def test_the_suggested_stub_has_the_key_order_of_the_format_and_a_unique_name():
    control, backend = replaying(SCENARIO)
    body: JSON = {"operationName": "RequestAgentStats", "workbinType": "Place", "workbinOwner": "Place2"}
    status_of(control, backend, "POST", "/api/v2/workbins?x=1", encode(body))
    assert control.suggested_stub(1) == (
        "  - name: RequestAgentStats Place Place2 (2)\n"
        "    request:\n"
        "      method: POST\n"
        "      path: /api/v2/workbins\n"
        "      query:\n"
        '        x: "1"\n'
        "      body:\n"
        "        operationName: RequestAgentStats\n"
        "        workbinType: Place\n"
        "        workbinOwner: Place2\n"
        "    reply:\n"
        "      status: 200\n"
        "      body:\n"
        "        statusCode: 0\n"
    )


def test_the_suggested_stub_of_a_publish_is_a_publish():
    control, backend = replaying(SCENARIO)
    client = MinimalClient(backend)
    client.publish("/service/chat", {"text": HOSTILE, "token": "hush"})
    written = control.suggested_stub(1)
    assert written.startswith("  - name: PUBLISH /service/chat\n    request:\n      publish: /service/chat\n")
    assert "hush" not in written
    control, backend = replaying(SCENARIO + written)
    MinimalClient(backend).publish("/service/chat", {"text": HOSTILE, "token": "other"})
    assert [call.outcome for call in control.calls] == ["played"]


class MinimalClient:
    """A minimal CometD client."""

    def __init__(self, backend: Backend) -> None:
        self.backend, self.cookies = backend, ""
        self.client = self.send(channel="/meta/handshake", version="1.0", supportedConnectionTypes=["long-polling"])

    def send(self, **message: JSON) -> JSON:
        fields = [("Content-Type", "application/json"), ("Cookie", self.cookies)]
        request = Request(1, "POST", "/cometd", "", Headers(fields), encode([message]))
        (reply,) = (effect for effect in self.backend.receive(request, 0.0) if isinstance(effect, Reply))
        set_here = [value.partition(";")[0] for name, value in reply.headers if name.lower() == "set-cookie"]
        self.cookies = self.cookies or "; ".join(set_here)
        return next((value for _, value in find(decode(reply.body), "/*/clientId")), None)

    def publish(self, channel: str, data: JSON) -> None:
        self.send(channel=channel, data=data, clientId=self.client)


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/login?access_token=hush&x=1", b""),
        ("/login;jsessionid=hush", b""),
        ("/password/hush", b""),
        ("/login", encode({"userName": "kate", "password": "hush", "deep": [{"apiKey": {"a": "hush"}}]})),
        ("/login", b"user=kate&password=hush"),
    ],
)
def test_the_suggested_stub_replaces_secrets_by_any(target: str, body: bytes):
    control, backend = replaying(SCENARIO)
    status_of(control, backend, "POST", target, body)
    written = control.suggested_stub(1)
    assert "hush" not in written
    control, backend = replaying(SCENARIO + written)
    assert status_of(control, backend, "POST", target.replace("hush", "other"), body.replace(b"hush", b"other")) == 200


def test_a_method_that_a_scenario_can_not_have_is_an_error():
    control, backend = replaying(SCENARIO)
    status_of(control, backend, "M!X", "/x")
    with pytest.raises(OptionInvalid) as caught:
        control.suggested_stub(1)
    assert str(caught.value) == (
        "call: call 1 has a method, path or channel that a scenario can't have; "
        "expected an HTTP request, or a publish on a channel of the application"
    )


def test_only_unmatched_calls_have_a_suggested_stub():
    control, _ = replaying(SCENARIO)
    with pytest.raises(OptionInvalid) as caught:
        control.suggested_stub(7)
    assert str(caught.value) == "call: 7 is not an unmatched call; expected the number of a call in `unmatched`"


BOUND = """\
cometreel: 1
session: {bind: [{from: $response.body#/id, in: [$request.path.sessionId, '$request.body#/session']}]}
exchanges:
  - name: open
    request: {method: POST, path: /sessions}
    reply: {body: {id: recorded}}
  - name: close
    request: {method: DELETE, path: [sessions, {$capture: sessionId}]}
"""


def test_a_bound_value_is_replaced_by_a_marker():
    control, backend = replaying(BOUND)
    (reply,) = (each for each in backend.receive(Request(1, "POST", "/sessions"), 0.0) if isinstance(each, Reply))
    opened = decode(reply.body)
    assert isinstance(opened, dict)
    value = str(opened["id"])
    body = encode({"session": value, "owner": "Place1"})
    status_of(control, backend, "POST", f"/sessions/{value}/calls?session={value}&x=1", body)
    stub = control.suggested_stub(control.unmatched[-1].number)
    assert value not in stub
    assert (
        stub
        == """\
  - name: POST /sessions/{sessionId}/calls
    request:
      method: POST
      path:
        - sessions
        - {$capture: sessionId}
        - calls
      query:
        session: {$any: anything}
        x: "1"
      body:
        session: {$any: string}
        owner: Place1
    reply:
      status: 200
      body:
        statusCode: 0
"""
    )
