"""The driver on an event loop with a virtual clock, with a scripted engine."""

from __future__ import annotations

import asyncio
import logging
import selectors
from collections.abc import Coroutine
from typing import TypeVar

import pytest
import uvloop

from cometreel.engine.driver import Driver
from cometreel.errors import BugError
from cometreel.wire import Accept, Begin, Chunk, Drop, Effect, End, Forward, Frame, Log, Reply, Request

T = TypeVar("T")


class SkippingSelector(selectors.SelectSelector):
    """Advances the clock to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing is due: the test would hang for ever"
        self.now += timeout
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.moved = SkippingSelector()
        super().__init__(self.moved)

    def time(self) -> float:
        return self.moved.now


class ScriptedEngine:
    """An engine that holds every request except `/now`, returns `due` at its time, and records its calls."""

    def __init__(self) -> None:
        self.due: list[tuple[float, Effect]] = []
        self.seen: list[str] = []
        self.held: set[int] = set()
        self.wakes: list[float] = []
        self.ends_at_once = False
        self.after_delivery: list[Effect] = []

    def receive(self, request: Request, now: float) -> list[Effect]:
        match request.path:
            case "/now":
                return [Reply(request.id, 200)]
            case "/forward":
                return [Forward(request.id)]
            case "/drop":
                return [Drop(request.id)]
            case "/parts":
                return [Begin(request.id, 200), Chunk(request.id, b"a"), *self.due_parts(request.id)]
            case "/chat":
                return [Accept(request.id), Frame(request.id, "welcome")]
            case "/release":  # a reply, and one for every held request
                return [*(Reply(other, 204) for other in sorted(self.held)), Reply(request.id, 200)]
            case "/now and release":
                return [Reply(request.id, 200), *(Reply(other, 204) for other in sorted(self.held))]
        self.held.add(request.id)
        return []

    def due_parts(self, request_id: int) -> list[Effect]:
        return [End(request_id)] if self.ends_at_once else []

    def frame(self, request_id: int, text: str, now: float) -> list[Effect]:
        self.seen.append(f"frame {request_id} {text}")
        return [Frame(request_id, f"echo {text}")]

    def deadline(self) -> float | None:
        return min((when for when, _ in self.due), default=None)

    def advance(self, now: float) -> list[Effect]:
        self.wakes.append(now)
        done = [effect for when, effect in self.due if when <= now]
        self.due = [(when, effect) for when, effect in self.due if when > now]
        return done

    def awaits_confirmation(self, request_id: int) -> bool:
        return request_id != 0

    def delivered(self, request_id: int, now: float) -> list[Effect]:
        self.seen.append(f"delivered {request_id}")
        effects, self.after_delivery = self.after_delivery, []
        return effects

    def gone(self, request_id: int, now: float) -> list[Effect]:
        self.seen.append(f"gone {request_id}")
        self.held.discard(request_id)
        return []

    def release_all(self, now: float) -> list[Effect]:
        return [Reply(request_id, 503) for request_id in sorted(self.held) if request_id != 2]


def run_in_virtual_time(coroutine: Coroutine[None, None, T]) -> T:
    """Run a coroutine on an event loop with a virtual clock."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(coroutine)


def ask(driver: Driver, path: str) -> Request:
    return Request(driver.new_request_id(), "GET", path)


@pytest.mark.parametrize(
    ("path", "answer"),
    [("/now", Reply(1, 200)), ("/forward", Forward(1)), ("/drop", Drop(1))],
)
def test_an_immediate_reply_is_returned_without_waiting(path: str, answer: Effect) -> None:
    async def run() -> None:
        driver = Driver(ScriptedEngine())
        assert driver.begin(ask(driver, path)) == answer

    run_in_virtual_time(run())


def test_a_held_request_is_answered_at_its_deadline() -> None:
    async def run() -> None:
        engine = ScriptedEngine()
        driver = Driver(engine)
        engine.due = [(1030.0, Reply(1, 200))]
        assert await driver.answer(ask(driver, "/poll")) == Reply(1, 200)
        assert engine.wakes == [1030.0]

    run_in_virtual_time(run())


def test_the_timer_is_reset_for_an_earlier_deadline() -> None:
    async def run() -> None:
        engine = ScriptedEngine()
        driver = Driver(engine)
        engine.due = [(1030.0, Reply(1, 200))]
        late = asyncio.ensure_future(driver.answer(ask(driver, "/poll")))
        await asyncio.sleep(0)
        engine.due.append((1005.0, Reply(2, 200)))
        assert await driver.answer(ask(driver, "/poll")) == Reply(2, 200)
        assert engine.wakes == [1005.0]
        assert await late == Reply(1, 200)
        assert engine.wakes == [1005.0, 1030.0]

    run_in_virtual_time(run())


def test_a_postponed_deadline_wakes_the_driver_once_without_a_reply() -> None:
    async def run() -> None:
        engine = ScriptedEngine()
        driver = Driver(engine)
        engine.due = [(1005.0, Reply(9, 200))]
        poll = asyncio.ensure_future(driver.answer(ask(driver, "/poll")))
        await asyncio.sleep(0)
        engine.due = [(1030.0, Reply(1, 200))]
        assert await poll == Reply(1, 200)
        assert engine.wakes == [1005.0, 1030.0]

    run_in_virtual_time(run())


def test_a_request_can_release_held_requests() -> None:
    async def run() -> None:
        driver = Driver(ScriptedEngine())
        polls = [asyncio.ensure_future(driver.answer(ask(driver, "/poll"))) for _ in range(2)]
        await asyncio.sleep(0)
        assert await driver.answer(ask(driver, "/release")) == Reply(3, 200)
        assert await asyncio.gather(*polls) == [Reply(1, 204), Reply(2, 204)]

    run_in_virtual_time(run())


def test_the_driver_reports_to_the_engine_if_a_reply_was_written() -> None:
    async def run() -> list[str]:
        engine = ScriptedEngine()
        driver = Driver(engine)
        await driver.answer(ask(driver, "/now"))
        driver.written(1)
        await driver.answer(ask(driver, "/now"))
        driver.hung_up(2)
        return engine.seen

    assert run_in_virtual_time(run()) == ["delivered 1", "gone 2"]


def test_a_client_that_disconnects_ends_the_wait_with_drop() -> None:
    async def run() -> None:
        engine = ScriptedEngine()
        driver = Driver(engine)
        poll = asyncio.ensure_future(driver.answer(ask(driver, "/poll")))
        await asyncio.sleep(0)
        driver.hung_up(1)
        assert await poll == Drop(1)
        assert engine.seen == ["gone 1"]

    run_in_virtual_time(run())


def test_a_cancelled_wait_counts_as_a_disconnect_and_a_late_reply_is_ignored() -> None:
    async def run() -> None:
        engine = ScriptedEngine()
        driver = Driver(engine)
        poll = asyncio.ensure_future(driver.answer(ask(driver, "/poll")))
        await asyncio.sleep(0)
        poll.cancel()
        await asyncio.gather(poll, return_exceptions=True)
        assert engine.seen == ["gone 1"]
        driver.apply(lambda now: [Reply(1, 200)])

    run_in_virtual_time(run())


def test_close_sets_the_closing_event() -> None:
    async def run() -> None:
        driver = Driver(ScriptedEngine())
        streaming = asyncio.ensure_future(driver.closing.wait())
        await asyncio.sleep(0)
        assert not streaming.done()
        driver.close()
        assert await streaming

    run_in_virtual_time(run())


def test_close_answers_released_requests_and_drops_the_others() -> None:
    async def run() -> None:
        engine = ScriptedEngine()
        driver = Driver(engine)
        engine.due = [(1030.0, Reply(1, 200))]
        polls = [asyncio.ensure_future(driver.answer(ask(driver, "/poll"))) for _ in range(3)]
        chat = driver.open(ask(driver, "/chat"))
        await asyncio.sleep(0)
        driver.close()
        assert await asyncio.gather(*polls) == [Reply(1, 503), Drop(2, 1001), Reply(3, 503)]
        assert [await chat.next() for _ in range(3)] == [Accept(4), Frame(4, "welcome"), Drop(4, 1001)]
        assert engine.wakes == []

    run_in_virtual_time(run())


def test_a_websocket_conversation_receives_and_sends_frames() -> None:
    async def run() -> None:
        engine = ScriptedEngine()
        driver = Driver(engine)
        chat = driver.open(ask(driver, "/chat"))
        assert [await chat.next(), await chat.next()] == [Accept(1), Frame(1, "welcome")]
        chat.sent()
        chat.received("hello")
        assert await chat.next() == Frame(1, "echo hello")
        chat.ended()
        assert engine.seen == ["delivered 1", "frame 1 hello", "gone 1"]
        driver.apply(lambda now: [Frame(1, "too late")])

    run_in_virtual_time(run())


def test_a_websocket_can_be_refused() -> None:
    async def run() -> None:
        driver = Driver(ScriptedEngine())
        assert await driver.open(ask(driver, "/now")).next() == Reply(1, 200)

    run_in_virtual_time(run())


def test_a_frame_for_an_http_request_is_a_bug_error() -> None:
    async def run() -> None:
        driver = Driver(ScriptedEngine())
        poll = asyncio.ensure_future(driver.answer(ask(driver, "/poll")))
        await asyncio.sleep(0)
        with pytest.raises(BugError, match="answered an HTTP request with Frame"):
            driver.apply(lambda now: [Frame(1, "x")])
        driver.hung_up(1)
        await poll

    run_in_virtual_time(run())


@pytest.mark.parametrize("level", ["info", "warning", "error"])
def test_log_effects_are_logged_at_their_level(level: str, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        Driver(ScriptedEngine()).apply(lambda now: [Log(level, "50 % of it")])  # type: ignore[arg-type]  # a table of literals

    with caplog.at_level(logging.INFO):
        run_in_virtual_time(run())
    assert caplog.messages == ["50 % of it"]
    assert caplog.records[0].levelname == level.upper()


def test_equal_lines_are_logged_once_a_second_with_their_number(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        driver = Driver(ScriptedEngine())
        for _ in range(2028):
            driver.apply(lambda now: [Log("warning", "no exchange answers GET /a")])
        assert caplog.messages == ["no exchange answers GET /a"]
        await asyncio.sleep(1)
        assert caplog.messages[1:] == ["2027 times more: no exchange answers GET /a"]

    run_in_virtual_time(run())


def test_repetitions_are_logged_when_the_driver_closes(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        driver = Driver(ScriptedEngine())
        for _ in range(3):
            driver.apply(lambda now: [Log("warning", "no exchange answers GET /a")])
        driver.close()

    run_in_virtual_time(run())
    assert caplog.messages == ["no exchange answers GET /a", "2 times more: no exchange answers GET /a"]


def test_request_ids_are_unique() -> None:
    async def run() -> list[int]:
        driver = Driver(ScriptedEngine())
        return [driver.new_request_id() for _ in range(3)]

    assert run_in_virtual_time(run()) == [1, 2, 3]


def test_a_driver_needs_a_running_loop() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        Driver(ScriptedEngine())


def test_an_action_that_is_already_due_is_performed_on_uvloop_too() -> None:
    """uvloop's `call_at` returns a handle without a time if the time is past."""

    async def run() -> None:
        engine = ScriptedEngine()
        driver = Driver(engine)
        held = ask(driver, "/held")
        assert driver.begin(held) is None
        engine.due = [(0.0, Reply(held.id, 204))]
        waiting = driver.hold(held.id)
        driver.apply(lambda _now: [])
        driver.apply(lambda _now: [])
        assert (await waiting).status == 204  # type: ignore[union-attr]  # it is the reply above

    uvloop.run(run())


# ------------------------------------------------------------------ callbacks and replies in parts
def test_a_callback_gets_the_reply_to_a_held_request() -> None:
    async def run() -> None:
        engine = ScriptedEngine()
        driver = Driver(engine)
        replies: list[Effect] = []
        assert driver.begin(ask(driver, "/poll")) is None
        driver.hold_for(1, replies.append)
        driver.apply(lambda _now: [Reply(1, 200)])
        driver.apply(lambda _now: [Reply(1, 200)])
        assert replies == [Reply(1, 200)]

    run_in_virtual_time(run())


def test_effects_caused_by_a_callback_follow_those_that_are_being_performed() -> None:
    """The engine's order is kept, as if the reply had been confirmed later."""

    async def run() -> None:
        engine = ScriptedEngine()
        driver = Driver(engine)
        engine.after_delivery = [Reply(3, 200)]
        replies: list[Effect] = []

        def write(reply: Effect) -> None:
            replies.append(reply)
            assert isinstance(reply, Reply)
            driver.written(reply.request_id)

        for request_id in (1, 2, 3):
            assert driver.begin(ask(driver, "/poll")) is None
            driver.hold_for(request_id, write)
        driver.apply(lambda _now: [Reply(1, 200), Reply(2, 200)])
        assert replies == [Reply(1, 200), Reply(2, 200), Reply(3, 200)]
        assert engine.seen == ["delivered 1", "delivered 2", "delivered 3"]

    run_in_virtual_time(run())


def test_a_callback_must_not_begin_a_request() -> None:
    async def run() -> None:
        driver = Driver(ScriptedEngine())
        assert driver.begin(ask(driver, "/poll")) is None
        driver.hold_for(1, lambda _reply: print(driver.begin(ask(driver, "/now"))))
        with pytest.raises(BugError, match="a callback of the driver begins a request"):
            driver.apply(lambda _now: [Reply(1, 200)])

    run_in_virtual_time(run())


def test_the_parts_of_an_immediate_reply_are_kept_until_they_are_asked_for() -> None:
    async def run() -> None:
        engine = ScriptedEngine()
        driver = Driver(engine)
        parts: list[Effect] = []
        assert driver.begin(ask(driver, "/parts")) == Begin(1, 200)
        driver.apply(lambda _now: [Chunk(1, b"b")])
        driver.stream(1, parts.append)
        assert parts == [Chunk(1, b"a"), Chunk(1, b"b")]
        driver.apply(lambda _now: [Chunk(1, b"c"), End(1), Chunk(1, b"after the end")])
        assert parts[2:] == [Chunk(1, b"c"), End(1)]

    run_in_virtual_time(run())


def test_a_reply_whose_parts_came_together_ends() -> None:
    async def run() -> None:
        engine = ScriptedEngine()
        engine.ends_at_once = True
        driver = Driver(engine)
        parts: list[Effect] = []
        assert driver.begin(ask(driver, "/parts")) == Begin(1, 200)
        driver.stream(1, parts.append)
        driver.close()
        assert parts == [Chunk(1, b"a"), End(1)]

    run_in_virtual_time(run())


def test_a_part_caused_by_an_early_part_follows_the_early_ones() -> None:
    async def run() -> None:
        engine = ScriptedEngine()
        driver = Driver(engine)
        engine.after_delivery = [Chunk(1, b"c")]
        parts: list[Effect] = []

        def write(part: Effect) -> None:
            parts.append(part)
            driver.written(1)

        assert driver.begin(ask(driver, "/parts")) == Begin(1, 200)
        driver.apply(lambda _now: [Chunk(1, b"b")])
        driver.stream(1, write)
        assert parts == [Chunk(1, b"a"), Chunk(1, b"b"), Chunk(1, b"c")]

    run_in_virtual_time(run())


def test_a_held_request_can_be_answered_in_parts_and_dropped_when_the_driver_closes() -> None:
    async def run() -> None:
        driver = Driver(ScriptedEngine())
        parts: list[Effect] = []
        assert driver.begin(ask(driver, "/now")) == Reply(1, 200)
        assert driver.begin(ask(driver, "/poll")) is None
        driver.hold_for(2, lambda _begin: driver.stream(2, parts.append))
        driver.apply(lambda _now: [Begin(2, 200), Chunk(2, b"a")])
        driver.close()
        assert parts == [Chunk(2, b"a"), Drop(2, 1001)]

    run_in_virtual_time(run())


def test_the_parts_of_a_client_that_is_gone_are_ignored() -> None:
    async def run() -> None:
        engine = ScriptedEngine()
        driver = Driver(engine)
        parts: list[Effect] = []
        driver.begin(ask(driver, "/parts"))
        driver.stream(1, parts.append)
        driver.hung_up(1)
        driver.apply(lambda _now: [Chunk(1, b"b"), End(1)])
        assert (parts, engine.seen) == ([Chunk(1, b"a")], ["gone 1"])

    run_in_virtual_time(run())


@pytest.mark.parametrize(
    "effect", [Reply(1, 200), Begin(1, 200), Frame(1, "x")], ids=lambda effect: type(effect).__name__
)
def test_a_reply_in_parts_is_continued_by_parts_only(effect: Effect) -> None:
    async def run() -> None:
        driver = Driver(ScriptedEngine())
        driver.begin(ask(driver, "/parts"))
        with pytest.raises(BugError, match="continued a reply in parts with"):
            driver.apply(lambda _now: [effect])

    run_in_virtual_time(run())


def test_a_websocket_passes_its_actions_to_a_callback() -> None:
    async def run() -> None:
        engine = ScriptedEngine()
        driver = Driver(engine)
        actions: list[Effect] = []
        driver.open_for(ask(driver, "/chat"), actions.append)
        driver.frame(1, "hello")
        driver.hung_up(1)
        driver.apply(lambda _now: [Frame(1, "too late")])
        assert actions == [Accept(1), Frame(1, "welcome"), Frame(1, "echo hello")]
        assert engine.seen == ["frame 1 hello", "gone 1"]

    run_in_virtual_time(run())


def test_effects_that_come_after_a_reply_are_performed() -> None:
    async def run() -> None:
        engine = ScriptedEngine()
        driver = Driver(engine)
        driver.begin(ask(driver, "/held"))
        held = driver.hold(1)
        assert driver.begin(ask(driver, "/now and release")) == Reply(2, 200)
        assert await held == Reply(1, 204)

    run_in_virtual_time(run())


def test_a_callback_that_reports_a_write_does_not_take_the_reply_to_the_current_request() -> None:
    async def run() -> None:
        driver = Driver(ScriptedEngine())
        driver.begin(ask(driver, "/held"))
        driver.hold_for(1, lambda _: driver.written(1))
        assert driver.begin(ask(driver, "/release")) == Reply(2, 200)

    run_in_virtual_time(run())


def test_repetitions_are_logged_after_a_second_also_before_the_next_deadline(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        engine = ScriptedEngine()
        driver = Driver(engine)
        engine.due = [(1030.0, Reply(1, 200))]
        driver.apply(lambda _: [Log("warning", "again")] * 3)
        await asyncio.sleep(1.5)
        assert [record.message for record in caplog.records] == ["again", "2 times more: again"]

    run_in_virtual_time(run())


def test_a_reply_to_a_cancelled_future_is_ignored() -> None:
    async def run() -> None:
        engine = ScriptedEngine()
        driver = Driver(engine)
        driver.begin(ask(driver, "/held"))
        driver.hold(1).cancel()
        driver.apply(lambda _: [Reply(1, 200)])

    run_in_virtual_time(run())
