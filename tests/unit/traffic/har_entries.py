"""Builds HAR files for tests; times are seconds since `START`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from cometreel.jsonvalue import JSON, JSONObject

START = 1_700_000_000.0
BASE = "http://gws.example:8080"


def entry(
    at: float,
    method: str,
    path: str,
    body: JSON = None,
    reply_body: JSON = None,
    *,
    seconds: float = 0.01,
    kind: str = "application/json",
    session: str = "s1",
    **more: JSON,
) -> JSONObject:
    """One entry: a call and its reply."""
    cookie: list[JSON] = [{"name": "Cookie", "value": f"JSESSIONID={session}"}]
    posted: JSONObject = {} if body is None else {"postData": {"mimeType": kind, "text": json.dumps(body)}}
    text = reply_body if isinstance(reply_body, str) else json.dumps(reply_body)
    reply: JSONObject = {
        "status": 200,
        "headers": [{"name": "Content-Type", "value": kind}],
        "content": {"size": len(text), "mimeType": kind, "text": text},
    }
    return {
        "startedDateTime": datetime.fromtimestamp(START + at, UTC).isoformat(),
        "time": seconds * 1000,
        "request": {"method": method, "url": BASE + path, "headers": cookie, **posted},
        "response": reply,
        **more,
    }


def bayeux(at: float, sent: Mapping[str, JSON], *replies: Mapping[str, JSON], seconds: float = 0.01) -> JSONObject:
    """One entry: a Bayeux message and the messages of its reply."""
    return entry(
        at, "POST", "/api/v2/notifications", [dict(sent)], [dict(reply_body) for reply_body in replies], seconds=seconds
    )


def conversation() -> list[JSONObject]:
    """A handshake, a held poll, and a call whose notification arrives on that poll."""
    channel = "/v2/me/workbins"
    done: JSONObject = {"successful": True, "clientId": "c1"}
    shake: JSONObject = {"channel": "/meta/handshake", "id": "1", "version": "1.0"}
    return [
        bayeux(0, {**shake, "supportedConnectionTypes": ["long-polling"]}, {**shake, **done}),
        bayeux(
            1,
            {"channel": "/meta/connect", "id": "2", "clientId": "c1", "connectionType": "long-polling"},
            {"channel": channel, "data": {"messageType": "WorkbinStatsMessage", "referenceId": 7, "workbinStats": {}}},
            {"channel": "/meta/connect", "id": "2", "successful": True},
            seconds=1.15,
        ),
        entry(
            2,
            "POST",
            "/api/v2/workbins",
            {"operationName": "RequestAgentStats"},
            {"statusCode": 0, "referenceId": 7},
            seconds=0.034,
        ),
    ]


def har(path: Path, entries: Iterable[JSON]) -> Path:
    """Write a HAR file."""
    path.write_text(json.dumps({"log": {"version": "1.2", "entries": [*entries]}}))
    return path
