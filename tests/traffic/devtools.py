"""A HAR file as Chrome's developer tools save it, made of the events that they make it of.

WebDriver can't press "Export HAR": the panel's own code does that, from the Network events of the DevTools protocol. A
headless Chromium gives the same events in its performance log, and bodies when asked; this puts them together in the
shape that the panel writes, `_webSocketMessages` and `_resourceType` too.
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
    """What the events said of one request so far."""

    request: Event = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    response: Event = field(default_factory=dict)
    answered: dict[str, str] = field(default_factory=dict)
    wall: float = 0.0
    began: float = 0.0
    ended: float | None = None
    error: str = ""
    frames: list[Event] | None = None


def har_of(driver: Chrome) -> Event:
    """Everything that the browser said since the last call, as HAR."""
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
    for name, said in events:
        if "requestId" not in said:
            continue
        one = found.setdefault(said["requestId"], _Exchange())
        if name == "requestWillBeSent":
            one.request, one.wall, one.began = said["request"], said["wallTime"], said["timestamp"]
        elif name == "requestWillBeSentExtraInfo":
            one.asked = said["headers"]
        elif name == "responseReceived":
            one.response = said["response"]
        elif name == "responseReceivedExtraInfo":
            one.answered = said["headers"]
        elif name in ("loadingFinished", "loadingFailed"):
            one.ended, one.error = said["timestamp"], said.get("errorText", "")
        else:
            _socket(one, name, said)
    return found


def _socket(one: _Exchange, name: str, said: Event) -> None:
    if name == "webSocketCreated":
        one.request, one.frames = {"url": said["url"], "method": "GET"}, []
    elif name == "webSocketWillSendHandshakeRequest":
        one.wall, one.began, one.asked = said["wallTime"], said["timestamp"], said["request"]["headers"]
    elif name == "webSocketHandshakeResponseReceived":
        one.response, one.ended = said["response"], said["timestamp"]
    elif name in ("webSocketFrameSent", "webSocketFrameReceived") and one.frames is not None:
        frame = said["response"]
        kind = "send" if name == "webSocketFrameSent" else "receive"
        time = one.wall + said["timestamp"] - one.began
        one.frames.append({"type": kind, "time": time, "opcode": frame["opcode"], "data": frame["payloadData"]})


def _entry(driver: Chrome, number: str, one: _Exchange) -> Event:
    started = datetime.fromtimestamp(one.wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    request = {
        "method": one.request["method"],
        "url": one.request["url"],
        "httpVersion": "HTTP/1.1",
        "headers": _pairs({**one.request.get("headers", {}), **one.asked}),
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
        "headers": _pairs(one.answered or one.response.get("headers", {})),
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
    except WebDriverException:  # a page that was left takes its bodies with it
        return content
    content |= {"size": len(body["body"]), "text": body["body"]}
    return {**content, "encoding": "base64"} if body["base64Encoded"] else content
