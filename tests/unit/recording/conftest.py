"""A simulated client and server for tests, whose traffic goes to a recorder in simulated time."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from cometreel.jsonvalue import JSON
from cometreel.recording import Distilled, Recorder, distill, load_policy
from cometreel.recording.policy import Policy
from cometreel.scenario import profile
from cometreel.wire import Headers

START = 1_700_000_000.0
JSON_TYPE = ("Content-Type", "application/json;charset=UTF-8")


class Wire:
    """Passes simulated traffic to a recorder. Times are in seconds since the start."""

    def __init__(self, path: Path, policy: str | Policy = "default", profile_name: str = "gws-v2") -> None:
        self.path = path
        self.now = START
        self.reports: list[str] = []
        self._flows = 0
        chosen = load_policy(policy) if isinstance(policy, str) else policy
        self.profile = profile(profile_name)
        self.recorder = Recorder(
            path, policy=chosen, profile=self.profile, clock=lambda: self.now, report=self.reports.append
        )

    def request(
        self,
        at: float,
        method: str,
        path: str,
        body: JSON | bytes = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        session: str = "",
        wanted: bool = True,
    ) -> str:
        """Send a request; return its flow."""
        self._flows += 1
        flow = f"flow-{self._flows}"
        self.now = START + at
        cookie = [("Cookie", f"JSESSIONID={session}")] if session else []
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        typed = any(name.lower() == "content-type" for name, _ in headers)
        fields = Headers([*([] if typed else [JSON_TYPE]), *cookie, *headers])
        self.recorder.request(flow, method, f"http://gws.corp:8080{path}", fields, sent, wanted=wanted)
        return flow

    def reply(
        self,
        at: float,
        flow: str,
        body: JSON | bytes = None,
        *,
        status: int = 200,
        headers: Iterable[tuple[str, str]] = (JSON_TYPE,),
    ) -> None:
        """Reply to a request."""
        self.now = START + at
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        self.recorder.reply(flow, status, Headers(headers), sent)

    def call(self, at: float, method: str, path: str, body: JSON | bytes, answer: JSON | bytes, **more: object) -> None:
        """Send a request and reply 30 ms later."""
        status = more.pop("status", 200)
        reply_headers = more.pop("reply_headers", (JSON_TYPE,))
        flow = self.request(at, method, path, body, **more)  # type: ignore[arg-type]  # the keywords of `request`
        self.reply(at + 0.03, flow, answer, status=status, headers=reply_headers)  # type: ignore[arg-type]  # as above

    def bayeux(self, at: float, messages: JSON, **more: object) -> str:
        """Send Bayeux messages; return the flow."""
        return self.request(at, "POST", "/api/v2/notifications/", messages, wanted=False, **more)  # type: ignore[arg-type]  # the keywords of `request`

    def login(self, at: float, session: str, client: str, user: str = "") -> None:
        """Log in with a session cookie, and send a handshake."""
        if user:
            headers = [("Authorization", "Basic " + base64.b64encode(f"{user}:pass word!".encode()).decode())]
            self.call(at, "GET", "/api/v2/me", None, {"statusCode": 0}, session=session, headers=headers)
        flow = self.bayeux(at, [{"channel": "/meta/handshake", "version": "1.0", "id": "1"}], session=session)
        reply: JSON = [{"channel": "/meta/handshake", "successful": True, "id": "1", "clientId": client,
                        "advice": {"timeout": 30000, "interval": 0, "reconnect": "retry"}}]  # fmt: skip
        self.reply(at, flow, reply)

    def poll(self, at: float, until: float, client: str, *delivered: JSON, session: str = "", **ext: JSON) -> None:
        """Hold a poll from `at` to `until`, and deliver messages in its reply."""
        connect: dict[str, JSON] = {"channel": "/meta/connect", "id": "9", "clientId": client}
        flow = self.bayeux(at, [connect | ({"ext": {"ack": ext["acknowledges"]}} if ext else {})], session=session)
        done: dict[str, JSON] = {"channel": "/meta/connect", "id": "9", "successful": True}
        self.reply(until, flow, [*delivered, done | ({"ext": {"ack": ext["batch"]}} if ext else {})])

    def text(self) -> str:
        """Return the journal as text."""
        return self.path.read_text("utf-8")

    def distil(self, *, generalise: bool = False) -> Distilled:
        """Close the recorder and distill."""
        self.recorder.close()
        return distill(self.path, generalise=generalise)


@pytest.fixture
def wire(tmp_path: Path) -> Wire:
    return Wire(tmp_path / "session.jsonl")


@pytest.fixture
def wire_of(tmp_path: Path) -> Callable[..., Wire]:
    """Creates wires with another policy or profile."""

    def make(policy: str | Policy = "default", profile_name: str = "gws-v2", name: str = "session") -> Wire:
        return Wire(tmp_path / f"{name}.jsonl", policy, profile_name)

    return make
