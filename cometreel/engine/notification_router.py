"""Routes due notifications to CometD clients, keeps those of sessions without a client, and reports the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest

from cometreel.bayeux import BayeuxServer, DropReason, EncodedMessage
from cometreel.bayeux.message_handlers import encoded_message
from cometreel.engine.actions import EndClients, Notify, Origin
from cometreel.engine.counters import Counters
from cometreel.engine.given_up import GiveUpReason
from cometreel.engine.sessions import Session, Sessions
from cometreel.wire import Effect

__all__ = ["NotificationRouter"]


class NotificationRouter:
    """Delivers the notifications of one replay.

    `perform` receives the effects. `give_up` is called with each notification that no client gets: its origin, its
    channel, the reason, the time, and whether a client had it in its queue.
    """

    def __init__(
        self,
        sessions: Sessions,
        server: BayeuxServer,
        counters: Counters,
        perform: Callable[[Iterable[Effect]], None],
        give_up: Callable[[Origin, str, GiveUpReason, float, bool], None],
        max_waiting: int,
    ) -> None:
        self._sessions, self._server, self._counters = sessions, server, counters
        self._perform, self._give_up, self._max_waiting = perform, give_up, max_waiting
        self._waiting: dict[int, Session] = {}  # the sessions with notifications that wait for a client, by number
        self.keeps_when_gone = False
        """True if notifications of a session whose clients have all ended wait for the next client."""
        self.assign_role: Callable[[str, Session, Iterable[Session]], Session | None] = lambda *_: None
        """Returns the session, of those with a client, that gets a role that no session has; None if none does."""

    # ------------------------------------------------------------------ deliver
    def notify(self, notify: Notify, now: float) -> None:
        """Deliver notifications that are due."""
        if notify.deliver == "asker":
            self.notify_clients(self._receiver_for(notify.session), notify, now)
        elif notify.deliver == "subscribers":
            self._notify_subscribers(notify, now)
        else:
            self._notify_others(notify, now)

    def end_clients(self, action: EndClients, now: float) -> None:
        """End CometD clients from the server's side."""
        receivers = (
            [self._receiver_for(action.session)] if action.deliver == "asker" else self._receivers(action.deliver)
        )
        clients = [client_id for session in receivers for client_id in _clients(session, action.client_id)]
        for client_id in clients:
            self._perform(self._server.disconnect(client_id, now))

    def notify_clients(self, receiver: Session, notify: Notify, now: float) -> None:
        """Deliver to the clients of a session; without one the session that caused the notifications keeps them."""
        if receiver.clients:
            notify.session.had_client = True
            if notify.session.waiting:  # they were due when it was not known which of several clients gets them
                self._send_waiting(notify.session, receiver, now)
            self._send(_clients(receiver, notify.client_id), notify, now)
        else:
            self._keep(notify.session, notify, now)

    def _receiver_for(self, session: Session) -> Session:
        """Return the session whose clients receive the notifications of a session: itself, or a push-only one."""
        return session if session.clients else self._sessions.push_receiver(session) or session

    def _notify_subscribers(self, notify: Notify, now: float) -> None:
        """Deliver each message to the clients that subscribed to its channel; one batch stays one for each client."""
        messages: dict[str, list[EncodedMessage]] = {}
        for encoded in _encoded(notify):
            clients = self._server.subscribers(encoded.channel)
            for client_id in clients:
                messages.setdefault(client_id, []).append(encoded)
            if not clients:
                self._report(encoded, "no subscriber", now)
        for client_id, received in messages.items():
            self._deliver(client_id, received, notify, now)

    def _notify_others(self, notify: Notify, now: float) -> None:
        """Deliver to the clients of all sessions, or of the sessions with a role."""
        receivers = self._receivers(notify.deliver) or self._assigned(notify)
        clients = [client_id for session in receivers for client_id in session.clients]
        if clients:
            self._send(clients, notify, now)
        elif notify.deliver == "all":
            self._keep(notify.session, notify, now)
        elif not receivers:
            self._give_up_all(notify, "role never assigned", now)
        for session in receivers if notify.deliver != "all" else ():
            if not session.clients:
                self._keep(session, notify, now)

    def _receivers(self, deliver: str) -> list[Session]:
        return [session for session in self._sessions if deliver in ("all", session.role)]

    def _assigned(self, notify: Notify) -> list[Session]:
        if notify.deliver == "all":
            return []
        others = [session for session in self._sessions if session.clients]
        found = self.assign_role(notify.deliver, self._receiver_for(notify.session), others)
        return [] if found is None else [found]

    def _send(self, clients: Sequence[str], notify: Notify, now: float) -> None:
        encoded = _encoded(notify)
        for client_id in clients:
            self._deliver(client_id, encoded, notify, now)

    def _deliver(self, client_id: str, messages: Sequence[EncodedMessage], notify: Notify, now: float) -> None:
        self._counters.events += len(messages)
        self._perform(self._server.deliver(client_id, messages, now, batch=notify.batch))

    # ------------------------------------------------------------------ without a client
    def _keep(self, session: Session, notify: Notify, now: float) -> None:
        """Keep notifications for the session's next client, or give them up."""
        if session.ended:
            self._give_up_all(notify, "no connection in time" if session.kind == "anonymous" else "session ended", now)
        elif session.had_client and not self.keeps_when_gone:
            self._give_up_all(notify, "client gone", now)
        else:
            session.waiting.append(notify)
            self._waiting[session.number] = session
            if len(session.waiting) > self._max_waiting:
                self._give_up_all(session.waiting.pop(0), "queue full", now)

    def on_client(self, session: Session, now: float) -> None:
        """Deliver the notifications that waited for the client that this session has just started.

        They are its own, and those of an anonymous session whose only receiver it is. A provisional session keeps its
        notifications, because its client may still return.
        """
        session.had_client = True
        for number, waiting in [*self._waiting.items()]:
            if waiting is session or (waiting.kind == "anonymous" and self._receiver_for(waiting) is session):
                waiting.had_client = True
                self._send_waiting(waiting, session, now)

    def _send_waiting(self, waiting: Session, receiver: Session, now: float) -> None:
        """Deliver the notifications that wait in a session to the clients of its receiver."""
        self._waiting.pop(waiting.number, None)
        while waiting.waiting:
            self._send([*receiver.clients], waiting.waiting.pop(0), now)

    def on_end(self, session: Session, now: float) -> None:
        """Give up the notifications that wait in a session that has ended."""
        self._waiting.pop(session.number, None)
        while session.waiting:
            self._give_up_all(session.waiting.pop(0), "no connection in time", now)

    def on_stop(self, now: float) -> None:
        """Give up all notifications that wait for a client."""
        for session in [*self._waiting.values()]:
            self.on_end(session, now)

    # ------------------------------------------------------------------ reports
    def dropped(self, message: EncodedMessage, reason: DropReason, now: float) -> None:
        """Report a message that the Bayeux server dropped."""
        self._report(message, reason, now, was_queued=True)

    def _give_up_all(self, notify: Notify, reason: GiveUpReason, now: float) -> None:
        for encoded in _encoded(notify):
            self._report(encoded, reason, now)

    def _report(self, message: EncodedMessage, reason: GiveUpReason, now: float, *, was_queued: bool = False) -> None:
        if isinstance(message.origin, Origin):
            self._give_up(message.origin, message.channel, reason, now, was_queued)


def _clients(session: Session, client_id: str | None) -> list[str]:
    """Return one client of a session, or all if it is not among them."""
    return [client_id] if client_id is not None and client_id in session.clients else [*session.clients]


def _encoded(notify: Notify) -> list[EncodedMessage]:
    """Encode the messages once for all their receivers."""
    return [
        EncodedMessage(message.channel, message.body, origin)
        if isinstance(message, EncodedMessage)
        else encoded_message(message, origin)
        for message, origin in zip_longest(notify.messages, notify.origins)
    ]
