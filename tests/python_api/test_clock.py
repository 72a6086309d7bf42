"""`server.clock` over real sockets: the clock waits for clients, and tests need no sleep."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, Self

import httpx
import pytest
from websockets.sync.client import connect

import cometreel
from cometreel.serve.background import CalledByServer, ServerStopped

PATIENCE = 30.0
SCENARIO = """\
cometreel: 1
bayeux: {endpoint: /cometd, advice: {timeout: 30000, interval: 0}, max_interval: 10s, deliver: all}
exchanges:
  - name: work
    request: {method: GET, path: /work}
    reply: {body: {done: true}}
    events:
      - {after: 45s, channel: /w, data: {n: 1}, count: 20, gap: 90s}
"""


class PollingClient:
    """A CometD client whose polls a test can count, hold back and end."""

    def __init__(self, url: str, *, headers: dict[str, str] | None = None) -> None:
        self.http = httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False, headers=headers)
        (reply,) = self.bayeux(channel="/meta/handshake", version="1.0", supportedConnectionTypes=["long-polling"])
        self.client_id = reply["clientId"]
        self.polled: list[httpx.Response] = []
        self.poll()  # the first is not held

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def bayeux(self, **message: Any) -> Any:
        reply = self.http.post("/cometd", json=[message])
        if message["channel"] == "/meta/connect":
            self.polled.append(reply)
        return reply.json()

    def poll(self) -> Any:
        return self.bayeux(channel="/meta/connect", connectionType="long-polling", clientId=self.client_id)

    @property
    def data(self) -> list[Any]:
        return [message["data"] for reply in self.polled for message in reply.json() if "data" in message]


@contextmanager
def polling(client: PollingClient) -> Iterator[None]:
    """Let a client poll on a thread until the server stops."""

    def polls() -> None:
        while all(reply.get("successful", True) for reply in client.poll()):
            pass

    def until_the_end() -> None:
        with suppress(httpx.HTTPError):
            polls()

    thread = threading.Thread(target=until_the_end)
    thread.start()
    try:
        yield
    finally:
        client.http.close()
        thread.join()


@pytest.mark.parametrize("headers", [{}, {"Connection": "close"}], ids=["keep-alive", "close"])
def test_the_clock_never_overtakes_a_client_that_polls(headers: dict[str, str]):
    with cometreel.replay(SCENARIO, clock="manual") as server, PollingClient(server.url, headers=headers) as client:
        client.http.get("/work")
        with polling(client):
            result = server.clock.advance("30m", settle="20s")
            assert client.data == [{"n": 1}] * 20
            server.close()
    assert (result.notifications, result.sessions_expired, result.clients_not_polling) == (20, 0, 0)


SHORT = (
    SCENARIO.replace("after: 45s", "after: 30ms")
    .replace("count: 20, gap: 90s", "count: 5, gap: 100ms")
    .replace("{n: 1}", '{n: 1, at: {$t: "{{ now }}"}}')
    .replace("{done: true}", '{done: {$t: "{{ now }}"}}')
)
"""Takes half a second; each reply and notification contains the time."""


def written(reply: httpx.Response) -> bytes:
    """Return a reply as bytes, without its Date."""
    fields = [b"%b: %b" % field for field in reply.headers.raw if field[0].lower() != b"date"]
    return b"\r\n".join([b"%d" % reply.status_code, *fields, b"", reply.content])


def over_long_polling(clock: Any) -> list[bytes]:
    with cometreel.replay(SHORT, clock=clock, seed=1) as server, PollingClient(server.url) as client:
        work = client.http.get("/work")
        if clock == "manual":
            with polling(client):
                server.clock.advance("1s", settle="20s")
                replies = client.polled[:6]
                server.close()
        else:
            while len(client.polled) < 6:
                client.poll()
            replies = client.polled
        return [written(work), *map(written, replies)]


def over_websocket(clock: Any) -> list[bytes]:
    with (
        cometreel.replay(SHORT, clock=clock, seed=1) as server,
        connect(server.url.replace("http", "ws") + "/cometd", compression=None) as socket,
    ):

        def send(**message: Any) -> None:
            socket.send(json.dumps([message]))

        send(channel="/meta/handshake", version="1.0", supportedConnectionTypes=["websocket"])
        frames = [socket.recv(PATIENCE)]
        poll = {"connectionType": "websocket", "clientId": json.loads(frames[0])[0]["clientId"]}
        send(channel="/meta/connect", **poll)
        frames.append(socket.recv(PATIENCE))
        send(channel="/meta/connect", **poll)  # it is held
        work = httpx.get(server.url + "/work")
        if clock == "manual":
            server.clock.advance("1s", settle="20s")
        frames += [socket.recv(PATIENCE) for _ in range(5)]
        assert socket.response is not None
        fields = [f"{name}: {value}" for name, value in socket.response.headers.raw_items() if "Accept" not in name]
        return [written(work), *(str(line).encode() for line in [*fields, *frames])]


@pytest.mark.parametrize("conversation", [over_long_polling, over_websocket])
def test_the_bytes_are_those_of_the_real_clock(conversation: Callable[[str], list[bytes]]):
    manual = conversation("manual")
    assert manual == conversation("real")
    assert b"".join(manual).count(b"1970-01-01T00:00:00") == 6  # `now` under a seed


def test_thirty_minutes_without_a_poll_expire_the_session():
    with cometreel.replay(SCENARIO, clock="manual") as server, PollingClient(server.url) as client:
        assert server.clock.advance("30m").sessions_expired == 1
        (reply,) = client.poll()
        assert reply["error"] == "402::Unknown client"


def test_a_client_that_closes_its_connection_after_a_poll_is_not_waited_for():
    with cometreel.replay(SCENARIO, clock="manual") as server, PollingClient(server.url) as client:
        client.http.close()
        result = server.clock.advance("11s", settle="1h")  # the test would time out
        assert (result.sessions_expired, result.clients_not_polling) == (1, 0)


def test_a_resumed_clock_runs_in_real_time():
    with (
        cometreel.replay(SCENARIO.replace("after: 45s", "after: 5ms"), clock="manual") as server,
        PollingClient(server.url) as client,
    ):
        client.http.get("/work")
        frozen = server.clock.now
        assert (server.clock.now, server.clock.is_frozen) == (frozen, True)
        server.clock.resume()
        assert client.poll()[0]["data"] == {"n": 1}
        server.clock.freeze()
        assert server.clock.now == server.clock.now > frozen


def test_a_stop_ends_an_advance():
    with cometreel.replay(SCENARIO, clock="manual") as server, PollingClient(server.url) as client:
        before = server.clock.now
        with ThreadPoolExecutor(1) as pool:
            advancing = pool.submit(server.clock.advance, "30m", settle="1h")
            client.poll()  # times out after 30 s; then the clock waits for the next one
            assert (round(server.clock.now - before, 3), advancing.done()) == (30.0, False)
            server.close()
            with pytest.raises(
                cometreel.CometreelError, match=r"^advance: the server stopped before the end; expected"
            ):
                advancing.result(PATIENCE)
        with pytest.raises(ServerStopped):
            server.clock.advance("1s")


def test_a_responder_cannot_advance_the_clock():
    with cometreel.replay(SCENARIO, clock="manual") as server:

        @server.register
        def advances(request: cometreel.ResponderRequest) -> cometreel.Response | None:
            with pytest.raises(CalledByServer):
                server.clock.advance("1s")
            return cometreel.Response({"refused": True})

        assert httpx.get(server.url + "/any").json() == {"refused": True}


def test_the_real_clock_can_be_read_and_not_moved():
    with cometreel.replay(SCENARIO) as server:
        assert server.clock.now <= server.clock.now
        assert not server.clock.is_frozen
        for command in (server.clock.freeze, server.clock.resume, lambda: server.clock.advance("1s")):
            with pytest.raises(cometreel.OptionInvalid, match=r"^clock: the replay uses the real clock"):
                command()


def test_an_unknown_clock_is_refused():
    with pytest.raises(cometreel.OptionInvalid, match=r"^clock: 'fast'; expected 'real' or 'manual'$"):
        cometreel.replay(SCENARIO, clock="fast")  # type: ignore[arg-type]  # the error
