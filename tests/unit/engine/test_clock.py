"""A manual clock: replies, notifications, poll time-outs and expiries follow it, and clients are waited for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from cometreel.engine import AdvanceResult, Backend, ReplaySettings
from cometreel.engine.clock_control import ClockControl, ServerStoppedAdvancing
from cometreel.engine.driver import Driver
from cometreel.errors import OptionInvalid
from cometreel.scenario import loads
from cometreel.wire import Frame, Reply, Request
from tests.unit.engine.test_driver import VirtualTimeLoop

T = TypeVar("T")

SCENARIO = """\
cometreel: 1
bayeux: {endpoint: /cometd, advice: {timeout: 30000, interval: 0}, max_interval: 10s, require_cookie: false}
session: {cookie: none}
exchanges:
  - name: slow
    request: {method: GET, path: /slow}
    reply: {after: 5m, body: {done: true}}
  - name: work
    request: {method: GET, path: /work}
    reply: {body: {at: {$t: "{{ now }}"}}}
    events:
      - {after: 10m, channel: /w, deliver: all, data: {n: 1, at: {$t: "{{ now }}"}}}
      - {after: 20m, channel: /w, deliver: all, data: {n: 2}}
"""


class ManualReplay:
    """A driver with a manual clock, and CometD clients that call it directly."""

    def __init__(self, scenario: str = SCENARIO, *, manual: bool = True, speed: float = 1.0) -> None:
        self.backend = Backend(loads(scenario), ReplaySettings(speed=speed))
        self.driver = Driver(self.backend, manual_clock=manual)
        self.clock = ClockControl(self.backend, self.driver)
        self.data: list[Any] = []
        self.started = self.clock.now

    async def ask(self, method: str, path: str, body: bytes = b"") -> Any:
        request = Request(self.driver.new_request_id(), method, path, body=body)
        reply = await self.driver.answer(request)
        assert isinstance(reply, Reply)
        self.driver.written(request.id)
        return json.loads(reply.body)

    async def bayeux(self, **message: Any) -> Any:
        return await self.ask("POST", "/cometd", json.dumps([message]).encode())

    async def handshake(self) -> str:
        (reply,) = await self.bayeux(
            channel="/meta/handshake", version="1.0", supportedConnectionTypes=["long-polling", "websocket"]
        )
        client_id = reply["clientId"]
        assert isinstance(client_id, str)
        return client_id

    async def poll(self, client_id: str) -> None:
        connect = await self.bayeux(channel="/meta/connect", connectionType="long-polling", clientId=client_id)
        self.data += [message["data"] for message in connect if "data" in message]

    async def polls(self, client_id: str) -> None:
        while True:
            await self.poll(client_id)

    @property
    def passed(self) -> float:
        return round(self.clock.now - self.started, 3)


def run(scene: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(scene)


def result(seconds: float, notifications: int = 0, polls: int = 0, expired: int = 0, absent: int = 0) -> AdvanceResult:
    return AdvanceResult(seconds, notifications, polls, expired, absent)


def test_time_stands_still_until_it_is_moved():
    async def scene() -> list[object]:
        replay = ManualReplay()
        reply = asyncio.ensure_future(replay.ask("GET", "/slow"))
        await asyncio.sleep(3600)
        before = (reply.done(), replay.passed)
        await replay.clock.advance("4m")
        meanwhile = (reply.done(), replay.passed)
        await replay.clock.advance("1m")
        return [before, meanwhile, await reply, replay.passed]

    assert run(scene()) == [(False, 0.0), (False, 240.0), {"done": True}, 300.0]


@pytest.mark.parametrize("by", ["90s", 90, 90.0, timedelta(seconds=90)])
def test_durations_are_text_seconds_and_timedeltas(by: Any):
    async def scene() -> tuple[AdvanceResult, float]:
        replay = ManualReplay()
        return await replay.clock.advance(by), replay.passed

    assert run(scene()) == (result(90.0), 90.0)


@pytest.mark.parametrize(
    "by", ["90", "-1s", -1, float("nan"), float("inf"), True, None, "9000h", timedelta(seconds=-1)]
)
def test_other_durations_are_refused(by: Any):
    async def scene() -> float:
        replay = ManualReplay()
        with pytest.raises(OptionInvalid, match=r"^advance: .*; expected a duration of at most a year"):
            await replay.clock.advance(by)
        with pytest.raises(OptionInvalid, match=r"^settle: "):
            await replay.clock.advance("1s", settle=by)
        return replay.passed

    assert run(scene()) == 0.0


def test_a_client_that_polls_again_gets_each_notification_at_its_time():
    async def scene() -> tuple[AdvanceResult, list[Any]]:
        replay = ManualReplay()
        polling = asyncio.ensure_future(replay.polls(await replay.handshake()))
        await replay.ask("GET", "/work")
        advanced = await replay.clock.advance("30m")
        polling.cancel()
        return advanced, replay.data

    data = [{"n": 1, "at": "1970-01-01T00:10:00Z"}, {"n": 2}]
    assert run(scene()) == (result(1800.0, notifications=2, polls=58), data)


def test_each_of_several_clients_gets_its_notifications_and_the_absent_one_expires():
    async def scene() -> tuple[list[AdvanceResult], list[Any]]:
        replay = ManualReplay(SCENARIO.replace("deliver: all", "deliver: subscribers"))
        clients = [await replay.handshake() for _ in range(4)]
        for client_id in clients:
            await replay.bayeux(channel="/meta/subscribe", subscription="/w", clientId=client_id)
        polling = [asyncio.ensure_future(replay.polls(client_id)) for client_id in clients[:3]]
        await replay.ask("GET", "/work")
        advanced = [await replay.clock.advance("15m"), await replay.clock.advance("15m")]
        for each in polling:
            each.cancel()
        return advanced, [data["n"] for data in replay.data]

    advanced, numbers = run(scene())
    assert [(one.notifications, one.sessions_expired, one.clients_not_polling) for one in advanced] == [
        (3, 1, 1),
        (3, 0, 0),
    ]
    assert numbers == [1, 1, 1, 2, 2, 2]


TIMELINE = """\
cometreel: 1
bayeux: {endpoint: /cometd, advice: {timeout: 30000, interval: 0}, require_cookie: false}
session: {cookie: none}
exchanges:
  - name: slow
    request: {method: GET, path: /slow}
    reply: {after: 5m, body: {at: {$t: "{{ now }}"}}}
timeline:
  - {since: connect, after: 2h, channel: /shift, data: {at: {$t: "{{ now }}"}}, count: 2, gap: 2h, deliver: all}
faults:
  - {exchange: slow, nth: 2, delay: 1h}
"""


def test_the_timeline_follows_the_clock():
    async def scene() -> list[list[Any]]:
        replay = ManualReplay(TIMELINE)
        polling = asyncio.ensure_future(replay.polls(await replay.handshake()))
        await asyncio.sleep(0)
        seen = []
        for by in (7199, 1, 7199, 1, "8h"):
            await replay.clock.advance(by)
            seen.append([data["at"] for data in replay.data])
            replay.data.clear()
        polling.cancel()
        return seen

    assert run(scene()) == [[], ["1970-01-01T02:00:00Z"], [], ["1970-01-01T04:00:00Z"], []]


def test_now_in_templates_follows_the_clock():
    async def scene() -> list[str]:
        replay = ManualReplay()
        polling = asyncio.ensure_future(replay.polls(await replay.handshake()))
        seen = [(await replay.ask("GET", "/work"))["at"]]
        await replay.clock.advance("8h")
        seen.append((await replay.ask("GET", "/work"))["at"])
        await replay.clock.advance("10m")
        replay.driver.apply(replay.backend.reset)
        seen.append((await replay.ask("GET", "/work"))["at"])
        polling.cancel()
        return [*seen, *(data["at"] for data in replay.data if "at" in data)]

    times = run(scene())
    assert times[:3] == ["1970-01-01T00:00:00Z", "1970-01-01T08:00:00Z", "1970-01-01T08:10:00Z"]
    assert times[3:] == ["1970-01-01T00:10:00Z", "1970-01-01T08:10:00Z"]


def test_now_is_never_earlier_than_the_delays_of_the_scenario():
    """A slow reply moves the time by five minutes; at speed 0 the clock itself stands still."""

    async def scene() -> list[str]:
        replay = ManualReplay(TIMELINE, speed=0)
        return [(await replay.ask("GET", "/slow"))["at"] for _ in range(3)]

    assert run(scene()) == ["1970-01-01T00:00:00Z", "1970-01-01T00:05:00Z", "1970-01-01T00:10:00Z"]


def test_now_does_not_follow_the_real_clock():
    """Replies with the time are the same in each run."""

    async def scene() -> list[str]:
        replay = ManualReplay(manual=False)
        seen = [(await replay.ask("GET", "/work"))["at"]]
        await asyncio.sleep(3600)
        return [*seen, (await replay.ask("GET", "/work"))["at"]]

    assert run(scene()) == ["1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"]


def test_the_delay_of_a_fault_follows_the_clock():
    async def scene() -> list[bool]:
        replay = ManualReplay(TIMELINE)
        seen = []
        first = asyncio.ensure_future(replay.ask("GET", "/slow"))
        for by in (299, 1):
            await replay.clock.advance(by)
            seen.append(first.done())
        delayed = asyncio.ensure_future(replay.ask("GET", "/slow"))
        for by in (3899, 1):
            await replay.clock.advance(by)
            seen.append(delayed.done())
        return seen

    assert run(scene()) == [False, True, False, True]


def test_a_client_that_stops_polling_is_waited_for_once_and_then_expires():
    async def scene() -> tuple[list[AdvanceResult], float]:
        replay, loop = ManualReplay(), asyncio.get_running_loop()
        client_id = await replay.handshake()
        await replay.poll(client_id)  # the first is not held
        started = loop.time()
        return [await replay.clock.advance(seconds) for seconds in (5, 4, 2)], round(loop.time() - started, 3)

    assert run(scene()) == ([result(5.0, absent=1), result(4.0), result(2.0, expired=1)], 0.2)


def test_settle_is_the_time_that_a_client_has_to_poll_again():
    async def scene(settle: str) -> AdvanceResult:
        replay = ManualReplay()
        client_id = await replay.handshake()
        await replay.poll(client_id)

        async def polls_later() -> None:
            await asyncio.sleep(1)
            await replay.polls(client_id)

        polling = asyncio.ensure_future(polls_later())
        advanced = await replay.clock.advance("20s", settle=settle)
        polling.cancel()
        return advanced

    assert run(scene("2s")) == result(20.0)
    assert run(scene("500ms")) == result(20.0, expired=1, absent=1)


def test_a_client_that_hangs_up_is_not_waited_for():
    async def scene() -> tuple[AdvanceResult, float]:
        replay, loop = ManualReplay(), asyncio.get_running_loop()
        client_id = await replay.handshake()
        await replay.poll(client_id)
        polling = asyncio.ensure_future(replay.poll(client_id))
        await asyncio.sleep(0)
        polling.cancel()
        started = loop.time()
        return await replay.clock.advance("11s"), loop.time() - started

    assert run(scene()) == (result(11.0, expired=1), 0.0)


def test_a_websocket_gets_its_notifications_and_answers_to_connects():
    async def scene() -> tuple[AdvanceResult, list[str]]:
        replay = ManualReplay()
        client_id = await replay.handshake()
        upgrade = Request(replay.driver.new_request_id(), "GET", "/cometd", websocket=True)
        conversation = replay.driver.open(upgrade)
        await conversation.next()
        seen: list[str] = []
        connect = {"channel": "/meta/connect", "connectionType": "websocket", "clientId": client_id}

        async def talk() -> None:
            conversation.received(json.dumps([connect]))
            while isinstance(action := await conversation.next(), Frame):
                conversation.sent()
                (message,) = json.loads(action.text)
                seen.append(message["channel"])
                if message["channel"] == "/meta/connect":
                    conversation.received(json.dumps([connect]))

        talking = asyncio.ensure_future(talk())
        await replay.ask("GET", "/work")
        advanced = await replay.clock.advance("21m")
        talking.cancel()
        return advanced, [channel for channel in seen if channel != "/meta/connect"]

    assert run(scene()) == (result(1260.0, notifications=2, polls=42), ["/w", "/w"])


def test_a_resumed_clock_runs_and_a_frozen_one_stands():
    async def scene() -> list[float]:
        replay = ManualReplay()
        reply = asyncio.ensure_future(replay.ask("GET", "/slow"))
        await asyncio.sleep(0)
        times = []
        replay.clock.resume()
        await asyncio.sleep(10)
        times.append(replay.passed)
        await replay.clock.advance("4m")
        times.append(replay.passed)
        await reply
        times.append(replay.passed)
        replay.clock.freeze()
        await asyncio.sleep(10)
        times.append(replay.passed)
        return times

    assert run(scene()) == [10.0, 250.0, 300.0, 300.0]


def test_advances_at_the_same_time_are_performed_one_after_the_other():
    async def scene() -> tuple[list[AdvanceResult], float]:
        replay = ManualReplay()
        one, two = await asyncio.gather(replay.clock.advance("1m"), replay.clock.advance("2m"))
        return [one, two], replay.passed

    assert run(scene()) == ([result(60.0), result(120.0)], 180.0)


@pytest.mark.parametrize("step", [30.0, 0.1, 0.007])
def test_steps_of_any_length_reach_a_timeout_at_their_sum(step: float):
    """A sum of decimal fractions in binary may be a little less than the timeout."""

    async def scene() -> tuple[int, bool]:
        replay = ManualReplay()
        client_id = await replay.handshake()
        await replay.poll(client_id)  # the first is not held
        await replay.clock.advance(0.02)
        held = asyncio.ensure_future(replay.poll(client_id))
        steps = round(30 / step, 9)
        advanced = [await replay.clock.advance(step) for _ in range(int(steps))]
        advanced.append(await replay.clock.advance(30 - int(steps) * step))
        return sum(each.polls_timed_out for each in advanced), held.done()

    assert run(scene()) == (1, True)


def test_freeze_and_resume_during_an_advance_apply_after_it():
    async def scene() -> list[float]:
        replay = ManualReplay()
        await replay.poll(await replay.handshake())  # is waited for
        advancing = asyncio.ensure_future(replay.clock.advance("1m"))
        await asyncio.sleep(0.1)
        replay.clock.resume()
        times = [replay.passed]
        await advancing
        await asyncio.sleep(5)
        return [*times, replay.passed]

    assert run(scene()) == [0.0, 65.0]


def test_a_stop_during_an_advance_is_an_error_of_the_advance():
    async def scene() -> float:
        replay = ManualReplay()
        await replay.poll(await replay.handshake())  # is waited for
        advancing = asyncio.ensure_future(replay.clock.advance("1m"))
        await asyncio.sleep(0.1)
        replay.driver.close()
        with pytest.raises(ServerStoppedAdvancing):
            await advancing
        return replay.passed

    assert run(scene()) == 0.0


def test_the_real_clock_can_be_read_only():
    async def scene() -> None:
        replay = ManualReplay(manual=False)
        assert (replay.clock.kind, replay.clock.is_frozen) == ("real", False)
        for command in (replay.clock.freeze, replay.clock.resume):
            with pytest.raises(OptionInvalid, match=r"^clock: the replay uses the real clock; expected"):
                command()
        with pytest.raises(OptionInvalid, match=r"^clock: the replay uses the real clock; expected"):
            await replay.clock.advance("1s")
        await asyncio.sleep(2)
        assert replay.passed == 2.0

    run(scene())
