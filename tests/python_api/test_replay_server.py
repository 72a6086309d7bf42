"""`cometreel.replay` and `ReplayServer`, as a user of the Python API uses them."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

import cometreel
from tests.replay.desktop import AgentApplication

ROOT = Path(__file__).parents[2]
STATS = ROOT / "scenarios" / "request_agent_stats.yaml"
PLACE = {"operationName": "RequestAgentStats", "workbinType": "Place", "workbinOwner": "Place1"}
VERSION = """\
cometreel: 1
exchanges:
  - name: version
    request: {method: GET, path: /api/v2/version}
    reply: {body: {version: "8.5"}}
"""


def test_a_test_needs_five_lines():
    with cometreel.replay(STATS, speed=0) as server:
        reply = httpx.post(server.url + "/api/v2/workbins", json=PLACE)
        assert reply.json()["statusCode"] == 0
        assert server.calls(operation="RequestAgentStats")[0].exchange == "stats of place Place1"


def test_a_notification_is_delivered_and_a_push_reaches_the_client():
    with cometreel.replay(STATS, speed=0) as server, AgentApplication(server.url) as application:
        promised = application.request_stats(workbinType="Place", workbinOwner="Place1")
        application.poll()
        server.push("/v2/me/workbins", {"action": "ItemAdded"})
        application.poll()
        assert [message.get("referenceId") for message in application.messages] == [promised["referenceId"], None]
        assert application.messages[-1] == {"action": "ItemAdded"}
        (session,) = server.sessions
        assert (session.user, len(session.clients)) == ("agent-1", 1)


def test_a_push_reaches_only_its_session():
    with (
        cometreel.replay(STATS, speed=0) as server,
        AgentApplication(server.url, "agent-1") as one,
        AgentApplication(server.url, "agent-2") as two,
    ):
        first, second = (session.number for session in server.sessions)
        server.push("/v2/me/workbins", {"for": "one"}, first)
        server.push("/v2/me/workbins", {"for": "two"}, session=second)
        one.poll()
        two.poll()
    assert (one.messages, two.messages) == ([{"for": "one"}], [{"for": "two"}])


# ------------------------------------------------------------------ scenarios
def test_yaml_text_is_a_scenario():
    with cometreel.replay(VERSION) as server:
        assert httpx.get(server.url + "/api/v2/version").json() == {"version": "8.5"}
        assert server.calls[0].exchange == "version"


def test_several_files_are_combined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "one.yaml").write_text(VERSION)
    (tmp_path / "two.yaml").write_text(VERSION.replace("version", "health"))
    monkeypatch.chdir(tmp_path)
    with cometreel.replay("one.yaml", Path("two.yaml")) as server:
        assert httpx.get(server.url + "/api/v2/version").status_code == 200
        assert httpx.get(server.url + "/api/v2/health").status_code == 200


def test_a_loaded_scenario_can_be_replayed_twice():
    scenario = cometreel.Scenario.loads(VERSION)
    for _ in range(2):
        with cometreel.replay(scenario) as server:
            assert httpx.get(server.url + "/api/v2/version").status_code == 200
            assert len(server.calls) == 1


def test_without_a_scenario_every_request_is_unmatched():
    with cometreel.replay() as server:
        assert httpx.get(server.url + "/").status_code == 404
        assert [call.path for call in server.unmatched] == ["/"]


def test_a_missing_file_is_an_error_with_its_path(tmp_path: Path):
    with pytest.raises(cometreel.FileInvalid) as caught:
        cometreel.replay(tmp_path / "none.yaml")
    assert str(caught.value) == f"{tmp_path}/none.yaml: no such file; expected a scenario file or folder"


@pytest.mark.parametrize(
    ("arguments", "options", "text"),
    [
        ((7,), {}, "replay: 7; expected a file, YAML text or a Scenario"),
        ((VERSION, "a.yaml"), {}, "replay: text or a scenario with other arguments; expected it alone, or files only"),
        ((VERSION,), {"speed": -1}, "speed: -1 can't be used; expected a number, 0 or more"),
        ((VERSION,), {"port": 70000}, "port: 70000; expected a number from 0 to 65535"),
        ((VERSION,), {"port": "8080"}, "port: '8080'; expected a number from 0 to 65535"),
        (
            (VERSION,),
            {"cors": "https://a/b"},
            "cors: 'https://a/b' is not an origin; expected an origin",
        ),
        ((VERSION,), {"watch": True}, "watch: the scenario is not in files; expected files or folders"),
        ((), {"watch": True}, "watch: the scenario is not in files; expected files or folders"),
        (("",), {}, "replay: an empty text; expected a file, YAML text or a Scenario"),
        ((VERSION,), {"key": "key.pem"}, "key: given without its certificate; expected a certificate too"),
    ],
)
def test_an_invalid_argument_is_an_error(arguments: tuple[object, ...], options: dict[str, object], text: str):
    with pytest.raises(cometreel.OptionInvalid) as caught:
        cometreel.replay(*arguments, **options)  # type: ignore[arg-type]  # invalid arguments are the subject
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("text", ["cometreel: 1", '{"cometreel": 1, "title": "%s"}' % ("x" * 5000), "~nobody/a"])
def test_a_line_without_a_break_is_a_file(text: str):
    with pytest.raises(cometreel.FileInvalid, match=r"no such file; .* \(YAML text has a line break\)"):
        cometreel.replay(text)


# ------------------------------------------------------------------ calls
def test_calls_are_filtered_by_their_body():
    with cometreel.replay(STATS, speed=0) as server:
        for owner in ("Place1", "Place2"):
            httpx.post(server.url + "/api/v2/workbins", json={**PLACE, "workbinOwner": owner})
        assert [call.owner for call in server.calls(body={"workbinOwner": "Place2"})] == ["Place2"]
        assert [call.owner for call in server.calls(body={"workbinOwner": {"$regex": "^Place"}})] == [
            "Place1",
            "Place2",
        ]
        one_of = {"workbinOwner": cometreel.markers.one_of("Place2", "Place3")}
        assert [call.owner for call in server.calls(body=one_of)] == ["Place2"]
        assert server.calls(body={"workbinOwner": "Place2", "workbinType": "Agent"}) == []
        assert len(server.calls(owner_type="Place", method="post", path="/api/v2/workbins/")) == 2


def test_an_invalid_pattern_for_a_body_is_an_error():
    with cometreel.replay(VERSION) as server, pytest.raises(cometreel.OptionInvalid, match=r"^body: unknown marker"):
        server.calls(body={"$anyy": "string"})


def test_a_body_that_is_not_json_is_an_error():
    with cometreel.replay(VERSION) as server, pytest.raises(cometreel.OptionInvalid, match=r"^body: a value of the ty"):
        server.calls(body=object())  # type: ignore[arg-type]  # the wrong argument is the subject


def test_what_happened_is_readable_after_the_end():
    with cometreel.replay(VERSION) as server:
        httpx.get(server.url + "/api/v2/version")
        httpx.get(server.url + "/nothing")
    assert [call.exchange for call in server.calls] == ["version", None]
    assert (len(server.unmatched), server.unplayed, server.given_up) == (1, (), ())


# ------------------------------------------------------------------ commands
def test_a_fault_is_added_and_removed():
    with cometreel.replay(VERSION) as server:
        fault = server.fault({"exchange": "version", "status": 503})
        assert httpx.get(server.url + "/api/v2/version").status_code == 503
        assert [one.number for one in server.faults] == [fault.number]
        server.remove(fault)
        assert httpx.get(server.url + "/api/v2/version").status_code == 200
        with pytest.raises(cometreel.OptionInvalid, match=r"^fault: no active fault has the number 1; expected none"):
            server.remove(fault)


def test_a_responder_answers_first_until_a_reset():
    with cometreel.replay(VERSION) as server:

        @server.register
        def newer(request: cometreel.ResponderRequest) -> cometreel.Response | None:
            return cometreel.Response({"version": "9.0"}) if request.path == "/api/v2/version" else None

        assert httpx.get(server.url + "/api/v2/version").json() == {"version": "9.0"}
        server.reset()
        assert server.calls == []
        assert httpx.get(server.url + "/api/v2/version").json() == {"version": "8.5"}


def test_responders_of_the_start_stay_after_a_reset():
    def newer(request: cometreel.ResponderRequest) -> cometreel.Response | None:
        return cometreel.Response({"version": "9.0"})

    with cometreel.replay(VERSION, responders=[newer]) as server:
        server.reset()
        assert httpx.get(server.url + "/api/v2/version").json() == {"version": "9.0"}


_ANY: Any = {"text": "x", "number": 1, "set": {1}, "mapping": {"a": 1}, "bytes": b"x"}
"""Values that type checkers refuse."""


async def _asynchronous(request: cometreel.ResponderRequest) -> cometreel.Response | None:
    return None


@pytest.mark.parametrize(
    ("respond", "text"),
    [
        (lambda: _ANY["mapping"], "return value: a mapping; expected a Response or None"),
        (lambda: cometreel.Response(float("nan")), "body: it can't be encoded: Out of range float values"),
        (
            lambda: cometreel.Response(_ANY["bytes"]),
            "body: it can't be encoded: Object of type bytes",
        ),
        (lambda: cometreel.Response(content=_ANY["text"]), "content: the text 'x'; expected bytes"),
        (lambda: cometreel.Response(status=99), "status: the number 99; expected an HTTP status from 200 to 599"),
        (lambda: cometreel.Response(headers={"a b": "c"}), "headers: the text 'a b'; expected the name of a header"),
        (lambda: cometreel.Response(headers={"A": "b\r\nC: d"}), "headers['A']: the text "),
        (lambda: cometreel.Response(after_seconds=-1), "after_seconds: the number -1; expected a number of seconds"),
        (lambda: cometreel.Response(events=[_ANY["number"]]), "events: the number 1; expected a Notification"),
        (lambda: cometreel.Notification("news", 1), "channel: the text 'news'; expected a channel such as"),
        (lambda: cometreel.Notification("/news", _ANY["set"]), "data: it can't be encoded: Object of type set"),
    ],
)
def test_an_invalid_response_is_a_failed_call(respond: Callable[[], cometreel.Response], text: str):
    with cometreel.replay(VERSION) as server:
        server.register(lambda request: respond())
        reply = httpx.get(server.url + "/api/v2/version")
        assert (reply.status_code, reply.json()["statusCode"]) == (500, 4)
        assert server.failed[0].failure.startswith(f"the responder <lambda> failed: OptionInvalid: {text}")
        assert [call.outcome for call in server.calls] == ["failed"]


@pytest.mark.parametrize(
    ("responder", "text"),
    [
        (5, "responder: the number 5; expected a function"),
        (_asynchronous, "responder: _asynchronous is an async function; expected a function without async"),
    ],
)
def test_a_responder_is_a_function(responder: cometreel.Responder, text: str):
    with cometreel.replay(VERSION) as server, pytest.raises(cometreel.OptionInvalid) as caught:
        server.register(responder)
    assert str(caught.value) == text
    with pytest.raises(cometreel.OptionInvalid) as caught:
        cometreel.replay(VERSION, responders=[responder])
    assert str(caught.value) == text


def test_a_responder_can_not_close_its_server():
    with cometreel.replay(VERSION) as server:

        @server.register
        def closing(request: cometreel.ResponderRequest) -> None:
            server.close()

        assert httpx.get(server.url + "/api/v2/version").status_code == 500
        assert server.failed[0].failure.startswith("the responder closing failed: CalledByServer: ")
        server.reset()
        assert httpx.get(server.url + "/api/v2/version").status_code == 200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes can't be forked")
def test_a_forked_process_can_not_use_the_server_but_close_it():
    program = """
import cometreel, os
server = cometreel.replay()
if not (child := os.fork()):
    try:
        server.reset()
    except cometreel.ServerStopped as error:
        print(error, flush=True)
    server.close()
    os._exit(0)
os.waitpid(child, 0)
server.reset()
server.close()
print("closed")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    child, parent = done.stdout.splitlines()
    assert child.startswith("the server at http://127.0.0.1:")
    assert child.endswith(" runs in another process, which forked this one")
    assert parent == "closed"


def test_the_scenario_is_replaced():
    with cometreel.replay(VERSION) as server:
        server.replace(VERSION.replace("8.5", "9.0"))
        assert httpx.get(server.url + "/api/v2/version").json() == {"version": "9.0"}
        server.reset()
        assert httpx.get(server.url + "/api/v2/version").json() == {"version": "9.0"}


def test_the_speed_is_read_and_set():
    with cometreel.replay(VERSION, speed=2) as server:
        assert server.speed == 2
        server.speed = 0
        assert server.speed == 0
        with pytest.raises(cometreel.OptionInvalid, match=r"^speed: -1 can't be used; expected a number, 0 or more$"):
            server.speed = -1


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (lambda server: server.push("/news", 1, 9), "session: no live session has the number 9; expected none: "),
        (lambda server: server.push("/news", 1, user="ann"), "user: 'ann' has no live session; expected none: "),
        (lambda server: server.push("news", 1), "channel: the text 'news'; expected a channel such as"),
        (lambda server: server.push("/news", 1, ext=_ANY["number"]), "ext: the number 1; expected a mapping"),
        (lambda server: server.fault({"exchange": "none", "status": 500}), "fault: exchange: unknown exchange 'none'"),
    ],
)
def test_an_invalid_command_is_an_error_and_the_server_continues(
    command: Callable[[cometreel.ReplayServer], object], text: str
):
    with cometreel.replay(VERSION) as server:
        with pytest.raises(cometreel.InputError) as caught:
            command(server)
        assert str(caught.value).startswith(text)
        assert httpx.get(server.url + "/api/v2/version").status_code == 200


# ------------------------------------------------------------------ strict
UNMATCHED = """\
A client sent a request that the scenario does not answer.

GET /api/v2/versions
  nearest: 'version' (<text>:3)
    matches: method, query, body
    differs: path is /api/v2/versions, not /api/v2/version"""


def test_a_strict_replay_raises_at_the_end_of_the_block():
    with pytest.raises(cometreel.UnmatchedRequests) as caught, cometreel.replay(VERSION, strict=True) as server:
        httpx.get(server.url + "/api/v2/versions")
    assert str(caught.value) == UNMATCHED
    assert [call.path for call in caught.value.unmatched] == ["/api/v2/versions"]


def test_a_strict_replay_counts_all_unmatched_requests():
    server = cometreel.replay(strict=True)
    with httpx.Client(base_url=server.url) as client:
        handshake = {"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"]}
        (reply,) = client.post("/cometd", json=[handshake]).json()
        publish = {"channel": "/service/none", "data": 1, "clientId": reply["clientId"]}
        for _ in range(12):
            assert len(client.post("/cometd", json=[publish] * 100).json()) == 100
    with pytest.raises(cometreel.UnmatchedRequests) as caught:
        server.close()
    assert str(caught.value).startswith("A client sent 1200 requests that the scenario does not answer.")
    assert str(caught.value).endswith("\n\nand 1190 more")
    assert len(caught.value.unmatched) == 1000  # the latest


def test_errors_are_pickled_and_copied_with_their_attributes():
    errors: list[cometreel.CometreelError] = []
    for function in (
        lambda: cometreel.reply(after="34"),
        lambda: cometreel.replay(_ANY["number"]),
        _closed_after_an_unmatched_request,
    ):
        with pytest.raises(cometreel.CometreelError) as caught:
            function()
        errors.append(caught.value)
    for error in errors:
        for again in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
            assert (type(again), str(again), vars(again).keys()) == (type(error), str(error), vars(error).keys())


def _closed_after_an_unmatched_request() -> None:
    with cometreel.replay(VERSION, strict=True) as server:
        httpx.get(server.url + "/api/v2/versions")


def test_a_strict_replay_adds_a_note_to_the_exception_of_the_block():
    error = ZeroDivisionError()
    with suppress(ZeroDivisionError), cometreel.replay(VERSION, strict=True) as server:
        httpx.get(server.url + "/api/v2/versions")
        raise error
    assert error.__notes__ == [UNMATCHED]


def test_a_strict_replay_without_unmatched_requests_ends_silently():
    with cometreel.replay(VERSION, strict=True) as server:
        httpx.get(server.url + "/api/v2/version")


def test_a_strict_replay_raises_for_a_response_that_cannot_be_rendered():
    scenario = VERSION.replace('"8.5"', '{$t: "{{ request.body.id }}"}')
    with pytest.raises(AssertionError) as caught, cometreel.replay(scenario, strict=True) as server:
        assert httpx.get(server.url + "/api/v2/version").status_code == 500
    assert str(caught.value).startswith(
        "A client sent a request whose response could not be rendered.\n\nGET /api/v2/version\n  'version' can't be"
    )


# ------------------------------------------------------------------ threads, coroutines, greenlets
async def test_in_a_coroutine():
    async with cometreel.replay(STATS, speed=0) as server, httpx.AsyncClient(base_url=server.url) as client:
        replies = await asyncio.gather(*[client.post("/api/v2/workbins", json=PLACE) for _ in range(20)])
        assert {reply.status_code for reply in replies} == {200}
        assert len(server.calls(operation="RequestAgentStats")) == 20


async def until_a_poll_is_held(server: cometreel.ReplayServer) -> None:
    while not server.sessions[0].clients[0].polls:  # noqa: ASYNC110  # the server has no event for it
        await asyncio.sleep(0)


async def test_the_end_of_an_asynchronous_block_answers_a_poll_of_the_same_event_loop():
    scenario = "cometreel: 1\nbayeux: {endpoint: /cometd}\n"
    handshake = {"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"]}
    async with httpx.AsyncClient(timeout=30) as client:
        async with cometreel.replay(scenario) as server:
            (reply,) = (await client.post(server.url + "/cometd", json=[handshake])).json()
            connect = {"channel": "/meta/connect", "connectionType": "long-polling", "clientId": reply["clientId"]}
            await client.post(server.url + "/cometd", json=[connect])
            held = asyncio.create_task(client.post(server.url + "/cometd", json=[connect]))
            await until_a_poll_is_held(server)
        (answer,) = (await held).json()
    assert answer["successful"] is True


def test_from_many_threads():
    with cometreel.replay(VERSION) as server, ThreadPoolExecutor(8) as pool:

        def one(number: int) -> int:
            httpx.get(server.url + "/api/v2/version")
            server.speed = number
            return len(server.calls)

        assert max(pool.map(one, range(24))) == 24


def test_a_server_that_is_closed_refuses_commands_and_closes_again():
    server = cometreel.replay(VERSION)
    url = server.url
    server.close()
    server.close()
    with pytest.raises(cometreel.ServerStopped, match=f"^the server at {url} has been stopped$"):
        server.push("/news", 1)
    assert repr(server) == f"<ReplayServer closed {url}>"


GEVENT = """
from gevent import monkey
monkey.patch_all()
import gevent, httpx, cometreel

with cometreel.replay({scenario!r}) as server:
    jobs = [gevent.spawn(httpx.get, server.url + "/api/v2/version") for _ in range(8)]
    gevent.joinall(jobs, raise_error=True)
    print([job.value.status_code for job in jobs], len(server.calls))
"""


def test_in_greenlets():
    ended = subprocess.run(
        [sys.executable, "-c", GEVENT.format(scenario=VERSION)], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.stdout == "[200, 200, 200, 200, 200, 200, 200, 200] 8\n", ended.stderr


# ------------------------------------------------------------------ options of the server
def test_watched_files_are_loaded_again(tmp_path: Path):
    file = tmp_path / "desktop.yaml"
    file.write_text(VERSION)
    with cometreel.replay(file, watch=True) as server:
        file.write_text(VERSION.replace("8.5", "9.0-beta"))
        version = "8.5"
        while version == "8.5":  # pytest-timeout ends the test if the file is not loaded
            version = httpx.get(server.url + "/api/v2/version").json()["version"]
        assert version == "9.0-beta"


def test_requests_of_other_origins_are_allowed_with_cors():
    with cometreel.replay(VERSION, cors=["https://app.example"]) as server:
        reply = httpx.get(server.url + "/api/v2/version", headers={"Origin": "https://app.example"})
        assert reply.headers["access-control-allow-origin"] == "https://app.example"


def test_unmatched_requests_are_forwarded_to_the_upstream():
    with cometreel.replay(VERSION) as real, cometreel.replay(upstream=real.url) as server:
        assert httpx.get(server.url + "/api/v2/version").json() == {"version": "8.5"}
        assert [call.outcome for call in server.calls] == ["forwarded"]
