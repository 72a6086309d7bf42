"""Builds HAR files in the format of Chrome's developer tools from the events of the DevTools protocol.

WebDriver can't use *Export HAR* of the developer tools. A headless Chromium provides the same Network events in its
performance log and the bodies on request, so this module builds the file, including `_webSocketMessages` and
`_resourceType`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome

Event = dict[str, Any]


@dataclass
class _Exchange:
    """The events of one request."""

    request: Event = field(default_factory=dict)
    request_headers: dict[str, str] = field(default_factory=dict)
    response: Event = field(default_factory=dict)
    response_headers: dict[str, str] = field(default_factory=dict)
    wall: float = 0.0
    began: float = 0.0
    ended: float | None = None
    error: str = ""
    frames: list[Event] | None = None


def har_of(driver: Chrome) -> Event:
    """Return the traffic of the browser since the last call as HAR."""
    entries = [_entry(driver, number, one) for number, one in _exchanges(_events(driver)).items() if one.wall]
    entries.sort(key=lambda entry: entry["startedDateTime"])
    creator = {"name": "WebInspector", "version": "537.36"}
    return {"log": {"version": "1.2", "creator": creator, "pages": [], "entries": entries}}


def _events(driver: Chrome) -> Iterable[tuple[str, Event]]:
    for line in driver.get_log("performance"):
        message = json.loads(line["message"])["message"]
        yield message["method"].removeprefix("Network."), message["params"]


def _exchanges(events: Iterable[tuple[str, Event]]) -> dict[str, _Exchange]:
    found: dict[str, _Exchange] = {}
    for name, params in events:
        if "requestId" not in params:
            continue
        one = found.setdefault(params["requestId"], _Exchange())
        if name == "requestWillBeSent":
            one.request, one.wall, one.began = params["request"], params["wallTime"], params["timestamp"]
        elif name == "requestWillBeSentExtraInfo":
            one.request_headers = params["headers"]
        elif name == "responseReceived":
            one.response = params["response"]
        elif name == "responseReceivedExtraInfo":
            one.response_headers = params["headers"]
        elif name in ("loadingFinished", "loadingFailed"):
            one.ended, one.error = params["timestamp"], params.get("errorText", "")
        else:
            _socket(one, name, params)
    return found


def _socket(one: _Exchange, name: str, params: Event) -> None:
    if name == "webSocketCreated":
        one.request, one.frames = {"url": params["url"], "method": "GET"}, []
    elif name == "webSocketWillSendHandshakeRequest":
        one.wall, one.began, one.request_headers = params["wallTime"], params["timestamp"], params["request"]["headers"]
    elif name == "webSocketHandshakeResponseReceived":
        one.response, one.ended = params["response"], params["timestamp"]
    elif name in ("webSocketFrameSent", "webSocketFrameReceived") and one.frames is not None:
        frame = params["response"]
        kind = "send" if name == "webSocketFrameSent" else "receive"
        time = one.wall + params["timestamp"] - one.began
        one.frames.append({"type": kind, "time": time, "opcode": frame["opcode"], "data": frame["payloadData"]})


def _entry(driver: Chrome, number: str, one: _Exchange) -> Event:
    started = datetime.fromtimestamp(one.wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    request = {
        "method": one.request["method"],
        "url": one.request["url"],
        "httpVersion": "HTTP/1.1",
        "headers": _pairs({**one.request.get("headers", {}), **one.request_headers}),
        "queryString": [],
        "cookies": [],
        "headersSize": -1,
        "bodySize": len(one.request.get("postData", "")),
    }
    if "postData" in one.request:
        request["postData"] = {"mimeType": "application/json", "text": one.request["postData"]}
    response = {
        "status": one.response.get("status", 0),
        "statusText": one.response.get("statusText", ""),
        "httpVersion": "HTTP/1.1",
        "headers": _pairs(one.response_headers or one.response.get("headers", {})),
        "cookies": [],
        "content": _content(driver, number, one),
        "redirectURL": "",
        "headersSize": -1,
        "bodySize": -1,
        "_error": one.error or None,
    }
    time = ((one.ended or one.began) - one.began) * 1000
    entry = {"startedDateTime": started, "time": time, "request": request, "response": response, "cache": {}}
    return {**entry, "timings": {"send": 0, "wait": time, "receive": 0}, **_kind(one)}


def _kind(one: _Exchange) -> Event:
    if one.frames is None:
        return {"_resourceType": "fetch"}
    return {"_resourceType": "websocket", "_webSocketMessages": one.frames}


def _pairs(headers: Mapping[str, str]) -> list[Event]:
    return [{"name": name, "value": value} for name, value in headers.items()]


def _content(driver: Chrome, number: str, one: _Exchange) -> Event:
    content: Event = {"size": 0, "mimeType": one.response.get("mimeType", "")}
    if one.frames is not None or one.ended is None or one.error:
        return content
    try:
        body = driver.execute_cdp_cmd("Network.getResponseBody", {"requestId": number})
    except WebDriverException:  # the bodies of a closed page are gone
        return content
    content |= {"size": len(body["body"]), "text": body["body"]}
    return {**content, "encoding": "base64"} if body["base64Encoded"] else content
