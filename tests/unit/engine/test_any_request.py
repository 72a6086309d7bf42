"""Any request gets a reply and no exception, and doesn't affect other sessions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cometreel.engine import Backend, ReplaySettings
from cometreel.scenario import loads
from cometreel.wire import Accept, Drop, Headers, Reply, Request
from tests.unit.engine.conversation import ENDPOINT, whole

SCENARIO = loads(
    whole("""
exchanges:
  - name: a
    request: {method: POST, path: /api/v2/x, body: {n: {$capture: session.n}}}
    reply: {body: {n: {$t: "{{ session.n }}"}, referenceId: 1}}
    events: [{after: 1s, channel: /c, data: {referenceId: 1}}]
  - {name: b, request: {method: GET, path: {$regex: "^/api/(?P<rest>.*)$"}}, reply: {body: {$t: "{{ rest }}"}}}
  - name: c
    request: {publish: {$regex: "^/service/"}, data: {$any: anything}}
    events: [{channel: {$t: "{{ request.channel }}"}, data: 1}]
faults:
  - {meta: /meta/connect, every: 3, error: "500::x"}
  - {exchange: a, rate: 0.3, status: 500}
"""),
    "any.yaml",
)

text = st.text(max_size=20)
bodies = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            b"",
            b"[]",
            b"{}",
            b"null",
            b"[null]",
            b'{"n":1}',
            b'{"n":"\\ud800"}',
            b'[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}]',
            b'[{"channel":"/meta/connect","clientId":"x"}]',
            b'[{"channel":"/service/x","clientId":["x"],"data":{}}]',
            b'[{"channel":7}]',
        ]
    ),
)
paths = st.one_of(text, st.sampled_from(["/api/v2/x", ENDPOINT, ENDPOINT + "/connect", "/api/%ff%", "//", ""]))
headers = st.lists(
    st.tuples(st.sampled_from(["Cookie", "Authorization", "Content-Type", "X-CSRF-TOKEN", "ssid"]), text), max_size=4
)
methods = st.one_of(st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"]), text)
settings = st.builds(
    ReplaySettings,
    auth=st.sampled_from(["open", "session", "csrf"]),
    unmatched=st.sampled_from(["fail", "forward"]),
    speed=st.sampled_from([0.0, 1.0]),
)


@given(settings, st.lists(st.tuples(methods, paths, text, headers, bodies, st.booleans()), max_size=5))
def test_any_request_is_answered_or_held_without_an_exception(
    chosen: ReplaySettings, sent: list[tuple[str, str, str, list[tuple[str, str]], bytes, bool]]
) -> None:
    backend = Backend(SCENARIO, chosen)
    for number, (method, path, query, fields, body, websocket) in enumerate(sent):
        request = Request(number, method, path, query, Headers(fields), body, websocket=websocket)
        effects = backend.receive(request, float(number))
        if any(isinstance(effect, Accept) for effect in effects):
            backend.frame(number, body.decode("utf-8", "replace"), float(number))
    while (deadline := backend.deadline()) is not None:
        for effect in backend.advance(deadline):
            assert not isinstance(effect, (Reply, Drop)) or effect.request_id < len(sent)
        assert backend.deadline() != deadline, "woken in vain"


@given(st.text(max_size=200))
def test_any_websocket_frame_is_handled_without_an_exception(frame: str) -> None:
    backend = Backend(SCENARIO)
    assert backend.receive(Request(1, "GET", ENDPOINT, websocket=True), 0.0)
    backend.frame(1, frame, 0.0)
    backend.frame(2, frame, 0.0)
    backend.gone(1, 1.0)
    backend.frame(1, frame, 2.0)
