"""Performs the actions of a run on asyncio, and passes the results to the run with the time of the event loop."""

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

_RunEvent: TypeAlias = Callable[[float], list[RunAction]]


async def drive(
    run: VerifyRun,
    script: Script,
    target: VerifyTarget,
    masking: ReportMasking,
    credentials: Mapping[str, Credentials],
    patience_seconds: float,
) -> None:
    """Play a run to its end.

    :raises OptionInvalid: if the server can't be reached, redirects, or refuses the login.
    """
    driver = _RunDriver(run, script, target, masking, credentials, patience_seconds)
    try:
        await driver.play()
    finally:
        await driver.close()


class _RunDriver:
    """Puts every result into one queue, with its time of arrival, and passes them to the run in order."""

    def __init__(
        self,
        run: VerifyRun,
        script: Script,
        target: VerifyTarget,
        masking: ReportMasking,
        credentials: Mapping[str, Credentials],
        patience_seconds: float,
    ) -> None:
        self._run = run
        self._channels = {session.name: session.channels for session in script.sessions}
        self._queue: asyncio.Queue[tuple[float, _RunEvent] | BaseException] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        context = target.ssl_context()
        self._http_sessions = {
            session.name: HttpSession(
                session.name, target, context, credentials.get(session.name), patience_seconds, masking.add_secret
            )
            for session in script.sessions
        }
        self._cometd_sessions = {
            name: CometdSession(http, script.endpoint, self._listener(name))
            for name, http in self._http_sessions.items()
        }
        for each in credentials.values():
            masking.add_secret(each.password.reveal().decode())

    async def play(self) -> None:
        """Run until the run is finished."""
        self._perform(self._run.start(self._now()))
        while not self._run.finished:
            deadline = self._run.deadline()
            try:
                async with asyncio.timeout_at(deadline):
                    entry = await self._queue.get()
            except TimeoutError:
                self._perform(self._run.advance(self._now()))
                continue
            if isinstance(entry, BaseException):
                raise entry
            at, event = entry
            self._perform(event(at))
        await asyncio.gather(*self._tasks)

    async def close(self) -> None:
        """Cancel all tasks and close all sessions."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for cometd in self._cometd_sessions.values():
            await cometd.close()
        for http in self._http_sessions.values():
            await http.close()

    # --- events ---------------------------------------------------------------------------------------------
    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _enqueue(self, event: _RunEvent) -> None:
        self._queue.put_nowait((self._now(), event))

    def _listener(self, session: str) -> SessionListener:
        return SessionListener(
            connected=lambda: self._enqueue(lambda at: self._run.connected(session, at)),
            received=lambda message: self._enqueue(lambda at: self._run.received(session, message, at)),
            lost=lambda error: self._enqueue(lambda at: self._run.session_lost(session, error, at)),
            failed=self._queue.put_nowait,
        )

    # --- actions --------------------------------------------------------------------------------------------
    def _perform(self, actions: Iterable[RunAction]) -> None:
        for action in actions:
            if isinstance(action, OpenSession):
                self._cometd_sessions[action.session].connect(self._channels[action.session])
            elif isinstance(action, CloseSession):
                self._start(self._cometd_sessions[action.session].disconnect())
            else:
                self._start(self._send(action))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._queue.put_nowait(error)

    async def _send(self, action: SendRequest | SendPublish) -> None:
        number = action.number
        try:
            if isinstance(action, SendPublish):
                message = await self._cometd_sessions[action.session].publish(action.request)
                self._enqueue(lambda at: self._run.published(number, message, at))
            else:
                http = self._http_sessions[action.session]
                send = http.send_anonymously if action.anonymous else http.send
                reply = await send(action.request, action.status, action.seconds)
                self._enqueue(lambda at: self._run.replied(number, reply, at))
        except NoAnswer as error:
            reason = str(error)
            self._enqueue(lambda at: self._run.no_answer(number, reason, at))
