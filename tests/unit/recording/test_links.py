"""Links to the recorded server lead to the replay, whatever the client calls it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cometreel.engine import Backend, ReplaySettings
from cometreel.jsonvalue import JSON
from cometreel.scenario import ScenarioBlock, dump, loads
from cometreel.wire import Reply, Request

SERVER = "http://gws.corp:8080"
"""The server of the fixture `wire`."""

REPLAY = "https://replay.test:9443"


def replayed(file: ScenarioBlock, path: str, method: str = "GET") -> Reply:
    """Return the reply of a replay that the client calls `REPLAY`."""
    backend = Backend(loads(dump(file)), ReplaySettings())
    (reply,) = [*backend.receive(Request(1, method, path, base=REPLAY), 0.0), *backend.advance(1.0)]
    assert isinstance(reply, Reply)
    return reply


@pytest.mark.parametrize(
    ("value", "live"),
    [
        (f"{SERVER}/next?page=2#x", f"{REPLAY}/next?page=2"),
        (SERVER.upper().replace("HTTP", "http") + "/next", f"{REPLAY}/next"),
        ("//gws.corp:8080/next", f"{REPLAY}/next"),
        ("/next", "/next"),
        ("next", "next"),
        ("?page=2", "?page=2"),
        (f"{SERVER}/a{{b}}/{{{{c", f"{REPLAY}/a{{b}}/{{{{c"),
    ],
)
def test_a_redirect_leads_to_the_replay(wire: Any, value: str, live: str) -> None:
    fields = [("Location", value), ("Content-Length", "0")]
    wire.call(1, "GET", "/old", None, b"", status=302, reply_headers=fields)
    file = wire.distil().file
    assert replayed(file, "/old").headers.get("location") == live
    assert "gws.corp" not in wire.text() + dump(file)


def test_links_in_header_fields_and_bodies_lead_to_the_replay(wire: Any) -> None:
    link = f'<{SERVER}/list?page=2>; rel="next", <https://other.corp/x>; rel="help"'
    body: JSON = {
        "instance_url": SERVER,
        "connectUri": f"{SERVER}/cometd",
        "uri": f"{SERVER}/api/v2/me",
        "uris": [f"{SERVER}/a"],
        "self": {"href": f"{SERVER}/list", "socket": "ws://gws.corp:8080/cometd"},
        "help": "see https://other.corp/help or http://gws.corp:8080/help, please",
        "longer": f"{SERVER}.evil.corp/x",
    }
    fields = [("Content-Type", "application/json"), ("Link", link)]
    wire.call(1, "GET", "/list", None, body, reply_headers=fields)
    reply = replayed(wire.distil().file, "/list")
    found = json.loads(reply.body)
    assert (reply.headers.get("link") or "").startswith(f'<{REPLAY}/list?page=2>; rel="next", <https://host-')
    assert {key: found[key] for key in ("instance_url", "connectUri", "uri", "uris", "self")} == {
        "instance_url": REPLAY,
        "connectUri": f"{REPLAY}/cometd",
        "uri": f"{REPLAY}/api/v2/me",
        "uris": [f"{REPLAY}/a"],
        "self": {"href": f"{REPLAY}/list", "socket": "wss://replay.test:9443/cometd"},
    }
    assert f"or {REPLAY}/help, please" in found["help"]
    assert "https://host-" in found["help"]
    assert REPLAY not in found["longer"]


def test_links_in_notifications_lead_to_the_replay(wire: Any) -> None:
    wire.login(0, "session", "client")
    wire.call(1, "POST", "/api/v2/x", {"operationName": "Go"}, {"referenceId": 7}, session="session")
    wire.poll(
        1.5, 2, "client", {"channel": "/news", "data": {"referenceId": 7, "page": f"{SERVER}/p"}}, session="session"
    )
    (exchange,) = wire.distil().file.exchanges or []
    assert exchange.events is not None
    assert exchange.events[0].data == {"referenceId": 7, "page": {"$t": "{{ request.base }}/p"}}


def test_a_host_that_the_client_called_by_another_name_counts_too(wire: Any) -> None:
    """A server builds links from the Host field, which differs from the address in the request line behind a proxy."""
    flow = wire.request(1, "GET", "/old", headers=[("Host", "public.example:443")])
    wire.reply(1.1, flow, b"", status=302, headers=[("Location", "https://public.example/new")])
    assert replayed(wire.distil().file, "/old").headers.get("location") == f"{REPLAY}/new"


def test_links_with_identifiers_keep_them_as_variables(wire_of: Any) -> None:
    wire = wire_of("strict")
    bin_id = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
    fields = [("Location", f"{SERVER}/api/v2/workbins/{bin_id}")]
    wire.call(1, "GET", f"/api/v2/workbins/{bin_id}", None, b"", status=302, reply_headers=fields)
    reply = wire.distil().file.exchanges[0].reply
    assert reply.headers == {"location": {"$t": "{{ request.base }}/api/v2/workbins/{{ ids['workbin-1'] }}"}}
