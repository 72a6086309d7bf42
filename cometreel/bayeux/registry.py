"""The live sessions, by id, by browser and by the time at which they expire.

It starts and ends sessions, and restarts the time until they expire.
"""

from __future__ import annotations

from collections.abc import Callable

from cometreel.bayeux.application import Application, EndReason
from cometreel.bayeux.browsers import Browsers
from cometreel.bayeux.deadlines import Deadlines
from cometreel.bayeux.outbox import AckedOutbox, Outbox
from cometreel.bayeux.session import BayeuxSession, SessionMove, SessionState
from cometreel.bayeux.settings import BayeuxSettings, TransportName
from cometreel.bayeux.subscriptions import Subscriptions
from cometreel.wire import Effect, Request

__all__ = ["Registry"]


class Registry:
    """The state that the parts of one server share."""

    def __init__(self, settings: BayeuxSettings, application: Application, new_id: Callable[[str], str]) -> None:
        self.settings = settings
        self.application = application
        self.new_id = new_id
        self.effects: list[Effect] = []
        self.sessions: dict[str, BayeuxSession] = {}
        self.browsers = Browsers()
        self.subscriptions = Subscriptions()
        self.deadlines = Deadlines()
        self.stopping = False

    def start(self, browser: str, handshake_transport: TransportName, *, acked: bool) -> BayeuxSession:
        """Start a session."""
        outbox = (AckedOutbox if acked else Outbox)(self.settings.max_queue)
        session = BayeuxSession(self.new_id("client"), browser, handshake_transport, outbox, self.settings.interval)
        self.sessions[session.client_id] = session
        self.browsers.join(browser, session.client_id)
        return session

    def find(self, client_id: object, transport: TransportName, request: Request) -> BayeuxSession | None:
        """Return the session that a message names, if the request may use it.

        Over HTTP the browser cookie and the transport must be those of the session's handshake; a WebSocket may use any
        session (CometD 3.1).
        """
        session = self.sessions.get(client_id) if isinstance(client_id, str) else None
        if session is None or transport == "websocket":
            return session
        if session.handshake_transport != transport:
            return None
        if self.settings.require_cookie and self.browser_of(request) != session.browser:
            return None
        return session

    def browser_of(self, request: Request) -> str | None:
        """Return the browser cookie of a request."""
        return request.headers.cookies().get(self.settings.cookie_name)

    def end(self, session: BayeuxSession, reason: EndReason, now: float) -> None:
        """End a session. Its held poll, if there is one, is released by the caller."""
        session.move(SessionMove.END)
        del self.sessions[session.client_id]
        self.deadlines.clear(session.client_id)
        self.browsers.leave(session.browser, session.client_id)
        self.subscriptions.forget(session.client_id, now)
        self.application.ended(session.client_id, reason, now)

    def restart_expiry(self, session: BayeuxSession, now: float) -> None:
        """Restart the time until a session expires, unless it is over or its poll is held."""
        if session.state is not SessionState.HELD and session.state is not SessionState.OVER:
            self.deadlines.set(session.client_id, now + session.interval + self.settings.max_interval)

    def connect_only(self, session: BayeuxSession) -> bool:
        """True if the messages of a session are sent on `/meta/connect` replies only."""
        return self.settings.meta_connect_deliver_only or session.acked
