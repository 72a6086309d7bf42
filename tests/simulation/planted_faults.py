"""Faults to plant in the engine, to test that the simulation notices them and shrinks the runs that show them.

Each entry changes one method of the engine while it is planted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any, TypeAlias

import pytest

from cometreel.bayeux.delivery import Delivery
from cometreel.bayeux.message_handlers import MessageHandlers
from cometreel.bayeux.message_processor import MessageProcessor
from cometreel.bayeux.outbox import AckedOutbox, Outbox
from cometreel.bayeux.registry import Registry
from cometreel.bayeux.subscriptions import Subscriptions
from cometreel.engine import Backend, faults, handler, matching, player, prepared_scenario, rendering
from cometreel.engine.notification_router import NotificationRouter
from cometreel.engine.play_state import PlayState, References
from cometreel.engine.player import Timeline
from cometreel.engine.rendering import Numbering
from cometreel.engine.scheduling import Schedule
from cometreel.engine.session_finder import SessionFinder
from cometreel.engine.session_roles import SessionRoles
from cometreel.engine.sessions import SessionResolver, Sessions
from cometreel.scenario import matchers, values
from cometreel.scenario.templates import SeededRandom

Plant: TypeAlias = Callable[[pytest.MonkeyPatch], None]
AnyMethod: TypeAlias = Callable[..., Any]


def _replaced(owner: object, name: str, change: Callable[[AnyMethod], object]) -> Plant:
    def plant(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(owner, name, change(getattr(owner, name)))

    return plant


def _nothing(_: AnyMethod) -> AnyMethod:
    return lambda *_arguments, **_by_name: None


def _put_at_front(_: AnyMethod) -> AnyMethod:
    def put(self: Outbox, message: Any) -> bool:
        self._messages.insert(0, message)
        return self._trim()

    return put


def _twice(original: AnyMethod) -> AnyMethod:
    def changed(*arguments: Any, **by_name: Any) -> Any:
        original(*arguments, **by_name)
        return original(*arguments, **by_name)

    return changed


def _any_client(original: AnyMethod) -> AnyMethod:
    def receiver_for(self: NotificationRouter, session: Any) -> Any:
        found = original(self, session)
        others = [each for each in self._sessions if each.clients]
        return others[0] if others else found

    return receiver_for


def _never_counted(_: AnyMethod) -> AnyMethod:
    return lambda self, recorded=None: recorded if recorded is not None else self._highest + 1


def _then_refused(original: AnyMethod) -> AnyMethod:
    def subscribe(self: MessageHandlers, context: Any) -> None:
        original(self, context)
        context.reply.update(successful=False, error="403::denied")

    return subscribe


def _of_meta_messages(original: AnyMethod) -> AnyMethod:
    return lambda self, request, channel, reply: (
        original(self, request, channel, reply) if channel[:6] == "/meta/" else None
    )


def _one_less(original: AnyMethod) -> AnyMethod:
    return lambda faults, session, seed, subscription=None: original(faults, session, seed, subscription)[1:]


def _late(original: AnyMethod) -> AnyMethod:
    return lambda self, at, item, sort_key=(): original(self, at + 50_000, item, sort_key)


def _first_cookie(_: AnyMethod) -> AnyMethod:
    return lambda self, value: next(iter(self._by_cookie.values()), None) if value else None


def _for_all_roles(_: AnyMethod) -> AnyMethod:
    return lambda anchors, anchor, role: [entry for key, each in anchors.items() if key[0] == anchor for entry in each]


def _not_by_seed(original: AnyMethod) -> AnyMethod:
    calls = count()
    return lambda text: original(f"{text} {next(calls)}")


def _one_at_a_time(original: AnyMethod) -> AnyMethod:
    def keep(self: NotificationRouter, session: Any, notify: Any, now: float) -> None:
        for message, origin in zip(notify.messages, notify.origins, strict=True):
            original(self, session, replace(notify, messages=(message,), origins=(origin,)), now)

    return keep


def _still_answered(original: AnyMethod) -> AnyMethod:
    def gone(self: Backend, request_id: int, now: float) -> Any:
        self._pending.pop(request_id, None)
        return original(self, request_id, now)

    return gone


def _with_the_old_scenario(original: AnyMethod) -> AnyMethod:
    return lambda self, _scenario, now: original(self, self.scenario, now)


def _bound_again(_: AnyMethod) -> AnyMethod:
    def compare(self: matchers.Id, found: Any, where: str, context: matchers.MatchContext) -> None:
        context.agreed.append(where)
        context.ids[self.name] = found

    return compare


def _as_long_as_found(original: AnyMethod) -> AnyMethod:
    def compare(self: matchers.Csv, found: Any, where: str, context: matchers.MatchContext) -> None:
        length = found.count(",") + 1 if isinstance(found, str) else len(self.items)
        original(replace(self, items=self.items[:length]), found, where, context)

    return compare


def _in_reverse(original: AnyMethod) -> AnyMethod:
    return lambda self, scope: original(replace(self, items=self.items[::-1]) if self.joined else self, scope)


def _first_anchor(original: AnyMethod) -> AnyMethod:
    return lambda anchors, entry: original([*anchors][:1], entry)


def _first_role(original: AnyMethod) -> AnyMethod:
    return lambda anchors, entry: original(anchors, entry)[:: max(1, len(entry.roles))]


def _of_all_requests(_: AnyMethod) -> AnyMethod:
    return lambda self, _request, now, *, logs_in: self._sessions.anonymous(str(logs_in), now, self._references)


def _for_all_sessions(original: AnyMethod) -> AnyMethod:
    def passes(exchange: Any, session: Any, *, locked_out: bool = False) -> bool:
        any_login = exchange if locked_out else replace(exchange, authenticated=None)
        found: bool = original(any_login, session, locked_out=locked_out)
        return found

    return passes


def _empty(_: AnyMethod) -> AnyMethod:
    return lambda *_arguments: []


def _false(_: AnyMethod) -> AnyMethod:
    return lambda *_arguments: False


def _played(_: AnyMethod) -> AnyMethod:
    return lambda self, choice, normalized, session: self.play(choice, normalized, session).reply


def _standing_still(_: AnyMethod) -> AnyMethod:
    return lambda now, _seconds: now


def _always_new(_: AnyMethod) -> object:
    return property(lambda self: self._references.take())


def _without_its_seed(original: AnyMethod) -> AnyMethod:
    return lambda self, _seed, place: original(self, "", place)


def _by_place(original: AnyMethod) -> AnyMethod:
    return lambda self, name: original(self, None if name is None else f"{name}/{self._place}")


FAULTS: Mapping[str, Plant] = {
    "messages that were not written are not queued again": _replaced(Delivery, "_put_back", _nothing),
    "a message is queued before earlier ones": _replaced(Outbox, "put", _put_at_front),
    "a message is queued twice": _replaced(Delivery, "put", _twice),
    "an acknowledgement is ignored": _replaced(AckedOutbox, "acknowledge", _nothing),
    "a held poll is not released": _replaced(Delivery, "release", lambda _: lambda self, session, now: None),
    "the time until a client expires is not restarted": _replaced(Registry, "restart_expiry", _nothing),
    "a notification goes to another session": _replaced(NotificationRouter, "_receiver_for", _any_client),
    "notifications that wait in a session are not delivered": _replaced(NotificationRouter, "on_client", _nothing),
    "a notification without a client is not reported": _replaced(NotificationRouter, "_report", _nothing),
    "plays are not counted": _replaced(PlayState, "count", _nothing),
    "reference numbers are not unique": _replaced(References, "take", _never_counted),
    "a subscription is made and refused": _replaced(MessageHandlers, "_subscribe", _then_refused),
    "a publish isn't answered": _replaced(MessageProcessor, "_collect", _of_meta_messages),
    "a fault is not applied": _replaced(handler, "triggered", _one_less),
    "replies and notifications are late": _replaced(Schedule, "add", _late),
    "a timeline entry starts again": _replaced(Timeline, "_start_once", lambda _: _start_again),
    "a subscription is not removed": _replaced(Subscriptions, "remove", lambda _: lambda *_arguments: True),
    "the subscriptions of a client that has ended are kept": _replaced(Subscriptions, "forget", _nothing),
    "a cookie finds the session of another client": _replaced(Sessions, "by_cookie", _first_cookie),
    "a client that has ended is kept": _replaced(Sessions, "remove_client", _nothing),
    "a timeline entry of a role starts in all sessions": _replaced(prepared_scenario, "_for_role", _for_all_roles),
    "a timeline entry doesn't start when its session gets its role": _replaced(Timeline, "on_role_assigned", _nothing),
    "a timeline entry assigns no role": _replaced(SessionRoles, "on_anchor", _nothing),
    "a timeline entry whose role nobody got isn't reported": _replaced(SessionRoles, "never_assigned", lambda _: _none),
    "a notification assigns no role": _replaced(SessionRoles, "on_delivery", _nothing),
    "a fault with a rate is always triggered": _replaced(faults, "_chance", lambda _: lambda _text: -1.0),
    "a fault with a rate isn't triggered in equal sessions": _replaced(faults, "_chance", _not_by_seed),
    "the oldest provisional session isn't ended": _replaced(Sessions, "_evict", _nothing),
    "the messages of a waiting batch are counted one by one": _replaced(NotificationRouter, "_keep", _one_at_a_time),
    "an edited scenario isn't loaded": _replaced(Backend, "replace", _with_the_old_scenario),
    "a call is answered though its client has gone": _replaced(Backend, "gone", _still_answered),
    "a session doesn't keep its identifiers": _replaced(matchers.Id, "compare", _bound_again),
    "a comma-separated list that is too short matches": _replaced(matchers.Csv, "compare", _as_long_as_found),
    "a comma-separated list is sent in reverse order": _replaced(values.Items, "render", _in_reverse),
    "a timeline entry ends only at the first of its ends": _replaced(prepared_scenario, "_with_roles", _first_anchor),
    "a timeline entry is for one of its roles only": _replaced(prepared_scenario, "_with_roles", _first_role),
    "requests without identity share a session": _replaced(SessionFinder, "_anonymous", _of_all_requests),
    "the session of one request is kept": _replaced(SessionFinder, "release", _nothing),
    "a session needs no login": _replaced(SessionResolver, "is_locked_out", _false),
    "a POST needs no CSRF token": _replaced(SessionResolver, "lacks_token", _false),
    "no CSRF token is announced": _replaced(SessionResolver, "_announced_token", _empty),
    "an exchange for other logins answers": _replaced(matching, "passes", _for_all_sessions),
    "a HEAD is played": _replaced(player.Player, "preview", _played),
    "`ref` is not the number of the reply": _replaced(Numbering, "ref", _always_new),
    "the scenario's clock stands still": _replaced(player, "scenario_time", _standing_still),
    "a notification has the time of its request": _replaced(rendering, "scenario_time", _standing_still),
    "a play generates the values of another one": _replaced(SeededRandom, "__init__", _without_its_seed),
    "a notification has another named value than its reply": _replaced(SeededRandom, "_bytes", _by_place),
}
"""The faults, by what is wrong."""


def _none(*_: Any) -> tuple[()]:
    return ()


def _start_again(self: Any, session: Any, entry: Any, at: Any) -> None:
    session.timeline[entry.index] = []
    self._start(session, entry, at)


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Change the engine until the block ends."""
    with pytest.MonkeyPatch.context() as patch:
        FAULTS[name](patch)
        yield
