"""Requests and publishes as they were said on the wire, without the form that a scenario would give them.

For those that were never answered, and those that no scenario can hold. Where they stand is the caller's to say.
"""

from __future__ import annotations

from cometreel.recording import WireEvent
from cometreel.recording.transcript import RecordedCall, RecordedPublish
from cometreel.show.conversation import Exchange

__all__ = ["called", "published", "requested"]


def requested(request: WireEvent) -> Exchange:
    """Make an exchange of a request alone."""
    target = f"{request.path}?{request.query}" if request.query else request.path
    body = request.body.value if request.body.kind in ("json", "text") else None
    name = f"{request.method} {request.path}"
    return Exchange(name, 0, request.at, request.method, target, request.method, request=body)


def called(call: RecordedCall) -> Exchange:
    """Make an exchange of a request and its reply."""
    made = requested(call.request)
    body = call.reply.body.value if call.reply.body.kind in ("json", "text") else None
    return Exchange(
        made.name,
        0,
        call.at,
        made.method,
        made.target,
        made.method,
        "",
        made.request,
        str(call.reply.status),
        reply=body,
    )


def published(publish: RecordedPublish) -> Exchange:
    """Make an exchange of a publish and its answer."""
    channel = str(publish.message.get("channel", ""))
    answer = publish.reply or {}
    status = "refused" if answer.get("successful") is False else "ok"
    said = {name: value for name, value in answer.items() if name in ("error", "data", "ext")}
    data = publish.message.get("data")
    return Exchange(
        f"publish {channel}", 0, publish.at, "PUBLISH", channel, "PUBLISH", "", data, status, reply=said or None
    )
