"""Numbers keep their digits from the recorded request to the replayed reply, and are compared by value."""

from __future__ import annotations

from typing import Any

import pytest

from cometreel.engine import Backend, ReplaySettings
from cometreel.recording import read_journal
from cometreel.scenario import dump, loads
from cometreel.wire import Reply, Request

NUMBERS = ["485690.3866338789319252", "1e-400", "-0", "123456789012345678901.5", "1.50", "1E5", "12345678901234567890"]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_kept_through_journal_yaml_and_replay(wire: Any, number: str) -> None:
    body = f'{{"n":{number},"list":[{number},"{number}"]}}'.encode()
    wire.login(0, "session", "client")
    wire.call(1, "POST", "/x", body, body.replace(b'"n"', b'"referenceId":3,"n"'), session="session")
    delivered = f'[{{"channel":"/news","data":{{"referenceId":3,"n":{number}}}}}]'.encode()
    flow = wire.bayeux(1.1, [{"channel": "/meta/connect", "id": "2", "clientId": "client"}], session="session")
    wire.reply(1.2, flow, delivered)
    text = dump(wire.distil().file)
    assert f'"n":{number}' in wire.text()
    backend = Backend(loads(text), ReplaySettings())
    (reply,) = [*backend.receive(Request(1, "POST", "/x", body=body), 0.0), *backend.advance(1.0)]
    assert isinstance(reply, Reply)
    assert reply.status == 200
    assert reply.body == b'{"referenceId":3,' + body[1:]
    event = loads(text).exchanges[0].events[0]
    assert f"'n': {number}" in repr(event.data)


@pytest.mark.parametrize(
    ("sent", "status"),
    [(b'{"price":1.5}', 200), (b'{"price":1.500}', 200), (b'{"price":15e-1}', 200), (b'{"price":1.51}', 404)],
)
def test_numbers_are_compared_by_value(wire: Any, sent: bytes, status: int) -> None:
    wire.call(1, "POST", "/x", b'{"price":1.50}', {"ok": True})
    backend = Backend(loads(dump(wire.distil().file)), ReplaySettings())
    found = [*backend.receive(Request(1, "POST", "/x", body=sent), 0.0), *backend.advance(1.0)]
    assert [effect.status for effect in found if isinstance(effect, Reply)] == [status]


def test_numbers_that_only_look_equal_as_doubles_stay_different(wire: Any) -> None:
    for number in ("123456789012345678901.5", "123456789012345678901.25"):
        wire.call(1, "POST", "/x", f'{{"n":{number}}}'.encode(), {"n": number})
    assert len(wire.distil().file.exchanges) == 2


def test_a_number_out_of_range_is_not_kept_as_another(wire: Any) -> None:
    wire.call(1, "GET", "/x", None, b'{"n":1e999}')
    wire.call(2, "POST", "/y", b'{"n":1e999}', {"ok": True})
    events = read_journal(wire.path)[1]
    assert [event.body.value for event in events if event.body.kind == "omitted"] == ["JSON that can't be stored"] * 2
