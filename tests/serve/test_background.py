"""A server on a background thread: calls from threads, greenlets and coroutines, and its stop."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from cometreel.engine import Backend
from cometreel.engine.driver import Driver
from cometreel.errors import BugError, OptionInvalid
from cometreel.scenario import loads
from cometreel.serve import (
    BackgroundServer,
    ListenOptions,
    ReplayApp,
    ServerStopped,
    replay_app,
    serve_in_background,
    settings_for,
)
from tests.serve.conftest import SCENARIO, Serve, calls


def test_a_call_runs_on_the_event_loop_of_the_server(serve: Serve):
    served = serve()
    loop = served.call(asyncio.get_running_loop)
    assert loop is served.call(asyncio.get_running_loop)
    assert served.call(threading.get_ident) != threading.get_ident()
    assert served.call(sorted, [1, 3, 2], reverse=True) == [3, 2, 1]


def test_a_call_raises_the_exception_of_its_function_and_the_server_continues(serve: Serve):
    served = serve()
    with pytest.raises(ZeroDivisionError):
        served.call(lambda: 1 / 0)
    assert served.call(lambda: 1) == 1


async def test_a_call_from_a_coroutine_of_another_loop_is_answered(serve: Serve):
    served = serve()
    assert served.call(asyncio.get_running_loop) is not asyncio.get_running_loop()


def test_a_call_on_the_thread_of_the_server_runs_directly(serve: Serve):
    served = serve()
    assert served.call(lambda: served.call(lambda: "inner")) == "inner"


def test_calls_from_many_threads_get_their_own_results(serve: Serve):
    served = serve()
    with ThreadPoolExecutor(8) as pool:
        assert [*pool.map(lambda number: served.call(lambda: number), range(100))] == [*range(100)]


def test_a_stopped_server_refuses_calls_and_can_be_stopped_again():
    with serve_in_background(replay_app(loads(SCENARIO))) as served:
        url = served.url
    served.stop()
    with pytest.raises(ServerStopped, match=f"^the server at {url} has been stopped$"):
        served.call(lambda: 1)
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)


def test_a_startup_error_is_raised_in_the_calling_thread(serve: Serve):
    port = int(serve().url.rpartition(":")[2])
    with pytest.raises(OptionInvalid) as refused:
        serve(listening=ListenOptions(port=port))
    text = f"port: {port} on 127.0.0.1 is used by another program; expected a free port (0 selects one)"
    assert str(refused.value) == text


NO_ADDRESS = {
    "a port beyond all": (ListenOptions(port=70_000), "port: 70000; expected a number from 0 to 65535"),
    "another machine": (
        ListenOptions("192.0.2.1"),
        "host: '192.0.2.1' is not an address of this machine; expected 127.0.0.1, 0.0.0.0 or the like",
    ),
}


@pytest.mark.parametrize(("listening", "text"), NO_ADDRESS.values(), ids=NO_ADDRESS)
def test_an_unavailable_address_is_refused(serve: Serve, listening: ListenOptions, text: str):
    with pytest.raises(OptionInvalid) as refused:
        serve(listening=listening)
    assert str(refused.value) == text


@pytest.mark.parametrize(("host", "shown"), [("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("localhost", "localhost")])
def test_the_url_works_for_local_clients(serve: Serve, host: str, shown: str):
    url = serve(listening=ListenOptions(host)).url
    assert url.rpartition(":")[0] == f"http://{shown}"
    assert httpx.get(url + "/api/v2/page", trust_env=False).text == "a page"


def test_any_asgi_application_is_served_and_closed():
    happened: list[str] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"any"})

    @asynccontextmanager
    async def opening() -> AsyncIterator[ASGIApp]:
        happened.append("opened")
        yield app
        happened.append("ended")

    with serve_in_background(opening) as served:
        assert httpx.get(served.url, trust_env=False).text == "any"
        assert happened == ["opened"]
    assert happened == ["opened", "ended"]


def test_an_exception_during_shutdown_is_raised_by_stop():
    @asynccontextmanager
    async def opening() -> AsyncIterator[ASGIApp]:
        yield ReplayApp(Driver(Backend(loads(SCENARIO))))
        raise ZeroDivisionError

    served = serve_in_background(opening)
    with pytest.raises(ZeroDivisionError):
        served.stop()
    served.stop()


def test_each_application_of_a_factory_is_a_new_replay():
    opening = replay_app(loads(SCENARIO))
    found = []
    for _ in range(2):
        with serve_in_background(opening) as served:
            httpx.get(served.url + "/api/v2/page", trust_env=False)
            found.append(calls(served))
    assert found == [[("GET /api/v2/page", "a page")]] * 2


async def test_an_application_with_another_engine_has_no_backend():
    class Other:
        app = ReplayApp(Driver(object()))  # type: ignore[arg-type]  # any object will do

    with pytest.raises(BugError, match="expected a Backend"):
        BackgroundServer.backend.fget(Other())  # type: ignore[attr-defined]  # the property's own function


def test_settings_of_the_caller_override_the_scenario_which_overrides_the_defaults():
    scenario = loads(SCENARIO + "settings: {speed: 2, seed: file}\n")
    settings = settings_for(scenario, {"speed": 3, "auth": None})
    assert (settings.speed, settings.seed, settings.auth) == (3, "file", "open")


GEVENT = """
from gevent import monkey
monkey.patch_all()
import gevent, urllib.request
from cometreel.scenario import loads
from cometreel.serve import replay_app, serve_in_background

with serve_in_background(replay_app(loads({scenario!r}))) as served:
    def ask():
        return urllib.request.urlopen(served.url + "/api/v2/page").read().decode()

    asking = [gevent.spawn(ask) for _ in range(5)]
    gevent.joinall(asking, raise_error=True)
    print([one.value for one in asking] == ["a page"] * 5, served.call(lambda: len(served.backend.calls)))
"""


def test_greenlets_can_call_a_server_in_a_process_patched_by_gevent():
    """The greenlets and the server share a process, not a thread: a greenlet that waits doesn't stop the server."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", GEVENT.format(scenario=SCENARIO)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == ("True 5\n", "")
