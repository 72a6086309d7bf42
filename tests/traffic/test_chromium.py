"""Import of HAR files of a real Chromium, with polls and with WebSockets."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from selenium.webdriver import Chrome

from cometreel.cli import ExitCode, run
from cometreel.jsonvalue import JSON
from cometreel.scenario import parse
from demo import peers
from demo.processes import Process
from tests.traffic.devtools import har_of

NOTIFICATIONS = "/api/v2/notifications"
REMOVED_FIELDS = ("cookie", "set-cookie", "authorization")
POLLING = """
const [user, done] = arguments;
const say = async (path, body, headers = {}) => (await fetch(path, {
    method: body === undefined ? "GET" : "POST", headers: {"Content-Type": "application/json", ...headers},
    body: body === undefined ? undefined : JSON.stringify(body)})).json();
const bayeux = (channel, more) => say("/api/v2/notifications", [{id: String(++number), channel, ...more}]);
let number = 0;
(async () => {
    await say("/api/v2/me");
    await say("/api/v2/me?subresources=*", undefined, {Authorization: `Basic ${user}`});
    await say("/api/v2/me", {operationName: "StartContactCenterSession", channels: ["multimedia"]});
    const types = ["long-polling"];
    const [{clientId}] = await bayeux("/meta/handshake", {version: "1.0", supportedConnectionTypes: types});
    await bayeux("/meta/subscribe", {clientId, subscription: "/v2/me/workbins"});
    const poll = () => bayeux("/meta/connect", {clientId, connectionType: "long-polling"});
    await poll();
    const asked = say("/api/v2/workbins", {operationName: "RequestAgentStats"});
    let heard = [];
    while (!heard.some(message => message.channel === "/v2/me/workbins")) heard = await poll();
    await asked;
    await bayeux("/meta/disconnect", {clientId});
    return heard.length;
})().then(done, error => done(String(error)));
"""
SOCKET = """
const [url, done] = arguments;
const socket = new WebSocket(url);
let number = 0, clientId;
const say = (channel, more) => socket.send(JSON.stringify([{id: String(++number), channel, clientId, ...more}]));
socket.onopen = () => say("/meta/handshake", {version: "1.0", supportedConnectionTypes: ["websocket"]});
socket.onerror = () => done("the WebSocket broke");
socket.onmessage = event => JSON.parse(event.data).forEach(message => {
    if (message.channel === "/meta/handshake") {
        clientId = message.clientId;
        say("/meta/connect", {connectionType: "websocket"});
        say("/chat/room", {data: {question: 1}});
    }
    if (message.channel === "/chat/news") setTimeout(() => done(message.data.answer), 100);
});
"""
CHAT = """
cometreel: 1
bayeux: {endpoint: /cometd, require_cookie: false, transports: [websocket, long-polling]}
exchanges:
  - name: hello
    request: {publish: /chat/room, data: {question: 1}}
    events:
      - {after: 30ms, channel: /chat/news, data: {answer: 2}}
"""


def imported(har: JSON, folder: Path) -> Path:
    """Import a HAR value."""
    file = folder / "browser.har"
    file.write_text(json.dumps(har))
    assert run(["import", str(file), "--url", "/api/v2/"]) == ExitCode.SUCCESS
    return file.with_suffix(".yaml")


def test_calls_and_held_polls_become_exchanges(browser: Chrome, tmp_path: Path, processes: list[Process]):
    server = peers.stand_in(tmp_path)
    processes.append(server.process)
    browser.get(f"{server.url}/api/v2/diagnostics/version")
    browser.delete_all_cookies()
    har_of(browser)
    user = base64.b64encode(f"{peers.ANN.user}:{peers.ANN.password}".encode()).decode()
    assert browser.execute_async_script(POLLING, user) >= 1
    path = imported(har_of(browser), tmp_path)
    file = parse(path)
    assert [exchange.name for exchange in file.exchanges or ()] == [
        "me, refused",
        "me",
        "start contact center session",
        "stats of my workbins",
    ]
    stats = (file.exchanges or [])[-1]
    assert stats.reply is not None
    assert stats.events is not None
    (event,) = stats.events
    assert isinstance(stats.reply.body, dict)
    assert isinstance(event.data, dict)
    assert event.data["referenceId"] == stats.reply.body["referenceId"]
    assert [file.bayeux and file.bayeux.endpoint, event.channel] == [NOTIFICATIONS, "/v2/me/workbins"]
    text = path.read_text()
    assert [secret for secret in (user, peers.ANN.password, "JSESSIONID=") if secret in text] == []


def test_messages_of_a_websocket_become_exchanges(browser: Chrome, tmp_path: Path, processes: list[Process]):
    chat = tmp_path / "chat.yaml"
    chat.write_text(CHAT)
    proxy = peers.mitmdump(tmp_path, "reverse:http://unused", peers.ADDONS / "replay.py", {"reel_scenario": chat})
    processes.append(proxy.process)
    browser.get(f"{proxy.url}/cometd")
    har_of(browser)
    url = f"{proxy.url}/cometd".replace("http:", "ws:")
    assert browser.execute_async_script(SOCKET, url) == 2
    har = har_of(browser)
    file = parse(imported(har, tmp_path))
    (exchange,) = file.exchanges or []
    assert exchange.request.model_dump(exclude_unset=True) == {"publish": "/chat/room", "data": {"question": 1}}
    (entry,) = file.timeline or []  # it contains no reference to a request
    assert (entry.since, entry.channel, entry.data) == (exchange.name, "/chat/news", {"answer": 2})
    assert file.bayeux is not None
    assert file.bayeux.transports == ["long-polling", "websocket"]


def test_a_file_without_cookies_is_imported_as_one_session(browser: Chrome, tmp_path: Path, processes: list[Process]):
    """Chrome exports cookies and credentials only *with sensitive data*."""
    server = peers.stand_in(tmp_path)
    processes.append(server.process)
    browser.get(f"{server.url}{NOTIFICATIONS}")
    browser.delete_all_cookies()
    har_of(browser)
    user = base64.b64encode(f"{peers.BEN.user}:{peers.BEN.password}".encode()).decode()
    assert browser.execute_async_script(POLLING, user) >= 1
    har = har_of(browser)
    for entry in har["log"]["entries"]:
        for side in ("request", "response"):
            entry[side]["headers"] = [
                field for field in entry[side]["headers"] if field["name"].lower() not in REMOVED_FIELDS
            ]
    file = parse(imported(har, tmp_path))
    names = {exchange.name: len(exchange.events or ()) for exchange in file.exchanges or ()}
    assert names["stats of my workbins"] == 1
    assert file.roles is None or len(file.roles) <= 1
