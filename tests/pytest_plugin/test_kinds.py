"""The fixtures in all kinds of tests: functions, asyncio, gevent, threads, unittest, pytest-xdist, session scope."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

PLAIN = """
import httpx, pytest
pytestmark = pytest.mark.reel("desktop.yaml", speed=0)
PLACE = {"operationName": "RequestAgentStats", "workbinType": "Place", "workbinOwner": "Place1"}

@pytest.mark.parametrize("number", range(3))
def test_it(reel, number):
    assert reel.calls == []
    assert httpx.post(reel.url + "/api/v2/workbins", json=PLACE).json() == {"statusCode": 0, "referenceId": 67}
    (call,) = reel.calls(operation="RequestAgentStats", owner_type="Place")
    assert (call.method, call.path, call.owner, call.exchange, call.status) == (
        "POST", "/api/v2/workbins", "Place1", "stats of place Place1", 200
    )
"""


def test_each_test_has_its_own_server(run: Callable[..., Any]):
    assert run(PLAIN).outcomes == {"passed": 3}


def test_in_xdist_workers(run: Callable[..., Any]):
    assert run(PLAIN, "-n", "2", subprocess=True).outcomes == {"passed": 3}


def test_in_coroutines(run: Callable[..., Any]):
    """Many requests at once, and calls of the reel while the event loop of the test runs."""
    ran = run(
        """
import asyncio, httpx, pytest

@pytest.mark.reel("desktop.yaml", speed=0)
async def test_it(reel):
    async with httpx.AsyncClient(base_url=reel.url) as client:
        replies = await asyncio.gather(*[client.get("/api/v2/diagnostics/version") for _ in range(20)])
    assert {reply.status_code for reply in replies} == {200}
    assert len(reel.calls(exchange="version")) == 20
    await asyncio.to_thread(lambda: reel.push("/v2/me", {}))
"""
    )
    assert ran.outcomes == {"passed": 1}


def test_with_a_websocket_without_cookies(run: Callable[..., Any], project: Any):
    (project.path / "no-cookie.yaml").write_text(
        "cometreel: 1\nbayeux: {endpoint: /cometd}\nsession: {cookie: none}\nexchanges: []\n"
    )
    ran = run(
        """
import json
from websockets.sync.client import connect

def test_it(reel):
    reel.play("no-cookie.yaml")
    message = {"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["websocket"]}
    with connect(reel.url.replace("http:", "ws:") + "/cometd", proxy=None) as client:
        client.send(json.dumps([message]))
        (reply,) = json.loads(client.recv(10))
    assert reply["successful"] is True
"""
    )
    assert ran.outcomes == {"passed": 1}


def test_in_threads(run: Callable[..., Any]):
    ran = run(
        """
import concurrent.futures, httpx

def test_it(reel):
    reel.play("desktop.yaml")

    def one(number):
        reply = httpx.get(reel.url + "/api/v2/diagnostics/version")
        return reply.status_code, len(reel.calls) > 0

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(24))) == {(200, True)}
    assert len(reel.calls) == 24
"""
    )
    assert ran.outcomes == {"passed": 1}


def test_in_a_process_patched_by_gevent(run: Callable[..., Any]):
    """The server runs in a native thread; a greenlet that waits for it does not block the others."""
    ran = run(
        """
import threading, time, gevent, httpx, pytest

@pytest.mark.reel("desktop.yaml", speed=0)
def test_it(reel):
    assert threading.get_ident.__module__ == "gevent.thread"

    def one():
        with httpx.Client(base_url=reel.url) as client:
            return [client.get("/api/v2/diagnostics/version").status_code for _ in range(5)]

    jobs = [gevent.spawn(one) for _ in range(8)]
    gevent.joinall(jobs, raise_error=True)
    assert [job.value for job in jobs] == [[200] * 5] * 8
    assert len(reel.calls(path="/api/v2/diagnostics/version/")) == 40
    httpx.get(reel.url + "/nothing")
    reel.allow_unmatched()

@pytest.mark.reel("desktop.yaml")
def test_failing(reel):
    httpx.get(reel.url + "/nothing")
""",
        "-p",
        "no:timeout",
        "-p",
        "no:asyncio",
        "-W",
        "ignore",
        subprocess=True,
        conftest="from gevent import monkey\nmonkey.patch_all()\n",
    )
    assert ran.outcomes == {"passed": 1, "failed": 1}
    assert "GET /nothing" in ran.part("test_failing")


def test_in_unittest(run: Callable[..., Any]):
    ran = run(
        """
import unittest, httpx, pytest

class DesktopTest(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def play(self, reel):
        self.reel = reel.play("desktop.yaml")

    def test_it(self):
        assert httpx.get(self.reel.url + "/api/v2/diagnostics/version").json()["version"] == "8.5"

    def test_failing(self):
        httpx.get(self.reel.url + "/nothing")
"""
    )
    assert ran.outcomes == {"passed": 1, "failed": 1}
    assert "GET /nothing" in ran.part("DesktopTest.test_failing")


SHARED = """
import httpx, pytest

@pytest.fixture(scope="session")
def client(reel_session):
    with httpx.Client(base_url=reel_session.play("desktop.yaml", speed=0).url) as client:
        yield client

def test_one(client):
    client.get("/api/v2/diagnostics/version")

def test_two(client, reel_session):
    reel_session.play("desktop.yaml", speed=0)
    client.get("/api/v2/diagnostics/version")
    assert [(call.session, call.exchange) for call in reel_session.calls] == [(1, "version")] * 2

def test_three(client):
    client.get("/nothing")

def test_four(client, reel_session):
    reel_session.allow_unmatched()
    client.get("/nothing")

def test_five(client):
    pass

def test_six(client):
    client.get("/nothing-else")

def test_without():
    pass
"""


def test_shared_reel_fails_each_test_only_for_its_own_requests(run: Callable[..., Any]):
    ran = run(SHARED, "--reel-strict")
    assert ran.outcomes == {"passed": 5, "failed": 2}
    assert "GET /nothing\n" in ran.part("test_three")
    assert "GET /nothing-else\n" in ran.part("test_six")
    assert ran.part("test_six").startswith("The test sent a request")


def test_reel_plays_only_one_scenario(run: Callable[..., Any], project: Any):
    (project.path / "other.yaml").write_text("cometreel: 1\nexchanges: []\n")
    ran = run(
        """
import pytest
from cometreel.errors import CometreelError

@pytest.mark.reel("desktop.yaml", speed=0)
def test_it(reel):
    assert reel.play("desktop.yaml", speed=0) is reel
    with pytest.raises(CometreelError) as refused:
        reel.play("other.yaml")
    assert str(refused.value) == (
        "the reel already plays desktop.yaml and can't play other.yaml; expected both in one reel.play(…)"
    )
    with pytest.raises(CometreelError):
        reel.play("desktop.yaml", speed=2)
"""
    )
    assert ran.outcomes == {"passed": 1}


@pytest.mark.parametrize(
    "given",
    [
        '"desktop.yaml"',
        'Path("desktop.yaml").absolute()',
        '"folder"',
        '"folder/one.yaml", "folder/two.yml"',
        'Path("desktop.yaml").read_text()',
        'load(["desktop.yaml"])',
    ],
)
def test_kinds_of_scenarios(run: Callable[..., Any], project: Any, given: str):
    folder = project.mkdir("folder")
    (folder / "one.yaml").write_text((project.path / "desktop.yaml").read_text())
    (folder / "two.yml").write_text("cometreel: 1\nexchanges:\n  - {name: x, request: {method: GET, path: /x}}\n")
    ran = run(
        f"""
from pathlib import Path
import httpx
from cometreel.scenario import load

def test_it(reel):
    reel.play({given}, speed=0)
    assert httpx.get(reel.url + "/api/v2/diagnostics/version").status_code == 200
"""
    )
    assert ran.outcomes == {"passed": 1}


def test_path_is_relative_to_the_test_file_first(run: Callable[..., Any], project: Any):
    deep = project.mkpydir("deep")
    (deep / "desktop.yaml").write_text("cometreel: 1\nexchanges:\n  - {name: deep, request: {method: GET, path: /x}}\n")
    source = "import httpx\n\ndef test_it(reel):\n    httpx.get(reel.play('desktop.yaml').url + '/x')\n"
    (deep / "test_deep.py").write_text(source)
    root = project.mkpydir("other")
    (root / "test_root.py").write_text(source.replace("/x", "/api/v2/diagnostics/version"))
    assert run("", "deep", "other").outcomes == {"passed": 2}


def test_edited_file_is_loaded_again(run: Callable[..., Any]):
    ran = run(
        """
from pathlib import Path
import httpx, pytest

@pytest.mark.parametrize("version", ["8.5", "9.0.1"])
def test_it(reel, version):
    file = Path("desktop.yaml")
    file.write_text(file.read_text().replace("8.5", version))
    assert httpx.get(reel.play("desktop.yaml").url + "/api/v2/diagnostics/version").json()["version"] == version
"""
    )
    assert ran.outcomes == {"passed": 2}


def test_invalid_arguments_of_play(run: Callable[..., Any]):
    ran = run(
        """
import pytest
from cometreel.errors import OptionInvalid
from cometreel.scenario import load

@pytest.mark.parametrize(("given", "sentence"), [
    ((), "reel.play: nothing to play; expected a file, YAML text or a Scenario"),
    ((7,), "reel.play: 7; expected a file, YAML text or a Scenario"),
    (("desktop.yaml", "a:\\n"), "reel.play: text or a scenario with other arguments; expected it alone, or files only"),
])
def test_it(reel, given, sentence):
    with pytest.raises(OptionInvalid) as refused:
        reel.play(*given)
    assert str(refused.value) == sentence
"""
    )
    assert ran.outcomes == {"passed": 3}


def test_the_clock_of_a_reel_is_moved_by_the_test(run: Callable[..., Any]):
    ran = run(
        """
import httpx, pytest

HANDSHAKE = {"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"]}

def expires(reel):
    httpx.post(reel.url + "/api/v2/notifications", json=[HANDSHAKE])
    return reel.clock.advance("30m").sessions_expired == 1

@pytest.mark.reel("desktop.yaml", clock="manual")
def test_marker(reel):
    assert expires(reel)

def test_play(reel):
    assert expires(reel.play("desktop.yaml", clock="manual"))

@pytest.mark.reel("desktop.yaml", clock="manual")
def test_marker_and_play(reel):
    assert expires(reel.play("desktop.yaml", clock="manual"))
"""
    )
    assert ran.outcomes == {"passed": 3}


def test_the_clock_of_a_reel_is_real_by_default(run: Callable[..., Any]):
    ran = run(
        """
import pytest

@pytest.mark.reel("desktop.yaml")
def test_it(reel):
    reel.clock.advance("30m")
"""
    )
    assert ran.outcomes == {"failed": 1}
    assert "OptionInvalid: clock: the replay uses the real clock; expected" in ran.text


def test_an_invalid_clock_is_reported(run: Callable[..., Any]):
    ran = run(
        """
import pytest

@pytest.mark.reel("desktop.yaml", clock="fast")
def test_it(reel):
    pass
"""
    )
    assert ran.outcomes == {"errors": 1}
    assert "@pytest.mark.reel: clock: 'fast'; expected 'real' or 'manual'" in ran.text
