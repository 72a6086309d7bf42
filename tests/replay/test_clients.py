"""Applications on clients that others wrote, each against a replay of its test's own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import aiocometd_ng
import baiocas.client  # type: ignore[import-untyped]  # it has no types
import httpx
import pytest
from baiocas.transports.long_polling import LongPollingHttpTransport  # type: ignore[import-untyped]  # as above

from cometreel.pytest_plugin import Reel
from demo import peers
from demo.client_output import ClientOutput

WORKBINS, WORKITEMS = "/v2/me/workbins", "/v2/me/workitems"
PATIENCE = 30.0


@pytest.mark.parametrize("name", peers.CLIENTS)
def test_a_desktop_logs_in_works_and_logs_out(
    name: str, reel: Reel, recorded: Path, application: Callable[[str, str], ClientOutput]
):
    """npm's `cometd` as the real desktop ships it and its newest, and `aiocometd-ng`, play a recorded session again."""
    saw = application(name, reel.play(recorded, speed=0).url)
    assert [reply["status"] for reply in saw.replies] == [403] + 21 * [200] + [404, 200, 200]
    assert {channel: len(data) for channel, data in saw.messages.items()} == {WORKBINS: 18, WORKITEMS: 2}
    assert len(reel.calls) == 25
    assert [call.owner for call in reel.calls(operation="RequestAgentStats", owner_type="Place")] == ["Place1"] * 2
    assert [call.path for call in reel.calls(operation="EndContactCenterSession")] == ["/api/v2/me"]
    assert {call.outcome for call in reel.calls} == {"played"}


async def test_aiocometd_in_a_coroutine(reel: Reel, scenarios: Path):
    """Its cookie jar keeps no cookies of numeric addresses, so the host needs a name."""
    base = reel.play(scenarios / "request_agent_stats.yaml", speed=0).url.replace("127.0.0.1", "localhost")
    client = aiocometd_ng.Client(
        base + "/api/v2/notifications",
        [aiocometd_ng.ConnectionType.LONG_POLLING],
        connection_timeout=0,
    )
    await client.open()
    try:
        await client.subscribe(WORKBINS)
        reel.push(WORKBINS, {"messageType": "WorkbinStateChangeMessage"})
        async with asyncio.timeout(PATIENCE):
            message = await client.receive()
    finally:
        await client.close()
    assert (message["channel"], message["data"]) == (WORKBINS, {"messageType": "WorkbinStateChangeMessage"})


def test_baiocas_on_another_event_loop(reel: Reel, scenarios: Path):
    """A client on Tornado; the application asks in another thread when the subscription stands."""
    base = reel.play(scenarios / "request_agent_stats.yaml", speed=0).url
    replies: SimpleQueue[dict[str, Any]] = SimpleQueue()
    messages: SimpleQueue[dict[str, Any]] = SimpleQueue()
    thread = threading.Thread(target=_listen, args=(base, replies, messages))
    thread.start()
    assert messages.get(timeout=PATIENCE)["referenceId"] == replies.get(timeout=PATIENCE)["referenceId"]
    thread.join(PATIENCE)
    assert [call.operation for call in reel.calls] == ["RequestAgentStats"]


def _listen(base: str, replies: SimpleQueue[dict[str, Any]], messages: SimpleQueue[dict[str, Any]]) -> None:
    """Subscribe, ask, and end with the first message."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    client = baiocas.client.Client(base + "/api/v2/notifications")
    transport = LongPollingHttpTransport()
    client.register_transport(transport)

    def ask() -> None:
        cookies = {"JSESSIONID": transport.get_cookie("JSESSIONID").value}
        with httpx.Client(base_url=base, cookies=cookies) as http:
            replies.put(http.post("/api/v2/workbins", json={"operationName": "RequestAgentStats"}).json())

    def hear(_channel: object, message: Any) -> None:
        messages.put(message.data)
        client.disconnect(sync=False)

    client.get_channel("/meta/handshake").add_listener(lambda *_: client.get_channel(WORKBINS).subscribe(hear))
    client.get_channel("/meta/subscribe").add_listener(lambda *_: loop.run_in_executor(None, ask))
    client.get_channel("/meta/disconnect").add_listener(lambda *_: loop.stop())
    client.handshake()
    loop.run_forever()
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
