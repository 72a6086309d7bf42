"""One live CometD session on asyncio: does what the Bayeux client orders, and tells what it heard.

The client is the engine's own and without I/O; here are its requests and its timer. Long-polling only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cometreel.bayeux import (
    BayeuxClient,
    ClientEvent,
    ClientSettings,
    Closed,
    Connected,
    Failed,
    MalformedMessages,
    Message,
    Published,
    Received,
    Send,
    SessionUnknown,
    parse_messages,
)
from cometreel.jsonvalue import JSONObject, encode
from cometreel.verify.http_session import HttpSession, NoAnswer
from cometreel.verify.request_building import BuiltPublish

__all__ = ["CometdSession", "SessionListener"]

_GOODBYE_SECONDS = 2.0
"""How long to wait for the answer to a disconnect; nothing depends on it any more."""


@dataclass(frozen=True, slots=True)
class SessionListener:
    """Whom an ear tells: that it is connected, each message, that the session was lost and begins anew, and what
    makes the run impossible.
    """

    connected: Callable[[], None]
    heard: Callable[[JSONObject], None]
    lost: Callable[[str], None]
    failed: Callable[[BaseException], None]


class CometdSession:
    """The CometD session of one HTTP session. Not thread-safe, as asyncio isn't."""

    def __init__(self, http: HttpSession, endpoint: str, listener: SessionListener) -> None:
        self._http, self._endpoint, self._listener = http, endpoint, listener
        self._client = BayeuxClient(ClientSettings(max_network_delay=http.patience_seconds))
        self._polled = False
        self._ready = False
        self._publishing: dict[str, asyncio.Future[JSONObject]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = asyncio.Event()

    def connect(self, channels: Sequence[str]) -> None:
        """Shake hands and subscribe; the listener hears when both are done."""
        self._do([*self._client.subscribe(channels), *self._client.handshake(self._now())])

    async def publish(self, ask: BuiltPublish) -> JSONObject:
        """Publish, and wait for the acknowledgement, which may be a refusal.

        :raises Unanswered: if there is none.
        """
        answer: asyncio.Future[JSONObject] = asyncio.get_running_loop().create_future()
        events = self._client.publish(ask.channel, ask.data, ext=ask.ext)
        for event in events:
            messages = (
                event.messages if isinstance(event, Send) else (event.message,) if isinstance(event, Failed) else ()
            )
            self._publishing.update({str(message["id"]): answer for message in messages})
        self._do(events)
        return await answer

    async def disconnect(self) -> None:
        """End the session, if there is one, and wait a moment for the server's goodbye."""
        self._do(self._client.disconnect())
        if self._client.client_id is not None:
            await asyncio.wait([asyncio.ensure_future(self._closed.wait())], timeout=_GOODBYE_SECONDS)

    async def close(self) -> None:
        """Give up whatever is under way."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- doing ----------------------------------------------------------------------------------------------
    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _do(self, events: Sequence[ClientEvent]) -> None:
        for event in events:
            if isinstance(event, Send):
                self._start(event)
            else:
                self._tell(event)
        self._set_timer()
        if self._polled and not self._ready and all(self._client.subscriptions.values()):
            self._ready = True
            self._listener.connected()

    def _start(self, send: Send) -> None:
        task = asyncio.get_running_loop().create_task(self._send(send))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._listener.failed(error)

    def _set_timer(self) -> None:
        deadline = self._client.deadline()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if deadline is None else asyncio.get_running_loop().call_at(deadline, self._wake)

    def _wake(self) -> None:
        self._do(self._client.advance(self._now()))

    async def _send(self, send: Send) -> None:
        reply = await self._http.post(self._endpoint, encode(list(send.messages)), send.patience)
        messages = _messages(reply.body) if reply is not None and reply.status == 200 else None
        if messages is not None:
            for message in messages:
                self._http.hide(str(message.get("clientId", "")))
            self._do(self._client.receive(messages, self._now(), number=send.number))
            return
        if not self._polled:
            what = "nothing in time" if reply is None else f"status {reply.status}, and no Bayeux messages"
            self._fail(f"POST {self._endpoint} gave {what}")
        self._do(self._client.failed(send.number, self._now()))

    # --- telling --------------------------------------------------------------------------------------------
    def _tell(self, event: ClientEvent) -> None:
        if isinstance(event, Received):
            self._listener.heard(event.message)
        elif isinstance(event, Connected):
            self._polled = True
        elif isinstance(event, Published):
            self._settle(event.message, event.reply)
        elif isinstance(event, Failed):
            self._not_done(event)
        elif isinstance(event, SessionUnknown) and self._ready:
            self._listener.lost(event.error)
        elif isinstance(event, SessionUnknown):
            self._fail(f"the CometD session is lost before it began: {event.error}")
        elif isinstance(event, Closed):
            self._closed.set()
            if event.error:
                self._fail(f"the CometD session is over: {event.error}")

    def _not_done(self, event: Failed) -> None:
        if str(event.message["id"]) in self._publishing:
            self._settle(event.message, {"successful": False, "error": event.error} if event.error else None)
        elif "subscription" in event.message:
            channel = event.message["subscription"]
            self._fail(f"the subscription to {channel} was refused: {event.error or 'no answer'}")

    def _fail(self, reason: str) -> None:
        self._listener.failed(self._http.target.unreachable(reason))

    def _settle(self, message: Message, reply: JSONObject | None) -> None:
        answer = self._publishing.pop(str(message["id"]))
        if reply is not None:
            answer.set_result(reply)
        else:
            answer.set_exception(NoAnswer("nothing: the publish was not acknowledged"))


def _messages(body: bytes) -> list[Message] | None:
    try:
        return parse_messages(body)
    except MalformedMessages:
        return None
