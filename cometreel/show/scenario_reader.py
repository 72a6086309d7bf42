"""Reads a conversation from a scenario: its exchanges one after the other, in file order.

A scenario contains the duration of replies, but not the times of requests and polls; the notes of the conversation say
so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cometreel.jsonvalue import JSON
from cometreel.scenario import (
    CompiledScenario,
    EventBlock,
    ExchangeBlock,
    FaultBlock,
    RequestBlock,
    RoleBlock,
    ScenarioBlock,
    TimelineBlock,
    load,
    parse,
    parse_duration,
)
from cometreel.show.blocks import Placement, exchange_of, notification_of
from cometreel.show.conversation import Conversation, ConversationExchange, ConversationNotification, Lane

__all__ = ["conversation_of_scenario"]

GAP_SECONDS = 0.05
_MAX_REPEATS = 50
_EVERYBODY = "everybody"
_OTHERS = {"subscribers": "other subscribers", "all": "all others"}
_ORDER = (
    "A scenario doesn't contain the times of requests: its exchanges are shown one after the other, 50 ms apart, in "
    "file order. The times within an exchange are those of the scenario."
)
_POLLS = "A scenario doesn't contain polls. Show the journal to see them."


def conversation_of_scenario(path: Path) -> Conversation:
    """Read a scenario, a file or a folder of them.

    :raises FileInvalid: with every problem of every file.
    """
    scenario = load([path])
    return _ScenarioReader(scenario, [parse(file) for file in scenario.files]).conversation(path)


class _ScenarioReader:
    def __init__(self, scenario: CompiledScenario, files: Sequence[ScenarioBlock]) -> None:
        self._scenario = scenario
        self._files = files
        self._users: dict[str, RoleBlock] = {name: role for file in files for name, role in (file.roles or {}).items()}
        self._lanes: dict[str, int] = {}
        self._starts: dict[str, float] = {}
        self._notes = [_ORDER, _POLLS]

    def conversation(self, path: Path) -> Conversation:
        exchanges = list(self._exchanges())
        unsolicited = [one for file in self._files for entry in file.timeline or () for one in self._entry(entry)]
        faults = [fault for file in self._files for fault in file.faults or ()]
        marked = [self._with_faults(exchange, faults) for exchange in exchanges]
        return Conversation(
            self._scenario.title or path.stem,
            "scenario",
            self._scenario.profile,
            tuple(Lane(name, self._detail(name)) for name in self._lanes),
            tuple(marked),
            tuple(sorted(unsolicited, key=lambda one: one.at)),
            notes=tuple(self._notes),
            faults=tuple(_fault_text(fault) for fault in faults if fault.meta is not None),
        )

    def _exchanges(self) -> Iterator[ConversationExchange]:
        now = 0.0
        for file in self._files:
            for block in file.exchanges or ():
                exchange = _with_headers(self._exchange(block, now), block, file.reply_headers or {})
                self._starts[block.name] = now
                now = exchange.end + GAP_SECONDS
                yield exchange

    def _exchange(self, block: ExchangeBlock, now: float) -> ConversationExchange:
        lane = self._lane(block.as_)
        notes: list[str] = []
        reply_at = now + _seconds(block.reply.after if block.reply else None, notes)
        notifications = [one for event in block.events or () for one in self._events(event, now, block.as_, notes)]
        placement = Placement(lane, now, reply_at)
        exchange = exchange_of(block.name, placement, block.request, block.reply, notifications, self._scenario.profile)
        return replace(exchange, notes=(*_guards(block), *notes))

    def _events(
        self, event: EventBlock, now: float, roles: str | list[str] | None, notes: list[str]
    ) -> Iterator[ConversationNotification]:
        """Yield a notification for each receiver and repetition."""
        after = now + _seconds(event.after, notes)
        count = event.count if isinstance(event.count, int) else 1
        gap = _seconds(event.gap, notes)
        lanes = self._receivers(event.deliver or "asker", roles)
        for number in range(min(count, _MAX_REPEATS)):
            for lane in lanes:
                yield notification_of(event, after + number * gap, lane)
        if event.count is not None and event.count != count:
            notes.append(
                "The number of repetitions is a template, evaluated at replay; the notification is shown once."
            )
        if count > _MAX_REPEATS:
            notes.append(f"A notification is repeated {count} times; the first {_MAX_REPEATS} are shown.")

    def _entry(self, entry: TimelineBlock) -> Iterator[ConversationNotification]:
        start = self._starts.get(entry.since, 0.0) if isinstance(entry.since, str) else 0.0
        yield from self._events(entry, start, entry.as_, self._notes)

    def _receivers(self, deliver: str, roles: str | list[str] | None) -> list[int]:
        """Return the lanes of the sessions that receive an event.

        A scenario doesn't contain subscriptions, so each role may be a subscriber.
        """
        asker = self._lane(roles)
        if deliver == "asker":
            return [asker]
        if deliver not in _OTHERS:
            return [self._lane(deliver)]
        others = [role for role in self._scenario.roles if role not in _names(roles)] or [_OTHERS[deliver]]
        return [asker, *map(self._lane, others)]

    def _with_faults(self, exchange: ConversationExchange, faults: Sequence[FaultBlock]) -> ConversationExchange:
        texts = [_fault_text(fault) for fault in faults if exchange.name in _names(fault.exchange)]
        return replace(exchange, faults=(*exchange.faults, *texts)) if texts else exchange

    def _lane(self, roles: str | list[str] | None) -> int:
        name = ", ".join(_names(roles)) or _EVERYBODY
        return self._lanes.setdefault(name, len(self._lanes))

    def _detail(self, name: str) -> str:
        role = self._users.get(name)
        return role.user if role is not None and role.user and role.user != name else ""


def _with_headers(
    exchange: ConversationExchange, block: ExchangeBlock, common: Mapping[str, JSON]
) -> ConversationExchange:
    """Add the header fields of all replies of the file to those of an HTTP reply."""
    if not isinstance(block.request, RequestBlock):
        return exchange
    own = block.reply.headers or {} if block.reply is not None else {}
    names = {name.lower() for name in own}
    fields: dict[str, JSON] = {name: value for name, value in own.items() if value is not None}
    fields |= {name: value for name, value in common.items() if name.lower() not in names}
    return replace(exchange, headers=fields or None)


def _seconds(value: JSON, notes: list[str]) -> float:
    if isinstance(value, str):
        return parse_duration(value)
    if value is not None:
        notes.append("A time is a template, evaluated at replay; it is shown as 0.")
    return 0.0


def _guards(block: ExchangeBlock) -> Iterator[str]:
    if block.when is not None:
        for word, names in (("after", block.when.after), ("before", block.when.before)):
            if names is not None:
                yield f"Matches only {word} {', '.join(_names(names))}."
    if block.request.authenticated is not None:
        yield f"Matches only {'after' if block.request.authenticated else 'before'} the login."


def _names(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else value or []


def _fault_text(fault: FaultBlock) -> str:
    """Format a fault as one line with the keys of the file: `/meta/connect, as cut-poll: broken (nth: 2)`."""
    written: Mapping[str, JSON] = fault.model_dump(mode="json", by_alias=True, exclude_unset=True)
    frequency = [f"{key}: {written[key]}" for key in ("nth", "every", "rate") if key in written]
    parts = [fault.meta or "", f"to {fault.channel}" if fault.channel else "", f"as {', '.join(_names(fault.as_))}"]
    target = ", ".join(word for word in parts if word not in ("", "as "))
    rest = {key: value for key, value in written.items() if key in _ACTIONS}
    action = ", ".join(key if value is True else f"{key} {value}" for key, value in rest.items())
    return f"{target + ': ' if target else ''}{action}{' (' + ', '.join(frequency) + ')' if frequency else ''}"


_ACTIONS = ("status", "delay", "drop-event", "duplicate-event", "disconnect", "broken", "error")
