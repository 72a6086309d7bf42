"""The driver of a run: does its orders on asyncio and tells it what came, with the time of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TypeAlias

from cometreel.verify.cometd_session import CometdSession, SessionListener
from cometreel.verify.credentials import Credentials
from cometreel.verify.http_session import HttpSession, NoAnswer
from cometreel.verify.report_masking import ReportMasking
from cometreel.verify.run import CloseSession, OpenSession, RunAction, SendPublish, SendRequest, VerifyRun
from cometreel.verify.script import Script
from cometreel.verify.verify_target import VerifyTarget

__all__ = ["drive"]

_News: TypeAlias = Callable[[float], list[RunAction]]


async def drive(
    run: VerifyRun,
    script: Script,
    target: VerifyTarget,
    veil: ReportMasking,
    credentials: Mapping[str, Credentials],
    patience_seconds: float,
) -> None:
    """Play a run to its end.

    :raises OptionInvalid: if the server can't be reached, redirects, or refuses the login.
    """
    driver = _RunDriver(run, script, target, veil, credentials, patience_seconds)
    try:
        await driver.play()
    finally:
        await driver.close()


class _RunDriver:
    """Everything that comes in is news in one queue, with the time at which it came; the run takes it in turn."""

    def __init__(
        self,
        run: VerifyRun,
        script: Script,
        target: VerifyTarget,
        veil: ReportMasking,
        credentials: Mapping[str, Credentials],
        patience_seconds: float,
    ) -> None:
        self._run = run
        self._channels = {part.name: part.channels for part in script.parts}
        self._news: asyncio.Queue[tuple[float, _News] | BaseException] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        context = target.context()
        self._https = {
            part.name: HttpSession(part.name, target, context, credentials.get(part.name), patience_seconds, veil.hide)
            for part in script.parts
        }
        self._ears = {
            name: CometdSession(http, script.endpoint, self._listener(name)) for name, http in self._https.items()
        }
        for known in credentials.values():
            veil.hide(known.password.reveal().decode())

    async def play(self) -> None:
        """Until the run is over."""
        self._do(self._run.start(self._now()))
        while not self._run.over:
            deadline = self._run.deadline()
            try:
                async with asyncio.timeout_at(deadline):
                    news = await self._news.get()
            except TimeoutError:
                self._do(self._run.advance(self._now()))
                continue
            if isinstance(news, BaseException):
                raise news
            at, tell = news
            self._do(tell(at))
        await asyncio.gather(*self._tasks)

    async def close(self) -> None:
        """Let go of everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for ear in self._ears.values():
            await ear.close()
        for http in self._https.values():
            await http.close()

    # --- news -----------------------------------------------------------------------------------------------
    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _tell(self, news: _News) -> None:
        self._news.put_nowait((self._now(), news))

    def _listener(self, part: str) -> SessionListener:
        return SessionListener(
            connected=lambda: self._tell(lambda at: self._run.connected(part, at)),
            heard=lambda message: self._tell(lambda at: self._run.heard(part, message, at)),
            lost=lambda error: self._tell(lambda at: self._run.lost(part, error, at)),
            failed=self._news.put_nowait,
        )

    # --- orders ---------------------------------------------------------------------------------------------
    def _do(self, orders: Iterable[RunAction]) -> None:
        for order in orders:
            if isinstance(order, OpenSession):
                self._ears[order.part].connect(self._channels[order.part])
            elif isinstance(order, CloseSession):
                self._start(self._ears[order.part].disconnect())
            else:
                self._start(self._ask(order))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._news.put_nowait(error)

    async def _ask(self, order: SendRequest | SendPublish) -> None:
        number = order.number
        try:
            if isinstance(order, SendPublish):
                message = await self._ears[order.part].publish(order.ask)
                self._tell(lambda at: self._run.published(number, message, at))
            else:
                http = self._https[order.part]
                ask = http.ask_as_stranger if order.stranger else http.ask
                reply = await ask(order.ask, order.status, order.seconds)
                self._tell(lambda at: self._run.replied(number, reply, at))
        except NoAnswer as error:
            reason = str(error)
            self._tell(lambda at: self._run.unanswered(number, reason, at))
