"""Cross-origin access: preflights and responses as bytes, then a page of another origin in a real Chromium."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from cometreel.cli import ExitCode, run
from cometreel.engine import ReplaySettings
from cometreel.errors import OptionInvalid
from cometreel.scenario import loads
from cometreel.serve import replay_app, serve_in_background, settings_for
from demo.processes import Process
from tests.chromium import Browser, chromium
from tests.serve.admin_client import TOKEN, administered
from tests.serve.conftest import SCENARIO, Serve, calls
from tests.serve.test_serve_command import COMETREEL

PAGE_ORIGIN = "http://localhost:3000"
OTHER = "http://evil.example"
RECORDED = (
    SCENARIO
    + """
  - name: recorded with other fields
    request: {method: GET, path: /api/v2/recorded}
    reply:
      headers:
        Access-Control-Allow-Origin: "*"
        Access-Control-Allow-Methods: GET
        X-CSRF-HEADER: X-CSRF-TOKEN
        Vary: Accept
      body: {statusCode: 0}
"""
)
SHAKES = [{"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["callback-polling"]}]


def fields_of(reply: httpx.Response) -> dict[str, list[str]]:
    """Return the fields of a reply that are about origins."""
    names = {name for name in reply.headers if name.startswith("access-control-") or name == "vary"}
    return {name: reply.headers.get_list(name) for name in sorted(names)}


ALLOWED = {
    "access-control-allow-credentials": ["true"],
    "access-control-allow-origin": [PAGE_ORIGIN],
    "vary": ["Origin"],
}


@pytest.fixture
def replay(serve: Serve) -> Iterator[Callable[..., httpx.Client]]:
    """Serve a scenario: `replay(cors=[ORIGIN])` is a client that sends an Origin."""
    with ExitStack() as stack:

        def start(origin: str | None = PAGE_ORIGIN, text: str = RECORDED, **settings: Any) -> httpx.Client:
            headers = {} if origin is None else {"Origin": origin}
            url = serve(text, **settings).url
            return stack.enter_context(httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=30))

        yield start


JSONP = "/api/v2/notifications?" + urlencode({"jsonp": "cb", "message": json.dumps(SHAKES)})
REQUESTS: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "an exchange": ("GET", "/api/v2/page", {}, 200),
    "without a body": ("GET", "/api/v2/nothing", {}, 204),
    "a miss": ("GET", "/nowhere", {}, 404),
    "a wrong method": ("DELETE", "/api/v2/page", {}, 405),
    "not JSON": ("POST", "/api/v2/x", {"content": b"{", "headers": {"Content-Type": "application/json"}}, 400),
    "a body that is too long": ("POST", "/api/v2/x", {"content": b"x" * 20_000_000}, 413),
    "an unknown coding": ("POST", "/api/v2/x", {"content": b"x", "headers": {"Content-Encoding": "x"}}, 415),
    "a handshake": ("POST", "/api/v2/notifications", {"json": SHAKES}, 200),
    "callback-polling": (
        "GET",
        JSONP,
        {},
        200,
    ),
    "no Bayeux": ("POST", "/api/v2/notifications", {"content": b"{"}, 400),
    "a wrong Bayeux method": ("GET", "/api/v2/notifications", {}, 400),
}


@pytest.mark.parametrize(("method", "path", "request_", "status"), REQUESTS.values(), ids=REQUESTS.keys())
def test_each_response_names_the_origin_of_the_page(
    replay: Callable[..., httpx.Client], method: str, path: str, request_: dict[str, Any], status: int
):
    reply = replay(cors=[PAGE_ORIGIN]).request(method, path, **request_)
    assert reply.status_code == status
    assert {**fields_of(reply), **ALLOWED} == fields_of(reply)


@pytest.mark.parametrize(("method", "path", "request_", "status"), REQUESTS.values(), ids=REQUESTS.keys())
def test_nothing_is_added_without_the_setting(
    replay: Callable[..., httpx.Client], method: str, path: str, request_: dict[str, Any], status: int
):
    assert fields_of(replay().request(method, path, **request_)) == {}


def test_recorded_fields_are_replaced_and_pages_can_read_the_other_fields(replay: Callable[..., httpx.Client]):
    reply = replay(cors=[PAGE_ORIGIN]).get("/api/v2/recorded")
    assert fields_of(reply) == {
        **ALLOWED,
        "access-control-expose-headers": ["x-csrf-header"],
        "vary": ["Accept", "Origin"],
    }


@pytest.mark.parametrize("origin", [OTHER, "null", "http://localhost:3001", "https://localhost:3000", "x\ty", None])
def test_another_origin_gets_no_access(replay: Callable[..., httpx.Client], origin: str | None):
    client = replay(origin, cors=[PAGE_ORIGIN])
    assert fields_of(client.get("/api/v2/recorded")) == {"vary": ["Accept", "Origin"]}
    preflight = client.options("/api/v2/page", headers={"Access-Control-Request-Method": "GET"})
    assert (preflight.status_code, fields_of(preflight)) == (405, {"vary": ["Origin"]})


@pytest.mark.parametrize("origin", [OTHER, "null", PAGE_ORIGIN])
def test_any_origin_is_echoed_because_of_credentials(replay: Callable[..., httpx.Client], origin: str):
    reply = replay(origin, cors="*").get("/api/v2/page")
    assert fields_of(reply) == {**ALLOWED, "access-control-allow-origin": [origin]}


@pytest.mark.parametrize("path", ["/api/v2/workbins", "/api/v2/notifications", "/nowhere"])
def test_a_preflight_is_answered_and_is_no_call(serve: Serve, path: str):
    served = serve(RECORDED, cors=[OTHER, PAGE_ORIGIN])
    asked = {
        "Origin": PAGE_ORIGIN,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type,x-csrf-token",
        "Access-Control-Request-Private-Network": "true",
    }
    reply = httpx.options(served.url + path, headers=asked, trust_env=False)
    assert reply.status_code == 204
    assert fields_of(reply) == {
        **ALLOWED,
        "access-control-allow-headers": ["content-type,x-csrf-token"],
        "access-control-allow-methods": ["PUT"],
        "access-control-allow-private-network": ["true"],
        "access-control-max-age": ["600"],
        "vary": ["Origin", "Access-Control-Request-Method, Access-Control-Request-Headers"],
    }
    assert calls(served) == []


def test_the_admin_api_is_never_allowed():
    bearer = {"Authorization": f"Bearer {TOKEN}", "Origin": PAGE_ORIGIN}
    with administered(cors="*") as reel:
        assert reel.get("/settings")["cors"] == ["*"]
        preflight = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
        for reply in (reel.admin.get("/", headers=bearer), reel.admin.options("/", headers={**bearer, **preflight})):
            assert (reply.status_code, fields_of(reply)) == (403, {})


def test_the_setting_of_the_scenario_is_used_and_the_command_line_takes_precedence():
    scenario = loads(f"settings: {{cors: {PAGE_ORIGIN}}}\n" + SCENARIO)
    assert settings_for(scenario).cors == (PAGE_ORIGIN,)
    assert settings_for(scenario, {"cors": [OTHER]}).cors == (OTHER,)
    assert settings_for(scenario, {"cors": None}).cors == (PAGE_ORIGIN,)
    with serve_in_background(replay_app(scenario)) as served:
        reply = httpx.get(served.url + "/api/v2/page", headers={"Origin": PAGE_ORIGIN}, trust_env=False)
        assert fields_of(reply) == ALLOWED


@pytest.mark.parametrize(
    "origin", ["localhost", "http://localhost:3000/", "http://", "http://a b", "http://*.example", ""]
)
def test_an_invalid_origin_is_an_error(origin: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    expected = "expected an origin without a path, such as http://localhost:3000, or * for any"
    with pytest.raises(OptionInvalid) as failure:
        ReplaySettings().under({"cors": [origin]})
    assert str(failure.value) == f"cors: {origin!r} is not an origin; {expected}"
    file = tmp_path / "scenario.yaml"
    file.write_text(SCENARIO)
    assert run(["serve", str(file), "--cors", origin]) == ExitCode.ERROR
    assert capsys.readouterr().err == f"cometreel: --cors: {origin!r} is not an origin; {expected}\n"


# ------------------------------------------------------------------ Chromium
FETCH = """
const [url, done] = [arguments[0], arguments[arguments.length - 1]];
const post = (path, body) => fetch(url + path, {
    method: 'POST', credentials: 'include', body: JSON.stringify(body),
    headers: {'Content-Type': 'application/json', 'X-CSRF-TOKEN': 'x'},
}).then(async reply => [reply.status, await reply.json()]);
(async () => {
    const found = {};
    const shaken = await post('/api/v2/notifications', [
        {channel: '/meta/handshake', version: '1.0', supportedConnectionTypes: ['long-polling']}]);
    found.handshake = shaken[1][0].successful;
    const clientId = shaken[1][0].clientId;
    found.connect = (await post('/api/v2/notifications', [
        {channel: '/meta/connect', connectionType: 'long-polling', advice: {timeout: 0}, clientId}]))[1][0].successful;
    found.miss = (await post('/nowhere', {}))[0];
    const reply = await fetch(url + '/api/v2/recorded', {credentials: 'include'});
    found.field = reply.headers.get('X-CSRF-HEADER');
    found.delete = await fetch(url + '/api/v2/page', {method: 'DELETE'}).then(reply => reply.status);
    done(found);
})().catch(error => done(String(error)));
"""


@pytest.fixture(scope="module")
def cross_origin_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Browser, str]]:
    """A browser on an empty page, and the origin of the page: the host `localhost`, and a port of its own."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "index.html").write_text("<!doctype html><title>a page</title>")
    handler = partial(_QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as pages, chromium() as browser:
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        origin = f"http://localhost:{pages.server_port}"
        browser.driver.set_script_timeout(30)
        browser.open(origin)
        yield browser, origin
        pages.shutdown()


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name of the base class
        """Log nothing."""


def on_localhost(url: str) -> str:
    """Return the URL with the host of the page, so that the browser sends cookies to it."""
    return url.replace("127.0.0.1", "localhost")


def test_a_page_of_another_origin_uses_the_replay_with_its_session(
    serve: Serve, cross_origin_page: tuple[Browser, str]
):
    browser, origin = cross_origin_page
    served = serve(RECORDED, cors=[origin])
    found = browser.driver.execute_async_script(FETCH, on_localhost(served.url))
    assert found == {"handshake": True, "connect": True, "miss": 404, "field": "X-CSRF-TOKEN", "delete": 405}


def test_a_page_of_another_origin_cannot_use_the_replay_without_the_setting(
    serve: Serve, cross_origin_page: tuple[Browser, str]
):
    browser, _ = cross_origin_page
    served = serve(RECORDED)
    assert browser.driver.execute_async_script(FETCH, on_localhost(served.url)) == "TypeError: Failed to fetch"


def test_a_page_of_another_origin_cannot_use_the_admin_api(cross_origin_page: tuple[Browser, str]):
    browser, origin = cross_origin_page
    script = """
        const [url, token, done] = arguments;
        fetch(url, {headers: {Authorization: 'Bearer ' + token}, credentials: 'include'})
            .then(reply => done(reply.status)).catch(error => done(String(error)));
    """
    with administered(cors=[origin]) as reel:
        url = on_localhost(reel.served.url) + "/__reel__/"
        assert browser.driver.execute_async_script(script, url, TOKEN) == "TypeError: Failed to fetch"


def test_the_command_line_takes_several_origins(tmp_path: Path, dial: Callable[[str], socket.socket]):
    file = tmp_path / "scenario.yaml"
    file.write_text(SCENARIO)
    command: list[str | Path] = [COMETREEL, "serve", file, "--cors", OTHER, "--cors", PAGE_ORIGIN]
    with Process("serve", command, tmp_path) as process:
        url = process.await_line(r"^(http://\S+)$")[1]
        connection = dial(url)
        connection.sendall(f"GET /api/v2/page HTTP/1.1\r\nHost: x\r\nOrigin: {PAGE_ORIGIN}\r\n\r\n".encode())
        received = connection.recv(65536)
    assert f"\r\naccess-control-allow-origin: {PAGE_ORIGIN}\r\n".encode() in received
