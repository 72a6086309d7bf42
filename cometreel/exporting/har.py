"""Traffic as HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/)."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from cometreel import __version__
from cometreel.exporting.playing import Traffic
from cometreel.exporting.spoken import Spoken
from cometreel.jsonvalue import JSON, JSONObject, encode
from cometreel.wire import Headers, Reply, Request

__all__ = ["har"]


def har(traffic: Traffic) -> bytes:
    """Write traffic as a HAR file."""
    entries: list[JSON] = [_entry(one) for one in traffic.spoken]
    creator: JSON = {"name": "cometreel", "version": __version__}
    return encode({"log": {"version": "1.2", "creator": creator, "comment": traffic.title, "entries": entries}}) + b"\n"


def _entry(one: Spoken) -> JSONObject:
    took = round((one.ended - one.at) * 1000, 3)
    return {
        "startedDateTime": datetime.fromtimestamp(one.at, UTC).isoformat(timespec="microseconds"),
        "time": took,
        "request": _request(one.request),
        "response": _response(one.reply),
        "cache": {},
        "timings": {"send": 0, "wait": took, "receive": 0},
    }


def _request(request: Request) -> JSONObject:
    query = f"?{request.query}" if request.query else ""
    written: JSONObject = {
        "method": request.method,
        "url": f"{request.base}{request.path}{query}",
        "httpVersion": "HTTP/1.1",
        "cookies": [{"name": name, "value": value} for name, value in request.headers.cookies().items()],
        "headers": _fields(request.headers),
        "queryString": [{"name": name, "value": value} for name, value in parse_qsl(request.query, True)],
        "headersSize": -1,
        "bodySize": len(request.body),
    }
    if request.body:
        kind = request.headers.get("content-type") or ""
        written["postData"] = {"mimeType": kind, "text": request.body.decode("utf-8", "replace")}
    return written


def _response(reply: Reply | None) -> JSONObject:
    shared: JSONObject = {"httpVersion": "HTTP/1.1", "cookies": [], "redirectURL": "", "headersSize": -1}
    if reply is None:  # as Chrome writes a request that its user cancelled
        empty: JSONObject = {"status": 0, "statusText": "", "headers": [], "content": {"size": 0, "mimeType": ""}}
        return {**empty, **shared, "bodySize": -1, "_error": "net::ERR_ABORTED"}
    kind = reply.headers.get("content-type") or ""
    content: JSONObject = {"size": len(reply.body), "mimeType": kind}
    try:
        content["text"] = reply.body.decode()
    except UnicodeDecodeError:
        content |= {"text": base64.b64encode(reply.body).decode(), "encoding": "base64"}
    said: JSONObject = {"status": reply.status, "statusText": reply.reason, "headers": _fields(reply.headers)}
    return {**said, "content": content, **shared, "bodySize": len(reply.body)}


def _fields(headers: Iterable[tuple[str, str]] | Headers) -> list[JSON]:
    return [{"name": name, "value": value} for name, value in headers]
