"""No secret of a request is shown by anything that reads or writes calls."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import httpx
import pytest

from cometreel.engine.responders import ResponderRequest, Response
from cometreel.scenario import loads
from cometreel.serve import replay_app, serve_in_background
from cometreel.serve.failure_messages import failed_message, unmatched_message
from tests.serve.admin_client import administered
from tests.serve.secret_requests import SCENARIO, SECRET, send_secrets


def test_no_secret_of_a_request_is_shown_anywhere(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "cometreel")
    with administered(SCENARIO) as reel:
        count = send_secrets(reel.app)
        shown = {path: reel.admin.get(path).text for path in ("/calls", "/unmatched", "/sessions", "/", "/metrics")}
        for number in range(1, count + 1):
            shown[f"stub {number}"] = reel.admin.get(f"/unmatched/{number}/exchange").text
        with reel.admin.stream("GET", "/events?since=0") as stream:
            events = stream.iter_lines()
            shown["events"] = "\n".join(next(events) for _ in range(2 + 4 * count))
        calls = reel.served.call(lambda: reel.served.backend.journal.unmatched)
    assert len(calls) == count
    misses = [call.miss for call in calls if call.miss is not None]
    shown["log"] = caplog.text
    shown["calls as text"] = repr(calls)
    shown["near misses as text"] = "\n".join(map(str, misses))
    shown["near misses as JSON"] = json.dumps([near.as_json() for miss in misses for near in miss.nearest])
    shown["test failure"] = unmatched_message(calls, Path())
    assert [name for name, text in shown.items() if SECRET in text] == []
    masked = {name for name, text in shown.items() if "[hidden]" in text}
    assert masked >= {"/calls", "/unmatched", "events", "log", "calls as text", "near misses as JSON", "test failure"}


def test_the_secrets_in_a_responders_error_are_shown_neither_in_the_log_nor_in_the_test_failure(
    caplog: pytest.LogCaptureFixture,
):
    def fail(asked: ResponderRequest) -> Response:
        raise ValueError(f"no user for {asked.body}")

    with serve_in_background(replay_app(loads(SCENARIO), responders=[fail])) as served:
        httpx.post(served.url + "/login", json={"user": "kate", "otp": SECRET, "n": 1}, trust_env=False)
        calls = served.call(lambda: served.backend.calls)
    assert SECRET in calls[0].failure
    for text in (caplog.text, failed_message(calls)):
        assert SECRET not in text
        assert "{'user': 'kate', 'otp': '[hidden]', 'n': 1}" in text
