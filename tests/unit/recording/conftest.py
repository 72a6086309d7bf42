"""A wire for tests: a client and a server whose words go straight into a recorder, with time that is moved."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from cometreel.jsonvalue import JSON
from cometreel.recording import Distilled, Recorder, distill, load_policy
from cometreel.recording.policy import Policy
from cometreel.scenario import ExchangeBlock, profile
from cometreel.wire import Headers

START = 1_700_000_000.0
JSON_TYPE = ("Content-Type", "application/json;charset=UTF-8")


class Wire:
    """Records what is said. Each call says when it happens, in seconds since the start."""

    def __init__(self, path: Path, policy: str | Policy = "default", profile_name: str = "gws-v2") -> None:
        self.path = path
        self.now = START
        self.told: list[str] = []
        self._flows = 0
        chosen = load_policy(policy) if isinstance(policy, str) else policy
        self.profile = profile(profile_name)
        self.recorder = Recorder(
            path, policy=chosen, profile=self.profile, clock=lambda: self.now, tell=self.told.append
        )

    def ask(
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
        """Send a request; give its flow."""
        self._flows += 1
        flow = f"flow-{self._flows}"
        self.now = START + at
        cookie = [("Cookie", f"JSESSIONID={session}")] if session else []
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        fields = Headers([JSON_TYPE, *cookie, *headers])
        self.recorder.request(flow, method, f"http://gws.corp:8080{path}", fields, sent, wanted=wanted)
        return flow

    def answer(
        self,
        at: float,
        flow: str,
        body: JSON | bytes = None,
        *,
        status: int = 200,
        headers: Iterable[tuple[str, str]] = (JSON_TYPE,),
    ) -> None:
        """Answer a request."""
        self.now = START + at
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        self.recorder.reply(flow, status, Headers(headers), sent)

    def call(self, at: float, method: str, path: str, body: JSON | bytes, answer: JSON | bytes, **more: object) -> None:
        """Send a request and answer it 30 ms later."""
        status = more.pop("status", 200)
        reply_headers = more.pop("reply_headers", (JSON_TYPE,))
        flow = self.ask(at, method, path, body, **more)  # type: ignore[arg-type]  # the keywords of `ask`
        self.answer(at + 0.03, flow, answer, status=status, headers=reply_headers)  # type: ignore[arg-type]  # as above

    def bayeux(self, at: float, messages: JSON, **more: object) -> str:
        """Send Bayeux messages; give the flow."""
        return self.ask(at, "POST", "/api/v2/notifications/", messages, wanted=False, **more)  # type: ignore[arg-type]  # the keywords of `ask`

    def login(self, at: float, session: str, client: str, user: str = "") -> None:
        """Say hello as a user with a session cookie, and shake hands."""
        if user:
            headers = [("Authorization", "Basic " + base64.b64encode(f"{user}:pass word!".encode()).decode())]
            self.call(at, "GET", "/api/v2/me", None, {"statusCode": 0}, session=session, headers=headers)
        flow = self.bayeux(at, [{"channel": "/meta/handshake", "version": "1.0", "id": "1"}], session=session)
        reply: JSON = [{"channel": "/meta/handshake", "successful": True, "id": "1", "clientId": client,
                        "advice": {"timeout": 30000, "interval": 0, "reconnect": "retry"}}]  # fmt: skip
        self.answer(at, flow, reply)

    def poll(self, at: float, until: float, client: str, *delivered: JSON, session: str = "", **ext: JSON) -> None:
        """Hold a poll from `at` `until`, and let messages ride on its reply."""
        connect: dict[str, JSON] = {"channel": "/meta/connect", "id": "9", "clientId": client}
        flow = self.bayeux(at, [connect | ({"ext": {"ack": ext["acknowledges"]}} if ext else {})], session=session)
        done: dict[str, JSON] = {"channel": "/meta/connect", "id": "9", "successful": True}
        self.answer(until, flow, [*delivered, done | ({"ext": {"ack": ext["batch"]}} if ext else {})])

    def text(self) -> str:
        """The journal as text."""
        return self.path.read_text("utf-8")

    def distil(self, *, generalise: bool = False) -> Distilled:
        """Stop recording and distil."""
        self.recorder.close()
        return distill(self.path, generalise=generalise)


@pytest.fixture
def wire(tmp_path: Path) -> Wire:
    return Wire(tmp_path / "session.jsonl")


@pytest.fixture
def wire_of(tmp_path: Path) -> Callable[..., Wire]:
    """Makes wires under another policy or profile."""

    def make(policy: str | Policy = "default", profile_name: str = "gws-v2", name: str = "session") -> Wire:
        return Wire(tmp_path / f"{name}.jsonl", policy, profile_name)

    return make


def told(exchange: ExchangeBlock) -> list[JSON]:
    """The events of an exchange as short words: their reference number, else their id."""
    short: list[JSON] = []
    for event in exchange.events or []:
        data = event.data if isinstance(event.data, dict) else {}
        short.append(data.get("referenceId", data.get("operationId", data.get("id"))))
    return short
